/* See shard.h. */
#include "hub/shard.h"

#include "base/blake3.h"
#include "base/cursor.h"

#define REC 48
#define VERSION 2
#define FOOTER_VERSION 1
#define WITH_RANGES 0x80000000u
#define WITH_SHA256 0x40000000u

static const uint8_t TAG[32] = {'H',  'F',  'R',  'e',  'p',  'o',  'M',  'e',  't',  'a',  'D',
                                'a',  't',  'a',  0x00, 0x55, 0x69, 0x67, 0x45, 0x6A, 0x7B, 0x81,
                                0x57, 0x83, 0xA5, 0xBD, 0xD9, 0x5C, 0xCD, 0xD1, 0x4A, 0xA9};

static bool is_end(const uint8_t *rec)
{
    static const uint8_t zeros[16];
    for (size_t i = 0; i < 32; i++)
        if (rec[i] != 0xff) return false;
    return memcmp(rec + 32, zeros, 16) == 0;
}

/* n more records at off? */
static bool has(const clo_shard *s, size_t off, uint64_t n, const char *what, clo_err *err)
{
    size_t left = s->bytes.len - off;
    return n <= left / REC ||
           clo_fail_at(err, off, "%s: %llu bytes needed, %zu left", what, (unsigned long long)(n * REC), left);
}

/* --- reading ------------------------------------------------------------------------------------------------------*/

static size_t file_records(const uint8_t *head)
{
    uint32_t flags = clo_load_le32(head + 32);
    size_t n = clo_load_le32(head + 36);
    return 1 + n + (flags & WITH_RANGES ? n : 0) + (flags & WITH_SHA256 ? 1 : 0);
}

static bool check_file(const clo_shard *s, size_t off, clo_err *err)
{
    const uint8_t *head = s->bytes.ptr + off;
    uint32_t flags = clo_load_le32(head + 32), n = clo_load_le32(head + 36);
    uint64_t bytes = 0;
    if (flags & ~(WITH_RANGES | WITH_SHA256))
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "file at %zu: flags 0x%08x are not known", off, flags);
    if (!has(s, off, file_records(head), "file", err)) return false;
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *t = head + REC + (size_t)i * REC;
        uint32_t raw = clo_load_le32(t + 36), start = clo_load_le32(t + 40), end = clo_load_le32(t + 44);
        size_t at = off + REC + (size_t)i * REC;
        if (start >= end || end > CLO_XORB_CHUNKS_MAX)
            return clo_fail_at(err, at, "term %u: chunks %u to %u", i, start, end);
        if (raw < end - start || raw > (uint64_t)(end - start) * CLO_CHUNK_RAW_MAX)
            return clo_fail_at(err, at, "term %u: %u chunks of %u bytes in all", i, end - start, raw);
        bytes += raw;
    }
    return bytes <= INT64_MAX || clo_fail(err, CLO_ERR_LIMIT, "file at %zu: its size", off);
}

static bool scan_files(clo_shard *s, size_t *off, clo_err *err)
{
    for (;;) {
        if (!has(s, *off, 1, "end of files", err)) return false;
        const uint8_t *head = s->bytes.ptr + *off;
        if (is_end(head)) break;
        if (!check_file(s, *off, err)) return false;
        s->n_files++;
        s->n_terms += clo_load_le32(head + 36);
        *off += file_records(head) * REC;
    }
    *off += REC;
    return true;
}

static bool check_xorb(const clo_shard *s, size_t off, clo_err *err)
{
    const uint8_t *head = s->bytes.ptr + off;
    uint32_t n = clo_load_le32(head + 36);
    uint64_t raw = 0;
    if (n > CLO_XORB_CHUNKS_MAX) return clo_fail(err, CLO_ERR_LIMIT, "xorb at %zu: %u chunks", off, n);
    if (!has(s, off, (uint64_t)n + 1, "xorb", err)) return false;
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *c = head + REC + (size_t)i * REC;
        uint32_t at = clo_load_le32(c + 32), len = clo_load_le32(c + 36);
        if (at != raw || len == 0 || len > CLO_CHUNK_RAW_MAX)
            return clo_fail_at(err, off + REC + (size_t)i * REC, "chunk %u: %u bytes at %u, expected at %llu", i, len,
                               at, (unsigned long long)raw);
        raw += len;
    }
    return raw == clo_load_le32(head + 40) || clo_fail_at(err, off, "xorb: %u bytes declared, its chunks have %llu",
                                                          clo_load_le32(head + 40), (unsigned long long)raw);
}

