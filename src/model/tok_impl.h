/* What the files of the tokenizer share: the compiled form, the encoder's state, one function per stage.
 *
 * A tokenizer is one position-independent blob (also what clo_tok_save writes): a head, then sections of plain arrays,
 * each at a multiple of 16 bytes. Opening checks the head and every section's place and length; what lies inside a
 * section (text references, ids, steps) is checked where it is used, so a damaged blob gives wrong answers but never a
 * read outside it. Numbers are in the machine's own order: the blob is a cache and names its byte order.
 *
 *   text bytes -> added tokens cut out (raw) -> normaliser steps -> added tokens cut out (normalised)
 *              -> pre-tokeniser steps -> words -> model -> ids
 */
#ifndef CLO_MODEL_TOK_IMPL_H
#define CLO_MODEL_TOK_IMPL_H

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "base/slice.h"
#include "model/tokenizer.h"

#define TOK_VOCAB_MAX 4000000u         /* ids */
#define TOK_MERGES_MAX 8000000u
#define TOK_NAME_BYTES_MAX (1u << 20)  /* of one stored string */
#define TOK_ADDED_BYTES_MAX 4096u      /* of one added token's content */
#define TOK_ADDED_MAX 1000000u
#define TOK_STEPS_MAX 64               /* of one stage */
#define TOK_TEXT_BYTES_MAX (1u << 30)  /* of one text to encode */
#define TOK_JSON_BYTES_MAX (512u << 20)
#define TOK_VERSION 2u

typedef enum { TOK_MODEL_BPE_BYTES = 1, TOK_MODEL_BPE_CHARS, TOK_MODEL_UNIGRAM, TOK_MODEL_WORDPIECE } tok_model;

/* Flags of an id. */
enum {
    TOK_IN_MODEL = 1,    /* the model may give this id */
    TOK_ADDED = 2,       /* matched in text before the model sees it */
    TOK_SPECIAL = 4,     /* added and special: hidden in decoding, not matched in text from users */
    TOK_SINGLE_WORD = 8,
    TOK_LSTRIP = 16,
    TOK_RSTRIP = 32,
    TOK_BYTE = 64,       /* "<0xHH>" of byte fallback: the piece is that byte */
    TOK_PRESENT = 128,   /* the id has a string at all */
};

/* Flags of a tokenizer. */
enum {
    TOK_IGNORE_MERGES = 1,
    TOK_BYTE_FALLBACK = 2,
    TOK_FUSE_UNK = 4,
    TOK_WORDS_PLAIN = 8, /* WordPiece of GGUF: word starts are stored with U+2581, continuations without prefix */
};

typedef struct {
    uint32_t off, len; /* bytes in SEC_TEXT */
} tok_ref;

typedef struct {
    uint32_t left, right; /* symbols */
    uint32_t rank;        /* lower first; TOK_NONE marks an empty slot */
    uint32_t result;      /* symbol */
} tok_merge;

#define TOK_NONE 0xFFFFFFFFu

/* A byte trie in breadth-first order: the children of a node are n nodes from `first`, by rising label. Node 0 is the
 * root. */
typedef struct {
    uint32_t first;
    int32_t value; /* of the string that ends here, or -1 */
    uint16_t n;
    uint8_t label;
    uint8_t unused;
} tok_node;

/* One step of a stage; what a, b, s1, s2 mean stands beside each kind. */
typedef struct {
    uint32_t kind, a, b, unused;
    tok_ref s1, s2;
} tok_step;

typedef enum {
    TOK_NORM_NFC = 1, TOK_NORM_NFD, TOK_NORM_NFKC, TOK_NORM_NFKD,
    TOK_NORM_LOWER,
    TOK_NORM_STRIP_ACCENTS, /* drops Mn */
    TOK_NORM_STRIP_MARKS,   /* drops M* */
    TOK_NORM_BYTE_LEVEL,    /* every byte becomes its character of the byte-level alphabet */
    TOK_NORM_STRIP,     /* a: left, b: right */
    TOK_NORM_REPLACE,   /* s1 literal -> s2 */
    TOK_NORM_REPLACE_RE,/* s1 pattern -> s2 */
    TOK_NORM_PREPEND,   /* s1, in front of a text that is not empty */
    TOK_NORM_BERT_CLEAN, TOK_NORM_BERT_CJK,
    TOK_NORM_CHARSMAP,  /* s1: the map of SentencePiece; a: by grapheme and shortest match, as the library does */

    TOK_PRE_SCAN = 64,  /* a: tok_scan */
    TOK_PRE_REGEX,      /* s1 pattern; a: tok_behaviour, b: invert */
    TOK_PRE_STRING,     /* s1 literal; a: tok_behaviour, b: invert */
    TOK_PRE_DIGITS,     /* a: each digit by itself */
    TOK_PRE_PREFIX_SPACE,
    TOK_PRE_METASPACE,  /* s1 replacement; a: tok_prepend, b: split */
    TOK_PRE_BERT, TOK_PRE_WHITESPACE, TOK_PRE_WHITESPACE_SPLIT,
    TOK_PRE_PUNCT,      /* a: tok_behaviour */

    TOK_DEC_BYTE_LEVEL = 128,
    TOK_DEC_BYTE_FALLBACK, TOK_DEC_FUSE,
    TOK_DEC_STRIP,      /* s1 content (one character); a: start, b: stop */
    TOK_DEC_REPLACE,    /* s1 literal -> s2 */
    TOK_DEC_METASPACE,  /* s1 replacement; a: drop the first space */
    TOK_DEC_WORDPIECE,  /* s1 prefix; a: cleanup */
    TOK_DEC_BPE,        /* s1 suffix */
    TOK_DEC_SPACED,     /* no decoder: joined by spaces */
} tok_step_kind;

