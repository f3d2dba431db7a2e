#include "infer/vocab_trie.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

typedef struct {
    clo_str bytes; /* borrowed from the tokenizer */
    int32_t id;
} token;

static int in_order(const void *a, const void *b)
{
    const token *x = (const token *)a, *y = (const token *)b;
    int c = clo_str_cmp(x->bytes, y->bytes);
    return c ? c : (x->id > y->id) - (x->id < y->id);
}

/* Characters of a plain token, or 0. */
static size_t plain_chars(clo_str s)
{
    size_t n = 0;
    for (size_t i = 0, len; i < s.len; i += len, n++) {
        uint32_t cp = clo_utf8_decode(s, i, &len);
        if (cp == CLO_UTF8_BAD || cp < 0x20 || cp == '"' || cp == '\\') return 0;
    }
    return n;
}

static size_t common_prefix(clo_str a, clo_str b)
{
    size_t n = 0;
    while (n < a.len && n < b.len && a.ptr[n] == b.ptr[n])
        n++;
    return n;
}

/* Nodes of the tree of sorted tokens: one for each byte that the token before does not share. */
static size_t count_nodes(const token *tokens, size_t n)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += tokens[i].bytes.len - (i ? common_prefix(tokens[i - 1].bytes, tokens[i].bytes) : 0);
    return total;
}

static void close_nodes(clo_trie_tree *t, const uint32_t *path, size_t from, size_t to)
{
    for (size_t d = to; d > from; d--)
        t->nodes[path[d - 1]].end = (uint32_t)t->n;
}

static bool build_tree(clo_trie_tree *t, int32_t *same, const token *tokens, size_t n, clo_err *err)
{
    uint32_t path[CLO_TRIE_TOKEN_BYTES_MAX]; /* nodes of the token before, by depth */
    size_t n_path = 0, n_nodes = count_nodes(tokens, n);
    t->nodes = (clo_trie_node *)calloc(n_nodes + 1, sizeof *t->nodes);
    if (!t->nodes || n_nodes > UINT32_MAX) return clo_fail(err, CLO_ERR_MEMORY, "a tree of %zu nodes", n_nodes);
    for (size_t i = 0; i < n; i++) {
        clo_str s = tokens[i].bytes;
        size_t shared = i ? common_prefix(tokens[i - 1].bytes, s) : 0;
        close_nodes(t, path, shared, n_path);
        for (n_path = shared; n_path < s.len; n_path++) {
            path[n_path] = (uint32_t)t->n;
            t->nodes[t->n++] =
                (clo_trie_node){.id = -1, .depth = (uint16_t)(n_path + 1), .byte = (uint8_t)s.ptr[n_path]};
        }
        clo_trie_node *last = &t->nodes[path[s.len - 1]];
        same[tokens[i].id] = last->id;
        last->id = tokens[i].id;
    }
    close_nodes(t, path, 0, n_path);
    return true;
}

typedef struct {
    int32_t id;
    uint16_t n_chars;
} plain_token;

static int longest_first(const void *a, const void *b)
{
    const plain_token *x = (const plain_token *)a, *y = (const plain_token *)b;
    if (x->n_chars != y->n_chars) return x->n_chars > y->n_chars ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static bool list_plain(clo_vocab_trie *t, const token *tokens, size_t n, clo_err *err)
{
    plain_token *list = (plain_token *)calloc(n + 1, sizeof *list);
    t->by_chars = (int32_t *)calloc(n + 1, sizeof *t->by_chars);
    t->n_chars = (uint16_t *)calloc(n + 1, sizeof *t->n_chars);
    bool ok = list && t->by_chars && t->n_chars;
    for (size_t i = 0; ok && i < n; i++)
        list[i] = (plain_token){tokens[i].id, (uint16_t)plain_chars(tokens[i].bytes)};
    if (ok && n > 0) qsort(list, n, sizeof *list, longest_first);
    for (size_t i = 0; ok && i < n; i++) {
        t->by_chars[i] = list[i].id;
        t->n_chars[i] = list[i].n_chars;
        t->plain_bits[list[i].id / 32] |= (uint32_t)1 << (list[i].id % 32);
    }
    t->n_plain = n;
    free(list);
    return ok || clo_fail(err, CLO_ERR_MEMORY, "the plain tokens of a vocabulary");
}

/* Plain tokens before, the others behind; returns how many are plain. */
static size_t collect(clo_vocab_trie *t, token *tokens, size_t *n)
{
    size_t n_plain = 0;
    *n = 0;
    for (size_t id = 0; id < t->n_vocab; id++) {
        clo_str s = clo_tok_piece(t->tok, (int32_t)id, false);
        if (s.len == 0 || s.len > CLO_TRIE_TOKEN_BYTES_MAX) continue;
        tokens[(*n)++] = (token){s, (int32_t)id};
        if (s.len == 1) t->bytes[(uint8_t)*s.ptr / 8] |= (uint8_t)(1u << ((uint8_t)*s.ptr % 8));
        if (!plain_chars(s)) continue;
        token swap = tokens[n_plain];
        tokens[n_plain++] = tokens[*n - 1];
        tokens[*n - 1] = swap;
    }
    return n_plain;
}

bool clo_vocab_trie_open(clo_vocab_trie **out, const clo_tok *tok, size_t n_vocab, clo_err *err)
{
    clo_vocab_trie *t = (clo_vocab_trie *)calloc(1, sizeof *t);
    token *tokens = NULL;
    size_t n;
    bool ok = false;
    *out = NULL;
    if (!t) return clo_fail(err, CLO_ERR_MEMORY, "the tree of a vocabulary");
    t->tok = tok;
    t->n_vocab = n_vocab < clo_tok_n_vocab(tok) ? n_vocab : clo_tok_n_vocab(tok);
    t->n_words = (t->n_vocab + 31) / 32;
    tokens = (token *)calloc(t->n_vocab + 1, sizeof *tokens);
    t->same = (int32_t *)calloc(t->n_vocab + 1, sizeof *t->same);
    t->plain_bits = (uint32_t *)calloc(t->n_words + 1, sizeof *t->plain_bits);
    if (!tokens || !t->same || !t->plain_bits) {
        clo_fail(err, CLO_ERR_MEMORY, "the tree of %zu tokens", t->n_vocab);
        goto done;
    }
    size_t n_plain = collect(t, tokens, &n);
    qsort(tokens, n_plain, sizeof *tokens, in_order);
    qsort(tokens + n_plain, n - n_plain, sizeof *tokens, in_order);
    ok = build_tree(&t->plain, t->same, tokens, n_plain, err) &&
         build_tree(&t->other, t->same, tokens + n_plain, n - n_plain, err) && list_plain(t, tokens, n_plain, err);
done:
    free(tokens);
    if (ok)
        *out = t;
    else
        clo_vocab_trie_close(t);
    return ok;
}

void clo_vocab_trie_close(clo_vocab_trie *t)
{
    if (!t) return;
    free(t->plain.nodes);
    free(t->other.nodes);
    free(t->same);
    free(t->plain_bits);
    free(t->by_chars);
    free(t->n_chars);
    free(t);
}
