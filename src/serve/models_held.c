/* Models that repositories hold: who may have them, and making them files. See models.h, held.h. */
#include <stdio.h>
#include <string.h>

#include "hub/access.h"
#include "hub/token.h"
#include "serve/cookie.h"
#include "serve/held.h"
#include "serve/hub.h"
#include "serve/models_impl.h"

/* A look into the hub: a connection, and who looks. */
typedef struct {
    clo_models *m;
    clo_hub_call call; /* as a request of the hub's has it: who, db, repo, what they see */
    clo_git *git;      /* owned; of call.repo */
} look;

/* --- who asks -----------------------------------------------------------------------------------------------------*/

/* The account behind a request, by whichever header its key came. What is none sees what everyone sees. */
static clo_bearer who_asks(const clo_models *m, const clo_request *r)
{
    char text[512] = "";
    clo_bearer who = {0};
    clo_denial unused;
    clo_str bearer = clo_request_header(r, "Authorization"), key = clo_request_header(r, "X-Api-Key");
    if (bearer.ptr && bearer.len < sizeof text) snprintf(text, sizeof text, "%.*s", (int)bearer.len, bearer.ptr);
    else if (key.ptr && key.len < sizeof text - 8) snprintf(text, sizeof text, "Bearer %.*s", (int)key.len, key.ptr);
    else if (!bearer.ptr && !key.ptr && !clo_cookie_bearer(text, r)) return who;
    if (!m->o.keys || !clo_token_who(&who, m->o.keys, text, clo_hub_now(), &unused)) return (clo_bearer){0};
    return who;
}

/* r NULL: whoever started the server. */
static bool look_begin(look *l, clo_models *m, const clo_request *r, clo_err *err)
{
    *l = (look){.m = m};
    if (r) l->call.who = who_asks(m, r);
    return clo_hub_take_db(&l->call.db, m->o.hub, err);
}

static void look_end(look *l)
{
    clo_git_close(l->git);
    if (l->call.db) clo_hub_give_db(l->m->o.hub, l->call.db);
}

/* *found: there is such a repository, and who looks may read its files. */
static bool find_repo(bool *found, look *l, const char *id, bool everything, clo_err *err)
{
    bool moved;
    *found = false;
    if (!clo_hub_look_at(&l->call, &moved, CLO_REPO_MODEL, clo_str_from(id), err)) return false;
    *found = l->call.seen.exists && (everything || clo_access(NULL, &l->call.caller, &l->call.seen, CLO_MAY_READ));
    return true;
}

bool clo_models_shows(clo_models *m, const clo_model_info *info, const clo_request *r)
{
    look l;
    clo_repo repo;
    bool found = false;
    if (!info->guarded) return true;
    bool ok = look_begin(&l, m, r, NULL) && clo_repo_get(&repo, l.call.db, info->held.repo, NULL) &&
              find_repo(&found, &l, repo.full, false, NULL);
    look_end(&l);
    return ok && found;
}

/* --- finding ------------------------------------------------------------------------------------------------------*/

/* What is known of the same model already. */
static bool copy_known(clo_model_info *info, clo_models *m)
{
    pthread_mutex_lock(&m->lock);
    const clo_model_entry *e = clo_entry_held(m, &info->held);
    bool known = e && e->info.path[0];
    if (known) {
        memcpy(info->path, e->info.path, sizeof info->path);
        memcpy(info->digest, e->digest, sizeof info->digest);
        info->bytes = e->info.bytes;
        info->facts = e->info.facts;
        info->modified_unix = e->info.modified_unix;
        info->guarded = e->info.guarded;
    }
    pthread_mutex_unlock(&m->lock);
    return known;
}

