/* Receipts: proof that this model, with this prompt and these settings, gave this text, bit for bit.
 *
 * A receipt (format `rcp1`, docs/formats/receipt.md) names everything that decides an answer, commits to the prompt with
 * a salt, lists the output's tokens and carries the logits chain. It is checked by one prefill of prompt and output:
 * logits computed in a batch have the bits of those computed one by one, so every sampling decision and every link of
 * the chain can be made again, much faster than the answer was.
 *
 *   clo_receipt r = {0};
 *   if (!clo_receipt_make(&r, decoder, &facts, &err)) ...           // after a run with opts.chain
 *   if (!clo_receipt_write(&r, "answer.rcp", &err)) ...
 *
 *   if (!clo_receipt_parse(&r, text, &err)) ...
 *   if (!clo_receipt_replay(&r, decoder, NULL, &verdict, &err)) ...  // could not be checked
 *   if (!verdict.same) ...                                           // checked, and not so
 *   clo_receipt_free(&r);
 */
#ifndef CLO_INFER_RECEIPT_H
#define CLO_INFER_RECEIPT_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "infer/decoder.h"
#include "infer/generate.h"
#include "infer/grammar_source.h"
#include "infer/sampler.h"

#define CLO_RECEIPT_BYTES_MAX ((size_t)64 << 20)
#define CLO_RECEIPT_TOKENS_MAX ((size_t)1 << 22) /* of the prompt, and of the output */
#define CLO_RECEIPT_LINK_BYTES 8

typedef struct {
    char profile[16];            /* "n1" */
    char kv[8];                  /* type of the KV cache: "F16", "F32" */
    char version[32];            /* of the program that answered */
    clo_sha256 program;          /* its file */
    clo_sha256 model, tokenizer, template_text; /* template_text: zeros when none was used */
    bool has_template;
    clo_sampler_params sampler;  /* bias is owned */
    uint64_t seed;
    char grammar_version[8];     /* CLO_GRAMMAR_VERSION of who answered; empty without a grammar */
    clo_grammar_source grammar;  /* what the answer was held to; NONE: any text */
    uint8_t salt[16];
    clo_sha256 prompt_sha256;    /* of salt || prompt ids as le32 */
    size_t n_prompt;
    clo_ids prompt;              /* empty when the receipt is private */
    clo_ids output;
    char finish[16];             /* "stop", "length", "cancelled" */
    uint8_t *links;              /* [output.n][8] owned: the first bytes of g_1 .. g_n */
    clo_sha256 chain;            /* g_n; zeros when nothing was put out */
} clo_receipt;

typedef struct {
    const clo_gen_result *result; /* of a run with opts.chain */
    const int32_t *prompt;        /* [result->n_prompt] */
    const clo_sampler_params *sampler;
    uint64_t seed;
    const clo_sha256 *template_text; /* NULL: no template */
    const clo_grammar_source *grammar; /* NULL or NONE: any text */
    const char *version;
    bool private_prompt;          /* leave the prompt's tokens out */
} clo_receipt_facts;

/* Takes everything over; draws a fresh salt and hashes this program's own file. */
CLO_CHECK bool clo_receipt_make(clo_receipt *out, const clo_decoder *d, const clo_receipt_facts *f, clo_err *err);
void clo_receipt_free(clo_receipt *r);

/* The text form; the file ends in a newline. */
CLO_CHECK bool clo_receipt_format(clo_buf *out, const clo_receipt *r, clo_err *err);
CLO_CHECK bool clo_receipt_write(const clo_receipt *r, const char *path, clo_err *err);
/* Strict: every field, no other field, every number in its range and its one spelling. */
CLO_CHECK bool clo_receipt_parse(clo_receipt *out, clo_str text, clo_err *err);
CLO_CHECK bool clo_receipt_read(clo_receipt *out, const char *path, clo_err *err);

typedef struct {
    bool same;
    bool same_program;  /* told, not judged: another build must give the same bits */
    char what[32];      /* when not the same: "model", "tokenizer", "profile", "prompt", "grammar", "token", "logits", ... */
    size_t at;          /* output index of the first difference, for "token" and "logits" */
    int32_t stated, found; /* ids, for "token" */
    size_t n_checked;   /* output tokens found to be the same */
    double seconds;
} clo_replay_verdict;

/* An answer that was held to a grammar is masked again. prompt: for receipts without it, else NULL. The template's digest is compared when `template_text` is given. */
CLO_CHECK bool clo_receipt_replay(const clo_receipt *r, clo_decoder *d, const clo_ids *prompt,
                                  const clo_sha256 *template_text, clo_replay_verdict *out, clo_err *err);

/* The same in two halves, for who computes the answer again by other means (a scheduler). First whether everything that
 * decides it is the same (out->same, out->what; the decoder is asked, not run), then what came of it: ids and chain, [n]. */
CLO_CHECK bool clo_receipt_check_setting(const clo_receipt *r, const clo_decoder *d, const clo_ids *prompt,
                                         const clo_sha256 *template_text, clo_replay_verdict *out, clo_err *err);
void clo_receipt_check_answer(const clo_receipt *r, const int32_t *ids, const clo_sha256 *chain, size_t n,
                              clo_replay_verdict *out);

#endif
