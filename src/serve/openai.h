/* Handlers of the OpenAI interface, and what they share. Facts and rules: docs/serve.md. */
#ifndef CLO_SERVE_OPENAI_H
#define CLO_SERVE_OPENAI_H

#include "serve/generation.h"
#include "serve/router.h"

void clo_openai_chat(clo_server *s, clo_request *r, clo_str rest);
void clo_openai_completions(clo_server *s, clo_request *r, clo_str rest);
void clo_openai_models(clo_server *s, clo_request *r, clo_str rest);
void clo_openai_model(clo_server *s, clo_request *r, clo_str id);
void clo_openai_embeddings(clo_server *s, clo_request *r, clo_str rest);

/* --- shared (openai_common.c) -------------------------------------------------------------------------------------*/

/* Parses the body and takes the model that it names. False: replied, or r waits for the model; nothing is owned then. */
bool clo_openai_begin(json_t **body, clo_str *model_name, const clo_open_model **model, clo_server *s, clo_request *r);

/* A request for an answer: how it is written, and what of its body is its own. */
typedef struct {
    const clo_face *face;
    const char *id_prefix;
    clo_params_kind params;
    bool (*read)(clo_generation *g, clo_api_error *e); /* everything else: the prompts, what holds the answer */
} clo_openai_kind;
void clo_openai_answer(clo_server *s, clo_request *r, const clo_openai_kind *kind);

/* `data: {"id":...,"object":OBJECT,...,"choices":[` and what follows the choices. */
void clo_openai_chunk_begin(const clo_generation *g, const char *object, clo_buf *out);
void clo_openai_chunk_end(const clo_generation *g, clo_buf *out);
/* The same for a whole answer, up to `"choices":[`. */
void clo_openai_whole_begin(const clo_generation *g, const char *object, clo_buf *out);
/* `],"usage":...}` with timings and the seed that was used. */
void clo_openai_whole_end(const clo_generation *g, clo_buf *out);
/* The last events of a stream: usage if it was asked for, [DONE]. */
void clo_openai_tail(const clo_generation *g, const char *object, clo_buf *out);
void clo_openai_fault(clo_generation *g, const clo_api_error *e, clo_buf *out);
/* An event without choices: {"x_queue":{"index","place"}}; place 1 is the next to run, 0 runs. */
void clo_openai_place(clo_choice *c, const char *object, clo_buf *out);
void clo_openai_ping(clo_generation *g, clo_buf *out);
/* [{"token","logprob","bytes","top_logprobs"}, ...] of entries; stop ids are left out. */
void clo_openai_entries(const clo_choice *c, clo_buf *out);
/* {"content":[...],"refusal":null} of entries, or null when none were asked for. */
void clo_openai_logprobs(const clo_choice *c, clo_buf *out);
/* The text of one token, U+FFFD for parts of characters. */
void clo_openai_token(const clo_open_model *m, int32_t id, clo_buf *out);

#endif
