/* Byte-pair encoding of one word: the pair of lowest rank is merged first, the leftmost of equals, until none is left.
 *
 * Symbols stand in a doubly linked list laid in an array. A short word looks for the best pair by walking the list; a
 * long one keeps candidates in a heap ordered by (rank, position), where a candidate whose symbols have changed is
 * dropped when it comes up: n log n also for a megabyte of one letter. Both give the same ids.
 * Source: Sennrich et al. 2016, arXiv:1508.07909; order of merges as in Hugging Face tokenizers (models/bpe/word.rs).
 */
#include <stdlib.h>

#include "model/tok_impl.h"
#include "model/tok_unicode.h"

#define WALK_SYMS_MAX 48 /* longer words use the heap */

uint32_t clo_tok_byte_to_cp(uint8_t b)
{
    if ((b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE) return b;
    if (b <= 0x20) return 0x100u + b;
    if (b <= 0xA0) return 0x121u + (b - 0x7Fu);
    return 0x143u; /* 0xAD */
}

int clo_tok_cp_to_byte(uint32_t cp)
{
    if (cp < 0x100) return clo_tok_byte_to_cp((uint8_t)cp) == cp ? (int)cp : -1;
    if (cp <= 0x120) return (int)(cp - 0x100);
    if (cp <= 0x142) return (int)(cp - 0x121 + 0x7F);
    return cp == 0x143 ? 0xAD : -1;
}

/* --- symbols -------------------------------------------------------------------------------------------------------*/

static void push_sym(tok_enc *e, size_t *n, uint32_t sym, size_t off, size_t bytes)
{
    e->syms[*n] = (tok_sym){.sym = sym,
                            .prev = (int32_t)*n - 1,
                            .next = (int32_t)*n + 1,
                            .bytes = (uint32_t)bytes,
                            .off = (uint32_t)off,
                            .rank = TOK_NONE};
    (*n)++;
}

static size_t syms_of_bytes(tok_enc *e, clo_str w)
{
    size_t n = 0;
    for (size_t i = 0; i < w.len; i++) {
        int32_t sym = e->t->bytes[(uint8_t)w.ptr[i]];
        if (sym >= 0) push_sym(e, &n, (uint32_t)sym, i, 1); /* a byte without token vanishes, as in the library */
    }
    return n;
}

/* A character that is no token: byte tokens when all are there, else the unknown token, fused with one before. */
static void push_unknown(tok_enc *e, size_t *n, clo_str w, size_t off, size_t bytes, bool *fused)
{
    const clo_tok *t = e->t;
    bool all = (t->head->flags & TOK_BYTE_FALLBACK) != 0;
    for (size_t i = 0; i < bytes && all; i++)
        all = t->bytes[(uint8_t)w.ptr[off + i]] >= 0;
    if (all) {
        for (size_t i = 0; i < bytes; i++)
            push_sym(e, n, (uint32_t)t->bytes[(uint8_t)w.ptr[off + i]], off + i, 1);
        *fused = false;
        return;
    }
    if (t->head->unk < 0) return;
    if (*fused && (t->head->flags & TOK_FUSE_UNK)) {
        e->syms[*n - 1].bytes += (uint32_t)bytes;
        return;
    }
    push_sym(e, n, (uint32_t)t->head->unk, off, bytes);
    *fused = true;
}

/* The stored form of the character at off: with continuing_subword_prefix and end_of_word_suffix where they belong. */
static int32_t find_char(tok_enc *e, clo_str w, size_t off, size_t bytes)
{
    clo_str prefix = clo_tok_text_of(e->t, e->t->head->prefix), suffix = clo_tok_text_of(e->t, e->t->head->suffix);
    bool add_prefix = prefix.len > 0 && off > 0, add_suffix = suffix.len > 0 && off + bytes == w.len;
    if (!add_prefix && !add_suffix) return clo_tok_find(e->t, w.ptr + off, bytes);
    e->word.len = 0;
    if (add_prefix) clo_buf_add(&e->word, prefix);
    clo_buf_add(&e->word, (clo_str){w.ptr + off, bytes});
    if (add_suffix) clo_buf_add(&e->word, suffix);
    return e->word.failed ? -1 : clo_tok_find(e->t, e->word.ptr, e->word.len);
}

static bool usable(const clo_tok *t, int32_t sym)
{
    return sym >= 0 && ((uint32_t)sym >= t->head->n_vocab || (t->flags[sym] & TOK_IN_MODEL));
}

static size_t syms_of_chars(tok_enc *e, clo_str w)
{
    size_t n = 0;
    bool fused = false;
    for (size_t i = 0, bytes; i < w.len; i += bytes) {
        bytes = clo_tok_cp_len(w.ptr[i]);
        int32_t sym = find_char(e, w, i, bytes);
        if (usable(e->t, sym)) {
            push_sym(e, &n, (uint32_t)sym, i, bytes);
            fused = false;
        } else {
            push_unknown(e, &n, w, i, bytes, &fused);
        }
    }
    return n;
}

/* --- merging -------------------------------------------------------------------------------------------------------*/

/* Looks up what symbol i and its next become. */
static void rate(tok_enc *e, int32_t i)
{
    tok_sym *s = &e->syms[i];
    const tok_merge *m = s->next >= 0 ? clo_tok_merge_find(e->t, s->sym, e->syms[s->next].sym) : NULL;
    s->rank = m ? m->rank : TOK_NONE;
    s->result = m ? m->result : 0;
}

/* Merges symbol i with its next, and rates the two pairs that this makes. */
static void join(tok_enc *e, int32_t i)
{
    tok_sym *l = &e->syms[i], *r = &e->syms[l->next];
    l->sym = l->result;
    l->bytes += r->bytes;
    r->bytes = 0;
    r->rank = TOK_NONE;
    l->next = r->next;
    if (r->next >= 0) e->syms[r->next].prev = i;
    rate(e, i);
    if (l->prev >= 0) rate(e, l->prev);
}

static void merge_walking(tok_enc *e, size_t n)
{
    for (;;) {
        int32_t best = 0;
        for (int32_t i = 1; i < (int32_t)n; i++) {
            if (e->syms[i].rank < e->syms[best].rank) best = i;
        }
        if (e->syms[best].rank == TOK_NONE) return;
        join(e, best);
    }
}

/* A heap of four children a node: half the depth of two, and the children share a cache line. */
static void heap_push(tok_enc *e, int32_t i)
{
    if (i < 0 || e->syms[i].rank == TOK_NONE) return;
    uint64_t key = (uint64_t)e->syms[i].rank << 32 | (uint32_t)i, *heap = e->heap;
    size_t at = e->heap_n++;
    while (at > 0 && key < heap[(at - 1) / 4]) {
        heap[at] = heap[(at - 1) / 4];
        at = (at - 1) / 4;
    }
    heap[at] = key;
}

static uint64_t heap_pop(tok_enc *e)
{
    uint64_t *heap = e->heap, top = heap[0], key = heap[--e->heap_n];
    size_t n = e->heap_n, at = 0;
    for (;;) {
        size_t child = 4 * at + 1, end = child + 4 < n ? child + 4 : n, least = child;
        if (child >= n) break;
        for (size_t c = child + 1; c < end; c++) {
            if (heap[c] < heap[least]) least = c;
        }
        if (heap[least] >= key) break;
        heap[at] = heap[least];
        at = least;
    }
    heap[at] = key;
    return top;
}

/* A candidate is stale when its pair has another rank by now. One that has the same rank again is as good as new. */
static bool merge_heaped(tok_enc *e, size_t n)
{
    /* n - 1 pairs at first; each of at most n - 1 merges offers two more. */
    if (!clo_tok_grow((void **)&e->heap, &e->heap_cap, 3 * n + 1, sizeof *e->heap, e->err)) return false;
    e->heap_n = 0;
    for (size_t i = 0; i < n; i++)
        heap_push(e, (int32_t)i);
    while (e->heap_n > 0) {
        uint64_t key = heap_pop(e);
        int32_t i = (int32_t)(uint32_t)key;
        if (e->syms[i].rank != (uint32_t)(key >> 32)) continue;
        join(e, i);
        heap_push(e, i);
        heap_push(e, e->syms[i].prev);
    }
    return true;
}

/* --- words ---------------------------------------------------------------------------------------------------------*/

/* Ids of one symbol: itself, or what its text falls back to when it is no token. */
static bool emit_sym(tok_enc *e, const tok_sym *s, clo_str w)
{
    if (s->sym < e->t->head->n_vocab) return clo_ids_push(e->out, (int32_t)s->sym, e->err);
    for (size_t i = 0; i < s->bytes && s->off + i < w.len; i++) {
        int32_t id = e->t->bytes[(uint8_t)w.ptr[s->off + i]];
        if (id < 0) id = i == 0 ? e->t->head->unk : -1;
        if (clo_tok_has(e->t, id) && !clo_ids_push(e->out, id, e->err)) return false;
    }
    return true;
}

/* The word as it stands in the vocabulary when that has it whole, else -1. */
static int32_t whole_word(tok_enc *e, clo_str w)
{
    if (e->t->head->model != TOK_MODEL_BPE_BYTES) return clo_tok_find_in_model(e->t, w.ptr, w.len);
    e->word.len = 0;
    e->word.max = (size_t)4 << 30;
    for (size_t i = 0; i < w.len; i++)
        clo_buf_add_utf8(&e->word, clo_tok_byte_to_cp((uint8_t)w.ptr[i]));
    return e->word.failed ? -1 : clo_tok_find_in_model(e->t, e->word.ptr, e->word.len);
}

bool clo_tok_word_bpe(tok_enc *e, clo_str w)
{
    const clo_tok *t = e->t;
    if (!t->bytes) return clo_fail(e->err, CLO_ERR_FORMAT, "compiled tokenizer: no byte table");
    if ((t->head->flags & TOK_IGNORE_MERGES) && w.len <= 4096) {
        int32_t id = whole_word(e, w);
        if (id >= 0) return clo_ids_push(e->out, id, e->err);
    }
    if (w.len > INT32_MAX / 8) return clo_fail(e->err, CLO_ERR_LIMIT, "word of %zu bytes", w.len);
    if (!clo_tok_grow((void **)&e->syms, &e->syms_cap, w.len, sizeof *e->syms, e->err)) return false;
    size_t n = t->head->model == TOK_MODEL_BPE_BYTES ? syms_of_bytes(e, w) : syms_of_chars(e, w);
    if (n == 0) return true;
    e->syms[n - 1].next = -1;
    for (size_t i = 0; i < n; i++)
        rate(e, (int32_t)i);
    if (n > WALK_SYMS_MAX) {
        if (!merge_heaped(e, n)) return false;
    } else if (n > 1) {
        merge_walking(e, n);
    }
    for (int32_t i = 0; i >= 0; i = e->syms[i].next) {
        if (!emit_sym(e, &e->syms[i], w)) return false;
    }
    return true;
}
