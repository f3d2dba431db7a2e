/* See xet_hash.h. */
#include "hub/xet_hash.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/blake3.h"
#include "base/cursor.h"

static const uint8_t DATA_KEY[32] = {102, 151, 245, 119, 91,  149, 80, 222, 49,  53,  203, 172, 165, 151, 24,  28,
                                     157, 228, 33,  16,  155, 235, 43, 88,  180, 208, 176, 75,  147, 173, 242, 41};
static const uint8_t NODE_KEY[32] = {1,  126, 197, 199, 165, 71,  41,  150, 253, 148, 102, 102, 180, 138, 2,   230,
                                     93, 221, 83,  111, 55,  199, 109, 210, 248, 99,  82,  230, 74,  83,  113, 63};
static const uint8_t VERIFICATION_KEY[32] = {127, 24,  87,  214, 206, 86,  237, 102, 18,  127, 249,
                                             19,  231, 165, 195, 243, 164, 205, 38,  213, 181, 219,
                                             73,  230, 65,  36,  152, 127, 40,  251, 148, 195};
static const uint8_t ZERO_KEY[32];

/* --- text ---------------------------------------------------------------------------------------------------------*/

clo_sha256 clo_xet_to_sha256(const uint8_t turned[32])
{
    clo_sha256 d;
    for (size_t i = 0; i < 32; i++)
        d.b[i] = turned[i ^ 7];
    return d;
}

clo_xet_hash clo_xet_from_sha256(const clo_sha256 *d)
{
    clo_xet_hash h;
    for (size_t i = 0; i < 32; i++)
        h.b[i] = d->b[i ^ 7];
    return h;
}

void clo_xet_hash_text(char out[65], const clo_xet_hash *h)
{
    clo_sha256 turned = clo_xet_to_sha256(h->b);
    clo_sha256_hex(out, &turned);
}

bool clo_xet_hash_parse(clo_xet_hash *out, clo_str text)
{
    clo_sha256 turned;
    if (!clo_sha256_parse(&turned, text.ptr, text.len)) return false;
    *out = clo_xet_from_sha256(&turned);
    return true;
}

/* --- hashes -------------------------------------------------------------------------------------------------------*/

static clo_xet_hash keyed(const uint8_t key[32], const void *p, size_t n)
{
    clo_xet_hash h;
    clo_blake3_keyed(h.b, key, p, n);
    return h;
}

clo_xet_hash clo_xet_chunk_hash(const void *raw, size_t n)
{
    return keyed(DATA_KEY, raw, n);
}

clo_xet_hash clo_xet_file_hash(const clo_xet_hash *root)
{
    if (memcmp(root->b, ZERO_KEY, sizeof root->b) == 0) return *root;
    return keyed(ZERO_KEY, root->b, sizeof root->b);
}

clo_xet_hash clo_xet_range_hash(const uint8_t *hashes, size_t n)
{
    return keyed(VERIFICATION_KEY, hashes, 32 * n);
}

/* --- the tree -----------------------------------------------------------------------------------------------------*/

/* The parent of a group: its members as lines of text, "<hash> : <decimal length>". */
static clo_xet_node parent_of(const clo_xet_node *group, size_t n)
{
    char text[CLO_XET_GROUP_MAX * 96], hex[65];
    size_t len = 0;
    clo_xet_node up = {0};
    for (size_t i = 0; i < n; i++) {
        clo_xet_hash_text(hex, &group[i].hash);
        len += (size_t)snprintf(text + len, sizeof text - len, "%s : %" PRIu64 "\n", hex, group[i].len);
        up.len += group[i].len;
    }
    up.hash = keyed(NODE_KEY, text, len);
    return up;
}

void clo_xet_tree_begin(clo_xet_tree *t)
{
    for (size_t l = 0; l < CLO_XET_LEVELS; l++) {
        t->level[l].n_open = 0;
        t->level[l].closed_one = false;
    }
    t->bytes = 0;
}

static bool ends_group(const clo_xet_node *node, size_t n_open)
{
    return n_open == CLO_XET_GROUP_MAX || (n_open >= 3 && clo_load_le64(node->hash.b + 24) % 4 == 0);
}

void clo_xet_tree_add(clo_xet_tree *t, const clo_xet_hash *hash, uint64_t len)
{
    clo_xet_node node = {*hash, len};
    t->bytes += len;
    for (size_t l = 0; l < CLO_XET_LEVELS; l++) {
        t->level[l].open[t->level[l].n_open++] = node;
        if (!ends_group(&node, t->level[l].n_open)) return;
        node = parent_of(t->level[l].open, t->level[l].n_open);
        t->level[l].n_open = 0;
        t->level[l].closed_one = true;
    }
}

/* A level that never ended a group and holds one node holds the root. What is open elsewhere is the level's last group. */
clo_xet_hash clo_xet_tree_end(clo_xet_tree *t)
{
    for (size_t l = 0; l < CLO_XET_LEVELS; l++) {
        size_t n = t->level[l].n_open;
        if (n == 1 && !t->level[l].closed_one) return t->level[l].open[0].hash;
        if (n == 0) continue;
        clo_xet_node up = parent_of(t->level[l].open, n);
        if (l + 1 < CLO_XET_LEVELS) t->level[l + 1].open[t->level[l + 1].n_open++] = up;
    }
    return (clo_xet_hash){{0}};
}
