/* Characters of a JSON string as bytes: sets of code points, and the machines that read one character. */
#include <string.h>

#include "base/utf8.h"
#include "infer/grammar_impl.h"

#define SURROGATE_FIRST 0xD800u
#define SURROGATE_LAST 0xDFFFu

struct gr_char_machine {
    gr_set set;
    uint32_t machine;
    gr_char_machine *next;
};

/* --- sets ---------------------------------------------------------------------------------------------------------*/

static bool set_room(gr_builder *b, gr_set *s)
{
    if (s->n < s->cap) return true;
    size_t cap = s->cap ? 2 * s->cap : 4;
    gr_range *at = CLO_NEW(&b->arena, gr_range, cap);
    if (!at) {
        b->no_memory = true;
        return false;
    }
    if (s->n > 0) memcpy(at, s->at, s->n * sizeof *at);
    s->at = at;
    s->cap = cap;
    return true;
}

void gr_set_add(gr_builder *b, gr_set *s, uint32_t lo, uint32_t hi)
{
    size_t i = 0, j;
    if (lo > hi || !set_room(b, s)) return;
    while (i < s->n && s->at[i].hi + 1 < lo) /* at most 10FFFF + 1 */
        i++;
    for (j = i; j < s->n && s->at[j].lo <= hi + 1; j++) {
        if (s->at[j].lo < lo) lo = s->at[j].lo;
        if (s->at[j].hi > hi) hi = s->at[j].hi;
    }
    memmove(s->at + i + 1, s->at + j, (s->n - j) * sizeof *s->at);
    s->at[i] = (gr_range){lo, hi};
    s->n = s->n + 1 - (j - i);
}

void gr_set_add_all(gr_builder *b, gr_set *s, const gr_set *more)
{
    for (size_t i = 0; i < more->n; i++)
        gr_set_add(b, s, more->at[i].lo, more->at[i].hi);
}

gr_set gr_set_not(gr_builder *b, const gr_set *s)
{
    gr_set taken = {0}, out = {0};
    uint32_t from = 0;
    gr_set_add_all(b, &taken, s);
    gr_set_add(b, &taken, SURROGATE_FIRST, SURROGATE_LAST);
    for (size_t i = 0; i < taken.n; i++) {
        if (taken.at[i].lo > from) gr_set_add(b, &out, from, taken.at[i].lo - 1);
        from = taken.at[i].hi + 1;
    }
    if (from <= GR_CODE_POINT_MAX) gr_set_add(b, &out, from, GR_CODE_POINT_MAX);
    return out;
}

static bool set_has(const gr_set *s, uint32_t lo, uint32_t hi)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->at[i].lo <= lo && s->at[i].hi >= hi) return true;
    return false;
}

/* --- bytes --------------------------------------------------------------------------------------------------------*/

/* Sequences of n bytes from lo to hi, whose later bytes run from 0x80 to 0xBF. */
static void sequences(gr_builder *b, uint32_t from, const uint8_t *lo, const uint8_t *hi, size_t n, uint32_t to)
{
    static const uint8_t least[3] = {0x80, 0x80, 0x80}, most[3] = {0xBF, 0xBF, 0xBF};
    unsigned first = lo[0], last = hi[0];
    if (n == 1) {
        gr_bytes(b, from, lo[0], hi[0], to);
        return;
    }
    bool lo_open = memcmp(lo + 1, least, n - 1) == 0, hi_open = memcmp(hi + 1, most, n - 1) == 0;
    if (first == last) {
        uint32_t next = gr_state_new(b);
        gr_bytes(b, from, lo[0], lo[0], next);
        sequences(b, next, lo + 1, hi + 1, n - 1, to);
        return;
    }
    if (!lo_open) {
        uint32_t next = gr_state_new(b);
        gr_bytes(b, from, lo[0], lo[0], next);
        sequences(b, next, lo + 1, most, n - 1, to);
        first++;
    }
    if (!hi_open) last--;
    if (first <= last) {
        uint32_t next = gr_state_new(b);
        gr_bytes(b, from, (uint8_t)first, (uint8_t)last, next);
        sequences(b, next, least, most, n - 1, to);
    }
    if (!hi_open) {
        uint32_t next = gr_state_new(b);
        gr_bytes(b, from, hi[0], hi[0], next);
        sequences(b, next, least, hi + 1, n - 1, to);
    }
}

/* Code points lo..hi as UTF-8. */
static void utf8_range(gr_builder *b, uint32_t from, uint32_t lo, uint32_t hi, uint32_t to)
{
    static const gr_range whole[] = {
        {0, 0x7F}, {0x80, 0x7FF}, {0x800, SURROGATE_FIRST - 1}, {SURROGATE_LAST + 1, 0xFFFF}, {0x10000, GR_CODE_POINT_MAX}};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        uint32_t l = lo > whole[i].lo ? lo : whole[i].lo, h = hi < whole[i].hi ? hi : whole[i].hi;
        uint8_t first[4], last[4];
        if (l > h) continue;
        size_t n = clo_utf8_encode((char *)first, l);
        (void)clo_utf8_encode((char *)last, h);
        sequences(b, from, first, last, n, to);
    }
}

