/* A characterisation as JSON, and the global report of the CLASSES classifier. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/classify.h"

json_t *classify_keys_json(const struct characterisation *c)
{
    json_t *o = json_object();
    for (int i = 0; i < c->n_keys; i++) {
        const struct char_param *k = &c->keys[i];
        json_object_set_new(o, k->name,
                            k->is_range ? json_pack("[f, f]", k->value[0], k->value[1])
                                        : json_integer((json_int_t)k->value[0]));
    }
    return o;
}

json_t *classify_stats_json(const struct characterisation *c)
{
    json_t *o = json_object();
    for (int i = 0; i < c->n_stats; i++)
        json_object_set_new(o, c->stats[i].name, json_integer((json_int_t)c->stats[i].value));
    return o;
}

json_t *classify_values_json(const struct characterisation *c)
{
    json_t *o = json_object();
    for (int v = 0; v < N_VALUES; v++)
        if (c->value_count[v])
            json_object_set_new(o, vocab_word(&vocab_values, v),
                                json_integer((json_int_t)c->value_count[v]));
    return o;
}

json_t *classify_domain_json(const struct characterisation *c)
{
    json_t *o = json_object();
    for (int i = 0; i < c->n_domain; i++) {
        bool quirk = c->options.compat && i == 1; /* the original's upper bound, an integer */
        json_object_set_new(o, vocab_word(&vocab_values, (int)c->domain[i]),
                            quirk ? json_pack("[f, i]", c->share[i][0], (int)c->share[i][1])
                                  : json_pack("[f, f]", c->share[i][0], c->share[i][1]));
    }
    if (c->n_domain == 0)
        json_object_set_new(o, "random", json_pack("[f, f]", 100.0, 100.0));
    return o;
}

void global_report_init(struct global_report *r)
{
    *r = (struct global_report){json_object(), json_object(), json_object(),
                                json_object(), json_object(), 0};
}

void global_report_fini(struct global_report *r)
{
    json_decref(r->by_sub_batch);
    json_decref(r->by_shape);
    json_decref(r->patterns);
    json_decref(r->cardinalities);
    json_decref(r->class_cardinalities);
}

static void count(json_t *o, const char *key)
{
    json_t *v = json_object_get(o, key);
    if (v)
        json_integer_set(v, json_integer_value(v) + 1);
    else
        json_object_set_new(o, key, json_integer(1));
}

void global_report_add(struct global_report *r, const struct verdict *v)
{
    char shape[96], cardinality[24], class[64];
    const char *word = vocab_word(&vocab_patterns, (int)v->c.pattern);
    snprintf(shape, sizeof shape, "(%zu, %zu, %zu, %zu)", v->dim[0], v->dim[1], v->dim[2],
             v->dim[3]);
    snprintf(cardinality, sizeof cardinality, "%zu", v->c.corrupted);
    snprintf(class, sizeof class, "%s", word);
    for (char *p = class; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    r->classified++;
    count(r->by_sub_batch, v->set->sub_batch);
    count(r->by_shape, shape);
    count(r->patterns, word);
    count(r->cardinalities, cardinality);
    if (!json_object_get(r->class_cardinalities, class))
        json_object_set_new(r->class_cardinalities, class, json_object());
    count(json_object_get(r->class_cardinalities, class), cardinality);
}

struct counted {
    const char *key;
    json_int_t n;
    size_t order;
};

static int most_first(const void *x, const void *y)
{
    const struct counted *a = x, *b = y;
    return a->n != b->n ? (a->n > b->n ? -1 : 1) : (a->order > b->order) - (a->order < b->order);
}

/* The same counts, largest first; equal ones in the order they had. */
static json_t *sorted(json_t *o)
{
    struct arena a = {0};
    const char *key;
    json_t *v, *out = json_object();
    size_t n = 0;
    struct counted *c = arena_array(&a, json_object_size(o), sizeof *c);
    json_object_foreach (o, key, v) {
        c[n] = (struct counted){key, json_integer_value(v), n};
        n++;
    }
    if (n)
        qsort(c, n, sizeof *c, most_first);
    for (size_t i = 0; i < n; i++)
        json_object_set_new(out, c[i].key, json_integer(c[i].n));
    arena_fini(&a);
    return out;
}

json_t *global_report_json(const struct global_report *r, const json_t *experiments)
{
    const char *key;
    json_t *v, *classes = json_object();
    json_int_t total = 0;
    json_object_foreach ((json_t *)experiments, key, v)
        total += json_integer_value(v);
    json_object_foreach (r->class_cardinalities, key, v)
        json_object_set_new(classes, key, sorted(v));
    return json_pack("{s:o, s:o, s:O, s:O, s:I, s:o, s:o, s:o}", "total_experiments",
                     experiments ? json_integer(total) : json_null(), "experiment_by_types",
                     experiments ? json_deep_copy(experiments) : json_null(),
                     "tensors_by_sub_batch", r->by_sub_batch, "tensors_by_shape", r->by_shape,
                     "classified_tensors", (json_int_t)r->classified, "spatial_classes",
                     sorted(r->patterns), "cardinalities", sorted(r->cardinalities),
                     "class_cardinalites", classes);
}