typedef enum { TOK_SCAN_GPT2 = 1, TOK_SCAN_CL100K, TOK_SCAN_QWEN2 } tok_scan;
typedef enum {
    TOK_SPLIT_REMOVED = 1, TOK_SPLIT_ISOLATED, TOK_SPLIT_MERGED_PREVIOUS, TOK_SPLIT_MERGED_NEXT, TOK_SPLIT_CONTIGUOUS
} tok_behaviour;
typedef enum { TOK_PREPEND_NEVER, TOK_PREPEND_FIRST, TOK_PREPEND_ALWAYS } tok_prepend;

typedef enum {
    SEC_TEXT,       /* u8: every string */
    SEC_NAMES,      /* tok_ref[n_syms]: stored strings */
    SEC_PIECES,     /* tok_ref[n_vocab]: bytes an id stands for */
    SEC_FLAGS,      /* u8[n_syms] */
    SEC_NAME_HASH,  /* u32[2^k]: id + 1 by hash of the stored string, 0 empty, at most half full */
    SEC_MERGES,     /* tok_merge[2^k]: open addressing, at most half full */
    SEC_BYTES,      /* i32[256]: symbol of a byte, -1 when there is none */
    SEC_CUT,        /* u8[256] or empty: 1 where a merge may join U+2581 to a character that ends in this byte */
    SEC_SCORES,     /* f64[n_vocab]: Unigram */
    SEC_TRIE,       /* tok_node[]: Unigram's pieces */
    SEC_ADDED_RAW,  /* tok_node[]: added tokens matched before normalising */
    SEC_ADDED_NORM, /* tok_node[]: and after */
    SEC_NORM, SEC_PRE, SEC_DEC, /* tok_step[] */
    SEC_PREFIX, SEC_SUFFIX,     /* i32[]: what add_special puts around a text */
    SEC_STOP,       /* i32[]: ids that end a generation */
    SEC_NAMED,      /* tok_ref[2n]: "bos_token", content, ... */
    SEC_TEMPLATES,  /* tok_ref[2n]: name ("" for the default), text */
    TOK_N_SECTIONS,
} tok_section;

typedef struct {
    uint64_t off;   /* bytes from the start of the blob, multiple of 16 */
    uint64_t bytes;
} tok_place;

typedef struct {
    char magic[8];        /* "CLOTOK\r\n" */
    uint32_t version;     /* TOK_VERSION */
    uint32_t byte_order;  /* 0x01020304 */
    uint64_t n_bytes;     /* of the whole blob */
    uint32_t n_vocab;     /* largest id + 1 */
    uint32_t n_syms;      /* n_vocab, and symbols for characters that only occur inside pieces */
    uint32_t model;       /* tok_model */
    uint32_t flags;
    int32_t bos, eos, unk; /* ids or -1 */
    uint32_t max_chars;    /* WordPiece: longer words are unknown */
    tok_ref prefix;        /* WordPiece: of continuation pieces; BPE: continuing_subword_prefix */
    tok_ref suffix;        /* BPE: end_of_word_suffix */
    double min_score;      /* Unigram */
    tok_place sec[TOK_N_SECTIONS];
} tok_head;

struct tok_regex;

struct clo_tok {
    const uint8_t *blob; /* [n_bytes] borrowed, or owned_blob */
    uint8_t *owned_blob; /* owned; NULL when borrowed */
    const tok_head *head;

