/* Names, taking and giving back. See models.h, models_impl.h. */
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
#define DIGEST_DIGITS_MIN 12
#define HELD_KNOWN_S 600 /* that a closed model of the hub's stays in lists */

/* --- what there is ------------------------------------------------------------------------------------------------*/

typedef struct {
    clo_model_info *rows; /* owned */
    size_t n, cap;
} info_list;

static clo_model_info *add_info(info_list *l, clo_err *err)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 16;
        clo_model_info *more = (clo_model_info *)realloc(l->rows, cap * sizeof *more);
        if (!more) {
            clo_fail(err, CLO_ERR_MEMORY, "list of models");
            return NULL;
        }
        l->rows = more;
        l->cap = cap;
    }
    l->rows[l->n] = (clo_model_info){0};
    return &l->rows[l->n++];
}

static void copy_str(char *out, size_t cap, clo_str s)
{
    size_t n = s.len < cap - 1 ? s.len : cap - 1;
    memcpy(out, s.ptr, n);
    out[n] = '\0';
}

/* A model of the data folder that has a fault is left out: `cloche list` shows it. */
static bool add_library(info_list *l, const char *data_dir, clo_err *err)
{
    json_t *list = NULL, *row;
    size_t i;
    bool ok = clo_library_list(&list, data_dir, err);
    json_array_foreach (list, i, row) {
        clo_str name = clo_json_str(row, "name", CLO_STR(""));
        char path[4096];
        if (!ok) break;
        if (json_object_get(row, "fault") || name.len == 0 || !clo_library_path(path, data_dir, name.ptr, NULL)) continue;
        clo_model_info *m = add_info(l, err);
        ok = m != NULL;
        if (!ok) break;
        copy_str(m->name, sizeof m->name, name);
        copy_str(m->label, sizeof m->label, name);
        copy_str(m->path, sizeof m->path, clo_str_from(path));
        copy_str(m->digest, sizeof m->digest, clo_json_str(row, "digest", CLO_STR("")));
        m->bytes = (uint64_t)clo_json_int(row, "bytes", 0);
        m->modified_unix = clo_json_int(row, "imported_unix", 0);
    }
    json_decref(list);
    return ok;
}

/* With the lock held. */
static bool add_known(info_list *l, const clo_model_entry *e, clo_err *err)
{
    clo_model_info *row = add_info(l, err);
    if (!row) return false;
    *row = e->info;
    memcpy(row->digest, e->digest, sizeof row->digest);
    return true;
}

/* What --model names beside the data folder; they go first where names are equal. Their entries were made at the start. */
static bool add_given(info_list *l, clo_models *m, clo_err *err)
{
    pthread_mutex_lock(&m->lock);
    bool ok = true;
    for (const clo_model_entry *e = m->entries; ok && e; e = e->next) {
        if (!e->given || e->removed) continue;
        ok = add_known(l, e, err);
    }
    pthread_mutex_unlock(&m->lock);
    return ok;
}

/* Of the hub's models those that were asked for lately and that r may know of, the newest of each name. */
static bool add_held(info_list *l, clo_models *m, const clo_request *r, clo_err *err)
{
    size_t first = l->n, n = first;
    pthread_mutex_lock(&m->lock);
    bool ok = true;
    for (const clo_model_entry *e = m->entries; ok && e; e = e->next)
        if (e->info.guarded && !e->removed && e->looked_into) ok = add_known(l, e, err);
    pthread_mutex_unlock(&m->lock);
    for (size_t i = first; i < l->n; i++) {
        bool again = false;
        for (size_t k = 0; k < n; k++) again = again || strcmp(l->rows[k].name, l->rows[i].name) == 0;
        if (!again && clo_models_shows(m, &l->rows[i], r)) l->rows[n++] = l->rows[i];
    }
    l->n = n;
    return ok;
}

static bool list_all(info_list *l, clo_models *m, clo_err *err)
{
    if (!add_given(l, m, err)) return false;
    size_t n_given = l->n, n = n_given;
    if (m->data_dir[0] && !add_library(l, m->data_dir, err)) return false;
    for (size_t i = n_given; i < l->n; i++) {
        bool hidden = false;
        for (size_t k = 0; k < n_given; k++) hidden = hidden || strcmp(l->rows[i].name, l->rows[k].name) == 0;
        if (!hidden) l->rows[n++] = l->rows[i];
    }
    l->n = n;
    return true;
}

