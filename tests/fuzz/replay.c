/* Runs a fuzz target once over each file named, where there is no fuzzer: the committed seeds are a test like any other. */
#include "tests/fuzz/fuzz.h"

static void one(const char *path)
{
    struct fm_buf bytes;
    uint8_t chunk[65536];
    size_t got;
    FILE *file = fopen(path, "rb");
    FUZZ_CHECK(file != NULL);
    fm_buf_init(&bytes, 0);
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0)
        FUZZ_CHECK(fm_buf_add(&bytes, chunk, got) == 0);
    FUZZ_CHECK(!ferror(file) && fclose(file) == 0);
    uint8_t *exact = malloc(bytes.len + 1); /* so that a byte read past the end is seen */
    FUZZ_CHECK(exact != NULL);
    if (bytes.len > 0)
        memcpy(exact + 1, bytes.data, bytes.len);
    (void)LLVMFuzzerTestOneInput(exact + 1, bytes.len);
    free(exact);
    fm_buf_fini(&bytes);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        (void)fprintf(stderr, "%s\n", argv[i]); /* the last line names the one that fails */
        one(argv[i]);
    }
    return 0;
}
