/* From the building table to the blob; see tok_build.h and the layout in tok_impl.h. */
#include "model/tok_build.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/utf8.h"
#include "model/tok_unicode.h"

void clo_tokb_init(tok_build *b)
{
    *b = (tok_build){.bos = -1, .eos = -1, .unk = -1, .max_chars = 100, .n_ids_max = TOK_VOCAB_MAX};
    b->arena = clo_arena_make((size_t)4 << 30);
}

void clo_tokb_free(tok_build *b)
{
    clo_arena_free(&b->arena);
    free(b->names);
    free(b->id_flags);
    free(b->scores);
    free(b->hash);
    free(b->extra);
    free(b->merges);
    free(b->added[0]);
    free(b->added[1]);
    *b = (tok_build){0};
}

bool clo_tok_grow(void **ptr, size_t *cap, size_t need, size_t size, clo_err *err)
{
    if (need <= *cap) return true;
    size_t to = *cap ? *cap : 64, bytes;
    while (to < need) {
        if (!clo_mul(to, 2, &to)) return clo_fail(err, CLO_ERR_MEMORY, "%zu items", need);
    }
    void *p = clo_mul(to, size, &bytes) ? realloc(*ptr, bytes) : NULL;
    if (!p) return clo_fail(err, CLO_ERR_MEMORY, "%zu items of %zu bytes", to, size);
    *ptr = p;
    *cap = to;
    return true;
}

bool clo_tokb_token(tok_build *b, int64_t id, clo_str name, uint8_t flags, double score, clo_err *err)
{
    if (id < 0 || id >= (int64_t)b->n_ids_max)
        return clo_fail(err, CLO_ERR_LIMIT, "token id %lld, limit %zu", (long long)id, b->n_ids_max);
    if (name.len > TOK_NAME_BYTES_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "token %lld of %zu bytes, limit %u", (long long)id, name.len,
                        TOK_NAME_BYTES_MAX);
    size_t need = (size_t)id + 1, i = (size_t)id;
    if (!clo_tok_grow((void **)&b->names, &b->names_cap, need, sizeof *b->names, err) ||
        !clo_tok_grow((void **)&b->id_flags, &b->flags_cap, need, 1, err) ||
        !clo_tok_grow((void **)&b->scores, &b->scores_cap, need, sizeof *b->scores, err))
        return false;
    for (; b->n_vocab < need; b->n_vocab++) {
        b->names[b->n_vocab] = (clo_str){"", 0};
        b->id_flags[b->n_vocab] = 0;
        b->scores[b->n_vocab] = 0;
    }
    if ((b->id_flags[i] & TOK_PRESENT) && !clo_str_eq(b->names[i], name))
        return clo_fail(err, CLO_ERR_FORMAT, "token id %zu is given twice", i);
    b->names[i] = name;
    b->id_flags[i] = (uint8_t)(b->id_flags[i] | flags | TOK_PRESENT);
    if (flags & TOK_IN_MODEL) b->scores[i] = score;
    return true;
}

static size_t table_size(size_t n)
{
    size_t cap = 16;
    while (cap < 2 * n)
        cap *= 2;
    return cap;
}

static size_t hash_slot(const tok_build *b, clo_str name)
{
    size_t at = clo_tok_hash(name.ptr, name.len) & b->hash_mask;
    while (b->hash[at] && !clo_str_eq(b->names[b->hash[at] - 1], name))
        at = (at + 1) & b->hash_mask;
    return at;
}

bool clo_tokb_index(tok_build *b, clo_err *err)
{
    free(b->hash);
    size_t cap = table_size(b->n_vocab);
    b->hash = (uint32_t *)calloc(cap, sizeof *b->hash);
    if (!b->hash) return clo_fail(err, CLO_ERR_MEMORY, "index of %zu tokens", b->n_vocab);
    b->hash_mask = cap - 1;
    for (size_t i = 0; i < b->n_vocab; i++) {
        if (!(b->id_flags[i] & TOK_PRESENT)) continue;
        size_t at = hash_slot(b, b->names[i]);
        if (b->hash[at] && !(b->id_flags[i] & TOK_IN_MODEL)) continue;
        b->hash[at] = (uint32_t)i + 1;
    }
    return true;
}

int32_t clo_tokb_find(const tok_build *b, clo_str name)
{
    if (!b->hash) return -1;
    return (int32_t)b->hash[hash_slot(b, name)] - 1;
}

