/* The tokens of a vocabulary as a tree of bytes, so that a grammar looks at every beginning that tokens share only once.
 *
 * There are two trees: of plain tokens, which are whole characters that a JSON string holds unescaped, and of all others.
 * Inside a string the plain ones are known at once, by their number of characters.
 *
 * Made once for a tokenizer and shared by all matchers; immutable, any thread. */
#ifndef CLO_INFER_VOCAB_TRIE_H
#define CLO_INFER_VOCAB_TRIE_H

#include "base/err.h"
#include "base/slice.h"
#include "model/tokenizer.h"

#define CLO_TRIE_TOKEN_BYTES_MAX 512 /* longer tokens are left out: no grammar ever allows them */

/* A node and, behind it, its subtree, in the order of bytes. */
typedef struct {
    uint32_t end;   /* index of the first node behind the subtree */
    int32_t id;     /* a token that ends here, or -1 */
    uint16_t depth; /* bytes from the root, from 1 */
    uint8_t byte;
} clo_trie_node;

typedef struct {
    clo_trie_node *nodes; /* [n] owned */
    size_t n;
} clo_trie_tree;

typedef struct {
    const clo_tok *tok; /* borrowed */
    size_t n_vocab;     /* ids that may be chosen */
    size_t n_words;     /* of a bitset of ids, 32 each */
    clo_trie_tree plain, other;
    int32_t *same;        /* [n_vocab] owned: another token of the same bytes, or -1 */
    uint32_t *plain_bits; /* [n_words] owned: the plain tokens */
    int32_t *by_chars;    /* [n_plain] owned: plain tokens, those of most characters first */
    uint16_t *n_chars;    /* [n_plain] owned: their characters */
    size_t n_plain;
    uint8_t bytes[32]; /* 256 bits: bytes that are tokens by themselves */
} clo_vocab_trie;

/* tok is borrowed and outlives the trie; n_vocab as clo_gen_vocab gives it: ids from there on are never chosen. Special
 * tokens are left out. */
CLO_CHECK bool clo_vocab_trie_open(clo_vocab_trie **out, const clo_tok *tok, size_t n_vocab, clo_err *err);
void clo_vocab_trie_close(clo_vocab_trie *t);

#endif
