/* The hub's calls: connections, what comes before a handler, work aside. See hub.h; hub_reply.c has what handlers use. */
#include "serve/hub.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hub/ahead.h"
#include "hub/gate.h"
#include "hub/index_sets.h"
#include "serve/hub_kept.h"
#include "serve/hub_weights.h"
#include "serve/server_impl.h"

#define IDLE_MAX 8  /* connections that wait for the next call */
#define ASIDE_MAX 8 /* threads for work that takes long; what is more is done by the workers */

/* --- connections --------------------------------------------------------------------------------------------------*/

struct clo_hub {
    char *data_dir; /* owned */
    clo_sign_key key;
    clo_kept *kept; /* owned */
    clo_ahead *ahead; /* owned */
    clo_weights_cache *weights; /* owned */
    pthread_mutex_t lock;
    clo_db *idle[IDLE_MAX]; /* owned; guarded by lock */
    size_t n_idle;
    size_t n_aside; /* guarded by lock */
    bool in_use;    /* guarded by lock: a repository was seen once */
};

static bool build_sets(const char *data_dir, clo_err *err)
{
    clo_db *db = NULL;
    bool ok = clo_db_open(&db, data_dir, err) && clo_index_build_sets(db, err);
    clo_db_close(db);
    return ok;
}

bool clo_hub_open(clo_hub **out, const char *data_dir, clo_err *err)
{
    clo_hub *h = (clo_hub *)calloc(1, sizeof *h);
    *out = NULL;
    if (!h || !(h->data_dir = strdup(data_dir))) {
        free(h);
        return clo_fail(err, CLO_ERR_MEMORY, "hub");
    }
    h->weights = clo_weights_cache_new();
    if ((!h->weights && !clo_fail(err, CLO_ERR_MEMORY, "hub")) || !build_sets(data_dir, err) ||
        !clo_sign_key_open(&h->key, data_dir, err) || !clo_kept_open(&h->kept, data_dir, err) || !clo_ahead_open(&h->ahead, data_dir, err)) {
        clo_kept_close(h->kept);
        clo_weights_cache_free(h->weights);
        free(h->data_dir);
        free(h);
        return false;
    }
    pthread_mutex_init(&h->lock, NULL);
    *out = h;
    return true;
}

void clo_hub_close(clo_hub *h)
{
    if (!h) return;
    while (h->n_idle > 0)
        clo_db_close(h->idle[--h->n_idle]);
    clo_kept_close(h->kept);
    clo_ahead_close(h->ahead);
    pthread_mutex_destroy(&h->lock);
    clo_weights_cache_free(h->weights);
    free(h->data_dir);
    free(h);
}

bool clo_hub_take_db(clo_db **out, clo_hub *h, clo_err *err)
{
    *out = NULL;
    pthread_mutex_lock(&h->lock);
    if (h->n_idle > 0) *out = h->idle[--h->n_idle];
    pthread_mutex_unlock(&h->lock);
    return *out || clo_db_open(out, h->data_dir, err);
}

void clo_hub_give_db(clo_hub *h, clo_db *db)
{
    pthread_mutex_lock(&h->lock);
    bool keep = db && h->n_idle < IDLE_MAX;
    if (keep) h->idle[h->n_idle++] = db;
    pthread_mutex_unlock(&h->lock);
    if (!keep) clo_db_close(db);
}

bool clo_hub_in_use(clo_hub *h)
{
    clo_db *db = NULL;
    clo_stmt q = {0};
    bool row = false;
    pthread_mutex_lock(&h->lock);
    bool known = h->in_use;
    pthread_mutex_unlock(&h->lock);
    if (known || !clo_hub_take_db(&db, h, NULL)) return known;
    bool ok = clo_stmt_open(&q, db, "SELECT 1 FROM repos LIMIT 1", NULL) && clo_stmt_step(&q, &row, NULL);
    clo_stmt_close(&q);
    clo_hub_give_db(h, db);
    pthread_mutex_lock(&h->lock);
    h->in_use = h->in_use || (ok && row);
    known = h->in_use;
    pthread_mutex_unlock(&h->lock);
    return known;
}

/* --- a call -------------------------------------------------------------------------------------------------------*/

int64_t clo_hub_now(void)
{
    return (int64_t)time(NULL);
}

