#include "simulate/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BOXES = 1000 };
static const double BOX_SCORE = 0.25; /* boxes with less are not there */

static const double BOUND[N_TASKS] = {
    [TASK_CONFIDENCE] = 0.2,
    [TASK_SEGMENTATION] = 0.9,
    [TASK_DETECTION] = 0.5,
};

/* ---- What the network is for
 * --------------------------------------------------------------------------- */

/* Boxes lie along dimension 1 or 2: there are more of them than numbers of each. */
static size_t box_numbers(const struct tensor *s)
{
    return s->dim[1] < s->dim[2] ? s->dim[1] : s->dim[2];
}

static int check(const struct judge *j, struct diag *d)
{
    const struct tensor *s = &j->shape;
    bool fits = true;
    const char *want = "";
    switch (j->task) {
    case TASK_TOP_1:
    case TASK_TOP_5:
    case TASK_CONFIDENCE:
        fits = j->n > 1 && s->dim[0] == 1;
        want = "a list of scores";
        break;
    case TASK_SEGMENTATION:
        fits = s->rank == 4 && s->dim[0] == 1 && s->dim[1] > 1;
        want = "1 x classes x height x width";
        break;
    case TASK_DETECTION:
        fits = s->rank == 3 && s->dim[0] == 1 && box_numbers(s) > 4;
        want = "1 x boxes x (x, y, w, h, objectness, classes) or 1 x (x, y, w, h, classes) x boxes";
        break;
    default:
        break;
    }
    if (!fits)
        return diag_fail(
            d, ERR_INPUT, DIAG_NOWHERE,
            "task %s needs an output of %s; this network's has %d dimensions and %zu elements",
            vocab_word(&vocab_tasks, (int)j->task), want, s->rank, j->n);
    return OK;
}

static int read_bound(struct judge *j, const char *text, struct diag *d)
{
    const char *number = strchr(text, ':');
    char *end = NULL;
    j->bound = number ? strtod(number + 1, &end) : BOUND[j->task];
    bool takes_one = BOUND[j->task] > 0 || j->task == TASK_REGRESSION;
    if (number && (!takes_one || end == number + 1 || *end || !(j->bound >= 0) ||
                   !isfinite(j->bound) || (j->task != TASK_REGRESSION && j->bound > 1)))
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "task '%.60s': %s", text,
                         takes_one ? "the bound is not a number that fits" : "it has no bound");
    if (!number && j->task == TASK_REGRESSION)
        return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                         "task regression needs a bound: regression:0.1");
    return OK;
}

int judge_make(struct judge *out, const char *text, const struct tensor *output, struct diag *d)
{
    *out = (struct judge){.shape = *output, .n = tensor_elems(output)};
    if (!text)
        text = output->rank == 4 && output->dim[2] * output->dim[3] > 1 ? "segmentation" : "top-1";
    char word[40];
    size_t len = strcspn(text, ":");
    int task;
    len = len < sizeof word ? len : sizeof word - 1;
    memcpy(word, text, len);
    word[len] = 0;
    int rc = vocab_find(&vocab_tasks, word, &task, d);
    if (rc != OK)
        return rc;
    out->task = (enum task)task;
    rc = read_bound(out, text, d);
    return rc != OK ? rc : check(out, d);
}

const char *judge_text(const struct judge *j, struct arena *a)
{
    const char *word = vocab_word(&vocab_tasks, (int)j->task);
    return j->bound > 0 || j->task == TASK_REGRESSION ? arena_printf(a, "%s:%.6g", word, j->bound)
                                                      : word;
}

/* ---- Classification
 * --------------------------------------------------------------------------------------- */

int answer_of(const float *output, size_t n)
{
    size_t best = 0;
    for (size_t k = 0; k < n; k++) {
        if (isnan(output[k]))
            return -1;
        if (output[k] > output[best])
            best = k;
    }
    return (int)best;
}

static bool are_probabilities(const float *output, size_t n)
{
    double sum = 0;
    for (size_t k = 0; k < n; k++) {
        if (!(output[k] >= 0 && output[k] <= 1))
            return false;
        sum += (double)output[k];
    }
    return fabs(sum - 1) < 1e-3;
}

/* Of class `at`: as the network gives it, or by softmax; 0 if that is not a number. */
static double probability(const float *output, size_t n, int at, bool given)
{
    double max = -INFINITY, sum = 0;
    if (given)
        return isnan(output[at]) ? 0 : (double)output[at];
    for (size_t k = 0; k < n; k++)
        max = (double)output[k] > max ? (double)output[k] : max;
    for (size_t k = 0; k < n; k++)
        sum += exp((double)output[k] - max);
    double p = exp((double)output[at] - max) / sum;
    return isnan(p) ? 0 : p;
}

