/* Unigram: the cut of a word whose pieces have the highest sum of log-probabilities, found by one pass over the
 * positions (Viterbi), and the character map that SentencePiece normalises with.
 * Source: Kudo 2018, arXiv:1804.10959; Hugging Face tokenizers, models/unigram; SentencePiece, normalizer.cc.
 */
#include <stdlib.h>

#include "base/cursor.h"
#include "model/tok_impl.h"
#include "model/tok_unicode.h"

#define UNKNOWN_PENALTY 10.0

/* The best way to a position. */
typedef struct {
    double score;
    uint32_t from; /* where its last piece begins */
    int32_t id;    /* of that piece; -1: not reached, -2: unknown character */
} cell;

static void relax(cell *to, double score, size_t from, int32_t id)
{
    if (to->id != -1 && !(score > to->score)) return;
    *to = (cell){score, (uint32_t)from, id};
}

static void forward(const clo_tok *t, clo_str w, cell *best)
{
    double unknown = t->head->min_score - UNKNOWN_PENALTY;
    for (size_t i = 0; i <= w.len; i++) best[i] = (cell){0, 0, -1};
    best[0].id = -2;
    for (size_t at = 0, n; at < w.len; at += n) {
        n = clo_tok_cp_len(w.ptr[at]);
        bool single = false;
        uint32_t node = 0;
        for (size_t i = at; i < w.len && t->n_trie > 0; i++) {
            node = clo_tok_trie_child(t->trie, t->n_trie, node, (uint8_t)w.ptr[i]);
            if (node == 0) break;
            int32_t id = t->trie[node].value;
            if (!clo_tok_has(t, id)) continue;
            relax(&best[i + 1], best[at].score + t->scores[id], at, id == t->head->unk ? -2 : id); /* "<unk>" is unknown */
            if (i + 1 - at == n) single = true;
        }
        if (!single && at + n <= w.len) relax(&best[at + n], best[at].score + unknown, at, -2);
    }
}

/* Ids of unknown text: its byte tokens when the model has that and all are there, else the unknown token. */
static bool emit_unknown(tok_enc *e, clo_str s)
{
    const clo_tok *t = e->t;
    int32_t whole = clo_tok_find_in_model(t, s.ptr, s.len); /* "<unk>" written out stands for itself */
    if (whole >= 0) return clo_ids_push(e->out, whole, e->err);
    bool all = (t->head->flags & TOK_BYTE_FALLBACK) != 0;
    for (size_t i = 0; i < s.len && all; i++) all = t->bytes[(uint8_t)s.ptr[i]] >= 0;
    if (!all) return t->head->unk < 0 ? clo_fail(e->err, CLO_ERR_FORMAT, "tokenizer without unknown token")
                                      : clo_ids_push(e->out, t->head->unk, e->err);
    for (size_t i = 0; i < s.len; i++) {
        if (!clo_ids_push(e->out, t->bytes[(uint8_t)s.ptr[i]], e->err)) return false;
    }
    return true;
}

bool clo_tok_word_unigram(tok_enc *e, clo_str w)
{
    if (w.len >= UINT32_MAX / 2) return clo_fail(e->err, CLO_ERR_LIMIT, "word of %zu bytes", w.len);
    if (!clo_tok_grow(&e->lattice, &e->lattice_cap, w.len + 1, sizeof(cell), e->err)) return false;
    cell *best = (cell *)e->lattice;
    forward(e->t, w, best);
    /* Turn the way round: each position on it learns where its piece ends. */
    size_t end = w.len;
    uint32_t next = (uint32_t)w.len;
    while (end > 0) {
        size_t from = best[end].from;
        if (best[end].id == -1 || from >= end) return clo_fail(e->err, CLO_ERR_FORMAT, "tokenizer: no way through a word");
        best[end].from = next;
        next = (uint32_t)end;
        end = from;
    }
    for (size_t at = 0, to = next; at < w.len;) {
        int32_t id = best[to].id;
        size_t last = to, after = best[to].from;
        while (id == -2 && last < w.len && best[after].id == -2) { /* unknown neighbours become one */
            last = after;
            after = best[after].from;
        }
        if (id == -2) {
            if (!emit_unknown(e, (clo_str){w.ptr + at, last - at})) return false;
        } else if (!clo_ids_push(e->out, id, e->err)) {
            return false;
        }
        at = last;
        to = after;
    }
    return true;
}

/* --- character map -------------------------------------------------------------------------------------------------
 *
 *   offset  size  meaning
 *   0       4     bytes of the double array, little-endian
 *   4       that  units of a Darts-clone double array, 4 bytes each
 *   then          replacements, each closed by a NUL
 */
static uint32_t unit_offset(uint32_t u)
{
    return (u >> 10) << ((u & (1u << 9)) >> 6);
}

bool clo_tok_charsmap_find(clo_str map, clo_str s, bool shortest, clo_str *to, size_t *n_bytes)
{
    if (map.len < 4) return false;
    size_t trie_bytes = clo_load_le32(map.ptr);
    if (trie_bytes > map.len - 4 || trie_bytes < 4) return false;
    const char *units = map.ptr + 4;
    size_t n_units = trie_bytes / 4, pos = 0;
    clo_str texts = clo_str_from_off(map, 4 + trie_bytes);
    uint32_t unit = clo_load_le32(units);
    bool found = false;
    pos ^= unit_offset(unit);
    for (size_t i = 0; i < s.len && !(found && shortest); i++) {
        uint8_t c = (uint8_t)s.ptr[i];
        pos ^= c;
        if (c == 0 || pos >= n_units) break;
        unit = clo_load_le32(units + 4 * pos);
        if ((unit & ((1u << 31) | 0xFF)) != c) break;
        pos ^= unit_offset(unit);
        if ((unit >> 8) & 1) {
            if (pos >= n_units) break;
            size_t at = clo_load_le32(units + 4 * pos) & 0x7FFFFFFFu;
            if (at > texts.len) break;
            *to = (clo_str){texts.ptr + at, clo_str_find(texts, at, 0) - at};
            *n_bytes = i + 1;
            found = true;
        }
    }
    return found;
}
