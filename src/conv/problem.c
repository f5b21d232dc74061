/* The notation of problems: text -> struct conv_problem -> text, and what makes one impossible. */
#include <limits.h>
#include <string.h>

#include "conv/conv.h"

enum { MAX_DIM = 1 << 20 }; /* of one number: keeps every product of three within 64 bits */

struct reader {
    const char *text, *at;
    struct diag *d;
};

static int complain(const struct reader *r, const char *expected)
{
    return diag_fail(
        r->d, ERR_INPUT, DIAG_NOWHERE,
        "shape '%.100s': character %d: expected %s; write NxCxHxW:KxRxS and then any of "
        ":pPAD :sSTRIDE :dDILATION :gGROUPS :nhwc, as in 1x16x32x32:32x3x3:p1",
        r->text, (int)(r->at - r->text) + 1, expected);
}

static int read_number(struct reader *r, int *out)
{
    const char *digits = r->at;
    long n = 0;
    for (; *r->at >= '0' && *r->at <= '9'; r->at++)
        if (n <= MAX_DIM)
            n = n * 10 + (*r->at - '0');
    if (r->at == digits)
        return complain(r, "a number");
    if (n > MAX_DIM) {
        r->at = digits;
        return complain(r, "a number up to 1048576");
    }
    *out = (int)n;
    return OK;
}

/* n numbers with a separator between them. */
static int read_numbers(struct reader *r, char separator, int n, int *const *out)
{
    const char expected[] = {'\'', separator, '\'', 0};
    for (int i = 0; i < n; i++) {
        if (i && *r->at++ != separator) {
            r->at--;
            return complain(r, expected);
        }
        int status = read_number(r, out[i]);
        if (status != OK)
            return status;
    }
    return OK;
}

/* One number, or two or four separated by commas. */
static int read_list(struct reader *r, int most, int *value, int *n)
{
    for (*n = 0; *n < most;) {
        int status = read_number(r, &value[(*n)++]);
        if (status != OK)
            return status;
        if (*r->at != ',')
            break;
        if (*n < most)
            r->at++;
    }
    return *n == 3 ? complain(r, "one, two or four numbers") : OK;
}

static int read_layout(struct reader *r, struct conv_problem *p)
{
    for (size_t i = 0; i < vocab_layouts.n; i++) {
        const char *word = vocab_word(&vocab_layouts, (int)i);
        const size_t len = strlen(word);
        if (strncmp(r->at, word, len) == 0 && (r->at[len] == ':' || !r->at[len])) {
            p->layout = (enum tensor_layout)i;
            r->at += len;
            return OK;
        }
    }
    return complain(r, "nchw or nhwc");
}

static int read_option(struct reader *r, struct conv_problem *p)
{
    const char letter = *r->at;
    if (letter == 'n')
        return read_layout(r, p);
    if (!letter || !strchr("psdg", letter))
        return complain(r, "p, s, d, g or a layout");
    r->at++;
    int v[4] = {0}, n = 0;
    int status = read_list(r, letter == 'p' ? 4 : letter == 'g' ? 1 : 2, v, &n);
    if (status != OK)
        return status;
    const int horizontal = n > 1 ? v[1] : v[0];
    switch (letter) {
    case 'p':
        p->pad_top = v[0];
        p->pad_bottom = n == 4 ? v[1] : v[0];
        p->pad_left = n == 4 ? v[2] : horizontal;
        p->pad_right = n == 4 ? v[3] : horizontal;
        return OK;
    case 's':
        p->stride_h = v[0], p->stride_w = horizontal;
        break;
    case 'd':
        p->dilation_h = v[0], p->dilation_w = horizontal;
        break;
    default:
        p->groups = v[0];
    }
    if (v[0] == 0 || (n > 1 && v[1] == 0))
        return diag_fail(r->d, ERR_INPUT, DIAG_NOWHERE, "shape '%.100s': %c must be at least 1",
                         r->text, letter);
    return OK;
}

int conv_parse_shape(struct conv_problem *out, const char *text, struct diag *d)
{
    struct conv_problem p = {0};
    struct reader r = {text, text, d};
    int status = read_numbers(&r, 'x', 4, (int *const[]){&p.n, &p.c, &p.h, &p.w});
    if (status != OK)
        return status;
    if (*r.at != ':')
        return complain(&r, "':' and the filter");
    r.at++;
    status = read_numbers(&r, 'x', 3, (int *const[]){&p.k, &p.r, &p.s});
    char seen[6] = "";
    while (status == OK && *r.at) {
        if (*r.at != ':')
            return complain(&r, "':' or the end");
        r.at++;
        if (*r.at && strchr(seen, *r.at))
            return complain(&r, "each of p, s, d, g and the layout only once");
        seen[strlen(seen)] = *r.at;
        status = read_option(&r, &p);
    }
    if (status == OK)
        status = conv_check(&p, d);
    if (status == OK)
        *out = p;
    return status;
}