/* Fewer than five are larger, or as large and before it. */
static bool among_five(const float *output, size_t n, int at)
{
    size_t before = 0;
    for (size_t k = 0; k < n; k++)
        before += output[k] > output[at] || (k < (size_t)at && output[k] == output[at]);
    return before < 5 && !isnan(output[at]);
}

/* ---- Segmentation
 * ------------------------------------------------------------------------------------------- */

/* By pixel the class of the largest score, -1 if one is not a number. */
static void pixel_classes(int *out, const struct tensor *s, const float *output)
{
    size_t plane = s->dim[2] * s->dim[3];
    for (size_t p = 0; p < plane; p++) {
        int best = 0;
        for (size_t c = 0; c < s->dim[1] && best >= 0; c++) {
            float x = output[c * plane + p];
            best = isnan(x) ? -1 : x > output[(size_t)best * plane + p] ? (int)c : best;
        }
        out[p] = best;
    }
}

/* The mean of intersection over union, over the classes that occur. */
static double mean_iou(const struct tensor *s, const int *golden, const float *output)
{
    size_t plane = s->dim[2] * s->dim[3], classes = s->dim[1], present = 0;
    struct arena a = {0};
    int *now = arena_alloc(&a, plane * sizeof *now);
    size_t *both = arena_alloc(&a, classes * sizeof *both),
           *either = arena_alloc(&a, classes * sizeof *either);
    double sum = 0;
    pixel_classes(now, s, output);
    for (size_t p = 0; p < plane; p++) {
        if (golden[p] >= 0)
            either[golden[p]]++;
        if (now[p] >= 0 && now[p] == golden[p])
            both[now[p]]++;
        else if (now[p] >= 0)
            either[now[p]]++;
    }
    for (size_t c = 0; c < classes; c++)
        if (either[c] > 0) {
            present++;
            sum += (double)both[c] / (double)either[c];
        }
    arena_fini(&a);
    return present ? sum / (double)present : 0;
}

/* ---- Detection
 * ---------------------------------------------------------------------------------------------- */

struct box {
    float x, y, w, h, score; /* centre and size */
    int class;
};

static int by_score(const void *x, const void *y)
{
    float a = ((const struct box *)x)->score, b = ((const struct box *)y)->score;
    return (a < b) - (a > b);
}

/* Those that are there, best first, at most MAX_BOXES. */
static size_t read_boxes(struct box *out, const struct tensor *s, const float *output)
{
    bool rows = s->dim[1] >= s->dim[2]; /* a row for each box, with objectness (YOLOv3 to v7) */
    size_t n = rows ? s->dim[1] : s->dim[2], width = box_numbers(s), count = 0;
    size_t box = rows ? width : 1, number = rows ? 1 : n, first = rows ? 5 : 4;
    for (size_t b = 0; b < n; b++) {
        const float *v = output + b * box;
        size_t best = first;
        for (size_t c = first; c < width; c++)
            best = v[c * number] > v[best * number] ? c : best;
        float score = best < width ? v[best * number] : 1;
        score = rows ? score * v[4] : score;
        if (!((double)score >= BOX_SCORE))
            continue;
        struct box found = {v[0],          v[number], v[2 * number],
                            v[3 * number], score,     (int)(best - first)};
        if (count < MAX_BOXES)
            out[count++] = found;
        else
            for (size_t k = 0; k < MAX_BOXES; k++) /* rare: too many */
                if (out[k].score < found.score) {
                    out[k] = found;
                    break;
                }
    }
    qsort(out, count, sizeof *out, by_score);
    return count;
}

static double overlap(float a, float a_size, float b, float b_size)
{
    double lo = fmax((double)a - (double)a_size / 2, (double)b - (double)b_size / 2);
    double hi = fmin((double)a + (double)a_size / 2, (double)b + (double)b_size / 2);
    return hi > lo ? hi - lo : 0;
}

static double iou(const struct box *a, const struct box *b)
{
    double both = overlap(a->x, a->w, b->x, b->w) * overlap(a->y, a->h, b->y, b->h);
    double either = (double)a->w * (double)a->h + (double)b->w * (double)b->h - both;
    return either > 0 ? both / either : 0;
}

