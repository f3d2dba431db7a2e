/* Threads: how many this process may use, and a pool that runs one function on all of them.
 *
 * The pool is made for kernels: a run costs about a microsecond, its barrier spins briefly and then yields, and threads
 * are pinned one to a processor when the machine lets us. The number of threads never changes a bit of any result:
 * callers split outputs, never sums.
 *
 *   clo_pool *pool = NULL;
 *   if (!clo_pool_open(&pool, 0, err)) ...            // 0: as many as clo_cpu_quota says
 *   clo_pool_run(pool, work, &job);                    // work(&job, i_thread, n_threads) on every thread, then returns
 *   clo_pool_close(pool);
 */
#ifndef CLO_BASE_THREAD_H
#define CLO_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Processors this process may use at once: the smallest of its affinity mask (which a cpuset narrows) and its cgroup
 * CPU quota (v2 cpu.max on the path to the root, v1 cpu.cfs_quota_us), rounded up; at least 1. */
size_t clo_cpu_quota(void);

typedef struct clo_pool clo_pool;
typedef void clo_pool_fn(void *ctx, size_t i_thread, size_t n_threads);

#define CLO_THREADS_MAX 256

/* n_threads 0 means clo_cpu_quota(). Every thread checks that it rounds to nearest and keeps subnormals. */
CLO_CHECK bool clo_pool_open(clo_pool **out, size_t n_threads, clo_err *err);
void clo_pool_close(clo_pool *p);
size_t clo_pool_threads(const clo_pool *p);
/* The thread that opened the pool may be bound to a processor, as may threads that it starts afterwards. This frees it: for
 * one who opens a pool that other threads run. Called by the opener. */
void clo_pool_let_go(clo_pool *p);

/* Runs fn on every thread (the caller is thread 0) and returns when all are done. One run at a time. */
void clo_pool_run(clo_pool *p, clo_pool_fn *fn, void *ctx);

/* Inside fn: waits until every thread of the run has come here. Memory written before is seen after. */
void clo_pool_barrier(clo_pool *p);

/* A lock that is given in the order in which it was asked for, so that none who comes back at once can keep others out. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t change;
    uint64_t next, serving; /* guarded by lock: the number that the next to ask gets, and the one whose turn it is */
} clo_turn;

void clo_turn_init(clo_turn *t);
void clo_turn_free(clo_turn *t);
void clo_turn_take(clo_turn *t);
void clo_turn_give(clo_turn *t);

/* The part of n items that thread i of n_threads takes: [*begin, *end), contiguous, in multiples of `grain` (> 0)
 * except at the end. */
void clo_split(size_t n, size_t grain, size_t i_thread, size_t n_threads, size_t *begin, size_t *end);

#endif
