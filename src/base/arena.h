/* Arenas: memory that is given back all at once.
 *
 * Three lifetimes exist: a model's (made at load), a request's, and scratch (an arena that the function itself makes
 * and frees). An arena passed to a function keeps its result.
 *
 * An arena grows by chunks up to `limit_bytes`; memory comes zeroed and aligned to 16 bytes; NULL means full.
 */
#ifndef CLO_BASE_ARENA_H
#define CLO_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

typedef struct clo_arena_chunk clo_arena_chunk;

typedef struct {
    clo_arena_chunk *chunk; /* owned: newest first */
    uint8_t *base;          /* of the newest chunk */
    size_t used, cap;       /* bytes in the newest chunk */
    size_t total_bytes;     /* in all chunks */
    size_t limit_bytes;     /* named by the caller; 0 means 1 GiB */
} clo_arena;

/* An empty arena that may hold up to limit_bytes. The zeroed struct is one too. */
clo_arena clo_arena_make(size_t limit_bytes);

/* Memory of the caller's, zeroed, aligned to 16, which outlives the arena and is used first. On an empty arena. */
void clo_arena_lend(clo_arena *a, void *memory, size_t n_bytes);

/* Gives everything back. Valid on a zeroed arena. */
void clo_arena_free(clo_arena *a);

/* n zeroed bytes aligned to 16, or NULL when the limit is reached or memory is gone. n == 0 gives a valid pointer. */
void *clo_arena_alloc(clo_arena *a, size_t n_bytes);

/* n zeroed objects of `size` bytes; checks the product. */
void *clo_arena_alloc_n(clo_arena *a, size_t n, size_t size);
#define CLO_NEW(arena, type, n) ((type *)clo_arena_alloc_n((arena), (n), sizeof(type)))

/* A copy of s, with a closing NUL that is not counted. ptr is NULL when the arena is full. */
clo_str clo_arena_copy_str(clo_arena *a, clo_str s);

/* Sets CLO_ERR_MEMORY with the arena's size and returns false. */
bool clo_arena_full(const clo_arena *a, clo_err *err);

#endif
