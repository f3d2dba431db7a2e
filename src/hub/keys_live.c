/* See keys.h: who may ask a model, and how much. keys_snapshot.c has the keys; what a name has used today is read once and
 * counted here from then on. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/keys.h"
#include "hub/keys_impl.h"

#define RETRY_SOON_S 2   /* for what passes when another request ends */

struct clo_grant {
    clo_key_tally *t; /* NULL for a caller without a name */
    int64_t n_prompt, output_max;
};

/* --- refusals -----------------------------------------------------------------------------------------------------*/

static bool refuse(clo_refusal *no, int status, const char *type, const char *code, int64_t retry_after_s,
                   const char *fmt, ...) CLO_PRINTF(6, 7);
static bool refuse(clo_refusal *no, int status, const char *type, const char *code, int64_t retry_after_s,
                   const char *fmt, ...)
{
    va_list ap;
    *no = (clo_refusal){.status = status, .type = type, .code = code, .retry_after_s = retry_after_s};
    no->no_retry = status != 429 || strcmp(code, "insufficient_quota") == 0;
    va_start(ap, fmt);
    vsnprintf(no->message, sizeof no->message, fmt, ap);
    va_end(ap);
    return false;
}

static bool refuse_401(clo_refusal *no, const char *why)
{
    return refuse(no, 401, "invalid_request_error", "invalid_api_key", -1, "%s", why);
}

/* --- use ----------------------------------------------------------------------------------------------------------*/

static bool read_used_today(int64_t *out, clo_keys *k, const char *name, int64_t day, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, k->db, "SELECT prompt + output FROM key_usage WHERE name = ?1 AND day = ?2", err) &&
              clo_stmt_text(&q, 1, clo_str_from(name), err) && clo_stmt_int(&q, 2, day, err) &&
              clo_stmt_step(&q, &row, err);
    *out = ok && row ? clo_stmt_get_int(&q, 0) : 0;
    clo_stmt_close(&q);
    return ok;
}

/* The count of a name, made at its first request. A new day begins at zero. */
static clo_key_tally *tally_of(clo_keys *k, const char *name, int64_t day, clo_err *err)
{
    clo_key_tally *t = k->tallies;
    while (t && strcmp(t->name, name) != 0) t = t->next;
    if (!t) {
        int64_t used;
        if (!read_used_today(&used, k, name, day, err) || !(t = calloc(1, sizeof *t))) return NULL;
        memcpy(t->name, name, strlen(name) + 1);
        t->day = day;
        t->used = used;
        t->next = k->tallies;
        k->tallies = t;
    }
    if (t->day < day) {
        t->day = day;
        t->used = 0;
    }
    return t;
}

/* --- whether one is needed ----------------------------------------------------------------------------------------*/

bool clo_keys_needed(clo_keys *k)
{
    pthread_mutex_lock(&k->lock);
    bool needed = !k->ask_nobody && (!clo_keys_refresh(k, NULL) || k->n_given > 0);
    pthread_mutex_unlock(&k->lock);
    return needed;
}

void clo_keys_ask_nobody(clo_keys *k)
{
    pthread_mutex_lock(&k->lock);
    k->ask_nobody = true;
    pthread_mutex_unlock(&k->lock);
}

bool clo_keys_check_listen(const char *address, bool is_local, bool keys_needed, bool no_keys, clo_err *err)
{
    if (is_local || keys_needed || no_keys) return true;
    return clo_fail(err, CLO_ERR_DENIED,
                    "other machines reach '%s', and no key was made: 'cloche key add NAME' makes one, --no-keys lets everyone "
                    "ask",
                    address);
}

/* --- who ----------------------------------------------------------------------------------------------------------*/

/* The key's text in the headers: NULL when there is none. */
static const char *text_of(const char *authorization, const char *x_api_key)
{
    static const char scheme[] = "bearer";
    if (authorization) {
        const char *p = authorization + strspn(authorization, " ");
        if (strncasecmp(p, scheme, strlen(scheme)) == 0 && p[strlen(scheme)] == ' ') {
            p += strlen(scheme);
            return p + strspn(p, " ");
        }
    }
    return x_api_key;
}

static bool who_locked(clo_caller *out, clo_keys *k, const char *text, int64_t now_s, clo_refusal *no)
{
    clo_err err = {0};
    if (k->ask_nobody) return true;
    if (!clo_keys_refresh(k, &err)) return refuse(no, 500, "server_error", NULL, -1, "the keys cannot be read");
    if (k->n_given == 0) return true;
    if (!text || !*text)
        return refuse_401(no, "No API key was given: send the header 'Authorization: Bearer KEY'.");
    clo_key_row *found = clo_keys_of_text(k, clo_str_from(text));
    if (!found) return refuse_401(no, "Incorrect API key.");
    if (found->revoked) return refuse_401(no, "This API key was revoked.");
    if (found->expires_s && found->expires_s <= now_s) return refuse_401(no, "This API key has expired.");
    if (found->scope)
        return refuse(no, 403, "permission_error", "permission_denied", -1, "This token is for '%.150s' alone.", found->scope);
    memcpy(out->name, found->name, sizeof out->name);
    memcpy(out->id, found->id, sizeof out->id);
    out->admin = found->admin;
    found->used_s = now_s;
    return true;
}

