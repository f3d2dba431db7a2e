/* Unicode normal forms: decompose by utf8proc's data one code point at a time, order runs of combining marks by a stable
 * merge sort (a megabyte of marks stays n log n), compose pairs by utf8proc's data.
 *
 * The library that we agree with has the tables of an older Unicode: `newer` lists the code points that decompose or
 * combine in utf8proc's tables and do neither there. They are left as they are.
 * Source: Unicode Standard Annex 15.
 */
#include <stdlib.h>
#include <utf8proc.h>

#include "model/tok_impl.h"
#include "model/tok_unicode.h"

static const struct {
    int32_t first, last;
} newer[] = {
    {0x7FD, 0x7FD}, {0x898, 0x89F}, {0x8CA, 0x8D3}, {0x9FE, 0x9FE}, {0xC3C, 0xC3C}, {0xD3B, 0xD3C}, {0xEBA, 0xEBA},
    {0x1715, 0x1715}, {0x1ABF, 0x1ACE}, {0x1DF6, 0x1DFA}, {0x32FF, 0x32FF}, {0xA7F2, 0xA7F4}, {0xA82C, 0xA82C},
    {0xAB69, 0xAB69}, {0x10781, 0x10785}, {0x10787, 0x107B0}, {0x107B2, 0x107BA}, {0x10D24, 0x10D27}, {0x10EAB,
    0x10EAC}, {0x10EFD, 0x10EFF}, {0x10F46, 0x10F50}, {0x10F82, 0x10F85}, {0x11070, 0x11070}, {0x1133B, 0x1133B},
    {0x1145E, 0x1145E}, {0x11839, 0x1183A}, {0x11938, 0x11938}, {0x1193D, 0x1193E}, {0x11943, 0x11943}, {0x119E0,
    0x119E0}, {0x11A34, 0x11A34}, {0x11A47, 0x11A47}, {0x11A99, 0x11A99}, {0x11D42, 0x11D42}, {0x11D44, 0x11D45},
    {0x11D97, 0x11D97}, {0x11F41, 0x11F42}, {0x16FF0, 0x16FF1}, {0x1E030, 0x1E06D}, {0x1E08F, 0x1E08F}, {0x1E130,
    0x1E136}, {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF}, {0x1F16C, 0x1F16C}, {0x1FBF0, 0x1FBF9},
};

static bool is_newer(int32_t cp)
{
    size_t lo = 0, hi = sizeof newer / sizeof *newer;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (newer[mid].last < cp) lo = mid + 1;
        else hi = mid;
    }
    return lo < sizeof newer / sizeof *newer && cp >= newer[lo].first;
}

/* A code point and its combining class. */
typedef struct {
    int32_t cp;
    uint32_t ccc;
} mark;

typedef struct {
    mark *at; /* owned [cap] */
    size_t n, cap;
    mark *tmp; /* owned: for sorting */
    size_t tmp_cap;
} marks;

/* Stable merge sort by combining class, bottom up. */
static void sort_marks(mark *m, mark *tmp, size_t n)
{
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t lo = 0; lo + width < n; lo += 2 * width) {
            size_t mid = lo + width, hi = mid + width < n ? mid + width : n, a = lo, b = mid, k = 0;
            if (m[mid - 1].ccc <= m[mid].ccc) continue;
            while (a < mid || b < hi) tmp[k++] = b >= hi || (a < mid && m[a].ccc <= m[b].ccc) ? m[a++] : m[b++];
            memcpy(m + lo, tmp, k * sizeof *m);
        }
    }
}

static bool push(marks *l, int32_t cp, clo_err *err)
{
    if (l->n == l->cap && !clo_tok_grow((void **)&l->at, &l->cap, l->n + 1, sizeof *l->at, err)) return false;
    uint32_t ccc = cp < 0x300 || is_newer(cp) ? 0 : (uint32_t)utf8proc_get_property(cp)->combining_class;
    l->at[l->n++] = (mark){cp, ccc};
    return true;
}

static bool decompose(marks *l, clo_str s, bool compat, clo_err *err)
{
    utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compat ? UTF8PROC_COMPAT : 0);
    int boundary = 0;
    for (size_t i = 0, n; i < s.len; i += n) {
        int32_t cp = (int32_t)clo_tok_cp(s.ptr + i, &n), parts[32] = {cp};
        utf8proc_ssize_t k = 1;
        if (cp >= 0x80 && !is_newer(cp)) k = utf8proc_decompose_char(cp, parts, 32, options, &boundary);
        if (k < 0 || k > 32) return clo_fail(err, CLO_ERR_FORMAT, "code point %x does not decompose", (unsigned)cp);
        for (utf8proc_ssize_t j = 0; j < k; j++) {
            if (!push(l, parts[j], err)) return false;
        }
    }
    return true;
}

static bool order(marks *l, clo_err *err)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->at[i].ccc == 0) continue;
        size_t end = i + 1;
        while (end < l->n && l->at[end].ccc != 0) end++;
        if (!clo_tok_grow((void **)&l->tmp, &l->tmp_cap, end - i, sizeof *l->tmp, err)) return false;
        sort_marks(l->at + i, l->tmp, end - i);
        i = end;
    }
    return true;
}

/* The code point that a and b compose to, or -1. */
static int32_t pair(int32_t a, int32_t b)
{
    int32_t two[2] = {a, b};
    if (b < 0x300 || is_newer(a) || is_newer(b)) return -1;
    if (utf8proc_normalize_utf32(two, 2, UTF8PROC_STABLE | UTF8PROC_COMPOSE) != 1) return -1;
    return is_newer(two[0]) ? -1 : two[0];
}

/* A mark composes with the last starter unless one of its own class or higher stands between. */
static void compose(marks *l)
{
    size_t starter = SIZE_MAX, n = 0;
    uint32_t last = 0; /* class of the mark before; 0: the starter itself */
    for (size_t i = 0; i < l->n; i++) {
        mark m = l->at[i];
        bool free_way = starter != SIZE_MAX && (last == 0 ? starter + 1 == n : last < m.ccc);
        int32_t made = free_way ? pair(l->at[starter].cp, m.cp) : -1;
        if (made >= 0) {
            l->at[starter].cp = made;
            continue;
        }
        if (m.ccc == 0) starter = n;
        last = m.ccc;
        l->at[n++] = m;
    }
    l->n = n;
}

bool clo_tok_canonical(clo_buf *out, clo_str s, bool compat, bool composed, clo_err *err)
{
    marks l = {0};
    bool ok = decompose(&l, s, compat, err) && order(&l, err);
    if (ok && composed) compose(&l);
    for (size_t i = 0; ok && i < l.n; i++) clo_buf_add_utf8(out, (uint32_t)l.at[i].cp);
    free(l.at);
    free(l.tmp);
    return ok;
}
