/* File-level quantisation types: "q4_k_m" is not one block format but a choice of one for every tensor.
 *
 * The choices are llama-quantize's for dense models without an importance matrix, so that a file named Q4_K_M here holds
 * the same types, and the same bytes, as one made there. Source: llama.cpp src/llama-quant.cpp, read in 2026.
 */
#ifndef CLO_MODEL_MIXTURE_H
#define CLO_MODEL_MIXTURE_H

#include "model/checkpoint.h"

typedef struct {
    const char *name;  /* "q4_k_m" */
    clo_dtype base;    /* of every matrix without a rule of its own */
    uint32_t ftype;    /* general.file_type */
    const char *about; /* one line for --help */
} clo_mixture;

/* By name in either case; also "q3_k", "q4_k", "q5_k" for their _m. NULL when unknown. */
const clo_mixture *clo_mixture_find(clo_str name);
/* Row i of the table, in the order of --help, or NULL past its end. */
const clo_mixture *clo_mixture_at(size_t i);

/* What the rules ask of a model. */
typedef struct {
    uint32_t n_layers;  /* {arch}.block_count */
    uint32_t n_gqa;     /* query heads per key head */
    bool tied;          /* no output.weight: the token table is the output matrix too */
    bool is_70b;        /* llama or qwen2 with 80 layers and shared key heads */
} clo_mixture_facts;

struct clo_gguf;
clo_mixture_facts clo_mixture_facts_of(const struct clo_gguf *g, const clo_checkpoint *ck);

/* True for tensors that quantisation may touch: matrices named "...weight" that are no norms, gates of experts, position
 * or segment tables, small convolutions. */
bool clo_mixture_applies(const clo_tensor *t);

/* The type of tensor t, for which clo_mixture_applies. With `pure` every matrix gets the base type. The caller then asks
 * clo_quantize_fallback, for the rows may not be made of whole blocks. */
clo_dtype clo_mixture_choose(const clo_mixture *m, const clo_mixture_facts *f, bool pure, const clo_tensor *t);

#endif
