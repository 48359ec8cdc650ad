/* Runs generated models on golden cases, compares their outputs, and prints a line for each:
 *
 *     NAME exact cases=N ram=BYTES stack=BYTES
 *
 * or `NAME wrong case=N`. `ram` is the model's struct, `stack` what a run takes of it at most.
 *
 * "models.h" includes the models' headers if INCLUDES is defined, and otherwise has a line for each,
 *     MODEL(name, "FILE", INPUT(name_input, NAME_INPUT_LEN), OUTPUT(name_output, NAME_OUTPUT_LEN))
 * where FILE holds the bytes of its cases: inputs, then outputs. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "semihosting.h"

#define INCLUDES
#include "models.h"
#undef INCLUDES

/* The first instruction of the one starts the counter in tests/cycles, that of the other stops it.
 * They differ, or the linker might make both functions one. */
__attribute__((noinline)) void bench_begin(void);
__attribute__((noinline)) void bench_end(void);
void bench_begin(void) { __asm__ volatile("nop"); }
void bench_end(void) { __asm__ volatile("nop\n\tnop"); }

/* ---- The stack ---- */

extern uint32_t __stack_limit[];
static const uint32_t paint = 0xa5a5a5a5;

static inline uint32_t *stack_pointer(void)
{
    uint32_t *sp;
#if defined(__arm__)
    __asm__ volatile("mov %0, sp" : "=r"(sp) : : "memory");
#elif defined(__riscv)
    __asm__ volatile("mv %0, sp" : "=r"(sp) : : "memory");
#endif
    return sp;
}

/* Writes a pattern over the stack that isn't in use. */
__attribute__((always_inline)) static inline void paint_stack(void)
{
    for (volatile uint32_t *at = __stack_limit; at < (volatile uint32_t *)stack_pointer(); at++)
        *at = paint;
}

/* How much of it is gone. */
__attribute__((always_inline)) static inline uint32_t used_stack(void)
{
    const volatile uint32_t *at = __stack_limit, *top = stack_pointer();
    while (at < top && *at == paint)
        at++;
    return (uint32_t)(top - at) * 4;
}

/* ---- The models ---- */

/* Copies bytes to an input of a model. Volatile: memcpy should be part of this program only if the
 * model needs it. */
static const uint8_t *fill(volatile void *input, const uint8_t *from, size_t length)
{
    volatile uint8_t *to = input;
    while (length-- > 0)
        *to++ = *from++;
    return from;
}

static bool is_same(const volatile void *output, const uint8_t *expected, size_t length)
{
    const volatile uint8_t *found = output;
    for (; length > 0; length--)
        if (*found++ != *expected++)
            return false;
    return true;
}

#define MODEL(name, file, inputs, outputs) \
    __asm__(".pushsection .cases, \"a\"\n" #name "_cases:\n.incbin \"" file "\"\n" #name "_cases_end:\n.popsection"); \
    extern const uint8_t name##_cases[], name##_cases_end[]; \
    __attribute__((noinline)) static void run_##name(name##_t *m) { name##_run(m); } \
    static bool check_##name(void) \
    { \
        static name##_t memory; \
        name##_t *m = &memory; \
        const uint8_t *at = name##_cases; \
        uint32_t number = 0, wrong = UINT32_MAX, stack = 0; \
        paint_stack(); \
        while (at < name##_cases_end) { \
            bool same = true; \
            inputs \
            bench_begin(); \
            run_##name(m); \
            bench_end(); \
            if (number == 0) \
                stack = used_stack(); \
            outputs \
            if (!same && wrong == UINT32_MAX) \
                wrong = number; \
            number++; \
        } \
        print(#name); \
        print(wrong != UINT32_MAX ? " wrong case=" : " exact cases="); \
        print_number(wrong != UINT32_MAX ? wrong : number); \
        print(" ram="); \
        print_number(sizeof memory); \
        print(" stack="); \
        print_number(stack); \
        print("\n"); \
        return wrong == UINT32_MAX; \
    }
#define INPUT(function, length) at = fill(function(m), at, length * sizeof *function(m));
#define OUTPUT(function, length) \
    same &= is_same(function(m), at, length * sizeof *function(m)); \
    at += length * sizeof *function(m);
#include "models.h"
#undef MODEL

int main(void)
{
    bool exact = true;
#define MODEL(name, file, inputs, outputs) exact &= check_##name();
#include "models.h"
    return exact ? 0 : 1;
}
