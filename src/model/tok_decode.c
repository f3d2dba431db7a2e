/* Ids to text: the strings of the ids pass through the decoder's steps, each from a list of strings to a list.
 *
 * Byte-level tokenizers skip the lists: the bytes of the pieces are joined and read as UTF-8, with U+FFFD for what is not.
 */
#include <stdlib.h>

#include "base/utf8.h"
#include "model/tok_impl.h"
#include "model/tok_unicode.h"

/* A list of strings, laid end to end. */
typedef struct {
    clo_buf text;
    size_t *ends; /* owned [cap]: where string i ends in text */
    size_t n, cap;
} strings;

static clo_str get(const strings *l, size_t i)
{
    size_t from = i == 0 ? 0 : l->ends[i - 1];
    return (clo_str){clo_buf_str(&l->text).ptr + from, l->ends[i] - from};
}

/* Closes the string that was appended to l->text. */
static bool end_string(strings *l, clo_err *err)
{
    if (!clo_tok_grow((void **)&l->ends, &l->cap, l->n + 1, sizeof *l->ends, err)) return false;
    l->ends[l->n++] = l->text.len;
    return true;
}

static void free_strings(strings *l)
{
    clo_buf_free(&l->text);
    free(l->ends);
}

static void add_lossy(clo_buf *out, clo_str s)
{
    if (clo_utf8_valid(s)) {
        clo_buf_add(out, s);
        return;
    }
    for (size_t i = 0, n; i < s.len; i += n) {
        if (clo_utf8_decode(s, i, &n) == CLO_UTF8_BAD)
            clo_buf_add(out, CLO_STR("\xEF\xBF\xBD"));
        else
            clo_buf_add(out, (clo_str){s.ptr + i, n});
    }
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

/* "<0x0A>", either case of hex: the byte, or -1. */
static int byte_of(clo_str s)
{
    if (s.len != 6 || memcmp(s.ptr, "<0x", 3) != 0 || s.ptr[5] != '>') return -1;
    int v = 0;
    for (size_t i = 3; i < 5; i++) {
        char c = s.ptr[i];
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                       : -1;
        if (d < 0) return -1;
        v = v * 16 + d;
    }
    return v;
}

static bool byte_level(strings *to, const strings *from, clo_err *err)
{
    clo_buf raw = {.max = (size_t)4 << 30};
    for (size_t i = 0; i < from->n; i++) {
        clo_str s = get(from, i);
        bool all = clo_utf8_valid(s);
        for (size_t k = 0, n; k < s.len && all; k += n)
            all = clo_tok_cp_to_byte(clo_tok_cp(s.ptr + k, &n)) >= 0;
        if (!all) clo_buf_add(&raw, s);
        for (size_t k = 0, n; k < s.len && all; k += n)
            clo_buf_add_char(&raw, (char)clo_tok_cp_to_byte(clo_tok_cp(s.ptr + k, &n)));
    }
    add_lossy(&to->text, clo_buf_str(&raw));
    bool ok = clo_buf_ok(&raw, err);
    clo_buf_free(&raw);
    return ok && end_string(to, err);
}

/* Runs of byte tokens become one string: their text, or one U+FFFD a byte when they are no UTF-8. */
static bool byte_fallback(strings *to, const strings *from, clo_err *err)
{
    for (size_t i = 0; i < from->n;) {
        if (byte_of(get(from, i)) < 0) {
            clo_buf_add(&to->text, get(from, i++));
        } else {
            size_t begin = to->text.len, first = i;
            for (; i < from->n && byte_of(get(from, i)) >= 0; i++)
                clo_buf_add_char(&to->text, (char)byte_of(get(from, i)));
            clo_str made = {clo_buf_str(&to->text).ptr + begin, to->text.len - begin};
            if (!to->text.failed && !clo_utf8_valid(made)) {
                to->text.len = begin;
                for (size_t k = first; k < i; k++)
                    clo_buf_add(&to->text, CLO_STR("\xEF\xBF\xBD"));
            }
        }
        if (!end_string(to, err)) return false;
    }
    return true;
}

static clo_str strip(clo_str s, clo_str what, size_t n_start, size_t n_stop)
{
    if (what.len == 0) return s;
    for (size_t i = 0; i < n_start && clo_str_starts_with(s, what); i++)
        s = clo_str_from_off(s, what.len);
    for (size_t i = 0; i < n_stop && clo_str_ends_with(s, what); i++)
        s.len -= what.len;
    return s;
}

/* Takes the space away before . ? ! , and around English short forms, in this order, as the library does. */
static bool cleanup(clo_buf *out, clo_str s, clo_err *err)
{
    static const char *const rules[][2] = {
        {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},    {" n't", "n't"},
        {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
    };
    clo_buf side[2] = {{.max = (size_t)1 << 30}, {.max = (size_t)1 << 30}};
    clo_buf_add(&side[0], s);
    int now = 0;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        side[1 - now].len = 0;
        replace(&side[1 - now], clo_buf_str(&side[now]), clo_str_from(rules[i][0]), clo_str_from(rules[i][1]));
        now = 1 - now;
    }
    bool ok = clo_buf_ok(&side[0], err) && clo_buf_ok(&side[1], err);
    clo_buf_add(out, clo_buf_str(&side[now]));
    clo_buf_free(&side[0]);
    clo_buf_free(&side[1]);
    return ok;
}

static bool wordpiece(strings *to, clo_str s, size_t i, clo_str prefix, bool clean, clo_err *err)
{
    clo_buf one = {.max = TOK_NAME_BYTES_MAX + 16};
    if (i > 0) {
        if (prefix.len > 0 && clo_str_starts_with(s, prefix))
            s = clo_str_from_off(s, prefix.len);
        else
            clo_buf_add_char(&one, ' ');
    }
    clo_buf_add(&one, s);
    bool ok = clo_buf_ok(&one, err);
    if (ok && clean)
        ok = cleanup(&to->text, clo_buf_str(&one), err);
    else
        clo_buf_add(&to->text, clo_buf_str(&one));
    clo_buf_free(&one);
    return ok;
}

static bool each(const clo_tok *t, const tok_step *st, strings *to, const strings *from, clo_err *err)
{
    clo_str s1 = clo_tok_text_of(t, st->s1), s2 = clo_tok_text_of(t, st->s2);
    for (size_t i = 0; i < from->n; i++) {
        clo_str s = get(from, i);
        switch (st->kind) {
        case TOK_DEC_STRIP:
            clo_buf_add(&to->text, strip(s, s1, st->a, st->b));
            break;
        case TOK_DEC_REPLACE:
            replace(&to->text, s, s1, s2);
            break;
        case TOK_DEC_METASPACE:
            replace(&to->text, s, s1, i == 0 && st->a ? CLO_STR("") : CLO_STR(" "));
            break;
        case TOK_DEC_WORDPIECE:
            if (!wordpiece(to, s, i, s1, st->a, err)) return false;
            break;
        case TOK_DEC_BPE:
            replace(&to->text, s, s1, i + 1 < from->n ? CLO_STR(" ") : CLO_STR(""));
            break;
        default:
            return clo_fail(err, CLO_ERR_FORMAT, "compiled tokenizer: unknown step %u", st->kind);
        }
        if (!end_string(to, err)) return false;
    }
    return true;
}

static bool step(const clo_tok *t, const tok_step *st, strings *to, const strings *from, clo_err *err)
{
    to->text.len = 0;
    to->n = 0;
    switch (st->kind) {
    case TOK_DEC_BYTE_LEVEL:
        return byte_level(to, from, err);
    case TOK_DEC_BYTE_FALLBACK:
        return byte_fallback(to, from, err);
    case TOK_DEC_FUSE:
        clo_buf_add(&to->text, clo_buf_str(&from->text));
        return end_string(to, err);
    case TOK_DEC_SPACED:
        for (size_t i = 0; i < from->n; i++) {
            if (i > 0) clo_buf_add_char(&to->text, ' ');
            clo_buf_add(&to->text, get(from, i));
        }
        return end_string(to, err);
    default:
        return each(t, st, to, from, err);
    }
}

static bool shown(const clo_tok *t, int32_t id, bool with_special)
{
    return clo_tok_has(t, id) && (t->flags[id] & TOK_PRESENT) && (with_special || !(t->flags[id] & TOK_SPECIAL));
}

static bool decode_bytes(const clo_tok *t, clo_buf *out, const int32_t *ids, size_t n, bool with_special, clo_err *err)
{
    clo_buf raw = {.max = (size_t)4 << 30};
    for (size_t i = 0; i < n; i++)
        clo_buf_add(&raw, clo_tok_piece(t, ids[i], with_special));
    add_lossy(out, clo_buf_str(&raw));
    bool ok = clo_buf_ok(&raw, err) && clo_buf_ok(out, err);
    clo_buf_free(&raw);
    return ok;
}

bool clo_tok_decode(const clo_tok *t, clo_buf *out, const int32_t *ids, size_t n, bool with_special, clo_err *err)
{
    size_t n_steps = t->n_steps[TOK_STAGE_DEC];
    const tok_step *steps = t->steps[TOK_STAGE_DEC];
    if (n_steps == 1 && steps[0].kind == TOK_DEC_BYTE_LEVEL) return decode_bytes(t, out, ids, n, with_special, err);
    strings side[2] = {{.text = {.max = (size_t)4 << 30}}, {.text = {.max = (size_t)4 << 30}}};
    int now = 0;
    bool ok = true;
    for (size_t i = 0; i < n && ok; i++) {
        if (!shown(t, ids[i], with_special)) continue;
        clo_buf_add(&side[0].text, clo_tok_name(t, ids[i]));
        ok = end_string(&side[0], err);
    }
    side[0].text.max = side[1].text.max = clo_tok_grown_max(side[0].text.len + side[0].n);
    for (size_t i = 0; i < n_steps && ok; i++) {
        ok = step(t, &steps[i], &side[1 - now], &side[now], err) && clo_buf_ok(&side[1 - now].text, err);
        now = 1 - now;
    }
    if (ok) add_lossy(out, clo_buf_str(&side[now].text));
    ok = ok && clo_buf_ok(&side[0].text, err) && clo_buf_ok(out, err);
    free_strings(&side[0]);
    free_strings(&side[1]);
    return ok;
}
