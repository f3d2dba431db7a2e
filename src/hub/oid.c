/* See oid.h. */
#include "hub/oid.h"

void clo_oid_hex(char out[CLO_OID_HEX], const clo_oid *oid)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < CLO_OID_BYTES; i++) {
        out[2 * i] = digits[oid->b[i] >> 4];
        out[2 * i + 1] = digits[oid->b[i] & 15];
    }
    out[2 * CLO_OID_BYTES] = '\0';
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool clo_oid_parse(clo_oid *out, clo_str hex)
{
    if (hex.len != 2 * CLO_OID_BYTES) return false;
    for (size_t i = 0; i < CLO_OID_BYTES; i++) {
        int hi = nibble(hex.ptr[2 * i]), lo = nibble(hex.ptr[2 * i + 1]);
        if (hi < 0 || lo < 0) return false;
        out->b[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}
