/* What generated code needs of <string.h>, for toolchains without a C library, as Debian's for
 * RISC-V is. Others have their own. */
#ifndef STRING_H
#define STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t length);
void *memset(void *to, int value, size_t length);
int memcmp(const void *left, const void *right, size_t length);

#endif