/* F1 of the matching: each fault-free box, best first, takes the nearest free box of its class. */
static double match_boxes(const struct golden_answer *g, const struct judge *j, const float *output)
{
    struct arena a = {0};
    struct box *now = arena_alloc(&a, MAX_BOXES * sizeof *now);
    bool *taken = arena_alloc(&a, MAX_BOXES * sizeof *taken);
    size_t n = read_boxes(now, &j->shape, output), matched = 0;
    for (size_t k = 0; k < g->n_boxes; k++) {
        double best = j->bound;
        size_t partner = n;
        for (size_t b = 0; b < n; b++) {
            double x =
                taken[b] || now[b].class != g->boxes[k].class ? -1 : iou(&g->boxes[k], &now[b]);
            if (x > best || (x >= j->bound && x == best && partner == n)) {
                best = x;
                partner = b;
            }
        }
        if (partner < n) {
            taken[partner] = true;
            matched++;
        }
    }
    arena_fini(&a);
    return g->n_boxes + n ? 2.0 * (double)matched / (double)(g->n_boxes + n) : 1;
}

/* ---- All
 * ------------------------------------------------------------------------------------------------------
 */

/* The largest |faulty - golden|; infinite as soon as one is not finite that was. */
static double score_change(const float *golden, const float *faulty, size_t n)
{
    double max = 0;
    for (size_t k = 0; k < n; k++) {
        double change = fabs((double)faulty[k] - (double)golden[k]);
        if (!isfinite(faulty[k]) && memcmp(&faulty[k], &golden[k], sizeof *faulty) != 0)
            return (double)INFINITY;
        max = change > max ? change : max;
    }
    return max;
}

static bool all_finite(const float *output, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (!isfinite(output[k]))
            return false;
    return true;
}

static bool classifies(const struct judge *j) { return j->task <= TASK_CONFIDENCE; }

void judge_golden(struct golden_answer *out, struct arena *a, const struct judge *j,
                  const float *output)
{
    *out = (struct golden_answer){.output = output, .answer = -1};
    if (classifies(j)) {
        out->answer = answer_of(output, j->n);
        out->probabilities = are_probabilities(output, j->n);
        out->probability =
            out->answer < 0 ? 0 : probability(output, j->n, out->answer, out->probabilities);
    } else if (j->task == TASK_SEGMENTATION) {
        out->classes = arena_array(a, j->shape.dim[2] * j->shape.dim[3], sizeof *out->classes);
        pixel_classes(out->classes, &j->shape, output);
    } else if (j->task == TASK_DETECTION) {
        out->boxes = arena_array(a, MAX_BOXES, sizeof *out->boxes);
        out->n_boxes = read_boxes(out->boxes, &j->shape, output);
    }
}

/* The measure of an output that is the fault-free one. */
static double no_change(const struct judge *j)
{
    return j->task == TASK_SEGMENTATION || j->task == TASK_DETECTION ? 1 : 0;
}

static bool critical(struct store_trial *t, const struct judge *j, const struct golden_answer *g,
                     const float *output)
{
    switch (j->task) {
    case TASK_TOP_1:
        return t->answer_faulty < 0 || t->answer_faulty != g->answer;
    case TASK_TOP_5:
        return t->answer_faulty < 0 || !t->top5;
    case TASK_CONFIDENCE:
        return t->answer_faulty < 0 || t->measure > j->bound;
    case TASK_SEGMENTATION:
        t->measure = mean_iou(&j->shape, g->classes, output);
        return t->measure < j->bound;
    case TASK_DETECTION:
        t->measure = match_boxes(g, j, output);
        return t->measure < 1;
    default:
        t->measure = t->score_change;
        return !(t->measure <= j->bound);
    }
}

void judge_error(struct store_trial *t, const struct judge *j, const struct golden_answer *g,
                 const float *output)
{
    t->effect = EFFECT_MASKED;
    t->answer_golden = t->answer_faulty = g->answer;
    t->measure = no_change(j);
    t->top5 = g->answer >= 0;
    t->finite = all_finite(output ? output : g->output, j->n);
    if (!output)
        return;
    t->score_change = score_change(g->output, output, j->n);
    if (classifies(j)) {
        t->answer_faulty = answer_of(output, j->n);
        t->top5 = g->answer >= 0 && among_five(output, j->n, g->answer);
        t->measure = g->answer < 0
                         ? 0
                         : g->probability - probability(output, j->n, g->answer, g->probabilities);
    }
    t->effect = critical(t, j, g, output) ? EFFECT_CRITICAL : EFFECT_TOLERABLE;
}
