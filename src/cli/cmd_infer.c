/* infer: fault-free inferences. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/npy.h"
#include "cli/cli.h"
#include "nn/nn.h"

struct infer_args {
    const char *onnx, *input, *output, *data, *expect;
    uint64_t images;
    double tolerance;
};

static void defaults(void *args) { ((struct infer_args *)args)->tolerance = 1e-4; }

const struct cli_command cmd_infer = {
    .name = "infer",
    .summary = "run a network without faults, on a tensor or on a data set",
    .operands = "",
    .examples = "  sievert infer --onnx examples/lenet5.onnx --data fashion-mnist   its accuracy\n"
                "  sievert infer --onnx net.onnx --input x.npy -o y.npy\n",
    .options =
        (const struct cli_option[]){
            {"onnx", 0, OPT_STRING, "NET.onnx", "the network", offsetof(struct infer_args, onnx)},
            {"input", 0, OPT_STRING, "X.npy", "its input (.npy, or ONNX's .pb)",
             offsetof(struct infer_args, input)},
            {"output", 'o', OPT_STRING, "Y.npy", "where its output goes",
             offsetof(struct infer_args, output)},
            {"expect", 0, OPT_STRING, "Y.npy", "fail unless the output is this, within --tolerance",
             offsetof(struct infer_args, expect)},
            {"tolerance", 0, OPT_DOUBLE, "E", "absolute plus relative (1e-4)",
             offsetof(struct infer_args, tolerance)},
            {"data", 0, OPT_STRING, "SET", "instead of --input: a data set, for the accuracy",
             offsetof(struct infer_args, data)},
            {"images", 0, OPT_COUNT, "N", "the first N images only",
             offsetof(struct infer_args, images)},
            CLI_OPTION_END},
    .args_bytes = sizeof(struct infer_args),
    .defaults = defaults,
};

static size_t argmax(const float *v, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (v[i] > v[best])
            best = i;
    return best;
}

static int compare(const char *path, const struct tensor *y, double tolerance, struct arena *a,
                   struct diag *d)
{
    struct tensor want;
    int rc = nn_read_tensor(&want, a, path, d);
    if (rc != OK)
        return rc;
    if (tensor_elems(&want) != tensor_elems(y))
        return diag_fail(d, ERR_INPUT, (struct loc){.file = path}, "%zu values; the output has %zu",
                         tensor_elems(&want), tensor_elems(y));
    for (size_t i = 0; i < tensor_elems(y); i++) {
        double a1 = (double)y->data[i], b = (double)want.data[i];
        if (!(fabs(a1 - b) <= tolerance + tolerance * fabs(b)) && !(isnan(a1) && isnan(b)) &&
            a1 != b)
            return diag_fail(d, ERR_INPUT, (struct loc){.file = path},
                             "value %zu: expected %.9g, the network gave %.9g", i, b, a1);
    }
    return OK;
}

static int infer_tensor(struct cli *cli, struct infer_args *o)
{
    struct tensor x, want, y;
    struct nn *net = NULL;
    int rc = nn_read_tensor(&x, &cli->arena, o->input, &cli->diag);
    if (rc != OK)
        return rc;
    rc = nn_load(&net, o->onnx, x.rank > 0 ? x.dim[0] : 1, &cli->diag);
    if (rc != OK)
        return rc;
    nn_input_dims(net, &want);
    nn_output_dims(net, &y);
    y = tensor_new(&cli->arena, y.rank, y.dim);
    if (tensor_elems(&x) != tensor_elems(&want))
        rc = diag_fail(&cli->diag, ERR_INPUT, (struct loc){.file = o->input},
                       "%zu values; the network's input '%s' has %zu", tensor_elems(&x),
                       nn_input_name(net), tensor_elems(&want));
    if (rc == OK)
        rc = nn_run(net, x.data, y.data, &cli->diag);
    if (rc == OK && o->output)
        rc = npy_write(o->output, &y, &cli->diag);
    if (rc == OK && o->expect)
        rc = compare(o->expect, &y, o->tolerance, &cli->arena, &cli->diag);
    if (rc == OK) {
        json_t *doc = json_array();
        for (size_t i = 0; i < tensor_elems(&y); i++)
            json_array_append_new(doc,
                                  isfinite(y.data[i]) ? json_real((double)y.data[i]) : json_null());
        if (cli->json)
            cli_print_json(json_incref(doc));
        else if (!o->output && !o->expect)
            for (size_t i = 0; i < tensor_elems(&y); i++)
                printf("%.9g\n", (double)y.data[i]);
        json_decref(doc);
    }
    nn_free(net);
    return rc;
}

static int infer_dataset(struct cli *cli, struct infer_args *o)
{
    struct dataset data;
    struct tensor in, out;
    struct nn *net = NULL;
    int rc = dataset_load(&data, &cli->arena, o->data, o->images, &cli->diag);
    if (rc == OK)
        rc = nn_load(&net, o->onnx, 1, &cli->diag);
    if (rc != OK)
        return rc;
    nn_input_dims(net, &in);
    nn_output_dims(net, &out);
    size_t pixels = data.c * data.h * data.w, classes = tensor_elems(&out), right = 0;
    size_t labelled = 0;
    float *scores = arena_array(&cli->arena, classes, sizeof *scores);
    if (tensor_elems(&in) != pixels)
        rc = diag_fail(&cli->diag, ERR_INPUT, (struct loc){.file = o->onnx},
                       "the network reads %zu values, an image of %s has %zu", tensor_elems(&in),
                       data.name, pixels);
    double begin = clock_seconds();
    for (size_t i = 0; rc == OK && i < data.n; i++) {
        rc = nn_run(net, data.images + i * pixels, scores, &cli->diag);
        right += argmax(scores, classes) == data.labels[i];
        labelled += data.labels[i] != DATASET_NO_LABEL;
    }
    double seconds = clock_seconds() - begin;
    nn_free(net);
    if (rc != OK)
        return rc;
    if (labelled == 0)
        return diag_fail(&cli->diag, ERR_INPUT, (struct loc){.file = o->data},
                         "its images have no labels: no accuracy can be given");
    double accuracy = (double)right / (double)labelled;
    if (cli->json)
        cli_print_json(json_pack("{s:I, s:I, s:f, s:f}", "images", (json_int_t)data.n, "right",
                                 (json_int_t)right, "accuracy", accuracy, "seconds", seconds));
    else
        printf("%zu of %zu images right: %.2f %% (%.0f images/s)\n", right, data.n, 100 * accuracy,
               (double)data.n / seconds);
    return OK;
}

int run_infer(struct cli *cli, void *args)
{
    struct infer_args *o = args;
    if (!o->onnx || !o->input == !o->data)
        return diag_fail(&cli->diag, ERR_INPUT, DIAG_NOWHERE,
                         "give --onnx NET.onnx and either --input X.npy or --data SET");
    return o->input ? infer_tensor(cli, o) : infer_dataset(cli, o);
}
