/* Chat templates: the Jinja subset that model families' templates use, rendered exactly as Hugging Face renders them
 * (sandboxed Jinja2, trim_blocks, lstrip_blocks, loop controls, generation tags, its own tojson).
 *
 * A template is untrusted: time, output, recursion and loops are bounded. What the subset lacks is refused by name at
 * parse time (CLO_ERR_UNSUPPORTED) or, when only reached at run time, at rendering; never rendered wrong.
 * raise_exception(msg) gives CLO_ERR_USAGE with msg as the text.
 *
 *   clo_template *t = NULL;
 *   if (!clo_template_parse(&t, text, &err)) ...
 *   clo_buf out = {0};
 *   if (!clo_template_render(t, vars, (clo_template_opts){0}, &out, NULL, &err)) ...
 */
#ifndef CLO_MODEL_TEMPLATE_H
#define CLO_MODEL_TEMPLATE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/slice.h"

typedef struct clo_template clo_template;

CLO_CHECK bool clo_template_parse(clo_template **out, clo_str text, clo_err *err);
void clo_template_free(clo_template *t);

typedef struct {
    int64_t now_unix;      /* for strftime_now; 0 means the clock (local time) */
    size_t output_bytes_max; /* 0 means 16 MiB */
    uint64_t steps_max;    /* evaluated nodes; 0 means 20 million */
} clo_template_opts;

/* Which parts of the output came from the conversation, not from the template: sorted, disjoint byte ranges. Text
 * inside is tokenized without special tokens, so that a user cannot write control tokens. */
typedef struct {
    struct {
        size_t begin, end;
    } *spans; /* owned */
    size_t n, cap;
} clo_template_spans;
void clo_template_spans_free(clo_template_spans *s);

/* vars: an object with messages, tools, add_generation_prompt, bos_token, ... Key order of objects is kept. Strings
 * anywhere inside `messages`, `tools` and `documents` count as the conversation's. spans may be NULL. */
CLO_CHECK bool clo_template_render(const clo_template *t, json_t *vars, clo_template_opts opts, clo_buf *out,
                                   clo_template_spans *spans, clo_err *err);

/* What apply_chat_template does to messages before rendering: a message's reasoning, given as reasoning_content, thinking
 * or reasoning (the first that is not null), is put under reasoning_content, and under thinking when that is not set.
 * messages: an array (anything else is left alone), changed in place. */
CLO_CHECK bool clo_template_alias_reasoning(json_t *messages, clo_err *err);

#endif
