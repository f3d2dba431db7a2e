/* The footer of a Parquet file. See parquet_impl.h. */
#include <stdlib.h>

#include "base/check.h"
#include "base/cursor.h"
#include "table/parquet_impl.h"
#include "table/thrift.h"

/* --- schema -------------------------------------------------------------------------------------------------------*/

/* An element of the flat list, in depth-first order. */
typedef struct {
    pq_node node;
    int64_t n_children;
    bool has_type;
} element;

static void read_decimal(element *e, clo_thrift *t)
{
    clo_thrift_field f = {0};
    while (clo_thrift_next(t, &f))
        if (f.id == 1 && f.type == CLO_THRIFT_I32) e->node.scale = (int32_t)clo_thrift_int(t);
        else clo_thrift_skip(t, f.type, 0);
}

static void read_time(element *e, clo_thrift *t)
{
    clo_thrift_field f = {0}, u = {0};
    while (clo_thrift_next(t, &f)) {
        if (f.id == 1 && (f.type == CLO_THRIFT_TRUE || f.type == CLO_THRIFT_FALSE)) e->node.utc = f.type == CLO_THRIFT_TRUE;
        else if (f.id == 2 && f.type == CLO_THRIFT_STRUCT) {
            for (u = (clo_thrift_field){0}; clo_thrift_next(t, &u); clo_thrift_skip(t, u.type, 0))
                if (u.id >= 1 && u.id <= 3) e->node.unit = 3 * u.id;
        } else clo_thrift_skip(t, f.type, 0);
    }
}

static void read_integer(element *e, clo_thrift *t)
{
    clo_thrift_field f = {0};
    e->node.logical = PQ_INT;
    while (clo_thrift_next(t, &f)) {
        if (f.id == 1 && f.type == CLO_THRIFT_BYTE && t->at < t->end) e->node.bits = *t->at++;
        else if (f.id == 2 && f.type == CLO_THRIFT_FALSE) e->node.logical = PQ_UINT;
        else clo_thrift_skip(t, f.type, 0);
    }
}

static void read_logical(element *e, clo_thrift *t)
{
    static const uint8_t kinds[] = {[1] = PQ_STRING, [2] = PQ_MAP,   [3] = PQ_LIST,    [4] = PQ_STRING, [5] = PQ_DECIMAL, [6] = PQ_DATE, [7] = PQ_TIME,
                                    [8] = PQ_TIMESTAMP, [10] = PQ_INT, [11] = PQ_UNKNOWN, [12] = PQ_STRING, [14] = PQ_UUID,  [15] = PQ_FLOAT16};
    clo_thrift_field f = {0};
    while (clo_thrift_next(t, &f)) {
        if (f.type != CLO_THRIFT_STRUCT) {
            clo_thrift_skip(t, f.type, 0);
            continue;
        }
        if ((size_t)f.id < sizeof kinds && kinds[f.id]) e->node.logical = (pq_logical)kinds[f.id];
        if (f.id == 5) read_decimal(e, t);
        else if (f.id == 7 || f.id == 8) read_time(e, t);
        else if (f.id == 10) read_integer(e, t);
        else clo_thrift_skip(t, f.type, 0);
    }
}

/* The older way to say it, for files without logicalType. */
static void take_converted(element *e, int64_t c)
{
    pq_node *n = &e->node;
    if (n->logical != PQ_PLAIN_KIND) return;
    switch (c) {
    case 0: case 4: case 19: n->logical = PQ_STRING; break;
    case 1: case 2: n->logical = PQ_MAP; break;
    case 3: n->logical = PQ_LIST; break;
    case 5: n->logical = PQ_DECIMAL; break;
    case 6: n->logical = PQ_DATE; break;
    case 7: case 8: n->logical = PQ_TIME; n->unit = c == 7 ? 3 : 6; n->utc = true; break;
    case 9: case 10: n->logical = PQ_TIMESTAMP; n->unit = c == 9 ? 3 : 6; n->utc = true; break;
    case 11: case 12: case 13: case 14: n->logical = PQ_UINT; n->bits = 8 << (c - 11); break;
    case 15: case 16: case 17: case 18: n->logical = PQ_INT; n->bits = 8 << (c - 15); break;
    default: break;
    }
}

