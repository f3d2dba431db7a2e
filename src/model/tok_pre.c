/* Pre-tokeniser steps. Each step cuts its piece and hands every part to the next step; after the last one a part is a
 * word and goes to the model. Parts are views, save where a step changes text (a space in front, U+2581 for a space):
 * that text lives in the step's own scratch buffer while later steps run.
 */
#include "model/tok_impl.h"
#include "model/tok_unicode.h"

/* Where matches and the text between them become pieces, by the behaviour of the Split step. */
typedef struct {
    tok_enc *e;
    size_t i_next; /* step that the pieces go to */
    clo_str s;
    bool at_start;
    uint32_t behaviour, invert;
    size_t begin, end; /* the piece that may still grow, empty when begin == end */
    bool last_match;
} splitter;

static bool emit(splitter *p, size_t begin, size_t end)
{
    if (begin == end) return true;
    return clo_tok_pre(p->e, p->i_next, (clo_str){p->s.ptr + begin, end - begin}, p->at_start && begin == 0);
}

/* The next segment [begin, end), in order, a match or not. */
static bool feed(splitter *p, size_t begin, size_t end, bool match)
{
    if (begin == end) return true;
    if (p->invert) match = !match;
    if (p->behaviour == TOK_SPLIT_REMOVED) return match || emit(p, begin, end);
    if (p->behaviour == TOK_SPLIT_ISOLATED) return emit(p, begin, end);
    bool open = p->end > p->begin, join = false;
    if (p->behaviour == TOK_SPLIT_CONTIGUOUS) join = open && match == p->last_match;
    if (p->behaviour == TOK_SPLIT_MERGED_PREVIOUS) join = open && match && !p->last_match;
    if (p->behaviour == TOK_SPLIT_MERGED_NEXT) join = open && !match && p->last_match;
    p->last_match = match;
    if (join) {
        p->end = end;
        return true;
    }
    bool ok = emit(p, p->begin, p->end);
    p->begin = begin;
    p->end = end;
    return ok;
}

static bool finish(splitter *p)
{
    return emit(p, p->begin, p->end);
}

static bool split_regex(splitter *p, const struct tok_regex *r)
{
    size_t at = 0, from = 0;
    while (from <= p->s.len) {
        size_t begin, end;
        bool found;
        if (!clo_tok_regex_find(r, p->s, from, &begin, &end, &found, p->e->err)) return false;
        if (!found) break;
        if (end == begin) { /* an empty match makes no piece: go on behind the next character */
            from = begin + (begin < p->s.len ? clo_tok_cp_len(p->s.ptr[begin]) : 1);
            continue;
        }
        if (!feed(p, at, begin, false) || !feed(p, begin, end, true)) return false;
        at = from = end;
    }
    return feed(p, at, p->s.len, false) && finish(p);
}

static bool split_string(splitter *p, clo_str what)
{
    size_t at = 0;
    while (what.len > 0 && at < p->s.len) {
        const char *m = (const char *)memmem(p->s.ptr + at, p->s.len - at, what.ptr, what.len);
        if (!m) break;
        size_t begin = (size_t)(m - p->s.ptr);
        if (!feed(p, at, begin, false) || !feed(p, begin, begin + what.len, true)) return false;
        at = begin + what.len;
    }
    return feed(p, at, p->s.len, false) && finish(p);
}

/* Each character of one of the classes is a match. */
static bool split_class(splitter *p, unsigned classes, bool (*also)(uint32_t cp))
{
    size_t at = 0;
    for (size_t i = 0, n; i < p->s.len; i += n) {
        uint32_t cp = clo_tok_cp(p->s.ptr + i, &n);
        if (!(clo_tok_class(cp) & classes) && !(also && also(cp))) continue;
        if (!feed(p, at, i, false) || !feed(p, i, i + n, true)) return false;
        at = i + n;
    }
    return feed(p, at, p->s.len, false) && finish(p);
}

/* \w+|[^\w\s]+ : the matches; white space between them is removed. */
static bool split_whitespace(splitter *p)
{
    int kind = 0; /* of the open run: 0 space, 1 word, 2 other */
    size_t from = 0;
    for (size_t i = 0, n; i < p->s.len; i += n) {
        unsigned k = clo_tok_class(clo_tok_cp(p->s.ptr + i, &n));
        int now = k & TOK_CLS_WORD ? 1 : k & TOK_CLS_S ? 0 : 2;
        if (now == kind) continue;
        if (kind != 0 && !emit(p, from, i)) return false;
        kind = now;
        from = i;
    }
    return kind == 0 || emit(p, from, p->s.len);
}

static bool ascii_punct(uint32_t c)
{
    return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
}

