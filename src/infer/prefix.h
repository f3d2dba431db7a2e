/* The prefix cache: whole blocks of KV memory by the tokens that they and all blocks before them hold.
 *
 * An entry is 64 tokens behind an entry (or behind nothing), so a text's blocks are a path of entries, found one after
 * the other. Tokens are compared, not only their hashes. What was used longest ago goes first, ends of paths before
 * their beginnings; what was behind an entry that went is never found again, and goes in its turn.
 * Private to infer/; one thread at a time.
 *
 *   clo_prefix_at at = clo_prefix_root;
 *   while (... && clo_prefix_find(&cache, &at, ids, &block)) ids += CLO_KV_BLOCK ... */
#ifndef CLO_INFER_PREFIX_H
#define CLO_INFER_PREFIX_H

#include "infer/kv.h"

/* An entry, while it lives: no two ever have the same serial. */
typedef struct {
    uint64_t serial; /* 0: before all blocks */
    uint32_t i;
} clo_prefix_at;

static const clo_prefix_at clo_prefix_root = {0, CLO_KV_NONE};

typedef struct {
    clo_kv *kv;                  /* borrowed */
    struct prefix_entry *entries; /* [n_entries] owned array of kv->n_max */
    size_t n_entries;
    uint32_t *buckets;           /* [n_buckets] owned: first entry of each, or CLO_KV_NONE */
    size_t n_buckets;            /* a power of two */
    uint32_t newest, oldest, spare; /* ends of the list by use; entries that are not in use */
    uint64_t n_serials, seed;
} clo_prefix;

/* seed: keeps others from choosing tokens whose hashes collide. */
CLO_CHECK bool clo_prefix_open(clo_prefix *p, clo_kv *kv, uint64_t seed, clo_err *err);
/* Gives up every block. Valid on a zeroed struct. */
void clo_prefix_close(clo_prefix *p);

/* The block that holds ids [CLO_KV_BLOCK] behind *at, which moves there; false when there is none. */
bool clo_prefix_find(const clo_prefix *p, clo_prefix_at *at, const int32_t *ids, uint32_t *block);
/* Keeps `block`, unless one with these ids is kept already; *at moves to it either way. */
void clo_prefix_keep(clo_prefix *p, clo_prefix_at *at, const int32_t *ids, uint32_t block);
/* Used just now, if it still lives. A path is used from its end to its beginning. */
void clo_prefix_use(clo_prefix *p, clo_prefix_at at);
/* Gives up the block that was used longest ago and is held by nobody else; false when there is none. */
bool clo_prefix_give_up(clo_prefix *p);

#endif
