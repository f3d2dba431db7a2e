/* Levels and values of a page, one after another. Source: apache/parquet-format, Encodings.md. */
#include <stdlib.h>

#include "base/check.h"
#include "base/cursor.h"
#include "table/parquet_impl.h"

/* `width` bits (at most 64) at bit `at`; the caller knows that they are there. */
static uint64_t bits_at(const uint8_t *p, uint64_t at, unsigned width)
{
    uint64_t v = 0;
    unsigned got = 0;
    while (got < width) {
        unsigned shift = (unsigned)(at & 7), n = 8 - shift < width - got ? 8 - shift : width - got;
        v |= (uint64_t)((unsigned)p[at >> 3] >> shift & ((1u << n) - 1)) << got;
        got += n;
        at += n;
    }
    return v;
}

static uint64_t varint(const uint8_t **at, const uint8_t *end, bool *bad)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t b = *(*at)++;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) return v;
    }
    *bad = true;
    return 0;
}

/* --- RLE and bit-packing ------------------------------------------------------------------------------------------*/

void pq_rle_open(pq_rle *r, clo_bytes in, unsigned width)
{
    static const uint8_t nothing = 0;
    if (in.len == 0) in.ptr = &nothing;
    *r = (pq_rle){.at = in.ptr, .end = in.ptr + in.len, .width = width, .bad = width > 32};
}

static void next_run(pq_rle *r)
{
    r->at += (r->bit + 7) / 8; /* behind the groups that were read */
    r->bit = 0;
    uint64_t head = varint(&r->at, r->end, &r->bad), left = (uint64_t)(r->end - r->at);
    unsigned bytes = (r->width + 7) / 8;
    if (r->bad) return;
    if (head & 1) {
        uint64_t groups = head >> 1;
        /* The last group may be cut: values that are there count. */
        if (r->width > 0 && groups > left / r->width) groups = left / r->width + (left % r->width != 0);
        r->packed = groups > UINT64_MAX / 8 ? 0 : groups * 8;
        if (r->width > 0 && r->packed > left * 8 / r->width) r->packed = left * 8 / r->width;
        r->bad = r->packed == 0;
        return;
    }
    r->repeat = head >> 1;
    if (bytes > left || r->repeat == 0) {
        r->bad = true;
        r->repeat = 0;
        return;
    }
    r->value = (uint32_t)bits_at(r->at, 0, bytes * 8);
    r->at += bytes;
    if (r->width < 32 && r->value >> r->width) r->bad = true;
}

uint32_t pq_rle_next(pq_rle *r)
{
    if (r->repeat == 0 && r->packed == 0 && !r->bad) next_run(r);
    if (r->bad) return 0;
    if (r->repeat > 0) {
        r->repeat--;
        return r->value;
    }
    uint32_t v = (uint32_t)bits_at(r->at, r->bit, r->width);
    r->packed--;
    r->bit += r->width;
    return v;
}

void pq_rle_skip(pq_rle *r, uint64_t n)
{
    while (n > 0 && !r->bad) {
        if (r->repeat == 0 && r->packed == 0) next_run(r);
        if (r->bad) return;
        uint64_t *left = r->repeat > 0 ? &r->repeat : &r->packed, step = *left < n ? *left : n;
        if (left == &r->packed) r->bit += step * r->width;
        *left -= step;
        n -= step;
    }
}

/* --- differences --------------------------------------------------------------------------------------------------*/

static int64_t zigzag(uint64_t v)
{
    return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}

static bool delta_open(pq_delta *d, clo_bytes in, clo_err *err)
{
    *d = (pq_delta){.at = in.ptr, .end = in.ptr + in.len, .first = true};
    d->block = varint(&d->at, d->end, &d->bad);
    d->n_mini = varint(&d->at, d->end, &d->bad);
    d->left = varint(&d->at, d->end, &d->bad);
    d->value = (uint64_t)zigzag(varint(&d->at, d->end, &d->bad));
    if (d->bad || d->n_mini == 0 || d->n_mini > 512 || d->block == 0 || d->block > 1 << 20 || d->block % d->n_mini || (d->block / d->n_mini) % 8)
        return clo_fail(err, CLO_ERR_FORMAT, "differences in blocks of %llu values in %llu parts", (unsigned long long)d->block, (unsigned long long)d->n_mini);
    d->per_mini = d->block / d->n_mini;
    d->i_mini = d->n_mini; /* a block begins */
    return true;
}

static bool delta_fault(pq_delta *d)
{
    d->bad = true;
    return false;
}

static bool next_block(pq_delta *d)
{
    d->min_delta = zigzag(varint(&d->at, d->end, &d->bad));
    if (d->bad || (uint64_t)(d->end - d->at) < d->n_mini) return delta_fault(d);
    d->widths = d->at;
    d->at += d->n_mini;
    d->i_mini = d->in_mini = 0;
    return true;
}

