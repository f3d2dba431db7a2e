/* Routes: one table of method, path, handler and interface; and what every request must pass before its handler.
 *
 * In order: the Host header (a server that only this machine reaches answers to no foreign name, against DNS rebinding),
 * the Origin header (web pages from elsewhere are refused), OPTIONS, the route, its method, the key (account.h), the body's
 * kind and size.
 * A path may end in a star, which stands for the rest of it, slashes included. What fits no path is looked for among the
 * hub's patterns (hub.h), which ask for tokens themselves. */
#ifndef CLO_SERVE_ROUTER_H
#define CLO_SERVE_ROUTER_H

#include "serve/api_error.h"
#include "serve/http.h"
#include "serve/server.h"

typedef struct {
    const char *method; /* "GET" serves HEAD too */
    const char *path;
    void (*run)(clo_server *s, clo_request *r, clo_str rest); /* rest: what the star stands for */
    clo_surface surface;
    clo_http_way way;
    bool open;          /* nobody is asked for a key */
    bool raw;           /* the body is bytes, not JSON */
    bool admin;         /* only for who may change models */
    /* For a body that is not kept: gives the request a sink (http.h), once everything else was asked. NULL: none. */
    bool (*begin)(clo_server *s, clo_request *r, clo_str rest, clo_api_error *e);
} clo_route;

/* Stands in the table for all pages of the hub (web.h): what a browser asks for and nothing else fits. */
#define CLO_ROUTE_PAGES "/{page}"

/* The table (routes.c); *n rows. The label of a route in metrics is its path. */
const clo_route *clo_routes(size_t *n);

/* The application to give to clo_http_open. */
clo_http_app clo_router_app(clo_server *s);
/* Labels of clo_metrics_open, the last one for requests that fit no route; how many. */
#define CLO_ROUTES_MAX 96
size_t clo_router_labels(const char *out[CLO_ROUTES_MAX]);

/* Replies with an error in the shape of the request's interface, and counts it. */
void clo_route_fail(clo_server *s, clo_request *r, const clo_api_error *e);
clo_surface clo_route_surface(const clo_request *r);

#endif
