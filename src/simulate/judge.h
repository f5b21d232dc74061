/* A network's fault-free and corrupted output -> what the error did to the application's answer. */
#ifndef SIMULATE_JUDGE_H
#define SIMULATE_JUDGE_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/tensor.h"
#include "store/store.h"
#include "vocab/vocab.h"

/* How outputs of this network are judged. */
struct judge {
    enum task task;
    double bound;        /* confidence drop, mean IoU, IoU or difference */
    struct tensor shape; /* of the output; .data NULL */
    size_t n;
};
/* text: a word of vocab_tasks, ":" and a bound if another than its own is wanted; NULL: top-1 for
 * one image's list of scores, segmentation for maps of scores. ERR_INPUT if the output is not such.
 */
int judge_make(struct judge *out, const char *text, const struct tensor *output, struct diag *d);
/* "top-1", "confidence:0.3". In a. */
const char *judge_text(const struct judge *j, struct arena *a);

/* What the fault-free output says, once for many errors. */
struct golden_answer {
    const float *output;
    int answer;         /* position of the largest, -1 if none or not of a classification */
    double probability; /* of the answer */
    bool probabilities; /* the outputs are such already */
    int *classes;       /* segmentation: by pixel */
    size_t n_boxes;     /* detection */
    struct box *boxes;
};
/* In a. output is borrowed. */
void judge_golden(struct golden_answer *out, struct arena *a, const struct judge *j,
                  const float *output);
/* Effect, answers and measures of t; output NULL: it is the fault-free one. */
void judge_error(struct store_trial *t, const struct judge *j, const struct golden_answer *golden,
                 const float *output);

/* The position of the largest, the first of equals; -1 if any is not a number. */
int answer_of(const float *output, size_t n);

#endif
