/* The library: the models that a data folder holds, by name.
 *
 *   <data>/blobs/sha256/ab/cd/<64 hex>     the bytes of every file, once, named by their SHA-256
 *   <data>/models/<name>/                  a model: hard links to its blobs under their own names, and
 *   <data>/models/<name>/cloche-model.json what was imported: files, sizes, digests, from where
 *   <data>/uploads/                        files that came in ahead of their model (upload.h)
 *   <data>/tmp/                            unfinished work; swept by the next import or removal
 *
 * A model appears by one rename of a finished folder and disappears by one rename too, so a crash leaves it whole or
 * absent. Success means that the bytes are on disk and were read back and hashed. A name is `name` or `org/name`, of
 * letters, digits, '.', '_' and '-', each part beginning with a letter or digit.
 *
 *   char name[CLO_MODEL_NAME_MAX];
 *   if (!clo_library_import(name, data, "SmolLM2.gguf", (clo_import_opts){0}, &err)) ...
 *   if (!clo_library_path(path, data, name, &err)) ...          // for clo_model_open
 */
#ifndef CLO_INFER_LIBRARY_H
#define CLO_INFER_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/json.h"

#define CLO_MODEL_NAME_MAX 200

/* True when `name` may name a model. */
bool clo_library_name_ok(const char *name);

/* Whether a file of a Hugging Face folder belongs to its model: weights, settings, tokenizer, licence. `path` is relative to the
 * folder; what lies below it is left out, save the settings of pooling. */
bool clo_library_takes(const char *path);
/* Whether it is one of those that make the model's digest (clo_model_digest), in bytewise order of their paths. */
bool clo_library_in_digest(const char *path);

/* The GGUF file or the folder to open for `name`. CLO_ERR_USAGE for a name that cannot be one, CLO_ERR_NOT_FOUND,
 * CLO_ERR_DAMAGED when the manifest or the size of a file is not what was stored. */
CLO_CHECK bool clo_library_path(char out[4096], const char *data_dir, const char *name, clo_err *err);

typedef struct {
    const char *name;    /* NULL: the file's or folder's own name */
    const char *sha256;  /* expected digest (hex) of a single file; NULL: not compared. CLO_ERR_MISMATCH */
    void (*progress)(void *ctx, const char *what, uint64_t done, uint64_t total); /* may be NULL */
    void *progress_ctx;
} clo_import_opts;

/* Copies a GGUF file (with the other parts of a split one) or a Hugging Face folder into the library. The same model
 * under the same name again is a success that changes nothing; another one is CLO_ERR_DENIED. */
CLO_CHECK bool clo_library_import(char name[CLO_MODEL_NAME_MAX], const char *data_dir, const char *path,
                                  clo_import_opts opts, clo_err *err);

/* A file that was uploaded (upload.h), or is among the blobs of other models: its name in the model, and its digest. */
typedef struct {
    const char *name;
    clo_sha256 digest;
} clo_library_file;
/* Makes a model of GGUF files that are here: one, or all parts of a split one. The bytes are read again and hashed, and are
 * the model's from then on. CLO_ERR_NOT_FOUND names a digest that is not here; else as clo_library_import. */
CLO_CHECK bool clo_library_create(const char *data_dir, const char *name, const clo_library_file *files, size_t n_files,
                                  clo_err *err);
/* Gives a model a second name; the bytes are shared. CLO_ERR_DENIED when another model has it. */
CLO_CHECK bool clo_library_copy(const char *data_dir, const char *from, const char *to, clo_err *err);

/* All models: an array of manifests ({"name", "bytes", "files": [...], ...}), by name. The caller owns *out. */
CLO_CHECK bool clo_library_list(json_t **out, const char *data_dir, clo_err *err);
/* One manifest. */
CLO_CHECK bool clo_library_show(json_t **out, const char *data_dir, const char *name, clo_err *err);

/* The name of a model with this digest (clo_model_digest), for receipts. CLO_ERR_NOT_FOUND. */
CLO_CHECK bool clo_library_find(char name[CLO_MODEL_NAME_MAX], const char *data_dir, const clo_sha256 *digest,
                                clo_err *err);

/* Reads every file of a model again and compares digests: CLO_ERR_DAMAGED names the first file that differs. */
CLO_CHECK bool clo_library_verify(const char *data_dir, const char *name, clo_err *err);

/* Removes a model and those of its blobs that no other model uses; *freed_bytes (may be NULL) is what that freed. */
CLO_CHECK bool clo_library_remove(const char *data_dir, const char *name, uint64_t *freed_bytes, clo_err *err);

#endif
