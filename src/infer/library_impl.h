/* What library.c and library_import.c share. */
#ifndef CLO_INFER_LIBRARY_IMPL_H
#define CLO_INFER_LIBRARY_IMPL_H

#include "infer/library.h"

#define CLO_LIBRARY_MANIFEST "cloche-model.json"

/* A file of a model's folder, or the config.json of its pooling. */
bool clo_library_file_ok(clo_str name);
/* The manifest in a model's folder, checked; owned by the caller. */
CLO_CHECK bool clo_library_read_manifest(json_t **out, const char *folder, clo_err *err);
/* SHA-256 and size of a file; from_disk asks the system to forget what it holds of it first. */
CLO_CHECK bool clo_library_hash_file(clo_sha256 *out, uint64_t *bytes, const char *path, bool from_disk, clo_err *err);
/* Waits for the library's lock; closing *fd gives it back. Makes the data folder. */
CLO_CHECK bool clo_library_lock(int *fd, const char *data_dir, clo_err *err);
CLO_CHECK bool clo_library_sync_folder(const char *path, clo_err *err);
/* Removes what imports and removals that were cut off left in tmp/, the caller's own included, and the blobs that only
 * they knew. The caller holds the lock, so no other one is running. */
void clo_library_sweep(const char *data_dir);

#endif
