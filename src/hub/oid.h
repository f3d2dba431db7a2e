/* The name of a git object: SHA-1 of its kind, its size and its bytes. */
#ifndef CLO_HUB_OID_H
#define CLO_HUB_OID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define CLO_OID_BYTES 20
#define CLO_OID_HEX 41 /* hex digits and a NUL */

typedef struct {
    uint8_t b[CLO_OID_BYTES];
} clo_oid;

/* 40 lower-case hex digits and a NUL. */
void clo_oid_hex(char out[CLO_OID_HEX], const clo_oid *oid);
/* False unless `hex` is exactly 40 hex digits of either case. */
bool clo_oid_parse(clo_oid *out, clo_str hex);

static inline bool clo_oid_eq(const clo_oid *a, const clo_oid *b)
{
    return memcmp(a->b, b->b, CLO_OID_BYTES) == 0;
}

static inline bool clo_oid_is_zero(const clo_oid *a)
{
    static const clo_oid zero = {{0}};
    return clo_oid_eq(a, &zero);
}

#endif
