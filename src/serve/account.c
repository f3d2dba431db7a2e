/* See account.h. */
#include "serve/account.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "serve/cookie.h"
#include "serve/http_impl.h"
#include "serve/json_out.h"
#include "serve/server_impl.h"

#define HEADER_MAX 256

/* Two hold it: the request until clo_account_end, the ledger until its line is written. */
struct clo_account {
    clo_server *s;
    clo_grant *grant;            /* owned; NULL once ended */
    char key[CLO_KEY_NAME_MAX];
    char request[80], route[128];
    pthread_mutex_t lock;        /* guards what follows */
    int n_holds;
    size_t n_storing;            /* receipts on their way */
    bool store_failed;
    void (*store_wake)(void *ctx); /* with `ctx` below */
    clo_account_stage stage;
    void (*wake)(void *ctx);     /* NULL once the request has gone */
    void *ctx;
};

static int64_t now_s(void)
{
    return clo_unix_us() / 1000000;
}

/* --- who ----------------------------------------------------------------------------------------------------------*/

static bool fail_as(clo_api_error *e, const clo_refusal *no)
{
    clo_api_kind kind = no->status == 401 ? CLO_API_NO_KEY : no->status == 403 ? CLO_API_NO_RIGHT : CLO_API_INTERNAL;
    if (no->status == 429) kind = no->no_retry ? CLO_API_QUOTA : CLO_API_RATE;
    clo_api_fail(e, kind, NULL, "%s", no->message);
    if (no->retry_after_s > 0) e->retry_after_s = (unsigned)no->retry_after_s;
    return false;
}

/* NULL when it is not there; one that is too long cannot be a key's. */
static const char *header(char out[HEADER_MAX], const clo_request *r, const char *name)
{
    clo_str s = clo_request_header(r, name);
    if (!s.ptr) return NULL;
    size_t n = s.len < HEADER_MAX ? s.len : 0;
    memcpy(out, s.ptr, n);
    out[n] = '\0';
    return out;
}

bool clo_account_who(clo_caller *who, clo_server *s, const clo_request *r, clo_api_error *e)
{
    char authorization[HEADER_MAX], x_api_key[HEADER_MAX];
    clo_refusal no;
    *who = (clo_caller){0};
    if (!s->keys) return true;
    const char *bearer = header(authorization, r, "Authorization"), *key = header(x_api_key, r, "X-Api-Key");
    if (!bearer && !key && clo_cookie_bearer(authorization, r)) bearer = authorization;
    return clo_keys_who(who, s->keys, bearer, key, now_s(), &no) ||
           fail_as(e, &no);
}

/* The line of a refusal to somebody who is known. */
static void log_refusal(clo_server *s, const clo_request *r, const char *key, const char *model, int status, const char *why)
{
    const clo_audit_record line = {.at_ms = clo_unix_us() / 1000,
                                   .event = "refused",
                                   .key = clo_str_from(key),
                                   .request = clo_str_from(clo_request_id(r)),
                                   .route = clo_request_path(r),
                                   .model = clo_str_from(model),
                                   .status = status,
                                   .note = clo_str_from(why)};
    if (s->ledger) clo_ledger_put(s->ledger, &line, NULL, NULL);
}

bool clo_account_may_use(clo_server *s, clo_request *r, clo_str name, clo_api_error *e)
{
    clo_caller who;
    char spelled[CLO_SERVED_NAME_MAX];
    clo_str asked = clo_arena_copy_str(clo_request_arena(r), name);
    clo_api_error unknown = {0};
    if (!clo_account_who(&who, s, r, e)) return false;
    if (!s->keys || !asked.ptr || clo_keys_may_use(s->keys, &who, asked.ptr)) return true;
    if (!clo_models_spell(spelled, s->models, name, r, &unknown)) return true;
    if (clo_keys_may_use(s->keys, &who, spelled)) return true; /* it was another spelling */
    clo_api_fail(e, CLO_API_NO_RIGHT, NULL, "This key may not use the model '%.100s'.", asked.ptr);
    log_refusal(s, r, who.name, asked.ptr, (int)clo_api_status(e->kind), e->message);
    return false;
}

bool clo_account_may_change(clo_server *s, clo_request *r, clo_api_error *e)
{
    clo_caller who;
    if (!clo_account_who(&who, s, r, e)) return false;
    if (who.admin) return true;
    if (!who.name[0])
        return clo_api_fail(e, CLO_API_POLICY, NULL,
                            "models are changed by 'cloche import' and 'cloche rm', or with a key that 'cloche key add NAME --admin' made");
    clo_api_fail(e, CLO_API_NO_RIGHT, NULL, "This key may not change models: one made with --admin may.");
    log_refusal(s, r, who.name, "", (int)clo_api_status(e->kind), e->message);
    return false;
}

bool clo_account_changed(clo_server *s, const clo_request *r, const char *key, const char *event, const char *model,
                         const char *note, clo_err *err)
{
    const clo_audit_record line = {.at_ms = clo_unix_us() / 1000,
                                   .event = event,
                                   .key = clo_str_from(key),
                                   .request = clo_str_from(clo_request_id(r)),
                                   .route = clo_request_path(r),
                                   .model = clo_str_from(model),
                                   .note = clo_str_from(note)};
    return !s->ledger || clo_ledger_put_wait(s->ledger, &line, err);
}

size_t clo_account_keep_allowed(clo_model_info *list, size_t n, clo_server *s, const clo_request *r)
{
    clo_caller who;
    clo_api_error e = {0};
    size_t n_kept = 0;
    if (!s->keys) return n;
    if (!clo_account_who(&who, s, r, &e)) return 0;
    for (size_t i = 0; i < n; i++) {
        if (!clo_keys_may_use(s->keys, &who, list[i].name)) continue;
        if (n_kept < i) list[n_kept] = list[i];
        n_kept++;
    }
    return n_kept;
}

