/* Probes: whether the server lives, is ready, and what it is. They load no model, wait for no disk, and need no key. */
#ifndef CLO_SERVE_HEALTH_H
#define CLO_SERVE_HEALTH_H

#include "serve/router.h"

void clo_health_root(clo_server *s, clo_request *r, clo_str rest);    /* / */
void clo_health_live(clo_server *s, clo_request *r, clo_str rest);    /* /livez */
void clo_health_ping(clo_server *s, clo_request *r, clo_str rest);    /* /ping */
void clo_health_ready(clo_server *s, clo_request *r, clo_str rest);   /* /readyz */
void clo_health_health(clo_server *s, clo_request *r, clo_str rest);  /* /health, in llama-server's shape */
void clo_health_version(clo_server *s, clo_request *r, clo_str rest); /* /version */
void clo_health_metrics(clo_server *s, clo_request *r, clo_str rest); /* /metrics */

#endif
