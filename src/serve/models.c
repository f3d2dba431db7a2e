/* Taking models and giving them back. See models.h, models_impl.h. */
#include "serve/models.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "serve/http_impl.h"
#include "serve/models_impl.h"

#define MIND_S 1 /* between two looks for models that are not used any more */
#define HELD_KNOWN_S 600 /* that a closed model of the hub's stays in lists */

/* --- taking and giving --------------------------------------------------------------------------------------------*/

/* An open model keeps its bytes whatever becomes of its name: here its name is given up, once they are another's or gone. */
static bool was_removed(clo_model_entry *e)
{
    struct stat st;
    if (e->ino == 0 || e->state == CLO_ENTRY_CLOSED) return false;
    if (stat(e->info.path, &st) == 0 && (uint64_t)st.st_dev == e->dev && (uint64_t)st.st_ino == e->ino) return false;
    e->removed = true;
    e->expires_s = 0;
    pthread_cond_broadcast(&e->models->changed);
    return true;
}

/* With the lock held. By names that are for everybody: what is guarded is found by clo_entry_held, after its guard was asked. */
static clo_model_entry *entry_named(clo_models *m, clo_str name)
{
    for (clo_model_entry *e = m->entries; e; e = e->next)
        if (!e->removed && !e->info.guarded && clo_str_eq(name, clo_str_from(e->info.name))) return was_removed(e) ? NULL : e;
    return NULL;
}

clo_model_entry *clo_entry_held(clo_models *m, const clo_held_ref *held)
{
    for (clo_model_entry *e = m->entries; e; e = e->next)
        if (!e->removed && e->info.held.repo == held->repo && clo_oid_eq(&e->info.held.commit, &held->commit) &&
            strcmp(e->info.held.file, held->file) == 0)
            return e;
    return NULL;
}

static clo_model_entry *entry_of(clo_models *m, const clo_model_info *info)
{
    if (!info->held.repo) return entry_named(m, clo_str_from(info->name));
    for (clo_model_entry *e = m->entries; e; e = e->next) /* commits in which the model is the same are one entry */
        if (!e->removed && e->info.held.repo && strcmp(e->info.path, info->path) == 0) return e;
    return NULL;
}

/* With the lock held: entries of removed models that are closed and unused. */
static void free_removed(clo_models *m)
{
    for (clo_model_entry **at = &m->entries; *at;) {
        clo_model_entry *e = *at;
        if (!e->removed || e->state != CLO_ENTRY_CLOSED || e->n_users > 0 || e->n_waiting > 0) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        free(e->waiting);
        free(e);
    }
}

static clo_model_entry *add_entry(clo_models *m, const clo_model_info *info)
{
    clo_model_entry *e = (clo_model_entry *)calloc(1, sizeof *e);
    if (!e) return NULL;
    e->info = *info;
    e->models = m;
    e->open.info = &e->info;
    e->open.metrics = clo_metrics_model(m->o.metrics, info->label);
    e->keep_alive_s = m->o.keep_alive_s;
    memcpy(e->digest, info->digest, sizeof e->digest);
    e->next = m->entries;
    m->entries = e;
    return e;
}

static bool add_waiting(clo_model_entry *e, clo_request *r)
{
    if (e->n_waiting == e->cap_waiting) {
        size_t cap = e->cap_waiting ? 2 * e->cap_waiting : 16;
        clo_request **more = (clo_request **)realloc(e->waiting, cap * sizeof *more);
        if (!more) return false;
        e->waiting = more;
        e->cap_waiting = cap;
    }
    clo_request_hold(r);
    e->waiting[e->n_waiting++] = r;
    return true;
}

static bool tell_fault(clo_api_error *e, const clo_model_entry *entry)
{
    if (entry->fault.code == CLO_ERR_MEMORY)
        return clo_api_fail(e, CLO_API_BUSY, NULL, "server busy, please try again.  no memory is left for model '%s'",
                            entry->info.name);
    if (entry->fault.code == CLO_ERR_UNSUPPORTED)
        return clo_api_fail(e, CLO_API_UNSUPPORTED, "model", "model '%s' is of a kind that is not supported",
                            entry->info.name);
    return clo_api_fail(e, CLO_API_INTERNAL, NULL, "model '%s' cannot be opened: see the server's log", entry->info.name);
}

static clo_model_taken no_memory(clo_api_error *fault)
{
    clo_api_fail(fault, CLO_API_BUSY, NULL, "server busy, please try again.  no memory is left");
    return CLO_MODEL_NONE;
}

