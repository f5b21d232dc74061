/* The launch and its arguments as JSON: {"file", "kernel", "grid", "block", "shared", "arguments"}, and
 * "lazy" if that is true; an argument is a text as on the command line, or {"text", "dim"} where a file was read. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "user/priv.h"

static json_t *triple(const uint32_t v[3])
{
    return json_pack("[I, I, I]", (json_int_t)v[0], (json_int_t)v[1], (json_int_t)v[2]);
}

static json_t *argument(const char *text, const struct user_buffer *b)
{
    if (!b || !b->from_file)
        return json_string(text);
    json_t *dim = json_array();
    for (int i = 0; i < b->tensor.rank; i++)
        json_array_append_new(dim, json_integer((json_int_t)b->tensor.dim[i]));
    return json_pack("{s:s, s:o}", "text", text, "dim", dim);
}

/* The buffer that the argument made: buffers are in the order of the arguments, 8 bytes each. */
static bool is_number(const char *text)
{
    static const char *const kinds[] = {"i32:", "u32:", "i64:", "u64:", "f32:", "f64:"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strncmp(text, kinds[i], 4) == 0)
            return true;
    return false;
}

const char *user_save(struct arena *a, const char *file, const struct user_args *args,
                      const struct user_program *p)
{
    json_t *list = json_array();
    size_t next = 0;
    for (size_t i = 0; i < args->n; i++)
        json_array_append_new(
            list, argument(args->arg[i], is_number(args->arg[i]) ? NULL : &p->buffers[next++]));
    json_t *doc =
        json_pack("{s:s, s:s, s:o, s:o, s:I, s:o}", "file", file, "kernel",
                  ptx_kernel_name(p->kernel), "grid", triple(args->grid), "block",
                  triple(args->block), "shared", (json_int_t)args->shared, "arguments", list);
    if (args->lazy)
        json_object_set_new(doc, "lazy", json_true());
    char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
    const char *out = arena_strdup(a, text ? text : "{}");
    free(text);
    json_decref(doc);
    return out;
}

static bool read_triple(const json_t *from, uint32_t v[3])
{
    for (size_t i = 0; i < 3; i++) {
        json_int_t x = json_integer_value(json_array_get(from, i));
        if (x < 1 || x > UINT32_MAX)
            return false;
        v[i] = (uint32_t)x;
    }
    return json_array_size(from) == 3;
}

static bool read_argument(const json_t *from, struct arena *a, const char **text,
                          struct user_dims *dims)
{
    const json_t *dim = json_object_get(from, "dim");
    const char *s = json_string_value(json_is_string(from) ? from : json_object_get(from, "text"));
    if (!s || json_array_size(dim) > TENSOR_MAX_RANK)
        return false;
    *text = arena_strdup(a, s);
    dims->rank = (int)json_array_size(dim);
    for (int i = 0; i < dims->rank; i++) {
        json_int_t n = json_integer_value(json_array_get(dim, (size_t)i));
        if (n < 1)
            return false;
        dims->dim[i] = (size_t)n;
    }
    return true;
}

int user_load(struct user_args *out, struct user_saved *saved, const char **file, struct arena *a,
              const char *json, struct diag *d)
{
    json_t *doc = json_loads(json, 0, NULL);
    const json_t *list = json_object_get(doc, "arguments");
    const char *name = json_string_value(json_object_get(doc, "file"));
    const char *kernel = json_string_value(json_object_get(doc, "kernel"));
    json_int_t shared = json_integer_value(json_object_get(doc, "shared"));
    *out = (struct user_args){.n = json_array_size(list),
                              .shared = (uint32_t)shared,
                              .lazy = json_is_true(json_object_get(doc, "lazy"))};
    bool good = name && kernel && shared >= 0 && shared <= UINT32_MAX &&
                read_triple(json_object_get(doc, "grid"), out->grid) &&
                read_triple(json_object_get(doc, "block"), out->block);
    const char **args = arena_array(a, out->n + 1, sizeof *args);
    saved->dims = arena_array(a, out->n + 1, sizeof *saved->dims);
    for (size_t i = 0; good && i < out->n; i++)
        good = read_argument(json_array_get(list, i), a, &args[i], &saved->dims[i]);
    out->arg = args;
    if (good) {
        out->kernel = arena_strdup(a, kernel);
        *file = arena_strdup(a, name);
    }
    json_decref(doc);
    return good ? OK
                : diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                            "damaged store: the arguments of its kernel cannot be read");
}
