/* Runs the model on one image: prints the digit that it sees. */
#include <stdio.h>

#include "digits.h"

static digits_t model;

int main(void)
{
    int8_t *input = digits_input(&model);
    for (int i = 0; i < DIGITS_INPUT_LEN; ++i) {
        input[i] = DIGITS_INPUT_ZERO_POINT;
    }
    digits_run(&model);
    const int8_t *scores = digits_output(&model);
    int best = 0;
    for (int i = 1; i < DIGITS_OUTPUT_LEN; ++i) {
        if (scores[i] > scores[best]) {
            best = i;
        }
    }
    printf("digit %d\n", best);
    return 0;
}
