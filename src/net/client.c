/* See client.h. */
#include "net/client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/json.h"

#define REDIRECTS_MAX 5
#define CONNECT_S 30L
#define FAULT_BYTES_MAX ((size_t)16384) /* of a body that says what is wrong */
#define DROPPED_BYTES_MAX ((size_t)4 << 20) /* of a body that nobody takes */

#ifndef CLO_VERSION
#    define CLO_VERSION "0"
#endif

struct clo_net {
    CURL *curl; /* owned */
    char *origin, *token; /* owned or NULL */
    const atomic_bool *stop;
};

/* What one exchange needs: a request's hops have one each. */
typedef struct {
    const clo_net *n;
    const clo_net_request *q;
    clo_net_reply *out;
    clo_err err; /* of the callbacks */
    unsigned status;
    size_t head_bytes, dropped_bytes;
    bool range_ok;
    uint64_t given;
    clo_buf fault; /* the body of a status that is no 2xx */
} exchange;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode init_rc;

static void init(void)
{
    init_rc = curl_global_init(CURL_GLOBAL_DEFAULT);
}

bool clo_net_open(clo_net **out, const clo_net_opts *o, clo_err *err)
{
    *out = NULL;
    pthread_once(&once, init);
    clo_net *n = calloc(1, sizeof *n);
    if (!n || init_rc != CURLE_OK || !(n->curl = curl_easy_init())) goto no_memory;
    n->stop = o->stop;
    if (o->origin && !(n->origin = strdup(o->origin))) goto no_memory;
    if (o->token && !(n->token = strdup(o->token))) goto no_memory;
    *out = n;
    return true;
no_memory:
    clo_net_close(n);
    return clo_fail(err, CLO_ERR_MEMORY, "HTTP client");
}

void clo_net_close(clo_net *n)
{
    if (!n) return;
    if (n->curl) curl_easy_cleanup(n->curl);
    free(n->origin);
    free(n->token);
    free(n);
}

/* --- addresses ----------------------------------------------------------------------------------------------------*/

typedef struct {
    char *scheme, *host, *port; /* owned by curl */
} origin;

static bool origin_of(origin *out, const char *url)
{
    CURLU *u = curl_url();
    *out = (origin){0};
    bool ok = u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
              curl_url_get(u, CURLUPART_SCHEME, &out->scheme, 0) == CURLUE_OK &&
              curl_url_get(u, CURLUPART_HOST, &out->host, 0) == CURLUE_OK &&
              curl_url_get(u, CURLUPART_PORT, &out->port, CURLU_DEFAULT_PORT) == CURLUE_OK;
    curl_url_cleanup(u);
    return ok;
}

static void free_origin(origin *o)
{
    curl_free(o->scheme);
    curl_free(o->host);
    curl_free(o->port);
}

bool clo_net_same_origin(const char *a, const char *b)
{
    origin x, y;
    bool both = origin_of(&x, a);
    both = origin_of(&y, b) && both;
    bool same = both && strcasecmp(x.scheme, y.scheme) == 0 && strcasecmp(x.host, y.host) == 0 && strcmp(x.port, y.port) == 0;
    free_origin(&x);
    free_origin(&y);
    return same;
}

/* --- callbacks of curl --------------------------------------------------------------------------------------------*/

static bool is_field(clo_str *value, clo_str line, const char *name)
{
    size_t n = strlen(name);
    if (line.len <= n || line.ptr[n] != ':' || strncasecmp(line.ptr, name, n) != 0) return false;
    line = clo_str_from_off(line, n + 1);
    while (line.len && (*line.ptr == ' ' || *line.ptr == '\t')) line = clo_str_from_off(line, 1);
    while (line.len && strchr(" \t\r\n", line.ptr[line.len - 1])) line.len--;
    *value = line;
    return true;
}

/* One line, without what a terminal could take for an order. */
static void copy_plain(char *out, size_t cap, clo_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len && n + 1 < cap; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        out[n++] = c < ' ' || c == 0x7f ? ' ' : (char)c;
    }
    out[n] = '\0';
}

