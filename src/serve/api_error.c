/* See api_error.h. */
#include "serve/api_error.h"

#include <stdarg.h>
#include <stdio.h>

#include "serve/json_out.h"

typedef struct {
    unsigned status;
    const char *type, *code; /* code NULL: null */
    unsigned retry_after_s;
    bool no_retry;           /* clients retry by the status alone, which would not help here */
    const char *reason;      /* label of requests_rejected_total, or NULL */
} kind_row;

/* The contract's table, row by row. */
static const kind_row kinds[CLO_API_KINDS] = {
    [CLO_API_OK] = {200, "", NULL, 0, false, NULL},
    [CLO_API_INVALID] = {400, "invalid_request_error", "invalid_value", 0, false, NULL},
    [CLO_API_CONTEXT] = {400, "invalid_request_error", "context_length_exceeded", 0, false, "context"},
    [CLO_API_UNSUPPORTED] = {400, "invalid_request_error", "unsupported_value", 0, false, NULL},
    [CLO_API_NO_KEY] = {401, "invalid_request_error", "invalid_api_key", 0, false, "auth"},
    [CLO_API_NO_RIGHT] = {403, "permission_error", "permission_denied", 0, false, "auth"},
    [CLO_API_POLICY] = {403, "permission_error", "policy_refused", 0, false, "policy"},
    [CLO_API_NO_MODEL] = {404, "invalid_request_error", "model_not_found", 0, false, NULL},
    [CLO_API_NO_PATH] = {404, "invalid_request_error", "unknown_url", 0, false, NULL},
    [CLO_API_NO_METHOD] = {405, "invalid_request_error", NULL, 0, false, NULL},
    [CLO_API_TOO_LARGE] = {413, "invalid_request_error", NULL, 0, false, NULL},
    [CLO_API_BAD_ENCODING] = {415, "invalid_request_error", NULL, 0, false, NULL},
    [CLO_API_RATE] = {429, "requests", "rate_limit_exceeded", 1, false, "quota"},
    [CLO_API_QUOTA] = {429, "insufficient_quota", "insufficient_quota", 3600, true, "quota"},
    [CLO_API_INTERNAL] = {500, "server_error", NULL, 0, true, NULL},
    [CLO_API_BUSY] = {503, "server_error", "server_busy", 2, false, "queue_full"},
    [CLO_API_LOADING] = {503, "server_error", "model_loading", 5, false, NULL},
};

bool clo_api_fail(clo_api_error *e, clo_api_kind kind, const char *param, const char *fmt, ...)
{
    va_list ap;
    *e = (clo_api_error){.kind = kind};
    va_start(ap, fmt);
    vsnprintf(e->message, sizeof e->message, fmt, ap);
    va_end(ap);
    if (param) snprintf(e->param, sizeof e->param, "%s", param);
    return false;
}

bool clo_api_fail_err(clo_api_error *e, const clo_err *err)
{
    switch (err->code) {
    case CLO_ERR_USAGE: return clo_api_fail(e, CLO_API_INVALID, NULL, "%s", err->text);
    case CLO_ERR_UNSUPPORTED: return clo_api_fail(e, CLO_API_UNSUPPORTED, NULL, "%s", err->text);
    case CLO_ERR_CANCELLED: return clo_api_fail(e, CLO_API_BUSY, NULL, "the server is stopping");
    case CLO_ERR_MEMORY: return clo_api_fail(e, CLO_API_BUSY, NULL, "server busy, please try again.  no memory is left");
    default: return clo_api_fail(e, CLO_API_INTERNAL, NULL, "internal error");
    }
}

unsigned clo_api_status(clo_api_kind kind)
{
    return kinds[kind].status;
}

const char *clo_api_reject_reason(clo_api_kind kind)
{
    return kinds[kind].reason;
}

void clo_api_error_json(clo_buf *out, clo_surface surface, const clo_api_error *e)
{
    const kind_row *k = &kinds[e->kind];
    if (surface == CLO_SURFACE_OLLAMA || surface == CLO_SURFACE_HUB) {
        clo_buf_add(out, CLO_STR("{\"error\":"));
        clo_json_add_str(out, clo_str_from(e->message));
        clo_buf_add_char(out, '}');
        return;
    }
    clo_buf_add(out, CLO_STR("{\"error\":{\"message\":"));
    clo_json_add_str(out, clo_str_from(e->message));
    clo_buf_addf(out, ",\"type\":\"%s\",\"param\":", k->type);
    if (e->param[0]) clo_json_add_str(out, clo_str_from(e->param));
    else clo_buf_add(out, CLO_STR("null"));
    if (k->code) clo_buf_addf(out, ",\"code\":\"%s\"}}", k->code);
    else clo_buf_add(out, CLO_STR(",\"code\":null}}"));
}

void clo_error_line(char *out, size_t size, const char *text)
{
    size_t n = 0;
    for (; text[n] && n + 1 < size; n++) out[n] = text[n] >= ' ' && text[n] < 127 ? text[n] : ' ';
    out[n] = '\0';
}

void clo_reply_error(clo_request *r, clo_surface surface, const clo_api_error *e)
{
    const kind_row *k = &kinds[e->kind];
    char seconds[16], line[sizeof e->message];
    clo_buf body = {0};
    unsigned wait_s = e->retry_after_s ? e->retry_after_s : k->retry_after_s;
    if (wait_s) {
        snprintf(seconds, sizeof seconds, "%u", wait_s);
        clo_reply_header(r, "Retry-After", seconds);
    }
    if (k->no_retry) clo_reply_header(r, "x-should-retry", "false");
    if (e->allow) clo_reply_header(r, "Allow", e->allow);
    if (e->kind == CLO_API_NO_KEY) clo_reply_header(r, "WWW-Authenticate", "Bearer");
    clo_error_line(line, sizeof line, e->message);
    clo_reply_header(r, "X-Error-Message", line); /* what clients of the hub show; an address that is none may be meant for it */
    clo_api_error_json(&body, surface, e);
    clo_buf_add_char(&body, '\n');
    clo_reply_buf(r, k->status, CLO_TYPE_JSON, &body);
}