static bool scan_xorbs(clo_shard *s, size_t *off, clo_err *err)
{
    for (;;) {
        if (!has(s, *off, 1, "end of xorbs", err)) return false;
        const uint8_t *head = s->bytes.ptr + *off;
        if (is_end(head)) break;
        if (!check_xorb(s, *off, err)) return false;
        s->n_xorbs++;
        *off += (size_t)(1 + clo_load_le32(head + 36)) * REC;
    }
    *off += REC;
    return true;
}

/* A footer that says where the sections are must say what is so. */
static bool check_footer(const clo_shard *s, size_t off, clo_err *err)
{
    size_t left = s->bytes.len - off;
    uint64_t declared = clo_load_le64(s->bytes.ptr + 40);
    if ((left != 0 && left != CLO_SHARD_FOOTER) || (declared != 0 && declared != CLO_SHARD_FOOTER))
        return clo_fail_at(err, off, "%zu bytes after the sections, %llu declared; a footer has %d", left, (unsigned long long)declared,
                           CLO_SHARD_FOOTER);
    if (left == 0) return true;
    const uint8_t *p = s->bytes.ptr + off;
    uint64_t version = clo_load_le64(p), files = clo_load_le64(p + 8), xorbs = clo_load_le64(p + 16), footer = clo_load_le64(p + CLO_SHARD_FOOTER - 8);
    return (version == FOOTER_VERSION && files == REC && xorbs == s->xorbs_off && footer == off) ||
           clo_fail_at(err, off, "a footer of version %llu with sections at %llu and %llu and itself at %llu, which are at %d, %zu and %zu",
                       (unsigned long long)version, (unsigned long long)files, (unsigned long long)xorbs, (unsigned long long)footer, REC,
                       s->xorbs_off, off);
}

bool clo_shard_open(clo_shard *out, clo_bytes bytes, clo_err *err)
{
    clo_shard s = {.bytes = bytes};
    size_t off = REC;
    *out = (clo_shard){0};
    if (bytes.len > CLO_SHARD_BYTES_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "shard of %zu bytes, limit %zu", bytes.len, CLO_SHARD_BYTES_MAX);
    if (!has(&s, 0, 1, "shard header", err)) return false;
    if (memcmp(bytes.ptr, TAG, sizeof TAG) != 0) return clo_fail_at(err, 0, "not a shard");
    uint64_t version = clo_load_le64(bytes.ptr + 32);
    if (version != VERSION)
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "shard of version %llu, %d is known", (unsigned long long)version,
                        VERSION);
    if (!scan_files(&s, &off, err)) return false;
    s.xorbs_off = off;
    if (!scan_xorbs(&s, &off, err)) return false;
    if (!check_footer(&s, off, err)) return false;
    *out = s;
    return true;
}

bool clo_shard_next_file(const clo_shard *s, size_t *at, clo_shard_file *out)
{
    if (*at == 0) *at = REC;
    const uint8_t *head = s->bytes.ptr + *at;
    if (is_end(head)) return false;
    uint32_t flags = clo_load_le32(head + 32);
    clo_shard_file f = {.n_terms = clo_load_le32(head + 36), .terms = head + REC};
    const uint8_t *next = f.terms + (size_t)f.n_terms * REC;
    memcpy(f.hash.b, head, sizeof f.hash.b);
    for (uint32_t i = 0; i < f.n_terms; i++)
        f.bytes += clo_load_le32(f.terms + (size_t)i * REC + 36);
    if (flags & WITH_RANGES) {
        f.ranges = next;
        next += (size_t)f.n_terms * REC;
    }
    f.has_sha256 = (flags & WITH_SHA256) != 0;
    if (f.has_sha256) f.sha256 = clo_xet_to_sha256(next);
    *at += file_records(head) * REC;
    *out = f;
    return true;
}

