/* Handlers of the Ollama interface, and what they share. */
#ifndef CLO_SERVE_OLLAMA_H
#define CLO_SERVE_OLLAMA_H

#include "serve/generation.h"
#include "serve/router.h"

#define CLO_OLLAMA_VERSION "0.34.0" /* the level that clients compare with what they need; digits and dots only */

void clo_ollama_version(clo_server *s, clo_request *r, clo_str rest);
void clo_ollama_tags(clo_server *s, clo_request *r, clo_str rest);
void clo_ollama_ps(clo_server *s, clo_request *r, clo_str rest);
void clo_ollama_show(clo_server *s, clo_request *r, clo_str rest);
void clo_ollama_chat(clo_server *s, clo_request *r, clo_str rest);
void clo_ollama_generate(clo_server *s, clo_request *r, clo_str rest);
void clo_ollama_embed(clo_server *s, clo_request *r, clo_str rest);
void clo_ollama_embeddings(clo_server *s, clo_request *r, clo_str rest);
/* Changes of models (ollama_changes.c); the bytes of a blob go to disk as they come. */
void clo_ollama_create(clo_server *s, clo_request *r, clo_str rest);
void clo_ollama_copy(clo_server *s, clo_request *r, clo_str rest);
void clo_ollama_delete(clo_server *s, clo_request *r, clo_str rest);
void clo_ollama_blob_head(clo_server *s, clo_request *r, clo_str rest);
bool clo_ollama_blob_begin(clo_server *s, clo_request *r, clo_str rest, clo_api_error *e);
void clo_ollama_blob_post(clo_server *s, clo_request *r, clo_str rest);
/* pull, push: this server opens no connection. */
void clo_ollama_refuse(clo_server *s, clo_request *r, clo_str rest);

/* --- shared (ollama_common.c) -------------------------------------------------------------------------------------*/

/* {"parent_model","format","family","families","parameter_size","quantization_level"} */
json_t *clo_ollama_details(const clo_model_info *m);
/* The name with a tag. */
json_t *clo_ollama_name(const char *name);
/* What a model can do, from its files: "completion", "tools", "thinking", "embedding". */
json_t *clo_ollama_capabilities(const clo_model_info *m);
/* A model's name in `model`, or in the older `name`. */
bool clo_ollama_model_name(clo_str *out, const json_t *body, clo_api_error *e);
/* keep_alive: a number of seconds or a duration; NaN when it is absent. */
bool clo_ollama_keep_alive(double *out_s, const json_t *body, clo_api_error *e);

#endif
