/* See prefix.h. */
#include "infer/prefix.h"

#include <stdlib.h>
#include <string.h>

#include "tensor/kernel.h"

struct prefix_entry {
    uint64_t serial, behind; /* of the entry before it */
    uint32_t block;
    uint32_t next;           /* in its bucket, or among the spare ones */
    uint32_t newer, older;
    int32_t ids[CLO_KV_BLOCK];
};

bool clo_prefix_open(clo_prefix *p, clo_kv *kv, uint64_t seed, clo_err *err)
{
    *p = (clo_prefix){.kv = kv, .newest = CLO_KV_NONE, .oldest = CLO_KV_NONE, .spare = CLO_KV_NONE, .seed = seed};
    for (p->n_buckets = 16; p->n_buckets < kv->n_max;) p->n_buckets *= 2;
    p->entries = calloc(kv->n_max, sizeof *p->entries);
    p->buckets = malloc(p->n_buckets * sizeof *p->buckets);
    if (!p->entries || !p->buckets) {
        clo_prefix_close(p);
        return clo_fail(err, CLO_ERR_MEMORY, "prefix cache of %zu blocks", kv->n_max);
    }
    memset(p->buckets, 0xff, p->n_buckets * sizeof *p->buckets);
    return true;
}

/* --- the list by use --------------------------------------------------------------------------------------------------*/

static void unlink_entry(clo_prefix *p, uint32_t i)
{
    struct prefix_entry *e = &p->entries[i];
    *(e->newer == CLO_KV_NONE ? &p->newest : &p->entries[e->newer].older) = e->older;
    *(e->older == CLO_KV_NONE ? &p->oldest : &p->entries[e->older].newer) = e->newer;
}

static void link_newest(clo_prefix *p, uint32_t i)
{
    struct prefix_entry *e = &p->entries[i];
    e->newer = CLO_KV_NONE;
    e->older = p->newest;
    *(p->newest == CLO_KV_NONE ? &p->oldest : &p->entries[p->newest].newer) = i;
    p->newest = i;
}

void clo_prefix_use(clo_prefix *p, clo_prefix_at at)
{
    if (at.i == CLO_KV_NONE || p->entries[at.i].serial != at.serial) return;
    unlink_entry(p, at.i);
    link_newest(p, at.i);
}

/* --- buckets ----------------------------------------------------------------------------------------------------------*/

static uint32_t *bucket_of(const clo_prefix *p, uint64_t behind, const int32_t *ids)
{
    uint64_t h = p->seed ^ behind * 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < CLO_KV_BLOCK; i++) {
        h = (h ^ (uint32_t)ids[i]) * 0xd6e8feb86659fd93u;
        h ^= h >> 32;
    }
    return &p->buckets[h & (p->n_buckets - 1)];
}

bool clo_prefix_find(const clo_prefix *p, clo_prefix_at *at, const int32_t *ids, uint32_t *block)
{
    for (uint32_t i = *bucket_of(p, at->serial, ids); i != CLO_KV_NONE; i = p->entries[i].next) {
        const struct prefix_entry *e = &p->entries[i];
        if (e->behind != at->serial || memcmp(e->ids, ids, sizeof e->ids) != 0) continue;
        *at = (clo_prefix_at){e->serial, i};
        *block = e->block;
        return true;
    }
    return false;
}

/* There are as many entries as blocks, so one is left for a block that is not kept yet. */
static uint32_t take_entry(clo_prefix *p)
{
    uint32_t i = p->spare;
    if (i == CLO_KV_NONE) return (uint32_t)p->n_entries++;
    p->spare = p->entries[i].next;
    return i;
}

void clo_prefix_keep(clo_prefix *p, clo_prefix_at *at, const int32_t *ids, uint32_t block)
{
    uint32_t other;
    if (clo_prefix_find(p, at, ids, &other)) return;
    uint32_t i = take_entry(p), *bucket = bucket_of(p, at->serial, ids);
    struct prefix_entry *e = &p->entries[i];
    *e = (struct prefix_entry){.serial = ++p->n_serials, .behind = at->serial, .block = block, .next = *bucket};
    memcpy(e->ids, ids, sizeof e->ids);
    *bucket = i;
    link_newest(p, i);
    clo_kv_keep(p->kv, block);
    *at = (clo_prefix_at){e->serial, i};
}

static void give_up(clo_prefix *p, uint32_t i)
{
    struct prefix_entry *e = &p->entries[i];
    uint32_t *from = bucket_of(p, e->behind, e->ids);
    while (*from != i) from = &p->entries[*from].next;
    *from = e->next;
    unlink_entry(p, i);
    clo_kv_give_up(p->kv, e->block);
    e->serial = 0;
    e->next = p->spare;
    p->spare = i;
}

bool clo_prefix_give_up(clo_prefix *p)
{
    if (p->kv->n_idle == 0) return false;
    uint32_t i = p->oldest;
    while (p->kv->blocks[p->entries[i].block].n_holders > 1) i = p->entries[i].newer;
    give_up(p, i);
    return true;
}

void clo_prefix_close(clo_prefix *p)
{
    while (p->entries && p->newest != CLO_KV_NONE) give_up(p, p->newest);
    free(p->entries);
    free(p->buckets);
    *p = (clo_prefix){0};
}
