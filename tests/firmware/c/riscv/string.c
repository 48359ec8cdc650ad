/* See string.h beside this file. */
/* Or the compiler makes calls of these functions out of their own loops. */
#pragma GCC optimize("no-tree-loop-distribute-patterns")

#include "string.h"

#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t length)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    if ((((uintptr_t)t | (uintptr_t)f) & 3) == 0)
        for (; length >= 4; length -= 4, t += 4, f += 4)
            *(uint32_t *)(void *)t = *(const uint32_t *)(const void *)f;
    while (length-- > 0)
        *t++ = *f++;
    return to;
}

void *memset(void *to, int value, size_t length)
{
    unsigned char *t = to;
    const uint32_t word = (unsigned char)value * 0x01010101u;
    for (; length > 0 && ((uintptr_t)t & 3) != 0; length--)
        *t++ = (unsigned char)value;
    for (; length >= 4; length -= 4, t += 4)
        *(uint32_t *)(void *)t = word;
    while (length-- > 0)
        *t++ = (unsigned char)value;
    return to;
}

int memcmp(const void *left, const void *right, size_t length)
{
    const unsigned char *l = left, *r = right;
    for (; length > 0; length--, l++, r++)
        if (*l != *r)
            return *l < *r ? -1 : 1;
    return 0;
}