static unsigned read_seconds(clo_str s)
{
    unsigned n = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9' || n > 86400) return 0;
        n = n * 10 + (unsigned)(s.ptr[i] - '0');
    }
    return n;
}

bool clo_net_range_from(clo_str v, uint64_t from)
{
    char want[40];
    snprintf(want, sizeof want, "bytes %llu-", (unsigned long long)from);
    return clo_str_starts_with(v, clo_str_from(want));
}

static size_t take_head(char *p, size_t size, size_t n, void *ctx)
{
    exchange *x = ctx;
    clo_str line = {p, size * n}, v;
    x->head_bytes += line.len;
    if (x->head_bytes > CLO_NET_HEAD_BYTES_MAX) {
        clo_fail(&x->err, CLO_ERR_LIMIT, "a head of more than %zu bytes", CLO_NET_HEAD_BYTES_MAX);
        return 0;
    }
    if (clo_str_starts_with(line, CLO_STR("HTTP/"))) { /* of a proxy, then of the server */
        size_t at = clo_str_find(line, 0, ' ');
        x->status = 0;
        for (size_t i = at + 1; i < line.len && i < at + 4 && line.ptr[i] >= '0' && line.ptr[i] <= '9'; i++)
            x->status = x->status * 10 + (unsigned)(line.ptr[i] - '0');
        *x->out = (clo_net_reply){0};
        x->range_ok = false;
    } else if (is_field(&v, line, "ETag")) copy_plain(x->out->etag, sizeof x->out->etag, v);
    else if (is_field(&v, line, "X-Error-Code")) copy_plain(x->out->error_code, sizeof x->out->error_code, v);
    else if (is_field(&v, line, "X-Error-Message")) copy_plain(x->out->why, sizeof x->out->why, v);
    else if (is_field(&v, line, "Retry-After")) x->out->retry_after_s = read_seconds(v);
    else if (is_field(&v, line, "Content-Range")) x->range_ok = clo_net_range_from(v, x->q->from);
    return line.len;
}

static size_t take_body(char *p, size_t size, size_t n, void *ctx)
{
    exchange *x = ctx;
    size_t len = size * n;
    bool good = x->status >= 200 && x->status <= 299;
    if (!good || !x->q->take) {
        if (!good && x->fault.len + len <= FAULT_BYTES_MAX) clo_buf_add(&x->fault, (clo_str){p, len});
        x->dropped_bytes += len;
        if (x->dropped_bytes <= DROPPED_BYTES_MAX) return len;
        clo_fail(&x->err, CLO_ERR_LIMIT, "a body of more than %zu bytes that nobody asked for", DROPPED_BYTES_MAX);
        return 0;
    }
    if (x->q->from && !(x->status == 206 && x->range_ok)) {
        clo_fail(&x->err, CLO_ERR_UNSUPPORTED, "the server does not send the rest of a file");
        return 0;
    }
    return x->q->take(x->q->ctx, (clo_bytes){(const uint8_t *)p, len}, &x->err) ? len : 0;
}

static size_t give_body(char *p, size_t size, size_t n, void *ctx)
{
    exchange *x = ctx;
    size_t got = 0, cap = size * n;
    uint64_t left = x->q->give_bytes - x->given;
    if (left == 0) return 0;
    if (cap > left) cap = (size_t)left;
    if (!x->q->give(x->q->give_ctx, p, cap, &got, &x->err)) return CURL_READFUNC_ABORT;
    if (got == 0) {
        clo_fail(&x->err, CLO_ERR_DAMAGED, "a body ends %llu bytes early", (unsigned long long)left);
        return CURL_READFUNC_ABORT;
    }
    x->given += got;
    return got;
}

static int look_up(void *ctx, curl_off_t dn, curl_off_t d, curl_off_t un, curl_off_t u)
{
    exchange *x = ctx;
    (void)dn, (void)d, (void)un, (void)u;
    if (!x->n->stop || !atomic_load(x->n->stop)) return 0;
    clo_fail(&x->err, CLO_ERR_CANCELLED, "stopped");
    return 1;
}

