/* See id_set.h. */
#include "hub/id_set.h"

#include <stdlib.h>
#include <string.h>

#define WORDS (CLO_ID_BLOCK / 64)
#define BITS_BYTES (CLO_ID_BLOCK / 8)
#define LIST_MAX (BITS_BYTES / 2 - 1) /* ids of a list; one more would be as long as the bits */
#define BLOCKS_MAX ((int64_t)1 << 16) /* two thousand million repositories */

/* --- a block ------------------------------------------------------------------------------------------------------*/

/* Adds what a row holds to the bits. */
static bool add_row(uint64_t words[WORDS], clo_bytes row, clo_err *err)
{
    if (row.len > BITS_BYTES || row.len % 2) return clo_fail(err, CLO_ERR_DAMAGED, "a set of repositories has a row of %zu bytes", row.len);
    if (row.len == BITS_BYTES) {
        for (size_t i = 0; i < WORDS; i++) {
            uint64_t w = 0;
            for (size_t k = 0; k < 8; k++) w |= (uint64_t)row.ptr[8 * i + k] << 8 * k;
            words[i] |= w;
        }
        return true;
    }
    for (size_t i = 0; i < row.len; i += 2) {
        unsigned id = row.ptr[i] | (unsigned)row.ptr[i + 1] << 8;
        if (id >= CLO_ID_BLOCK) return clo_fail(err, CLO_ERR_DAMAGED, "a set of repositories names %u in a block", id);
        words[id / 64] |= (uint64_t)1 << id % 64;
    }
    return true;
}

/* The shorter form. */
static size_t pack(uint8_t out[BITS_BYTES], const uint64_t words[WORDS])
{
    size_t n = 0;
    for (size_t i = 0; i < WORDS; i++) n += (size_t)__builtin_popcountll(words[i]);
    if (n > LIST_MAX) {
        for (size_t i = 0; i < BITS_BYTES; i++) out[i] = (uint8_t)(words[i / 8] >> 8 * (i % 8));
        return BITS_BYTES;
    }
    n = 0;
    for (size_t i = 0; i < WORDS; i++)
        for (uint64_t w = words[i]; w; w &= w - 1, n += 2) {
            size_t id = 64 * i + (size_t)__builtin_ctzll(w);
            out[n] = (uint8_t)id;
            out[n + 1] = (uint8_t)(id >> 8);
        }
    return n;
}

/* --- in memory ----------------------------------------------------------------------------------------------------*/

static bool grow(clo_id_set *s, int64_t block, clo_err *err)
{
    if (block < 0 || block >= BLOCKS_MAX) return clo_fail(err, CLO_ERR_DAMAGED, "a set of repositories has a block %lld", (long long)block);
    if ((size_t)block < s->n_blocks) return true;
    size_t n = (size_t)block + 1;
    uint64_t *p = (uint64_t *)realloc(s->words, n * BITS_BYTES);
    if (!p) return clo_fail(err, CLO_ERR_MEMORY, "set of repositories");
    memset(p + s->n_blocks * WORDS, 0, (n - s->n_blocks) * BITS_BYTES);
    s->words = p;
    s->n_blocks = n;
    return true;
}

static bool load(clo_id_set *s, clo_db *db, clo_repo_type type, clo_str first, clo_str last, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, db, "SELECT block, ids FROM repo_sets WHERE type = ?1 AND name BETWEEN ?2 AND ?3", err) &&
              clo_stmt_int(&q, 1, type, err) && clo_stmt_text(&q, 2, first, err) && clo_stmt_text(&q, 3, last, err);
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row)
        ok = grow(s, clo_stmt_get_int(&q, 0), err) &&
             add_row(s->words + (size_t)clo_stmt_get_int(&q, 0) * WORDS, clo_stmt_get_blob(&q, 1), err);
    clo_stmt_close(&q);
    s->some = true;
    return ok;
}

bool clo_id_set_and(clo_id_set *s, clo_db *db, clo_repo_type type, clo_str first, clo_str last, clo_err *err)
{
    clo_id_set other = {0};
    if (!s->some) return load(s, db, type, first, last, err);
    bool ok = load(&other, db, type, first, last, err);
    if (other.n_blocks < s->n_blocks) s->n_blocks = other.n_blocks;
    for (size_t i = 0; i < s->n_blocks * WORDS; i++) s->words[i] &= other.words[i];
    clo_id_set_free(&other);
    return ok;
}

bool clo_id_set_has(const clo_id_set *s, int64_t id)
{
    if (!s->some) return true;
    size_t i = (size_t)(uint64_t)id;
    return id >= 0 && i / CLO_ID_BLOCK < s->n_blocks && (s->words[i / 64] >> i % 64 & 1);
}

size_t clo_id_set_count(const clo_id_set *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_blocks * WORDS; i++) n += (size_t)__builtin_popcountll(s->words[i]);
    return n;
}

int64_t clo_id_set_next(const clo_id_set *s, int64_t from)
{
    size_t i = (size_t)from / 64, n = s->n_blocks * WORDS;
    if (i >= n) return -1;
    uint64_t w = s->words[i] >> from % 64 << from % 64;
    while (!w && ++i < n) w = s->words[i];
    return w ? (int64_t)(64 * i) + __builtin_ctzll(w) : -1;
}

void clo_id_set_free(clo_id_set *s)
{
    free(s->words);
    *s = (clo_id_set){0};
}

/* --- rows ---------------------------------------------------------------------------------------------------------*/

static bool write_row(clo_db *db, clo_repo_type type, clo_str name, int64_t block, const uint64_t words[WORDS], clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    uint8_t bytes[BITS_BYTES];
    size_t n = pack(bytes, words);
    bool ok = clo_stmt_open(&q, db, "INSERT OR REPLACE INTO repo_sets (type, name, block, ids) VALUES (?1, ?2, ?3, ?4)", err) &&
              clo_stmt_int(&q, 1, type, err) && clo_stmt_text(&q, 2, name, err) && clo_stmt_int(&q, 3, block, err) &&
              clo_stmt_blob(&q, 4, (clo_bytes){bytes, n}, err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

bool clo_id_set_put(clo_db *db, clo_repo_type type, clo_str name, int64_t id, clo_err *err)
{
    clo_stmt q = {0};
    uint64_t words[WORDS] = {0};
    bool row = false;
    int64_t block = id / CLO_ID_BLOCK;
    size_t i = (size_t)(id % CLO_ID_BLOCK);
    bool ok = clo_stmt_open(&q, db, "SELECT ids FROM repo_sets WHERE type = ?1 AND name = ?2 AND block = ?3", err) &&
              clo_stmt_int(&q, 1, type, err) && clo_stmt_text(&q, 2, name, err) && clo_stmt_int(&q, 3, block, err) &&
              clo_stmt_step(&q, &row, err) && (!row || add_row(words, clo_stmt_get_blob(&q, 0), err));
    clo_stmt_close(&q);
    if (!ok || (words[i / 64] >> i % 64 & 1)) return ok;
    words[i / 64] |= (uint64_t)1 << i % 64;
    return write_row(db, type, name, block, words, err);
}

bool clo_id_set_write(clo_db *db, clo_repo_type type, clo_str name, int64_t block, const uint16_t *ids, size_t n, clo_err *err)
{
    uint64_t words[WORDS] = {0};
    for (size_t i = 0; i < n; i++) words[ids[i] / 64] |= (uint64_t)1 << ids[i] % 64;
    return write_row(db, type, name, block, words, err);
}
