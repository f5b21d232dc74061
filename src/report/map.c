/* Outcomes by source line and by register. */
#include <stdlib.h>
#include <string.h>

#include "report/priv.h"

struct place {
    uint32_t launch;
    int line; /* of the source, or of the PTX and negative; of a register 0 */
    const char *reg;
    uint64_t n, outcome[N_OUTCOMES];
};
struct places {
    struct place *v;
    size_t n, room;
};
struct map {
    struct arena a;
    struct places lines, registers;
    uint64_t n, fate[N_FATES];
    const struct store_campaign *campaign;
};

/* Few places, hit often: the one hit last is looked at first. */
static struct place *find(struct places *p, uint32_t launch, int line, const char *reg)
{
    for (size_t i = p->n; i-- > 0;) {
        struct place *x = &p->v[i];
        if (x->launch == launch && x->line == line && (!reg || strcmp(reg, x->reg) == 0))
            return x;
    }
    return NULL;
}

static void count(struct map *m, struct places *p, uint32_t launch, int line, const char *reg,
                  enum outcome outcome, uint64_t n)
{
    struct place *x = find(p, launch, line, reg);
    if (!x) {
        if (p->n == p->room) {
            size_t room = p->room * 2 + 64;
            struct place *v = arena_array(&m->a, room, sizeof *v);
            if (p->n)
                memcpy(v, p->v, p->n * sizeof *v);
            p->v = v;
            p->room = room;
        }
        x = &p->v[p->n++];
        *x = (struct place){
            .launch = launch, .line = line, .reg = reg ? arena_strdup(&m->a, reg) : NULL};
    }
    x->n += n;
    x->outcome[outcome] += n;
}

/* Without line information in the PTX, its own lines; where most instructions have it, the others are of line 0. */
static int line_of(int source_line, int ptx_line) { return source_line ? source_line : -ptx_line; }

static int see(void *ctx, const struct store_injection *i)
{
    struct map *m = ctx;
    if (i->launch >= m->campaign->n_launches || (unsigned)i->outcome >= N_OUTCOMES)
        return ERR_INPUT;
    m->n++;
    m->fate[i->fate]++;
    count(m, &m->lines, i->launch, line_of(i->source_line, i->ptx_line), NULL, i->outcome, 1);
    if (i->reg_name)
        count(m, &m->registers, i->launch, 0, i->reg_name, i->outcome, 1);
    return OK;
}

/* Of an exhaustive campaign sums by instruction are all there is. */
static int see_sum(void *ctx, const struct store_tally *t)
{
    struct map *m = ctx;
    m->n += t->n;
    m->fate[t->fate] += t->n;
    count(m, &m->lines, t->launch, line_of(t->source_line, t->ptx_line), NULL, t->outcome, t->n);
    return OK;
}

static void lines_of_sources(struct map *m)
{
    struct places *p = &m->lines;
    size_t n = p->n;
    bool *has = arena_array(&m->a, m->campaign->n_launches, sizeof *has);
    struct place *old = p->v;
    for (size_t i = 0; i < n; i++)
        has[old[i].launch] |= old[i].line > 0;
    *p = (struct places){0};
    for (size_t i = 0; i < n; i++)
        for (int o = 0; o < N_OUTCOMES; o++)
            if (old[i].outcome[o])
                count(m, p, old[i].launch, has[old[i].launch] && old[i].line < 0 ? 0 : old[i].line,
                      NULL, (enum outcome)o, old[i].outcome[o]);
}

static int by_harm(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    uint64_t p = x->n - x->outcome[OUTCOME_MASKED], q = y->n - y->outcome[OUTCOME_MASKED];
    if (p != q)
        return p > q ? -1 : 1;
    if (x->launch != y->launch)
        return x->launch < y->launch ? -1 : 1;
    return x->line != y->line ? (x->line < y->line ? -1 : 1)
           : x->reg && y->reg ? strcmp(x->reg, y->reg)
                              : 0;
}

static json_t *rows(const struct map *m, struct places *p, double confidence)
{
    json_t *list = json_array();
    if (p->n)
        qsort(p->v, p->n, sizeof *p->v, by_harm);
    for (size_t i = 0; i < p->n; i++) {
        const struct place *x = &p->v[i];
        json_t *row =
            json_pack("{s:o, s:I}", "kernel", json_text(m->campaign->launches[x->launch].kernel),
                      "n", (json_int_t)x->n);
        json_object_set_new(row, "launch", json_integer((json_int_t)x->launch));
        if (x->reg)
            json_object_set_new(row, "register", json_text(x->reg));
        else
            json_object_set_new(row, x->line < 0 ? "ptx_line" : "line",
                                json_integer(x->line < 0 ? -x->line : x->line));
        for (int o = 0; o < N_OUTCOMES; o++)
            json_object_set_new(row, vocab_word(&vocab_outcomes, o),
                                json_share(x->outcome[o], x->n, confidence));
        json_array_append_new(list, row);
    }
    return list;
}

static json_t *fates(const struct map *m, double confidence)
{
    json_t *o = json_object();
    for (int f = 0; f < N_FATES; f++)
        if (m->fate[f])
            json_object_set_new(o, vocab_word(&vocab_fates, f),
                                json_share(m->fate[f], m->n, confidence));
    return o;
}

int report_map(json_t **out, const char *store, double confidence, struct diag *d)
{
    struct store *s;
    struct map m = {0};
    int rc = store_open(&s, store, false, d);
    if (rc != OK)
        return rc;
    m.campaign = store_campaign(s);
    if (!m.campaign)
        rc = diag_fail(d, ERR_INPUT, (struct loc){.file = store},
                       "a simulation, not a campaign of injections");
    if (rc == OK && store_is_exhaustive(m.campaign)) {
        confidence = 0;
        rc = store_each_tally(s, see_sum, &m, d);
    } else if (rc == OK) {
        rc = store_each(s, false, see, &m, d);
    }
    if (rc == OK) {
        lines_of_sources(&m);
        *out = json_pack("{s:o, s:o, s:o}", "lines", rows(&m, &m.lines, confidence), "registers",
                         rows(&m, &m.registers, confidence), "fates", fates(&m, confidence));
    }
    store_close(s, NULL);
    arena_fini(&m.a);
    return rc;
}
