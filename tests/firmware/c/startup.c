/* What runs before main: the vector table and the reset handler, for Cortex-M and RISC-V. Your
 * board's SDK has its own; it is here so that this example needs nothing else. */
#include <stdint.h>

#include "semihosting.h"

int main(void);
void reset(void);

/* From the linker script. */
extern uint32_t __data_start[], __data_end[], __bss_start[], __bss_end[], __stack_top[];
extern const uint32_t __data_load[];

/* Any exception ends here. */
static void fault(void)
{
    print("fault\n");
    finish(2);
}

/* With a stack pointer, but nothing else yet. */
__attribute__((used)) static void start(void)
{
    /* `volatile`, or the compiler makes calls of memcpy and memset out of the loops. */
    const volatile uint32_t *from = __data_load;
    for (volatile uint32_t *to = __data_start; to < __data_end; to++)
        *to = *from++;
    for (volatile uint32_t *to = __bss_start; to < __bss_end; to++)
        *to = 0;

#if defined(__ARM_ARCH) && __ARM_ARCH >= 7
    /* Cores with a floating point or vector unit start with it off; code for them may use it.
     * Without such a unit, this changes nothing. */
    *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20; /* CPACR */
    __asm__ volatile("dsb\n\tisb");
#endif

    finish((uint32_t)main());
}

#if defined(__arm__)

void reset(void) { start(); }

/* Where the stack begins, the reset handler, and 14 exceptions, none of which should occur. */
__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    void (*handlers[15])(void);
} vectors = {
    __stack_top,
    { reset, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault },
};

#elif defined(__riscv)

/* RISC-V begins at the flash's first byte, with no stack pointer yet. */
__attribute__((section(".text.reset"), naked)) void reset(void)
{
    __asm__(
        ".option push\n"
        ".option norelax\n"
        "la gp, __global_pointer$\n"
        ".option pop\n"
        "la sp, __stack_top\n"
        "la t0, %0\n"
        ".option arch, +zicsr\n"
        "csrw mtvec, t0\n"
        "call start\n"
        : : "i"(fault));
}

#endif
