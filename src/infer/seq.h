/* The KV cache of one sequence, as the decoder sees it. Private to infer/.
 *
 * Positions are kept in blocks of 64 (CLO_KV_BLOCK). A block holds all layers and kv heads:
 *   [n_layer][n_kv_head] { keys [head_dim][64], values [64][head_dim] }  of kv_dtype
 * All blocks are reserved at opening and take memory only when they are first written. */
#ifndef CLO_INFER_SEQ_H
#define CLO_INFER_SEQ_H

#include "infer/decoder.h"

struct clo_seq {
    clo_decoder *decoder;     /* borrowed */
    size_t len, n_ctx;        /* positions */
    uint8_t *memory;          /* owned mapping of memory_bytes */
    size_t memory_bytes;
    const uint8_t **blocks;   /* [n_blocks] owned array, into memory */
    size_t n_blocks;
};

/* Geometry of a block, fixed by the model. */
typedef struct {
    clo_dtype dtype;       /* F32 when the model's matrices are F32, else F16 */
    size_t head_bytes;     /* keys of one head in one block = values of it */
    size_t layer_bytes, block_bytes;
} clo_kv_layout;

const clo_kv_layout *clo_decoder_kv_layout(const clo_decoder *d);

#endif
