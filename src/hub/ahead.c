/* See ahead.h. */
#include "hub/ahead.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "hub/reader.h"

#define UPLOADS_MAX 16
#define XORBS_MAX ((size_t)1 << 18) /* of an upload: 16 TiB */
#define XORBS_MIN 2                 /* before it is hashed: less is soon done when the shard comes */
#define DOUBT_S 600
#define STEP ((size_t)512 << 10)

typedef struct {
    clo_xet_hash hash;
    bool here, failed;
    uint64_t raw_bytes;  /* once it is here */
    clo_sha256_ctx sum;  /* owned: of all xorbs up to this one; ctx NULL: not yet */
} xorb;

typedef struct {
    int64_t repo;       /* 0: the place is free */
    xorb *xorbs;        /* owned; in the order of their beginning */
    size_t n, cap;
    size_t n_hashed;    /* the first ones, or failed */
    bool at_work;       /* a thread hashes */
    bool given_up;      /* until the shard comes */
    bool used;          /* something was taken */
    int64_t used_s, doubted_until_s;
} upload;

struct clo_ahead {
    char *data_dir; /* owned */
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t rested; /* a thread has ended */
    upload uploads[UPLOADS_MAX];
    size_t n_threads;
    bool closing;
};

static int64_t now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

bool clo_ahead_open(clo_ahead **out, const char *data_dir, clo_err *err)
{
    clo_ahead *a = (clo_ahead *)calloc(1, sizeof *a);
    *out = NULL;
    if (!a || !(a->data_dir = strdup(data_dir))) {
        free(a);
        return clo_fail(err, CLO_ERR_MEMORY, "hashing ahead");
    }
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->rested, NULL);
    *out = a;
    return true;
}

/* --- uploads; with the lock held ----------------------------------------------------------------------------------*/

static void drop_sum(clo_sha256_ctx *sum)
{
    if (sum->ctx) (void)clo_sha256_end(sum);
}

/* Nobody is at work on it. */
static void forget_xorbs(upload *u)
{
    for (size_t i = 0; i < u->n; i++) drop_sum(&u->xorbs[i].sum);
    free(u->xorbs);
    u->xorbs = NULL;
    u->n = u->cap = u->n_hashed = 0;
    u->given_up = u->used = false;
}

static upload *find(clo_ahead *a, int64_t repo)
{
    for (size_t i = 0; i < UPLOADS_MAX; i++)
        if (a->uploads[i].repo == repo) return &a->uploads[i];
    return NULL;
}

/* The repository's, or a place that is free, or that of who was not heard of for longest; NULL: all are at work. */
static upload *find_place(clo_ahead *a, int64_t repo)
{
    upload *u = find(a, repo);
    for (size_t i = 0; !u && i < UPLOADS_MAX; i++)
        if (a->uploads[i].repo == 0) u = &a->uploads[i];
    if (!u) {
        for (size_t i = 0; i < UPLOADS_MAX; i++)
            if (!a->uploads[i].at_work && (!u || a->uploads[i].used_s < u->used_s)) u = &a->uploads[i];
        if (u) forget_xorbs(u);
        if (u) *u = (upload){0};
    }
    if (u) u->repo = repo;
    if (u) u->used_s = now_s();
    return u;
}

/* The latest of this name. */
static xorb *find_xorb(clo_ahead *a, int64_t repo, const clo_xet_hash *hash)
{
    upload *u = find(a, repo);
    for (size_t i = u ? u->n : 0; i-- > 0;)
        if (clo_xet_hash_eq(&u->xorbs[i].hash, hash)) return &u->xorbs[i];
    return NULL;
}

/* --- the work -----------------------------------------------------------------------------------------------------*/

