/* A layer of a network -> a convolution problem with real activations. */
#include <string.h>

#include "nn/nn.h"
#include "study/study.h"

static struct conv_problem problem_of(const struct nn_conv *c)
{
    return (struct conv_problem){
        .n = c->n,
        .c = c->c,
        .h = c->h,
        .w = c->w,
        .k = c->k,
        .r = c->r,
        .s = c->s,
        .pad_top = c->pad_top,
        .pad_bottom = c->pad_bottom,
        .pad_left = c->pad_left,
        .pad_right = c->pad_right,
        .stride_h = c->stride_h,
        .stride_w = c->stride_w,
        .dilation_h = c->dilation_h,
        .dilation_w = c->dilation_w,
        .groups = c->groups,
    };
}

int study_carry_layer(struct model *m, struct arena *a, const size_t chw[3],
                      const struct nn_conv *conv)
{
    const struct conv_problem p = conv ? problem_of(conv) : (struct conv_problem){0};
    return study_carry(m, a, chw, conv ? &p : NULL);
}

static const float *copy_floats(struct arena *a, const float *from, size_t n)
{
    float *to = arena_array(a, n, sizeof *to);
    return memcpy(to, from, n * sizeof *to);
}

static int check_image(const struct dataset *data, const struct nn *net, uint64_t image,
                       struct diag *d)
{
    struct tensor want;
    nn_input_dims(net, &want);
    if (image >= data->n)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "image %llu: %s has %zu images",
                         (unsigned long long)image, data->name, data->n);
    if (tensor_elems(&want) != data->c * data->h * data->w)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "the network reads %zu values, an image of %s has %zu x %zu x %zu",
                         tensor_elems(&want), data->name, data->c, data->h, data->w);
    return OK;
}

int study_layer(struct study_layer *out, struct arena *a, const char *network, const char *dataset,
                const char *layer, uint64_t image, struct diag *d)
{
    struct arena scratch = {0};
    struct nn *net = NULL;
    struct dataset data;
    size_t index;
    int rc = nn_load(&net, network, 1, d);
    if (rc == OK)
        rc = nn_find_conv(&index, net, layer, d);
    if (rc == OK)
        rc = dataset_load(&data, &scratch, dataset, (size_t)image + 1, d);
    if (rc == OK)
        rc = check_image(&data, net, image, d);
    if (rc == OK)
        rc = nn_run(net, data.images + image * data.c * data.h * data.w, NULL, d);
    if (rc == OK) {
        const struct nn_conv *c = nn_conv(net, index);
        struct conv_problem p = problem_of(c);
        size_t in = (size_t)p.n * (size_t)p.c * (size_t)p.h * (size_t)p.w;
        size_t weights = (size_t)p.k * (size_t)(p.c / p.groups) * (size_t)p.r * (size_t)p.s;
        *out = (struct study_layer){
            .name = arena_strdup(a, c->name),
            .problem = p,
            .input = copy_floats(a, nn_conv_input(net, index), in),
            .filter = copy_floats(a, c->filter, weights),
        };
    }
    nn_free(net);
    arena_fini(&scratch);
    return rc;
}