static void read_element(element *e, clo_thrift *t)
{
    clo_thrift_field f = {0};
    int64_t converted = -1, v;
    int32_t scale = 0;
    while (clo_thrift_next(t, &f)) {
        if (f.id == 4 && f.type == CLO_THRIFT_BINARY) e->node.name = clo_thrift_text(t);
        else if (f.id == 10 && f.type == CLO_THRIFT_STRUCT) read_logical(e, t);
        else if (f.type != CLO_THRIFT_I32) clo_thrift_skip(t, f.type, 0);
        else {
            v = clo_thrift_int(t);
            if (f.id == 1) {
                e->has_type = true;
                if (v < PQ_BOOL || v > PQ_FIXED) t->bad = true;
                else e->node.type = (pq_type)v;
            } else if (f.id == 2) e->node.width = v > 0 && v <= 1 << 20 ? (int32_t)v : 0;
            else if (f.id == 3) {
                if (v < PQ_REQUIRED || v > PQ_REPEATED) t->bad = true;
                else e->node.repetition = (pq_repetition)v;
            } else if (f.id == 5) e->n_children = v;
            else if (f.id == 6) converted = v;
            else if (f.id == 7) scale = (int32_t)v;
        }
    }
    take_converted(e, converted);
    if (scale) e->node.scale = scale;
}

/* Makes the tree below elements[*i]. */
static pq_node *grow(pq_file *f, element *elements, size_t n, size_t *i, const pq_node *parent, int depth, clo_err *err)
{
    if (*i >= n || depth > PQ_DEPTH_MAX) {
        if (depth > PQ_DEPTH_MAX) clo_fail(err, CLO_ERR_LIMIT, "a schema of more than %d levels", PQ_DEPTH_MAX);
        else clo_fail(err, CLO_ERR_FORMAT, "a schema that ends early");
        return NULL;
    }
    element *e = &elements[(*i)++];
    pq_node *node = &e->node;
    bool optional = parent && node->repetition == PQ_OPTIONAL, repeated = parent && node->repetition == PQ_REPEATED;
    if (!parent) node->repetition = PQ_REQUIRED;
    node->max_def = (uint16_t)((parent ? parent->max_def : 0) + (optional || repeated));
    node->max_rep = (uint16_t)((parent ? parent->max_rep : 0) + repeated);
    node->first_leaf = f->n_leaves;
    if (e->n_children > 0 || !parent) {
        node->type = PQ_GROUP;
        if (e->n_children < 0 || (uint64_t)e->n_children > n) {
            clo_fail(err, CLO_ERR_FORMAT, "a group of %lld fields in a schema of %zu", (long long)e->n_children, n);
            return NULL;
        }
        node->n_children = (size_t)e->n_children;
        node->children = CLO_NEW(&f->arena, pq_node *, node->n_children);
        if (!node->children) {
            clo_arena_full(&f->arena, err);
            return NULL;
        }
        for (size_t k = 0; k < node->n_children; k++)
            if (!(node->children[k] = grow(f, elements, n, i, node, depth + 1, err))) return NULL;
    } else {
        if (!e->has_type || (node->type == PQ_FIXED && node->width == 0)) {
            clo_fail(err, CLO_ERR_FORMAT, "field '%.*s' has no type", (int)(node->name.len > 100 ? 100 : node->name.len), node->name.ptr);
            return NULL;
        }
        f->leaves[f->n_leaves++] = node;
    }
    node->n_leaves = f->n_leaves - node->first_leaf;
    return node;
}