static bool push_merge(tok_build *b, tok_merge m, clo_err *err)
{
    if (b->n_merges >= TOK_MERGES_MAX) return clo_fail(err, CLO_ERR_LIMIT, "more than %u merges", TOK_MERGES_MAX);
    if (!clo_tok_grow((void **)&b->merges, &b->merges_cap, b->n_merges + 1, sizeof m, err)) return false;
    b->merges[b->n_merges++] = m;
    return true;
}

bool clo_tokb_merge(tok_build *b, clo_str left, clo_str right, uint32_t rank, bool *known, clo_err *err)
{
    *known = false;
    int32_t l = clo_tokb_find(b, left), r = clo_tokb_find(b, right);
    if (l < 0 || r < 0) return true;
    if (b->prefix.len > 0 && clo_str_starts_with(right, b->prefix)) right = clo_str_from_off(right, b->prefix.len);
    char stack[512], *joined = stack;
    size_t n = left.len + right.len;
    if (n > sizeof stack && !(joined = (char *)malloc(n)))
        return clo_fail(err, CLO_ERR_MEMORY, "merge of %zu bytes", n);
    memcpy(joined, left.ptr, left.len);
    memcpy(joined + left.len, right.ptr, right.len);
    int32_t result = clo_tokb_find(b, (clo_str){joined, n});
    if (joined != stack) free(joined);
    if (result < 0) return true;
    *known = true;
    return push_merge(b, (tok_merge){(uint32_t)l, (uint32_t)r, rank, (uint32_t)result}, err);
}

/* --- merges by score -----------------------------------------------------------------------------------------------*/

typedef struct {
    double score;
    uint32_t id;
} scored;

