#include "base/utf8.h"

/* Well-formed sequences, Unicode 15 table 3-7: the range of the second byte depends on the first. */
static size_t lead(uint8_t b, uint8_t *lo, uint8_t *hi, uint32_t *bits)
{
    *lo = 0x80;
    *hi = 0xBF;
    if (b >= 0xC2 && b <= 0xDF) return *bits = b & 0x1Fu, 2;
    if (b >= 0xE0 && b <= 0xEF) {
        if (b == 0xE0) *lo = 0xA0;
        if (b == 0xED) *hi = 0x9F;
        return *bits = b & 0x0Fu, 3;
    }
    if (b >= 0xF0 && b <= 0xF4) {
        if (b == 0xF0) *lo = 0x90;
        if (b == 0xF4) *hi = 0x8F;
        return *bits = b & 0x07u, 4;
    }
    return 0;
}

uint32_t clo_utf8_decode(clo_str s, size_t off, size_t *n)
{
    uint8_t b = (uint8_t)s.ptr[off], lo, hi;
    uint32_t cp = 0;
    *n = 1;
    if (b < 0x80) return b;
    size_t len = lead(b, &lo, &hi, &cp);
    if (!len) return CLO_UTF8_BAD;
    for (size_t i = 1; i < len; i++) {
        if (off + i >= s.len) return *n = i, CLO_UTF8_BAD;
        uint8_t c = (uint8_t)s.ptr[off + i];
        if (c < lo || c > hi) return *n = i, CLO_UTF8_BAD;
        cp = cp << 6 | (c & 0x3Fu);
        lo = 0x80;
        hi = 0xBF;
    }
    *n = len;
    return cp;
}

size_t clo_utf8_encode(char out[4], uint32_t cp)
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xC0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xE0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3F));
        out[2] = (char)(0x80 | (cp & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3F));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3F));
    out[3] = (char)(0x80 | (cp & 0x3F));
    return 4;
}

bool clo_utf8_valid(clo_str s)
{
    for (size_t i = 0, n; i < s.len; i += n)
        if (clo_utf8_decode(s, i, &n) == CLO_UTF8_BAD) return false;
    return true;
}

size_t clo_utf8_incomplete_tail(clo_str s)
{
    for (size_t back = 1; back <= 3 && back <= s.len; back++) {
        uint8_t b = (uint8_t)s.ptr[s.len - back], lo, hi;
        if ((b & 0xC0) == 0x80) continue;
        uint32_t bits;
        size_t len = b < 0x80 ? 1 : lead(b, &lo, &hi, &bits), n;
        if (len <= back) return 0;
        /* Incomplete only when what is there is a valid beginning. */
        clo_utf8_decode(s, s.len - back, &n);
        return n == back ? back : 0;
    }
    return 0;
}
