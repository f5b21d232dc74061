/* A synthetic study of so many layers and implementations (two and three if not said), as report.html and
 * report.json in the folder given: what the browser test looks at. Names try to break out of the page. */
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
        used += (size_t)snprintf(
            text + used, sizeof text - used,
            i % 4 ? "    sum = fma(a[%d], b[%d], sum);\n" : "/* <%d> & %d */\n", i, i);
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

enum { MAX_LAYERS = 20, MAX_IMPLS = 12, N = 1000 };
static const struct {
    const char *name;
    unsigned sdc, critical; /* per mille */
    uint64_t insns, workspace;
} impls[MAX_IMPLS] = {
    {"direct", 310, 50, 9400000, 0},
    {"implicit-gemm", 420, 60, 5200000, 0},
    {"winograd-2x2-nonfused", 450, 160, 3900000, 412672},
    {"direct-tiled", 300, 55, 7000000, 0},
    {"gemm", 410, 62, 5600000, 921600},
    {"implicit-precomp-gemm", 400, 58, 4900000, 4608},
    {"winograd-2x2-fused", 440, 120, 3500000, 32768},
    {"winograd-4x4-fused", 430, 150, 3100000, 73728},
    {"winograd-4x4-nonfused", 460, 180, 3300000, 650000},
    {"fft", 480, 200, 8800000, 2500000},
    {"fft-tiling", 470, 190, 8200000, 1500000},
    {"direct-1x1", 320, 52, 8000000, 0},
};

int main(int argc, char **argv)
{
    static struct fix_row row[N];
    static char path[MAX_LAYERS * MAX_IMPLS][3][400], layer[MAX_LAYERS][16];
    static struct report_cell cells[MAX_LAYERS * MAX_IMPLS];
    const char *dir = argc > 1 ? argv[1] : ".";
    size_t n_layers = argc > 2 ? strtoul(argv[2], NULL, 10) : 2;
    size_t n_impls = argc > 3 ? strtoul(argv[3], NULL, 10) : 3, n_cells = n_layers * n_impls;
    if (argc > 4 || n_layers < 1 || n_layers > MAX_LAYERS || n_impls < 1 || n_impls > MAX_IMPLS) {
        fprintf(stderr, "usage: %s [FOLDER [LAYERS [IMPLEMENTATIONS]]]\n", argv[0]);
        return 2;
    }
    MUST(file_mkdirs(dir, d));
    for (size_t i = 0; i < n_cells; i++) {
        size_t l = i / n_impls, k = i % n_impls;
        const char *impl = impls[k].name;
        snprintf(layer[l], sizeof layer[l], "conv%zu", l + 1);
        snprintf(path[i][0], 400, "%s/%s-%s.db", dir, layer[l], impl);
        snprintf(path[i][1], 400, "%s/%s-%s-direct.db", dir, layer[l], impl);
        snprintf(path[i][2], 400, "%s/%s-%s-model.db", dir, layer[l], impl);
        fix_random_rows(row, N, i, impls[k].sdc, 60 + 10 * (unsigned)l);
        fix_campaign(path[i][0], layer[l], impl, row, N, impls[k].insns * (l + 1) / 2,
                     impls[k].insns * (l + 1), impls[k].workspace);
        fix_random_trials(path[i][1], path[i][2], layer[l], impl, row, N, i, impls[k].critical);
        cells[i] = (struct report_cell){layer[l], impl, path[i][0], NULL, path[i][1], path[i][2]};
    }
    static const char *const commands[] = {"sievert study examples/lenet5.yaml -o out", NULL};
    static const char *const each[] = {
        "sievert inject --impl {impl} --layer {layer} -o {store}",
        "sievert model build {store} -o {model}",
        "sievert simulate --layer {layer} --campaign {store} -o {sim_direct}",
        "sievert simulate --layer {layer} --model {model} -o {sim_model}", NULL};
    const struct report_sources sources = {.ctx = make_ptx(), .ptx = ptx, .file = source};
    struct report_input in = {
        .sources = &sources,
        .cell_commands = each,
        .title = "</script><script>console.error('broken out')</script><b>Synthetic</b> & 'study'",
        .network = "lenet5.onnx",
        .dataset = "fashion-mnist",
        .golden_accuracy = 0.8934,
        .commands = commands,
        .n_cells = n_cells,
        .cells = cells};
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
