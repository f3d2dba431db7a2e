/* What the files of spec share: the table of families and the readers of the two kinds of metadata. */
#ifndef CLO_MODEL_SPEC_IMPL_H
#define CLO_MODEL_SPEC_IMPL_H

#include "model/gguf.h"
#include "model/spec.h"

/* Limits on what a file may say; beyond them CLO_ERR_LIMIT. */
#define SPEC_DIM_MAX 65536u
#define SPEC_HEADS_MAX 1024u
#define SPEC_HEAD_DIM_MAX 256u /* attention kernels */
#define SPEC_FF_MAX 1048576u
#define SPEC_VOCAB_MAX 4194304u
#define SPEC_CTX_MAX                                                                                                   \
    (1u << 23) /* positions are exact in f32; an angle of at most twice that is in clo_sin_f64's range */
#define SPEC_TYPES_MAX 1024u
#define SPEC_CONFIG_BYTES_MAX (1u << 20)
#define SPEC_TOKENIZER_BYTES_MAX (16u << 20) /* tokenizer_config.json */
#define CLO_POOLING_FOLDER_MAX 16

/* Which layers see a window of earlier positions only, when the file does not list its layers. */
typedef enum {
    CLO_WINDOW_NONE,    /* no layer; a file that says otherwise is refused */
    CLO_WINDOW_PATTERN, /* layer i slides unless (i + 1) % pattern == 0 */
    CLO_WINDOW_ABOVE,   /* layers from max_window_layers on, when use_sliding_window */
    CLO_WINDOW_NO_ROPE, /* layers without rope, when use_sliding_window */
} clo_window_kind;

/* A family, as both containers name it, with what its files leave unsaid. Zero in a size: the file must say. */
typedef struct {
    const char *family;
    const char *hf_type;   /* config.json model_type */
    const char *hf_class;  /* config.json architectures[0] */
    const char *gguf_arch; /* general.architecture */
    clo_norm_kind norm;
    bool norm_weight;
    bool plus_one; /* norm weights of safetensors need +1 */
    bool pre_norms, post_norms;
    bool qkv_bias; /* always; else config.json's attention_bias */
    clo_qk_norm_kind qk_norm;
    clo_act_kind act;       /* when the file does not name it */
    bool encoder;           /* BERT's form of one: see spec.h */
    bool emb_sqrt;          /* embeddings times sqrt(n_dim) */
    bool permuted;          /* GGUF: q and k rows interleaved */
    bool two_ropes;         /* sliding layers have a table of their own, never scaled */
    uint32_t no_rope_every; /* every n-th layer has no rope; 0: all have */
    clo_window_kind window;
    uint32_t pattern; /* of CLO_WINDOW_PATTERN */
    bool tied;        /* default of tie_word_embeddings */
    double eps;       /* defaults of config.json */
    double theta, theta_sliding;
    uint32_t n_layer, n_head, n_kv_head, head_dim, n_vocab, n_ctx, n_window;
} clo_family;

/* By model_type (then class name), or by GGUF architecture; NULL when unknown. */
const clo_family *clo_family_of_hf(clo_str type);
const clo_family *clo_family_of_gguf(clo_str arch);
const clo_family *clo_family_named(const char *family);

/* Fills what the family fixes: norms, biases, activation, scales, ropes on every layer. */
void clo_spec_begin(clo_spec *s, const clo_family *f);

/* Values that follow from the others, then every limit. */
CLO_CHECK bool clo_spec_end(clo_spec *s, const clo_family *f, clo_err *err);

/* Adds a stop id unless it is there, negative or outside the vocabulary. */
void clo_spec_add_stop(clo_spec *s, int64_t id);

/* attention factor of yarn when the file gives none: 0.1 * mscale * ln(factor) + 1, and 1 for factor <= 1. */
double clo_yarn_mscale(double factor, double mscale);

/* Reads from GGUF keys; rope divisors are copied to keep. n_vocab comes from the embedding's shape. */
CLO_CHECK bool clo_spec_from_gguf(clo_spec *out, const clo_family **family, const clo_checkpoint *ck, clo_arena *keep,
                                  clo_err *err);

/* Reads from the texts of config.json and generation_config.json (empty when there is none). No tensor is needed. */
CLO_CHECK bool clo_spec_from_config(clo_spec *out, const clo_family **family, clo_str config, clo_str generation,
                                    clo_err *err);

/* Pooling of a folder: modules.json, N_Pooling/config.json, sentence_bert_config.json; an encoder without them takes the
 * mean, as sentence-transformers does. */
CLO_CHECK bool clo_spec_pooling_from_folder(clo_spec *s, const char *folder, clo_err *err);
/* The same from texts, empty where there is none; for tests and fuzzing. */
typedef struct {
    clo_str pooling, sentence, tokenizer; /* N_Pooling/config.json, sentence_bert_config.json, tokenizer_config.json */
} clo_pooling_texts;
CLO_CHECK bool clo_spec_pooling_from_texts(clo_spec *s, const clo_pooling_texts *t, clo_err *err);
/* The folder that modules.json names for its pooling; empty when it has none. What is no plain name is refused, and so is
 * a module that would change the vector. */
CLO_CHECK bool clo_spec_pooling_folder(char out[CLO_POOLING_FOLDER_MAX], clo_str modules, clo_err *err);

/* Refuses a tensor that no role of this spec and no list of ignored names explains, and fetches every role. */
CLO_CHECK bool clo_spec_check_tensors(const clo_spec *s, const clo_checkpoint *ck, clo_err *err);

#endif
