/* NumPy writes .npy files of every kind that we read, with what should come out of each; and reads what
 * we write. Without NumPy: SKIP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/npy.h"

#define DIR TEST_BINARY_DIR "/npy_numpy"

static const char WRITE[] =
    "import numpy as np, os, itertools\n"
    "from numpy.lib import format as f\n"
    "os.makedirs('" DIR "', exist_ok=True); os.chdir('" DIR "')\n"
    "rng = np.random.default_rng(1); names = open('list', 'w')\n"
    "shapes = [(), (5,), (2, 3), (1, 3, 4, 5), (2, 1, 3, 2, 4), (0, 3), (2, 2, 2, 2, 2, 2, 2, 3)]\n"
    "for v, t, e, o, s in itertools.product((1, 2, 3), 'f2 f4 f8'.split(), '<>', 'CF', shapes):\n"
    "    a = rng.normal(scale=100, size=s)\n"
    "    if a.size > 4: a.flat[0], a.flat[1], a.flat[2] = np.inf, -0.0, 1e-7\n"
    "    a = np.array(a.astype(e + t), order=o)\n"
    "    name = f'{v}{t}{ord(e)}{o}{len(s)}'\n"
    "    with open(name + '.npy', 'wb') as to: f.write_array(to, a, version=(v, 0))\n"
    "    a.astype('<f4').tofile(name + '.raw'); names.write(name + '\\n')\n";

static const char CHECK[] =
    "import numpy as np\n"
    "for l in open('" DIR "/list').read().split():\n"
    "    a = np.load(f'" DIR "/{l}.npy').astype('<f4'); b = np.load(f'" DIR "/{l}.ours.npy')\n"
    "    assert a.shape == b.shape and b.dtype == '<f4', l\n"
    "    assert np.array_equal(a.ravel().view('u4'), b.ravel().view('u4')), l\n";

/* Runs a script with the first Python that has NumPy. -1: there is none. */
static int python(const char *script)
{
    static const char *const programs[] = {"python3", "/usr/bin/python3"};
    FILE *f = fopen(DIR ".py", "w");
    assert_non_null(f);
    fputs(script, f);
    fclose(f);
    for (int i = 0; i < 2; i++) {
        char command[4096];
        snprintf(command, sizeof command, "%s -c 'import numpy' 2>/dev/null", programs[i]);
        if (system(command) != 0)
            continue;
        snprintf(command, sizeof command, "%s '%s'", programs[i], DIR ".py");
        return system(command);
    }
    return -1;
}

static void numpy_and_we_agree(void **state)
{
    (void)state;
    char name[64], path[512];
    int files = 0;
    FILE *list = fopen(DIR "/list", "r");
    assert_non_null(list);
    while (fscanf(list, "%63s", name) == 1) {
        struct arena a = {0};
        struct diag d = {0};
        struct tensor t;
        struct text raw;
        snprintf(path, sizeof path, "%s/%s.npy", DIR, name);
        if (npy_read(&t, &a, path, &d) != OK)
            fail_msg("%s: %s", path, d.msg);
        snprintf(path, sizeof path, "%s/%s.raw", DIR, name);
        assert_int_equal(file_read(&raw, &a, path, 1 << 20, &d), OK);
        assert_int_equal(raw.len, 4 * tensor_elems(&t));
        assert_memory_equal(raw.ptr, t.data, raw.len);
        snprintf(path, sizeof path, "%s/%s.ours.npy", DIR, name);
        assert_int_equal(npy_write(path, &t, &d), OK);
        arena_fini(&a);
        files++;
    }
    fclose(list);
    assert_int_equal(python(CHECK), 0);
    print_message("%d files of NumPy read bit for bit, and ours by NumPy\n", files);
    assert_true(files > 200);
}

int main(void)
{
    int written = python(WRITE);
    if (written == -1) {
        puts("SKIP: no Python with NumPy (Debian: python3-numpy)");
        return 77;
    }
    if (written != 0)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(numpy_and_we_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