bool clo_shard_next_xorb(const clo_shard *s, size_t *at, clo_shard_xorb *out)
{
    if (*at == 0) *at = s->xorbs_off;
    const uint8_t *head = s->bytes.ptr + *at;
    if (is_end(head)) return false;
    *out = (clo_shard_xorb){.n_chunks = clo_load_le32(head + 36),
                            .raw_bytes = clo_load_le32(head + 40),
                            .stored_bytes = clo_load_le32(head + 44),
                            .chunks = head + REC};
    memcpy(out->hash.b, head, sizeof out->hash.b);
    *at += (size_t)(1 + out->n_chunks) * REC;
    return true;
}

clo_shard_term clo_shard_term_at(const clo_shard_file *f, uint32_t i)
{
    const uint8_t *p = f->terms + (size_t)i * REC;
    clo_shard_term t = {
        .raw_bytes = clo_load_le32(p + 36), .start = clo_load_le32(p + 40), .end = clo_load_le32(p + 44)};
    memcpy(t.xorb.b, p, sizeof t.xorb.b);
    if (f->ranges) memcpy(t.range_hash.b, f->ranges + (size_t)i * REC, sizeof t.range_hash.b);
    return t;
}

clo_xet_hash clo_shard_chunk_at(const clo_shard_xorb *x, uint32_t i, uint32_t *raw_len)
{
    const uint8_t *p = x->chunks + (size_t)i * REC;
    clo_xet_hash h;
    memcpy(h.b, p, sizeof h.b);
    *raw_len = clo_load_le32(p + 36);
    return h;
}

/* --- writing ------------------------------------------------------------------------------------------------------*/

static void add_bytes(clo_buf *b, const void *p, size_t n)
{
    clo_buf_add(b, (clo_str){(const char *)p, n});
}

static void add_zeros(clo_buf *b, size_t n)
{
    static const uint8_t zeros[REC + 24];
    add_bytes(b, zeros, n);
}

static void add_u32(clo_buf *b, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        clo_buf_add_char(b, (char)(uint8_t)(v >> 8 * i));
}

static void add_u64(clo_buf *b, uint64_t v)
{
    add_u32(b, (uint32_t)v);
    add_u32(b, (uint32_t)(v >> 32));
}

static void add_end(clo_buf *b)
{
    uint8_t ones[32];
    memset(ones, 0xff, sizeof ones);
    add_bytes(b, ones, sizeof ones);
    add_zeros(b, 16);
}

static void add_xorb(clo_buf *b, const clo_xorb *x, const uint8_t key[32])
{
    uint32_t at = 0;
    uint8_t hidden[32];
    add_bytes(b, x->hash.b, sizeof x->hash.b);
    add_u32(b, 0);
    add_u32(b, x->n_chunks);
    add_u32(b, (uint32_t)x->raw_bytes);
    add_u32(b, x->stored_bytes);
    for (uint32_t i = 0; i < x->n_chunks; i++) {
        clo_blake3_keyed(hidden, key, x->chunks[i].hash.b, 32);
        add_bytes(b, hidden, sizeof hidden);
        add_u32(b, at);
        add_u32(b, x->chunks[i].raw_len);
        add_u64(b, 0);
        at += x->chunks[i].raw_len;
    }
}

void clo_shard_write_xorbs(clo_buf *out, const clo_xorb *xorbs, size_t n_xorbs, const uint8_t key[32], int64_t now_s,
                           int64_t expires_s)
{
    size_t base = out->len;
    add_bytes(out, TAG, sizeof TAG);
    add_u64(out, VERSION);
    add_u64(out, CLO_SHARD_FOOTER);
    add_end(out);
    size_t xorbs_off = out->len - base;
    for (size_t i = 0; i < n_xorbs; i++)
        add_xorb(out, &xorbs[i], key);
    add_end(out);
    size_t footer_off = out->len - base;
    add_u64(out, FOOTER_VERSION);
    add_u64(out, REC);
    add_u64(out, xorbs_off);
    for (int table = 0; table < 3; table++) { /* of files, xorbs, chunks: none, where they would begin */
        add_u64(out, footer_off);
        add_u64(out, 0);
    }
    add_bytes(out, key, 32);
    add_u64(out, (uint64_t)now_s);
    add_u64(out, (uint64_t)expires_s);
    add_zeros(out, 72);
    add_u64(out, footer_off);
}
