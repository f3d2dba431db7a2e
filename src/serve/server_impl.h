/* What handlers see of the server. */
#ifndef CLO_SERVE_SERVER_IMPL_H
#define CLO_SERVE_SERVER_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "serve/changes.h"
#include "serve/http.h"
#include "serve/hub.h"
#include "hub/keys.h"
#include "serve/ledger.h"
#include "serve/metrics.h"
#include "serve/models.h"
#include "serve/router.h"
#include "serve/server.h"

/* The thread that keeps stored receipts within their limits and brings to disk when keys were last used; none runs without a data
 * folder. */
typedef struct {
    pthread_t thread;
    pthread_mutex_t lock;  /* guards stopping */
    pthread_cond_t stop;
    bool running, stopping;
} clo_sweeper;

struct clo_server {
    clo_server_opts o;
    clo_http *http;       /* owned */
    clo_models *models;   /* owned */
    clo_metrics *metrics; /* owned */
    clo_keys *keys;       /* owned; NULL without a data folder */
    clo_ledger *ledger;   /* owned; NULL without a data folder */
    clo_hub *hub;         /* owned; NULL without a data folder */
    const char *isa;      /* instruction set in use */
    const char *labels[CLO_ROUTES_MAX]; /* of the metrics */
    atomic_bool draining;
    clo_sweeper sweeper;
    clo_changes changes;
};

#endif
