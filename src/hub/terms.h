/* The terms of a Xet file: it is ranges of chunks of xorbs, one after another. What files_shard.c, reader.c, reconstruction.c and
 * fsck.c share. */
#ifndef CLO_HUB_TERMS_H
#define CLO_HUB_TERMS_H

#include "hub/files.h"

/* As `xet_files` holds a term: xorb hash 32, raw bytes u32, first chunk u32, end chunk u32. */
#define CLO_FILE_TERM 44

typedef struct {
    clo_xet_hash xorb;
    uint32_t raw_bytes, start, end;
} clo_file_term;

void clo_file_term_pack(uint8_t out[CLO_FILE_TERM], const clo_file_term *t);
clo_file_term clo_file_term_unpack(const uint8_t in[CLO_FILE_TERM]);

typedef struct {
    uint8_t *rows; /* owned: n * CLO_FILE_TERM bytes */
    size_t n;
    uint64_t size; /* bytes of the file */
} clo_terms;

/* CLO_ERR_NOT_FOUND, CLO_ERR_DAMAGED. */
CLO_CHECK bool clo_terms_get(clo_terms *out, const clo_files *f, const clo_xet_hash *xet, clo_err *err);
void clo_terms_free(clo_terms *t);

/* The lists of chunks of the xorbs that were asked for last. Zeroed is empty. */
#define CLO_SHELF_XORBS 8
typedef struct {
    clo_xorb xorb[CLO_SHELF_XORBS]; /* owned; without chunks: free */
    uint64_t used[CLO_SHELF_XORBS]; /* when it was asked for last */
    uint64_t clock;
} clo_xorb_shelf;

/* Valid until the next call. CLO_ERR_NOT_FOUND. */
CLO_CHECK bool clo_xorb_shelf_get(const clo_xorb **out, clo_xorb_shelf *s, const clo_files *f, const clo_xet_hash *hash,
                                  clo_err *err);
void clo_xorb_shelf_free(clo_xorb_shelf *s);

/* Chunks [start, end) of a xorb, and where they lie in it as stored. */
typedef struct {
    clo_xet_hash xorb;
    uint32_t start, end;
    uint32_t off, stored_bytes;
    uint64_t raw_bytes;
} clo_stretch;

typedef struct {
    clo_stretch *s; /* owned */
    size_t n;
    uint64_t skip; /* bytes of the first stretch that come before what was asked for */
} clo_cutting;

/* The chunks that hold bytes [off, off + n), which must be inside the file. */
CLO_CHECK bool clo_terms_cut(clo_cutting *out, const clo_files *f, const clo_terms *terms, uint64_t off, uint64_t n,
                             clo_err *err);
void clo_cutting_free(clo_cutting *c);

#endif
