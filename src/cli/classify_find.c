/* Folders -> the list of tensors to compare. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/classify.h"

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* What the original takes for a tensor: "npy" after the first dot. */
static bool is_tensor_name(const char *name)
{
    const char *dot = strchr(name, '.');
    return dot && strncmp(dot + 1, "npy", 3) == 0 && (dot[4] == 0 || dot[4] == '.');
}

static int by_name(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

struct names {
    size_t n, room;
    const char **name;
};

static void add_name(struct names *to, struct arena *a, const char *name)
{
    if (to->n == to->room) {
        size_t room = to->room ? 2 * to->room : 64;
        const char **grown = arena_array(a, room, sizeof *grown);
        if (to->n)
            memcpy(grown, to->name, to->n * sizeof *grown);
        to->name = grown;
        to->room = room;
    }
    to->name[to->n++] = arena_strdup(a, name);
}

/* Names in a folder, sorted, of folders or of tensors. */
static int list(struct names *out, struct arena *a, const char *folder, bool folders,
                struct diag *d)
{
    *out = (struct names){0};
    DIR *dir = opendir(folder);
    if (!dir)
        return diag_fail(d, ERR_IO, (struct loc){.file = folder}, "cannot read the folder");
    for (struct dirent *e; (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        struct arena scratch = {0};
        bool folder_here = is_folder(arena_printf(&scratch, "%s/%s", folder, e->d_name));
        arena_fini(&scratch);
        if (folders ? folder_here : !folder_here && is_tensor_name(e->d_name))
            add_name(out, a, e->d_name);
    }
    closedir(dir);
    if (out->n)
        qsort(out->name, out->n, sizeof *out->name, by_name);
    return OK;
}

static struct faulty_set *add_set(struct classify_work *w, struct arena *a)
{
    if (w->n == w->room) {
        size_t room = w->room ? 2 * w->room : 16;
        struct faulty_set *grown = arena_array(a, room, sizeof *grown);
        if (w->n)
            memcpy(grown, w->sets, w->n * sizeof *grown);
        w->sets = grown;
        w->room = room;
    }
    return &w->sets[w->n++];
}

static int add_folder(struct classify_work *w, struct arena *a, const char *folder,
                      struct faulty_set like, struct diag *d)
{
    struct names files;
    int rc = list(&files, a, folder, false, d);
    if (rc != OK || files.n == 0)
        return rc;
    for (size_t i = 0; i < files.n; i++)
        files.name[i] = arena_printf(a, "%s/%s", folder, files.name[i]);
    like.n = files.n;
    like.files = files.name;
    *add_set(w, a) = like;
    w->n_files += files.n;
    return OK;
}

int classify_find_plain(struct classify_work *out, struct arena *a, char *const *operands, int n,
                        struct diag *d)
{
    *out = (struct classify_work){0};
    struct faulty_set like = {.golden = operands[0], .batch = "", .sub_batch = ""};
    struct names files = {0};
    for (int i = 1; i < n; i++) {
        if (!is_folder(operands[i])) {
            add_name(&files, a, operands[i]);
            continue;
        }
        struct faulty_set in_folder = like;
        in_folder.sub_batch = operands[i];
        int rc = add_folder(out, a, operands[i], in_folder, d);
        if (rc != OK)
            return rc;
    }
    if (files.n) {
        like.n = files.n;
        like.files = files.name;
        *add_set(out, a) = like;
        out->n_files += files.n;
    }
    return OK;
}

/* Adds a batch's injection-counts.json to the totals; false if there is none that can be read. */
static bool add_experiments(json_t *to, const char *folder)
{
    struct arena a = {0};
    const char *type;
    json_t *v, *o = json_load_file(arena_printf(&a, "%s/injection-counts.json", folder), 0, NULL);
    bool found = json_is_object(o);
    json_object_foreach (o, type, v)
        json_object_set_new(
            to, type,
            json_integer(json_integer_value(json_object_get(to, type)) + json_integer_value(v)));
    json_decref(o);
    arena_fini(&a);
    return found;
}

struct batch {
    const char *name, *golden, *faulty;
    size_t order, first, n_sets, n_files;
};

/* Most tensors first. */
static int by_files(const void *x, const void *y)
{
    const struct batch *a = x, *b = y;
    if (a->n_files != b->n_files)
        return a->n_files > b->n_files ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

static int find_batch(struct classify_work *found, struct arena *a, struct batch *b, struct diag *d)
{
    struct names subs;
    int rc = list(&subs, a, b->faulty, true, d);
    b->first = found->n;
    size_t before = found->n_files;
    for (size_t i = 0; i < subs.n && rc == OK; i++) {
        struct faulty_set like = {.golden = b->golden, .batch = b->name, .sub_batch = subs.name[i]};
        rc = add_folder(found, a, arena_printf(a, "%s/%s", b->faulty, subs.name[i]), like, d);
    }
    b->n_sets = found->n - b->first;
    b->n_files = found->n_files - before;
    return rc;
}

int classify_find_tree(struct classify_work *out, struct arena *a, const char *root,
                       const char *golden, const char *faulty, struct diag *d)
{
    struct names names;
    struct classify_work found = {0};
    *out = (struct classify_work){0};
    int rc = list(&names, a, root, true, d);
    if (rc != OK)
        return rc;
    struct batch *batches = arena_array(a, names.n, sizeof *batches);
    json_t *experiments = json_object();
    bool all_counted = true;
    size_t n = 0, n_counted = 0;
    for (size_t i = 0; i < names.n && rc == OK; i++) {
        struct batch *b = &batches[n];
        if (names.name[i][0] == '_')
            continue;
        *b = (struct batch){names.name[i],
                            arena_printf(a, "%s/%s/%s", root, names.name[i], golden),
                            arena_printf(a, "%s/%s/%s", root, names.name[i], faulty),
                            i,
                            0,
                            0,
                            0};
        struct stat st;
        const bool has_golden = stat(b->golden, &st) == 0;
        if (!has_golden || !is_folder(b->faulty))
            fprintf(stderr, "sievert: batch %s skipped: no %s\n", b->name,
                    is_folder(b->faulty) ? golden : faulty);
        if (!is_folder(b->faulty))
            continue;
        rc = find_batch(&found, a, b,
                        d); /* without a golden tensor: each file will be named and counted */
        all_counted &= !has_golden || add_experiments(experiments, b->faulty);
        n_counted += has_golden;
        n++;
    }
    qsort(batches, n, sizeof *batches, by_files);
    for (size_t i = 0; i < n && rc == OK; i++)
        for (size_t k = 0; k < batches[i].n_sets; k++)
            *add_set(out, a) = found.sets[batches[i].first + k]; // NOLINT: there are n_sets of them
    out->n_files = found.n_files;
    if (all_counted && n_counted > 0)
        out->experiments = json_incref(experiments);
    json_decref(experiments);
    return rc;
}
