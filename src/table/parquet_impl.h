/* A Parquet file as its footer tells it, and the steps by which rows are read. Source: apache/parquet-format, README.md,
 * Encodings.md, LogicalTypes.md, parquet.thrift.
 *
 *   "PAR1", column chunks (pages, each a header in Thrift and a body), footer in Thrift, its length (u32), "PAR1"
 *
 *   parquet_meta.c    footer -> schema, row groups
 *   parquet_page.c    a column chunk's pages, one after another, decompressed
 *   parquet_decode.c  a page's levels and values, one after another
 *   parquet_value.c   a value as JSON
 *   parquet_rows.c    levels and values -> rows */
#ifndef CLO_TABLE_PARQUET_IMPL_H
#define CLO_TABLE_PARQUET_IMPL_H

#include "base/arena.h"
#include "base/buf.h"
#include "table/table_impl.h"

#define PQ_FOOTER_BYTES_MAX ((uint64_t)64 << 20)
#define PQ_NODES_MAX 10000                          /* of a schema */
#define PQ_DEPTH_MAX 24
#define PQ_GROUPS_MAX 100000
#define PQ_CHUNKS_MAX 4000000                       /* row groups x columns */
#define PQ_ARENA_BYTES_MAX ((size_t)256 << 20)
#ifdef CLO_SMALL_LIMITS
#define PQ_PAGE_BYTES_MAX ((uint64_t)1 << 20)
#define PQ_READ_BYTES_MAX ((uint64_t)2 << 20)
#define PQ_PAGES_MAX 100
#define PQ_VALUES_MAX ((uint64_t)20000)
#define PQ_AHEAD_BYTES ((size_t)64)
#else
#define PQ_PAGE_BYTES_MAX ((uint64_t)64 << 20)      /* of a page, before and after it is decompressed */
#define PQ_READ_BYTES_MAX ((uint64_t)256 << 20)     /* of all pages of a window, decompressed */
#define PQ_PAGES_MAX 200000                         /* headers that are read for a window */
#define PQ_VALUES_MAX ((uint64_t)64 << 20)         /* that are walked for a window */
#define PQ_AHEAD_BYTES ((size_t)64 << 10)           /* of the file, read at once for headers */
#endif

typedef enum { PQ_BOOL, PQ_INT32, PQ_INT64, PQ_INT96, PQ_FLOAT, PQ_DOUBLE, PQ_BYTES, PQ_FIXED, PQ_GROUP } pq_type;
typedef enum { PQ_REQUIRED, PQ_OPTIONAL, PQ_REPEATED } pq_repetition;

typedef enum {
    PQ_PLAIN_KIND, PQ_STRING, PQ_MAP, PQ_LIST, PQ_DECIMAL, PQ_DATE, PQ_TIME, PQ_TIMESTAMP, PQ_INT, PQ_UINT, PQ_UUID, PQ_FLOAT16, PQ_UNKNOWN,
} pq_logical;

typedef struct pq_node pq_node;
struct pq_node {
    clo_str name;
    pq_type type;
    int32_t width; /* bytes of PQ_FIXED */
    pq_repetition repetition;
    pq_logical logical;
    int32_t scale, bits;   /* of decimals; of integers */
    int unit;              /* of times: 3, 6 or 9 decimals of a second */
    bool utc;
    uint16_t max_def, max_rep;
    size_t n_children;
    pq_node **children;    /* [n_children] */
    size_t first_leaf, n_leaves; /* the columns of this subtree */
};

typedef struct {
    int32_t codec;
    uint64_t off, bytes; /* of its pages in the file */
    uint64_t n_values;
} pq_chunk;

typedef struct {
    uint64_t n_rows;
    pq_chunk *chunks; /* [n_leaves] */
} pq_group;

typedef struct {
    pq_node *root;
    pq_node **leaves; /* [n_leaves] */
    size_t n_leaves;
    pq_group *groups; /* [n_groups] */
    size_t n_groups;
    uint64_t n_rows;
    clo_arena arena;  /* owned */
} pq_file;

CLO_CHECK bool pq_open(pq_file *out, const clo_table_source *s, clo_err *err);
void pq_close(pq_file *f);

/* --- pages --------------------------------------------------------------------------------------------------------*/

/* What one window may cost. */
typedef struct {
    uint64_t bytes, values;
    size_t pages;
} pq_cost;

