/* Semihosting calls of Arm and RISC-V. */
#include "semihosting.h"

static void call(uintptr_t operation, const void *argument)
{
#if defined(__arm__)
    register uintptr_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
#elif defined(__riscv)
    register uintptr_t a0 __asm__("a0") = operation;
    register const void *a1 __asm__("a1") = argument;
    /* These three instructions, uncompressed and within one page, are the call. */
    __asm__ volatile(
        ".balign 16\n"
        ".option push\n"
        ".option norvc\n"
        "slli zero, zero, 0x1f\n"
        "ebreak\n"
        "srai zero, zero, 7\n"
        ".option pop\n"
        : "+r"(a0) : "r"(a1) : "memory");
#endif
}

void print(const char *text)
{
    for (; *text; text++)
        call(0x03, text); /* SYS_WRITEC */
}

void print_number(uint32_t number)
{
    char digits[11];
    char *at = &digits[10];
    *at = '\0';
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    print(at);
}

void finish(uint32_t code)
{
    /* SYS_EXIT_EXTENDED with ADP_Stopped_ApplicationExit */
    const uint32_t reason[2] = { 0x20026, code };
    for (;;)
        call(0x20, reason);
}
