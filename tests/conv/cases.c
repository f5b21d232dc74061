#include "cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

#define SHAPE(shape, why) {shape, why},
static const struct conv_case cases[] = {
#include "grid.def"
};

const struct conv_case *conv_cases(size_t *n)
{
    *n = sizeof cases / sizeof *cases;
    return cases;
}

static float *random_values(struct arena *a, size_t n, struct rng *r)
{
    float *v = arena_array(a, n, sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i] = (float)(2 * rng_unit(r) - 1);
    return v;
}

void conv_data_init(struct conv_data *data, const struct conv_problem *p, uint64_t seed)
{
    struct rng r;
    *data = (struct conv_data){.problem = *p};
    rng_init(&r, seed, 0);
    data->n_in = (size_t)p->n * (size_t)p->c * (size_t)(p->h * p->w);
    data->n_filter = (size_t)p->k * (size_t)(p->c / p->groups) * (size_t)(p->r * p->s);
    data->n_out = (size_t)p->n * (size_t)p->k * (size_t)(conv_out_h(p) * conv_out_w(p));
    data->in = random_values(&data->arena, data->n_in, &r);
    data->filter = random_values(&data->arena, data->n_filter, &r);
    data->out = arena_array(&data->arena, data->n_out, sizeof(float));
    data->expected = arena_array(&data->arena, data->n_out, sizeof(double));
    conv_naive(p, data->in, data->filter, data->expected);
}

void conv_data_of(struct conv_data *data, const char *shape, uint64_t seed)
{
    struct conv_problem p;
    struct diag d = {0};
    if (conv_parse_shape(&p, shape, &d) != OK) {
        fprintf(stderr, "%s\n", d.msg);
        abort();
    }
    conv_data_init(data, &p, seed);
}

void conv_data_fini(struct conv_data *data) { arena_fini(&data->arena); }

static double relative(double difference, double norm)
{
    const double error = sqrt(norm > 0 ? difference / norm : difference);
    return isnan(error) ? INFINITY : error;
}

double conv_data_error(const struct conv_data *data)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < data->n_out; i++) {
        const double e = (double)data->out[i] - data->expected[i];
        difference += e * e;
        norm += data->expected[i] * data->expected[i];
    }
    return relative(difference, norm);
}

double conv_error(const float *out, const float *expected, size_t n)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        const double e = (double)out[i] - (double)expected[i];
        difference += e * e;
        norm += (double)expected[i] * (double)expected[i];
    }
    return relative(difference, norm);
}

static int between(struct rng *r, int least, int most)
{
    return least + (int)rng_below(r, (uint64_t)(most - least + 1));
}

void conv_random_problem(struct conv_problem *out, struct rng *r)
{
    for (;;) {
        const bool plain = rng_below(r, 2); /* within the limits of Winograd and FFT */
        const uint64_t special = rng_below(r, 6);
        const bool pointwise = special == 0, depthwise = special == 1;
        const int filter = (int)rng_below(r, 2) ? 3 : 5, pad = pointwise ? 0 : 2;
        const int groups = depthwise ? between(r, 1, 12) : rng_below(r, 3) ? 1 : between(r, 2, 4);
        struct conv_problem p = {
            .n = rng_below(r, 8) ? between(r, 1, 3) : 8,
            .c = groups * (depthwise ? 1 : between(r, 1, 12)),
            .h = between(r, 1, 20),
            .w = between(r, 1, 20),
            .k = groups * between(r, 1, 20),
            .r = pointwise ? 1
                 : plain   ? filter
                           : between(r, 1, 11),
            .s = pointwise ? 1
                 : plain   ? filter
                           : between(r, 1, 11),
            .pad_top = between(r, 0, pad),
            .pad_bottom = between(r, 0, pad),
            .pad_left = between(r, 0, pad),
            .pad_right = between(r, 0, pad),
            .stride_h = plain ? 1 : between(r, 1, 3),
            .stride_w = plain ? 1 : between(r, 1, 3),
            .dilation_h = plain ? 1 : between(r, 1, 2),
            .dilation_w = plain ? 1 : between(r, 1, 2),
            .groups = groups,
        };
        if (conv_check(&p, NULL) == OK) {
            *out = p;
            return;
        }
    }
}

void conv_simulate(struct simt *simt, const struct conv_program *p, float *out)
{
    const struct simt_program *sim = &p->sim;
    for (size_t i = 0; i < sim->n_launches; i++) {
        const struct simt_launch *l = &sim->launches[i];
        const struct simt_run_options plain = {0};
        struct simt_result result;
        simt_run(simt, sim->mem, l, 0, simt_n_ctas(l), &plain, &result);
        if (result.trap.kind == TRAP_NONE)
            continue;
        fprintf(stderr, "%s: launch %s: trap %s in line %d\n", p->impl->name, l->label,
                vocab_word(&vocab_traps, (int)result.trap.kind), result.trap.at.line);
        abort();
    }
    const struct simt_mem_view view = simt_mem_view(sim->mem);
    const void *raw = view.data + (sim->out_address - view.base);
    conv_out_to_nchw(&p->problem, out, raw);
}

void conv_for_tiles(const struct conv_impl *impl, int turn, void (*f)(const char *tile, void *ctx),
                    void *ctx)
{
    f("", ctx);
    int n = 0;
    char names[512], *rest = names, *tile[32];
    snprintf(names, sizeof names, "%s", impl->tiles);
    while (*impl->tiles && n < 32 && (tile[n] = strsep(&rest, ",")) != NULL)
        n++;
    for (int i = 0; i < n; i++)
        if (turn == EVERY_TILE || i == turn % n)
            f(tile[i], ctx);
}