static bool fill(clo_model_info *out, look *l, const clo_held_name *n, clo_err *err)
{
    const clo_repo *repo = &l->call.repo;
    clo_held h = {0};
    char hex[CLO_OID_HEX];
    *out = (clo_model_info){.held = {.repo = repo->id}, .modified_unix = repo->modified_s, .guarded = true};
    memcpy(out->held.file, n->file, sizeof out->held.file);
    if (!clo_held_spell(out->name, n, repo->full)) return clo_fail(err, CLO_ERR_LIMIT, "a name of a model that is too long");
    if (!clo_git_open(&l->git, l->call.db, repo->id, err) || !clo_held_commit(&out->held.commit, l->git, repo, n->rev, err)) return false;
    clo_oid_hex(hex, &out->held.commit);
    snprintf(out->label, sizeof out->label, "%s%s%.60s@%.12s", repo->is_private ? repo->oid : repo->full, n->file[0] ? ":" : "", n->file, hex);
    if (copy_known(out, l->m)) return true;
    if (!clo_held_pick(&h, l->git, l->m->data_dir, repo, &out->held.commit, n->file, err)) return false;
    memcpy(out->path, h.path, sizeof out->path);
    out->bytes = h.files.bytes;
    clo_held_close(&h);
    return true;
}

bool clo_models_find_held(clo_model_info *out, bool *found, clo_models *m, clo_str name, const clo_request *r, clo_err *err)
{
    clo_held_name n;
    look l;
    *found = false;
    if (!m->o.hub || !clo_held_parse(&n, name)) return true;
    bool ok = look_begin(&l, m, r, err) && find_repo(found, &l, n.id, !r, err) && (!*found || fill(out, &l, &n, err));
    look_end(&l);
    return ok;
}

/* --- by digest ----------------------------------------------------------------------------------------------------*/

typedef struct {
    look l;
    clo_str digits;
    clo_model_info *out;
    bool ok, found;
    clo_err err;
} search;

/* Ends the search with the first that who asks may have. */
static bool is_wanted(void *ctx, const clo_held_note *n)
{
    search *s = (search *)ctx;
    clo_repo repo;
    char hex[65], commit[CLO_OID_HEX];
    bool there = false;
    clo_sha256_hex(hex, &n->digest);
    if (!clo_begins_digest(s->digits, hex)) return true;
    s->ok = clo_repo_of_oid(&repo, &there, s->l.call.db, n->repo_oid, &s->err) &&
            (!there || find_repo(&s->found, &s->l, repo.full, false, &s->err));
    if (!s->ok || !s->found) return s->ok;
    clo_held_name name = {0};
    clo_oid_hex(commit, &n->commit);
    memcpy(name.file, n->file, sizeof name.file);
    memcpy(name.rev, commit, sizeof commit);
    s->ok = fill(s->out, &s->l, &name, &s->err);
    return false;
}

bool clo_models_find_digest(clo_model_info *out, bool *found, clo_models *m, clo_str digits, const clo_request *r, clo_err *err)
{
    search s = {.digits = digits, .out = out, .ok = true};
    *found = false;
    if (!m->o.hub) return true;
    s.ok = look_begin(&s.l, m, r, &s.err);
    if (s.ok) clo_held_each(m->data_dir, is_wanted, &s);
    look_end(&s.l);
    *found = s.found;
    if (!s.ok && err) *err = s.err;
    return s.ok;
}

/* --- making -------------------------------------------------------------------------------------------------------*/

static bool go_on(void *ctx, const char *path, uint64_t done, uint64_t total)
{
    clo_models *m = (clo_models *)ctx;
    (void)path, (void)done, (void)total;
    pthread_mutex_lock(&m->lock);
    bool stopping = m->stopping;
    pthread_mutex_unlock(&m->lock);
    return !stopping;
}

bool clo_models_make_held(clo_models *m, const clo_model_info *info, clo_err *err)
{
    look l;
    clo_held h = {0};
    const clo_snapshot_opts o = {.now_s = clo_hub_now(), .progress = go_on, .progress_ctx = m};
    bool ok = look_begin(&l, m, NULL, err);
    const clo_files f = {.db = l.call.db, .data_dir = m->data_dir};
    ok = ok && clo_repo_get(&l.call.repo, l.call.db, info->held.repo, err) && clo_git_open(&l.git, l.call.db, info->held.repo, err) &&
         clo_held_pick(&h, l.git, m->data_dir, &l.call.repo, &info->held.commit, info->held.file, err) &&
         clo_held_make(&h, &f, l.git, &o, err);
    clo_held_close(&h);
    look_end(&l);
    return ok;
}
