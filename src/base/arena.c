#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define ARENA_LIMIT_DEFAULT ((size_t)1 << 30)
#define ARENA_CHUNK_MIN ((size_t)64 << 10)

struct clo_arena_chunk {
    clo_arena_chunk *older; /* owned */
    size_t bytes;           /* of the data that follows */
    _Alignas(16) uint8_t data[];
};

clo_arena clo_arena_make(size_t limit_bytes)
{
    return (clo_arena){.limit_bytes = limit_bytes};
}

void clo_arena_lend(clo_arena *a, void *memory, size_t n_bytes)
{
    a->base = memory;
    a->cap = n_bytes;
}

void clo_arena_free(clo_arena *a)
{
    clo_arena_chunk *c = a->chunk;
    while (c) {
        clo_arena_chunk *older = c->older;
        free(c);
        c = older;
    }
    *a = (clo_arena){.limit_bytes = a->limit_bytes};
}

static bool grow(clo_arena *a, size_t need)
{
    size_t limit = a->limit_bytes ? a->limit_bytes : ARENA_LIMIT_DEFAULT;
    size_t want = clo_max(clo_max(need, ARENA_CHUNK_MIN), a->total_bytes / 2); /* geometric: few chunks */
    if (need > limit - clo_min(limit, a->total_bytes)) return false;
    want = clo_min(want, limit - a->total_bytes);
    clo_arena_chunk *c = calloc(1, sizeof *c + want);
    if (!c) return false;
    c->older = a->chunk;
    c->bytes = want;
    a->chunk = c;
    a->base = c->data;
    a->used = 0;
    a->cap = want;
    a->total_bytes += want;
    return true;
}

void *clo_arena_alloc(clo_arena *a, size_t n_bytes)
{
    if (n_bytes > SIZE_MAX / 2) return NULL;
    size_t n = clo_round_up(n_bytes ? n_bytes : 1, 16);
    if (n > a->cap - a->used && !grow(a, n)) return NULL;
    void *p = a->base + a->used;
    a->used += n;
    return p;
}

void *clo_arena_alloc_n(clo_arena *a, size_t n, size_t size)
{
    size_t bytes;
    return clo_mul(n, size, &bytes) ? clo_arena_alloc(a, bytes) : NULL;
}

clo_str clo_arena_copy_str(clo_arena *a, clo_str s)
{
    char *p = s.len < SIZE_MAX / 2 ? clo_arena_alloc(a, s.len + 1) : NULL;
    if (!p) return (clo_str){0};
    if (s.len) memcpy(p, s.ptr, s.len);
    return (clo_str){p, s.len};
}

bool clo_arena_full(const clo_arena *a, clo_err *err)
{
    return clo_fail(err, CLO_ERR_MEMORY, "out of memory: %zu bytes used, limit %zu", a->total_bytes,
                    a->limit_bytes ? a->limit_bytes : ARENA_LIMIT_DEFAULT);
}