static int newest_first(const void *a, const void *b)
{
    const clo_model_info *x = (const clo_model_info *)a, *y = (const clo_model_info *)b;
    if (x->modified_unix != y->modified_unix) return x->modified_unix > y->modified_unix ? -1 : 1;
    return strcmp(x->name, y->name);
}

bool clo_models_list(clo_model_info **out, size_t *n, clo_models *m, const clo_request *r, clo_err *err)
{
    info_list l = {0};
    if (!list_all(&l, m, err) || !add_held(&l, m, r, err)) {
        free(l.rows);
        return false;
    }
    *n = 0;
    for (size_t i = 0; i < l.n; i++) /* what cannot be read is no model to offer */
        if (l.rows[i].held.repo || clo_models_facts(&l.rows[i].facts, m, &l.rows[i], NULL)) l.rows[(*n)++] = l.rows[i];
    if (*n > 0) qsort(l.rows, *n, sizeof *l.rows, newest_first);
    *out = l.rows;
    return true;
}

/* --- names --------------------------------------------------------------------------------------------------------*/

static clo_str without_latest(clo_str name)
{
    const clo_str tag = CLO_STR(":latest");
    if (clo_str_ends_with(name, tag)) name.len -= tag.len;
    return name;
}

bool clo_begins_digest(clo_str name, const char *digest)
{
    if (clo_str_starts_with(name, CLO_STR("sha256:"))) name = clo_str_from_off(name, 7);
    if (name.len < DIGEST_DIGITS_MIN || name.len > 64 || strlen(digest) != 64) return false;
    return strncasecmp(name.ptr, digest, name.len) == 0;
}

static const clo_model_info *pick_exact(const info_list *l, clo_str name)
{
    for (size_t i = 0; i < l->n; i++)
        if (clo_str_eq(name, clo_str_from(l->rows[i].name))) return &l->rows[i];
    return NULL;
}

static const clo_model_info *pick_name(const info_list *l, clo_str name)
{
    const clo_model_info *found = pick_exact(l, name);
    if (found) return found;
    for (size_t i = 0; i < l->n; i++)
        if (strlen(l->rows[i].name) == name.len && strncasecmp(name.ptr, l->rows[i].name, name.len) == 0)
            return &l->rows[i];
    for (size_t i = 0; i < l->n; i++) {
        if (!clo_begins_digest(name, l->rows[i].digest)) continue;
        if (found && strcmp(found->digest, l->rows[i].digest) != 0) return NULL; /* the digits fit two models */
        if (!found) found = &l->rows[i]; /* models of the same bytes answer alike */
    }
    return found;
}

static bool no_model(clo_api_error *e, clo_str name)
{
    return clo_api_fail(e, CLO_API_NO_MODEL, "model", "model '%.*s' not found", (int)(name.len > 200 ? 200 : name.len),
                        name.ptr);
}

/* Whether it may be the beginning of a digest: then the models of the hub that were used are looked at too. */
static bool is_digest(clo_str name)
{
    char zeros[65];
    memset(zeros, '0', 64);
    zeros[64] = '\0';
    if (clo_str_starts_with(name, CLO_STR("sha256:"))) name = clo_str_from_off(name, 7);
    for (size_t i = 0; i < name.len; i++)
        if (!strchr("0123456789abcdefABCDEF", name.ptr[i])) return false;
    return name.len >= DIGEST_DIGITS_MIN && name.len <= 64;
}

static bool is_stored(const clo_models *m, clo_str name)
{
    char text[CLO_MODEL_NAME_MAX], path[4096];
    if (!m->data_dir[0] || name.len >= sizeof text) return false;
    copy_str(text, sizeof text, name);
    return clo_library_path(path, m->data_dir, text, NULL);
}

/* A name as it is written is one of --model, of the library, or of the hub, in this order; what is none of these may be another
 * spelling of the first two, or a digest. *held: out has one of the hub's; else *found, in the list. */
