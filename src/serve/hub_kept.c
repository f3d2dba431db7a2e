/* See hub_kept.h. */
#include "serve/hub_kept.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hub/token.h"

#define LOOKOUTS 4
#define BUCKETS 16384 /* a power of two */

typedef struct entry entry;
struct entry {
    entry *next;          /* in its bucket */
    entry *newer, *older; /* in the order of asking */
    uint64_t hash;
    int64_t state;
    clo_answer *answer;   /* held */
    const void *route;
    size_t len;
    char key[];           /* the path as it came, '?', the query */
};

/* A connection of which only the changes are looked at: it writes nothing, so that it sees everyone's. There are several so that threads
 * do not wait for each other. */
typedef struct {
    _Alignas(64) pthread_mutex_t lock; /* guards all */
    clo_db *db;
    int64_t version;
} lookout;

struct clo_kept {
    lookout lookouts[LOOKOUTS];
    _Atomic int64_t state; /* grows when any of them sees a change: a change is counted up to LOOKOUTS times */
    pthread_mutex_t lock;  /* guards what follows */
    entry *buckets[BUCKETS];
    entry *newest, *oldest;
    size_t n_bytes;
};

bool clo_kept_open(clo_kept **out, const char *data_dir, clo_err *err)
{
    clo_kept *k = (clo_kept *)calloc(1, sizeof *k);
    *out = NULL;
    if (!k) return clo_fail(err, CLO_ERR_MEMORY, "kept answers");
    bool ok = true;
    pthread_mutex_init(&k->lock, NULL);
    for (size_t i = 0; i < LOOKOUTS; i++) {
        lookout *l = &k->lookouts[i];
        pthread_mutex_init(&l->lock, NULL);
        ok = ok && clo_db_open(&l->db, data_dir, err) && clo_db_version(&l->version, l->db, err);
    }
    if (ok) *out = k;
    else clo_kept_close(k);
    return ok;
}

/* --- entries ------------------------------------------------------------------------------------------------------*/

static uint64_t hash_of(uint64_t h, clo_str s)
{
    for (size_t i = 0; i < s.len; i++) h = (h ^ (uint8_t)s.ptr[i]) * 0x100000001b3U;
    return h;
}

static uint64_t hash_key(clo_str path, clo_str query)
{
    uint64_t h = hash_of(hash_of(0xcbf29ce484222325U, path), query);
    return h ^ h >> 29;
}

static bool fits(const entry *e, uint64_t hash, clo_str path, clo_str query)
{
    return e->hash == hash && e->len == path.len + 1 + query.len && memcmp(e->key, path.ptr, path.len) == 0 && e->key[path.len] == '?' &&
           memcmp(e->key + path.len + 1, query.ptr, query.len) == 0;
}

static size_t bytes_of(const entry *e)
{
    return sizeof *e + e->len + clo_answer_bytes(e->answer);
}

static void unlink_order(clo_kept *k, entry *e)
{
    *(e->newer ? &e->newer->older : &k->newest) = e->older;
    *(e->older ? &e->older->newer : &k->oldest) = e->newer;
}

static void link_newest(clo_kept *k, entry *e)
{
    e->newer = NULL;
    e->older = k->newest;
    *(k->newest ? &k->newest->newer : &k->oldest) = e;
    k->newest = e;
}

static void drop(clo_kept *k, entry *e)
{
    entry **at = &k->buckets[e->hash & (BUCKETS - 1)];
    while (*at != e) at = &(*at)->next;
    *at = e->next;
    unlink_order(k, e);
    k->n_bytes -= bytes_of(e);
    clo_answer_drop(e->answer);
    free(e);
}

static entry *find(clo_kept *k, uint64_t hash, clo_str path, clo_str query)
{
    entry *e = k->buckets[hash & (BUCKETS - 1)];
    while (e && !fits(e, hash, path, query)) e = e->next;
    return e;
}

void clo_kept_close(clo_kept *k)
{
    if (!k) return;
    while (k->oldest) drop(k, k->oldest);
    for (size_t i = 0; i < LOOKOUTS; i++) {
        clo_db_close(k->lookouts[i].db);
        pthread_mutex_destroy(&k->lookouts[i].lock);
    }
    pthread_mutex_destroy(&k->lock);
    free(k);
}

