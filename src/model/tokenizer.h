/* Tokenizers: text to ids and back, equal to Hugging Face `tokenizers` for the families we build.
 *
 * One object, immutable after opening, used by any number of threads. It comes from a tokenizer.json or from the keys
 * of a GGUF file. Models: byte-level BPE, SentencePiece-style BPE, Unigram, WordPiece. What a file asks for and this
 * code does not build is refused by name (CLO_ERR_UNSUPPORTED), never approximated.
 *
 *   clo_tok *tok = NULL;
 *   if (!clo_tok_open_json(&tok, text, config_text, &err)) ...
 *   clo_ids ids = {0};
 *   if (!clo_tok_encode(tok, &ids, CLO_STR("Hello"), (clo_tok_opts){ .add_special = true }, &err)) ...
 *   clo_ids_free(&ids);
 */
#ifndef CLO_MODEL_TOKENIZER_H
#define CLO_MODEL_TOKENIZER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/slice.h"

struct clo_gguf;

typedef struct clo_tok clo_tok;

/* A growing list of token ids. The zeroed struct is an empty list. */
typedef struct {
    int32_t *ids; /* owned */
    size_t n, cap;
} clo_ids;
void clo_ids_free(clo_ids *l);
CLO_CHECK bool clo_ids_push(clo_ids *l, int32_t id, clo_err *err);

/* json: the text of tokenizer.json. config: the text of tokenizer_config.json or empty (chat template, special-token
 * names, add_bos_token). Nothing is borrowed after return. */
CLO_CHECK bool clo_tok_open_json(clo_tok **out, clo_str json, clo_str config, clo_err *err);
/* From tokenizer.ggml.*: models gpt2, llama, t5, bert. Strings may be borrowed from the mapped file while tok lives. */
CLO_CHECK bool clo_tok_open_gguf(clo_tok **out, const struct clo_gguf *g, clo_err *err);
/* From a Hugging Face folder: tokenizer.json, tokenizer_config.json and chat_template.jinja, which goes before the
 * template in the configuration; the last two may be absent. *json is the text of the first, in `keep`. */
CLO_CHECK bool clo_tok_open_folder(clo_tok **out, clo_str *json, const char *folder, clo_arena *keep, clo_err *err);
/* From a path: a GGUF file, such a folder, a tokenizer.json with what lies beside it, or a compiled tokenizer. *map
 * (zeroed before) and `keep` live as long as *out; the caller closes *map also after a failure. */
CLO_CHECK bool clo_tok_open_path(clo_tok **out, clo_map *map, const char *path, clo_arena *keep, clo_err *err);
void clo_tok_close(clo_tok *t);

typedef struct {
    bool add_special;   /* what the post-processor adds: BOS, [CLS] ... [SEP] */
    bool parse_special; /* match tokens marked special in the text; false for text from users (non-special added tokens
                           are always matched) */
} clo_tok_opts;

/* Appends the ids of text to *out. Invalid UTF-8 is replaced by U+FFFD first. Near-linear in the length, also for one
 * long word. Any thread. */
CLO_CHECK bool clo_tok_encode(const clo_tok *t, clo_ids *out, clo_str text, clo_tok_opts opts, clo_err *err);

/* The bytes that id stands for when it follows other text (no leading-space rule, special tokens empty unless
 * with_special). Views into tok; may be an incomplete UTF-8 sequence. Ids outside the vocabulary give an empty slice. */
clo_str clo_tok_piece(const clo_tok *t, int32_t id, bool with_special);
/* Appends the text of ids as the Hugging Face decoder gives it with skip_special_tokens = !with_special and
 * clean_up_tokenization_spaces = false: invalid UTF-8 becomes U+FFFD. */
CLO_CHECK bool clo_tok_decode(const clo_tok *t, clo_buf *out, const int32_t *ids, size_t n, bool with_special,
                              clo_err *err);
/* The stored string of id ("Ġthe", "<0x0A>"), or empty. */
clo_str clo_tok_name(const clo_tok *t, int32_t id);
/* Id of exactly this stored string (added tokens by their content), or -1. */
int32_t clo_tok_id(const clo_tok *t, clo_str name);

size_t clo_tok_n_vocab(const clo_tok *t); /* largest id + 1 */
bool clo_tok_is_special(const clo_tok *t, int32_t id);
int32_t clo_tok_bos(const clo_tok *t);    /* -1: none */
int32_t clo_tok_eos(const clo_tok *t);    /* -1: none */
/* Ids that end a generation by their text: <|im_end|>, <|eot_id|>, <end_of_turn>, ... and GGUF's eos, eot, eom. */
size_t clo_tok_stop_ids(const clo_tok *t, int32_t *out, size_t max);
/* The chat template's text ("tool_use" variant when asked and there), or empty. */
clo_str clo_tok_template(const clo_tok *t, bool tools);
/* Content of a named special token for templates: "bos_token", "eos_token", "pad_token", "unk_token", ...; empty when
 * unset. */
clo_str clo_tok_special(const clo_tok *t, const char *name);

/* Compiled form: everything above as one position-independent blob, so that a second start parses nothing. Opening
 * checks a version and every offset; the blob is borrowed (mapped) while tok lives. */
CLO_CHECK bool clo_tok_save(const clo_tok *t, clo_buf *out, clo_err *err);
CLO_CHECK bool clo_tok_open_compiled(clo_tok **out, clo_bytes blob, clo_err *err);

#endif
