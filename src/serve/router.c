/* See router.h. */
#include "serve/router.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "serve/account.h"
#include "serve/changes.h"
#include "serve/hub.h"
#include "serve/server_impl.h"
#include "serve/web.h"

/* --- matching -----------------------------------------------------------------------------------------------------*/

static bool path_fits(const clo_route *route, clo_str path, clo_str *rest)
{
    clo_str want = clo_str_from(route->path);
    *rest = (clo_str){0};
    if (!clo_str_ends_with(want, CLO_STR("*"))) return clo_str_eq(want, path);
    want.len--;
    if (!clo_str_starts_with(path, want) || path.len == want.len) return false;
    *rest = clo_str_from_off(path, want.len);
    return true;
}

static bool method_fits(const char *name, clo_str method)
{
    clo_str want = clo_str_from(name);
    return clo_str_eq(want, method) || clo_str_eq(want, CLO_STR("*")) || (clo_str_eq(want, CLO_STR("GET")) && clo_str_eq(method, CLO_STR("HEAD")));
}

static void add_allowed(char allow[64], const char *method)
{
    size_t len = strlen(allow);
    bool get = strcmp(method, "GET") == 0;
    if (!strstr(allow, method)) snprintf(allow + len, 64 - len, "%s%s%s", len ? ", " : "", method, get ? ", HEAD" : "");
}

/* NULL: no path fits (allow empty), or none with this method (allow names those that there are). */
static const clo_route *find_route(clo_str method, clo_str path, char allow[64])
{
    size_t n;
    const clo_route *routes = clo_routes(&n);
    clo_str rest;
    allow[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        if (!path_fits(&routes[i], path, &rest)) continue;
        if (method_fits(routes[i].method, method)) return &routes[i];
        add_allowed(allow, routes[i].method);
    }
    return NULL;
}

static const clo_hub_route *find_hub_route(clo_request *r, char allow[64])
{
    size_t n;
    const clo_hub_route *routes = clo_hub_routes(&n);
    clo_hub_args args;
    for (size_t i = 0; i < n; i++) {
        if (!clo_hub_match(&args, routes[i].pattern, r)) continue;
        if (method_fits(routes[i].method, clo_request_method(r))) return &routes[i];
        add_allowed(allow, routes[i].method);
    }
    return NULL;
}

/* A route of the request's data is one of ours or one of the hub's. */
static const clo_hub_route *hub_route_of(const clo_request *r)
{
    size_t n;
    const clo_hub_route *routes = clo_hub_routes(&n), *route = (const clo_hub_route *)clo_request_route(r);
    return (uintptr_t)route >= (uintptr_t)routes && (uintptr_t)route < (uintptr_t)(routes + n) ? route : NULL;
}

static clo_surface surface_of_path(clo_str path)
{
    return clo_str_starts_with(path, CLO_STR("/api/")) ? CLO_SURFACE_OLLAMA : CLO_SURFACE_OPENAI;
}

clo_surface clo_route_surface(const clo_request *r)
{
    const clo_route *route = (const clo_route *)clo_request_route(r);
    if (hub_route_of(r)) return CLO_SURFACE_HUB;
    return route ? route->surface : surface_of_path(clo_request_path(r));
}

void clo_route_fail(clo_server *s, clo_request *r, const clo_api_error *e)
{
    clo_metrics_reject(s->metrics, e->kind);
    clo_reply_error(r, clo_route_surface(r), e);
}

/* --- hosts and origins --------------------------------------------------------------------------------------------*/

/* "name:port" or "[address]:port" without the port and the brackets. */
static clo_str host_name(clo_str host)
{
    if (host.len > 0 && host.ptr[0] == '[') {
        size_t end = clo_str_find(host, 0, ']');
        return (clo_str){host.ptr + 1, end > 0 ? end - 1 : 0};
    }
    return (clo_str){host.ptr, clo_str_find(host, 0, ':')};
}

