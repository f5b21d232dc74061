/* Basic blocks and immediate post-dominators: where the two sides of a branch meet again.
 * Source: K. Cooper, T. Harvey, K. Kennedy, "A Simple, Fast Dominance Algorithm", on the reversed
 * graph with one virtual exit. */
#include <string.h>

#include "ptx/insn.h"

struct block {
    uint32_t first, last; /* instructions, inclusive */
    uint32_t *next;       /* successors, as blocks */
    uint32_t n_next;
    int32_t order;  /* postorder number from the exit, -1: cannot reach the exit */
    uint32_t ipdom; /* block */
};

struct cfg {
    struct ptx_kernel *k;
    uint32_t n; /* blocks; block n is the virtual exit */
    struct block *blocks;
    uint32_t *block_of;           /* instruction -> block */
    uint32_t *pred_start, *preds; /* of block b: preds[pred_start[b] .. pred_start[b + 1]) */
    uint32_t *by_order;           /* postorder on the reversed graph; the exit is last */
    uint32_t n_order;
};

static bool ends_block(const struct ptx_insn *i)
{
    return i->op == PTX_BRA || i->op == PTX_BRX || i->op == PTX_RET || i->op == PTX_EXIT ||
           i->op == PTX_TRAP;
}

static void find_leaders(struct ptx_kernel *k, bool *leader)
{
    for (uint32_t f = 0; f < k->n_functions; f++)
        leader[k->functions[f].entry] = true;
    for (size_t i = 0; i < k->n_insns; i++) {
        if (!ends_block(&k->insns[i]))
            continue;
        if (i + 1 < k->n_insns)
            leader[i + 1] = true;
        if (k->insns[i].op == PTX_BRA)
            leader[k->insns[i].target] = true;
        for (uint32_t n = 0; n < k->insns[i].n_targets; n++)
            leader[k->insns[i].targets[n]] = true;
    }
}

static void link_block(struct cfg *g, uint32_t b, struct arena *a)
{
    struct block *x = &g->blocks[b];
    const struct ptx_insn *i = &g->k->insns[x->last];
    bool falls = !ends_block(i) || i->guard >= 0;
    x->next = arena_array(a, i->n_targets + 3, sizeof *x->next);
    if (i->op == PTX_BRA)
        x->next[x->n_next++] = g->block_of[i->target];
    for (uint32_t n = 0; n < i->n_targets; n++)
        x->next[x->n_next++] = g->block_of[i->targets[n]];
    if (falls && x->last + 1 < g->k->n_insns && (x->n_next == 0 || x->next[0] != b + 1))
        x->next[x->n_next++] = b + 1;
    if (x->n_next == 0)
        x->next[x->n_next++] = g->n;
}

static void make_blocks(struct cfg *g, struct arena *a, const bool *leader)
{
    size_t n_insns = g->k->n_insns;
    g->block_of = arena_array(a, n_insns, sizeof *g->block_of);
    for (size_t i = 0; i < n_insns; i++)
        g->n += leader[i];
    g->blocks = arena_array(a, g->n + 1, sizeof *g->blocks);
    uint32_t b = 0;
    for (uint32_t i = 0; i < n_insns; i++) {
        if (leader[i] && i > 0)
            b++;
        if (leader[i])
            g->blocks[b].first = i;
        g->blocks[b].last = i;
        g->block_of[i] = b;
    }
    for (b = 0; b < g->n; b++)
        link_block(g, b, a);
}

static void make_preds(struct cfg *g, struct arena *a)
{
    g->pred_start = arena_array(a, g->n + 3, sizeof *g->pred_start);
    for (uint32_t b = 0; b < g->n; b++)
        for (uint32_t s = 0; s < g->blocks[b].n_next; s++)
            g->pred_start[g->blocks[b].next[s] + 2]++;
    for (uint32_t b = 2; b < g->n + 3; b++)
        g->pred_start[b] += g->pred_start[b - 1];
    g->preds = arena_array(a, g->pred_start[g->n + 2] + 1, sizeof *g->preds);
    for (uint32_t b = 0; b < g->n; b++)
        for (uint32_t s = 0; s < g->blocks[b].n_next; s++)
            g->preds[g->pred_start[g->blocks[b].next[s] + 1]++] = b;
}

/* Depth first from the exit along predecessors, without recursion. */
static void make_order(struct cfg *g, struct arena *a)
{
    uint32_t *stack = arena_array(a, g->n + 1, sizeof *stack);
    uint32_t *edge = arena_array(a, g->n + 1, sizeof *edge);
    bool *seen = arena_array(a, g->n + 1, sizeof *seen);
    g->by_order = arena_array(a, g->n + 1, sizeof *g->by_order);
    for (uint32_t b = 0; b <= g->n; b++) {
        g->blocks[b].order = -1;
        edge[b] = g->pred_start[b];
    }
    uint32_t depth = 0;
    stack[depth++] = g->n;
    seen[g->n] = true;
    while (depth > 0) {
        uint32_t b = stack[depth - 1];
        if (edge[b] < g->pred_start[b + 1]) {
            uint32_t next = g->preds[edge[b]++];
            if (!seen[next]) {
                seen[next] = true;
                stack[depth++] = next;
            }
        } else {
            g->blocks[b].order = (int32_t)g->n_order;
            g->by_order[g->n_order++] = b;
            depth--;
        }
    }
}

static uint32_t meet(const struct cfg *g, uint32_t x, uint32_t y)
{
    while (x != y) {
        while (g->blocks[x].order < g->blocks[y].order)
            x = g->blocks[x].ipdom;
        while (g->blocks[y].order < g->blocks[x].order)
            y = g->blocks[y].ipdom;
    }
    return x;
}

static bool refine(struct cfg *g, uint32_t b)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t s = 0; s < g->blocks[b].n_next; s++) {
        uint32_t next = g->blocks[b].next[s];
        if (g->blocks[next].order < 0 || g->blocks[next].ipdom == UINT32_MAX)
            continue;
        best = best == UINT32_MAX ? next : meet(g, best, next);
    }
    bool changed = best != g->blocks[b].ipdom;
    g->blocks[b].ipdom = best;
    return changed;
}

static void find_post_dominators(struct cfg *g)
{
    for (uint32_t b = 0; b < g->n; b++)
        g->blocks[b].ipdom = UINT32_MAX;
    g->blocks[g->n].ipdom = g->n;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t o = g->n_order - 1; o-- > 0;)
            changed |= refine(g, g->by_order[o]);
    }
}

void ptx_make_cfg(struct ptx_kernel *k, struct arena *a)
{
    struct arena scratch = {0};
    struct cfg g = {.k = k};
    bool *leader = arena_array(a, k->n_insns, sizeof *leader);
    bool *joins = arena_array(a, k->n_insns, sizeof *joins);
    find_leaders(k, leader);
    make_blocks(&g, &scratch, leader);
    make_preds(&g, &scratch);
    make_order(&g, &scratch);
    find_post_dominators(&g);
    for (uint32_t b = 0; b < g.n; b++) {
        struct ptx_insn *i = &k->insns[g.blocks[b].last];
        uint32_t meets = g.blocks[b].ipdom;
        if ((i->op != PTX_BRX && (i->op != PTX_BRA || i->guard < 0)) || meets == UINT32_MAX ||
            meets == g.n)
            continue;
        i->reconverge = g.blocks[meets].first;
        joins[i->reconverge] = true;
    }
    k->leader = leader;
    k->joins = joins;
    arena_fini(&scratch);
}