    /* Views into the blob. */
    const char *text;           size_t n_text;
    const tok_ref *names;       /* [n_syms] */
    const tok_ref *pieces;      /* [n_vocab] */
    const uint8_t *flags;       /* [n_syms] */
    const uint32_t *name_hash;  size_t name_mask;
    const tok_merge *merges;    size_t merge_mask; /* NULL when there are none */
    const int32_t *bytes;       /* [256] or NULL */
    const uint8_t *no_cut;      /* [256] or NULL: words are not cut at U+2581 */
    const double *scores;       /* [n_vocab] or NULL */
    const tok_node *trie;       size_t n_trie;
    const tok_node *added[2];   size_t n_added[2]; /* raw, normalised */
    const tok_step *steps[3];   size_t n_steps[3]; /* normaliser, pre-tokeniser, decoder */
    const int32_t *prefix;      size_t n_prefix;
    const int32_t *suffix;      size_t n_suffix;
    const int32_t *stop;        size_t n_stop;
    const tok_ref *named;       size_t n_named;
    const tok_ref *templates;   size_t n_templates;

    bool added_first[2][256];              /* a byte with which some added token begins */
    struct tok_regex *regex[3][TOK_STEPS_MAX]; /* owned: compiled patterns of steps */
};

enum { TOK_STAGE_NORM, TOK_STAGE_PRE, TOK_STAGE_DEC };

static inline clo_str clo_tok_text_of(const clo_tok *t, tok_ref r)
{
    if (r.off > t->n_text || r.len > t->n_text - r.off) return (clo_str){"", 0};
    return (clo_str){t->text + r.off, r.len};
}

static inline bool clo_tok_has(const clo_tok *t, int32_t id)
{
    return id >= 0 && (uint32_t)id < t->head->n_vocab;
}

/* Hash of a stored string, the same at building and at use. */
static inline uint32_t clo_tok_hash(const char *p, size_t n)
{
    uint64_t h = 0x9E3779B97F4A7C15u ^ n;
    while (n >= 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        h = (h ^ w) * 0xFF51AFD7ED558CCDu;
        h ^= h >> 32;
        p += 8;
        n -= 8;
    }
    uint64_t w = 0;
    if (n >= 4) {
        uint32_t lo, hi;
        memcpy(&lo, p, 4);
        memcpy(&hi, p + n - 4, 4);
        w = lo | (uint64_t)hi << 32;
    } else if (n > 0) {
        w = (uint64_t)(uint8_t)p[0] | (uint64_t)(uint8_t)p[n / 2] << 8 | (uint64_t)(uint8_t)p[n - 1] << 16;
    }
    h = (h ^ w) * 0xFF51AFD7ED558CCDu;
    return (uint32_t)(h >> 32) ^ (uint32_t)(h >> 7);
}

static inline uint32_t clo_tok_pair_hash(uint32_t left, uint32_t right)
{
    uint64_t h = ((uint64_t)left << 32 | right) * 0x9E3779B97F4A7C15u;
    return (uint32_t)(h >> 32);
}

/* Symbol of exactly this stored string, added or of the model; -1: none. From n_vocab on it is no id. */
int32_t clo_tok_find(const clo_tok *t, const char *p, size_t n);
/* The same for the model alone. */
static inline int32_t clo_tok_find_in_model(const clo_tok *t, const char *p, size_t n)
{
    int32_t id = clo_tok_find(t, p, n);
    return clo_tok_has(t, id) && (t->flags[id] & TOK_IN_MODEL) ? id : -1;
}

/* The entry that merges (left, right), or NULL. */
static inline const tok_merge *clo_tok_merge_find(const clo_tok *t, uint32_t left, uint32_t right)
{
    if (!t->merges) return NULL;
    size_t at = clo_tok_pair_hash(left, right) & t->merge_mask;
    for (size_t n = 0; n <= t->merge_mask; n++) {
        const tok_merge *m = &t->merges[at];
        if (m->left == left && m->right == right) return m->rank == TOK_NONE || m->result >= t->head->n_syms ? NULL : m;
        if (m->rank == TOK_NONE) return NULL;
        at = (at + 1) & t->merge_mask;
    }
    return NULL;
}

/* Child of node i by label, or 0 (the root is nobody's child). */
static inline uint32_t clo_tok_trie_child(const tok_node *nodes, size_t n_nodes, uint32_t i, uint8_t label)
{
    size_t lo = nodes[i].first, hi = lo + nodes[i].n;
    if (hi > n_nodes) return 0;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (nodes[mid].label < label) lo = mid + 1;
        else hi = mid;
    }
    return lo < (size_t)nodes[i].first + nodes[i].n && nodes[lo].label == label && lo > i ? (uint32_t)lo : 0;
}

/* --- one call of encode --------------------------------------------------------------------------------------------*/

