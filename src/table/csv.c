/* Comma-separated values. Source: RFC 4180; lines may end with LF or CR alone, and the separator is the one of , ; tab | that
 * stands most often in the first line. The first record names the columns; all values are text. */
#include <stdlib.h>

#include "table/scan.h"

typedef struct {
    clo_scan *in;
    char delimiter;
    clo_buf field;
} csv;

/* Takes one field into c->field; *more: another follows in the record. */
static bool read_field(csv *c, bool *more, clo_err *err)
{
    int ch = clo_scan_next(c->in);
    c->field.len = 0;
    if (ch == '"') {
        while ((ch = clo_scan_next(c->in)) != EOF) {
            if (ch == '"' && clo_scan_peek(c->in) != '"') break;
            if (ch == '"') clo_scan_next(c->in);
            clo_buf_add_char(&c->field, (char)ch);
        }
        if (ch == EOF && !c->in->failed) return clo_fail_at(err, clo_scan_off(c->in), "the file ends inside quotes");
        ch = clo_scan_next(c->in); /* what follows the quotes belongs to the field, as it does for others */
    }
    while (ch != EOF && ch != c->delimiter && ch != '\n' && ch != '\r') {
        clo_buf_add_char(&c->field, (char)ch);
        ch = clo_scan_next(c->in);
    }
    if (ch == '\r' && clo_scan_peek(c->in) == '\n') clo_scan_next(c->in);
    *more = ch == c->delimiter;
    if (c->in->failed) return false;
    return !c->field.failed || clo_fail(err, CLO_ERR_LIMIT, "a value of more than %zu bytes", CLO_TABLE_LINE_BYTES_MAX);
}

/* The next record that is no empty line, appended to `row` (NULL: passed over). *found is false at the end. */
static bool read_record(csv *c, json_t *row, bool *found, clo_table_budget *b, clo_err *err)
{
    bool more = true;
    int ch;
    while ((ch = clo_scan_peek(c->in)) == '\n' || ch == '\r') clo_scan_next(c->in);
    *found = ch != EOF;
    if (!*found) return !c->in->failed;
    while (more) {
        if (!read_field(c, &more, err)) return false;
        if (!row) continue;
        if (b->cells == 0) return clo_fail(err, CLO_ERR_LIMIT, "more than %d values in these rows: ask for fewer", CLO_TABLE_CELLS_MAX);
        b->cells--;
        if (json_array_append_new(row, clo_table_text(clo_buf_str(&c->field), b)) != 0) return clo_fail(err, CLO_ERR_MEMORY, "rows");
    }
    return true;
}

/* The separator, by the first line as far as it is in memory. */
static char sniff(clo_scan *in)
{
    static const char known[] = {',', ';', '\t', '|'};
    size_t n[sizeof known] = {0}, best = 0;
    bool quoted = false;
    clo_scan_peek(in);
    for (size_t i = in->at; i < in->n && (quoted || (in->buf[i] != '\n' && in->buf[i] != '\r')); i++) {
        if (in->buf[i] == '"') quoted = !quoted;
        for (size_t k = 0; k < sizeof known; k++) n[k] += !quoted && in->buf[i] == known[k];
    }
    for (size_t k = 1; k < sizeof known; k++)
        if (n[k] > n[best]) best = k;
    return known[best];
}

/* As many values as there are columns. */
static void fit(json_t *row, size_t n, clo_table_budget *b)
{
    while (json_array_size(row) < n) json_array_append_new(row, json_null());
    if (json_array_size(row) > n) b->truncated = true;
    while (json_array_size(row) > n) json_array_remove(row, json_array_size(row) - 1);
}

static bool read_rows(clo_table_page *out, csv *c, uint64_t offset, uint64_t limit, clo_table_budget *b, clo_err *err)
{
    bool found = true;
    json_t *names = json_array();
    bool ok = read_record(c, names, &found, b, err);
    size_t n = json_array_size(names);
    if (ok && n > CLO_TABLE_COLUMNS_MAX) ok = clo_fail(err, CLO_ERR_LIMIT, "%zu columns, at most %d", n, CLO_TABLE_COLUMNS_MAX);
    for (size_t i = 0; ok && i < n; i++)
        json_array_append_new(out->columns, json_pack("{s:O, s:s}", "name", json_array_get(names, i), "type", "string"));
    json_decref(names);
    uint64_t i = 0;
    for (; ok && found && i < offset + limit; i += found) {
        json_t *row = i >= offset ? json_array() : NULL;
        ok = read_record(c, row, &found, b, err);
        if (ok && found && row) {
            fit(row, n, b);
            ok = json_array_append(out->rows, row) == 0 || clo_fail(err, CLO_ERR_MEMORY, "rows");
        }
        json_decref(row);
    }
    if (ok && (!found || clo_scan_peek(c->in) == EOF) && !c->in->failed) out->total = (int64_t)i;
    return ok;
}

bool clo_csv_read(clo_table_page *out, const clo_table_source *s, uint64_t offset, uint64_t limit, clo_err *err)
{
    csv c = {.field = {.max = CLO_TABLE_LINE_BYTES_MAX}};
    clo_table_budget b = {CLO_TABLE_CELLS_MAX, CLO_TABLE_SHOWN_BYTES_MAX, false};
    c.in = clo_scan_open(s, err);
    if (!c.in) return false;
    c.delimiter = sniff(c.in);
    out->columns = json_array();
    out->rows = json_array();
    if (offset > INT64_MAX / 2) offset = INT64_MAX / 2;
    bool ok = !c.in->failed && read_rows(out, &c, offset, limit, &b, err);
    out->truncated = b.truncated;
    clo_buf_free(&c.field);
    free(c.in);
    return ok;
}
