#include "base/cursor.h"

static const uint8_t *take(clo_cursor *c, uint64_t n, const char *field)
{
    if (c->bad_field) return NULL;
    if (n > c->in.len - c->off) {
        c->bad_field = field;
        c->bad_off = c->off;
        c->bad_need = n > SIZE_MAX ? SIZE_MAX : (size_t)n;
        return NULL;
    }
    const uint8_t *p = c->in.ptr + c->off;
    c->off += (size_t)n;
    return p;
}

uint8_t clo_read_u8(clo_cursor *c, const char *field)
{
    const uint8_t *p = take(c, 1, field);
    return p ? *p : 0;
}

uint16_t clo_read_u16(clo_cursor *c, const char *field)
{
    const uint8_t *p = take(c, 2, field);
    return p ? clo_load_le16(p) : 0;
}

uint32_t clo_read_u32(clo_cursor *c, const char *field)
{
    const uint8_t *p = take(c, 4, field);
    return p ? clo_load_le32(p) : 0;
}

uint64_t clo_read_u64(clo_cursor *c, const char *field)
{
    const uint8_t *p = take(c, 8, field);
    return p ? clo_load_le64(p) : 0;
}

clo_bytes clo_read_bytes(clo_cursor *c, uint64_t n, const char *field)
{
    const uint8_t *p = take(c, n, field);
    return p ? (clo_bytes){p, (size_t)n} : (clo_bytes){0};
}

bool clo_cursor_ok(const clo_cursor *c, clo_err *err)
{
    if (!c->bad_field) return true;
    return clo_fail_at(err, c->bad_off, "%s: %zu bytes needed, %zu left", c->bad_field, c->bad_need,
                       c->in.len - c->bad_off);
}
