/* WordPiece: the longest known prefix of the word, then of the rest as a continuation; a word that cannot be cut to its
 * end is one unknown token. Source: Hugging Face tokenizers, models/wordpiece; Schuster and Nakajima 2012.
 */
#include "model/tok_impl.h"
#include "model/tok_unicode.h"

/* The longest piece at w[from..]: its id and end, or -1. */
static int32_t longest(tok_enc *e, clo_str w, size_t from, clo_str head, size_t *end)
{
    e->word.len = 0;
    e->word.max = 1u << 20;
    clo_buf_add(&e->word, head);
    clo_buf_add(&e->word, clo_str_from_off(w, from));
    if (e->word.failed) return -1;
    for (size_t to = w.len; to > from;) {
        int32_t id = clo_tok_find_in_model(e->t, e->word.ptr, head.len + to - from);
        if (id >= 0) {
            *end = to;
            return id;
        }
        do to--;
        while (to > from && ((uint8_t)w.ptr[to] & 0xC0) == 0x80);
    }
    return -1;
}

bool clo_tok_word_wordpiece(tok_enc *e, clo_str w)
{
    const tok_head *h = e->t->head;
    bool plain = h->flags & TOK_WORDS_PLAIN;
    clo_str prefix = clo_tok_text_of(e->t, h->prefix);
    size_t n_chars = 0, n_before = e->out->n;
    for (size_t i = 0; i < w.len; i += clo_tok_cp_len(w.ptr[i])) n_chars++;
    bool known = n_chars <= h->max_chars;
    for (size_t at = 0; known && at < w.len;) {
        clo_str head = (at > 0) == plain ? (clo_str){"", 0} : prefix;
        int32_t id = longest(e, w, at, head, &at);
        known = id >= 0;
        if (known && !clo_ids_push(e->out, id, e->err)) return false;
    }
    if (known) return true;
    e->out->n = n_before;
    if (h->unk < 0) return clo_fail(e->err, CLO_ERR_FORMAT, "tokenizer without unknown token");
    return clo_ids_push(e->out, h->unk, e->err);
}
