/* Uploads: files that come in ahead of the model that they belong to, named by their SHA-256.
 *
 *   <data>/uploads/<64 hex>      until a model takes it (clo_library_create), or a day has passed
 *
 *   clo_upload *u = NULL;
 *   if (!clo_upload_open(&u, data, &digest, &err)) ...
 *   if (!clo_upload_put(u, bytes, &err)) ...            // as they come; one thread at a time
 *   if (!clo_upload_commit(u, &err)) ...                // on disk, and their digest is the one that was promised
 *   clo_upload_close(u);                                // always; what was not committed is gone
 *
 * A crash leaves no file or a whole one. */
#ifndef CLO_INFER_UPLOAD_H
#define CLO_INFER_UPLOAD_H

#include "base/digest.h"
#include "base/err.h"
#include "base/slice.h"

typedef struct clo_upload clo_upload;

/* Removes uploads that are older than a day, too. */
CLO_CHECK bool clo_upload_open(clo_upload **out, const char *data_dir, const clo_sha256 *digest, clo_err *err);
CLO_CHECK bool clo_upload_put(clo_upload *u, clo_str bytes, clo_err *err);
/* fsync of the file, its name, and the folder. CLO_ERR_MISMATCH when the bytes have another digest. */
CLO_CHECK bool clo_upload_commit(clo_upload *u, clo_err *err);
void clo_upload_close(clo_upload *u);

/* Where the bytes of a digest lie: among the blobs of models, or uploaded. CLO_ERR_NOT_FOUND. */
CLO_CHECK bool clo_upload_find(char path[4096], bool *in_blobs, const char *data_dir, const clo_sha256 *digest,
                               clo_err *err);

#endif