clo_weights_cache *clo_hub_weights_cache(const clo_hub_call *c)
{
    return c->s->hub->weights;
}

const clo_sign_key *clo_hub_sign_key(const clo_hub_call *c)
{
    return &c->s->hub->key;
}

clo_author clo_hub_author(const clo_hub_call *c)
{
    return (clo_author){c->who.user, ""};
}

const char *clo_hub_type_plural(clo_repo_type t)
{
    static const char *const names[CLO_REPO_TYPES] = {"models", "datasets", "spaces"};
    return names[t];
}

static void find_base(clo_hub_call *c)
{
    clo_str host = clo_request_header(c->r, "Host");
    const char *url = clo_http_url(clo_request_server(c->r));
    bool tls = strncmp(url, "https:", 6) == 0;
    if (host.len > 0 && host.len < CLO_HUB_BASE_MAX - 16)
        snprintf(c->base, sizeof c->base, "http%s://%.*s", tls ? "s" : "", (int)host.len, host.ptr);
    else snprintf(c->base, sizeof c->base, "%s", url);
}

bool clo_hub_look_at(clo_hub_call *c, bool *moved, clo_repo_type type, clo_str id, clo_err *err)
{
    clo_err no = {0};
    *moved = false;
    c->caller = (clo_access_caller){.known = c->who.account != 0, .admin = c->who.admin, .may_write = c->who.may_write};
    c->seen = (clo_access_repo){.type = clo_repo_type_name(type), .namespace_name = "", .name = ""};
    if (!clo_repo_find(&c->repo, moved, c->db, type, id, &no)) {
        if (no.code == CLO_ERR_NOT_FOUND || no.code == CLO_ERR_USAGE) return true;
        *err = no;
        return false;
    }
    c->seen = (clo_access_repo){.type = clo_repo_type_name(c->repo.type),
                                .namespace_name = c->repo.ns,
                                .name = c->repo.name,
                                .exists = true,
                                .is_private = c->repo.is_private,
                                .is_gated = c->repo.gated != CLO_GATED_NO,
                                .is_disabled = c->repo.disabled,
                                .is_closed = c->repo.no_discussions};
    c->caller.is_maker = c->caller.known && c->repo.maker == c->who.account;
    c->caller.in_scope = clo_token_in_scope(&c->who, c->repo.id);
    return !c->caller.known ||
           (clo_member_role(&c->caller.role, c->db, c->repo.owner, c->who.account, err) &&
            (!c->seen.is_gated || clo_gate_state_of(&c->caller.gate, c->db, c->repo.id, c->who.account, err)));
}

/* The repository of the pattern. */
static bool find_repo(clo_hub_call *c, bool *moved, clo_err *err)
{
    clo_buf id = {0};
    clo_buf_addf(&id, "%.*s/%.*s", (int)c->a.ns.len, c->a.ns.ptr, (int)c->a.name.len, c->a.name.ptr);
    bool ok = id.failed ? clo_fail(err, CLO_ERR_MEMORY, "id of a repository")
                        : clo_hub_look_at(c, moved, c->a.type, clo_buf_str(&id), err);
    clo_buf_free(&id);
    return ok;
}

/* The same path with the repository's present id; relative, so that a client keeps its token. */
static void redirect(clo_hub_call *c)
{
    clo_buf to = {0};
    clo_str target = clo_request_target(c->r), query = clo_request_query(c->r);
    size_t at = (size_t)(c->a.id.ptr - target.ptr);
    clo_buf_add(&to, (clo_str){target.ptr, at});
    clo_buf_add(&to, clo_str_from(c->repo.full));
    clo_buf_add(&to, clo_str_from_off(target, at + c->a.id.len));
    if (query.len > 0) clo_buf_addf(&to, "?%.*s", (int)query.len, query.ptr);
    clo_buf_add_char(&to, '\0');
    if (!to.failed) clo_reply_header(c->r, "Location", to.ptr);
    clo_buf_free(&to);
    clo_reply(c->r, 307, NULL, CLO_STR(""));
}

static void free_call(void *data)
{
    clo_hub_call *c = (clo_hub_call *)data;
    if (c->free_data) c->free_data(c->data);
    if (c->git) clo_git_close(c->git);
    if (c->db) clo_hub_give_db(c->s->hub, c->db);
    free(c);
}

