/* Normaliser steps: text in, text out, each step from one buffer into the other. A step that would change nothing
 * (NFC on ASCII, say) is passed over without copying.
 */
#include <stdlib.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "model/tok_impl.h"
#include "model/tok_unicode.h"

/* True when no form of normalisation but a compatibility one can change s. */
static bool is_nfc(clo_str s)
{
    for (size_t i = 0, n; i < s.len; i += n) {
        if ((uint8_t)s.ptr[i] < 0xCC) { /* below U+0300 */
            n = clo_tok_cp_len(s.ptr[i]);
            continue;
        }
        if (clo_tok_class(clo_tok_cp(s.ptr + i, &n)) & TOK_CLS_NFC) return false;
    }
    return true;
}

static bool is_ascii(clo_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((uint8_t)s.ptr[i] >= 0x80) return false;
    }
    return true;
}

/* --- single steps --------------------------------------------------------------------------------------------------*/

/* Simple lower case; pairs newer than utf8proc's tables (Unicode 16 and 17) are listed. */
static uint32_t lower_of(uint32_t cp)
{
    static const uint32_t one[][2] = {{0x1C89, 0x1C8A}, {0xA7CB, 0x264},  {0xA7CC, 0xA7CD}, {0xA7CE, 0xA7CF},
                                      {0xA7D2, 0xA7D3}, {0xA7D4, 0xA7D5}, {0xA7DA, 0xA7DB}, {0xA7DC, 0x19B}};
    if (cp >= 0x10D50 && cp <= 0x10D65) return cp + 0x20;
    if (cp >= 0x16EA0 && cp <= 0x16EB8) return cp + 0x1B;
    for (size_t i = 0; i < sizeof one / sizeof *one; i++) {
        if (cp == one[i][0]) return one[i][1];
    }
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp);
}

static void lower(clo_buf *out, clo_str s)
{
    for (size_t i = 0, n; i < s.len; i += n) {
        uint32_t cp = clo_tok_cp(s.ptr + i, &n);
        if (cp < 0x80)
            clo_buf_add_char(out, (char)(cp >= 'A' && cp <= 'Z' ? cp + 32 : cp));
        else if (cp == 0x130)
            clo_buf_add(out, CLO_STR("i\xCC\x87")); /* the one code point that grows */
        else
            clo_buf_add_utf8(out, lower_of(cp));
    }
}

/* Copies s without the characters of the classes. */
static void drop_class(clo_buf *out, clo_str s, unsigned classes)
{
    for (size_t i = 0, n; i < s.len; i += n) {
        if (!(clo_tok_class(clo_tok_cp(s.ptr + i, &n)) & classes)) clo_buf_add(out, (clo_str){s.ptr + i, n});
    }
}

static clo_str strip(clo_str s, bool left, bool right)
{
    size_t n;
    while (left && s.len > 0 && (clo_tok_class(clo_tok_cp(s.ptr, &n)) & TOK_CLS_S))
        s = clo_str_from_off(s, n);
    while (right && s.len > 0) {
        size_t at = s.len - 1;
        while (at > 0 && ((uint8_t)s.ptr[at] & 0xC0) == 0x80)
            at--;
        if (!(clo_tok_class(clo_tok_cp(s.ptr + at, &n)) & TOK_CLS_S)) break;
        s.len = at;
    }
    return s;
}

static void replace(clo_buf *out, clo_str s, clo_str from, clo_str to)
{
    for (size_t at = 0; at < s.len;) {
        const char *m = from.len ? (const char *)memmem(s.ptr + at, s.len - at, from.ptr, from.len) : NULL;
        size_t end = m ? (size_t)(m - s.ptr) : s.len;
        clo_buf_add(out, (clo_str){s.ptr + at, end - at});
        if (m) clo_buf_add(out, to);
        at = end + (m ? from.len : 0);
    }
}

static bool replace_regex(clo_buf *out, clo_str s, const struct tok_regex *r, clo_str to, clo_err *err)
{
    size_t at = 0, from = 0;
    while (from <= s.len) {
        size_t begin, end;
        bool found;
        if (!clo_tok_regex_find(r, s, from, &begin, &end, &found, err)) return false;
        if (!found) break;
        if (begin == end) {
            from = begin + (begin < s.len ? clo_tok_cp_len(s.ptr[begin]) : 1);
            continue;
        }
        clo_buf_add(out, (clo_str){s.ptr + at, begin - at});
        clo_buf_add(out, to);
        at = from = end;
    }
    clo_buf_add(out, clo_str_from_off(s, at));
    return true;
}

/* BERT: controls vanish, white space becomes a space. */
static void bert_clean(clo_buf *out, clo_str s)
{
    for (size_t i = 0, n; i < s.len; i += n) {
        uint32_t cp = clo_tok_cp(s.ptr + i, &n);
        unsigned k = clo_tok_class(cp);
        bool plain_break = cp == '\t' || cp == '\n' || cp == '\r';
        if (cp == 0 || cp == 0xFFFD || ((k & TOK_CLS_BERT_C) && !plain_break)) continue;
        if (k & TOK_CLS_S)
            clo_buf_add_char(out, ' ');
        else
            clo_buf_add(out, (clo_str){s.ptr + i, n});
    }
}