/* BERT: white space removed, then each punctuation character by itself. */
static bool split_bert(splitter *p)
{
    size_t at = 0;
    for (size_t i = 0, n; i < p->s.len; i += n) {
        uint32_t cp = clo_tok_cp(p->s.ptr + i, &n);
        unsigned k = clo_tok_class(cp);
        bool space = k & TOK_CLS_S, punct = !space && (ascii_punct(cp) || (k & TOK_CLS_BERT_P));
        if (!space && !punct) continue;
        if (!emit(p, at, i) || (punct && !emit(p, i, i + n))) return false;
        at = i + n;
    }
    return emit(p, at, p->s.len);
}

/* A copy of the piece in the step's buffer, with `from` replaced by `to` and `head` in front. */
static bool rewrite(tok_enc *e, size_t i_step, clo_str s, clo_str head, clo_str from, clo_str to, clo_str *out)
{
    clo_buf *b = &e->scratch[i_step];
    b->len = 0;
    b->max = (size_t)4 << 30;
    clo_buf_add(b, head);
    for (size_t at = 0; at < s.len;) {
        const char *m = from.len ? (const char *)memmem(s.ptr + at, s.len - at, from.ptr, from.len) : NULL;
        size_t end = m ? (size_t)(m - s.ptr) : s.len;
        clo_buf_add(b, (clo_str){s.ptr + at, end - at});
        if (m) clo_buf_add(b, to);
        at = end + (m ? from.len : 0);
    }
    *out = clo_buf_str(b);
    return clo_buf_ok(b, e->err);
}

static bool metaspace(splitter *p, const tok_step *st, clo_str mark)
{
    bool head = st->a == TOK_PREPEND_ALWAYS || (st->a == TOK_PREPEND_FIRST && p->at_start);
    p->invert = 0;
    if (clo_str_starts_with(p->s, mark) || clo_str_starts_with(p->s, CLO_STR(" "))) head = false;
    if (!rewrite(p->e, p->i_next - 1, p->s, head ? mark : CLO_STR(""), CLO_STR(" "), mark, &p->s)) return false;
    if (!st->b) return emit(p, 0, p->s.len);
    p->behaviour = TOK_SPLIT_MERGED_NEXT;
    return split_string(p, mark);
}

static bool scan_words(splitter *p, tok_scan kind)
{
    for (size_t at = 0; at < p->s.len;) {
        size_t end = clo_tok_scan(kind, p->s, at);
        if (end <= at || end > p->s.len) end = p->s.len; /* an unknown kind: one word */
        if (!emit(p, at, end)) return false;
        at = end;
    }
    return true;
}

bool clo_tok_pre(tok_enc *e, size_t i_step, clo_str piece, bool at_start)
{
    const clo_tok *t = e->t;
    if (piece.len == 0) return true;
    if (i_step >= t->n_steps[TOK_STAGE_PRE]) return clo_tok_word(e, piece);
    const tok_step *st = &t->steps[TOK_STAGE_PRE][i_step];
    splitter p = {.e = e, .i_next = i_step + 1, .s = piece, .at_start = at_start, .behaviour = st->a, .invert = st->b};
    switch (st->kind) {
    case TOK_PRE_SCAN: return scan_words(&p, (tok_scan)st->a);
    case TOK_PRE_REGEX: return split_regex(&p, t->regex[TOK_STAGE_PRE][i_step]);
    case TOK_PRE_STRING: return split_string(&p, clo_tok_text_of(t, st->s1));
    case TOK_PRE_DIGITS:
        p.behaviour = st->a ? TOK_SPLIT_ISOLATED : TOK_SPLIT_CONTIGUOUS;
        return split_class(&p, TOK_CLS_NUM, NULL);
    case TOK_PRE_PUNCT: p.invert = 0; return split_class(&p, TOK_CLS_BERT_P, ascii_punct);
    case TOK_PRE_PREFIX_SPACE:
        if (piece.ptr[0] != ' ' &&
            !rewrite(e, i_step, piece, CLO_STR(" "), CLO_STR(""), CLO_STR(""), &p.s))
            return false;
        return emit(&p, 0, p.s.len);
    case TOK_PRE_METASPACE: return metaspace(&p, st, clo_tok_text_of(t, st->s1));
    case TOK_PRE_BERT: return split_bert(&p);
    case TOK_PRE_WHITESPACE: return split_whitespace(&p);
    case TOK_PRE_WHITESPACE_SPLIT:
        p.behaviour = TOK_SPLIT_REMOVED;
        p.invert = 0;
        return split_class(&p, TOK_CLS_S, NULL);
    default: return clo_fail(e->err, CLO_ERR_FORMAT, "compiled tokenizer: unknown step %u", st->kind);
    }
}