/* --- asking -------------------------------------------------------------------------------------------------------*/

static lookout *of_this_thread(clo_kept *k)
{
    static atomic_uint n_threads;
    static _Thread_local unsigned mine; /* 0: none yet */
    if (!mine) mine = 1 + atomic_fetch_add(&n_threads, 1) % LOOKOUTS;
    return &k->lookouts[mine - 1];
}

int64_t clo_kept_state(clo_kept *k)
{
    lookout *l = of_this_thread(k);
    int64_t version = 0;
    pthread_mutex_lock(&l->lock);
    bool ok = clo_db_version(&version, l->db, NULL);
    if (ok && version != l->version) atomic_fetch_add(&k->state, 1);
    if (ok) l->version = version;
    int64_t state = ok ? atomic_load(&k->state) : -1;
    pthread_mutex_unlock(&l->lock);
    return state;
}

/* Whether nothing but its address and the caller's right decides the answer. */
static bool is_plain(const clo_request *r)
{
    static const char *const others[] = {"Range", "If-None-Match", "Origin"};
    clo_str method = clo_request_method(r);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (clo_request_header(r, others[i]).ptr) return false;
    return clo_str_eq(method, CLO_STR("GET")) || clo_str_eq(method, CLO_STR("HEAD"));
}

/* Everyone may read it, but a wrong token is told so. */
static bool token_is_fine(clo_keys *keys, const clo_request *r)
{
    clo_bearer who;
    clo_denial no = {0};
    char text[512];
    clo_str given = clo_request_header(r, "Authorization");
    if (!given.ptr) return true;
    if (given.len >= sizeof text) return false;
    memcpy(text, given.ptr, given.len);
    text[given.len] = '\0';
    return clo_token_who(&who, keys, text, (int64_t)time(NULL), &no);
}

bool clo_kept_reply(clo_kept *k, clo_keys *keys, clo_request *r)
{
    clo_str path = clo_request_target(r), query = clo_request_query(r);
    uint64_t hash = hash_key(path, query);
    clo_answer *a = NULL;
    int64_t state = clo_kept_state(k);
    pthread_mutex_lock(&k->lock);
    entry *e = find(k, hash, path, query);
    if (e && e->state < state) drop(k, e);
    else if (e && e->state == state) {
        unlink_order(k, e);
        link_newest(k, e);
        clo_answer_hold(a = e->answer);
        clo_request_set_route(r, e->route);
    }
    pthread_mutex_unlock(&k->lock);
    if (a && is_plain(r) && token_is_fine(keys, r)) {
        clo_reply_answer(r, a);
        return true;
    }
    clo_answer_drop(a);
    return false;
}

void clo_kept_put(clo_kept *k, const clo_request *r, const void *route, int64_t state)
{
    clo_str path = clo_request_target(r), query = clo_request_query(r);
    if (state < 0 || clo_request_status(r) != 200 || !is_plain(r)) return;
    clo_answer *a = clo_answer_of(r);
    entry *e = a && clo_answer_bytes(a) <= CLO_KEPT_ANSWER_MAX ? (entry *)malloc(sizeof *e + path.len + 1 + query.len) : NULL;
    if (!e) {
        clo_answer_drop(a);
        return;
    }
    *e = (entry){.hash = hash_key(path, query), .state = state, .answer = a, .route = route, .len = path.len + 1 + query.len};
    memcpy(e->key, path.ptr, path.len);
    e->key[path.len] = '?';
    memcpy(e->key + path.len + 1, query.ptr, query.len);
    pthread_mutex_lock(&k->lock);
    entry *before = find(k, e->hash, path, query);
    if (before) drop(k, before);
    e->next = k->buckets[e->hash & (BUCKETS - 1)];
    k->buckets[e->hash & (BUCKETS - 1)] = e;
    link_newest(k, e);
    k->n_bytes += bytes_of(e);
    while (k->n_bytes > CLO_KEPT_BYTES_MAX) drop(k, k->oldest);
    pthread_mutex_unlock(&k->lock);
}
