/* See oid_map.h. */
#include "hub/oid_map.h"

#include <stdlib.h>

/* An object's name is as good a hash as any. Whoever makes names that collide gets a slow answer to himself. */
static size_t slot_of(const clo_oid_map *m, const clo_oid *key)
{
    uint64_t h;
    memcpy(&h, key->b, sizeof h);
    size_t i = (size_t)h & (m->n_slots - 1);
    while (m->slots[i] && !clo_oid_eq(&m->keys[m->slots[i] - 1], key)) i = (i + 1) & (m->n_slots - 1);
    return i;
}

static bool grow_rows(clo_oid_map *m)
{
    size_t cap = m->cap ? 2 * m->cap : 64;
    clo_oid *keys = realloc(m->keys, cap * sizeof *keys);
    if (!keys) return false;
    m->keys = keys;
    uint32_t *values = realloc(m->values, cap * sizeof *values);
    if (!values) return false;
    m->values = values;
    m->cap = cap;
    return true;
}

static bool grow_slots(clo_oid_map *m)
{
    size_t n = m->n_slots ? 2 * m->n_slots : 256;
    uint32_t *slots = calloc(n, sizeof *slots);
    if (!slots) return false;
    free(m->slots);
    m->slots = slots;
    m->n_slots = n;
    for (size_t i = 0; i < m->n; i++) m->slots[slot_of(m, &m->keys[i])] = (uint32_t)i + 1;
    return true;
}

uint32_t *clo_oid_map_find(const clo_oid_map *m, const clo_oid *key)
{
    if (m->n_slots == 0) return NULL;
    size_t i = slot_of(m, key);
    return m->slots[i] ? &m->values[m->slots[i] - 1] : NULL;
}

uint32_t *clo_oid_map_put(clo_oid_map *m, const clo_oid *key, bool *is_new)
{
    uint32_t *there = clo_oid_map_find(m, key);
    *is_new = there == NULL;
    if (there) return there;
    if (m->n >= UINT32_MAX - 1 || (m->n == m->cap && !grow_rows(m)) || (2 * (m->n + 1) > m->n_slots && !grow_slots(m)))
        return NULL;
    m->keys[m->n] = *key;
    m->values[m->n] = 0;
    m->slots[slot_of(m, key)] = (uint32_t)m->n + 1;
    return &m->values[m->n++];
}

void clo_oid_map_free(clo_oid_map *m)
{
    free(m->keys);
    free(m->values);
    free(m->slots);
    *m = (clo_oid_map){0};
}
