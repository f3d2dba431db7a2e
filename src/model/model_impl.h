/* What model.c (opening, reading) and prepare.c (packing) share: the layout of a prepared file.
 *
 *   offset 0      struct prep_header
 *   spec_off      clo_spec, as in memory of this layout (family and divisors are patched at opening)
 *   entries_off   struct prep_entry [n_entries]
 *   tok_off       compiled tokenizer (tokenizer.h), tok_bytes long; 0 bytes when there is none
 *   each entry    its data, aligned to 64; matrices packed (tensor/pack.h), vectors as f32 filled up to 16
 *
 * The file is a cache made by this program for itself: PREP_LAYOUT changes with any of these structs, and a file of
 * another layout is made again. `meta_digest` covers everything before the data.
 */
#ifndef CLO_MODEL_MODEL_IMPL_H
#define CLO_MODEL_MODEL_IMPL_H

#include "model/model.h"

#define PREP_MAGIC "CLOPREP1"
#define PREP_LAYOUT 2u
#define PREP_ALIGN 64u
#define PREP_BYTES_MAX ((uint64_t)1 << 46)
#define SOURCE_FILES_MAX 1024

typedef enum {
    PREP_MATRIX = 1, /* packed panels */
    PREP_VECTOR,     /* f32, filled with zeros up to a multiple of 16 */
    PREP_ROWS,       /* rows as stored, for looking them up */
} prep_kind;

struct prep_entry {
    uint32_t kind;    /* prep_kind */
    uint32_t role;    /* clo_role */
    uint32_t i_layer;
    uint32_t dtype;   /* clo_dtype of a matrix or of rows */
    uint64_t n_rows, n_cols;
    uint64_t off, bytes;
};

struct prep_header {
    char magic[8];
    uint32_t layout;
    uint32_t spec_bytes;      /* sizeof(clo_spec): another build of the struct is another layout */
    clo_sha256 meta_digest;   /* of the bytes [0, data_off) with this field zero */
    clo_sha256 source;        /* identity of the source files (path, size, time, inode) */
    clo_sha256 model_digest, tok_digest;
    uint64_t total_bytes, data_off;
    uint64_t spec_off, entries_off, n_entries, tok_off, tok_bytes;
    uint64_t divisors_off[2]; /* entry data of rope divisors, 0: none */
    char family[16];
};

struct clo_model {
    clo_spec spec;
    clo_tok *tok;               /* owned, may be NULL */
    clo_sha256 digest, tok_digest;
    clo_map map;                /* the prepared file; or zero when packed in memory */
    uint8_t *memory;            /* owned mapping of `memory_bytes` when packed in memory */
    size_t memory_bytes;
    clo_bytes prepared;         /* whichever of the two */
    uint8_t *settled;           /* owned: huge pages that take the mapped file's place, as long as it; or NULL */
    uint64_t settle_entry;      /* the next entry to move; n_entries when nothing is left to do */
    double settle_not_before;   /* monotonic seconds: moving was slow, the next entry waits */
    clo_layer *layers;          /* [n_layer] owned */
    clo_matrix head;
    clo_matrix embed;           /* rows as stored; data NULL when tied */
    clo_matrix positions, types; /* rows as stored; of encoders */
    const float *embed_norm, *embed_norm_bias;
    const float *final_norm;
    uint64_t bytes_per_token;
    clo_dtype main_dtype;
};

/* Identity of the files that make up the model at path, and their paths in a fixed order (weights and config first,
 * `n_hashed` of them count for the model digest). */
typedef struct {
    clo_sha256 id;
    char **paths;    /* [n] in the arena */
    size_t n;
} clo_source;
CLO_CHECK bool clo_source_identify(clo_source *out, const char *path, clo_arena *keep, clo_err *err);

/* Packs the model at path into a prepared image: into a new file (file_path) or, when file_path is NULL, into memory
 * (m->memory). */
CLO_CHECK bool clo_prepare(clo_model *m, const char *path, const clo_source *src, const char *file_path,
                           clo_model_opts opts, clo_err *err);

/* Pages of [p, p+n) that are wholly inside are dropped from this process (a file's stay in the page cache). */
void clo_drop_pages(const uint8_t *p, size_t n);

/* Sets every pointer of m from the image. Checks all that it uses. */
CLO_CHECK bool clo_model_bind(clo_model *m, clo_bytes image, clo_err *err);

#endif