static bool same_name(clo_str a, const char *b)
{
    return a.len == strlen(b) && strncasecmp(a.ptr, b, a.len) == 0;
}

static bool ends_name(clo_str a, const char *tail)
{
    size_t n = strlen(tail);
    return a.len > n && strncasecmp(a.ptr + (a.len - n), tail, n) == 0;
}

/* A number is no name that somebody could have registered. */
static bool is_address(clo_str name)
{
    bool colon = memchr(name.ptr, ':', name.len) != NULL;
    for (size_t i = 0; i < name.len; i++)
        if (!strchr(colon ? "0123456789abcdefABCDEF:." : "0123456789.", name.ptr[i])) return false;
    return name.len > 0;
}

static bool is_local_name(clo_str name)
{
    return same_name(name, "localhost") || ends_name(name, ".localhost") || same_name(name, "127.0.0.1") ||
           same_name(name, "::1");
}

static bool check_host(const clo_server *s, clo_request *r, clo_api_error *e)
{
    clo_str host = clo_request_header(r, "Host"), name = host_name(host);
    char machine[256] = "";
    const clo_http *http = clo_request_server(r);
    if (!clo_http_is_local(http) || host.len == 0 || is_address(name) || is_local_name(name)) return true;
    if (strncmp(clo_http_url(http), "unix:", 5) == 0) return true; /* no web page speaks to a socket file */
    gethostname(machine, sizeof machine - 1);
    if (machine[0] && same_name(name, machine)) return true;
    for (size_t i = 0; i < s->o.n_hosts; i++)
        if (same_name(name, s->o.hosts[i])) return true;
    return clo_api_fail(e, CLO_API_POLICY, NULL, "this server is not called '%.*s' (--allow-host NAME allows it)",
                        (int)(name.len > 100 ? 100 : name.len), name.ptr);
}

static bool origin_is_allowed(const clo_server *s, const clo_request *r, clo_str origin)
{
    clo_str host = clo_request_header(r, "Host"), rest = origin;
    if (clo_str_starts_with(origin, CLO_STR("http://"))) rest = clo_str_from_off(origin, 7);
    else if (clo_str_starts_with(origin, CLO_STR("https://"))) rest = clo_str_from_off(origin, 8);
    else rest = (clo_str){0};
    if (rest.len > 0 && (is_local_name(host_name(rest)) || clo_str_eq(rest, host))) return true;
    for (size_t i = 0; i < s->o.n_origins; i++)
        if (clo_str_eq(origin, clo_str_from(s->o.origins[i]))) return true;
    return false;
}

/* A page of this server itself, or of this machine, may ask; others' pages may not, whether they can read the answer or
 * not. Programs send no Origin. */
static bool check_origin(const clo_server *s, clo_request *r, clo_api_error *e)
{
    clo_str origin = clo_request_header(r, "Origin");
    char text[256];
    if (origin.len == 0) return true;
    if (origin.len >= sizeof text || !origin_is_allowed(s, r, origin))
        return clo_api_fail(e, CLO_API_POLICY, NULL, "pages of this origin may not ask (--allow-origin ORIGIN allows it)");
    snprintf(text, sizeof text, "%.*s", (int)origin.len, origin.ptr);
    clo_reply_header(r, "Access-Control-Allow-Origin", text);
    clo_reply_header(r, "Vary", "Origin");
    clo_reply_header(r, "Access-Control-Expose-Headers", "X-Request-Id, Retry-After, X-Truncated-Messages, X-Receipt-Id, X-Repo-Commit, X-Error-Code, X-Error-Message, "
                     "X-Total-Count, ETag, Link, Accept-Ranges, Content-Range, X-Linked-Size, X-Linked-ETag, X-Xet-Hash");
    return true;
}

