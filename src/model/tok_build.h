/* Building a tokenizer: readers of tokenizer.json and GGUF fill this table, then clo_tokb_finish makes the blob.
 *
 *   tok_build b;
 *   clo_tokb_init(&b);
 *   ok = clo_tokb_token(&b, 0, name, TOK_IN_MODEL, 0.0, err) && ... && clo_tokb_index(&b, err)
 *        && clo_tokb_merge(&b, left, right, rank, err) && ... && clo_tokb_finish(&b, out, err);
 *   clo_tokb_free(&b);
 *
 * Strings are borrowed until finish.
 */
#ifndef CLO_MODEL_TOK_BUILD_H
#define CLO_MODEL_TOK_BUILD_H

#include "base/arena.h"
#include "model/tok_impl.h"

typedef struct {
    clo_str text;
    int32_t value;
} tok_entry;

typedef struct {
    uint32_t kind, a, b;
    clo_str s1, s2;
} tok_step_def;

typedef struct {
    clo_arena arena;  /* strings made while building */
    uint32_t model;   /* tok_model */
    uint32_t flags;
    int32_t bos, eos, unk;
    uint32_t max_chars;
    clo_str prefix, suffix;
    double min_score;

    clo_str *names;   /* owned [vocab_cap]; absent ids have len 0 and no TOK_PRESENT */
    uint8_t *id_flags;
    double *scores;
    size_t n_vocab, names_cap, flags_cap, scores_cap;
    size_t n_ids_max; /* ids are below: TOK_VOCAB_MAX, or less for a file that lists few tokens */

    uint32_t *hash;   /* owned [hash_mask + 1]: id + 1; after index */
    size_t hash_mask;

    clo_str *extra;   /* owned: characters that are no token but occur inside one; symbol n_vocab + i */
    size_t n_extra, extra_cap;

    tok_merge *merges; /* owned, in order of coming */
    size_t n_merges, merges_cap;

    tok_entry *added[2]; /* owned: raw, normalised */
    size_t n_added[2], added_cap[2];

    tok_step_def steps[3][TOK_STEPS_MAX];
    size_t n_steps[3];

    int32_t prefix_ids[16], suffix_ids[16], stop[64];
    size_t n_prefix, n_suffix, n_stop;

    clo_str named[32][2];
    size_t n_named;
    clo_str templates[16][2];
    size_t n_templates;
} tok_build;

void clo_tokb_init(tok_build *b);
void clo_tokb_free(tok_build *b);

/* Sets id's string. An id that has another string already is refused. */
CLO_CHECK bool clo_tokb_token(tok_build *b, int64_t id, clo_str name, uint8_t flags, double score, clo_err *err);
/* Makes names findable. A string that two ids of the model share goes to the last. */
CLO_CHECK bool clo_tokb_index(tok_build *b, clo_err *err);
int32_t clo_tokb_find(const tok_build *b, clo_str name);
/* One merge; the result is the id of the strings joined (right without `prefix`). *known false: some string is no
 * token, nothing was added. */
CLO_CHECK bool clo_tokb_merge(tok_build *b, clo_str left, clo_str right, uint32_t rank, bool *known, clo_err *err);
/* All merges of a SentencePiece vocabulary: every split of a piece into two symbols, ranked by the piece's score. */
CLO_CHECK bool clo_tokb_merges_by_score(tok_build *b, clo_err *err);
/* A token that is cut out of text. set: 0 raw, 1 normalised (`text` is then the normalised content). */
CLO_CHECK bool clo_tokb_added(tok_build *b, int set, clo_str text, int32_t id, clo_err *err);
CLO_CHECK bool clo_tokb_step(tok_build *b, int stage, tok_step_def step, clo_err *err);
CLO_CHECK bool clo_tokb_named(tok_build *b, clo_str name, clo_str content, clo_err *err);
CLO_CHECK bool clo_tokb_template(tok_build *b, clo_str name, clo_str text, clo_err *err);
/* Adds id to those that end a generation; -1 and ids already there are ignored. */
void clo_tokb_stop(tok_build *b, int32_t id);
/* Adds the ids whose strings are known to end a turn. */
void clo_tokb_stop_known(tok_build *b);

CLO_CHECK bool clo_tokb_finish(tok_build *b, clo_tok **out, clo_err *err);

#endif
