/* The KV cache of one sequence, as the decoder sees it, and sequences whose blocks come from a pool that many share.
 * Private to infer/.
 *
 * Positions are kept in blocks of 64 (CLO_KV_BLOCK). A block holds all layers and kv heads:
 *   [n_layer][n_kv_head] { keys [head_dim][64], values [64][head_dim] }  of kv_dtype
 * A sequence of its own reserves all blocks at opening; they take memory only when they are first written. */
#ifndef CLO_INFER_SEQ_H
#define CLO_INFER_SEQ_H

#include "infer/decoder.h"
#include "infer/kv.h"

struct clo_seq {
    clo_decoder *decoder;     /* borrowed */
    size_t len, n_ctx;        /* positions */
    uint8_t *memory;          /* owned mapping of memory_bytes; NULL: blocks are the pool's */
    size_t memory_bytes;
    const uint8_t **blocks;   /* [n_blocks] owned array, into memory or the pool's; the first n_blocks are there */
    size_t n_blocks;
    clo_kv *kv;               /* borrowed; NULL: blocks are its own */
    uint32_t *held;           /* [n_blocks] owned array: the pool's numbers of them */
};

/* Geometry of a block, fixed by the model. */
typedef struct {
    clo_dtype dtype;       /* F32 when the model's matrices are F32, else F16 */
    size_t head_bytes;     /* keys of one head in one block = values of it */
    size_t layer_bytes, block_bytes;
} clo_kv_layout;

const clo_kv_layout *clo_decoder_kv_layout(const clo_decoder *d);

/* A sequence without blocks yet. kv is borrowed and outlives it. */
CLO_CHECK bool clo_seq_open_in(clo_seq **out, clo_decoder *d, clo_kv *kv, size_t n_ctx, clo_err *err);
/* Takes blocks from the pool until positions [0, n) have theirs (n <= n_ctx); false when it has no more, those that were
 * taken stay. */
bool clo_seq_reserve(clo_seq *s, size_t n);
/* Appends a whole block of 64 positions that others computed. The sequence ends at a block's end, and is never truncated
 * to before the end of this one. */
void clo_seq_adopt(clo_seq *s, uint32_t block);

#endif