static int by_score(const void *a, const void *b)
{
    const scored *x = (const scored *)a, *y = (const scored *)b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static bool mergeable(const tok_build *b, size_t id)
{
    uint8_t f = b->id_flags[id];
    return (f & TOK_IN_MODEL) && !(f & (TOK_SPECIAL | TOK_BYTE)) && b->names[id].len > 0;
}

/* Symbol of a part of a piece: its id, a number for a lone character, or TOK_NONE. */
static bool part_symbol(tok_build *b, clo_str part, uint32_t *sym, clo_err *err)
{
    int32_t id = clo_tokb_find(b, part);
    *sym = TOK_NONE;
    if (id >= 0 && mergeable(b, (size_t)id)) {
        *sym = (uint32_t)id;
        return true;
    }
    if (part.len != clo_tok_cp_len(part.ptr[0])) return true;
    for (size_t i = 0; i < b->n_extra; i++) {
        if (clo_str_eq(b->extra[i], part)) {
            *sym = (uint32_t)(b->n_vocab + i);
            return true;
        }
    }
    if (b->n_extra >= 4096) return clo_fail(err, CLO_ERR_LIMIT, "more than 4096 characters that are no token");
    if (!clo_tok_grow((void **)&b->extra, &b->extra_cap, b->n_extra + 1, sizeof *b->extra, err)) return false;
    b->extra[b->n_extra] = part;
    *sym = (uint32_t)(b->n_vocab + b->n_extra++);
    return true;
}

static bool merges_of_piece(tok_build *b, uint32_t id, uint32_t rank, clo_err *err)
{
    clo_str s = b->names[id];
    for (size_t at = clo_tok_cp_len(s.ptr[0]); at < s.len; at += clo_tok_cp_len(s.ptr[at])) {
        uint32_t l, r;
        if (!part_symbol(b, (clo_str){s.ptr, at}, &l, err)) return false;
        if (l == TOK_NONE) continue;
        if (!part_symbol(b, clo_str_from_off(s, at), &r, err)) return false;
        if (r != TOK_NONE && !push_merge(b, (tok_merge){l, r, rank, id}, err)) return false;
    }
    return true;
}

bool clo_tokb_merges_by_score(tok_build *b, clo_err *err)
{
    scored *order = (scored *)malloc((b->n_vocab + 1) * sizeof *order);
    if (!order) return clo_fail(err, CLO_ERR_MEMORY, "order of %zu tokens", b->n_vocab);
    size_t n = 0;
    for (size_t i = 0; i < b->n_vocab; i++) {
        if (!mergeable(b, i) || clo_tokb_find(b, b->names[i]) != (int32_t)i || !clo_utf8_valid(b->names[i])) continue;
        order[n++] = (scored){b->scores[i], (uint32_t)i};
    }
    qsort(order, n, sizeof *order, by_score);
    bool ok = true;
    uint32_t rank = 0;
    for (size_t i = 0; i < n && ok; i++) {
        if (i > 0 && order[i].score != order[i - 1].score) rank++;
        ok = merges_of_piece(b, order[i].id, rank, err);
    }
    free(order);
    return ok;
}

/* --- small lists ---------------------------------------------------------------------------------------------------*/

bool clo_tokb_added(tok_build *b, int set, clo_str text, int32_t id, clo_err *err)
{
    if (text.len == 0) return true;
    if (text.len > TOK_ADDED_BYTES_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "added token of %zu bytes, limit %u", text.len, TOK_ADDED_BYTES_MAX);
    if (b->n_added[set] >= TOK_ADDED_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "more than %u added tokens", TOK_ADDED_MAX);
    if (!clo_tok_grow((void **)&b->added[set], &b->added_cap[set], b->n_added[set] + 1, sizeof **b->added, err))
        return false;
    b->added[set][b->n_added[set]++] = (tok_entry){text, id};
    return true;
}

bool clo_tokb_step(tok_build *b, int stage, tok_step_def step, clo_err *err)
{
    if (b->n_steps[stage] >= TOK_STEPS_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "more than %d steps in one stage", TOK_STEPS_MAX);
    b->steps[stage][b->n_steps[stage]++] = step;
    return true;
}

bool clo_tokb_named(tok_build *b, clo_str name, clo_str content, clo_err *err)
{
    if (b->n_named >= sizeof b->named / sizeof *b->named)
        return clo_fail(err, CLO_ERR_LIMIT, "more than %zu named tokens", sizeof b->named / sizeof *b->named);
    b->named[b->n_named][0] = name;
    b->named[b->n_named++][1] = content;
    return true;
}

bool clo_tokb_template(tok_build *b, clo_str name, clo_str text, clo_err *err)
{
    if (b->n_templates >= sizeof b->templates / sizeof *b->templates)
        return clo_fail(err, CLO_ERR_LIMIT, "more than %zu chat templates", sizeof b->templates / sizeof *b->templates);
    b->templates[b->n_templates][0] = name;
    b->templates[b->n_templates++][1] = text;
    return true;
}

void clo_tokb_stop(tok_build *b, int32_t id)
{
    if (id < 0 || (size_t)id >= b->n_vocab || b->n_stop >= sizeof b->stop / sizeof *b->stop) return;
    for (size_t i = 0; i < b->n_stop; i++) {
        if (b->stop[i] == id) return;
    }
    b->stop[b->n_stop++] = id;
}

void clo_tokb_stop_known(tok_build *b)
{
    static const char *const known[] = {
        "<|im_end|>",    "<|eot_id|>",      "<|eom_id|>", "<end_of_turn>", "<|end|>",    "<|end_of_text|>",
        "<|endoftext|>", "<|end_of_turn|>", "<|eot|>",    "<EOT>",         "<|return|>", "<|call|>",
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        int32_t id = clo_tokb_find(b, clo_str_from(known[i]));
        if (id >= 0 && (b->id_flags[id] & (TOK_ADDED | TOK_SPECIAL))) clo_tokb_stop(b, id);
    }
}

/* --- tries ---------------------------------------------------------------------------------------------------------*/

static int by_text(const void *a, const void *b)
{
    return clo_str_cmp(((const tok_entry *)a)->text, ((const tok_entry *)b)->text);
}

typedef struct {
    size_t lo, hi, depth; /* entries [lo, hi) share their first depth bytes */
} trie_range;

/* entries, which are sorted here, as nodes in breadth-first order: *nodes is malloc'ed. No entries give no nodes. */
static bool make_trie(tok_entry *entries, size_t n, tok_node **nodes, size_t *n_nodes, clo_err *err)
{
    *nodes = NULL;
    *n_nodes = 0;
    if (n == 0) return true;
    qsort(entries, n, sizeof *entries, by_text);
    size_t max = 1;
    for (size_t i = 0; i < n; i++)
        max += entries[i].text.len;
    trie_range *range = max > UINT32_MAX / 2 ? NULL : (trie_range *)malloc(max * sizeof *range);
    tok_node *node = range ? (tok_node *)calloc(max, sizeof *node) : NULL;
    if (!node) {
        free(range);
        return clo_fail(err, CLO_ERR_MEMORY, "trie of %zu nodes", max);
    }
    size_t used = 1;
    range[0] = (trie_range){0, n, 0};
    node[0].value = -1;
    for (size_t i = 0; i < used; i++) {
        trie_range r = range[i];
        while (r.lo < r.hi && entries[r.lo].text.len == r.depth)
            node[i].value = entries[r.lo++].value;
        node[i].first = (uint32_t)used;
        while (r.lo < r.hi) {
            uint8_t label = (uint8_t)entries[r.lo].text.ptr[r.depth];
            size_t end = r.lo;
            while (end < r.hi && (uint8_t)entries[end].text.ptr[r.depth] == label)
                end++;
            node[used].label = label;
            node[used].value = -1;
            range[used++] = (trie_range){r.lo, end, r.depth + 1};
            node[i].n++;
            r.lo = end;
        }
    }
    free(range);
    *nodes = node;
    *n_nodes = used;
    return true;
}

/* --- the blob ------------------------------------------------------------------------------------------------------*/

typedef struct {
    tok_build *b;
    tok_head head;
    clo_buf text; /* SEC_TEXT */
    const void *data[TOK_N_SECTIONS];
    size_t bytes[TOK_N_SECTIONS];
} blob;

static tok_ref put_text(blob *o, clo_str s)
{
    tok_ref r = {(uint32_t)o->text.len, (uint32_t)s.len};
    if (s.len > 0) clo_buf_add(&o->text, s);
    return r;
}

static void section(blob *o, tok_section s, const void *data, size_t n, size_t size)
{
    o->data[s] = data;
    o->bytes[s] = n * size;
}

/* "<0x0A>": the byte, or -1. */
static int byte_token(clo_str s)
{
    if (s.len != 6 || memcmp(s.ptr, "<0x", 3) != 0 || s.ptr[5] != '>') return -1;
    int v = 0;
    for (size_t i = 3; i < 5; i++) {
        char c = s.ptr[i];
        int d = c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (d < 0) return -1;
        v = v * 16 + d;
    }
    return v;
}

/* Writes the bytes of a byte-level token; false when some character is outside the alphabet. */
static bool byte_level_piece(clo_buf *out, clo_str s)
{
    if (!clo_utf8_valid(s)) return false;
    size_t n;
    for (size_t i = 0; i < s.len; i += n) {
        if (clo_tok_cp_to_byte(clo_tok_cp(s.ptr + i, &n)) < 0) return false;
    }
    for (size_t i = 0; i < s.len; i += n)
        clo_buf_add_char(out, (char)clo_tok_cp_to_byte(clo_tok_cp(s.ptr + i, &n)));
    return true;
}

static void add_replaced(clo_buf *out, clo_str s, clo_str from, clo_str to)
{
    for (size_t i = 0; i < s.len;) {
        if (from.len > 0 && clo_str_starts_with(clo_str_from_off(s, i), from)) {
            clo_buf_add(out, to);
            i += from.len;
        } else {
            clo_buf_add_char(out, s.ptr[i++]);
        }
    }
}

static bool has_step(const tok_build *b, uint32_t kind)
{
    for (size_t i = 0; i < b->n_steps[TOK_STAGE_DEC]; i++) {
        if (b->steps[TOK_STAGE_DEC][i].kind == kind) return true;
    }
    return false;
}

/* What id stands for inside other text, by the decoder's steps; appended to out. */
static void add_piece(const tok_build *b, size_t id, clo_buf *out)
{
    clo_str name = b->names[id];
    if (!(b->id_flags[id] & TOK_PRESENT)) return;
    int byte = byte_token(name);
    if (byte >= 0 && has_step(b, TOK_DEC_BYTE_FALLBACK)) {
        clo_buf_add_char(out, (char)byte);
        return;
    }
    for (size_t i = 0; i < b->n_steps[TOK_STAGE_DEC]; i++) {
        const tok_step_def *s = &b->steps[TOK_STAGE_DEC][i];
        switch (s->kind) {
        case TOK_DEC_BYTE_LEVEL:
            if (!byte_level_piece(out, name)) clo_buf_add(out, name);
            return;
        case TOK_DEC_REPLACE:
            add_replaced(out, name, s->s1, s->s2);
            return;
        case TOK_DEC_METASPACE:
            add_replaced(out, name, s->s1, CLO_STR(" "));
            return;
        case TOK_DEC_WORDPIECE:
            if (s->s1.len > 0 && clo_str_starts_with(name, s->s1)) {
                clo_buf_add(out, clo_str_from_off(name, s->s1.len));
            } else {
                clo_buf_add_char(out, ' ');
                clo_buf_add(out, name);
            }
            return;
        default:
            break;
        }
    }
    clo_buf_add(out, name);
}

/* The name table with the extra characters behind the tokens. */
static bool put_names(blob *o, clo_err *err)
{
    tok_build *b = o->b;
    size_t n = b->n_vocab + b->n_extra, cap = table_size(n);
    tok_ref *names = CLO_NEW(&b->arena, tok_ref, n + 1);
    uint8_t *flags = CLO_NEW(&b->arena, uint8_t, n + 1);
    uint32_t *hash = CLO_NEW(&b->arena, uint32_t, cap);
    if (!names || !flags || !hash) return clo_arena_full(&b->arena, err);
    for (size_t i = 0; i < b->n_vocab; i++) { /* a special token is never made from text by the model */
        flags[i] = b->id_flags[i];
        if (flags[i] & TOK_SPECIAL) flags[i] &= (uint8_t)~TOK_IN_MODEL;
    }
    for (size_t i = 0; i < n; i++) {
        clo_str name = i < b->n_vocab ? b->names[i] : b->extra[i - b->n_vocab];
        names[i] = put_text(o, name);
        if (i < b->n_vocab && (!(flags[i] & TOK_PRESENT) || clo_tokb_find(b, name) != (int32_t)i)) continue;
        size_t at = clo_tok_hash(name.ptr, name.len) & (cap - 1);
        while (hash[at])
            at = (at + 1) & (cap - 1);
        hash[at] = (uint32_t)i + 1;
    }
    section(o, SEC_NAMES, names, n, sizeof *names);
    section(o, SEC_FLAGS, flags, n, 1);
    section(o, SEC_NAME_HASH, hash, cap, sizeof *hash);
    return true;
}

static bool put_vocab(blob *o, clo_err *err)
{
    tok_build *b = o->b;
    if (!put_names(o, err)) return false;
    const tok_ref *names = (const tok_ref *)o->data[SEC_NAMES];
    tok_ref *pieces = CLO_NEW(&b->arena, tok_ref, b->n_vocab + 1);
    if (!pieces) return clo_arena_full(&b->arena, err);
    for (size_t i = 0; i < b->n_vocab; i++) {
        size_t at = o->text.len;
        add_piece(b, i, &o->text);
        if (o->text.failed) return clo_buf_ok(&o->text, err);
        clo_str made = clo_str_from_off(clo_buf_str(&o->text), at);
        if (made.len == 0 || clo_str_eq(made, b->names[i])) { /* nothing new: take it back */
            pieces[i] = made.len == 0 ? (tok_ref){0, 0} : names[i];
            o->text.len = at;
        } else {
            pieces[i] = (tok_ref){(uint32_t)at, (uint32_t)made.len};
        }
    }
    section(o, SEC_PIECES, pieces, b->n_vocab, sizeof *pieces);
    if (b->model == TOK_MODEL_UNIGRAM) section(o, SEC_SCORES, b->scores, b->n_vocab, sizeof *b->scores);
    return true;
}

/* The symbol of each byte: a character of the byte-level alphabet, or a byte token. */
static bool put_bytes(blob *o, clo_err *err)
{
    tok_build *b = o->b;
    int32_t *sym = CLO_NEW(&b->arena, int32_t, 256);
    if (!sym) return clo_arena_full(&b->arena, err);
    for (int i = 0; i < 256; i++) {
        if (b->model == TOK_MODEL_BPE_BYTES) {
            char c[4];
            size_t n = clo_utf8_encode(c, clo_tok_byte_to_cp((uint8_t)i));
            sym[i] = clo_tokb_find(b, (clo_str){c, n});
        } else {
            static const char hex[] = "0123456789ABCDEF";
            char name[6] = {'<', '0', 'x', hex[i >> 4], hex[i & 15], '>'};
            sym[i] = clo_tokb_find(b, (clo_str){name, 6});
        }
    }
    section(o, SEC_BYTES, sym, 256, sizeof *sym);
    return true;
}

static bool put_merges(blob *o, clo_err *err)
{
    tok_build *b = o->b;
    if (b->n_merges == 0) return true;
    size_t cap = table_size(b->n_merges);
    tok_merge *table = CLO_NEW(&b->arena, tok_merge, cap);
    if (!table) return clo_arena_full(&b->arena, err);
    for (size_t i = 0; i < cap; i++)
        table[i] = (tok_merge){TOK_NONE, TOK_NONE, TOK_NONE, 0};
    for (size_t i = 0; i < b->n_merges; i++) {
        tok_merge m = b->merges[i];
        if (m.result < b->n_vocab && (b->id_flags[m.result] & TOK_SPECIAL)) continue; /* never made from text */
        size_t at = clo_tok_pair_hash(m.left, m.right) & (cap - 1);
        while (table[at].rank != TOK_NONE && (table[at].left != m.left || table[at].right != m.right))
            at = (at + 1) & (cap - 1);
        table[at] = m; /* the last of equal pairs holds, as in the library */
    }
    section(o, SEC_MERGES, table, cap, sizeof *table);
    return true;
}

#define SPACE_MARK CLO_STR("\xE2\x96\x81") /* U+2581 */

/* A merge joins U+2581 to a character before it only when its result holds the two side by side. Where the character
 * before a U+2581 occurs so in no result, what stands on the two sides can be encoded apart, and a text without
 * pre-tokeniser (Gemma) falls into words after all. The table is by the last byte of that character. */
static bool put_cut(blob *o, clo_err *err)
{
    tok_build *b = o->b;
    if (b->model != TOK_MODEL_BPE_CHARS || (b->flags & TOK_IGNORE_MERGES) || b->prefix.len || b->suffix.len)
        return true;
    if (clo_tokb_find(b, SPACE_MARK) < 0) return true; /* an unknown mark could fuse with what stands before it */
    uint8_t *joins = CLO_NEW(&b->arena, uint8_t, 256);
    if (!joins) return clo_arena_full(&b->arena, err);
    for (size_t i = 0; i < b->n_merges; i++) {
        clo_str s = b->names[b->merges[i].result];
        for (size_t k = 1; k + SPACE_MARK.len <= s.len; k++) {
            if (memcmp(s.ptr + k, SPACE_MARK.ptr, SPACE_MARK.len) == 0) joins[(uint8_t)s.ptr[k - 1]] = 1;
        }
    }
    joins[(uint8_t)SPACE_MARK.ptr[SPACE_MARK.len - 1]] = 1; /* runs of marks stay together */
    section(o, SEC_CUT, joins, 256, 1);
    return true;
}

static bool put_tries(blob *o, tok_node *owned[3], clo_err *err)
{
    tok_build *b = o->b;
    size_t n;
    for (int set = 0; set < 2; set++) {
        if (!make_trie(b->added[set], b->n_added[set], &owned[set], &n, err)) return false;
        section(o, set == 0 ? SEC_ADDED_RAW : SEC_ADDED_NORM, owned[set], n, sizeof(tok_node));
    }
    if (b->model != TOK_MODEL_UNIGRAM) return true;
    tok_entry *e = CLO_NEW(&b->arena, tok_entry, b->n_vocab + 1);
    if (!e) return clo_arena_full(&b->arena, err);
    size_t n_entries = 0;
    for (size_t i = 0; i < b->n_vocab; i++) {
        if ((b->id_flags[i] & (TOK_IN_MODEL | TOK_SPECIAL)) == TOK_IN_MODEL && b->names[i].len > 0 &&
            clo_tokb_find(b, b->names[i]) == (int32_t)i)
            e[n_entries++] = (tok_entry){b->names[i], (int32_t)i};
    }
    if (!make_trie(e, n_entries, &owned[2], &n, err)) return false;
    section(o, SEC_TRIE, owned[2], n, sizeof(tok_node));
    return true;
}

static bool put_lists(blob *o, clo_err *err)
{
    tok_build *b = o->b;
    for (int stage = 0; stage < 3; stage++) {
        tok_step *s = CLO_NEW(&b->arena, tok_step, b->n_steps[stage] + 1);
        if (!s) return clo_arena_full(&b->arena, err);
        for (size_t i = 0; i < b->n_steps[stage]; i++) {
            const tok_step_def *d = &b->steps[stage][i];
            s[i] =
                (tok_step){.kind = d->kind, .a = d->a, .b = d->b, .s1 = put_text(o, d->s1), .s2 = put_text(o, d->s2)};
        }
        section(o, (tok_section)(SEC_NORM + stage), s, b->n_steps[stage], sizeof *s);
    }
    section(o, SEC_PREFIX, b->prefix_ids, b->n_prefix, sizeof(int32_t));
    section(o, SEC_SUFFIX, b->suffix_ids, b->n_suffix, sizeof(int32_t));
    section(o, SEC_STOP, b->stop, b->n_stop, sizeof(int32_t));
    tok_ref *named = CLO_NEW(&b->arena, tok_ref, 2 * b->n_named + 1);
    tok_ref *templates = CLO_NEW(&b->arena, tok_ref, 2 * b->n_templates + 1);
    if (!named || !templates) return clo_arena_full(&b->arena, err);
    for (size_t i = 0; i < 2 * b->n_named; i++)
        named[i] = put_text(o, b->named[i / 2][i % 2]);
    for (size_t i = 0; i < 2 * b->n_templates; i++)
        templates[i] = put_text(o, b->templates[i / 2][i % 2]);
    section(o, SEC_NAMED, named, 2 * b->n_named, sizeof *named);
    section(o, SEC_TEMPLATES, templates, 2 * b->n_templates, sizeof *templates);
    return true;
}

/* Lays the sections out behind the head and copies them: *out is malloc'ed. */
static bool assemble(blob *o, uint8_t **out, size_t *n_out, clo_err *err)
{
    section(o, SEC_TEXT, o->text.ptr, o->text.len, 1);
    size_t at = clo_round_up(sizeof(tok_head), 16);
    for (int s = 0; s < TOK_N_SECTIONS; s++) {
        o->head.sec[s] = (tok_place){at, o->bytes[s]};
        at += clo_round_up(o->bytes[s], 16);
    }
    o->head.n_bytes = at;
    uint8_t *p = (uint8_t *)calloc(1, at);
    if (!p) return clo_fail(err, CLO_ERR_MEMORY, "compiled tokenizer of %zu bytes", at);
    memcpy(p, &o->head, sizeof o->head);
    for (int s = 0; s < TOK_N_SECTIONS; s++) {
        if (o->bytes[s]) memcpy(p + o->head.sec[s].off, o->data[s], o->bytes[s]);
    }
    *out = p;
    *n_out = at;
    return true;
}

bool clo_tokb_finish(tok_build *b, clo_tok **out, clo_err *err)
{
    blob o = {.b = b, .text = {.max = (size_t)3 << 30}};
    tok_node *tries[3] = {0};
    uint8_t *bytes = NULL;
    size_t n = 0;
    bool ok = false;

    *out = NULL;
    if (b->n_vocab == 0) {
        clo_fail(err, CLO_ERR_FORMAT, "tokenizer without tokens");
        goto done;
    }
    o.head = (tok_head){.version = TOK_VERSION,
                        .byte_order = 0x01020304,
                        .n_vocab = (uint32_t)b->n_vocab,
                        .n_syms = (uint32_t)(b->n_vocab + b->n_extra),
                        .model = b->model,
                        .flags = b->flags,
                        .bos = b->bos,
                        .eos = b->eos,
                        .unk = b->unk,
                        .max_chars = b->max_chars,
                        .min_score = b->min_score};
    memcpy(o.head.magic, "CLOTOK\r\n", 8);
    o.head.prefix = put_text(&o, b->prefix);
    o.head.suffix = put_text(&o, b->suffix);
    if (!put_vocab(&o, err) || !put_bytes(&o, err) || !put_merges(&o, err) || !put_cut(&o, err) ||
        !put_tries(&o, tries, err) || !put_lists(&o, err) || !clo_buf_ok(&o.text, err) ||
        !assemble(&o, &bytes, &n, err))
        goto done;
    ok = clo_tok_open_blob(out, bytes, n, bytes, err);
done:
    clo_buf_free(&o.text);
    for (int i = 0; i < 3; i++)
        free(tries[i]);
    return ok;
}
