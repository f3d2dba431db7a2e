/* A table from object names to numbers, and a list of names in the order of their coming. Zeroed is empty.
 *
 *   clo_oid_map m = {0};
 *   bool is_new;
 *   uint32_t *v = clo_oid_map_put(&m, &oid, &is_new);       // NULL: no memory; valid until the next put
 *   clo_oid_map_free(&m); */
#ifndef CLO_HUB_OID_MAP_H
#define CLO_HUB_OID_MAP_H

#include <stddef.h>

#include "hub/oid.h"

typedef struct {
    clo_oid *keys;    /* owned [n], in the order of their coming */
    uint32_t *values; /* owned [n] */
    uint32_t *slots;  /* owned [n_slots]: index plus 1 */
    size_t n, cap, n_slots;
} clo_oid_map;

/* A new value is 0. */
uint32_t *clo_oid_map_put(clo_oid_map *m, const clo_oid *key, bool *is_new);
uint32_t *clo_oid_map_find(const clo_oid_map *m, const clo_oid *key);
void clo_oid_map_free(clo_oid_map *m);

#endif
