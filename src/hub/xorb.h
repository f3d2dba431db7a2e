/* A xorb: a pack of chunks of files, the unit in which Xet clients upload. Its body:
 *
 *   for each chunk   offset  size
 *                         0     1   version: 0
 *                         1     3   stored size (little-endian)
 *                         4     1   scheme: 0 plain, 1 LZ4 frame, 2 bytes regrouped by position mod 4, then LZ4 frame
 *                         5     3   raw size
 *                         8     n   stored bytes
 *
 * to its end, or to the seven bytes "XETBLOB", where old clients begin a footer that is not read.
 *
 *   clo_xorb x = {0};
 *   if (!clo_xorb_parse(&x, body, &err)) ...                // every chunk decoded and hashed
 *   if (!clo_xet_hash_eq(&x.hash, &promised)) ...
 *   clo_xorb_free(&x);
 *
 * How a file is cut into chunks is the client's affair: any chunk of 1 to 131,072 bytes is taken.
 * Source: Hugging Face, "Xet Protocol Specification", xorb format. */
#ifndef CLO_HUB_XORB_H
#define CLO_HUB_XORB_H

#include "base/err.h"
#include "hub/xet_hash.h"

/* Of a body. Clients fill a xorb up to 64 MiB of raw bytes, and what cannot be compressed is longer by the headers of its chunks. */
#define CLO_XORB_BYTES_MAX ((size_t)66 << 20)
#define CLO_XORB_CHUNKS_MAX 8192
#define CLO_CHUNK_RAW_MAX 131072
#define CLO_CHUNK_HEADER 8

enum { CLO_CHUNK_PLAIN = 0, CLO_CHUNK_LZ4 = 1, CLO_CHUNK_BG4_LZ4 = 2 };

typedef struct {
    clo_xet_hash hash;
    uint32_t raw_len;
    uint32_t off;        /* of its header, in the body */
    uint32_t stored_len; /* with the header */
    uint8_t scheme;
} clo_xorb_chunk;

typedef struct {
    clo_xet_hash hash; /* root over the chunks */
    uint32_t n_chunks;
    uint64_t raw_bytes;     /* of all chunks: may be 1 GiB */
    uint32_t stored_bytes;  /* of the body without a footer */
    clo_xorb_chunk *chunks; /* owned */
} clo_xorb;

/* CLO_ERR_FORMAT for bytes that are no xorb, CLO_ERR_LIMIT beyond the limits above. */
CLO_CHECK bool clo_xorb_parse(clo_xorb *out, clo_bytes body, clo_err *err);
/* Accepts the zeroed struct. */
void clo_xorb_free(clo_xorb *x);

/* The list of chunks as the database holds it, 40 bytes each: hash, raw size | scheme << 24, stored size. */
#define CLO_XORB_ROW 40
/* out: n_chunks * CLO_XORB_ROW bytes. */
void clo_xorb_pack_chunks(uint8_t *out, const clo_xorb *x);
/* CLO_ERR_DAMAGED when the bytes are no such list. out->hash is not computed again. */
CLO_CHECK bool clo_xorb_unpack_chunks(clo_xorb *out, const clo_xet_hash *hash, clo_bytes rows, clo_err *err);

/* Reads the 8 bytes before a chunk: sizes and scheme. CLO_ERR_FORMAT, CLO_ERR_LIMIT. */
CLO_CHECK bool clo_chunk_header(clo_xorb_chunk *out, clo_bytes in, clo_err *err);

/* Decodes chunks one at a time, with the memory that this takes. One thread at a time. */
typedef struct clo_chunk_decoder clo_chunk_decoder;
CLO_CHECK bool clo_chunk_decoder_open(clo_chunk_decoder **out, clo_err *err);
void clo_chunk_decoder_close(clo_chunk_decoder *d);
/* raw: exactly raw_len bytes; stored: the bytes after the header. CLO_ERR_FORMAT when they do not give raw_len bytes. */
CLO_CHECK bool clo_chunk_decode(clo_chunk_decoder *d, uint8_t *raw, size_t raw_len, uint8_t scheme, clo_bytes stored,
                                clo_err *err);

#endif
