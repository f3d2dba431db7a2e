/* KV memory that many sequences share: blocks of 64 positions (seq.h says what is in one) under one ceiling. A block
 * counts its holders; one that is kept belongs to the prefix cache too, which can give it up when nobody else holds it.
 * Private to infer/; one thread at a time. */
#ifndef CLO_INFER_KV_H
#define CLO_INFER_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CLO_KV_NONE UINT32_MAX

struct clo_kv_block {
    uint8_t *memory;   /* into a slab; NULL: not taken from the system yet */
    uint32_t n_holders;
    bool kept;         /* one of the holders is the prefix cache */
};

typedef struct {
    size_t block_bytes, n_max, n_made; /* blocks 0 .. n_made - 1 have memory */
    size_t n_used, n_idle;             /* held by anybody; kept, and held by nobody else */
    struct clo_kv_block *blocks;       /* [n_max] owned */
    uint32_t *free;                    /* [n_free] owned array of n_max */
    size_t n_free;
    void **slabs;                      /* [n_slabs] owned */
    size_t n_slabs, n_in_slab;         /* blocks in each */
} clo_kv;

CLO_CHECK bool clo_kv_open(clo_kv *kv, size_t block_bytes, size_t n_max, clo_err *err);
/* Valid on a zeroed struct. */
void clo_kv_close(clo_kv *kv);

/* A block with one holder, what is in it undefined; CLO_KV_NONE when all are held or the system gives no more. */
uint32_t clo_kv_take(clo_kv *kv);
void clo_kv_hold(clo_kv *kv, uint32_t i);
void clo_kv_drop(clo_kv *kv, uint32_t i);
/* The prefix cache becomes a holder, or ceases to be. */
void clo_kv_keep(clo_kv *kv, uint32_t i);
void clo_kv_give_up(clo_kv *kv, uint32_t i);

static inline uint8_t *clo_kv_at(const clo_kv *kv, uint32_t i)
{
    return kv->blocks[i].memory;
}

/* Blocks that can be had when the cache gives up what it can. */
static inline size_t clo_kv_available(const clo_kv *kv)
{
    return kv->n_max - kv->n_used + kv->n_idle;
}

#endif
