/* The reader of study files gets files cut at every byte, damaged ones and ones that are no mapping: it
 * reads them or says what is wrong, and never crashes. SIEVERT_SEED repeats a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/rng.h"
#include "study/config.h"

static const char EXAMPLE[] = TEST_SOURCE_DIR "/examples/lenet5.yaml";
static char path[] = TEST_BINARY_DIR "/hostile-XXXXXX";

/* Load these bytes: 0 or an error with a message and the file's name. */
static int load(const char *bytes, size_t n)
{
    struct diag d = {0};
    struct arena a = {0};
    struct study_config c;
    assert_int_equal(file_write(path, bytes, n, &d), OK);
    int rc = config_load(&c, &a, path, &d);
    if (rc != OK) {
        assert_int_equal(d.code, rc);
        assert_string_equal(d.file, path);
        assert_true(d.msg[0]);
    } else {
        assert_true(c.implementations_count > 0 && c.network && c.title);
    }
    arena_fini(&a);
    return rc;
}

static void not_a_study(void **state)
{
    static const char *const texts[] = {
        "",
        "\n",
        "---\n",
        "--- ~\n",
        "null",
        "# a comment\n",
        "42",
        "[1, 2]",
        "\"",
        "{",
        "- - - -",
        "network: a\nlayers: []\nimplementations: []\n",
        "network: [a]\n",
        "a: &a [*a]\n",
        "network: a\nlayers: [b, c, b]\nimplementations: [d]\n",
        "network: a\nlayers: [b]\nimplementations: [d, d]\n",
        "network: a\nlayers: [b]\nimplementations: [d]\ninjections: 18446744073709551615\n",
        "network: a\nlayers: [b]\nimplementations: [d]\nepsilon: .nan\n",
        "%YAML 9.9\n---\n",
        "network: a\nlayers: 3\nimplementations: x\n",
        "...\n",
        "--- {}\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (load(texts[i], strlen(texts[i])) == OK)
            fail_msg("taken for a study: '%s'", texts[i]);
}

static void damaged(void **state)
{
    const char *seed = getenv("SIEVERT_SEED");
    struct rng r;
    struct text text;
    struct diag d = {0};
    struct arena a = {0};
    (void)state;
    rng_init(&r, seed ? strtoull(seed, NULL, 0) : 1, 0);
    print_message("SIEVERT_SEED=%llu\n", (unsigned long long)r.seed);
    assert_int_equal(file_read(&text, &a, EXAMPLE, 1 << 20, &d), OK);
    assert_int_equal(load(text.ptr, text.len), OK);
    for (size_t n = 0; n < text.len; n++)
        load(text.ptr, n);
    char *copy = arena_alloc(&a, text.len);
    for (int i = 0; i < 2000; i++) {
        memcpy(copy, text.ptr, text.len);
        for (uint64_t n = 1 + rng_below(&r, 4); n > 0; n--)
            copy[rng_below(&r, text.len)] =
                rng_below(&r, 2) ? (char)rng_u32(&r) : "\n:-[]{}&*!|>'\"%@~ 09"[rng_below(&r, 20)];
        load(copy, text.len);
    }
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(not_a_study),
        cmocka_unit_test(damaged),
    };
    close(mkstemp(path));
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return rc;
}
