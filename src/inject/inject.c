#include "inject/inject.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Words -------------------------------------------------------------------------------------- */

int fault_kind_parse(struct fault_kind *out, const char *text, struct diag *d)
{
    const struct vocab *vocabs[] = {&vocab_groups, &vocab_flips, &vocab_scopes};
    int found[] = {GROUP_GP, FLIP_SINGLE_BIT, SCOPE_THREAD};
    const char *p = text;
    for (int part = 0; part < 3; part++) {
        size_t len = strcspn(p, ":");
        char word[64];
        if (len >= sizeof word)
            return diag_fail(d, ERR_INPUT, DIAG_NOWHERE, "fault '%.80s...': word too long", text);
        memcpy(word, p, len);
        word[len] = 0;
        int rc = vocab_find(vocabs[part], word, &found[part], d);
        if (rc != OK)
            return rc;
        p += len;
        if (*p++ == 0)
            break;
        if (part == 2)
            return diag_fail(d, ERR_INPUT, DIAG_NOWHERE,
                             "fault '%s': only WHERE:FLIP:SCOPE is expected", text);
    }
    *out = (struct fault_kind){.group = (enum group)found[0], .flip = (enum flip)found[1],
                               .scope = (enum scope)found[2]};
    return OK;
}

void fault_kind_print(char out[static 64], const struct fault_kind *k)
{
    snprintf(out, 64, "%s:%s:%s", vocab_word(&vocab_groups, (int)k->group),
             vocab_word(&vocab_flips, (int)k->flip), vocab_word(&vocab_scopes, (int)k->scope));
}

/* ---- What and where ------------------------------------------------------------------------------ */

int inject_targets(const struct ptx_kernel *kernel, size_t insn, const struct fault_kind *k)
{
    struct ptx_insn_info i = ptx_insn_info(kernel, insn);
    if (!(i.groups >> k->group & 1) || (i.folded && k->population == POPULATION_MACHINE))
        return 0;
    return i.n_dst;
}

uint64_t inject_flip(enum flip flip, uint64_t value, int bits, const uint64_t draw[2])
{
    uint64_t mask = bits >= 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1, pairs;
    switch (flip) {
    case FLIP_SINGLE_BIT:
        return value ^ (uint64_t)1 << draw[0] % (unsigned)bits;
    case FLIP_DOUBLE_BIT: /* a predicate has one bit only */
        pairs = bits > 1 ? (uint64_t)3 << draw[0] % (unsigned)(bits - 1) : 1;
        return value ^ pairs;
    case FLIP_RANDOM_VALUE:
        return draw[1] & mask;
    case FLIP_ZERO_VALUE:
    case N_FLIPS:
        break;
    }
    return 0;
}

/* ---- The hook ------------------------------------------------------------------------------------ */

struct injector {
    const struct ptx_kernel *kernel;
    struct fault_kind kind;
    uint8_t *targets; /* by instruction, of kernel and kind */
    struct fault fault;
    uint64_t seen; /* sites passed in this CTA */
    struct strike strike;
};

struct injector *injector_new(void) { return calloc(1, sizeof(struct injector)); }

void injector_free(struct injector *j)
{
    if (!j)
        return;
    free(j->targets);
    free(j);
}

static bool same_population(const struct fault_kind *a, const struct fault_kind *b)
{
    return a->group == b->group && a->population == b->population;
}

static void learn(struct injector *j, const struct ptx_kernel *kernel, const struct fault_kind *k)
{
    if (j->kernel == kernel && same_population(&j->kind, k))
        return;
    size_t n = ptx_n_insns(kernel);
    free(j->targets);
    j->targets = malloc(n + 1);
    if (!j->targets)
        abort();
    for (size_t i = 0; i < n; i++)
        j->targets[i] = (uint8_t)inject_targets(kernel, i, k);
    j->kernel = kernel;
    j->kind = *k;
}

static int nth_lane(uint32_t mask, uint64_t n)
{
    while (n--)
        mask &= mask - 1;
    return __builtin_ctz(mask);
}

static uint64_t flip_lane(const struct simt_reg *r, int lane, const struct fault *f)
{
    uint64_t after = inject_flip(f->kind.flip, simt_lane_get(r, lane), r->bits, f->draw);
    simt_lane_set(r, lane, after);
    return after;
}

static void apply(struct injector *j, const struct simt_step *step, uint64_t site, unsigned targets)
{
    const struct fault *f = &j->fault;
    int lane = nth_lane(step->mask, site / targets);
    const struct simt_reg *r = &step->dst[site % targets];
    j->strike = (struct strike){.landed = true, .insn = step->insn, .warp = step->warp,
                                .lane = (uint32_t)lane, .reg = (uint32_t)(site % targets),
                                .lanes = 1, .bits = r->bits, .before = simt_lane_get(r, lane),
                                .issued = step->issued};
    j->strike.after = flip_lane(r, lane, f);
    if (f->kind.scope == SCOPE_THREAD)
        return;
    for (uint32_t others = step->mask & ~((uint32_t)1 << lane); others; others &= others - 1) {
        flip_lane(r, __builtin_ctz(others), f);
        j->strike.lanes++;
    }
}

static bool step_hook(void *ctx, const struct simt_step *step)
{
    struct injector *j = ctx;
    unsigned targets = j->targets[step->insn];
    uint64_t sites = targets * (unsigned)__builtin_popcount(step->mask);
    if (j->fault.nth - j->seen >= sites) {
        j->seen += sites;
        return true;
    }
    apply(j, step, j->fault.nth - j->seen, targets);
    return false;
}

struct simt_hook injector_arm(struct injector *j, const struct ptx_kernel *kernel,
                              const struct fault *f)
{
    learn(j, kernel, &f->kind);
    j->fault = *f;
    j->seen = 0;
    j->strike = (struct strike){0};
    return (struct simt_hook){.ctx = j, .step = step_hook};
}

const struct strike *injector_strike(const struct injector *j) { return &j->strike; }
