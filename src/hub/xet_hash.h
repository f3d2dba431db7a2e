/* The names of the Xet protocol: chunks, xorbs (packs of chunks) and files are named by keyed BLAKE3.
 *
 *   chunk   keyed(DATA_KEY, raw bytes)
 *   xorb    root of the tree over its chunks
 *   file    keyed(32 zero bytes, root of the tree over its chunks); 32 zero bytes when it is empty
 *   range   keyed(VERIFICATION_KEY, the chunks' hashes one after another): who knows it has the chunks
 *
 *   clo_xet_tree t;
 *   clo_xet_tree_begin(&t);
 *   for each chunk: clo_xet_tree_add(&t, &hash, raw_len);
 *   clo_xet_hash root = clo_xet_tree_end(&t), file = clo_xet_file_hash(&root);
 *
 * As text a hash is four little-endian 64-bit numbers of 16 hex digits each: not the hex of its bytes.
 *
 * Nothing here fails or allocates; any thread. Source: Hugging Face, "Xet Protocol Specification", hashing. */
#ifndef CLO_HUB_XET_HASH_H
#define CLO_HUB_XET_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/slice.h"

typedef struct {
    uint8_t b[32];
} clo_xet_hash;

static inline bool clo_xet_hash_eq(const clo_xet_hash *a, const clo_xet_hash *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

/* 64 lower-case hex digits and a NUL. */
void clo_xet_hash_text(char out[65], const clo_xet_hash *h);
/* False unless exactly 64 lower-case hex digits. */
bool clo_xet_hash_parse(clo_xet_hash *out, clo_str text);
/* A shard holds a file's SHA-256 with the bytes of each group of eight turned round, as if it were such a hash. */
clo_sha256 clo_xet_to_sha256(const uint8_t turned[32]);
clo_xet_hash clo_xet_from_sha256(const clo_sha256 *d);

clo_xet_hash clo_xet_chunk_hash(const void *raw, size_t n);
clo_xet_hash clo_xet_file_hash(const clo_xet_hash *root);
/* hashes: n times 32 bytes. */
clo_xet_hash clo_xet_range_hash(const uint8_t *hashes, size_t n);

/* The tree, as its leaves come. Nodes of a level are grouped by their values: a group ends after its third or a later
 * member whose last eight bytes are a multiple of 4, after the ninth, and at the end of the level. */
#define CLO_XET_GROUP_MAX 9
#define CLO_XET_LEVELS 41 /* a group but the last of a level has at least 3 members: 3^41 > 2^64 */

typedef struct {
    clo_xet_hash hash;
    uint64_t len; /* raw bytes below it */
} clo_xet_node;

typedef struct {
    struct {
        clo_xet_node open[CLO_XET_GROUP_MAX]; /* the group that is not yet ended */
        size_t n_open;
        bool closed_one; /* a group of this level was ended before */
    } level[CLO_XET_LEVELS];
    uint64_t bytes; /* of all leaves */
} clo_xet_tree;

void clo_xet_tree_begin(clo_xet_tree *t);
void clo_xet_tree_add(clo_xet_tree *t, const clo_xet_hash *hash, uint64_t len);
/* The root: 32 zero bytes without leaves, the leaf when there is one. Ends the tree. */
clo_xet_hash clo_xet_tree_end(clo_xet_tree *t);

#endif