static bool search(clo_model_info *out, bool *held, const clo_model_info **found, info_list *l, clo_models *m, clo_str name,
                   const clo_request *r, clo_err *err)
{
    clo_str plain = without_latest(name);
    *held = false;
    if (!add_given(l, m, err)) return false;
    *found = pick_exact(l, plain);
    if (*found) return true;
    if (!is_stored(m, plain) && !clo_models_find_held(out, held, m, name, r, err)) return false;
    if (*held) return true;
    l->n = 0;
    if (!list_all(l, m, err) || (is_digest(name) && !add_held(l, m, r, err))) return false;
    *found = pick_name(l, plain);
    return *found || !is_digest(name) || clo_models_find_digest(out, held, m, name, r, err);
}

static bool find_info(clo_model_info *out, clo_models *m, clo_str name, const clo_request *r, clo_api_error *e)
{
    info_list l = {0};
    clo_err err = {0};
    const clo_model_info *found = NULL;
    bool held, ok = search(out, &held, &found, &l, m, name, r, &err);
    if (ok && found) *out = *found;
    free(l.rows);
    if (!ok && err.code == CLO_ERR_NOT_FOUND) /* the repository is there */
        return clo_api_fail(e, CLO_API_NO_MODEL, "model", "model '%.*s' not found: %s", (int)(name.len > 200 ? 200 : name.len), name.ptr,
                            err.text);
    if (!ok) return clo_api_fail_err(e, &err);
    return found || held || no_model(e, name);
}

bool clo_models_spell(char out[CLO_SERVED_NAME_MAX], clo_models *m, clo_str name, const clo_request *r, clo_api_error *e)
{
    clo_model_info *info = (clo_model_info *)malloc(sizeof *info);
    bool ok = info ? find_info(info, m, name, r, e) : clo_api_fail(e, CLO_API_BUSY, NULL, "no memory is left");
    if (ok) memcpy(out, info->name, sizeof info->name);
    free(info);
    return ok;
}

/* Entries are linked newest first. */
static bool default_entry(char name[CLO_SERVED_NAME_MAX], clo_models *m)
{
    const clo_model_entry *given = NULL, *open = NULL;
    size_t n_open = 0;
    pthread_mutex_lock(&m->lock);
    for (const clo_model_entry *e = m->entries; e; e = e->next) {
        if (e->removed || e->info.guarded) continue;
        if (e->given) given = e;
        if (e->state != CLO_ENTRY_OPEN) continue;
        open = e;
        n_open++;
    }
    const clo_model_entry *found = given ? given : n_open == 1 ? open : NULL;
    if (found) copy_str(name, CLO_SERVED_NAME_MAX, clo_str_from(found->info.name));
    pthread_mutex_unlock(&m->lock);
    return found != NULL;
}

bool clo_models_default(char name[CLO_SERVED_NAME_MAX], clo_models *m, clo_api_error *e)
{
    info_list l = {0};
    clo_err err = {0};
    if (default_entry(name, m)) return true;
    bool ok = list_all(&l, m, &err), one = ok && l.n == 1;
    if (one) copy_str(name, CLO_SERVED_NAME_MAX, clo_str_from(l.rows[0].name));
    free(l.rows);
    if (!ok) return clo_api_fail_err(e, &err);
    return one || clo_api_fail(e, CLO_API_INVALID, "model", "model is required");
}

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
    clo_model_entry *entry = entry_named(m, without_latest(name));
    if (!entry || entry->state == CLO_ENTRY_CLOSED) { /* the data folder may have changed */
        pthread_mutex_unlock(&m->lock);
        clo_model_info *info = CLO_NEW(clo_request_arena(r), clo_model_info, 1);
        if (!info) return no_memory(e);
        if (!find_info(info, m, name, r, e)) return CLO_MODEL_NONE;
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
    if (!find_info(out, m, name, r, e)) return CLO_MODEL_NONE;
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
    bool ok = info ? find_info(info, m, name, r, e) : clo_api_fail(e, CLO_API_BUSY, NULL, "no memory is left");
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
        copy_str(out->label, sizeof out->label, clo_str_from(out->name));
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
        copy_str(out->name, sizeof out->name, clo_str_from(given));
        copy_str(out->label, sizeof out->label, clo_str_from(given));
        copy_str(out->digest, sizeof out->digest, clo_json_str(row, "digest", CLO_STR("")));
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
    copy_str(out->name, sizeof out->name, name);
    copy_str(out->label, sizeof out->label, name);
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
    if (o->data_dir) copy_str(m->data_dir, sizeof m->data_dir, clo_str_from(o->data_dir));
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