static bool read_schema(pq_file *f, clo_thrift *t, clo_err *err)
{
    size_t n = clo_thrift_list(t, CLO_THRIFT_STRUCT), i = 0;
    if (f->root) return clo_fail(err, CLO_ERR_FORMAT, "two schemas");
    if (n > PQ_NODES_MAX) return clo_fail(err, CLO_ERR_LIMIT, "a schema of %zu fields, at most %d", n, PQ_NODES_MAX);
    element *elements = CLO_NEW(&f->arena, element, n);
    f->leaves = CLO_NEW(&f->arena, pq_node *, n);
    if (!elements || !f->leaves) return clo_arena_full(&f->arena, err);
    for (size_t k = 0; k < n && !t->bad; k++) read_element(&elements[k], t);
    if (t->bad) return true;
    f->root = grow(f, elements, n, &i, NULL, 0, err);
    if (!f->root) return false;
    return i == n || clo_fail(err, CLO_ERR_FORMAT, "%zu fields of %zu belong to the schema", i, n);
}

/* --- row groups ---------------------------------------------------------------------------------------------------*/

static void read_chunk_meta(pq_chunk *c, clo_thrift *t)
{
    clo_thrift_field f = {0};
    int64_t data = -1, dict = -1, bytes = -1, n = -1, v;
    c->codec = -1;
    while (clo_thrift_next(t, &f)) {
        if (f.type != CLO_THRIFT_I64 && f.type != CLO_THRIFT_I32) {
            clo_thrift_skip(t, f.type, 0);
            continue;
        }
        v = clo_thrift_int(t);
        if (f.id == 4) c->codec = (int32_t)v;
        else if (f.id == 5) n = v;
        else if (f.id == 7) bytes = v;
        else if (f.id == 9) data = v;
        else if (f.id == 11) dict = v;
    }
    int64_t begin = dict > 0 && dict < data ? dict : data;
    if (begin < 0 || bytes < 0 || n < 0) t->bad = true;
    if (t->bad) return;
    c->off = (uint64_t)begin;
    c->bytes = (uint64_t)bytes;
    c->n_values = (uint64_t)n;
}

static void read_chunk(pq_chunk *c, clo_thrift *t)
{
    clo_thrift_field f = {0};
    bool found = false;
    while (clo_thrift_next(t, &f))
        if (f.id == 3 && f.type == CLO_THRIFT_STRUCT) {
            read_chunk_meta(c, t);
            found = true;
        } else clo_thrift_skip(t, f.type, 0);
    if (!found) t->bad = true;
}

static bool read_group(pq_group *g, pq_file *file, uint64_t size, clo_thrift *t, clo_err *err)
{
    clo_thrift_field f = {0};
    int64_t n_rows = -1;
    while (clo_thrift_next(t, &f)) {
        if (f.id == 1 && f.type == CLO_THRIFT_LIST) {
            size_t n = clo_thrift_list(t, CLO_THRIFT_STRUCT);
            if (t->bad) return true;
            if (n != file->n_leaves) return clo_fail(err, CLO_ERR_FORMAT, "a row group of %zu columns, expected %zu", n, file->n_leaves);
            g->chunks = CLO_NEW(&file->arena, pq_chunk, n);
            if (!g->chunks) return clo_arena_full(&file->arena, err);
            for (size_t i = 0; i < n && !t->bad; i++) read_chunk(&g->chunks[i], t);
        } else if (f.id == 3 && f.type == CLO_THRIFT_I64) n_rows = clo_thrift_int(t);
        else clo_thrift_skip(t, f.type, 0);
    }
    if (t->bad) return true;
    if (n_rows < 0 || !g->chunks) return clo_fail(err, CLO_ERR_FORMAT, "a row group without rows or columns");
    g->n_rows = (uint64_t)n_rows;
    for (size_t i = 0; i < file->n_leaves; i++)
        if (g->chunks[i].off > size || g->chunks[i].bytes > size - g->chunks[i].off)
            return clo_fail(err, CLO_ERR_FORMAT, "a column of %llu bytes at %llu, the file has %llu", (unsigned long long)g->chunks[i].bytes,
                            (unsigned long long)g->chunks[i].off, (unsigned long long)size);
    return true;
}