/* --- one exchange -------------------------------------------------------------------------------------------------*/

/* What a request carries for its own host is not for another one. */
static struct curl_slist *headers_of(const clo_net_request *q, bool at_home)
{
    struct curl_slist *list = NULL;
    for (size_t i = 0; i < CLO_NET_HEADERS_MAX && q->headers[i]; i++) {
        bool secret = strncasecmp(q->headers[i], "Authorization:", 14) == 0 || strncasecmp(q->headers[i], "Cookie:", 7) == 0;
        if (at_home || !secret) list = curl_slist_append(list, q->headers[i]);
    }
    list = curl_slist_append(list, "Expect:"); /* no second round trip before a body */
    return q->give || q->body.ptr ? list : curl_slist_append(list, "Accept-Encoding: identity");
}

static void set_auth(CURL *c, const clo_net *n, clo_net_auth auth)
{
    if (auth == CLO_NET_BASIC) {
        curl_easy_setopt(c, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(c, CURLOPT_USERNAME, "token");
        curl_easy_setopt(c, CURLOPT_PASSWORD, n->token);
    } else {
        curl_easy_setopt(c, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, n->token);
    }
}

static void set_body(CURL *c, exchange *x)
{
    const clo_net_request *q = x->q;
    bool put = q->method && strcmp(q->method, "PUT") == 0;
    if (q->give) {
        curl_easy_setopt(c, CURLOPT_UPLOAD, 1L); /* PUT, unless the method is named */
        curl_easy_setopt(c, CURLOPT_READFUNCTION, give_body);
        curl_easy_setopt(c, CURLOPT_READDATA, x);
        curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->give_bytes);
        if (!put) curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
    } else if (q->method && strcmp(q->method, "GET") != 0) {
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->body.ptr ? (const char *)q->body.ptr : "");
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.len);
        if (put) curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, "PUT");
    }
}

static void set_all(CURL *c, exchange *x, const char *url, struct curl_slist *headers, bool with_token)
{
    curl_easy_reset(c);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)CLO_NET_STALL_S);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "cloche/" CLO_VERSION);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_head);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 256L << 10);
    curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, 1L << 20);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, look_up);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, x);
    if (x->q->seconds_max) curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)x->q->seconds_max);
    if (with_token) set_auth(c, x->n, x->q->auth);
    set_body(c, x);
}

/* The host alone: the rest of an address may be a secret. */
static void place_of(char out[300], const char *url)
{
    origin o;
    bool ok = origin_of(&o, url);
    snprintf(out, 300, "%.8s://%.250s:%.5s", ok ? o.scheme : "?", ok ? o.host : "?", ok ? o.port : "?");
    free_origin(&o);
}

static bool fail_curl(clo_err *err, CURLcode rc, const exchange *x, const char *url)
{
    char place[300];
    place_of(place, url);
    if (x->err.code != CLO_OK) {
        if (err) *err = x->err;
    } else if (rc == CURLE_UNSUPPORTED_PROTOCOL || rc == CURLE_URL_MALFORMAT)
        clo_fail(err, CLO_ERR_USAGE, "an address of http:// or https:// is expected");
    else if (rc == CURLE_WEIRD_SERVER_REPLY || rc == CURLE_UNSUPPORTED_PROTOCOL)
        clo_fail(err, CLO_ERR_FORMAT, "the reply is no HTTP");
    else if (rc == CURLE_OUT_OF_MEMORY) clo_fail(err, CLO_ERR_MEMORY, "HTTP client");
    else clo_fail(err, CLO_ERR_IO, "%s", curl_easy_strerror(rc));
    clo_err_context(err, "%s", place);
    return false;
}

/* What a body of JSON says: {"error": "..."} or {"message": "..."}. */
static void read_fault(exchange *x)
{
    json_t *o = NULL;
    if (x->out->why[0] || x->status < 400 || !clo_json_parse(&o, clo_buf_str(&x->fault), FAULT_BYTES_MAX, NULL)) return;
    clo_str s = clo_json_str(o, "error", clo_json_str(o, "message", CLO_STR("")));
    copy_plain(x->out->why, sizeof x->out->why, s);
    json_decref(o);
}

