/* Opening models. See models.h, models_impl.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "serve/http_impl.h"
#include "serve/models_impl.h"

#define FAULT_S 5.0                          /* a model that cannot be opened is not tried again sooner */
#define SPARE_BYTES ((uint64_t)128 << 20)    /* that stay free when a model is opened */
#define KEPT_AFTER_OPENING_S 10.0            /* so that those who waited find it open */
#define RULES "cloche n1 n1-sampling " CLO_GRAMMAR_VERSION /* that decide an answer */

/* --- facts --------------------------------------------------------------------------------------------------------*/

bool clo_models_facts(clo_facts *out, clo_models *m, const clo_model_info *info, clo_err *err)
{
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->n_facts; i++) {
        const clo_facts_row *row = &m->facts[i];
        if (row->modified_unix != info->modified_unix || row->bytes != info->bytes || strcmp(row->path, info->path) != 0)
            continue;
        *out = row->facts;
        pthread_mutex_unlock(&m->lock);
        return true;
    }
    pthread_mutex_unlock(&m->lock);
    if (!clo_facts_read(out, info->path, err)) return false;
    pthread_mutex_lock(&m->lock);
    clo_facts_row *more = (clo_facts_row *)realloc(m->facts, (m->n_facts + 1) * sizeof *more);
    if (more) {
        m->facts = more;
        clo_facts_row *row = &more[m->n_facts++];
        memcpy(row->path, info->path, sizeof row->path);
        row->modified_unix = info->modified_unix;
        row->bytes = info->bytes;
        row->facts = *out;
    }
    pthread_mutex_unlock(&m->lock);
    return true;
}

/* --- opening ------------------------------------------------------------------------------------------------------*/

/* "fp_" and the first 12 hex digits of a hash over everything that decides an answer besides the request. */
static void make_fingerprint(clo_open_model *o)
{
    clo_sha256 model = clo_model_digest(o->model), tok = clo_model_tokenizer_digest(o->model), tpl = {0};
    clo_sha256_ctx c;
    char hex[65];
    if (o->chat) tpl = clo_chat_digest(o->chat);
    clo_sha256_begin(&c);
    clo_sha256_add(&c, RULES, sizeof RULES);
    clo_sha256_add(&c, model.b, sizeof model.b);
    clo_sha256_add(&c, tok.b, sizeof tok.b);
    clo_sha256_add(&c, tpl.b, sizeof tpl.b);
    clo_sha256 d = clo_sha256_end(&c);
    clo_sha256_hex(hex, &d);
    snprintf(o->fingerprint, sizeof o->fingerprint, "fp_%.12s", hex);
}

static bool open_chats(clo_open_model *o, clo_err *err)
{
    for (int tools = 0; tools < 2; tools++) {
        clo_chat **chat = tools ? &o->chat_tools : &o->chat;
        if (clo_chat_open(chat, o->model, tools, err)) continue;
        if (err->code != CLO_ERR_NOT_FOUND) return false;
        *err = (clo_err){0}; /* a base model */
    }
    return true;
}

static void close_parts(clo_open_model *o)
{
    clo_sched_close(o->sched);
    clo_chat_close(o->chat);
    clo_chat_close(o->chat_tools);
    clo_vocab_trie_close(o->trie);
    clo_model_close(o->model);
    o->sched = NULL;
    o->chat = o->chat_tools = NULL;
    o->trie = NULL;
    o->model = NULL;
}

/* Packs with all threads when no other model computes, else alone and without disturbing them. */
static bool open_weights(clo_open_model *o, clo_models *m, const char *path, bool alone, clo_err *err)
{
    bool not_kept = false;
    const clo_model_opts mo = {.pool = alone ? NULL : m->pool, .data_dir = m->data_dir[0] ? m->data_dir : NULL, .not_kept = &not_kept};
    if (!alone) clo_turn_take(&m->turn);
    bool ok = clo_model_open(&o->model, path, mo, err);
    if (!alone) clo_turn_give(&m->turn);
    return ok;
}