static bool add_xorb(clo_sha256_ctx *sum, const char *data_dir, const clo_xet_hash *hash, uint64_t raw_bytes)
{
    const clo_files f = {.data_dir = data_dir};
    clo_reader *r = NULL;
    size_t got = 1;
    uint8_t *buf = (uint8_t *)malloc(STEP);
    bool ok = buf && clo_reader_open_xorb(&r, &f, hash, raw_bytes, NULL);
    while (ok && got) {
        ok = clo_reader_read(r, buf, STEP, &got, NULL);
        if (ok) clo_sha256_add(sum, buf, got);
    }
    clo_reader_close(r);
    free(buf);
    return ok;
}

/* The first that is not hashed, if it is here; those that failed are passed over. With the lock held. */
static xorb *next(upload *u)
{
    while (u->n_hashed < u->n && u->xorbs[u->n_hashed].failed) u->n_hashed++;
    if (u->given_up || u->n < XORBS_MIN || u->n_hashed == u->n || !u->xorbs[u->n_hashed].here) return NULL;
    return &u->xorbs[u->n_hashed];
}

/* The sum of the ones before. With the lock held. */
static void begin_sum(clo_sha256_ctx *out, const upload *u, size_t n_before)
{
    while (n_before > 0 && !u->xorbs[n_before - 1].sum.ctx) n_before--;
    if (n_before > 0) clo_sha256_copy(out, &u->xorbs[n_before - 1].sum);
    else clo_sha256_begin(out);
}

typedef struct {
    clo_ahead *a;
    upload *u;
} job;

