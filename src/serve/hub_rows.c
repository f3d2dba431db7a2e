/* Rows of a file that holds a table. */
#include "hub/content.h"
#include "serve/hub_handlers.h"
#include "table/table.h"

#define ROWS 100

static bool read_some(void *ctx, uint64_t off, void *buf, size_t n, clo_err *err)
{
    return clo_content_read((const clo_content *)ctx, off, buf, n, err);
}

void clo_hub_rows(clo_hub_call *c)
{
    clo_entry e;
    clo_oid commit;
    clo_err err = {0};
    clo_content f = {0};
    clo_table_page p = {0};
    clo_table_format format = clo_table_format_of(c->a.rest);
    if (!clo_hub_find_entry(&e, &commit, c)) return;
    if (format == CLO_TABLE_NONE) {
        clo_hub_fail(c, 400, "UnsupportedFile", "files that end in .parquet, .csv, .tsv, .json, .jsonl or .ndjson have rows");
        return;
    }
    uint64_t offset = (uint64_t)clo_hub_number(c, "offset", 0, INT64_MAX / 2, 0);
    uint64_t limit = (uint64_t)clo_hub_number(c, "limit", 0, CLO_TABLE_ROWS_MAX, ROWS);
    if (!clo_content_open(&f, &c->files, c->git, &e, &err)) {
        clo_hub_fail_err(c, &err);
        return;
    }
    clo_table_source s = {.read = read_some, .ctx = &f, .size = f.size};
    if (clo_table_read(&p, format, &s, offset, limit, &err))
        clo_hub_json(c, 200, json_pack("{s:s, s:O, s:O, s:o, s:b}", "format", clo_table_format_name(format), "columns", p.columns, "rows", p.rows,
                                       "total", p.total >= 0 ? json_integer(p.total) : json_null(), "truncated", p.truncated));
    else clo_hub_fail_err(c, &err);
    clo_table_page_free(&p);
    clo_content_close(&f);
}