/* Goes on to the next part of a block; what was before it is passed. */
static bool next_mini(pq_delta *d)
{
    if (d->i_mini < d->n_mini && d->in_mini == d->per_mini) {
        d->at += d->per_mini / 8 * d->widths[d->i_mini];
        d->i_mini++;
        d->in_mini = 0;
    }
    if (d->i_mini == d->n_mini && !next_block(d)) return false;
    if (d->in_mini > 0) return true;
    uint64_t width = d->widths[d->i_mini];
    /* The last part of a page may be cut after its values. */
    uint64_t n = d->left < d->per_mini ? d->left : d->per_mini;
    if (width > 64 || (n * width + 7) / 8 > (uint64_t)(d->end - d->at)) return delta_fault(d);
    return true;
}

static bool delta_next(uint64_t *out, pq_delta *d)
{
    if (d->bad || d->left == 0) return delta_fault(d);
    if (d->first) d->first = false;
    else {
        if ((d->i_mini == d->n_mini || d->in_mini == 0 || d->in_mini == d->per_mini) && !next_mini(d)) return false;
        unsigned width = d->widths[d->i_mini];
        d->value += (uint64_t)d->min_delta + bits_at(d->at, d->in_mini * width, width);
        d->in_mini++;
    }
    d->left--;
    *out = d->value;
    return true;
}

/* Where the differences end, for what follows them; all of its values are read. */
static bool delta_end(clo_bytes *rest, clo_bytes in, clo_err *err)
{
    pq_delta d;
    uint64_t v, n;
    if (!delta_open(&d, in, err)) return false;
    for (n = d.left; n > 0; n--)
        if (!delta_next(&v, &d)) return clo_fail(err, CLO_ERR_FORMAT, "differences end early");
    if (d.i_mini < d.n_mini && d.in_mini > 0) { /* the part that was begun, whole; those after it have no bytes */
        uint64_t bytes = d.per_mini / 8 * d.widths[d.i_mini];
        if (bytes > (uint64_t)(d.end - d.at)) bytes = (uint64_t)(d.end - d.at);
        d.at += bytes;
    }
    *rest = (clo_bytes){d.at, (size_t)(d.end - d.at)};
    return true;
}

/* --- values -------------------------------------------------------------------------------------------------------*/

static size_t width_of(const pq_node *leaf)
{
    switch (leaf->type) {
    case PQ_INT32:
    case PQ_FLOAT: return 4;
    case PQ_INT64:
    case PQ_DOUBLE: return 8;
    case PQ_INT96: return 12;
    case PQ_FIXED: return (size_t)leaf->width;
    default: return 0;
    }
}

static bool wrong(const pq_values *v, clo_err *err)
{
    return clo_fail(err, CLO_ERR_FORMAT, "encoding %d of a column of type %d", v->encoding, v->leaf->type);
}

static bool open_rle_bool(pq_values *v, clo_bytes in, clo_err *err)
{
    uint32_t n = in.len < 4 ? UINT32_MAX : clo_load_le32(in.ptr);
    if (v->leaf->type != PQ_BOOL) return wrong(v, err);
    if (in.len < 4 || n > in.len - 4) return clo_fail(err, CLO_ERR_FORMAT, "runs of %u bytes in %zu", n, in.len);
    pq_rle_open(&v->rle, (clo_bytes){in.ptr + 4, n}, 1);
    return true;
}

static bool open_dictionary(pq_values *v, clo_bytes in, clo_err *err)
{
    if (!v->dict) return clo_fail(err, CLO_ERR_FORMAT, "a page that needs a dictionary, and there is none");
    if (in.len == 0) return clo_fail(err, CLO_ERR_FORMAT, "a page of numbers of words without bytes");
    if (in.ptr[0] > 32) return clo_fail(err, CLO_ERR_FORMAT, "numbers of words of %u bits", in.ptr[0]);
    pq_rle_open(&v->rle, (clo_bytes){in.ptr + 1, in.len - 1}, in.ptr[0]);
    return true;
}

bool pq_values_open(pq_values *out, const pq_node *leaf, int32_t encoding, clo_bytes in, const pq_value *dict, uint64_t n_dict, clo_err *err)
{
    bool bytes = leaf->type == PQ_BYTES || leaf->type == PQ_FIXED;
    clo_bytes rest;
    *out = (pq_values){.leaf = leaf, .encoding = encoding, .in = in, .dict = dict, .n_dict = n_dict, .last = {.max = PQ_PAGE_BYTES_MAX}};
    switch (encoding) {
    case 0: return true;
    case 2:
    case 8: out->encoding = 8; return open_dictionary(out, in, err);
    case 3: return open_rle_bool(out, in, err);
    case 5: return leaf->type == PQ_INT32 || leaf->type == PQ_INT64 ? delta_open(&out->delta, in, err) : wrong(out, err);
    case 6: return leaf->type == PQ_BYTES ? delta_open(&out->delta, in, err) && delta_end(&out->in, in, err) : wrong(out, err);
    case 7:
        if (!bytes) return wrong(out, err);
        return delta_open(&out->prefixes, in, err) && delta_end(&rest, in, err) && delta_open(&out->delta, rest, err) && delta_end(&out->in, rest, err);
    case 9:
        if (width_of(leaf) == 0 || leaf->type == PQ_INT96) return wrong(out, err);
        out->n = in.len / width_of(leaf);
        return true;
    default: return clo_fail(err, CLO_ERR_UNSUPPORTED, "encoding %d", encoding);
    }
}

