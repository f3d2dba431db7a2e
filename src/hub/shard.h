/* A shard: what a Xet client says about files after it has uploaded their xorbs. All numbers little-endian; every record
 * has 48 bytes.
 *
 *   header    tag 32, version u64 = 2, footer size u64
 *   files     file hash 32, flags u32, n u32, 8 zero                         then for each file:
 *             n x term: xorb hash 32, flags u32, raw bytes u32, first chunk u32, end chunk u32
 *             n x range hash 32, 16 zero                                     if flags & 0x80000000
 *             SHA-256 with its groups of eight turned 32, 16 zero            if flags & 0x40000000
 *   end       32 x FF, 16 zero
 *   xorbs     xorb hash 32, flags u32, n u32, raw bytes u32, stored bytes u32
 *             n x chunk hash 32, offset in the raw xorb u32, raw length u32, flags u32, 0 u32
 *   end       32 x FF, 16 zero
 *   footer    version u64 = 1, offsets u64 of files and xorbs, 3 x lookup table (offset u64, n u64), key for the chunks'
 *             hashes 32, made u64, expires u64, 72 zero, offset of the footer u64; or none
 *
 *   clo_shard s;
 *   clo_shard_file f;
 *   if (!clo_shard_open(&s, bytes, &err)) ...           // the whole is checked here: the rest cannot fail
 *   for (size_t at = 0; clo_shard_next_file(&s, &at, &f);)
 *       for (uint32_t i = 0; i < f.n_terms; i++) use(clo_shard_term_at(&f, i));
 *
 * Views into the caller's bytes; nothing is allocated. Whether what a shard says is so is not known here: files.h asks.
 * Source: Hugging Face, "Xet Protocol Specification", shard format. */
#ifndef CLO_HUB_SHARD_H
#define CLO_HUB_SHARD_H

#include "base/buf.h"
#include "base/err.h"
#include "hub/xorb.h"

#define CLO_SHARD_BYTES_MAX ((size_t)64 << 20)
#define CLO_SHARD_FOOTER 200

typedef struct {
    clo_bytes bytes;  /* borrowed */
    size_t xorbs_off; /* of the xorb section */
    size_t n_files, n_terms, n_xorbs;
} clo_shard;

typedef struct {
    clo_xet_hash hash;
    uint32_t n_terms;
    uint64_t bytes; /* sum of its terms */
    bool has_sha256;
    clo_sha256 sha256;
    const uint8_t *terms;  /* n_terms records, borrowed */
    const uint8_t *ranges; /* n_terms records, borrowed; NULL: not given */
} clo_shard_file;

typedef struct {
    clo_xet_hash xorb;
    uint32_t raw_bytes;
    uint32_t start, end;     /* chunks [start, end), start < end */
    clo_xet_hash range_hash; /* zeros when not given */
} clo_shard_term;

typedef struct {
    clo_xet_hash hash;
    uint32_t n_chunks, raw_bytes, stored_bytes;
    const uint8_t *chunks; /* n_chunks records, borrowed */
} clo_shard_xorb;

/* CLO_ERR_FORMAT with the offset; CLO_ERR_UNSUPPORTED for another version or a flag of files that is not known;
 * CLO_ERR_LIMIT. */
CLO_CHECK bool clo_shard_open(clo_shard *out, clo_bytes bytes, clo_err *err);
/* *at: 0 to begin. False after the last. */
bool clo_shard_next_file(const clo_shard *s, size_t *at, clo_shard_file *out);
bool clo_shard_next_xorb(const clo_shard *s, size_t *at, clo_shard_xorb *out);
clo_shard_term clo_shard_term_at(const clo_shard_file *f, uint32_t i);
clo_xet_hash clo_shard_chunk_at(const clo_shard_xorb *x, uint32_t i, uint32_t *raw_len);

/* A shard that names chunks a client may refer to instead of sending them: no files, these xorbs. Times are seconds since
 * 1970. Chunks appear as keyed BLAKE3 of their hashes under `key`, which stands in the footer: a client finds those that it
 * has, and learns no hash of the others. With plain hashes it could reckon range hashes, and so prove to have what it has
 * not. So the key is drawn anew for each answer. The buffer's failure tells (clo_buf_ok). */
void clo_shard_write_xorbs(clo_buf *out, const clo_xorb *xorbs, size_t n_xorbs, const uint8_t key[32], int64_t now_s,
                           int64_t expires_s);

#endif
