/* The document -> one HTML file that needs nothing else. The page's own parts are embedded when
 * building (part.cmake); the document goes in as compressed JSON, which page.js shows. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "report/doc.h"
#include "report/page.h"
#include "report/priv.h"

/* Text between tags or in a quoted attribute. */
static void escaped(struct sink *s, const char *text)
{
    for (; *text; text++) {
        const char *entity = *text == '<'    ? "&lt;"
                             : *text == '>'  ? "&gt;"
                             : *text == '&'  ? "&amp;"
                             : *text == '"'  ? "&quot;"
                             : *text == '\'' ? "&#39;"
                                             : NULL;
        sink_bytes(s, entity ? entity : text, entity ? strlen(entity) : 1);
    }
}

/* The document as the page reads it: deflated (it repeats itself a lot: a study of 240 cells is 2 MB of JSON)
 * and in base64, which needs no escaping inside <script>. */
static bool data(struct sink *s, const json_t *report)
{
    char *text = json_dumps(report, JSON_COMPACT | JSON_REAL_PRECISION(6));
    uLong len = text ? (uLong)strlen(text) : 0;
    uLongf packed_len = compressBound(len);
    Bytef *packed = malloc(packed_len);
    bool ok = text && packed &&
              compress2(packed, &packed_len, (const Bytef *)text, len, Z_BEST_COMPRESSION) == Z_OK;
    if (ok)
        sink_base64(s, packed, packed_len);
    free(packed);
    free(text);
    return ok;
}

/* For readers without JavaScript: the terminal's table. */
static bool plain(struct sink *s, const json_t *report)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    if (!f)
        return false;
    report_terminal(f, report, false);
    bool ok = fclose(f) == 0;
    if (ok)
        escaped(s, text);
    free(text);
    return ok;
}

static bool fill(struct sink *s, const char *name, size_t len, const json_t *report)
{
    const struct {
        const char *name, *text;
    } parts[] = {{"css", page_css}, {"chart", page_chart}, {"page", page_js}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strlen(parts[i].name) == len && memcmp(parts[i].name, name, len) == 0) {
            sink_text(s, parts[i].text);
            return true;
        }
    if (len == 5 && memcmp(name, "title", len) == 0) {
        escaped(s, doc_text(report, "title"));
        return true;
    }
    return name[0] == 'd' ? data(s, report) : plain(s, report);
}

int report_html(const char *path, const json_t *report, struct diag *d)
{
    struct sink s = {0};
    bool ok = true;
    for (const char *p = page_html; *p && ok;) {
        const char *open = strstr(p, "{{"), *close = open ? strstr(open, "}}") : NULL;
        sink_bytes(&s, p, close ? (size_t)(open - p) : strlen(p));
        if (!close)
            break;
        ok = fill(&s, open + 2, (size_t)(close - open) - 2, report);
        p = close + 2;
    }
    int rc = ok ? file_write(path, s.p, s.len, d)
                : diag_fail(d, ERR_NOMEM, (struct loc){.file = path}, "out of memory");
    sink_free(&s);
    return rc;
}
