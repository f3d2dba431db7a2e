/* Scanners: the known pre-tokeniser patterns as procedures, one look ahead, no backtracking beyond one character.
 *
 * Each function gives the end of the word that begins at `off`, taking the first alternative of its pattern that
 * matches there; every position matches some alternative. The pattern strings stand beside the scanners, and a scanner
 * is chosen by comparing strings, so a file with another pattern never gets one of these by mistake.
 */
#include "model/tok_impl.h"
#include "model/tok_unicode.h"

static const struct {
    tok_scan kind;
    const char *pattern;
} known[] = {
    {TOK_SCAN_GPT2, "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"},
    {TOK_SCAN_CL100K, "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
                      "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},
    {TOK_SCAN_QWEN2, "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
                     "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},
};

tok_scan clo_tok_scan_of_pattern(clo_str pattern)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (clo_str_eq(pattern, clo_str_from(known[i].pattern))) return known[i].kind;
    }
    return (tok_scan)0;
}

clo_str clo_tok_scan_pattern(tok_scan kind)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].kind == kind) return clo_str_from(known[i].pattern);
    }
    return (clo_str){"", 0};
}

/* Classes of the character at off, and its length. */
static inline unsigned class_at(clo_str s, size_t off, size_t *n)
{
    return clo_tok_class(clo_tok_cp(s.ptr + off, n));
}

/* End of the run of characters from off whose classes meet `any` and none of `none`; `any` 0 means every class. */
static inline size_t run_of(clo_str s, size_t off, unsigned any, unsigned none)
{
    while (off < s.len) {
        size_t n;
        unsigned k = class_at(s, off, &n);
        if ((any && !(k & any)) || (k & none)) break;
        off += n;
    }
    return off;
}

#define OTHER_NOT (TOK_CLS_L | TOK_CLS_N | TOK_CLS_S)

/* Length of a contraction at off ('s 't 're 've 'm 'll 'd), or 0. With `fold` in any case, U+017F counting as s. */
static size_t contraction(clo_str s, size_t off, bool fold)
{
    if (s.ptr[off] != '\'' || off + 1 >= s.len) return 0;
    const char *p = s.ptr + off + 1;
    size_t left = s.len - off - 1;
    char a = p[0], b = left > 1 ? p[1] : 0;
    if (fold) {
        if (left > 1 && (uint8_t)a == 0xC5 && (uint8_t)b == 0xBF) return 3;
        if (a >= 'A' && a <= 'Z') a = (char)(a + 32);
        if (b >= 'A' && b <= 'Z') b = (char)(b + 32);
    }
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return 3;
    return 0;
}

/* \s+(?!\S)|\s+ : a run of white space leaves its last character to what follows, unless it is alone. */
static size_t spaces(clo_str s, size_t off)
{
    size_t at = off, last = off;
    while (at < s.len) {
        size_t n;
        if (!(class_at(s, at, &n) & TOK_CLS_S)) break;
        last = at;
        at += n;
    }
    return at < s.len && last > off ? last : at;
}

/* \s*[\r\n]+ : the end of the last line break in the run of white space at off, or off when there is none. */
static size_t line_breaks(clo_str s, size_t off)
{
    size_t end = off;
    for (size_t at = off, n; at < s.len; at += n) {
        if (!(class_at(s, at, &n) & TOK_CLS_S)) break;
        if (s.ptr[at] == '\r' || s.ptr[at] == '\n') end = at + 1;
    }
    return end;
}

static size_t scan_gpt2(clo_str s, size_t off)
{
    size_t n = contraction(s, off, false), at = off;
    if (n) return off + n;
    unsigned k = class_at(s, at, &n);
    if (s.ptr[at] == ' ' && at + 1 < s.len) {
        size_t n2;
        unsigned k2 = class_at(s, at + 1, &n2);
        if (k2 & TOK_CLS_S) return spaces(s, off);
        at++;
        k = k2;
        n = n2;
    }
    if (k & TOK_CLS_L) return run_of(s, at + n, TOK_CLS_L, 0);
    if (k & TOK_CLS_N) return run_of(s, at + n, TOK_CLS_N, 0);
    if (k & TOK_CLS_S) return spaces(s, off);
    return run_of(s, at + n, 0, OTHER_NOT);
}

/* CL100K and QWEN2 differ in how many digits make a word. */
static size_t scan_cl100k(clo_str s, size_t off, size_t digits_max)
{
    size_t n = contraction(s, off, true), n2 = 0;
    if (n) return off + n;
    unsigned k = class_at(s, off, &n), k2 = 0;
    if (k & TOK_CLS_L) return run_of(s, off + n, TOK_CLS_L, 0);
    if (k & TOK_CLS_N) {
        size_t at = off + n;
        for (size_t i = 1; i < digits_max && at < s.len && (class_at(s, at, &n) & TOK_CLS_N); i++) at += n;
        return at;
    }
    char c = s.ptr[off];
    bool has_next = off + n < s.len;
    if (has_next) k2 = class_at(s, off + n, &n2);
    if (c != '\r' && c != '\n' && has_next && (k2 & TOK_CLS_L)) return run_of(s, off + n + n2, TOK_CLS_L, 0);
    bool lead = c == ' ' && has_next && !(k2 & OTHER_NOT);
    if (lead || !(k & TOK_CLS_S)) {
        size_t at = run_of(s, off + n, 0, OTHER_NOT);
        while (at < s.len && (s.ptr[at] == '\r' || s.ptr[at] == '\n')) at++;
        return at;
    }
    size_t end = line_breaks(s, off);
    return end > off ? end : spaces(s, off);
}

size_t clo_tok_scan(tok_scan kind, clo_str s, size_t off)
{
    switch (kind) {
    case TOK_SCAN_GPT2: return scan_gpt2(s, off);
    case TOK_SCAN_CL100K: return scan_cl100k(s, off, 3);
    case TOK_SCAN_QWEN2: return scan_cl100k(s, off, 1);
    default: return s.len;
    }
}
