/* See remote_crew.h. */
#include "hub/remote_crew.h"

#include <stdlib.h>

#define BATCH_BYTES ((uint64_t)64 << 20) /* a batch is closed when its files come to more */

void clo_crew_count(clo_crew *c, int64_t bytes)
{
    pthread_mutex_lock(&c->lock);
    c->done = (uint64_t)((int64_t)c->done + bytes);
    if (c->progress && !atomic_load(&c->stop)) c->progress(c->progress_ctx, c->what, c->done < c->total ? c->done : c->total - 1, c->total);
    pthread_mutex_unlock(&c->lock);
}

/* The next files; 0: there are none, or it is over. */
static size_t take(const clo_lfs_pointer **out, clo_crew *c)
{
    size_t n = 0;
    uint64_t bytes = 0;
    pthread_mutex_lock(&c->lock);
    *out = c->files + c->next;
    size_t share = (c->n - c->next) / c->n_jobs + 1; /* so that the last ones are not one worker's */
    while (!atomic_load(&c->stop) && c->next < c->n && n < share && n < CLO_REMOTE_BATCH_MAX && bytes < BATCH_BYTES) {
        bytes += c->files[c->next++].size;
        n++;
    }
    pthread_mutex_unlock(&c->lock);
    return n;
}

static void *work(void *arg)
{
    clo_crew_hand *h = arg;
    clo_crew *c = h->crew;
    const clo_lfs_pointer *files;
    size_t n = 1;
    bool ok = clo_db_open(&h->files.db, c->data_dir, &h->err) && clo_remote_net(&h->net, c->remote, &h->err);
    h->files.data_dir = c->data_dir;
    while (ok && (n = take(&files, c)) > 0) ok = c->work(h, files, n, &h->err);
    clo_net_close(h->net);
    clo_db_close(h->files.db);
    if (ok) return NULL;
    pthread_mutex_lock(&c->lock);
    if (c->err.code == CLO_OK) c->err = h->err;
    atomic_store(&c->stop, true);
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

bool clo_crew_run(clo_crew *c, clo_err *err)
{
    size_t n_started = 0;
    if (c->n == 0) return true;
    if (c->n_jobs == 0) c->n_jobs = 1;
    clo_crew_hand *hands = calloc(c->n_jobs, sizeof *hands);
    pthread_t *threads = calloc(c->n_jobs, sizeof *threads);
    if (hands && threads) {
        pthread_mutex_init(&c->lock, NULL);
        c->remote->stop = &c->stop;
        for (size_t i = 0; i < c->n; i++) c->total += c->files[i].size;
        for (; n_started < c->n_jobs; n_started++) {
            hands[n_started].crew = c;
            if (pthread_create(&threads[n_started], NULL, work, &hands[n_started]) != 0) break;
        }
        for (size_t i = 0; i < n_started; i++) pthread_join(threads[i], NULL);
        if (c->progress) c->progress(c->progress_ctx, c->what, c->total, c->total);
        c->remote->stop = NULL;
        pthread_mutex_destroy(&c->lock);
    }
    free(hands);
    free(threads);
    if (n_started == 0) return clo_fail(err, CLO_ERR_MEMORY, "threads");
    if (c->err.code != CLO_OK && err) *err = c->err;
    return c->err.code == CLO_OK;
}
