/* Errors as clients of both interfaces know them: one table of kinds gives the status, OpenAI's `type` and `code`, and whether a
 * retry can help.
 *
 *   clo_api_error e = {0};
 *   if (n < 1) return clo_api_fail(&e, CLO_API_INVALID, "n", "n is %d; 1 to 8 is expected", n);
 *   ...
 *   clo_reply_error(r, CLO_SURFACE_OPENAI, &e); */
#ifndef CLO_SERVE_API_ERROR_H
#define CLO_SERVE_API_ERROR_H

#include "base/err.h"
#include "serve/http.h"

typedef enum { CLO_SURFACE_PLAIN, CLO_SURFACE_OPENAI, CLO_SURFACE_OLLAMA, CLO_SURFACE_HUB } clo_surface;

typedef enum {
    CLO_API_OK = 0,
    CLO_API_INVALID,         /* bad JSON, wrong type, missing field, out of range */
    CLO_API_CONTEXT,         /* the prompt leaves no room for one token */
    CLO_API_UNSUPPORTED,     /* known, but not for this model or not built */
    CLO_API_NO_KEY,          /* missing or unknown */
    CLO_API_NO_RIGHT,        /* the key may not do this */
    CLO_API_POLICY,          /* offline, licence, trust, origin: nobody may */
    CLO_API_NO_MODEL,
    CLO_API_NO_PATH,
    CLO_API_NO_METHOD,
    CLO_API_TOO_LARGE,
    CLO_API_BAD_ENCODING,
    CLO_API_RATE,            /* too many now */
    CLO_API_QUOTA,           /* used up */
    CLO_API_INTERNAL,
    CLO_API_BUSY,            /* the queue is full, the server stops */
    CLO_API_LOADING,
    CLO_API_KINDS
} clo_api_kind;

typedef struct {
    clo_api_kind kind;
    char message[512];
    char param[160];          /* field of the request; empty: null */
    unsigned retry_after_s;   /* 0: the kind's own, if it has one */
    const char *allow;        /* for NO_METHOD; borrowed */
} clo_api_error;

/* Sets e and returns false. param may be NULL. */
bool clo_api_fail(clo_api_error *e, clo_api_kind kind, const char *param, const char *fmt, ...) CLO_PRINTF(4, 5);
/* The kind that fits an error of the rooms below; paths of this machine are left out of what a client is told. */
bool clo_api_fail_err(clo_api_error *e, const clo_err *err);

unsigned clo_api_status(clo_api_kind kind);
/* Which of requests_rejected_total it counts under, or NULL. */
const char *clo_api_reject_reason(clo_api_kind kind);

/* {"error":{"message","type","param","code"}} or {"error":"..."}, one line. */
void clo_api_error_json(clo_buf *out, clo_surface surface, const clo_api_error *e);
/* As X-Error-Message has it: ASCII, one line. size counts the NUL. */
void clo_error_line(char *out, size_t size, const char *text);
/* With the headers that belong to it. */
void clo_reply_error(clo_request *r, clo_surface surface, const clo_api_error *e);

#endif
