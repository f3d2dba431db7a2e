/* The header of a model's file: tensors and what is said about them. Nothing else of the file is read.
 *
 *   clo_hub_head h = {0};
 *   if (!clo_hub_head_open(&h, &content, clo_hub_head_kind_of(path), CLO_HUB_HEAD_BYTES_MAX, &err)) ...
 *   for (size_t i = 0; i < h.n_tensors; i++) ... h.tensors[i].name
 *   clo_hub_head_close(&h); */
#ifndef CLO_SERVE_HUB_HEAD_H
#define CLO_SERVE_HUB_HEAD_H

#include "hub/content.h"
#include "model/gguf.h"
#include "model/safetensors.h"

#define CLO_HUB_HEAD_BYTES_MAX ((size_t)32 << 20)

typedef enum { CLO_HEAD_NONE, CLO_HEAD_SAFETENSORS, CLO_HEAD_GGUF } clo_hub_head_kind;
clo_hub_head_kind clo_hub_head_kind_of(clo_str path); /* by the end of its name */

typedef struct {
    clo_hub_head_kind kind;
    const clo_tensor *tensors; /* [n_tensors] in the arena; they have no data */
    size_t n_tensors;
    clo_safetensors st; /* or */
    clo_gguf gguf;
    clo_buf bytes;   /* owned: what views borrow from */
    clo_arena arena; /* owned */
} clo_hub_head;

/* CLO_ERR_LIMIT when the header is longer than `max` bytes; CLO_ERR_FORMAT. */
CLO_CHECK bool clo_hub_head_open(clo_hub_head *out, const clo_content *f, clo_hub_head_kind kind, size_t max, clo_err *err);
void clo_hub_head_close(clo_hub_head *h);

uint64_t clo_hub_tensor_elements(const clo_tensor *t);

#endif
