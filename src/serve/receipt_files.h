/* Receipts on disk: <data>/receipts/<2 hex digits>/<64 hex digits>.json, each named by the SHA-256 of its bytes. */
#ifndef CLO_SERVE_RECEIPT_FILES_H
#define CLO_SERVE_RECEIPT_FILES_H

#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/file.h"
#include "base/slice.h"

typedef struct {
    clo_sha256 digest;
    clo_str text;
} clo_receipt_file;
/* The texts are on disk when it returns true; many cost two syncs of the file system, not two for each. False: any of them
 * may be missing. One thread at a time. */
CLO_CHECK bool clo_receipt_files_put(const char *data_dir, const clo_receipt_file *files, size_t n, clo_err *err);
/* Bytes with the digest. CLO_ERR_NOT_FOUND; CLO_ERR_DAMAGED when they have another one. */
CLO_CHECK bool clo_receipt_file_open(clo_map *out, const char *data_dir, const clo_sha256 *digest, clo_err *err);

/* What is kept; 0: no limit. */
typedef struct {
    uint64_t n_max;   /* files; the newest stay */
    double age_max_s; /* since they were written */
} clo_receipt_limits;
/* Removes what is beyond the limits, oldest first; *n_removed (may be NULL) says how many. A file that cannot be removed is
 * left alone. CLO_ERR_MEMORY. */
CLO_CHECK bool clo_receipt_files_sweep(const char *data_dir, clo_receipt_limits limits, uint64_t *n_removed,
                                       clo_err *err);

#endif
