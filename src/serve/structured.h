/* Structured answers: response_format, format and tools of a request, to the grammar that holds an answer to them and the
 * reader that finds its calls. */
#ifndef CLO_SERVE_STRUCTURED_H
#define CLO_SERVE_STRUCTURED_H

#include "serve/generation.h"

/* response_format of the OpenAI interface (NULL: free text), in llama-server's spellings too. Sets g->grammar (and, as all here,
 * g->source where params ask for a receipt). Keywords of
 * a schema that are not built are refused by path when it is strict, else named in X-Schema-Ignored. */
bool clo_structured_response_format(clo_generation *g, const json_t *format, clo_api_error *e);
/* format of the Ollama interface: "json" or a schema. */
bool clo_structured_format(clo_generation *g, const json_t *format, clo_api_error *e);

/* Tools that the model may call; choice as OpenAI's tool_choice (NULL: auto). Sets g->tools (what the template is to show;
 * NULL when there are none, or none may be called), g->one_call and, where calls must come or are strict, g->grammar. */
bool clo_structured_tools(clo_generation *g, json_t *tools, const json_t *choice, bool parallel, clo_api_error *e);

#endif