typedef struct {
    uint64_t n_values, n_rows; /* n_rows: only when has_rows */
    bool has_rows, is_v2;
    int32_t encoding, def_encoding, rep_encoding;
    clo_bytes reps, defs, values; /* v2: three; v1: all in values. Empty until the body was read */
    uint64_t body_off, stored, raw; /* bytes in the file, and decompressed */
    uint32_t def_len, rep_len;      /* v2 */
    bool compressed;                /* v2 */
} pq_page;

typedef struct {
    const clo_table_source *s;
    const pq_chunk *chunk;
    pq_cost *cost;
    uint64_t at, end;          /* in the file */
    uint8_t *body, *stored;    /* owned */
    uint8_t *dict_body;        /* owned */
    clo_bytes dict;            /* of the dictionary page; PLAIN values */
    uint64_t n_dict;
    bool has_dict;
    uint8_t *ahead;            /* owned: bytes of the file [ahead_off, ahead_off + ahead_n) */
    uint64_t ahead_off;
    size_t ahead_n;
} pq_pages;

void pq_pages_open(pq_pages *out, const clo_table_source *s, const pq_chunk *c, pq_cost *cost);
/* The next page of data, its header alone. *found is false after the last. A dictionary on the way is read. */
CLO_CHECK bool pq_pages_next(pq_page *out, bool *found, pq_pages *p, clo_err *err);
CLO_CHECK bool pq_pages_body(pq_page *page, pq_pages *p, clo_err *err);
void pq_pages_close(pq_pages *p);

/* Exactly `raw` bytes or an error. */
CLO_CHECK bool pq_decompress(uint8_t *out, size_t raw, int32_t codec, clo_bytes in, clo_err *err);

/* --- values -------------------------------------------------------------------------------------------------------*/

/* Runs of one value and bit-packed groups of eight. After the end: bad. */
typedef struct {
    const uint8_t *at, *end;
    unsigned width;  /* bits, at most 32 */
    uint64_t repeat; /* values left of a run */
    uint32_t value;
    uint64_t packed; /* values left of bit-packed groups */
    uint64_t bit;    /* of the next one, from at */
    bool bad;
} pq_rle;

void pq_rle_open(pq_rle *r, clo_bytes in, unsigned width);
uint32_t pq_rle_next(pq_rle *r);
void pq_rle_skip(pq_rle *r, uint64_t n);

typedef struct {
    const uint8_t *at, *end;
    uint64_t block, n_mini, per_mini, left; /* left: values still to come */
    uint64_t value;
    int64_t min_delta;
    const uint8_t *widths;
    uint64_t i_mini, in_mini, bit; /* where it stands in the block */
    bool first, bad;
} pq_delta;

/* One value; of which the column's type tells. */
typedef struct {
    uint64_t u;  /* BOOL, INT32, INT64, FLOAT, DOUBLE: its bits */
    clo_bytes b; /* BYTES, FIXED, INT96; until the next call */
} pq_value;

typedef struct {
    const pq_node *leaf;
    int32_t encoding;
    clo_bytes in; /* what is left, of PLAIN */
    uint64_t bit; /* PLAIN bool */
    pq_rle rle;
    pq_delta delta, prefixes;
    const pq_value *dict; /* borrowed [n_dict] */
    uint64_t n_dict, i, n; /* BYTE_STREAM_SPLIT: index and number */
    clo_buf last; /* owned: DELTA_BYTE_ARRAY */
} pq_values;

CLO_CHECK bool pq_values_open(pq_values *out, const pq_node *leaf, int32_t encoding, clo_bytes in, const pq_value *dict, uint64_t n_dict,
                              clo_err *err);
CLO_CHECK bool pq_values_next(pq_value *out, pq_values *v, clo_err *err);
void pq_values_close(pq_values *v);

json_t *pq_json(const pq_node *leaf, const pq_value *v, clo_table_budget *b);
/* "int64", "string", "list<float>", "struct<bytes: binary, path: string>" */
void pq_type_name(clo_buf *out, const pq_node *n);
/* Of a LIST (or a MAP, a list of keys and values): what its array has; *repeated is the node over which it repeats. NULL when n is no list. */
const pq_node *pq_list_element(const pq_node *n, const pq_node **repeated);

#endif