/* --- beginning ----------------------------------------------------------------------------------------------------*/

static clo_account *make(clo_server *s, const clo_request *r, const clo_caller *who)
{
    clo_account *a = (clo_account *)calloc(1, sizeof *a);
    if (!a) return NULL;
    a->s = s;
    a->n_holds = 1;
    pthread_mutex_init(&a->lock, NULL);
    memcpy(a->key, who->name, sizeof a->key);
    clo_str_copy(a->request, sizeof a->request, clo_str_from(clo_request_id(r)));
    clo_str_copy(a->route, sizeof a->route, clo_request_path(r));
    return a;
}

static void drop_hold(clo_account *a)
{
    pthread_mutex_lock(&a->lock);
    bool last = --a->n_holds == 0;
    pthread_mutex_unlock(&a->lock);
    if (!last) return;
    pthread_mutex_destroy(&a->lock);
    free(a);
}

static void fill_in(const clo_account *a, clo_audit_record *r)
{
    r->at_ms = clo_unix_us() / 1000;
    r->key = clo_str_from(a->key);
    r->request = clo_str_from(a->request);
    r->route = clo_str_from(a->route);
}

bool clo_account_begin(clo_account **out, clo_server *s, const clo_request *r, const char *model, size_t n_prompt,
                       clo_api_error *e)
{
    clo_caller who;
    clo_refusal no;
    *out = NULL;
    if (!clo_account_who(&who, s, r, e)) return false;
    clo_account *a = make(s, r, &who);
    if (!a) return clo_api_fail(e, CLO_API_BUSY, NULL, "server busy, please try again.  no memory is left");
    if (!s->keys || clo_keys_begin(&a->grant, s->keys, &who, model, (int64_t)n_prompt, now_s(), &no)) {
        *out = a;
        return true;
    }
    log_refusal(s, r, who.name, model, no.status, no.message);
    drop_hold(a);
    return fail_as(e, &no);
}

size_t clo_account_output_max(const clo_account *a)
{
    int64_t n = a->grant ? clo_grant_output_max(a->grant) : INT64_MAX;
    return n == INT64_MAX ? SIZE_MAX : (size_t)n;
}

const char *clo_account_key(const clo_account *a)
{
    return a->key;
}

/* --- ending -------------------------------------------------------------------------------------------------------*/

/* On the ledger's thread. The lock is held while waking, so that the request does not go away meanwhile. */
static void on_written(void *ctx, bool on_disk, const clo_err *err)
{
    clo_account *a = (clo_account *)ctx;
    if (!on_disk && a->s->o.log) a->s->o.log(err->text);
    pthread_mutex_lock(&a->lock);
    a->stage = on_disk ? CLO_ACCOUNT_ON_DISK : CLO_ACCOUNT_FAILED;
    if (a->wake) a->wake(a->ctx);
    pthread_mutex_unlock(&a->lock);
    drop_hold(a);
}

static void end_grant(clo_account *a, const clo_audit_record *r)
{
    if (a->grant) clo_keys_end(a->s->keys, a->grant, r ? r->n_prompt : 0, r ? r->n_output : 0, now_s());
    a->grant = NULL;
}

void clo_account_close(clo_account *a, clo_audit_record *r, void (*wake)(void *ctx), void *ctx)
{
    end_grant(a, r);
    fill_in(a, r);
    pthread_mutex_lock(&a->lock);
    a->stage = CLO_ACCOUNT_CLOSING;
    a->wake = wake;
    a->ctx = ctx;
    a->n_holds++;
    pthread_mutex_unlock(&a->lock);
    if (a->s->ledger) clo_ledger_put(a->s->ledger, r, on_written, a);
    else on_written(a, true, NULL);
}

/* On the ledger's thread, as on_written. */
static void on_stored(void *ctx, bool on_disk, const clo_err *err)
{
    clo_account *a = (clo_account *)ctx;
    if (!on_disk && a->s->o.log) a->s->o.log(err->text);
    pthread_mutex_lock(&a->lock);
    a->n_storing--;
    a->store_failed = a->store_failed || !on_disk;
    if (a->store_wake) a->store_wake(a->ctx);
    pthread_mutex_unlock(&a->lock);
    drop_hold(a);
}

void clo_account_store(clo_account *a, const clo_sha256 *digest, clo_str text, void (*wake)(void *ctx), void *ctx)
{
    if (!a->s->ledger) return;
    pthread_mutex_lock(&a->lock);
    a->n_storing++;
    a->n_holds++;
    a->store_wake = wake;
    if (wake) a->ctx = ctx;
    pthread_mutex_unlock(&a->lock);
    clo_ledger_put_receipt(a->s->ledger, digest, text, on_stored, a);
}

bool clo_account_has_stored(clo_account *a, bool *failed)
{
    pthread_mutex_lock(&a->lock);
    bool none = a->n_storing == 0;
    *failed = a->store_failed;
    pthread_mutex_unlock(&a->lock);
    return none;
}

clo_account_stage clo_account_state(clo_account *a)
{
    pthread_mutex_lock(&a->lock);
    clo_account_stage stage = a->stage;
    pthread_mutex_unlock(&a->lock);
    return stage;
}

void clo_account_end(clo_account *a, clo_audit_record *r)
{
    if (!a) return;
    bool open = clo_account_state(a) == CLO_ACCOUNT_OPEN;
    if (open && r) clo_account_close(a, r, NULL, NULL);
    end_grant(a, NULL);
    pthread_mutex_lock(&a->lock);
    a->wake = a->store_wake = NULL;
    pthread_mutex_unlock(&a->lock);
    drop_hold(a);
}
