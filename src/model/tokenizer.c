/* Tokenizers: opening the compiled form, the way of a text through the stages, and what is known about ids. */
#include "model/tokenizer.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "model/tok_impl.h"
#include "model/tok_unicode.h"

void clo_ids_free(clo_ids *l)
{
    free(l->ids);
    *l = (clo_ids){0};
}

bool clo_ids_push(clo_ids *l, int32_t id, clo_err *err)
{
    if (l->n == l->cap && !clo_tok_grow((void **)&l->ids, &l->cap, l->n + 1, sizeof *l->ids, err)) return false;
    l->ids[l->n++] = id;
    return true;
}

/* --- opening -------------------------------------------------------------------------------------------------------*/

/* The items of a section, or NULL when it is empty; *n: how many. */
static const void *items(const clo_tok *t, tok_section s, size_t size, size_t *n)
{
    *n = (size_t)(t->head->sec[s].bytes / size);
    return *n ? t->blob + t->head->sec[s].off : NULL;
}

static bool check_head(const tok_head *h, size_t n, clo_err *err)
{
    if (memcmp(h->magic, "CLOTOK\r\n", 8) != 0 || h->version != TOK_VERSION || h->byte_order != 0x01020304)
        return clo_fail_at(err, 0, "compiled tokenizer: made by another version or machine");
    if (h->n_bytes != n)
        return clo_fail(err, CLO_ERR_FORMAT, "compiled tokenizer: %zu bytes, head says %llu", n,
                        (unsigned long long)h->n_bytes);
    if (h->n_vocab == 0 || h->n_vocab > TOK_VOCAB_MAX || h->n_syms < h->n_vocab || h->n_syms - h->n_vocab > 4096)
        return clo_fail(err, CLO_ERR_FORMAT, "compiled tokenizer: %u tokens, %u symbols", h->n_vocab, h->n_syms);
    for (int s = 0; s < TOK_N_SECTIONS; s++) {
        tok_place p = h->sec[s];
        if (p.off % 16 != 0 || p.off > n || p.bytes > n - p.off)
            return clo_fail(err, CLO_ERR_FORMAT, "compiled tokenizer: section %d at %llu with %llu bytes of %zu", s,
                            (unsigned long long)p.off, (unsigned long long)p.bytes, n);
    }
    return true;
}

static bool power_of_two(size_t n)
{
    return n > 0 && (n & (n - 1)) == 0;
}

/* Sets the views. Sections that everything relies on must have their full length; others may be empty. */
static bool set_views(clo_tok *t, clo_err *err)
{
    const tok_head *h = t->head;
    size_t n_names, n_pieces, n_flags, n_hash, n_merges, n_bytes, n_cut, n_scores;
    t->text = (const char *)items(t, SEC_TEXT, 1, &t->n_text);
    if (!t->text) t->text = ""; /* the only token may be empty */
    t->names = (const tok_ref *)items(t, SEC_NAMES, sizeof(tok_ref), &n_names);
    t->pieces = (const tok_ref *)items(t, SEC_PIECES, sizeof(tok_ref), &n_pieces);
    t->flags = (const uint8_t *)items(t, SEC_FLAGS, 1, &n_flags);
    t->name_hash = (const uint32_t *)items(t, SEC_NAME_HASH, sizeof(uint32_t), &n_hash);
    t->merges = (const tok_merge *)items(t, SEC_MERGES, sizeof(tok_merge), &n_merges);
    t->bytes = (const int32_t *)items(t, SEC_BYTES, sizeof(int32_t), &n_bytes);
    t->no_cut = (const uint8_t *)items(t, SEC_CUT, 1, &n_cut);
    t->scores = (const double *)items(t, SEC_SCORES, sizeof(double), &n_scores);
    t->trie = (const tok_node *)items(t, SEC_TRIE, sizeof(tok_node), &t->n_trie);
    for (int i = 0; i < 2; i++)
        t->added[i] = (const tok_node *)items(t, (tok_section)(SEC_ADDED_RAW + i), sizeof(tok_node), &t->n_added[i]);
    for (int i = 0; i < 3; i++) {
        t->steps[i] = (const tok_step *)items(t, (tok_section)(SEC_NORM + i), sizeof(tok_step), &t->n_steps[i]);
        if (t->n_steps[i] > TOK_STEPS_MAX) return clo_fail(err, CLO_ERR_FORMAT, "compiled tokenizer: too many steps");
    }
    t->prefix = (const int32_t *)items(t, SEC_PREFIX, sizeof(int32_t), &t->n_prefix);
    t->suffix = (const int32_t *)items(t, SEC_SUFFIX, sizeof(int32_t), &t->n_suffix);
    t->stop = (const int32_t *)items(t, SEC_STOP, sizeof(int32_t), &t->n_stop);
    t->named = (const tok_ref *)items(t, SEC_NAMED, sizeof(tok_ref), &t->n_named);
    t->templates = (const tok_ref *)items(t, SEC_TEMPLATES, sizeof(tok_ref), &t->n_templates);
    if (n_names != h->n_syms || n_pieces != h->n_vocab || n_flags != h->n_syms || !power_of_two(n_hash) ||
        (t->merges && !power_of_two(n_merges)) || n_bytes != 256 || (t->no_cut && n_cut != 256) ||
        (t->scores && n_scores != h->n_vocab) || (h->model == TOK_MODEL_UNIGRAM && !t->scores))
        return clo_fail(err, CLO_ERR_FORMAT, "compiled tokenizer: a table has the wrong length");
    t->name_mask = n_hash - 1;
    t->merge_mask = t->merges ? n_merges - 1 : 0;
    for (size_t i = 0; i < 256; i++) {
        if (t->bytes[i] >= 0 && !clo_tok_has(t, t->bytes[i]))
            return clo_fail(err, CLO_ERR_FORMAT, "compiled tokenizer: byte %zu is token %d", i, t->bytes[i]);
    }
    if (h->unk >= 0 && !clo_tok_has(t, h->unk))
        return clo_fail(err, CLO_ERR_FORMAT, "compiled tokenizer: unknown token %d", h->unk);
    return true;
}

