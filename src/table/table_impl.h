/* What the readers of tables share. */
#ifndef CLO_TABLE_TABLE_IMPL_H
#define CLO_TABLE_TABLE_IMPL_H

#include "table/table.h"

/* What may still be shown. */
typedef struct {
    size_t cells, bytes;
    bool truncated;
} clo_table_budget;

/* A text, cut at a character where it is too long. */
json_t *clo_table_text(clo_str s, clo_table_budget *b);
/* JSON has no names for these: "NaN", "Infinity", "-Infinity". */
json_t *clo_table_number(double v);

CLO_CHECK bool clo_parquet_read(clo_table_page *out, const clo_table_source *s, uint64_t offset, uint64_t limit, clo_err *err);
CLO_CHECK bool clo_csv_read(clo_table_page *out, const clo_table_source *s, uint64_t offset, uint64_t limit, clo_err *err);
CLO_CHECK bool clo_json_rows_read(clo_table_page *out, const clo_table_source *s, uint64_t offset, uint64_t limit, clo_err *err);

#endif
