/* arena, diag, file, tensor */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/tensor.h"

#define AT(name) TEST_BINARY_DIR "/" name

static void arena_memory_is_apart_aligned_and_zero(void **state)
{
    (void)state;
    enum { N = 2000 };
    struct arena a = {0};
    struct rng r;
    unsigned char *p[N];
    size_t size[N];
    rng_init(&r, 1, 1);
    for (int i = 0; i < N; i++) {
        size[i] = rng_below(&r, 50) ? rng_below(&r, 300) : rng_below(&r, 200000);
        p[i] = arena_alloc(&a, size[i]);
        assert_true((uintptr_t)p[i] % 64 == 0);
        for (size_t k = 0; k < size[i]; k++)
            assert_int_equal(p[i][k], 0);
        memset(p[i], i & 255, size[i]);
    }
    for (int i = 0; i < N; i++)
        for (size_t k = 0; k < size[i]; k++)
            assert_int_equal(p[i][k], i & 255);
    arena_fini(&a);
    assert_null(a.head);
    arena_fini(&a);
}

static void an_arena_is_reused_after_reset(void **state)
{
    (void)state;
    struct arena a = {0};
    arena_reset(&a);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 200; i++) {
            unsigned char *p = arena_alloc(&a, 1000);
            for (int k = 0; k < 1000; k++)
                assert_int_equal(p[k], 0);
            memset(p, 255, 1000);
        }
        memset(arena_alloc(&a, 300000), 255, 300000);
        arena_reset(&a);
    }
    void *first = arena_alloc(&a, 8);
    arena_reset(&a);
    assert_ptr_equal(arena_alloc(&a, 8), first);
    arena_fini(&a);
}

static void arena_refuses_what_overflows(void **state)
{
    (void)state;
    struct arena a = {0};
    assert_null(arena_array(&a, SIZE_MAX, 2));
    assert_null(arena_array(&a, SIZE_MAX / 4, 3));
    assert_null(arena_array(&a, (size_t)1 << 32, (size_t)1 << 32));
    assert_non_null(arena_array(&a, 0, 16));
    assert_string_equal(arena_printf(&a, "%s %d", "x", 7), "x 7");
    assert_string_equal(arena_strndup(&a, "abcdef", 3), "abc");
    char longer[5000];
    memset(longer, 'y', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    assert_string_equal(arena_printf(&a, "%s", longer), longer);
    arena_fini(&a);
}

static void the_first_failure_stays(void **state)
{
    (void)state;
    struct diag d = {0};
    assert_int_equal(diag_fail(&d, ERR_INPUT, (struct loc){"f.txt", 3, 4}, "wrong %d", 5),
                     ERR_INPUT);
    assert_int_equal(diag_fail(&d, ERR_IO, DIAG_NOWHERE, "later"), ERR_IO);
    assert_int_equal(d.code, ERR_INPUT);
    assert_string_equal(d.msg, "wrong 5");
    assert_string_equal(d.file, "f.txt");
    assert_true(d.line == 3 && d.col == 4);
    assert_int_equal(diag_fail(NULL, ERR_NOMEM, DIAG_NOWHERE, "nobody reads this"), ERR_NOMEM);
    char longer[2000];
    memset(longer, 'z', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    d = (struct diag){0};
    diag_fail(&d, ERR_INPUT, (struct loc){longer, 1, 1}, "%s", longer);
    assert_int_equal(strlen(d.msg), sizeof d.msg - 1);
    assert_int_equal(strlen(d.file), sizeof d.file - 1);
}

static void files_are_written_whole_or_not_at_all(void **state)
{
    (void)state;
    struct arena a = {0};
    struct diag d = {0};
    struct text t;
    struct stat st;
    assert_int_equal(file_write(AT("base_file"), "one\0two", 7, &d), OK);
    assert_int_equal(file_read(&t, &a, AT("base_file"), 7, &d), OK);
    assert_int_equal(t.len, 7);
    assert_memory_equal(t.ptr, "one\0two\0", 8);
    assert_string_equal(t.name, AT("base_file"));
    assert_int_equal(file_read(&t, &a, AT("base_file"), 6, &d),
                     ERR_INPUT); /* larger than accepted */
    d = (struct diag){0};
    assert_int_equal(file_write(AT("base_file"), "", 0, &d), OK);
    assert_int_equal(file_read(&t, &a, AT("base_file"), 6, &d), OK);
    assert_int_equal(t.len, 0);
    assert_int_equal(file_write(AT("no/such/folder/x"), "x", 1, &d), ERR_IO);
    assert_true(strstr(d.msg, "No such file") && strcmp(d.file, AT("no/such/folder/x")) == 0);
    d = (struct diag){0};
    assert_int_equal(file_read(&t, &a, AT("missing"), 6, &d), ERR_IO);
    d = (struct diag){0};
    assert_int_equal(file_read(&t, &a, TEST_BINARY_DIR, 6, &d), ERR_INPUT); /* a folder */
    /* a folder in the way: the new file cannot take its place, and leaves nothing beside it */
    d = (struct diag){0};
    assert_int_equal(file_mkdirs(AT("in_the_way/of/it"), &d), OK);
    assert_int_equal(file_mkdirs(AT("in_the_way/of/it"), &d), OK);
    assert_int_equal(file_write(AT("in_the_way"), "x", 1, &d), ERR_IO);
    char tmp[4096];
    snprintf(tmp, sizeof tmp, "%s.%ld.tmp", AT("in_the_way"), (long)getpid());
    assert_int_not_equal(stat(tmp, &st), 0);
    /* a device is written to and stays a device */
    d = (struct diag){0};
    assert_int_equal(file_write("/dev/null", "x", 1, &d), OK);
    assert_true(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode));
    unlink(AT("base_pipe"));
    assert_int_equal(mkfifo(AT("base_pipe"), 0600), 0);
    int end = open(AT("base_pipe"), O_RDONLY | O_NONBLOCK);
    char got[4] = "";
    assert_int_equal(file_write(AT("base_pipe"), "abc", 3, &d), OK);
    assert_int_equal(read(end, got, 4), 3);
    assert_memory_equal(got, "abc", 3);
    close(end);
    d = (struct diag){0};
    assert_int_equal(file_mkdirs(AT("base_file/below"), &d), ERR_IO);
    d = (struct diag){0};
    assert_int_equal(file_mkdirs(AT("base_file"), &d), ERR_IO);
    arena_fini(&a);
}

static void tensors_have_their_size_or_no_data(void **state)
{
    (void)state;
    struct arena a = {0};
    struct tensor t = tensor_4d(&a, 2, 3, 4, 5);
    assert_true(t.rank == 4 && tensor_elems(&t) == 120);
    for (int i = 0; i < 120; i++)
        assert_true(t.data[i] == 0);
    t = tensor_new(&a, 0, NULL);
    assert_true(tensor_elems(&t) == 1 && t.data);
    t = tensor_4d(&a, 0, 3, 4, 5);
    assert_int_equal(tensor_elems(&t), 0);
    t = tensor_4d(&a, (size_t)1 << 40, (size_t)1 << 40, 2, 2);
    assert_null(t.data);
    t = tensor_new(&a, 1, (size_t[]){SIZE_MAX / 2});
    assert_null(t.data);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_memory_is_apart_aligned_and_zero),
        cmocka_unit_test(an_arena_is_reused_after_reset),
        cmocka_unit_test(arena_refuses_what_overflows),
        cmocka_unit_test(the_first_failure_stays),
        cmocka_unit_test(files_are_written_whole_or_not_at_all),
        cmocka_unit_test(tensors_have_their_size_or_no_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
