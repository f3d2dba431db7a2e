/* Asking servers elsewhere over HTTP, by libcurl.
 *
 *   clo_net *n = NULL;
 *   clo_net_reply r;
 *   clo_buf text = {.max = 1 << 20};
 *   if (!clo_net_open(&n, &(clo_net_opts){.origin = "https://hub.test", .token = token}, &err)) ...
 *   clo_net_request q = {.url = "https://hub.test/api/models/a/b", .auth = CLO_NET_BEARER, .take = clo_net_to_buf, .ctx = &text};
 *   if (!clo_net_call(&r, n, &q, &err)) ...                // nobody answered, or not in HTTP
 *   if (r.status != 200) return clo_net_refused(&r, &q, &err);
 *   clo_net_close(n);
 *
 * What the far side may cost is limited: the time to connect, a minute without a byte, the bytes of heads and bodies, five
 * redirects. The token is sent to the origin alone, whatever an address or a redirect says; a redirect to another host is
 * followed only where the request allows it, and never from https to http. Proxies are those of the environment, as curl
 * has them; neither cookies nor .netrc are read. A body is taken as it comes: nothing is inflated.
 *
 * A handle keeps its connections and belongs to one thread at a time. */
#ifndef CLO_NET_CLIENT_H
#define CLO_NET_CLIENT_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#define CLO_NET_URL_MAX 8192                   /* bytes, with the NUL; signed addresses are long */
#define CLO_NET_HEADERS_MAX 24                 /* of a request */
#define CLO_NET_HEAD_BYTES_MAX ((size_t)65536) /* of a reply */
#define CLO_NET_STALL_S 60                     /* without a byte */

typedef struct clo_net clo_net;

typedef struct {
    const char *origin;      /* "https://hub.test", the one place that gets the token; NULL: none does */
    const char *token;       /* NULL: none */
    const atomic_bool *stop; /* ends what is going on (CLO_ERR_CANCELLED); NULL: nothing does */
} clo_net_opts;

CLO_CHECK bool clo_net_open(clo_net **out, const clo_net_opts *o, clo_err *err);
void clo_net_close(clo_net *n);

typedef enum {
    CLO_NET_NO_AUTH,
    CLO_NET_BEARER,
    CLO_NET_BASIC, /* the token as password, as git sends it */
} clo_net_auth;

/* A piece of the body of a reply of 2xx; false ends the call with its error. */
typedef bool clo_net_take_fn(void *ctx, clo_bytes piece, clo_err *err);
/* The next bytes of a request's body, at most cap; *got 0 only at the end. */
typedef bool clo_net_give_fn(void *ctx, void *buf, size_t cap, size_t *got, clo_err *err);

typedef struct {
    const char *method; /* "GET" (NULL), "POST", "PUT" */
    const char *url;
    clo_net_auth auth;
    bool may_leave; /* a GET may be sent on to other hosts */
    const char *headers[CLO_NET_HEADERS_MAX]; /* "Name: value"; up to the first NULL */
    clo_bytes body;                           /* borrowed */
    clo_net_give_fn *give;                    /* in place of body: give_bytes bytes */
    void *give_ctx;
    uint64_t give_bytes;
    unsigned seconds_max; /* of the whole call, where bodies are small; 0: as long as bytes come */
    uint64_t from; /* GET: the bytes from here on; a reply that begins elsewhere is CLO_ERR_UNSUPPORTED */
    clo_net_take_fn *take; /* NULL: the body is dropped */
    void *ctx;
} clo_net_request;

typedef struct {
    unsigned status;
    unsigned retry_after_s; /* 0: not said */
    char etag[256];
    char error_code[64]; /* X-Error-Code */
    char why[300];       /* of 400 and more: what the server says, one line */
} clo_net_reply;

/* True: a whole reply came, of any status. CLO_ERR_IO when it did not, which may be tried again; CLO_ERR_LIMIT, CLO_ERR_DENIED
 * for a redirect that is not followed, CLO_ERR_FORMAT for what is no HTTP. */
CLO_CHECK bool clo_net_call(clo_net_reply *out, clo_net *n, const clo_net_request *q, clo_err *err);

/* Sets err to what a status says: CLO_ERR_DENIED for 401 and 403, CLO_ERR_NOT_FOUND for 404, CLO_ERR_IO for what may be tried
 * again (408, 429, 5xx), else CLO_ERR_USAGE. Returns false. */
bool clo_net_refused(const clo_net_reply *r, const clo_net_request *q, clo_err *err);

/* A take_fn: ctx is a clo_buf, whose max is the limit. */
bool clo_net_to_buf(void *ctx, clo_bytes piece, clo_err *err);

/* Whether two addresses have one scheme, host and port. */
bool clo_net_same_origin(const char *a, const char *b);
/* "Content-Range: bytes 5-9/10": whether it begins at `from`. Exposed for tests. */
bool clo_net_range_from(clo_str value, uint64_t from);

#endif
