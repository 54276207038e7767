/* For programs that let memory run out: these take the place of malloc, calloc and realloc in the whole program and fail
 * where fm_fault_no_memory says so. Include it in the file with main. */
#ifndef FM_TESTS_NO_MEMORY_H
#define FM_TESTS_NO_MEMORY_H

#include <errno.h>
#include <stdlib.h>

#include "tests/support/faults.h"

#ifdef __SANITIZE_ADDRESS__
#define BELOW(name) __interceptor_##name
#else
#define BELOW(name) __libc_##name
#endif
void *BELOW(malloc)(size_t bytes);
void *BELOW(calloc)(size_t count, size_t bytes);
void *BELOW(realloc)(void *old, size_t bytes);

void *malloc(size_t bytes)
{
    if (fm_fault_no_memory())
        return NULL;
    return BELOW(malloc)(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    if (fm_fault_no_memory())
        return NULL;
    return BELOW(calloc)(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
    if (fm_fault_no_memory())
        return NULL;
    return BELOW(realloc)(old, bytes);
}

#endif
