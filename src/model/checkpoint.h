/* A checkpoint: named tensors in mapped files, whatever container they came in.
 *
 *   clo_checkpoint ck = {0};
 *   if (!clo_checkpoint_open(&ck, "models/SmolLM2", &err)) ...    // a GGUF file (or the first of a split one), or a
 *   const clo_tensor *t = clo_checkpoint_find(&ck, CLO_STR("output_norm.weight"));   // folder with safetensors
 *   clo_checkpoint_close(&ck);
 *
 * Everything in it borrows from the mapped files and from its own arena. Parsers: gguf.h, safetensors.h.
 */
#ifndef CLO_MODEL_CHECKPOINT_H
#define CLO_MODEL_CHECKPOINT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/slice.h"
#include "tensor/dtype.h"

#define CLO_TENSOR_DIMS_MAX 8

typedef struct {
    clo_str name;       /* as in the file */
    clo_dtype dtype;
    uint32_t n_dims;
    uint64_t dims[CLO_TENSOR_DIMS_MAX]; /* row-major, slowest first ([out, in] for a matrix), whatever the container */
    const uint8_t *data;                /* borrowed from the mapped file, any alignment */
    size_t bytes;
    uint32_t i_file;                    /* which file of the checkpoint */
} clo_tensor;

typedef enum { CLO_CONTAINER_GGUF = 1, CLO_CONTAINER_SAFETENSORS } clo_container;

struct clo_gguf; /* gguf.h: metadata of the first file */

typedef struct {
    clo_container container;
    clo_arena arena;              /* owned */
    clo_map *files;               /* [n_files] owned */
    char **paths;                 /* [n_files] in the arena */
    size_t n_files;
    clo_tensor *tensors;          /* [n_tensors], sorted by name */
    size_t n_tensors;
    struct clo_gguf *gguf;        /* metadata when container is GGUF, else NULL; in the arena */
    char *folder;                 /* when safetensors: where config.json and the tokenizer lie; in the arena */
} clo_checkpoint;

CLO_CHECK bool clo_checkpoint_open(clo_checkpoint *out, const char *path, clo_err *err);
void clo_checkpoint_close(clo_checkpoint *ck);

/* Splits "dir/x-00002-of-00003.gguf" into the length of "dir/x", 2 and 3. False when the name has another form. */
bool clo_gguf_split_name(const char *path, size_t *stem_len, int *no, int *count);

/* NULL when there is none. */
const clo_tensor *clo_checkpoint_find(const clo_checkpoint *ck, clo_str name);

#endif
