/* Preloaded: the n-th malloc, calloc or realloc that the program itself calls (not its libraries) has no memory.
 *   FAIL_AT=n       which one; 0 or absent: none
 *   FAIL_SAID=file  "failed" is written there when it happened */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);

static uintptr_t low, high;
static long fail_at, calls;

static int first_object(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size, (void)unused;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X) != 0) {
            low = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            high = low + info->dlpi_phdr[i].p_memsz;
        }
    return 1; /* the program comes first */
}

__attribute__((constructor)) static void start(void)
{
    const char *at = getenv("FAIL_AT");
    fail_at = at != NULL ? strtol(at, NULL, 10) : 0;
    dl_iterate_phdr(first_object, NULL);
}

static bool fails(void *caller)
{
    if ((uintptr_t)caller < low || (uintptr_t)caller >= high || ++calls != fail_at)
        return false;
    const char *file = getenv("FAIL_SAID");
    int fd = file != NULL ? open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd >= 0 && (write(fd, "failed\n", 7) != 7 || close(fd) != 0))
        _exit(99);
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}