/* What stands behind the backslash for a character that has to be escaped. */
static void escape(gr_builder *b, uint32_t from, uint32_t cp, uint32_t to)
{
    static const char marks[] = "\"\\btnfr";
    static const uint8_t of[] = {'"', '\\', 8, 9, 10, 12, 13};
    char text[8] = "u00";
    for (size_t i = 0; i < sizeof of; i++) {
        if (cp != of[i]) continue;
        gr_bytes(b, from, (uint8_t)marks[i], (uint8_t)marks[i], to);
        return;
    }
    text[3] = "0123456789abcdef"[cp >> 4 & 15];
    text[4] = "0123456789abcdef"[cp & 15];
    gr_text(b, from, (clo_str){text, 5}, to);
}

static void characters(gr_builder *b, uint32_t from, const gr_set *s, uint32_t to)
{
    static const gr_range plain[] = {{0x20, 0x21}, {0x23, 0x5B}, {0x5D, GR_CODE_POINT_MAX}};
    uint32_t slash = GR_NONE;
    for (size_t i = 0; i < s->n; i++) {
        for (size_t k = 0; k < sizeof plain / sizeof *plain; k++) {
            uint32_t lo = s->at[i].lo > plain[k].lo ? s->at[i].lo : plain[k].lo;
            uint32_t hi = s->at[i].hi < plain[k].hi ? s->at[i].hi : plain[k].hi;
            if (lo <= hi) utf8_range(b, from, lo, hi, to);
        }
        for (uint32_t cp = s->at[i].lo; cp <= s->at[i].hi && cp <= '\\'; cp++) {
            if (cp == 0 || (cp >= 0x20 && cp != '"' && cp != '\\')) continue;
            if (slash == GR_NONE) slash = gr_after(b, from, CLO_STR("\\"));
            escape(b, slash, cp, to);
        }
    }
}

static bool is_plain(const gr_set *s)
{
    return set_has(s, 0x20, 0x21) && set_has(s, 0x23, 0x5B) && set_has(s, 0x5D, SURROGATE_FIRST - 1) &&
           set_has(s, SURROGATE_LAST + 1, GR_CODE_POINT_MAX);
}

uint32_t gr_char_machine_of(gr_builder *b, const gr_set *s)
{
    for (gr_char_machine *c = b->chars; c; c = c->next)
        if (c->set.n == s->n && (s->n == 0 || memcmp(c->set.at, s->at, s->n * sizeof *s->at) == 0)) return c->machine;
    gr_char_machine *c = CLO_NEW(&b->arena, gr_char_machine, 1);
    uint32_t m = gr_machine_new(b);
    if (!c) b->no_memory = true;
    if (gr_failed(b)) return m;
    gr_set_add_all(b, &c->set, s);
    c->machine = m;
    c->next = b->chars;
    b->chars = c;
    characters(b, gr_start(b, m), s, gr_final(b, m));
    b->states[gr_start(b, m)].plain = is_plain(s);
    return m;
}

/* --- one character in any spelling --------------------------------------------------------------------------------*/

static void hex(gr_builder *b, uint32_t from, const char *digits, uint32_t to)
{
    for (; *digits; digits++)
        gr_bytes(b, from, (uint8_t)*digits, (uint8_t)*digits, to);
}

/* Four digits behind \u: no 0000, and surrogates in pairs. */
static void unicode_escape(gr_builder *b, uint32_t from, uint32_t to)
{
    static const char all[] = "0123456789abcdefABCDEF", not_0[] = "123456789abcdefABCDEF";
    uint32_t more[4] = {to}; /* more[n]: any n digits follow */
    for (size_t n = 1; n < 4; n++) {
        more[n] = gr_state_new(b);
        hex(b, more[n], all, more[n - 1]);
    }
    hex(b, from, "123456789abcABCefEF", more[3]);
    uint32_t d = gr_state_new(b), high = gr_state_new(b), high_2 = gr_state_new(b), low = gr_state_new(b);
    hex(b, from, "dD", d);
    hex(b, d, "01234567", more[2]);
    hex(b, d, "89abAB", high_2);
    uint32_t high_1 = gr_state_new(b);
    hex(b, high_2, all, high_1);
    hex(b, high_1, all, high);
    uint32_t low_d = gr_state_new(b);
    hex(b, gr_after(b, high, CLO_STR("\\u")), "dD", low_d);
    hex(b, low_d, "cdefCDEF", low);
    gr_eps(b, low, more[2]);
    for (size_t n = 3; n > 0; n--) { /* n digits follow as many zeros as make four */
        uint32_t zero = gr_state_new(b);
        hex(b, from, "0", zero);
        hex(b, zero, not_0, more[n - 1]);
        from = zero;
    }
}

uint32_t gr_any_character(gr_builder *b)
{
    if (b->character != GR_NONE) return b->character;
    static const gr_range plain[] = {{0x20, 0x21}, {0x23, 0x5B}, {0x5D, GR_CODE_POINT_MAX}};
    uint32_t m = b->character = gr_machine_new(b), start = gr_start(b, m), end = gr_final(b, m);
    for (size_t k = 0; k < sizeof plain / sizeof *plain; k++)
        utf8_range(b, start, plain[k].lo, plain[k].hi, end);
    uint32_t slash = gr_after(b, start, CLO_STR("\\"));
    for (const char *c = "\"\\/bfnrt"; *c; c++)
        gr_bytes(b, slash, (uint8_t)*c, (uint8_t)*c, end);
    unicode_escape(b, gr_after(b, slash, CLO_STR("u")), end);
    if (!gr_failed(b)) b->states[start].plain = true;
    return m;
}
