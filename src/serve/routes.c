/* The table of routes. Every /v1 path for answers is served without /v1 too, as llama-server does. */
#include "serve/health.h"
#include "serve/ollama.h"
#include "serve/openai.h"
#include "serve/receipts.h"
#include "serve/router.h"
#include "serve/tokens.h"
#include "serve/web.h"

#define OPENAI(method, path, run) \
    {method, "/v1" path, run, CLO_SURFACE_OPENAI, CLO_HTTP_WORKER, .open = false}, \
    {method, path, run, CLO_SURFACE_OPENAI, CLO_HTTP_WORKER, .open = false}
#define OLLAMA(method, path, run) {method, "/api" path, run, CLO_SURFACE_OLLAMA, CLO_HTTP_WORKER, .open = false}
#define CHANGE(method, path, run) {method, "/api" path, run, CLO_SURFACE_OLLAMA, CLO_HTTP_WORKER, .admin = true}
#define TOKENS(method, path, run) {method, path, run, CLO_SURFACE_OPENAI, CLO_HTTP_WORKER, .open = false}
#define PROBE(path, run) {"GET", path, run, CLO_SURFACE_PLAIN, CLO_HTTP_AT_ONCE, .open = true}

static const clo_route routes[] = {
    OPENAI("POST", "/chat/completions", clo_openai_chat),
    OPENAI("POST", "/completions", clo_openai_completions),
    OPENAI("GET", "/models", clo_openai_models),
    OPENAI("GET", "/models/*", clo_openai_model),
    OPENAI("POST", "/embeddings", clo_openai_embeddings),
    TOKENS("GET", "/tokenizer_info", clo_tokens_info),
    TOKENS("POST", "/tokenize", clo_tokens_tokenize),
    TOKENS("POST", "/detokenize", clo_tokens_detokenize),
    OLLAMA("GET", "/version", clo_ollama_version),
    OLLAMA("GET", "/tags", clo_ollama_tags),
    OLLAMA("GET", "/ps", clo_ollama_ps),
    OLLAMA("POST", "/show", clo_ollama_show),
    OLLAMA("POST", "/chat", clo_ollama_chat),
    OLLAMA("POST", "/generate", clo_ollama_generate),
    OLLAMA("POST", "/embed", clo_ollama_embed),
    OLLAMA("POST", "/embeddings", clo_ollama_embeddings),
    OLLAMA("POST", "/pull", clo_ollama_refuse),
    OLLAMA("POST", "/push", clo_ollama_refuse),
    CHANGE("POST", "/create", clo_ollama_create),
    CHANGE("POST", "/copy", clo_ollama_copy),
    CHANGE("DELETE", "/delete", clo_ollama_delete),
    OLLAMA("HEAD", "/blobs/*", clo_ollama_blob_head),
    {"POST", "/api/blobs/*", clo_ollama_blob_post, CLO_SURFACE_OLLAMA, CLO_HTTP_WORKER, .raw = true, .admin = true,
     .begin = clo_ollama_blob_begin},
    {"POST", "/v1/receipts/replay", clo_receipts_replay, CLO_SURFACE_OPENAI, CLO_HTTP_WORKER, .open = false},
    {"GET", "/v1/receipts/*", clo_receipts_get, CLO_SURFACE_OPENAI, CLO_HTTP_WORKER, .open = false},
    PROBE("/chat", clo_web_chat),
    PROBE("/ui", clo_web_old_chat),
    PROBE("/ui/*", clo_web_file),
    PROBE("/", clo_web_root),
    PROBE(CLO_ROUTE_PAGES, clo_web_shell),
    PROBE("/livez", clo_health_live),
    PROBE("/readyz", clo_health_ready),
    PROBE("/health", clo_health_health),
    PROBE("/v1/health", clo_health_health),
    PROBE("/ping", clo_health_ping),
    PROBE("/version", clo_health_version),
    {"GET", "/metrics", clo_health_metrics, CLO_SURFACE_PLAIN, CLO_HTTP_AT_ONCE, .open = false},
};

_Static_assert(sizeof routes / sizeof *routes + 2 <= CLO_ROUTES_MAX, "labels for every route, for unknown ones and for the hub's");

const clo_route *clo_routes(size_t *n)
{
    *n = sizeof routes / sizeof *routes;
    return routes;
}
