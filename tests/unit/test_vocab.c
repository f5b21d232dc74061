#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "vocab/vocab.h"

static const struct vocab *const all[] = {
    &vocab_groups,   &vocab_roles,  &vocab_wheres,  &vocab_moments,  &vocab_flips,
    &vocab_scopes,   &vocab_fates,  &vocab_events,  &vocab_outcomes, &vocab_traps,
    &vocab_patterns, &vocab_values, &vocab_effects, &vocab_engines,  &vocab_layouts};

static void every_word_is_found_and_only_once(void **state)
{
    (void)state;
    for (size_t v = 0; v < sizeof all / sizeof *all; v++)
        for (size_t i = 0; i < all[v]->n; i++) {
            int found = -1;
            struct diag d = {0};
            const char *word = vocab_word(all[v], (int)i);
            assert_int_equal(vocab_find(all[v], word, &found, &d), OK);
            assert_int_equal(found, (int)i);
            assert_true(strlen(word) > 0 && strlen(all[v]->words[i].help) > 0);
        }
}

static void unknown_words_are_refused_with_the_nearest(void **state)
{
    (void)state;
    int found = 7;
    struct diag d = {0};
    assert_int_equal(vocab_find(&vocab_flips, "single-bitt", &found, &d), ERR_INPUT);
    assert_int_equal(found, 7);
    assert_non_null(strstr(d.msg, "did you mean 'single-bit'?"));
    assert_non_null(strstr(d.msg, "zero-value"));
    d = (struct diag){0};
    assert_int_equal(vocab_find(&vocab_flips, "xyzzy", &found, &d), ERR_INPUT);
    assert_null(strstr(d.msg, "did you mean"));
    d = (struct diag){0};
    char longer[1000];
    memset(longer, 'q', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    assert_int_equal(vocab_find(&vocab_patterns, longer, &found, &d), ERR_INPUT);
    assert_int_equal(vocab_find(&vocab_patterns, "", &found, NULL), ERR_INPUT);
    assert_string_equal(vocab_word(&vocab_flips, -1), "?");
    assert_string_equal(vocab_word(&vocab_flips, N_FLIPS), "?");
}

static void the_nearest_word_is_near(void **state)
{
    (void)state;
    const char *words[] = {"inject", "infer", "report"};
    assert_string_equal(vocab_nearest("injct", words, 3), "inject");
    assert_string_equal(vocab_nearest("reprot", words, 3), "report");
    assert_null(vocab_nearest("frobnicate", words, 3));
    assert_null(vocab_nearest("inject", words, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_word_is_found_and_only_once),
        cmocka_unit_test(unknown_words_are_refused_with_the_nearest),
        cmocka_unit_test(the_nearest_word_is_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