/* Everything that comes before a handler. False: replied. */
static bool prepare(clo_hub_call *c, const clo_hub_route *route)
{
    clo_err err = {0};
    bool moved = false;
    find_base(c);
    c->route = route;
    c->lfs = route->lfs;
    c->state = route->kept ? clo_kept_state(c->s->hub->kept) : -1;
    if (!clo_hub_match(&c->a, route->pattern, c->r)) return clo_hub_fail(c, 400, NULL, "the address cannot be decoded");
    if (route->action != CLO_HUB_SIGNED && !clo_hub_find_who(c)) return false;
    if (route->action == CLO_HUB_KNOWN && c->who.account == 0)
        return clo_hub_fail(c, 401, NULL, "Invalid username or password.");
    if (!clo_hub_take_db(&c->db, c->s->hub, &err)) return clo_hub_fail_err(c, &err);
    c->files = (clo_files){.db = c->db, .data_dir = c->s->o.data_dir, .ahead = c->s->hub->ahead};
    if (!c->a.has_repo) return true;
    if (!find_repo(c, &moved, &err)) return clo_hub_fail_err(c, &err);
    if (route->action >= 0 && !clo_hub_may(c, (clo_action)route->action)) return false;
    if (moved) redirect(c);
    return !moved;
}

bool clo_hub_reply_kept(clo_server *s, clo_request *r)
{
    return clo_kept_reply(s->hub->kept, s->keys, r);
}

/* What anybody may read is read again. */
static void keep(const clo_hub_call *c)
{
    const clo_access_caller nobody = {0};
    if (clo_access(NULL, &nobody, &c->seen, CLO_MAY_READ)) clo_kept_put(c->s->hub->kept, c->r, c->route, c->state);
}

void clo_hub_begin(clo_server *s, clo_request *r, const clo_hub_route *route)
{
    if (!route->begin) return;
    clo_hub_call *c = (clo_hub_call *)calloc(1, sizeof *c);
    if (!c) {
        clo_reply(r, 503, NULL, CLO_STR(""));
        return;
    }
    c->s = s;
    c->r = r;
    clo_request_attach(r, c, NULL, free_call);
    if (prepare(c, route)) route->begin(c);
}

void clo_hub_run_route(clo_server *s, clo_request *r, const clo_hub_route *route)
{
    clo_hub_call *c = (clo_hub_call *)clo_request_data(r);
    if (c) {
        if (c->then) c->then(c);
        else route->run(c);
        return;
    }
    c = (clo_hub_call *)calloc(1, sizeof *c);
    if (!c) {
        clo_reply(r, 503, NULL, CLO_STR(""));
        return;
    }
    c->s = s;
    c->r = r;
    if (prepare(c, route)) {
        route->run(c);
        if (route->kept) keep(c);
    }
    free_call(c);
}

/* --- work that takes long -----------------------------------------------------------------------------------------*/

static bool take_place(clo_hub *h)
{
    pthread_mutex_lock(&h->lock);
    bool ok = h->n_aside < ASIDE_MAX;
    if (ok) h->n_aside++;
    pthread_mutex_unlock(&h->lock);
    return ok;
}

static void give_place(clo_hub *h)
{
    pthread_mutex_lock(&h->lock);
    h->n_aside--;
    pthread_mutex_unlock(&h->lock);
}

/* With the hold goes the call: nothing is touched after. */
static void *work_aside(void *ctx)
{
    clo_hub_call *c = (clo_hub_call *)ctx;
    c->work(c);
    give_place(c->s->hub);
    clo_request_again(c->r);
    return NULL;
}

void clo_hub_aside(clo_hub_call *c, clo_hub_run *work, clo_hub_run *then)
{
    pthread_t t;
    c->work = work;
    c->then = then;
    clo_request_hold(c->r);
    if (take_place(c->s->hub)) {
        if (pthread_create(&t, NULL, work_aside, c) == 0) {
            pthread_detach(t);
            return;
        }
        give_place(c->s->hub);
    }
    work(c);
    clo_request_again(c->r);
}

static void end_nothing(void *ctx)
{
    (void)ctx;
}

void clo_hub_sink(clo_hub_call *c, bool (*take)(void *data, clo_str bytes))
{
    clo_request_sink(c->r, take, end_nothing, c->data);
}
