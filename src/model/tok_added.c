/* Added tokens: cut out of the text before the model sees it, leftmost first and of those the longest.
 *
 * Order of rules as in Hugging Face tokenizers (added_vocabulary.rs, find_matches): a match of a special token that is
 * not wanted, or of a single-word token inside a word, is passed over as a whole; a token may swallow white space on
 * its left (not past the match before it) and on its right.
 */
#include "model/tok_impl.h"
#include "model/tok_unicode.h"

/* The longest token of the set at s[off]: its id and length, or -1. */
static int32_t longest(const clo_tok *t, int which, clo_str s, size_t off, size_t *len)
{
    const tok_node *nodes = t->added[which];
    int32_t best = -1;
    uint32_t node = 0;
    for (size_t i = off; i < s.len; i++) {
        node = clo_tok_trie_child(nodes, t->n_added[which], node, (uint8_t)s.ptr[i]);
        if (node == 0) break;
        if (nodes[node].value >= 0) {
            best = nodes[node].value;
            *len = i + 1 - off;
        }
    }
    return best;
}

/* Where the character that ends at `end` begins. */
static size_t char_before(clo_str s, size_t end)
{
    do
        end--;
    while (end > 0 && ((uint8_t)s.ptr[end] & 0xC0) == 0x80);
    return end;
}

static bool class_before(clo_str s, size_t end, unsigned classes)
{
    size_t n;
    return end > 0 && (clo_tok_class(clo_tok_cp(s.ptr + char_before(s, end), &n)) & classes);
}

static bool class_after(clo_str s, size_t at, unsigned classes)
{
    size_t n;
    return at < s.len && (clo_tok_class(clo_tok_cp(s.ptr + at, &n)) & classes);
}

bool clo_tok_cut_added(tok_enc *e, int which, clo_str s, bool at_start, tok_next_fn *next)
{
    const clo_tok *t = e->t;
    if (t->n_added[which] == 0) return next(e, s, at_start);
    size_t from = 0; /* text before this was handed on */
    for (size_t i = 0; i < s.len;) {
        size_t len = 0;
        if (!t->added_first[which][(uint8_t)s.ptr[i]]) {
            i++;
            continue;
        }
        int32_t id = longest(t, which, s, i, &len);
        if (!clo_tok_has(t, id)) {
            i++;
            continue;
        }
        size_t begin = i, end = i + len;
        i = end;
        uint8_t f = t->flags[id];
        if ((f & TOK_SPECIAL) && !e->opts.parse_special) continue;
        if ((f & TOK_SINGLE_WORD) && (class_before(s, begin, TOK_CLS_WORD) || class_after(s, end, TOK_CLS_WORD)))
            continue;
        while ((f & TOK_LSTRIP) && begin > from && class_before(s, begin, TOK_CLS_S))
            begin = char_before(s, begin);
        while ((f & TOK_RSTRIP) && class_after(s, end, TOK_CLS_S))
            end += clo_tok_cp_len(s.ptr[end]);
        if (begin < from) begin = from;
        if (begin > from && !next(e, (clo_str){s.ptr + from, begin - from}, at_start && from == 0)) return false;
        if (!clo_ids_push(e->out, id, e->err)) return false;
        from = end;
    }
    return from >= s.len || next(e, clo_str_from_off(s, from), at_start && from == 0);
}