static bool open_regexes(clo_tok *t, clo_err *err)
{
    for (int stage = 0; stage < 3; stage++) {
        for (size_t i = 0; i < t->n_steps[stage]; i++) {
            const tok_step *s = &t->steps[stage][i];
            if (s->kind != TOK_PRE_REGEX && s->kind != TOK_NORM_REPLACE_RE) continue;
            if (!clo_tok_regex_open(&t->regex[stage][i], clo_tok_text_of(t, s->s1), err)) return false;
        }
    }
    return true;
}

bool clo_tok_open_blob(clo_tok **out, const uint8_t *blob, size_t n, uint8_t *owned, clo_err *err)
{
    clo_tok *t = NULL;
    bool ok = false;

    *out = NULL;
    if (n < sizeof(tok_head)) {
        clo_fail(err, CLO_ERR_FORMAT, "compiled tokenizer of %zu bytes", n);
        goto done;
    }
    if (!(t = (clo_tok *)calloc(1, sizeof *t))) {
        clo_fail(err, CLO_ERR_MEMORY, "tokenizer");
        goto done;
    }
    t->blob = blob;
    t->head = (const tok_head *)(const void *)blob;
    if (!check_head(t->head, n, err) || !set_views(t, err) || !open_regexes(t, err)) goto done;
    for (int set = 0; set < 2; set++) {
        for (int c = 0; c < 256 && t->n_added[set] > 0; c++)
            t->added_first[set][c] = clo_tok_trie_child(t->added[set], t->n_added[set], 0, (uint8_t)c) != 0;
    }
    t->owned_blob = owned;
    owned = NULL;
    *out = t;
    t = NULL;
    ok = true;
done:
    clo_tok_close(t);
    free(owned);
    return ok;
}

bool clo_tok_open_compiled(clo_tok **out, clo_bytes blob, clo_err *err)
{
    if ((uintptr_t)blob.ptr % 16 == 0) return clo_tok_open_blob(out, blob.ptr, blob.len, NULL, err);
    uint8_t *copy = (uint8_t *)malloc(blob.len + 1);
    if (!copy) return clo_fail(err, CLO_ERR_MEMORY, "compiled tokenizer of %zu bytes", blob.len);
    memcpy(copy, blob.ptr, blob.len);
    return clo_tok_open_blob(out, copy, blob.len, copy, err);
}

bool clo_tok_save(const clo_tok *t, clo_buf *out, clo_err *err)
{
    clo_buf_add(out, (clo_str){(const char *)t->blob, (size_t)t->head->n_bytes});
    return clo_buf_ok(out, err);
}

void clo_tok_close(clo_tok *t)
{
    if (!t) return;
    for (int stage = 0; stage < 3; stage++) {
        for (size_t i = 0; i < TOK_STEPS_MAX; i++)
            clo_tok_regex_close(t->regex[stage][i]);
    }
    free(t->owned_blob);
    free(t);
}

/* --- names ---------------------------------------------------------------------------------------------------------*/

