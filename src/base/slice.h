/* Slices: a pointer and a length, for bytes and for text.
 *
 * Bytes from outside carry no terminator and may hold NUL anywhere, so nothing in this tree passes `char *` around
 * except at the border to the operating system. A slice borrows: it never owns what it points at.
 *
 *   clo_str name = CLO_STR("token_embd.weight");
 *   if (clo_str_ends_with(name, CLO_STR(".weight"))) ...
 *   clo_log... printf("'" CLO_STR_FMT "'", CLO_STR_ARG(name));
 */
#ifndef CLO_BASE_SLICE_H
#define CLO_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const uint8_t *ptr; /* borrowed */
    size_t len;         /* bytes */
} clo_bytes;

typedef struct {
    const char *ptr; /* borrowed; UTF-8 where a function says so, else any bytes */
    size_t len;      /* bytes */
} clo_str;

/* A slice of a string literal, its closing NUL not counted. */
#define CLO_STR(lit) ((clo_str){(lit), sizeof(lit) - 1})
#define CLO_STR_FMT "%.*s"
#define CLO_STR_ARG(s) (int)((s).len > 2000 ? 2000 : (s).len), (s).ptr

static inline clo_str clo_str_from(const char *cstr)
{
    return (clo_str){cstr, cstr ? strlen(cstr) : 0};
}

static inline clo_bytes clo_bytes_of(clo_str s)
{
    return (clo_bytes){(const uint8_t *)s.ptr, s.len};
}

static inline clo_str clo_str_of(clo_bytes b)
{
    return (clo_str){(const char *)b.ptr, b.len};
}

static inline bool clo_str_eq(clo_str a, clo_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool clo_str_starts_with(clo_str s, clo_str head)
{
    return s.len >= head.len && (head.len == 0 || memcmp(s.ptr, head.ptr, head.len) == 0);
}

static inline bool clo_str_ends_with(clo_str s, clo_str tail)
{
    return s.len >= tail.len &&
           (tail.len == 0 || memcmp(s.ptr + (s.len - tail.len), tail.ptr, tail.len) == 0);
}

/* As a C string of at most cap bytes with its end; what does not fit is cut off. */
static inline void clo_str_copy(char *out, size_t cap, clo_str s)
{
    size_t n = s.len < cap - 1 ? s.len : cap - 1;
    if (n > 0) memcpy(out, s.ptr, n);
    out[n] = '\0';
}

/* The part of s from `off` (at most s.len) to its end. */
static inline clo_str clo_str_from_off(clo_str s, size_t off)
{
    if (off > s.len) off = s.len;
    return (clo_str){s.ptr + off, s.len - off};
}

/* Position of `c` in s at or after `off`, or s.len when there is none. */
static inline size_t clo_str_find(clo_str s, size_t off, char c)
{
    if (off >= s.len) return s.len;
    const char *p = (const char *)memchr(s.ptr + off, c, s.len - off);
    return p ? (size_t)(p - s.ptr) : s.len;
}

/* -1, 0 or 1: bytewise order, shorter first on a common prefix. */
int clo_str_cmp(clo_str a, clo_str b);

/* FNV-1a, 64 bits: for hash tables in memory only, never for anything that is stored or proven. */
uint64_t clo_str_hash(clo_str s);

#endif
