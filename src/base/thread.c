/* The pool's hand-off is a generation counter: the caller stores the job and raises it, workers spin on it for a while
 * and then sleep on a condition variable. Between two kernels of a forward pass nobody sleeps; between two answers
 * everybody does. */
#include "base/thread.h"

#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

#define SPIN_RUN 20000 /* looks at the counter before a worker sleeps: about 100 microseconds */
#define SPIN_BARRIER 2000

#if defined(__x86_64__)
#define cpu_relax() __builtin_ia32_pause()
#else
#define cpu_relax() __asm__ volatile("yield" ::: "memory")
#endif

/* --- how many processors ------------------------------------------------------------------------------------------ */

static bool read_line(const char *path, char *out, size_t cap)
{
    FILE *f = fopen(path, "re");
    if (!f) return false;
    bool ok = fgets(out, (int)cap, f) != NULL;
    fclose(f);
    return ok;
}

/* Quota of one cgroup folder in processors, rounded up, or `most` when it has none. */
static size_t quota_v2(const char *folder, size_t most)
{
    char path[4400], line[128];
    long long quota, period;
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", folder);
    if (!read_line(path, line, sizeof line) || sscanf(line, "%lld %lld", &quota, &period) != 2) return most;
    if (quota <= 0 || period <= 0) return most;
    return clo_min(most, (size_t)((quota + period - 1) / period));
}

static size_t quota_v1(const char *folder, size_t most)
{
    char path[4400], line[128];
    long long quota = 0, period = 0;
    snprintf(path, sizeof path, "/sys/fs/cgroup/cpu%s/cpu.cfs_quota_us", folder);
    if (read_line(path, line, sizeof line)) quota = strtoll(line, NULL, 10);
    snprintf(path, sizeof path, "/sys/fs/cgroup/cpu%s/cpu.cfs_period_us", folder);
    if (read_line(path, line, sizeof line)) period = strtoll(line, NULL, 10);
    if (quota <= 0 || period <= 0) return most;
    return clo_min(most, (size_t)((quota + period - 1) / period));
}

/* Walks from this process's cgroup to the root: a limit anywhere on the way binds. */
static size_t cgroup_quota(size_t most)
{
    FILE *f = fopen("/proc/self/cgroup", "re");
    char line[4200];
    size_t n = most;
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path) continue;
        *path++ = 0;
        controllers++;
        bool v2 = controllers[0] == 0;
        if (!v2 && !strstr(controllers, "cpu")) continue;
        for (;;) {
            size_t len = strlen(path);
            if (len == 1 && path[0] == '/') path[len = 0] = 0;
            n = v2 ? quota_v2(path, n) : quota_v1(path, n);
            char *slash = strrchr(path, '/');
            if (!slash) break;
            *slash = 0;
        }
    }
    if (f) fclose(f);
    return n;
}

static size_t affinity(cpu_set_t *set)
{
    CPU_ZERO(set);
    if (sched_getaffinity(0, sizeof *set, set)) {
        long n = sysconf(_SC_NPROCESSORS_ONLN);
        return n > 0 ? (size_t)n : 1;
    }
    return (size_t)CPU_COUNT(set);
}

size_t clo_cpu_quota(void)
{
    cpu_set_t set;
    return clo_max(1, cgroup_quota(affinity(&set)));
}

/* --- the pool ------------------------------------------------------------------------------------------------------ */

struct worker {
    struct clo_pool *pool;
    size_t i;
    pthread_t thread;
};

struct clo_pool {
    size_t n_threads;
    bool crowded;             /* more threads than processors: spinning would only steal time */
    bool pinned, let_go;      /* threads have a processor each; the opener has its own ones again */
    cpu_set_t caller_was;     /* affinity of the caller before pinning */
    clo_pool_fn *fn;          /* the run's job, published by `generation` */
    void *ctx;
    atomic_uint generation;   /* raised once a run */
    atomic_uint n_done;       /* workers that ended the run */
    atomic_bool stop;
    atomic_uint barrier_in, barrier_phase;
    atomic_uint n_sleeping;
    pthread_mutex_t lock;     /* with `wake`: workers that gave up spinning */
    pthread_cond_t wake;
    struct worker workers[];  /* [n_threads]; the caller is 0 and has no thread */
};

/* Results are only the same everywhere under the IEEE defaults: nearest, subnormals kept. */
static bool float_env_is_right(void)
{
    volatile float tiny = 0x1p-126f, half = 0.5f;
    volatile float sub = tiny * half;
    return fegetround() == FE_TONEAREST && sub > 0.0f && sub + sub == tiny;
}

static void must_float_env(void)
{
    if (float_env_is_right()) return;
    fprintf(stderr, "cloche: floating-point environment is not IEEE default (rounding or subnormals)\n");
    abort();
}

static void pin(size_t i)
{
    cpu_set_t all, one;
    affinity(&all);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all) || i-- > 0) continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        pthread_setaffinity_np(pthread_self(), sizeof one, &one);
        return;
    }
}

