/* Conversations: messages to prompt ids, through the model's own chat template.
 *
 * What a user writes never becomes a control token. The rendered text is encoded as one string, as Hugging Face does,
 * so ids are equal to theirs; only a part of the conversation that spells a special token is encoded by itself, with
 * special tokens off. CLO_CHAT_COMPAT encodes the joined string whatever it says (for parity tests).
 *
 *   clo_chat *c = NULL;
 *   if (!clo_chat_open(&c, model, false, &err)) ...
 *   if (!clo_chat_encode(c, &ids, messages, (clo_chat_opts){0}, &err)) ...
 *   clo_chat_close(c);
 */
#ifndef CLO_INFER_CHAT_H
#define CLO_INFER_CHAT_H

#include "base/digest.h"
#include "base/err.h"
#include "base/json.h"
#include "model/model.h"

typedef struct clo_chat clo_chat;

typedef struct {
    json_t *tools;        /* borrowed: array, or NULL */
    json_t *vars;         /* borrowed: object with more template variables ("enable_thinking": false), or NULL */
    bool no_answer_head;  /* do not add the head of the assistant's turn */
    bool go_on;           /* the last message is the beginning of the answer: nothing is written after its text */
    bool compat;          /* encode the joined string with special tokens on */
    int64_t now_unix;     /* for templates that write the date; 0: the clock */
} clo_chat_opts;

/* The template of the model's tokenizer ("tool_use" variant when `tools`). CLO_ERR_NOT_FOUND when the model has no
 * tokenizer or no template. The model is borrowed. */
CLO_CHECK bool clo_chat_open(clo_chat **out, const clo_model *m, bool tools, clo_err *err);
/* With a template of the caller's. */
CLO_CHECK bool clo_chat_open_with(clo_chat **out, const clo_tok *tok, clo_str text, clo_err *err);
void clo_chat_close(clo_chat *c);

/* SHA-256 of the template's text. */
clo_sha256 clo_chat_digest(const clo_chat *c);

/* messages: array of {"role", "content", ...}; borrowed. Roles are names ([A-Za-z0-9_-], 64 bytes at most): anything
 * else is CLO_ERR_USAGE, as is what the template itself refuses, or with go_on the last text not shown. Appends to *out. */
CLO_CHECK bool clo_chat_encode(const clo_chat *c, clo_ids *out, const json_t *messages, clo_chat_opts opts,
                               clo_err *err);
/* The rendered text. */
CLO_CHECK bool clo_chat_render(const clo_chat *c, clo_buf *out, const json_t *messages, clo_chat_opts opts,
                               clo_err *err);

#endif