/* The ranges are upstream's own, its slip at 2B920 included. */
static bool is_cjk(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
           (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

static void bert_cjk(clo_buf *out, clo_str s)
{
    for (size_t i = 0, n; i < s.len; i += n) {
        bool cjk = is_cjk(clo_tok_cp(s.ptr + i, &n));
        if (cjk) clo_buf_add_char(out, ' ');
        clo_buf_add(out, (clo_str){s.ptr + i, n});
        if (cjk) clo_buf_add_char(out, ' ');
    }
}

static bool charsmap(clo_buf *out, clo_str map, clo_str s, clo_err *err)
{
    for (size_t i = 0; i < s.len;) {
        clo_str to;
        size_t n;
        if (clo_tok_charsmap_find(map, clo_str_from_off(s, i), false, &to, &n) && n > 0) {
            clo_buf_add(out, to);
        } else {
            n = clo_tok_cp_len(s.ptr[i]);
            clo_buf_add(out, (clo_str){s.ptr + i, n});
        }
        i += n;
    }
    return clo_buf_ok(out, err);
}

/* As the library does it: a grapheme cluster of less than 6 bytes that begins with an entry becomes what the shortest
 * such entry says, rest and all; otherwise its characters are looked up one by one. */
static bool charsmap_graphemes(clo_buf *out, clo_str map, clo_str s, clo_err *err)
{
    for (size_t i = 0; i < s.len;) {
        size_t end = clo_tok_grapheme_end(s, i), n;
        clo_str to;
        if (end - i < 6 && clo_tok_charsmap_find(map, (clo_str){s.ptr + i, end - i}, true, &to, &n)) {
            clo_buf_add(out, to);
            i = end;
        }
        for (; i < end; i += clo_tok_cp_len(s.ptr[i])) {
            clo_str one = {s.ptr + i, clo_tok_cp_len(s.ptr[i])};
            clo_buf_add(out, clo_tok_charsmap_find(map, one, true, &to, &n) ? to : one);
        }
    }
    return clo_buf_ok(out, err);
}

/* --- the stage -----------------------------------------------------------------------------------------------------*/

/* One step from s into out; *same when s stays as it is, or *s is narrowed to a part of itself. */
static bool step(const clo_tok *t, size_t i, clo_buf *out, clo_str *s, bool *same, clo_err *err)
{
    const tok_step *st = &t->steps[TOK_STAGE_NORM][i];
    clo_str s1 = clo_tok_text_of(t, st->s1), s2 = clo_tok_text_of(t, st->s2);
    *same = false;
    switch (st->kind) {
    case TOK_NORM_NFC:
        *same = is_nfc(*s);
        return *same || clo_tok_canonical(out, *s, false, true, err);
    case TOK_NORM_NFD:
        *same = is_ascii(*s);
        return *same || clo_tok_canonical(out, *s, false, false, err);
    case TOK_NORM_NFKC:
        *same = is_ascii(*s);
        return *same || clo_tok_canonical(out, *s, true, true, err);
    case TOK_NORM_NFKD:
        *same = is_ascii(*s);
        return *same || clo_tok_canonical(out, *s, true, false, err);
    case TOK_NORM_LOWER:
        lower(out, *s);
        return true;
    case TOK_NORM_STRIP_ACCENTS:
        drop_class(out, *s, TOK_CLS_BERT_MN);
        return true;
    case TOK_NORM_STRIP_MARKS:
        drop_class(out, *s, TOK_CLS_MARK);
        return true;
    case TOK_NORM_BYTE_LEVEL:
        for (size_t k = 0; k < s->len; k++)
            clo_buf_add_utf8(out, clo_tok_byte_to_cp((uint8_t)s->ptr[k]));
        return true;
    case TOK_NORM_STRIP:
        *s = strip(*s, st->a, st->b);
        *same = true;
        return true;
    case TOK_NORM_REPLACE:
        replace(out, *s, s1, s2);
        return true;
    case TOK_NORM_REPLACE_RE:
        return replace_regex(out, *s, t->regex[TOK_STAGE_NORM][i], s2, err);
    case TOK_NORM_PREPEND:
        *same = s->len == 0;
        if (*same) return true;
        clo_buf_add(out, s1);
        clo_buf_add(out, *s);
        return true;
    case TOK_NORM_BERT_CLEAN:
        bert_clean(out, *s);
        return true;
    case TOK_NORM_BERT_CJK:
        bert_cjk(out, *s);
        return true;
    case TOK_NORM_CHARSMAP:
        return st->a ? charsmap_graphemes(out, s1, *s, err) : charsmap(out, s1, *s, err);
    default:
        return clo_fail(err, CLO_ERR_FORMAT, "compiled tokenizer: unknown step %u", st->kind);
    }
}

bool clo_tok_normalize(const clo_tok *t, clo_buf pair[2], clo_str in, clo_str *out, clo_err *err)
{
    int side = 0;
    size_t max = clo_tok_grown_max(in.len);
    for (size_t i = 0; i < t->n_steps[TOK_STAGE_NORM]; i++) {
        bool same;
        pair[side].len = 0;
        pair[side].max = max;
        if (!step(t, i, &pair[side], &in, &same, err)) return false;
        if (same) continue;
        if (!clo_buf_ok(&pair[side], err)) return false;
        in = clo_buf_str(&pair[side]);
        side = 1 - side;
    }
    *out = in;
    return true;
}
