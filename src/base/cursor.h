/* A reading position in bytes from outside. It checks bounds once per field and remembers the first failure, so a
 * parser reads as a list of fields with one test at the end. After a failure every read gives zero.
 *
 *   clo_cursor c = clo_cursor_on(file);
 *   uint32_t magic = clo_read_u32(&c, "magic");
 *   uint64_t n = clo_read_u64(&c, "tensor count");
 *   if (!clo_cursor_ok(&c, err)) return false;
 */
#ifndef CLO_BASE_CURSOR_H
#define CLO_BASE_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

typedef struct {
    clo_bytes in;           /* borrowed */
    size_t off;             /* of the next byte */
    const char *bad_field;  /* name of the first field that did not fit, or NULL */
    size_t bad_off;         /* where it began */
    size_t bad_need;        /* bytes it needed */
} clo_cursor;

static inline clo_cursor clo_cursor_on(clo_bytes in)
{
    return (clo_cursor){.in = in};
}

/* Little-endian loads from any address. */
static inline uint16_t clo_load_le16(const void *p)
{
    const uint8_t *b = (const uint8_t *)p;
    return (uint16_t)(b[0] | (uint16_t)b[1] << 8);
}

static inline uint32_t clo_load_le32(const void *p)
{
    const uint8_t *b = (const uint8_t *)p;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline uint64_t clo_load_le64(const void *p)
{
    const uint8_t *b = (const uint8_t *)p;
    return (uint64_t)clo_load_le32(b) | (uint64_t)clo_load_le32(b + 4) << 32;
}

uint8_t clo_read_u8(clo_cursor *c, const char *field);
uint16_t clo_read_u16(clo_cursor *c, const char *field);
uint32_t clo_read_u32(clo_cursor *c, const char *field);
uint64_t clo_read_u64(clo_cursor *c, const char *field);
/* A view of the next n bytes; {NULL, 0} when fewer are left. */
clo_bytes clo_read_bytes(clo_cursor *c, uint64_t n, const char *field);
static inline size_t clo_cursor_left(const clo_cursor *c)
{
    return c->in.len - c->off;
}
/* False, with CLO_ERR_FORMAT "field: n bytes needed, m left" at the field's offset, when any read failed. */
CLO_CHECK bool clo_cursor_ok(const clo_cursor *c, clo_err *err);

#endif
