/* LeNet-5 as committed: shape, layers, accuracy, and that running from a layer equals running all. */
#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "nn/priv.h"

static const char LENET[] = TEST_SOURCE_DIR "/examples/lenet5.onnx";

static struct nn *lenet(size_t batch)
{
    struct nn *net = NULL;
    struct diag d = {0};
    if (nn_load(&net, LENET, batch, &d) != OK)
        fail_msg("%s", d.msg);
    return net;
}

static void layers(void **state)
{
    (void)state;
    struct nn *net = lenet(1);
    struct tensor in, out;
    nn_input_dims(net, &in);
    nn_output_dims(net, &out);
    assert_int_equal(tensor_elems(&in), 784);
    assert_int_equal(tensor_elems(&out), 10);
    assert_int_equal(nn_n_convs(net), 2);
    const struct nn_conv *c = nn_conv(net, 1);
    assert_string_equal(c->name, "conv2");
    assert_int_equal(c->n * c->c * c->h * c->w, 6 * 14 * 14);
    assert_int_equal(c->k * c->r * c->s * c->groups, 16 * 5 * 5);
    assert_int_equal(nn_conv(net, 0)->pad_top, 2);
    assert_non_null(c->bias);
    size_t at;
    struct diag d = {0};
    assert_int_equal(nn_find_conv(&at, net, "conv2", &d), OK);
    assert_int_equal(at, 1);
    assert_int_equal(nn_find_conv(&at, net, "0", &d), OK);
    assert_int_equal(at, 0);
    assert_int_equal(nn_find_conv(&at, net, "2", &d), ERR_INPUT);
    assert_non_null(strstr(d.msg, "conv1, conv2"));
    nn_free(net);
}

static size_t argmax(const float *x)
{
    size_t best = 0;
    for (size_t k = 1; k < 10; k++)
        best = x[k] > x[best] ? k : best;
    return best;
}

static void accuracy(void **state)
{
    (void)state;
    struct nn *net = lenet(50);
    struct arena a = {0};
    struct dataset set;
    struct diag d = {0};
    assert_int_equal(dataset_load(&set, &a, "fashion-mnist", 0, &d), OK);
    assert_int_equal(set.n, 10000);
    assert_int_equal(set.c * set.h * set.w, 784);
    size_t right = 0;
    float out[50 * 10];
    for (size_t k = 0; k < set.n; k += 50) {
        assert_int_equal(nn_run(net, set.images + k * 784, out, &d), OK);
        for (size_t j = 0; j < 50; j++)
            right += argmax(out + 10 * j) == set.labels[k + j];
    }
    print_message("LeNet-5: %.2f %% of %zu test images\n", (double)right / 100, set.n);
    assert_true(right >= 8800);
    nn_free(net);
    arena_fini(&a);
}

/* Convolution 2 by its definition, in double, from what the net says of it. */
static void describes_what_it_computes(void **state)
{
    (void)state;
    struct nn *net = lenet(1);
    struct arena a = {0};
    struct dataset set;
    struct diag d = {0};
    assert_int_equal(dataset_load(&set, &a, "fashion-mnist", 1, &d), OK);
    assert_int_equal(nn_run(net, set.images, NULL, &d), OK);
    for (size_t i = 0; i < 2; i++) {
        const struct nn_conv *c = nn_conv(net, i);
        const float *x = nn_conv_input(net, i), *y = nn_layer_output(net, nn_conv_layer(net, i));
        int p = (c->h + c->pad_top + c->pad_bottom - c->r) + 1;
        for (int k = 0; k < c->k; k++)
            for (int oh = 0; oh < p; oh++)
                for (int ow = 0; ow < p; ow++) {
                    double sum = (double)c->bias[k];
                    for (int ch = 0; ch < c->c; ch++)
                        for (int r = 0; r < c->r; r++)
                            for (int s = 0; s < c->s; s++) {
                                int h = oh + r - c->pad_top, w = ow + s - c->pad_left;
                                if (h >= 0 && h < c->h && w >= 0 && w < c->w)
                                    sum +=
                                        (double)x[(ch * c->h + h) * c->w + w] *
                                        (double)c->filter[((k * c->c + ch) * c->r + r) * c->s + s];
                            }
                    assert_true(fabs(sum - (double)y[(k * p + oh) * p + ow]) < 1e-5);
                }
    }
    nn_free(net);
    arena_fini(&a);
}

static void running_from_a_layer(void **state)
{
    (void)state;
    struct nn *net = lenet(1);
    struct arena a = {0};
    struct dataset set;
    struct diag d = {0};
    float whole[10], part[10], data[6 * 28 * 28];
    assert_int_equal(dataset_load(&set, &a, "fashion-mnist", 1, &d), OK);
    assert_int_equal(nn_run(net, set.images, whole, &d), OK);
    for (size_t i = 0; i < 2; i++) {
        size_t n = i == 0 ? 6 * 28 * 28 : 16 * 10 * 10;
        memcpy(data, nn_layer_output(net, nn_conv_layer(net, i)), n * sizeof *data);
        assert_int_equal(nn_run_from(net, nn_conv_layer(net, i), data, part, &d), OK);
        assert_memory_equal(part, whole, sizeof whole);
        data[n / 2] = NAN;
        assert_int_equal(nn_run_from(net, nn_conv_layer(net, i), data, part, &d), OK);
        for (int k = 0; k < 10; k++)
            assert_true(isnan(part[k])); /* through ReLU, pools and products */
        assert_int_equal(nn_run(net, set.images, part, &d), OK);
        assert_memory_equal(part, whole, sizeof whole);
    }
    nn_free(net);
    arena_fini(&a);
}

/* The table of operators and the document that lists them. */
static void documented(void **state)
{
    (void)state;
    struct arena a = {0};
    struct text t;
    struct diag d = {0};
    assert_int_equal(file_read(&t, &a, TEST_SOURCE_DIR "/docs/NETWORKS.md", 1 << 20, &d), OK);
    for (size_t k = 0; k < nn_n_ops; k++) {
        size_t len = strlen(nn_ops[k].name);
        const char *p = t.ptr;
        while ((p = strstr(p, nn_ops[k].name)) &&
               (isalnum((unsigned char)p[len]) || isalnum((unsigned char)p[-1])))
            p++;
        if (!p)
            fail_msg("%s is not in docs/NETWORKS.md", nn_ops[k].name);
    }
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers),
        cmocka_unit_test(accuracy),
        cmocka_unit_test(describes_what_it_computes),
        cmocka_unit_test(running_from_a_layer),
        cmocka_unit_test(documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