static int out_size(int in, int pads, int filter, int dilation, int stride)
{
    const long long covered = (long long)dilation * (filter - 1) + 1;
    const long long room = (long long)in + pads - covered;
    return room < 0 ? 0 : (int)(room / stride) + 1;
}

int conv_out_h(const struct conv_problem *p)
{
    return out_size(p->h, p->pad_top + p->pad_bottom, p->r, p->dilation_h, p->stride_h);
}

int conv_out_w(const struct conv_problem *p)
{
    return out_size(p->w, p->pad_left + p->pad_right, p->s, p->dilation_w, p->stride_w);
}

static int check_range(const char *what, int value, int least, struct diag *d)
{
    if (value >= least && value <= MAX_DIM)
        return OK;
    return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "convolution: %s is %d, must be %d to %d", what,
                     value, least, MAX_DIM);
}

static int check_elems(const char *what, int a, int b, int c, int e, struct diag *d)
{
    uint64_t n;
    if (!__builtin_mul_overflow((uint64_t)a * (uint64_t)b, (uint64_t)c * (uint64_t)e, &n) &&
        n <= INT_MAX)
        return OK;
    return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                     "convolution: the %s of %d x %d x %d x %d has more than 2147483647 elements",
                     what, a, b, c, e);
}

int conv_check(struct conv_problem *p, struct diag *d)
{
    int *const ones[] = {&p->stride_h, &p->stride_w, &p->dilation_h, &p->dilation_w, &p->groups};
    for (size_t i = 0; i < sizeof ones / sizeof *ones; i++)
        if (*ones[i] == 0)
            *ones[i] = 1;
    const struct {
        const char *what;
        int value, least;
    } ranges[] = {
        {"the batch size N", p->n, 1},
        {"the number of channels C", p->c, 1},
        {"the height H", p->h, 1},
        {"the width W", p->w, 1},
        {"the number of filters K", p->k, 1},
        {"the filter height R", p->r, 1},
        {"the filter width S", p->s, 1},
        {"the top padding", p->pad_top, 0},
        {"the bottom padding", p->pad_bottom, 0},
        {"the left padding", p->pad_left, 0},
        {"the right padding", p->pad_right, 0},
        {"the vertical stride", p->stride_h, 1},
        {"the horizontal stride", p->stride_w, 1},
        {"the vertical dilation", p->dilation_h, 1},
        {"the horizontal dilation", p->dilation_w, 1},
        {"the number of groups", p->groups, 1},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (check_range(ranges[i].what, ranges[i].value, ranges[i].least, d) != OK)
            return ERR_INPUT;
    if (p->c % p->groups || p->k % p->groups)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "convolution: %d groups divide neither or only one of %d channels and %d "
                         "filters; both must be multiples",
                         p->groups, p->c, p->k);
    const int out_h = conv_out_h(p), out_w = conv_out_w(p);
    if (out_h == 0 || out_w == 0)
        return diag_fail(
            d, ERR_INPUT, DIAG_NOWHERE,
            "convolution: the output is empty: a filter of %d x %d, dilated by %d and %d, "
            "does not fit into %d x %d with padding %d,%d,%d,%d",
            p->r, p->s, p->dilation_h, p->dilation_w, p->h, p->w, p->pad_top, p->pad_bottom,
            p->pad_left, p->pad_right);
    if (p->layout >= N_LAYOUTS)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "convolution: there is no layout %d",
                         (int)p->layout);
    if (check_elems("input", p->n, p->c, p->h, p->w, d) != OK ||
        check_elems("filter", p->k, p->c / p->groups, p->r, p->s, d) != OK)
        return ERR_INPUT;
    return check_elems("output", p->n, p->k, out_h, out_w, d);
}

static const char *pair(struct arena *a, char letter, int v, int h, int none)
{
    if (v == none && h == none)
        return "";
    return v == h ? arena_printf(a, ":%c%d", letter, v) : arena_printf(a, ":%c%d,%d", letter, v, h);
}

char *conv_shape(struct arena *a, const struct conv_problem *p)
{
    const bool symmetric = p->pad_top == p->pad_bottom && p->pad_left == p->pad_right;
    const char *pads = symmetric ? pair(a, 'p', p->pad_top, p->pad_left, 0)
                                 : arena_printf(a, ":p%d,%d,%d,%d", p->pad_top, p->pad_bottom,
                                                p->pad_left, p->pad_right);
    const char *layout = p->layout == LAYOUT_NCHW
                             ? ""
                             : arena_printf(a, ":%s", vocab_word(&vocab_layouts, (int)p->layout));
    return arena_printf(a, "%dx%dx%dx%d:%dx%dx%d%s%s%s%s%s", p->n, p->c, p->h, p->w, p->k, p->r,
                        p->s, pads, pair(a, 's', p->stride_h, p->stride_w, 1),
                        pair(a, 'd', p->dilation_h, p->dilation_w, 1),
                        pair(a, 'g', p->groups, p->groups, 1), layout);
}
