/* docs/ISA.md is what the table says. With --write: make it so. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "ptx/insn.h"

static const char *type_name(enum ptx_type t)
{
    static const char *const names[] = {
        [PTX_T_no] = "",     [PTX_T_p] = "pred",   [PTX_T_u8] = "u8",   [PTX_T_s8] = "s8",
        [PTX_T_h] = "f16",   [PTX_T_h2] = "f16x2", [PTX_T_bf] = "bf16", [PTX_T_bf2] = "bf16x2",
        [PTX_T_u16] = "u16", [PTX_T_s16] = "s16",  [PTX_T_u32] = "u32", [PTX_T_s32] = "s32",
        [PTX_T_u64] = "u64", [PTX_T_s64] = "s64",  [PTX_T_f32] = "f32", [PTX_T_f64] = "f64",
    };
    return names[t];
}

static void print_mods(FILE *f, uint32_t mods)
{
    fputs(mods & PTX_MOD_FTZ ? " .ftz" : "", f);
    fputs(mods & PTX_MOD_SAT ? " .sat" : "", f);
    fputs(mods & PTX_MOD_ROUND ? " .rn .rz .rm .rp" : "", f);
    fputs(mods & PTX_MOD_APPROX ? " .approx .full" : "", f);
}

/* A bar would end the cell. */
static void print_cell(FILE *f, const char *text)
{
    for (; *text; text++)
        fputs(*text == '|' ? "\\|" : (char[]){*text, 0}, f);
}

static const char *group_name(const struct ptx_row *row)
{
    return row->out == PTX_T_p ? vocab_word(&vocab_groups, GROUP_PR)
                               : vocab_group_word((int)row->group);
}

static void print_doc(FILE *f)
{
    fputs("# Instructions\n\nMade from `src/ptx/isa.def` by `tests/isa/test_doc.c --write`; a test "
          "holds the two equal.\n"
          "`a` `b` `c` are the operands of a lane, `W` the width of `a` in bits, `A` and `O` the "
          "types of `a` and of\n"
          "the result. What is not here is refused when a module is loaded, by instruction, file, "
          "line and column.\n\n"
          "## One value per lane\n\n| instruction | result | operands | group | folded | modifiers "
          "| meaning |\n"
          "| --- | --- | --- | --- | --- | --- | --- |\n",
          f);
    for (int i = 0; i < PTX_N_OPS; i++) {
        const struct ptx_row *row = &ptx_rows[i];
        if (row->shape != PTX_SHAPE_LANES)
            continue;
        fprintf(f, "| `%s` | %s |", row->key, type_name(row->out));
        for (int n = 0; n < 3; n++)
            fprintf(f, " %s", type_name(row->in[n]));
        fprintf(f, " | %s | %s |", group_name(row), row->folded ? "yes" : "");
        print_mods(f, row->mods);
        fputs(" | `", f);
        print_cell(f, row->meaning);
        fputs("` |\n", f);
    }
    fputs("\n## Memory, control, other lanes\n\n| instruction | group | folded | meaning |\n| --- "
          "| --- | --- | --- |\n",
          f);
    for (int i = 0; i < PTX_N_OPS; i++)
        if (ptx_rows[i].shape != PTX_SHAPE_LANES)
            fprintf(f, "| `%s` | %s | %s | %s |\n", ptx_rows[i].key, group_name(&ptx_rows[i]),
                    ptx_rows[i].folded ? "yes" : "", ptx_rows[i].meaning);
    fputs("\n## Special registers\n\n", f);
    static const char *const specials[] = {
#define X(id, name, type) name,
#include "ptx/special.def"
#undef X
    };
    for (int i = 0; i < PTX_N_SPECIALS; i++)
        if (specials[i][0] == '%') /* others cannot be written */
            fprintf(f, "%s`%s`", i ? ", " : "", specials[i]);
    fputs("\n", f);
}

int main(int argc, char **argv)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    struct arena a = {0};
    struct text have;
    struct diag d = {0};
    const char *path = TEST_SOURCE_DIR "/docs/ISA.md";
    if (!f)
        return 1;
    print_doc(f);
    fclose(f);
    int rc = 0;
    if (argc > 1 && strcmp(argv[1], "--write") == 0) {
        rc = file_write(path, text, len, &d) != OK;
    } else if (file_read(&have, &a, path, 1 << 24, &d) != OK || have.len != len ||
               memcmp(have.ptr, text, len) != 0) {
        fprintf(stderr,
                "docs/ISA.md is not what src/ptx/isa.def says; run this program with --write\n");
        rc = 1;
    }
    arena_fini(&a);
    free(text);
    return rc;
}
