/* Where each input comes in, from the fuzzer or from replay.c. What the target holds at most while it reads the input is
 * counted by the sanitizer's hooks around malloc and free, and must stay within the target's own bound. */
#include "tests/fuzz/fuzz.h"

/* Of the sanitizers' runtime; gcc has no header for them. */
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *));
int __sanitizer_get_ownership(const volatile void *at);
size_t __sanitizer_get_allocated_size(const volatile void *at);

static _Thread_local bool counting; /* one thread's: libzmq has others */
static int64_t held, most;

/* Closest to the bound so far, told at the end. */
static int64_t top;
static size_t top_size;

static void on_malloc(const volatile void *at, size_t size)
{
    (void)at;
    if (!counting)
        return;
    held += (int64_t)size;
    most = held > most ? held : most;
}

static void on_free(const volatile void *at)
{
    if (counting && at != NULL && __sanitizer_get_ownership(at))
        held -= (int64_t)__sanitizer_get_allocated_size(at);
}

void fuzz_memory_pause(bool pause)
{
    counting = !pause;
}

static void tell(void)
{
    (void)fprintf(stderr, "memory: at most %lld bytes for an input of %zu; bound %zu a byte and %zu\n", (long long)top,
                  top_size, fuzz_bound.per_byte, fuzz_bound.at_least);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    if (!ready) {
        ready = true;
        FUZZ_CHECK(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) != 0 && atexit(tell) == 0);
    }
    held = most = 0;
    counting = true;
    int rc = fuzz_one(data, size);
    counting = false;
    int64_t share = (int64_t)(fuzz_bound.per_byte * size);
    if (most > top + share - (int64_t)(fuzz_bound.per_byte * top_size)) {
        top = most;
        top_size = size;
    }
    if (most > (int64_t)fuzz_bound.at_least + share) {
        (void)fprintf(stderr, "not so: memory within its bound: %lld bytes for an input of %zu\n", (long long)most, size);
        abort();
    }
    return rc;
}
