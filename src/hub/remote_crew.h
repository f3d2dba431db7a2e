/* Workers that send or bring large files: each takes a few at a time from a list, with a connection and a database of its own.
 *
 *   clo_crew c = {.remote = &r, .data_dir = dir, .files = rows, .n = n, .work = bring, .n_jobs = 4};
 *   if (!clo_crew_run(&c, &err)) ...            // the first failure ends all
 *
 * A worker is given a batch of at most CLO_REMOTE_BATCH_MAX files, or one that is large. */
#ifndef CLO_HUB_REMOTE_CREW_H
#define CLO_HUB_REMOTE_CREW_H

#include <pthread.h>

#include "hub/files.h"
#include "hub/remote.h"

typedef struct clo_crew clo_crew;

/* One worker. */
typedef struct {
    clo_crew *crew;
    clo_net *net;
    clo_files files;
    clo_err err;
} clo_crew_hand;

typedef bool clo_crew_fn(clo_crew_hand *h, const clo_lfs_pointer *files, size_t n, clo_err *err);

struct clo_crew {
    clo_remote *remote; /* its stop is the crew's while it runs */
    const char *data_dir;
    const clo_lfs_pointer *files;
    size_t n, n_jobs;
    clo_crew_fn *work;
    const char *what; /* for progress */
    void (*progress)(void *ctx, const char *what, uint64_t done, uint64_t total);
    void *progress_ctx;
    int64_t now_s;
    /* Of the run. */
    pthread_mutex_t lock;
    size_t next;          /* guarded by lock */
    uint64_t done, total; /* bytes; guarded by lock */
    clo_err err;          /* guarded by lock: the first */
    atomic_bool stop;
};

CLO_CHECK bool clo_crew_run(clo_crew *c, clo_err *err);
/* Bytes that are there now; negative ones are to come again. Any worker. */
void clo_crew_count(clo_crew *c, int64_t bytes);

#endif