static bool open_parts(clo_open_model *o, clo_models *m, const clo_model_info *info, bool alone, clo_err *err)
{
    const clo_sched_opts so = {.n_ctx = m->o.n_ctx_max && m->o.n_ctx_max < info->facts.n_ctx ? m->o.n_ctx_max : 0,
                               .kv_bytes_max = m->o.kv_bytes_max,
                               .n_running_max = m->o.n_running_max,
                               .n_waiting_max = m->o.n_waiting_max,
                               .turn = &m->turn};
    o->advice = (clo_sampler_params){.temp = 1};
    if (!open_weights(o, m, info->path, alone, err) || !clo_facts_sampler(&o->advice, info->path, err)) return false;
    o->tok = clo_model_tokenizer(o->model);
    if (!o->tok) return clo_fail(err, CLO_ERR_UNSUPPORTED, "the model has no tokenizer");
    o->tool_syntax = clo_tool_syntax_of(clo_tok_template(o->tok, true));
    if (!clo_vocab_trie_open(&o->trie, o->tok, clo_gen_vocab(o->model), err)) return false;
    if (!open_chats(o, err) || !clo_sched_open(&o->sched, o->model, m->pool, so, err)) return false;
    o->n_stop_ids = clo_gen_stop_ids(o->model, o->stop_ids, CLO_STOP_IDS_SHOWN_MAX);
    make_fingerprint(o);
    return true;
}

static void wake_waiting(clo_model_entry *e)
{
    for (size_t i = 0; i < e->n_waiting; i++) clo_request_again(e->waiting[i]);
    e->n_waiting = 0;
}

static bool others_compute(const clo_models *m)
{
    for (const clo_model_entry *e = m->entries; e; e = e->next)
        if (e->state == CLO_ENTRY_OPEN) return true;
    return false;
}

static void tell(const clo_model_entry *e, const char *what, const char *more)
{
    char line[CLO_SERVED_NAME_MAX + 512];
    snprintf(line, sizeof line, "model '%s' %s%.300s", e->info.name, what, more);
    if (e->models->o.log) e->models->o.log(line);
}

/* What the model's name in the library stands for now: another file there later is another model. */
static void note_file(clo_model_entry *e)
{
    char models[4096];
    struct stat st;
    bool stored = e->models->data_dir[0] && clo_path_join(models, NULL, "%s/models/", e->models->data_dir) &&
                  clo_str_starts_with(clo_str_from(e->info.path), clo_str_from(models)) && stat(e->info.path, &st) == 0;
    pthread_mutex_lock(&e->models->lock);
    e->dev = stored ? (uint64_t)st.st_dev : 0;
    e->ino = stored ? (uint64_t)st.st_ino : 0;
    pthread_mutex_unlock(&e->models->lock);
}

/* Files of the hub's models come to lie where the entry says. For one that could never be opened nothing is put together. */
static bool make_files(clo_model_entry *e, clo_err *err)
{
    uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    if (!e->info.held.repo) return true;
    if (e->info.bytes > memory) return clo_fail(err, CLO_ERR_MEMORY, "the model is larger than this machine's memory");
    return clo_models_make_held(e->models, &e->info, err);
}

/* What can be known without the weights. */
static bool look_into(clo_model_entry *e, clo_err *err)
{
    clo_models *m = e->models;
    note_file(e);
    clo_facts facts;
    bool ok = make_files(e, err) && clo_models_facts(&facts, m, &e->info, err);
    pthread_mutex_lock(&m->lock);
    if (ok) e->info.facts = facts;
    e->looked_into = e->looked_into || ok;
    pthread_mutex_unlock(&m->lock);
    return ok;
}

