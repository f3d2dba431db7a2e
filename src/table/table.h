/* Windows of rows of files that hold tables: Parquet, CSV, JSON, JSON Lines.
 *
 *   clo_table_source s = {.read = read_some, .ctx = file, .size = n};
 *   clo_table_page p = {0};
 *   if (!clo_table_read(&p, clo_table_format_of(path), &s, offset, limit, &err)) ...
 *   clo_table_page_free(&p);
 *
 * Of a Parquet file no more is read than its footer and the pages that the window lies in; the others are read from their
 * beginning to the window's end. Bytes are a stranger's: each limit below is an error or, where something can be shown
 * without it, `truncated`. */
#ifndef CLO_TABLE_TABLE_H
#define CLO_TABLE_TABLE_H

#include "base/err.h"
#include "base/json.h"
#include "base/slice.h"

#define CLO_TABLE_ROWS_MAX 1000             /* of a window */
#define CLO_TABLE_COLUMNS_MAX 2000
#define CLO_TABLE_TEXT_BYTES_MAX 20000      /* of one text that are shown */
#define CLO_TABLE_CELLS_MAX 1000000         /* values of a window, nested ones too */
#define CLO_TABLE_SHOWN_BYTES_MAX (8u << 20) /* of all texts of a window; what is more is cut */
#define CLO_TABLE_SCAN_BYTES_MAX ((uint64_t)256 << 20) /* of a file of text that are walked for one window */
#define CLO_TABLE_LINE_BYTES_MAX ((size_t)16 << 20)    /* of one record of a file of text */

typedef struct {
    /* Bytes [off, off + n), which are inside [0, size). */
    bool (*read)(void *ctx, uint64_t off, void *buf, size_t n, clo_err *err);
    void *ctx;
    uint64_t size;
} clo_table_source;

typedef enum { CLO_TABLE_NONE, CLO_TABLE_PARQUET, CLO_TABLE_CSV, CLO_TABLE_JSON, CLO_TABLE_JSONL } clo_table_format;
clo_table_format clo_table_format_of(clo_str path); /* by the end of its name */
const char *clo_table_format_name(clo_table_format f);

typedef struct {
    json_t *columns; /* owned: [{"name", "type"}] */
    json_t *rows;    /* owned: an array of values for each */
    int64_t total;   /* rows of the file; -1: not known */
    bool truncated;  /* something was cut */
} clo_table_page;

CLO_CHECK bool clo_table_read(clo_table_page *out, clo_table_format f, const clo_table_source *s, uint64_t offset, uint64_t limit,
                              clo_err *err);
void clo_table_page_free(clo_table_page *p);

#endif
