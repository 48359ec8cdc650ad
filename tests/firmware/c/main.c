/* A firmware with a model in it: reads a handwritten digit and says which one it is.
 *
 * `digits_conv.c` and `digits_conv.h` beside this file are generated and checked in. They were made by
 *
 *     tflc ../../models/digits_conv.tflite --target cortex-m4 -o digits_conv.c
 */
#include <stdint.h>

#include "digits_conv.h"
#include "semihosting.h"

/* A digit as the sensor saw it: 8 by 8 pixels, from nothing to ink. */
static const char image[] =
    "  :#%.  "
    "  %***  "
    " :%.#-  "
    "  :=@=  "
    "   :+@. "
    "  *: #- "
    "  @-=@: "
    "  =##=  ";
static const char shades[] = " .:-=+*#%@";

/* The code of a real number; the model was trained on pixels from 0 to 1. A sensor that gives integers
 * needs no floating point for this: a table does it, or a shift. */
static int8_t quantize(float real)
{
    int code = (int)(real / DIGITS_CONV_INPUT_SCALE + 0.5f) + DIGITS_CONV_INPUT_ZERO_POINT;
    return (int8_t)code;
}

/* All of the model's memory, where the linker counts it. */
static digits_conv_t model;

/* Called by the reset handler. */
int main(void)
{
    int8_t *input = digits_conv_input(&model);
    for (int i = 0; i < DIGITS_CONV_INPUT_LEN; i++) {
        int shade = 9;
        while (shade > 0 && shades[shade] != image[i])
            shade--;
        input[i] = quantize((float)shade / 9.0f);
    }
    digits_conv_run(&model);

    const int8_t *scores = digits_conv_output(&model);
    int best = 0;
    for (int digit = 0; digit < DIGITS_CONV_OUTPUT_LEN; digit++) {
        /* Scores are codes for 0 to 1; -128 stands for 0. */
        print_number((uint32_t)digit);
        print(": ");
        print_number((uint32_t)(scores[digit] + 128) * 100 / 256);
        print(" %\n");
        if (scores[digit] > scores[best])
            best = digit;
    }
    print("It is a ");
    print_number((uint32_t)best);
    print(".\n");
    return 0;
}