static bool open_whole(clo_model_entry *e, clo_err *err)
{
    clo_models *m = e->models;
    double begin = clo_http_now();
    bool ok = look_into(e, err);
    pthread_mutex_lock(&m->lock);
    bool room = !ok || clo_models_make_room(m, e->info.bytes), alone = others_compute(m);
    pthread_mutex_unlock(&m->lock);
    if (!room) ok = clo_fail(err, CLO_ERR_MEMORY, "no memory is left for the model");
    ok = ok && open_parts(&e->open, m, &e->info, alone, err);
    if (!ok) close_parts(&e->open);
    if (ok) {
        clo_sha256 d = clo_model_digest(e->open.model);
        clo_sha256_hex(e->digest, &d);
        clo_metrics_load(e->open.metrics);
        e->open.load_s = clo_http_now() - begin;
    }
    tell(e, ok ? "is open" : "cannot be opened: ", ok ? "" : err->text);
    return ok;
}

static void *open_entry(void *ctx)
{
    clo_model_entry *e = (clo_model_entry *)ctx;
    clo_models *m = e->models;
    clo_err err = {0};
    bool look = e->only_look, ok = look ? look_into(e, &err) : open_whole(e, &err);
    if (look && !ok) tell(e, "cannot be looked into: ", err.text);

    pthread_mutex_lock(&m->lock);
    double now = clo_http_now();
    e->state = ok && !look ? CLO_ENTRY_OPEN : CLO_ENTRY_CLOSED;
    e->only_look = false;
    e->fault = err;
    e->fault_until_s = ok ? 0 : now + FAULT_S;
    e->closed_s = now;
    e->expires_s = e->removed ? 0 : e->given || e->keep_alive_s < 0 ? HUGE_VAL : now + fmax(e->keep_alive_s, KEPT_AFTER_OPENING_S);
    wake_waiting(e);
    m->n_opening--;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
    return NULL;
}

bool clo_entry_start_opening(clo_model_entry *e, clo_err *err)
{
    pthread_t t;
    e->state = CLO_ENTRY_OPENING;
    int rc = pthread_create(&t, NULL, open_entry, e);
    if (rc != 0) {
        e->state = CLO_ENTRY_CLOSED;
        return clo_fail_sys(err, rc, "start a thread");
    }
    pthread_detach(t); /* the end waits for n_opening */
    e->models->n_opening++;
    return true;
}

/* --- closing ------------------------------------------------------------------------------------------------------*/

void clo_entry_close(clo_model_entry *e)
{
    clo_models *m = e->models;
    clo_sched_stats st;
    clo_sched_stats_of(e->open.sched, &st);
    e->state = CLO_ENTRY_CLOSING;
    clo_metrics_unload(e->open.metrics, st.n_passes, st.n_preempted);
    pthread_mutex_unlock(&m->lock);
    close_parts(&e->open);
    tell(e, "is closed", "");
    pthread_mutex_lock(&m->lock);
    e->state = CLO_ENTRY_CLOSED;
    e->closed_s = clo_http_now();
    clo_err err = {0};
    if (e->removed) wake_waiting(e); /* they find that it is gone */
    if (e->n_waiting > 0 && !clo_entry_start_opening(e, &err)) { /* asked for while it was closing */
        e->fault = err;
        e->fault_until_s = clo_http_now() + FAULT_S;
        wake_waiting(e);
    }
    pthread_cond_broadcast(&m->changed);
}

bool clo_models_make_room(clo_models *m, uint64_t bytes)
{
    for (;;) {
        uint64_t free_bytes = clo_memory_available();
        if (free_bytes == 0 || free_bytes >= bytes + SPARE_BYTES) return true;
        clo_model_entry *oldest = NULL;
        for (clo_model_entry *e = m->entries; e; e = e->next)
            if (e->state == CLO_ENTRY_OPEN && e->n_users == 0 && (!oldest || e->expires_s < oldest->expires_s)) oldest = e;
        if (!oldest) return false;
        clo_entry_close(oldest);
    }
}