/* With the lock held: r waits for the entry, which is opened, or looked into, if nobody does so. */
static clo_model_taken wait_for(clo_model_entry *e, bool only_look, clo_request *r, clo_api_error *fault)
{
    clo_err err = {0};
    if (e->models->stopping) {
        clo_api_fail(fault, CLO_API_BUSY, NULL, "the server is stopping");
        return CLO_MODEL_NONE;
    }
    if (e->state == CLO_ENTRY_CLOSED && clo_http_now() < e->fault_until_s) {
        tell_fault(fault, e);
        return CLO_MODEL_NONE;
    }
    if (e->state == CLO_ENTRY_CLOSED) e->only_look = only_look;
    if (e->state == CLO_ENTRY_CLOSED && !clo_entry_start_opening(e, &err)) {
        clo_api_fail_err(fault, &err);
        return CLO_MODEL_NONE;
    }
    return add_waiting(e, r) ? CLO_MODEL_LATER : no_memory(fault);
}

/* With the lock held. */
static clo_model_taken take_entry(const clo_open_model **out, clo_model_entry *e, clo_request *r, clo_api_error *fault)
{
    if (e->state != CLO_ENTRY_OPEN) return wait_for(e, false, r, fault);
    e->n_users++;
    *out = &e->open;
    return CLO_MODEL_READY;
}

/* With the lock held: the entry of what was found, made when there is none; one that is closed is told what was found. */
static clo_model_entry *enter(clo_models *m, const clo_model_info *info)
{
    clo_model_entry *e = entry_of(m, info);
    if (!e) return add_entry(m, info);
    if (e->state == CLO_ENTRY_CLOSED && e->info.held.repo) e->info.held = info->held;
    else if (e->state == CLO_ENTRY_CLOSED) e->info = *info;
    return e;
}

clo_model_taken clo_models_take(const clo_open_model **out, clo_models *m, clo_str name, clo_request *r, clo_api_error *e)
{
    pthread_mutex_lock(&m->lock);
    clo_model_entry *entry = entry_named(m, clo_model_without_latest(name));
    if (!entry || entry->state == CLO_ENTRY_CLOSED) { /* the data folder may have changed */
        pthread_mutex_unlock(&m->lock);
        clo_model_info *info = CLO_NEW(clo_request_arena(r), clo_model_info, 1);
        if (!info) return no_memory(e);
        if (!clo_models_find_info(info, m, name, r, e)) return CLO_MODEL_NONE;
        pthread_mutex_lock(&m->lock);
        entry = enter(m, info);
    }
    clo_model_taken how = entry ? take_entry(out, entry, r, e) : no_memory(e);
    pthread_mutex_unlock(&m->lock);
    return how;
}

/* The facts of the hub's models are read on a thread of their own, for their files may have to be made. */
static clo_model_taken find_held_facts(clo_model_info *info, clo_models *m, clo_request *r, clo_api_error *e)
{
    pthread_mutex_lock(&m->lock);
    clo_model_entry *entry = enter(m, info);
    clo_model_taken how = CLO_MODEL_READY;
    if (!entry) how = no_memory(e);
    else if (!entry->looked_into) how = wait_for(entry, true, r, e);
    else info->facts = entry->info.facts;
    pthread_mutex_unlock(&m->lock);
    return how;
}

clo_model_taken clo_models_find(clo_model_info *out, clo_models *m, clo_str name, clo_request *r, clo_api_error *e)
{
    clo_err err = {0};
    if (!clo_models_find_info(out, m, name, r, e)) return CLO_MODEL_NONE;
    if (out->held.repo) return find_held_facts(out, m, r, e);
    if (clo_models_facts(&out->facts, m, out, &err)) return CLO_MODEL_READY;
    clo_api_fail_err(e, &err);
    return CLO_MODEL_NONE;
}

