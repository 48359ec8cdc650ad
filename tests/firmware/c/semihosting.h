/* Semihosting: how a program on an emulated core (or behind a debugger) prints and ends. A
 * firmware of yours has a UART or RTT for this. */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stdint.h>

void print(const char *text);
void print_number(uint32_t number);
void finish(uint32_t code); /* ends the program with an exit code */

#endif