int32_t clo_tok_find(const clo_tok *t, const char *p, size_t n)
{
    size_t at = clo_tok_hash(p, n) & t->name_mask;
    for (size_t i = 0; i <= t->name_mask && t->name_hash[at] != 0; i++) {
        uint32_t sym = t->name_hash[at] - 1;
        if (sym < t->head->n_syms) {
            clo_str name = clo_tok_text_of(t, t->names[sym]);
            if (name.len == n && memcmp(name.ptr, p, n) == 0) return (int32_t)sym;
        }
        at = (at + 1) & t->name_mask;
    }
    return -1;
}

int32_t clo_tok_id(const clo_tok *t, clo_str name)
{
    int32_t id = clo_tok_find(t, name.ptr ? name.ptr : "", name.len);
    return clo_tok_has(t, id) ? id : -1;
}

clo_str clo_tok_name(const clo_tok *t, int32_t id)
{
    return clo_tok_has(t, id) ? clo_tok_text_of(t, t->names[id]) : (clo_str){"", 0};
}

clo_str clo_tok_piece(const clo_tok *t, int32_t id, bool with_special)
{
    if (!clo_tok_has(t, id) || (!with_special && (t->flags[id] & TOK_SPECIAL))) return (clo_str){"", 0};
    return clo_tok_text_of(t, t->pieces[id]);
}

size_t clo_tok_n_vocab(const clo_tok *t)
{
    return t->head->n_vocab;
}

bool clo_tok_is_special(const clo_tok *t, int32_t id)
{
    return clo_tok_has(t, id) && (t->flags[id] & TOK_SPECIAL);
}

int32_t clo_tok_bos(const clo_tok *t)
{
    return clo_tok_has(t, t->head->bos) ? t->head->bos : -1;
}

int32_t clo_tok_eos(const clo_tok *t)
{
    return clo_tok_has(t, t->head->eos) ? t->head->eos : -1;
}

size_t clo_tok_stop_ids(const clo_tok *t, int32_t *out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n_stop && n < max; i++) {
        if (clo_tok_has(t, t->stop[i])) out[n++] = t->stop[i];
    }
    return n;
}

static clo_str find_pair(const clo_tok *t, const tok_ref *pairs, size_t n, clo_str name)
{
    for (size_t i = 0; i + 1 < n; i += 2) {
        if (clo_str_eq(clo_tok_text_of(t, pairs[i]), name)) return clo_tok_text_of(t, pairs[i + 1]);
    }
    return (clo_str){"", 0};
}

clo_str clo_tok_template(const clo_tok *t, bool tools)
{
    clo_str s = tools ? find_pair(t, t->templates, t->n_templates, CLO_STR("tool_use")) : (clo_str){"", 0};
    return s.len ? s : find_pair(t, t->templates, t->n_templates, CLO_STR("default"));
}

clo_str clo_tok_special(const clo_tok *t, const char *name)
{
    return find_pair(t, t->named, t->n_named, clo_str_from(name));
}

/* --- encoding ------------------------------------------------------------------------------------------------------*/

static bool encode_model(tok_enc *e, clo_str w)
{
    switch (e->t->head->model) {
    case TOK_MODEL_BPE_BYTES:
    case TOK_MODEL_BPE_CHARS:
        return clo_tok_word_bpe(e, w);
    case TOK_MODEL_UNIGRAM:
        return clo_tok_word_unigram(e, w);
    case TOK_MODEL_WORDPIECE:
        return clo_tok_word_wordpiece(e, w);
    default:
        return clo_fail(e->err, CLO_ERR_FORMAT, "compiled tokenizer: unknown model %u", e->t->head->model);
    }
}

/* Where the next word begins behind at: before a U+2581 that no merge joins to the character before it. */
static size_t next_mark(const clo_tok *t, clo_str w, size_t at)
{
    for (at++; at < w.len; at++) {
        const char *m = (const char *)memchr(w.ptr + at, '\xE2', w.len - at);
        if (!m) break;
        at = (size_t)(m - w.ptr);
        if (w.len - at >= 3 && m[1] == '\x96' && m[2] == '\x81' && !t->no_cut[(uint8_t)m[-1]]) return at;
    }
    return w.len;
}

static bool encode_word(tok_enc *e, clo_str w);

bool clo_tok_word(tok_enc *e, clo_str w)
{
    if (!e->t->no_cut) return encode_word(e, w);
    for (size_t at = 0; at < w.len;) {
        size_t end = next_mark(e->t, w, at);
        if (!encode_word(e, (clo_str){w.ptr + at, end - at})) return false;
        at = end;
    }
    return true;
}