void clo_models_give(clo_models *m, const clo_open_model *model, double keep_alive_s)
{
    clo_model_entry *e = (clo_model_entry *)(uintptr_t)model;
    pthread_mutex_lock(&m->lock);
    e->n_users--;
    if (!isnan(keep_alive_s)) e->keep_alive_s = keep_alive_s;
    bool for_ever = e->keep_alive_s < 0 || (e->given && isnan(keep_alive_s));
    e->expires_s = e->removed ? 0 : for_ever ? HUGE_VAL : clo_http_now() + e->keep_alive_s;
    if (e->removed || (e->expires_s < HUGE_VAL && e->keep_alive_s <= 0)) pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

bool clo_models_unload(clo_models *m, clo_str name, const clo_request *r, clo_api_error *e)
{
    clo_model_info *info = (clo_model_info *)malloc(sizeof *info);
    bool ok = info ? clo_models_find_info(info, m, name, r, e) : clo_api_fail(e, CLO_API_BUSY, NULL, "no memory is left");
    if (ok) {
        pthread_mutex_lock(&m->lock);
        clo_model_entry *entry = entry_of(m, info);
        if (entry) entry->expires_s = 0;
        pthread_cond_broadcast(&m->changed);
        pthread_mutex_unlock(&m->lock);
    }
    free(info);
    return ok;
}

/* --- minding ------------------------------------------------------------------------------------------------------*/

/* With the lock held: what was asked for of the hub and is closed for a while is forgotten, for there are as many names as commits. */
static void forget_held(clo_models *m, double now)
{
    for (clo_model_entry *e = m->entries; e; e = e->next)
        if (e->info.guarded && e->state == CLO_ENTRY_CLOSED && now > e->closed_s + HELD_KNOWN_S && now > e->fault_until_s) e->removed = true;
}

static void *mind(void *ctx)
{
    clo_models *m = (clo_models *)ctx;
    pthread_mutex_lock(&m->lock);
    while (!m->stopping) {
        double now = clo_http_now();
        clo_model_entry *e = m->entries;
        while (e && !(e->state == CLO_ENTRY_OPEN && e->n_users == 0 && e->expires_s <= now)) e = e->next;
        if (e) {
            clo_entry_close(e);
            continue;
        }
        forget_held(m, now);
        free_removed(m);
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += MIND_S;
        pthread_cond_timedwait(&m->changed, &m->lock, &until);
    }
    pthread_mutex_unlock(&m->lock);
    return NULL;
}

void clo_models_each_open(clo_models *m, void (*show)(void *ctx, const clo_open_state *s), void *ctx)
{
    pthread_mutex_lock(&m->lock);
    double now = clo_http_now();
    for (clo_model_entry *e = m->entries; e; e = e->next) {
        if (e->state != CLO_ENTRY_OPEN || e->removed) continue;
        clo_open_state s = {.info = &e->info,
                            .digest = e->digest,
                            .expires_in_s = e->expires_s == HUGE_VAL ? -1 : fmax(e->expires_s - now, 0),
                            .n_ctx = clo_sched_ctx(e->open.sched)};
        if (e->n_users > 0 && s.expires_in_s >= 0) s.expires_in_s = e->keep_alive_s;
        clo_sched_stats_of(e->open.sched, &s.stats);
        s.memory_bytes = clo_model_bytes(e->open.model) + s.stats.kv_bytes;
        show(ctx, &s);
    }
    pthread_mutex_unlock(&m->lock);
}

bool clo_models_are_ready(clo_models *m, clo_buf *why)
{
    bool ready = true;
    pthread_mutex_lock(&m->lock);
    for (const clo_model_entry *e = m->entries; e; e = e->next) {
        if (!e->given || e->removed || e->state == CLO_ENTRY_OPEN) continue;
        if (e->state == CLO_ENTRY_CLOSED && e->fault.code == CLO_OK) continue; /* closed again on request */
        ready = false;
        if (why->len > 0) clo_buf_add(why, CLO_STR(", "));
        clo_buf_addf(why, e->state == CLO_ENTRY_CLOSED ? "model %s cannot be opened" : "loading model %s", e->info.name);
    }
    pthread_mutex_unlock(&m->lock);
    return ready;
}

/* --- life ---------------------------------------------------------------------------------------------------------*/

/* What is no name of the library (why) may be one of the hub's. */
static bool give_held(clo_model_info *out, clo_models *m, const char *given, const clo_err *why, clo_err *err)
{
    bool found = false;
    if (why->code == CLO_ERR_NOT_FOUND || why->code == CLO_ERR_USAGE) {
        if (!clo_models_find_held(out, &found, m, clo_str_from(given), NULL, err)) return false;
        if (!found)
            return clo_fail(err, CLO_ERR_NOT_FOUND, "model '%.80s': no such file or folder, and no such name or repository in '%.80s'", given,
                            m->data_dir);
        out->guarded = false;
        clo_str_copy(out->label, sizeof out->label, clo_str_from(out->name));
        return true;
    }
    if (err) *err = *why;
    return false;
}

/* A path becomes a model of that file's or folder's name; another word is a name in the data folder. */
static bool give_info(clo_model_info *out, clo_models *m, const char *given, clo_err *err)
{
    struct stat st;
    *out = (clo_model_info){0};
    if (stat(given, &st) != 0) {
        json_t *row = NULL;
        clo_err why = {0};
        if (!m->data_dir[0]) return clo_fail(err, CLO_ERR_NOT_FOUND, "model '%s': no such file or folder", given);
        if (!clo_library_path(out->path, m->data_dir, given, &why)) return give_held(out, m, given, &why, err);
        if (!clo_library_show(&row, m->data_dir, given, err)) return false;
        clo_str_copy(out->name, sizeof out->name, clo_str_from(given));
        clo_str_copy(out->label, sizeof out->label, clo_str_from(given));
        clo_str_copy(out->digest, sizeof out->digest, clo_json_str(row, "digest", CLO_STR("")));
        out->bytes = (uint64_t)clo_json_int(row, "bytes", 0);
        out->modified_unix = clo_json_int(row, "imported_unix", 0);
        json_decref(row);
        return true;
    }
    clo_str s = clo_str_from(given);
    while (s.len > 1 && s.ptr[s.len - 1] == '/') s.len--;
    size_t at = s.len;
    while (at > 0 && s.ptr[at - 1] != '/') at--;
    clo_str name = clo_str_from_off(s, at);
    if (clo_str_ends_with(name, CLO_STR(".gguf"))) name.len -= 5;
    clo_str_copy(out->name, sizeof out->name, name);
    clo_str_copy(out->label, sizeof out->label, name);
    out->modified_unix = (int64_t)st.st_mtime;
    out->bytes = (uint64_t)st.st_size;
    return clo_path_join(out->path, err, "%s", given);
}

static bool open_one(clo_models *m, const clo_model_info *info, clo_err *err)
{
    pthread_mutex_lock(&m->lock);
    bool twice = entry_named(m, clo_str_from(info->name)) != NULL;
    clo_model_entry *e = twice ? NULL : add_entry(m, info);
    if (e) e->given = true;
    bool ok = e && clo_entry_start_opening(e, err);
    pthread_mutex_unlock(&m->lock);
    if (twice) return clo_fail(err, CLO_ERR_USAGE, "two models are called '%.200s'", info->name);
    return ok;
}

/* Files of the hub's models are made, and looked into, when they are opened. */
static bool open_given(clo_models *m, clo_err *err)
{
    for (size_t i = 0; i < m->o.n_given; i++) {
        clo_model_info info;
        if (!give_info(&info, m, m->o.given[i], err)) return false;
        if (!info.held.repo && !clo_models_facts(&info.facts, m, &info, err)) return false;
        if (info.bytes < info.facts.weight_bytes) info.bytes = info.facts.weight_bytes;
        if (!open_one(m, &info, err)) return false;
    }
    return true;
}

bool clo_models_open(clo_models **out, const clo_models_opts *o, clo_err *err)
{
    clo_models *m = (clo_models *)calloc(1, sizeof *m);
    if (!m) return clo_fail(err, CLO_ERR_MEMORY, "models");
    m->o = *o;
    clo_turn_init(&m->turn);
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->changed, NULL);
    if (o->data_dir) clo_str_copy(m->data_dir, sizeof m->data_dir, clo_str_from(o->data_dir));
    if (!clo_pool_open(&m->pool, o->n_threads, err)) goto fail;
    clo_pool_let_go(m->pool); /* schedulers run it, and threads for connections are made after this */
    if (!open_given(m, err)) goto fail;
    int rc = pthread_create(&m->minder, NULL, mind, m);
    if (rc != 0) {
        clo_fail_sys(err, rc, "start a thread");
        goto fail;
    }
    m->minding = true;
    *out = m;
    return true;
fail:
    clo_models_close(m);
    return false;
}

void clo_models_close(clo_models *m)
{
    if (!m) return;
    pthread_mutex_lock(&m->lock);
    m->stopping = true;
    pthread_cond_broadcast(&m->changed);
    while (m->n_opening > 0) pthread_cond_wait(&m->changed, &m->lock);
    pthread_mutex_unlock(&m->lock);
    if (m->minding) pthread_join(m->minder, NULL);
    while (m->entries) {
        clo_model_entry *e = m->entries;
        m->entries = e->next;
        pthread_mutex_lock(&m->lock);
        if (e->state == CLO_ENTRY_OPEN) clo_entry_close(e);
        pthread_mutex_unlock(&m->lock);
        free(e->waiting);
        free(e);
    }
    clo_pool_close(m->pool);
    free(m->facts);
    pthread_mutex_destroy(&m->lock);
    clo_turn_free(&m->turn);
    pthread_cond_destroy(&m->changed);
    free(m);
}
