// As much of Arduino's core as the example sketch needs, for a board without one: Serial is the
// emulator's semihosting. Of real numbers, it prints ten thousandths.
#pragma once

#include <math.h>
#include <stdint.h>

#include "semihosting.h"

static struct {
  void begin(unsigned long) {}
  void print(const char *text) { ::print(text); }
  void print(long number) {
    if (number < 0) ::print("-");
    print_number((uint32_t)(number < 0 ? -number : number));
  }
  void print(unsigned long number) { print_number((uint32_t)number); }
  void print(double real, int) { print(lround(real * 10000)); }
  template <typename... What> void println(What... what) {
    print(what...);
    print("\n");
  }
} Serial;

static inline unsigned long micros() { return 0; }

// The end of the sketch's first round is the end of the program.
static inline void delay(unsigned long) { finish(0); }
