/* UTF-8 (RFC 3629): surrogates, overlong forms and values over U+10FFFF are invalid. */
#ifndef CLO_BASE_UTF8_H
#define CLO_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define CLO_UTF8_BAD 0xFFFFFFFFu

/* Decodes the code point at s[off] and sets *n to its bytes (1 to 4). Invalid: CLO_UTF8_BAD and *n = the length of the
 * maximal invalid prefix (at least 1), as the Unicode standard recommends for U+FFFD replacement. off < s.len. */
uint32_t clo_utf8_decode(clo_str s, size_t off, size_t *n);
/* Writes cp (<= 0x10FFFF) and returns 1 to 4. */
size_t clo_utf8_encode(char out[4], uint32_t cp);
bool clo_utf8_valid(clo_str s);
/* Bytes at the end of s that begin a sequence which further bytes could complete (0 to 3). */
size_t clo_utf8_incomplete_tail(clo_str s);

#endif