static bool exchange_once(exchange *x, const char *url, clo_err *err)
{
    clo_net *n = (clo_net *)(uintptr_t)x->n;
    bool with_token = x->q->auth != CLO_NET_NO_AUTH && n->token && n->origin && clo_net_same_origin(url, n->origin);
    struct curl_slist *headers = headers_of(x->q, url == x->q->url || clo_net_same_origin(url, x->q->url));
    char range[32];
    *x->out = (clo_net_reply){0};
    set_all(n->curl, x, url, headers, with_token);
    if (x->q->from) {
        snprintf(range, sizeof range, "%llu-", (unsigned long long)x->q->from);
        curl_easy_setopt(n->curl, CURLOPT_RANGE, range);
    }
    CURLcode rc = curl_easy_perform(n->curl);
    curl_slist_free_all(headers);
    x->out->status = x->status;
    read_fault(x);
    return rc == CURLE_OK || fail_curl(err, rc, x, url);
}

/* --- redirects ----------------------------------------------------------------------------------------------------*/

static bool is_redirect(unsigned status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Where to go on, when that is allowed. */
static bool follow(char next[CLO_NET_URL_MAX], const clo_net *n, const clo_net_request *q, const char *url, clo_err *err)
{
    char *to = NULL, place[300];
    if (curl_easy_getinfo(n->curl, CURLINFO_REDIRECT_URL, &to) != CURLE_OK || !to || strlen(to) >= CLO_NET_URL_MAX)
        return clo_fail(err, CLO_ERR_FORMAT, "a redirect to nowhere");
    place_of(place, to);
    if (!clo_net_same_origin(url, to) && !q->may_leave)
        return clo_fail(err, CLO_ERR_DENIED, "the server sends us to %s, which nobody asked for", place);
    if (strncasecmp(url, "https:", 6) == 0 && strncasecmp(to, "https:", 6) != 0)
        return clo_fail(err, CLO_ERR_DENIED, "the server sends us from https to %s", place);
    memcpy(next, to, strlen(to) + 1);
    return true;
}

bool clo_net_call(clo_net_reply *out, clo_net *n, const clo_net_request *q, clo_err *err)
{
    char url[CLO_NET_URL_MAX], next[CLO_NET_URL_MAX];
    bool get = !q->method || strcmp(q->method, "GET") == 0;
    *out = (clo_net_reply){0};
    if (strlen(q->url) >= sizeof url) return clo_fail(err, CLO_ERR_LIMIT, "an address of %zu bytes", strlen(q->url));
    memcpy(url, q->url, strlen(q->url) + 1);
    for (int hop = 0; hop <= REDIRECTS_MAX; hop++) {
        exchange x = {.n = n, .q = q, .out = out, .fault = {.max = FAULT_BYTES_MAX + 1}};
        bool ok = exchange_once(&x, url, err);
        clo_buf_free(&x.fault);
        if (!ok || !get || !is_redirect(out->status)) return ok;
        if (!follow(next, n, q, url, err)) return false;
        memcpy(url, next, strlen(next) + 1);
    }
    return clo_fail(err, CLO_ERR_LIMIT, "more than %d redirects", REDIRECTS_MAX);
}

bool clo_net_refused(const clo_net_reply *r, const clo_net_request *q, clo_err *err)
{
    char place[300];
    clo_code code = CLO_ERR_USAGE;
    if (r->status == 401 || r->status == 403) code = CLO_ERR_DENIED;
    if (r->status == 404) code = CLO_ERR_NOT_FOUND;
    if (r->status == 408 || r->status == 429 || r->status >= 500) code = CLO_ERR_IO;
    place_of(place, q->url);
    return clo_fail(err, code, "%s answers %u%s%s", place, r->status, r->why[0] ? ": " : "", r->why);
}

bool clo_net_to_buf(void *ctx, clo_bytes piece, clo_err *err)
{
    clo_buf *b = ctx;
    clo_buf_add(b, clo_str_of(piece));
    return clo_buf_ok(b, err);
}