static unsigned wait_for_run(clo_pool *p, unsigned seen)
{
    for (int spin = 0; spin < (p->crowded ? 1 : SPIN_RUN); spin++) {
        unsigned g = atomic_load_explicit(&p->generation, memory_order_acquire);
        if (g != seen) return g;
        cpu_relax();
    }
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->n_sleeping, 1);
    unsigned g;
    while ((g = atomic_load(&p->generation)) == seen) pthread_cond_wait(&p->wake, &p->lock);
    atomic_fetch_sub(&p->n_sleeping, 1);
    pthread_mutex_unlock(&p->lock);
    return g;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    clo_pool *p = w->pool;
    unsigned seen = 0;
    must_float_env();
    if (p->pinned) pin(w->i);
    for (;;) {
        seen = wait_for_run(p, seen);
        if (atomic_load(&p->stop)) return NULL;
        p->fn(p->ctx, w->i, p->n_threads);
        atomic_fetch_add_explicit(&p->n_done, 1, memory_order_release);
    }
}

static void raise_generation(clo_pool *p)
{
    atomic_fetch_add(&p->generation, 1);
    if (!atomic_load(&p->n_sleeping)) return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

/* Workers take no signals but those of their own faults: the others are for the threads that wait for something. Returns
 * an errno. */
static int start(struct worker *w)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
    sigset_t all, was;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_SETMASK, &all, &was);
    int e = pthread_create(&w->thread, NULL, worker_main, w);
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    return e;
}

bool clo_pool_open(clo_pool **out, size_t n_threads, clo_err *err)
{
    *out = NULL;
    size_t quota = clo_cpu_quota();
    if (n_threads == 0) n_threads = clo_min(quota, CLO_THREADS_MAX);
    if (n_threads > CLO_THREADS_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "%zu threads asked for, limit %d", n_threads, CLO_THREADS_MAX);
    clo_pool *p = calloc(1, sizeof *p + n_threads * sizeof p->workers[0]);
    if (!p) return clo_fail(err, CLO_ERR_MEMORY, "thread pool: no memory");
    must_float_env();
    p->n_threads = n_threads;
    p->crowded = n_threads > quota;
    /* Pinned when the pool takes every processor it may: then the scheduler has nothing to choose and can only err. */
    p->pinned = n_threads > 1 && n_threads == affinity(&p->caller_was);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    for (size_t i = 1; i < n_threads; i++) {
        p->workers[i] = (struct worker){.pool = p, .i = i};
        int e = start(&p->workers[i]);
        if (e) {
            p->n_threads = i;
            p->pinned = false;
            clo_pool_close(p);
            return clo_fail_sys(err, e, "start thread %zu", i);
        }
    }
    /* Last, so that no worker inherits a mask of one processor before it has pinned itself. */
    if (p->pinned) pin(0);
    *out = p;
    return true;
}

void clo_pool_close(clo_pool *p)
{
    if (!p) return;
    atomic_store(&p->stop, true);
    raise_generation(p);
    for (size_t i = 1; i < p->n_threads; i++) pthread_join(p->workers[i].thread, NULL);
    clo_pool_let_go(p);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->wake);
    free(p);
}

void clo_pool_let_go(clo_pool *p)
{
    if (!p->pinned || p->let_go) return;
    pthread_setaffinity_np(pthread_self(), sizeof p->caller_was, &p->caller_was);
    p->let_go = true;
}

size_t clo_pool_threads(const clo_pool *p)
{
    return p->n_threads;
}

void clo_pool_run(clo_pool *p, clo_pool_fn *fn, void *ctx)
{
    if (p->n_threads == 1) {
        fn(ctx, 0, 1);
        return;
    }
    p->fn = fn;
    p->ctx = ctx;
    atomic_store_explicit(&p->n_done, 0, memory_order_relaxed);
    raise_generation(p);
    fn(ctx, 0, p->n_threads);
    for (int spin = 0; atomic_load_explicit(&p->n_done, memory_order_acquire) != p->n_threads - 1; spin++) {
        if (p->crowded || spin > SPIN_BARRIER)
            sched_yield();
        else
            cpu_relax();
    }
}

void clo_pool_barrier(clo_pool *p)
{
    if (p->n_threads == 1) return;
    unsigned phase = atomic_load_explicit(&p->barrier_phase, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&p->barrier_in, 1, memory_order_acq_rel) == p->n_threads - 1) {
        atomic_store_explicit(&p->barrier_in, 0, memory_order_relaxed);
        atomic_store_explicit(&p->barrier_phase, phase + 1, memory_order_release);
        return;
    }
    for (int spin = 0; atomic_load_explicit(&p->barrier_phase, memory_order_acquire) == phase; spin++) {
        if (p->crowded || spin > SPIN_BARRIER)
            sched_yield();
        else
            cpu_relax();
    }
}

/* --- turns --------------------------------------------------------------------------------------------------------- */

void clo_turn_init(clo_turn *t)
{
    *t = (clo_turn){.next = 0};
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->change, NULL);
}

void clo_turn_free(clo_turn *t)
{
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->change);
}

void clo_turn_take(clo_turn *t)
{
    pthread_mutex_lock(&t->lock);
    uint64_t mine = t->next++;
    while (t->serving != mine) pthread_cond_wait(&t->change, &t->lock);
    pthread_mutex_unlock(&t->lock);
}

void clo_turn_give(clo_turn *t)
{
    pthread_mutex_lock(&t->lock);
    t->serving++;
    pthread_cond_broadcast(&t->change);
    pthread_mutex_unlock(&t->lock);
}

void clo_split(size_t n, size_t grain, size_t i_thread, size_t n_threads, size_t *begin, size_t *end)
{
    size_t n_grains = clo_ceil_div(n, grain);
    *begin = clo_min(n, n_grains * i_thread / n_threads * grain);
    *end = clo_min(n, n_grains * (i_thread + 1) / n_threads * grain);
}