/* One word, from the cache when it came before. */
static bool encode_word(tok_enc *e, clo_str w)
{
    if (!e->cache || w.len > sizeof e->cache->bytes) return encode_model(e, w);
    tok_cached *c = &e->cache[clo_tok_hash(w.ptr, w.len) & e->cache_mask];
    if (c->n_bytes == w.len && memcmp(c->bytes, w.ptr, w.len) == 0) {
        if (e->out->cap - e->out->n < c->n_ids &&
            !clo_tok_grow((void **)&e->out->ids, &e->out->cap, e->out->n + c->n_ids, sizeof *e->out->ids, e->err))
            return false;
        for (size_t i = 0; i < c->n_ids; i++)
            e->out->ids[e->out->n + i] = c->ids[i];
        e->out->n += c->n_ids;
        return true;
    }
    size_t before = e->out->n;
    if (!encode_model(e, w)) return false;
    size_t n = e->out->n - before;
    if (n > sizeof c->ids / sizeof *c->ids) return true;
    c->n_bytes = (uint8_t)w.len;
    c->n_ids = (uint8_t)n;
    memcpy(c->bytes, w.ptr, w.len);
    if (n > 0) memcpy(c->ids, e->out->ids + before, n * sizeof *c->ids);
    return true;
}

static bool words(tok_enc *e, clo_str piece, bool at_start)
{
    return clo_tok_pre(e, 0, piece, at_start);
}

static bool after_raw(tok_enc *e, clo_str piece, bool at_start)
{
    clo_str norm = piece;
    if (e->t->n_steps[TOK_STAGE_NORM] > 0 && !clo_tok_normalize(e->t, e->norm, piece, &norm, e->err)) return false;
    return clo_tok_cut_added(e, 1, norm, at_start, words);
}

static bool is_ascii(clo_str s)
{
    size_t i = 0;
    for (; i + 8 <= s.len; i += 8) {
        uint64_t w;
        memcpy(&w, s.ptr + i, 8);
        if (w & 0x8080808080808080u) return false;
    }
    for (; i < s.len; i++) {
        if ((uint8_t)s.ptr[i] >= 0x80) return false;
    }
    return true;
}

/* text with every invalid sequence replaced by U+FFFD: itself when it is valid, else a copy in *made. */
static bool make_valid(clo_str *text, clo_buf *made, clo_err *err)
{
    if (is_ascii(*text) || clo_utf8_valid(*text)) return true;
    made->max = (size_t)4 << 30;
    size_t n;
    for (size_t i = 0; i < text->len; i += n) {
        uint32_t cp = clo_utf8_decode(*text, i, &n);
        if (cp == CLO_UTF8_BAD)
            clo_buf_add(made, CLO_STR("\xEF\xBF\xBD"));
        else
            clo_buf_add(made, (clo_str){text->ptr + i, n});
    }
    *text = clo_buf_str(made);
    return clo_buf_ok(made, err);
}

/* A cache that fits the text: about one line for each eight bytes, 64 to 16,384 lines. */
static void open_cache(tok_enc *e, size_t text_bytes)
{
    size_t n = 64;
    while (n < 16384 && n < text_bytes / 8)
        n *= 2;
    if (text_bytes < 64) return;
    e->cache = (tok_cached *)calloc(n, sizeof *e->cache); /* without it encoding is slower, not different */
    e->cache_mask = n - 1;
}

static void close_enc(tok_enc *e)
{
    free(e->cache);
    free(e->syms);
    free(e->heap);
    free(e->lattice);
    for (size_t i = 0; i < TOK_STEPS_MAX; i++)
        clo_buf_free(&e->scratch[i]);
    clo_buf_free(&e->norm[0]);
    clo_buf_free(&e->norm[1]);
    clo_buf_free(&e->word);
}

static bool push_all(clo_ids *out, const clo_tok *t, const int32_t *ids, size_t n, clo_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (clo_tok_has(t, ids[i]) && !clo_ids_push(out, ids[i], err)) return false;
    }
    return true;
}

bool clo_tok_encode(const clo_tok *t, clo_ids *out, clo_str text, clo_tok_opts opts, clo_err *err)
{
    if (text.len > TOK_TEXT_BYTES_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "text of %zu bytes, limit %u", text.len, TOK_TEXT_BYTES_MAX);
    tok_enc e = {.t = t, .out = out, .err = err, .opts = opts};
    clo_buf valid = {0};
    bool ok = make_valid(&text, &valid, err);
    if (ok && opts.add_special) ok = push_all(out, t, t->prefix, t->n_prefix, err);
    if (ok && text.len > 0) {
        open_cache(&e, text.len);
        ok = clo_tok_cut_added(&e, 0, text, true, after_raw);
    }
    if (ok && opts.add_special) ok = push_all(out, t, t->suffix, t->n_suffix, err);
    close_enc(&e);
    clo_buf_free(&valid);
    return ok;
}
