/* See table.h. */
#include "table/table_impl.h"

#include <math.h>

#include "base/utf8.h"

static const struct {
    const char *end;
    clo_table_format format;
} endings[] = {{".parquet", CLO_TABLE_PARQUET}, {".csv", CLO_TABLE_CSV},    {".tsv", CLO_TABLE_CSV},
               {".jsonl", CLO_TABLE_JSONL},     {".ndjson", CLO_TABLE_JSONL}, {".json", CLO_TABLE_JSON}};

clo_table_format clo_table_format_of(clo_str path)
{
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (clo_str_ends_with(path, clo_str_from(endings[i].end))) return endings[i].format;
    return CLO_TABLE_NONE;
}

const char *clo_table_format_name(clo_table_format f)
{
    static const char *const names[] = {"", "parquet", "csv", "json", "jsonl"};
    return names[f];
}

json_t *clo_table_text(clo_str s, clo_table_budget *b)
{
    size_t max = b->bytes < CLO_TABLE_TEXT_BYTES_MAX ? b->bytes : CLO_TABLE_TEXT_BYTES_MAX;
    if (s.len > max) {
        b->truncated = true;
        s.len = max;
        s.len -= clo_utf8_incomplete_tail(s);
    }
    b->bytes -= s.len;
    return clo_json_text(s);
}

json_t *clo_table_number(double v)
{
    if (isnan(v)) return json_string("NaN");
    if (isinf(v)) return json_string(v > 0 ? "Infinity" : "-Infinity");
    return json_real(v);
}

bool clo_table_read(clo_table_page *out, clo_table_format f, const clo_table_source *s, uint64_t offset, uint64_t limit, clo_err *err)
{
    clo_table_page p = {.total = -1};
    bool ok = false;
    if (limit > CLO_TABLE_ROWS_MAX) limit = CLO_TABLE_ROWS_MAX;
    switch (f) {
    case CLO_TABLE_PARQUET: ok = clo_parquet_read(&p, s, offset, limit, err); break;
    case CLO_TABLE_CSV: ok = clo_csv_read(&p, s, offset, limit, err); break;
    case CLO_TABLE_JSON:
    case CLO_TABLE_JSONL: ok = clo_json_rows_read(&p, s, offset, limit, err); break;
    case CLO_TABLE_NONE: ok = clo_fail(err, CLO_ERR_UNSUPPORTED, "no table that is known"); break;
    }
    if (ok) *out = p;
    else clo_table_page_free(&p);
    return ok;
}

void clo_table_page_free(clo_table_page *p)
{
    json_decref(p->columns);
    json_decref(p->rows);
    *p = (clo_table_page){0};
}
