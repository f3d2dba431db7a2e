/* Tokenizer endpoints, as vLLM and llama-server have them, so that an evaluator needs no tokenizer of its own. */
#ifndef CLO_SERVE_TOKENS_H
#define CLO_SERVE_TOKENS_H

#include "serve/router.h"

void clo_tokens_info(clo_server *s, clo_request *r, clo_str rest);       /* GET /tokenizer_info */
void clo_tokens_tokenize(clo_server *s, clo_request *r, clo_str rest);   /* POST /tokenize */
void clo_tokens_detokenize(clo_server *s, clo_request *r, clo_str rest); /* POST /detokenize */

#endif
