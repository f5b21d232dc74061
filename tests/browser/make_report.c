/* A synthetic study of two layers and three implementations, as report.html and report.json in the
 * folder given: what the browser test looks at. Names try to break out of the page. */
#include "../report_fixture.h"
#include "report/report.h"

/* PTX line n comes from line 100 + n of a made-up kernel. */
static const char *ptx(void *text, const struct store_campaign *c, size_t launch)
{
    (void)c, (void)launch;
    return text;
}
static const char *source(void *ctx, const char *name)
{
    static char text[8192];
    size_t used = 0;
    (void)ctx, (void)name;
    for (int i = 1; i < 130; i++)
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 i % 4 ? "    sum = fma(a[%d], b[%d], sum);\n" : "/* <%d> & %d */\n", i,
                                 i);
    return text;
}
static char *make_ptx(void)
{
    static char text[8192];
    size_t used = (size_t)snprintf(text, sizeof text, ".file 1 \"demo/kernel.cl\"\n");
    for (int i = 2; i < 30; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, ".loc 1 %d 0\n", 100 + i);
    return text;
}

int main(int argc, char **argv)
{
    enum { LAYERS = 2, IMPLS = 3, N = 1000 };
    static const char *const layer[LAYERS] = {"conv1", "conv2"};
    static const char *const impl[IMPLS] = {"direct", "implicit-gemm", "winograd-2x2-nonfused"};
    static const unsigned sdc[IMPLS] = {310, 420, 450}, critical[IMPLS] = {50, 60, 160};
    static const uint64_t insns[IMPLS] = {9400000, 5200000, 3900000},
                          workspace[IMPLS] = {0, 0, 412672};
    static struct fix_row row[N];
    static char path[LAYERS * IMPLS][3][400];
    struct report_cell cells[LAYERS * IMPLS];
    const char *dir = argc == 2 ? argv[1] : ".";
    MUST(file_mkdirs(dir, d));
    for (size_t i = 0; i < LAYERS * IMPLS; i++) {
        size_t l = i / IMPLS, k = i % IMPLS;
        snprintf(path[i][0], 400, "%s/%s-%s.db", dir, layer[l], impl[k]);
        snprintf(path[i][1], 400, "%s/%s-%s-direct.db", dir, layer[l], impl[k]);
        snprintf(path[i][2], 400, "%s/%s-%s-model.db", dir, layer[l], impl[k]);
        fix_random_rows(row, N, i, sdc[k], 60 + 10 * (unsigned)l);
        fix_campaign(path[i][0], layer[l], impl[k], row, N, insns[k] * (l + 1) / 2,
                     insns[k] * (l + 1), workspace[k]);
        fix_random_trials(path[i][1], path[i][2], layer[l], impl[k], row, N, i, critical[k]);
        cells[i] = (struct report_cell){layer[l], impl[k], path[i][0], NULL, path[i][1],
                                        path[i][2]};
    }
    static const char *const commands[] = {"sievert study examples/lenet5.yaml -o out", NULL};
    static const char *const each[] = {
        "sievert inject --impl {impl} --layer {layer} -o {store}",
        "sievert model build {store} -o {model}", NULL};
    const struct report_sources sources = {make_ptx(), ptx, source};
    struct report_input in = {
        .sources = &sources, .cell_commands = each,
        .title = "</script><script>console.error('broken out')</script><b>Synthetic</b> & 'study'",
        .network = "lenet5.onnx", .dataset = "fashion-mnist", .golden_accuracy = 0.8934,
        .commands = commands, .n_cells = LAYERS * IMPLS, .cells = cells};
    json_t *doc = NULL;
    static char out[2][400];
    snprintf(out[0], 400, "%s/report.html", dir);
    snprintf(out[1], 400, "%s/report.json", dir);
    MUST(report_build(&doc, &in, d));
    MUST(report_html(out[0], doc, d));
    MUST(report_write_json(out[1], doc, d));
    report_terminal(stdout, doc, isatty(1));
    json_decref(doc);
    return 0;
}
