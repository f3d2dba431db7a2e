/* See kv.h. */
#include "infer/kv.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"

#define SLAB_BYTES ((size_t)32 << 20) /* taken from the system at a time, or one block */

bool clo_kv_open(clo_kv *kv, size_t block_bytes, size_t n_max, clo_err *err)
{
    *kv = (clo_kv){.block_bytes = block_bytes, .n_max = n_max};
    kv->n_in_slab = clo_min(n_max, clo_max(1, SLAB_BYTES / block_bytes));
    kv->blocks = calloc(n_max, sizeof *kv->blocks);
    kv->free = calloc(n_max, sizeof *kv->free);
    kv->slabs = calloc(clo_ceil_div(n_max, kv->n_in_slab), sizeof *kv->slabs);
    if (kv->blocks && kv->free && kv->slabs) return true;
    clo_kv_close(kv);
    return clo_fail(err, CLO_ERR_MEMORY, "KV memory of %zu blocks", n_max);
}

void clo_kv_close(clo_kv *kv)
{
    for (size_t i = 0; i < kv->n_slabs; i++)
        clo_huge_free(kv->slabs[i], kv->n_in_slab * kv->block_bytes);
    free(kv->slabs);
    free(kv->free);
    free(kv->blocks);
    *kv = (clo_kv){0};
}

/* A slab more, if the system gives one; its last blocks come first. */
static void make_slab(clo_kv *kv)
{
    if (kv->n_made == kv->n_max) return;
    uint8_t *slab = clo_huge_alloc(kv->n_in_slab * kv->block_bytes);
    if (!slab) return;
    kv->slabs[kv->n_slabs++] = slab;
    size_t n = clo_min(kv->n_in_slab, kv->n_max - kv->n_made);
    for (size_t i = n; i-- > 0;) {
        kv->blocks[kv->n_made + i].memory = slab + i * kv->block_bytes;
        kv->free[kv->n_free++] = (uint32_t)(kv->n_made + i);
    }
    kv->n_made += n;
}

uint32_t clo_kv_take(clo_kv *kv)
{
    if (kv->n_free == 0) make_slab(kv);
    if (kv->n_free == 0) return CLO_KV_NONE;
    uint32_t i = kv->free[--kv->n_free];
    kv->blocks[i].n_holders = 1;
    kv->n_used++;
    return i;
}

static bool is_idle(const struct clo_kv_block *b)
{
    return b->kept && b->n_holders == 1;
}

/* Changes the holders of a block and counts what follows. */
static void change(clo_kv *kv, uint32_t i, int by, bool kept)
{
    struct clo_kv_block *b = &kv->blocks[i];
    kv->n_idle -= is_idle(b);
    b->n_holders = (uint32_t)((int)b->n_holders + by);
    b->kept = kept;
    kv->n_idle += is_idle(b);
    if (b->n_holders > 0) return;
    kv->free[kv->n_free++] = i;
    kv->n_used--;
}

void clo_kv_hold(clo_kv *kv, uint32_t i)
{
    change(kv, i, 1, kv->blocks[i].kept);
}

void clo_kv_drop(clo_kv *kv, uint32_t i)
{
    change(kv, i, -1, kv->blocks[i].kept);
}

void clo_kv_keep(clo_kv *kv, uint32_t i)
{
    change(kv, i, 1, true);
}

void clo_kv_give_up(clo_kv *kv, uint32_t i)
{
    change(kv, i, -1, false);
}