static bool read_groups(pq_file *f, uint64_t size, clo_thrift *t, clo_err *err)
{
    size_t n = clo_thrift_list(t, CLO_THRIFT_STRUCT), cells;
    if (f->groups || !f->root) return t->bad || clo_fail(err, CLO_ERR_FORMAT, "row groups before the schema, or twice");
    if (n > PQ_GROUPS_MAX || !clo_mul(n, f->n_leaves, &cells) || cells > PQ_CHUNKS_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "%zu row groups of %zu columns, at most %d and %d of both", n, f->n_leaves, PQ_GROUPS_MAX, PQ_CHUNKS_MAX);
    f->groups = CLO_NEW(&f->arena, pq_group, n);
    if (!f->groups) return clo_arena_full(&f->arena, err);
    for (; f->n_groups < n && !t->bad; f->n_groups++)
        if (!read_group(&f->groups[f->n_groups], f, size, t, err)) return false;
    return true;
}

/* --- the footer ---------------------------------------------------------------------------------------------------*/

static bool read_footer(pq_file *f, clo_bytes in, uint64_t at, uint64_t size, clo_err *err)
{
    clo_thrift t = {.at = in.ptr, .end = in.ptr + in.len};
    clo_thrift_field field = {0};
    while (clo_thrift_next(&t, &field)) {
        bool ok = true;
        if (field.id == 2 && field.type == CLO_THRIFT_LIST) ok = read_schema(f, &t, err);
        else if (field.id == 4 && field.type == CLO_THRIFT_LIST) ok = read_groups(f, size, &t, err);
        else if (field.id == 8) return clo_fail(err, CLO_ERR_UNSUPPORTED, "an encrypted Parquet file");
        else clo_thrift_skip(&t, field.type, 0);
        if (!ok) return false;
    }
    if (t.bad) return clo_fail_at(err, at, "the footer of a Parquet file is no Thrift, or not what it should be");
    if (!f->root) return clo_fail_at(err, at, "a footer without schema");
    for (size_t i = 0; i < f->n_groups; i++)
        if (__builtin_add_overflow(f->n_rows, f->groups[i].n_rows, &f->n_rows) || f->n_rows > INT64_MAX)
            return clo_fail_at(err, at, "more rows than can be counted");
    return true;
}

bool pq_open(pq_file *out, const clo_table_source *s, clo_err *err)
{
    pq_file f = {.arena = clo_arena_make(PQ_ARENA_BYTES_MAX)};
    uint8_t tail[8];
    if (s->size < 12) return clo_fail_at(err, 0, "%llu bytes are no Parquet file, which has 12 at least", (unsigned long long)s->size);
    if (!s->read(s->ctx, s->size - 8, tail, 8, err)) return false;
    if (memcmp(tail + 4, "PARE", 4) == 0) return clo_fail(err, CLO_ERR_UNSUPPORTED, "an encrypted Parquet file");
    if (memcmp(tail + 4, "PAR1", 4) != 0) return clo_fail_at(err, s->size - 4, "no Parquet file: it does not end with PAR1");
    uint64_t n = clo_load_le32(tail);
    if (n > s->size - 12) return clo_fail_at(err, s->size - 8, "a footer of %llu bytes in a file of %llu", (unsigned long long)n, (unsigned long long)s->size);
    if (n > PQ_FOOTER_BYTES_MAX) return clo_fail(err, CLO_ERR_LIMIT, "a footer of %llu bytes, at most %llu", (unsigned long long)n, (unsigned long long)PQ_FOOTER_BYTES_MAX);
    uint8_t *in = (uint8_t *)clo_arena_alloc(&f.arena, (size_t)n);
    bool ok = in || clo_arena_full(&f.arena, err);
    ok = ok && s->read(s->ctx, s->size - 8 - n, in, (size_t)n, err) && read_footer(&f, (clo_bytes){in, (size_t)n}, s->size - 8 - n, s->size, err);
    if (ok) *out = f;
    else pq_close(&f);
    return ok;
}

void pq_close(pq_file *f)
{
    clo_arena_free(&f->arena);
    *f = (pq_file){0};
}
