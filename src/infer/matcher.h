/* Matchers: which tokens may come next, so that an answer fits a grammar.
 *
 * A matcher follows one answer. It is asked with all ids of the output so far and remembers where each of them led, so
 * that it may be asked again for the same output, or for a shorter one after guesses were taken back. Masks are kept by
 * the place in the grammar, so a step that was seen before costs microseconds.
 *
 *   clo_vocab_trie *trie = NULL;  clo_matcher *m = NULL;
 *   if (!clo_vocab_trie_open(&trie, tok, clo_gen_vocab(model), &err)) ...          // once for a tokenizer
 *   if (!clo_matcher_open(&m, grammar, trie, stop_ids, n_stop_ids, &err)) ...      // once for an answer
 *   clo_task_opts o = { .mask = clo_matcher_keep, .mask_free = clo_matcher_free, .mask_ctx = m, ... };
 *
 * Stop ids are allowed exactly where the text may end. From every place that a mask leads to, tokens of one byte lead to
 * the end, so no answer runs into a wall. The mask is a function of the grammar, the vocabulary and the output alone. */
#ifndef CLO_INFER_MATCHER_H
#define CLO_INFER_MATCHER_H

#include "infer/grammar.h"
#include "infer/vocab_trie.h"
#include "model/model.h"

typedef struct clo_matcher clo_matcher;

/* The grammar is shared until close; the trie is borrowed; stop ids [n_stop_ids] are copied. CLO_ERR_UNSUPPORTED when
 * the vocabulary can write no text of the grammar. */
CLO_CHECK bool clo_matcher_open(clo_matcher **out, clo_grammar *g, const clo_vocab_trie *trie, const int32_t *stop_ids,
                                size_t n_stop_ids, clo_err *err);
void clo_matcher_close(clo_matcher *m);

/* The ids that may follow ids [n_ids]: bit i % 32 of word i / 32; [(n_vocab + 31) / 32] words that live until the next
 * call. NULL when ids themselves do not fit the grammar, or memory is gone. */
const uint32_t *clo_matcher_mask(clo_matcher *m, const int32_t *ids, size_t n_ids);
/* ids fit the grammar so far. complete (may be NULL): and the text may end here. */
bool clo_matcher_fits(clo_matcher *m, const int32_t *ids, size_t n_ids, bool *complete);

/* clo_gen_opts.mask and clo_task_opts.mask, ctx is the matcher: logits of ids that may not come become -infinity; all of
 * them where clo_matcher_mask gives NULL, which ends the answer with an error. */
void clo_matcher_keep(void *ctx, float *logits, size_t n_vocab, const int32_t *ids, size_t n_ids);
/* clo_task_opts.mask_free: clo_matcher_close. */
void clo_matcher_free(void *ctx);

/* A matcher of a model's own vocabulary and stop ids, with the trie that it needs: for one answer, where nobody keeps a
 * trie. The model outlives it. The zeroed struct is valid. */
typedef struct {
    clo_vocab_trie *trie; /* owned */
    clo_matcher *matcher; /* owned */
} clo_mask;
CLO_CHECK bool clo_mask_open(clo_mask *out, const clo_model *m, clo_grammar *g, clo_err *err);
void clo_mask_close(clo_mask *m);

#endif
