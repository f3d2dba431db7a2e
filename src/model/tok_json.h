/* The parts of reading a tokenizer.json: the stages' objects become steps, the rest is read in tok_json.c. */
#ifndef CLO_MODEL_TOK_JSON_H
#define CLO_MODEL_TOK_JSON_H

#include "base/json.h"
#include "model/tok_build.h"

#define TOK_JSON_DEPTH_MAX 8 /* of Sequences in Sequences */

/* Each takes the stage's object or null. A type we do not build is refused by name. */
CLO_CHECK bool clo_tokj_normalizer(tok_build *b, const json_t *o, int depth, clo_err *err);
/* *byte_level: a ByteLevel step was there, so the model's alphabet is bytes. Nothing may follow it. */
CLO_CHECK bool clo_tokj_pre_tokenizer(tok_build *b, const json_t *o, int depth, bool *byte_level, clo_err *err);
CLO_CHECK bool clo_tokj_decoder(tok_build *b, const json_t *o, int depth, clo_err *err);
CLO_CHECK bool clo_tokj_post_processor(tok_build *b, const json_t *o, int depth, clo_err *err);

/* clo_tok_open_json with the text of chat_template.jinja (or empty), which goes before the configuration's template. */
CLO_CHECK bool clo_tokj_open(clo_tok **out, clo_str json, clo_str config, clo_str jinja, clo_err *err);

#endif
