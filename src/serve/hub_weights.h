/* What the weights of a commit are: how many parameters of which type, by the headers of its files.
 *
 *   {"safetensors": {"parameters": {"BF16": 1100048384}, "total": 1100048384}, "gguf": {"total", "architecture", ...}}
 *
 * each only where there are such files. They are model.safetensors, or model-00001-of-00002.safetensors and so on, or the one
 * file of the root that ends so; and the first GGUF file of the root. What was read is kept in memory, for a commit never changes. */
#ifndef CLO_SERVE_HUB_WEIGHTS_H
#define CLO_SERVE_HUB_WEIGHTS_H

#include "serve/hub.h"

typedef struct clo_weights_cache clo_weights_cache;
clo_weights_cache *clo_weights_cache_new(void); /* NULL: no memory */
void clo_weights_cache_free(clo_weights_cache *w);

/* A file that cannot be read has no facts. CLO_ERR_MEMORY, and what the store tells. */
CLO_CHECK bool clo_hub_weights(json_t **out, clo_hub_call *c, clo_git *g, const clo_oid *commit, clo_err *err);

#endif