bool clo_keys_who(clo_caller *out, clo_keys *k, const char *authorization, const char *x_api_key, int64_t now_s,
                  clo_refusal *no)
{
    *out = (clo_caller){0};
    pthread_mutex_lock(&k->lock);
    bool ok = who_locked(out, k, text_of(authorization, x_api_key), now_s, no);
    pthread_mutex_unlock(&k->lock);
    return ok;
}

/* --- what a caller may --------------------------------------------------------------------------------------------*/

clo_str clo_model_without_latest(clo_str s)
{
    if (clo_str_ends_with(s, CLO_STR(":latest"))) s.len -= strlen(":latest");
    return s;
}

/* A repository in the list stands for all its revisions and files: ns/name:FILE@REVISION, where no other name has these marks. */
static bool is_one(clo_str model, clo_str one)
{
    return clo_str_starts_with(model, one) && (model.len == one.len || model.ptr[one.len] == ':' || model.ptr[one.len] == '@');
}

static bool in_list(const char *models, clo_str model)
{
    clo_str list = clo_str_from(models);
    for (size_t at = 0; at < list.len;) {
        size_t end = clo_str_find(list, at, '\n');
        clo_str one = clo_model_without_latest((clo_str){list.ptr + at, end - at});
        bool star = clo_str_ends_with(one, CLO_STR("*"));
        if (star) one.len--;
        if (star ? clo_str_starts_with(model, one) : is_one(model, one)) return true;
        at = end + 1;
    }
    return false;
}

static bool may_use(const clo_key_row *found, const char *model)
{
    return !found->models || in_list(found->models, clo_model_without_latest(clo_str_from(model)));
}

bool clo_keys_may_use(clo_keys *k, const clo_caller *who, const char *model)
{
    if (!who->name[0]) return true;
    pthread_mutex_lock(&k->lock);
    const clo_key_row *found = clo_keys_of_id(k, who->id);
    bool may = found && !found->revoked && may_use(found, model);
    pthread_mutex_unlock(&k->lock);
    return may;
}

/* The rows of the specification's error table, in its order. `left` is what the day has for this request's output. */
static bool check_quota(int64_t *left, const clo_key_row *found, const clo_key_tally *t, const char *model, int64_t n_prompt,
                        int64_t now_s, clo_refusal *no)
{
    int64_t max = found->tokens_per_day, to_reset = KEY_DAY_S - now_s % KEY_DAY_S;
    *left = INT64_MAX;
    if (!may_use(found, model))
        return refuse(no, 403, "permission_error", "permission_denied", -1, "This key may not use the model '%.100s'.", model);
    if (found->concurrent && t->n_running >= found->concurrent)
        return refuse(no, 429, "requests", "rate_limit_exceeded", RETRY_SOON_S,
                      "This key may have %lld requests at once.", (long long)found->concurrent);
    if (!max) return true;
    *left = max - t->used - t->reserved - n_prompt;
    if (*left > 0) return true;
    if (max - t->used - n_prompt > 0)
        return refuse(no, 429, "tokens", "rate_limit_exceeded", RETRY_SOON_S,
                      "Requests of this key that run now may use up its %lld tokens a day.", (long long)max);
    return refuse(no, 429, "insufficient_quota", "insufficient_quota", to_reset,
                  "This key has used %lld of its %lld tokens today (UTC); this request needs more than are left.",
                  (long long)t->used, (long long)max);
}

static bool begin_locked(clo_grant *g, clo_keys *k, const clo_caller *who, const char *model, int64_t n_prompt,
                         int64_t now_s, clo_refusal *no)
{
    const clo_key_row *found = clo_keys_of_id(k, who->id);
    if (!found || found->revoked) return refuse_401(no, "This API key was revoked.");
    g->t = tally_of(k, who->name, now_s / KEY_DAY_S, NULL);
    if (!g->t) return refuse(no, 500, "server_error", NULL, -1, "the key's count cannot be read");
    if (!check_quota(&g->output_max, found, g->t, model, n_prompt, now_s, no)) return false;
    g->t->n_running++;
    g->t->reserved += n_prompt;
    return true;
}

bool clo_keys_begin(clo_grant **out, clo_keys *k, const clo_caller *who, const char *model, int64_t n_prompt,
                    int64_t now_s, clo_refusal *no)
{
    clo_grant *g = calloc(1, sizeof *g);
    bool ok = true;
    *out = NULL;
    if (!g) return refuse(no, 500, "server_error", NULL, -1, "no memory");
    *g = (clo_grant){.n_prompt = n_prompt, .output_max = INT64_MAX};
    if (who->name[0]) {
        pthread_mutex_lock(&k->lock);
        ok = begin_locked(g, k, who, model, n_prompt, now_s, no);
        pthread_mutex_unlock(&k->lock);
    }
    if (ok) *out = g;
    else free(g);
    return ok;
}

int64_t clo_grant_output_max(const clo_grant *g)
{
    return g->output_max;
}

const char *clo_grant_name(const clo_grant *g)
{
    return g->t ? g->t->name : "";
}

void clo_keys_end(clo_keys *k, clo_grant *g, int64_t n_prompt, int64_t n_output, int64_t now_s)
{
    if (!g) return;
    if (g->t) {
        pthread_mutex_lock(&k->lock);
        if (g->t->day < now_s / KEY_DAY_S) {
            g->t->day = now_s / KEY_DAY_S;
            g->t->used = 0;
        }
        g->t->n_running--;
        g->t->reserved -= g->n_prompt;
        g->t->used += n_prompt + n_output;
        pthread_mutex_unlock(&k->lock);
    }
    free(g);
}