void pq_values_close(pq_values *v)
{
    clo_buf_free(&v->last);
}

static bool short_of(clo_err *err)
{
    return clo_fail(err, CLO_ERR_FORMAT, "a page has fewer values than it says");
}

/* The next n bytes of what is left. */
static bool take(clo_bytes *out, pq_values *v, size_t n, clo_err *err)
{
    if (n > v->in.len) return short_of(err);
    *out = (clo_bytes){v->in.ptr, n};
    v->in = (clo_bytes){v->in.ptr + n, v->in.len - n};
    return true;
}

static void take_fixed(pq_value *out, const pq_node *leaf, clo_bytes b)
{
    out->b = b;
    if (leaf->type == PQ_INT32 || leaf->type == PQ_FLOAT) out->u = clo_load_le32(b.ptr);
    if (leaf->type == PQ_INT64 || leaf->type == PQ_DOUBLE) out->u = clo_load_le64(b.ptr);
}

static bool next_plain(pq_value *out, pq_values *v, clo_err *err)
{
    clo_bytes b;
    if (v->leaf->type == PQ_BOOL) {
        if (v->bit / 8 >= v->in.len) return short_of(err);
        out->u = v->in.ptr[v->bit / 8] >> (v->bit & 7) & 1;
        v->bit++;
        return true;
    }
    if (v->leaf->type == PQ_BYTES) return take(&b, v, 4, err) && take(&out->b, v, clo_load_le32(b.ptr), err);
    if (!take(&b, v, width_of(v->leaf), err)) return false;
    take_fixed(out, v->leaf, b);
    return true;
}

static bool next_split(pq_value *out, pq_values *v, clo_err *err)
{
    size_t width = width_of(v->leaf);
    if (v->i >= v->n) return short_of(err);
    v->last.len = 0;
    for (size_t k = 0; k < width; k++) clo_buf_add_char(&v->last, (char)v->in.ptr[k * v->n + v->i]);
    v->i++;
    if (!clo_buf_ok(&v->last, err)) return false;
    take_fixed(out, v->leaf, clo_bytes_of(clo_buf_str(&v->last)));
    return true;
}

/* A beginning of the value before, and a rest of its own. */
static bool next_prefixed(pq_value *out, pq_values *v, clo_err *err)
{
    uint64_t prefix, n;
    clo_bytes rest;
    if (!delta_next(&prefix, &v->prefixes) || !delta_next(&n, &v->delta) || n > v->in.len || !take(&rest, v, (size_t)n, err)) return short_of(err);
    if (prefix > v->last.len) return clo_fail(err, CLO_ERR_FORMAT, "a value begins with %llu bytes of one of %zu", (unsigned long long)prefix, v->last.len);
    v->last.len = (size_t)prefix;
    clo_buf_add(&v->last, clo_str_of(rest));
    if (!clo_buf_ok(&v->last, err)) return false;
    out->b = clo_bytes_of(clo_buf_str(&v->last));
    if (v->leaf->type == PQ_FIXED && out->b.len != (size_t)v->leaf->width)
        return clo_fail(err, CLO_ERR_FORMAT, "a value of %zu bytes, expected %d", out->b.len, v->leaf->width);
    return true;
}

bool pq_values_next(pq_value *out, pq_values *v, clo_err *err)
{
    uint64_t n;
    uint32_t i;
    *out = (pq_value){0};
    switch (v->encoding) {
    case 0: return next_plain(out, v, err);
    case 3:
        out->u = pq_rle_next(&v->rle);
        return !v->rle.bad || short_of(err);
    case 5: return delta_next(&out->u, &v->delta) || short_of(err);
    case 6: return (delta_next(&n, &v->delta) && n <= v->in.len && take(&out->b, v, (size_t)n, err)) || short_of(err);
    case 7: return next_prefixed(out, v, err);
    case 9: return next_split(out, v, err);
    default:
        i = pq_rle_next(&v->rle);
        if (v->rle.bad) return short_of(err);
        if (i >= v->n_dict) return clo_fail(err, CLO_ERR_FORMAT, "word %u of a dictionary of %llu", i, (unsigned long long)v->n_dict);
        *out = v->dict[i];
        return true;
    }
}