/* A line of the word cache: what a short word became. 64 bytes. */
typedef struct {
    uint8_t n_bytes; /* 0: empty */
    uint8_t n_ids;
    char bytes[22];
    int32_t ids[10];
} tok_cached;

/* State of merging, one entry per symbol of a word, as a doubly linked list. */
typedef struct {
    uint32_t sym;
    int32_t prev, next; /* -1: none */
    uint32_t off;       /* where its text begins in the word */
    uint32_t bytes;     /* of that text; 0: merged away */
    uint32_t rank;      /* of merging it with the next; TOK_NONE: they do not merge */
    uint32_t result;    /* what that gives */
} tok_sym;

typedef struct {
    const clo_tok *t;
    clo_ids *out;
    clo_err *err;
    clo_tok_opts opts;
    tok_cached *cache; /* owned; [cache_mask + 1], or NULL */
    size_t cache_mask;
    tok_sym *syms;     /* owned scratch */
    size_t syms_cap;
    uint64_t *heap;    /* owned scratch: candidates, rank << 32 | position */
    size_t heap_n, heap_cap;
    clo_buf scratch[TOK_STEPS_MAX]; /* text made by pre-tokeniser steps, one per step */
    clo_buf norm[2];   /* normaliser's two sides */
    clo_buf word;      /* the word in the stored alphabet */
    void *lattice;     /* owned: Unigram's scratch */
    size_t lattice_cap;
} tok_enc;

/* Grows *ptr to hold `need` items of `size` bytes. */
CLO_CHECK bool clo_tok_grow(void **ptr, size_t *cap, size_t need, size_t size, clo_err *err);

/* Bytes that the steps of a stage may make of n, lest a few that replace make gigabytes of a line. Of real ones NFKC grows
 * a text most: a character to eleven times its bytes. */
static inline size_t clo_tok_grown_max(size_t n)
{
    return clo_min(n, TOK_TEXT_BYTES_MAX) * 32 + 4096;
}

/* Stages. Each takes valid UTF-8. */
CLO_CHECK bool clo_tok_normalize(const clo_tok *t, clo_buf pair[2], clo_str in, clo_str *out, clo_err *err);
/* Appends s in NFD (NFC when composed, NFKD and NFKC when compat). */
CLO_CHECK bool clo_tok_canonical(clo_buf *out, clo_str s, bool compat, bool composed, clo_err *err);
CLO_CHECK bool clo_tok_pre(tok_enc *e, size_t i_step, clo_str piece, bool at_start);
CLO_CHECK bool clo_tok_word(tok_enc *e, clo_str word);
CLO_CHECK bool clo_tok_word_bpe(tok_enc *e, clo_str word);
CLO_CHECK bool clo_tok_word_unigram(tok_enc *e, clo_str word);
CLO_CHECK bool clo_tok_word_wordpiece(tok_enc *e, clo_str word);
/* Cuts added tokens of set `which` (0 raw, 1 normalised) out of text; pushes their ids and hands the rest to `next`. */
typedef bool tok_next_fn(tok_enc *e, clo_str piece, bool at_start);
CLO_CHECK bool clo_tok_cut_added(tok_enc *e, int which, clo_str text, bool at_start, tok_next_fn *next);

/* Steps of pieces by known patterns: the end of the word that begins at off. */
size_t clo_tok_scan(tok_scan kind, clo_str s, size_t off);
/* The scanner for this pattern, or 0. */
tok_scan clo_tok_scan_of_pattern(clo_str pattern);
/* The pattern of a scanner. */
clo_str clo_tok_scan_pattern(tok_scan kind);

/* Patterns that no scanner knows, by PCRE2 with limits. */
CLO_CHECK bool clo_tok_regex_open(struct tok_regex **out, clo_str pattern, clo_err *err);
void clo_tok_regex_close(struct tok_regex *r);
/* First match at or after off. False with *found false: none; false with err set: limit reached. */
CLO_CHECK bool clo_tok_regex_find(const struct tok_regex *r, clo_str s, size_t off, size_t *begin, size_t *end,
                                  bool *found, clo_err *err);

/* SentencePiece's character map: the longest (or shortest) entry that s begins with and what replaces it; false: none. */
bool clo_tok_charsmap_find(clo_str map, clo_str s, bool shortest, clo_str *to, size_t *n_bytes);

/* Byte-level alphabet: the code point that stands for byte b, and back (-1: none). */
uint32_t clo_tok_byte_to_cp(uint8_t b);
int clo_tok_cp_to_byte(uint32_t cp);

/* Opens a blob; `owned` (malloc'ed) is freed with the tokenizer, or at failure. */
CLO_CHECK bool clo_tok_open_blob(clo_tok **out, const uint8_t *blob, size_t n, uint8_t *owned, clo_err *err);

#endif
