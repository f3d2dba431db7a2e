/* See terms.h. */
#include "hub/terms.h"

#include <stdlib.h>

#include "base/cursor.h"
#include "hub/files_impl.h"

/* --- records ------------------------------------------------------------------------------------------------------*/

static void store_le32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

void clo_file_term_pack(uint8_t out[CLO_FILE_TERM], const clo_file_term *t)
{
    memcpy(out, t->xorb.b, 32);
    store_le32(out + 32, t->raw_bytes);
    store_le32(out + 36, t->start);
    store_le32(out + 40, t->end);
}

clo_file_term clo_file_term_unpack(const uint8_t in[CLO_FILE_TERM])
{
    clo_file_term t = {
        .raw_bytes = clo_load_le32(in + 32), .start = clo_load_le32(in + 36), .end = clo_load_le32(in + 40)};
    memcpy(t.xorb.b, in, 32);
    return t;
}

bool clo_terms_get(clo_terms *out, const clo_files *f, const clo_xet_hash *xet, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    char hex[65];
    *out = (clo_terms){0};
    clo_xet_hash_text(hex, xet);
    bool ok = clo_stmt_open(&q, f->db, "SELECT size, terms FROM xet_files WHERE hash = ?1", err) &&
              clo_bind_hash(&q, 1, xet->b, err) && clo_stmt_step(&q, &row, err);
    if (ok && !row) ok = clo_fail(err, CLO_ERR_NOT_FOUND, "no file with Xet hash %s is here", hex);
    if (ok) {
        clo_bytes b = clo_stmt_get_blob(&q, 1);
        clo_terms t = {.n = b.len / CLO_FILE_TERM, .size = (uint64_t)clo_stmt_get_int(&q, 0)};
        ok = b.len % CLO_FILE_TERM == 0 || clo_fail(err, CLO_ERR_DAMAGED, "terms of file %s: %zu bytes", hex, b.len);
        t.rows = ok ? (uint8_t *)malloc(b.len + 1) : NULL;
        if (ok && !t.rows) ok = clo_fail(err, CLO_ERR_MEMORY, "terms of a file: %zu bytes", b.len);
        if (ok && b.len) memcpy(t.rows, b.ptr, b.len);
        if (ok) *out = t;
    }
    clo_stmt_close(&q);
    return ok;
}

void clo_terms_free(clo_terms *t)
{
    free(t->rows);
    *t = (clo_terms){0};
}

/* --- lists of chunks ----------------------------------------------------------------------------------------------*/

bool clo_xorb_shelf_get(const clo_xorb **out, clo_xorb_shelf *s, const clo_files *f, const clo_xet_hash *hash,
                        clo_err *err)
{
    size_t oldest = 0;
    s->clock++;
    for (size_t i = 0; i < CLO_SHELF_XORBS; i++) {
        if (s->xorb[i].n_chunks && clo_xet_hash_eq(&s->xorb[i].hash, hash)) {
            s->used[i] = s->clock;
            *out = &s->xorb[i];
            return true;
        }
        if (s->used[i] < s->used[oldest]) oldest = i;
    }
    clo_xorb_free(&s->xorb[oldest]);
    s->used[oldest] = 0;
    if (!clo_files_get_xorb(&s->xorb[oldest], f, hash, err)) return false;
    s->used[oldest] = s->clock;
    *out = &s->xorb[oldest];
    return true;
}

void clo_xorb_shelf_free(clo_xorb_shelf *s)
{
    for (size_t i = 0; i < CLO_SHELF_XORBS; i++)
        clo_xorb_free(&s->xorb[i]);
    *s = (clo_xorb_shelf){0};
}

/* --- stretches ----------------------------------------------------------------------------------------------------*/

/* The chunks of t that hold bytes [*off, *off + n) of it; *off becomes what is to be skipped in the first. */
static bool trim(clo_stretch *out, const clo_file_term *t, const clo_xorb *x, uint64_t *off, uint64_t n, clo_err *err)
{
    uint32_t i = t->start;
    if (t->start >= t->end || t->end > x->n_chunks)
        return clo_fail(err, CLO_ERR_DAMAGED, "term of chunks %u to %u, the xorb has %u", t->start, t->end,
                        x->n_chunks);
    while (i + 1 < t->end && *off >= x->chunks[i].raw_len)
        *off -= x->chunks[i++].raw_len;
    *out = (clo_stretch){.xorb = t->xorb, .start = i, .off = x->chunks[i].off};
    for (; i < t->end && out->raw_bytes < *off + n; i++) {
        out->raw_bytes += x->chunks[i].raw_len;
        out->stored_bytes += x->chunks[i].stored_len;
    }
    out->end = i;
    return true;
}

static bool cut(clo_cutting *c, clo_xorb_shelf *shelf, const clo_files *f, const clo_terms *terms, uint64_t off,
                uint64_t n, clo_err *err)
{
    for (size_t i = 0; n && i < terms->n; i++) {
        clo_file_term t = clo_file_term_unpack(terms->rows + i * CLO_FILE_TERM);
        const clo_xorb *x;
        if (off >= t.raw_bytes) {
            off -= t.raw_bytes;
            continue;
        }
        uint64_t take = t.raw_bytes - off < n ? t.raw_bytes - off : n;
        if (!clo_xorb_shelf_get(&x, shelf, f, &t.xorb, err) || !trim(&c->s[c->n], &t, x, &off, take, err)) return false;
        if (c->n++ == 0) c->skip = off;
        off = 0;
        n -= take;
    }
    return n == 0 || clo_fail(err, CLO_ERR_DAMAGED, "the terms end %llu bytes early", (unsigned long long)n);
}

bool clo_terms_cut(clo_cutting *out, const clo_files *f, const clo_terms *terms, uint64_t off, uint64_t n, clo_err *err)
{
    clo_xorb_shelf shelf = {0};
    clo_cutting c = {.s = (clo_stretch *)calloc(terms->n + 1, sizeof(clo_stretch))};
    *out = (clo_cutting){0};
    if (!c.s) return clo_fail(err, CLO_ERR_MEMORY, "%zu terms", terms->n);
    bool ok = cut(&c, &shelf, f, terms, off, n, err);
    if (!ok && err && err->code == CLO_ERR_NOT_FOUND)
        err->code = CLO_ERR_DAMAGED; /* a xorb that a file of ours needs */
    clo_xorb_shelf_free(&shelf);
    if (ok)
        *out = c;
    else
        free(c.s);
    return ok;
}

void clo_cutting_free(clo_cutting *c)
{
    free(c->s);
    *c = (clo_cutting){0};
}
