/* Sets of repositories, by what they may have in common: a tag, three letters of a name. Rows of the table repo_sets, read
 * and intersected in memory, which finds what is frequent alone and rare together without a walk over everything.
 *
 *   clo_id_set s = {0};                                         // every id
 *   if (!clo_id_set_and(&s, db, CLO_REPO_MODEL, CLO_STR("tgguf"), CLO_STR("tgguf"), &err)) ...
 *   if (clo_id_set_has(&s, repo.id)) ...
 *   clo_id_set_free(&s);
 *
 * A set only grows: ids of what was removed or lost the tag stay in it until it is made anew, so whoever reads one looks at the rows too.
 *
 * A row holds what of a set is in one block of CLO_ID_BLOCK ids: 4,096 bytes with a bit for each, or, while they are fewer than 2,048, their
 * numbers in the block, two bytes each (little-endian), ascending. */
#ifndef CLO_HUB_ID_SET_H
#define CLO_HUB_ID_SET_H

#include "hub/repo.h"

#define CLO_ID_BLOCK 32768

typedef struct {
    bool some;       /* false: every id is in it */
    uint64_t *words; /* owned */
    size_t n_blocks;
} clo_id_set;

/* Leaves those that are in one of the sets from `first` to `last` by name, both included. */
CLO_CHECK bool clo_id_set_and(clo_id_set *s, clo_db *db, clo_repo_type type, clo_str first, clo_str last, clo_err *err);
bool clo_id_set_has(const clo_id_set *s, int64_t id);
size_t clo_id_set_count(const clo_id_set *s); /* of one that is not every id */
/* The first id from `from` on; -1: none. */
int64_t clo_id_set_next(const clo_id_set *s, int64_t from);
void clo_id_set_free(clo_id_set *s);

/* In a transaction. Nothing is written when it is in it. */
CLO_CHECK bool clo_id_set_put(clo_db *db, clo_repo_type type, clo_str name, int64_t id, clo_err *err);
/* A block that is not there: numbers in it, ascending, each once. */
CLO_CHECK bool clo_id_set_write(clo_db *db, clo_repo_type type, clo_str name, int64_t block, const uint16_t *ids, size_t n, clo_err *err);

#endif