static void *work(void *ctx)
{
    job j = *(job *)ctx;
    clo_ahead *a = j.a;
    upload *u = j.u;
    xorb *x;
    free(ctx);
    pthread_mutex_lock(&a->lock);
    while (!a->closing && (x = next(u)) != NULL) {
        clo_sha256_ctx sum;
        clo_xet_hash hash = x->hash;
        uint64_t raw_bytes = x->raw_bytes;
        begin_sum(&sum, u, u->n_hashed);
        pthread_mutex_unlock(&a->lock);
        bool ok = add_xorb(&sum, a->data_dir, &hash, raw_bytes);
        pthread_mutex_lock(&a->lock);
        if (ok) u->xorbs[u->n_hashed++].sum = sum;
        else drop_sum(&sum);
        u->given_up = u->given_up || !ok;
        u->used_s = now_s();
    }
    u->at_work = false;
    a->n_threads--;
    pthread_cond_broadcast(&a->rested);
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

/* With the lock held. */
static void start_work(clo_ahead *a, upload *u)
{
    pthread_t t;
    job *j = !u->at_work && next(u) ? (job *)malloc(sizeof *j) : NULL;
    if (!j) return;
    *j = (job){a, u};
    u->at_work = pthread_create(&t, NULL, work, j) == 0;
    if (!u->at_work) {
        free(j);
        return;
    }
    pthread_detach(t);
    a->n_threads++;
}

/* No thread is at work on the repository's xorbs any more, nor begins. With the lock held. */
static upload *stop_work(clo_ahead *a, int64_t repo)
{
    upload *u = find(a, repo);
    if (!u) return NULL;
    u->given_up = true;
    while (u->at_work) pthread_cond_wait(&a->rested, &a->lock);
    return u->repo == repo ? u : NULL;
}

void clo_ahead_wait(clo_ahead *a)
{
    pthread_mutex_lock(&a->lock);
    while (a->n_threads > 0) pthread_cond_wait(&a->rested, &a->lock);
    pthread_mutex_unlock(&a->lock);
}

void clo_ahead_close(clo_ahead *a)
{
    if (!a) return;
    pthread_mutex_lock(&a->lock);
    a->closing = true;
    pthread_mutex_unlock(&a->lock);
    clo_ahead_wait(a);
    for (size_t i = 0; i < UPLOADS_MAX; i++) forget_xorbs(&a->uploads[i]);
    pthread_cond_destroy(&a->rested);
    pthread_mutex_destroy(&a->lock);
    free(a->data_dir);
    free(a);
}

/* --- what is told -------------------------------------------------------------------------------------------------*/

static void add_upload(upload *u, const clo_xet_hash *hash)
{
    if (u->given_up || u->doubted_until_s > now_s()) return;
    if (u->n == u->cap) {
        size_t cap = u->cap ? 2 * u->cap : 16;
        /* The thread looks at them with the lock held only. */
        xorb *more = u->n < XORBS_MAX ? (xorb *)realloc(u->xorbs, cap * sizeof *more) : NULL;
        u->given_up = !more;
        if (!more) return;
        u->xorbs = more;
        u->cap = cap;
    }
    u->xorbs[u->n++] = (xorb){.hash = *hash};
}

void clo_ahead_begins(clo_ahead *a, int64_t repo, const clo_xet_hash *hash)
{
    if (!a) return;
    pthread_mutex_lock(&a->lock);
    upload *u = find_place(a, repo);
    if (u) add_upload(u, hash);
    if (u) start_work(a, u);
    pthread_mutex_unlock(&a->lock);
}

void clo_ahead_is_here(clo_ahead *a, int64_t repo, const clo_xet_hash *hash, uint64_t raw_bytes)
{
    if (!a) return;
    pthread_mutex_lock(&a->lock);
    xorb *x = find_xorb(a, repo, hash);
    if (x) {
        x->here = true;
        x->raw_bytes = raw_bytes;
        start_work(a, find(a, repo));
    }
    pthread_mutex_unlock(&a->lock);
}

void clo_ahead_fails(clo_ahead *a, int64_t repo, const clo_xet_hash *hash)
{
    if (!a) return;
    pthread_mutex_lock(&a->lock);
    xorb *x = find_xorb(a, repo, hash);
    if (x && !x->here) {
        x->failed = true;
        start_work(a, find(a, repo));
    }
    pthread_mutex_unlock(&a->lock);
}

/* --- what came of it ----------------------------------------------------------------------------------------------*/

/* How many terms from the i-th on are one xorb, whole; 0: they are not. */
static size_t count_whole(const clo_terms *terms, size_t i, const xorb *x)
{
    uint64_t raw = 0;
    uint32_t at = 0;
    for (size_t k = i; k < terms->n; k++) {
        clo_file_term t = clo_file_term_unpack(terms->rows + k * CLO_FILE_TERM);
        if (!clo_xet_hash_eq(&t.xorb, &x->hash) || t.start != at) return 0;
        at = t.end;
        raw += t.raw_bytes;
        if (raw >= x->raw_bytes) return raw == x->raw_bytes ? k + 1 - i : 0;
    }
    return 0;
}

void clo_ahead_take(clo_sha256_ctx *sum, uint64_t *n, clo_ahead *a, int64_t repo, const clo_terms *terms)
{
    *n = 0;
    *sum = (clo_sha256_ctx){0};
    if (a) {
        pthread_mutex_lock(&a->lock);
        upload *u = stop_work(a, repo);
        const xorb *last = NULL;
        for (size_t i = 0, i_term = 0, k = 1; u && k > 0 && i < u->n_hashed; i++) {
            if (!u->xorbs[i].sum.ctx) continue;
            k = count_whole(terms, i_term, &u->xorbs[i]);
            if (k > 0) last = &u->xorbs[i];
            if (k > 0) *n += last->raw_bytes;
            i_term += k;
        }
        if (last) clo_sha256_copy(sum, &last->sum);
        if (last) u->used = true;
        pthread_mutex_unlock(&a->lock);
    }
    if (!sum->ctx) clo_sha256_begin(sum);
}

void clo_ahead_ends(clo_ahead *a, int64_t repo)
{
    if (!a) return;
    pthread_mutex_lock(&a->lock);
    upload *u = stop_work(a, repo);
    if (u) {
        if (u->n_hashed > 0) u->doubted_until_s = u->used ? 0 : now_s() + DOUBT_S;
        forget_xorbs(u);
    }
    pthread_mutex_unlock(&a->lock);
}