static void reply_options(clo_request *r)
{
    clo_str wanted = clo_request_header(r, "Access-Control-Request-Headers");
    char headers[512] = "Authorization, Content-Type";
    bool plain = wanted.len > 0 && wanted.len < sizeof headers;
    for (size_t i = 0; plain && i < wanted.len; i++)
        plain = wanted.ptr[i] == '-' || wanted.ptr[i] == ',' || wanted.ptr[i] == ' ' || wanted.ptr[i] == '_' ||
                (wanted.ptr[i] >= '0' && wanted.ptr[i] <= '9') || ((wanted.ptr[i] | 32) >= 'a' && (wanted.ptr[i] | 32) <= 'z');
    if (plain) snprintf(headers, sizeof headers, "%.*s", (int)wanted.len, wanted.ptr);
    clo_reply_header(r, "Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    clo_reply_header(r, "Access-Control-Allow-Headers", headers);
    clo_reply_header(r, "Access-Control-Max-Age", "600");
    clo_reply(r, 204, NULL, CLO_STR(""));
}

/* --- the body -----------------------------------------------------------------------------------------------------*/

static bool too_large(clo_request *r, clo_api_error *e)
{
    return clo_api_fail(e, CLO_API_TOO_LARGE, NULL, "the body is larger than %zu bytes", clo_request_body_max(r));
}

static bool check_coding(clo_request *r, clo_api_error *e)
{
    clo_str coding = clo_request_header(r, "Content-Encoding");
    return coding.len == 0 || same_name(coding, "identity") ||
           clo_api_fail(e, CLO_API_BAD_ENCODING, NULL, "Content-Encoding: only identity is understood");
}

static bool check_length(clo_request *r, clo_api_error *e)
{
    clo_str length = clo_request_header(r, "Content-Length");
    bool large = length.len > 0 && length.len < 20 && strtoull(length.ptr, NULL, 10) > clo_request_body_max(r);
    return !large || too_large(r, e);
}

static bool check_body(const clo_route *route, clo_request *r, clo_api_error *e)
{
    clo_str type = clo_request_header(r, "Content-Type");
    const clo_str form = CLO_STR("multipart/form-data");
    if (!route->raw && type.len >= form.len && strncasecmp(type.ptr, form.ptr, form.len) == 0)
        return clo_api_fail(e, CLO_API_BAD_ENCODING, NULL, "Content-Type: application/json is expected");
    return check_coding(r, e) && (route->begin || check_length(r, e));
}

/* --- the key ------------------------------------------------------------------------------------------------------*/

/* Metrics are open to this machine's own collector, as they are to whoever may read its processes. */
static bool check_key(clo_server *s, const clo_route *route, const clo_request *r, clo_api_error *e)
{
    clo_caller who;
    bool local_metrics = strcmp(route->path, "/metrics") == 0 && clo_http_is_local(clo_request_server(r));
    return route->open || local_metrics || clo_account_who(&who, s, r, e);
}

/* --- the application's three calls --------------------------------------------------------------------------------*/

/* The pages' route where a browser asks for one: at an address that is nothing else of ours, or the list of models, which is. */
static const clo_route *find_page(const clo_server *s, clo_request *r, bool taken)
{
    char allow[64];
    clo_str path = clo_request_path(r);
    if (!s->hub || (taken && !clo_str_eq(path, CLO_STR("/models"))) || !clo_web_wants_page(r) || !clo_web_is_page(r)) return NULL;
    return find_route(CLO_STR("GET"), CLO_STR(CLO_ROUTE_PAGES), allow);
}

static bool choose_route(clo_server *s, clo_request *r, clo_http_way *way, clo_api_error *e)
{
    char allow[64];
    clo_str method = clo_request_method(r);
    bool may = check_host(s, r, e) && check_origin(s, r, e);
    if (may && s->hub && clo_hub_reply_kept(s, r)) return true;
    const clo_route *route = find_route(method, clo_request_path(r), allow);
    const clo_hub_route *hub = route || !s->hub ? NULL : find_hub_route(r, allow);
    const clo_route *page = find_page(s, r, route || (!hub && allow[0]));
    if (page) route = page;
    clo_request_set_route(r, route ? (const void *)route : (const void *)hub);
    if (!may) return false;
    if (clo_str_eq(method, CLO_STR("OPTIONS"))) {
        reply_options(r);
        return true;
    }
    if (hub) {
        *way = CLO_HTTP_WORKER;
        if (!(hub->begin || check_length(r, e)) || !(hub->any_coding || check_coding(r, e))) return false;
        clo_hub_begin(s, r, hub);
        return true;
    }
    if (!route && allow[0]) {
        clo_api_fail(e, CLO_API_NO_METHOD, NULL, "method not allowed; %s is expected", allow);
        e->allow = clo_arena_copy_str(clo_request_arena(r), clo_str_from(allow)).ptr;
        return false;
    }
    if (!route && surface_of_path(clo_request_path(r)) == CLO_SURFACE_OLLAMA)
        return clo_api_fail(e, CLO_API_NO_PATH, NULL, "404 page not found");
    if (!route) return clo_api_fail(e, CLO_API_NO_PATH, NULL, "unknown URL: no such path here");
    *way = route->way;
    clo_str rest = {0};
    return check_key(s, route, r, e) && (!route->admin || clo_account_may_change(s, r, e)) && check_body(route, r, e) &&
           (!route->begin || (path_fits(route, clo_request_path(r), &rest) && route->begin(s, r, rest, e)));
}

static clo_http_way begin(void *ctx, clo_request *r)
{
    clo_server *s = (clo_server *)ctx;
    clo_api_error e = {0};
    clo_http_way way = CLO_HTTP_AT_ONCE;
    if (!choose_route(s, r, &way, &e)) clo_route_fail(s, r, &e);
    return way;
}

static void handle(void *ctx, clo_request *r)
{
    clo_server *s = (clo_server *)ctx;
    const clo_route *route = (const clo_route *)clo_request_route(r);
    const clo_hub_route *hub = hub_route_of(r);
    clo_api_error e = {0};
    clo_str rest;
    switch (clo_request_body_fault(r)) {
    case CLO_BODY_TOO_LARGE: too_large(r, &e); break;
    case CLO_BODY_NO_ROOM:
        clo_api_fail(&e, CLO_API_BUSY, NULL, "server busy, please try again.  too many large requests");
        break;
    case CLO_BODY_WHOLE:
    case CLO_BODY_REFUSED: /* its handler knows why */
        if (hub) clo_hub_run_route(s, r, hub);
        else if (path_fits(route, clo_request_path(r), &rest) || strcmp(route->path, CLO_ROUTE_PAGES) == 0) route->run(s, r, rest);
        return;
    }
    clo_route_fail(s, r, &e);
}

/* Methods of one path count together. */
static size_t label_of(const clo_request *r)
{
    size_t n, i = 0;
    const clo_route *routes = clo_routes(&n), *route = (const clo_route *)clo_request_route(r);
    if (hub_route_of(r)) return n + 1;
    while (route && i < n && strcmp(routes[i].path, route->path) != 0) i++;
    return route ? i : n;
}

static void end(void *ctx, clo_request *r)
{
    clo_server *s = (clo_server *)ctx;
    clo_metrics_request(s->metrics, label_of(r), clo_request_status(r),
                        clo_request_age_s(r));
    clo_changes_drop(s, r);
}

clo_http_app clo_router_app(clo_server *s)
{
    return (clo_http_app){s, begin, handle, end};
}

size_t clo_router_labels(const char *out[CLO_ROUTES_MAX])
{
    size_t n;
    const clo_route *routes = clo_routes(&n);
    for (size_t i = 0; i < n; i++) out[i] = routes[i].path;
    out[n] = "unknown";
    out[n + 1] = "hub";
    return n + 2;
}
