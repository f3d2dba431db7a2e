/* Likes, and what a namespace's repositories take up. */
#include <stdlib.h>

#include "hub/account.h"
#include "hub/like.h"
#include "hub/stamp.h"
#include "serve/hub_handlers.h"

#define PAGE 500

/* --- to like ------------------------------------------------------------------------------------------------------*/

/* A change in the user's name, not in the repository: seeing it is enough, but the token must be one that writes. */
static bool may_like(clo_hub_call *c)
{
    if (c->who.account == 0) return clo_hub_fail(c, 401, NULL, "This needs a token: log in first");
    if (!c->caller.in_scope) return clo_hub_fail(c, 403, NULL, "This token is for another repository");
    return c->who.may_write || clo_hub_fail(c, 403, NULL, "This token may read only: a token with the role 'write' is needed");
}

static void set_like(clo_hub_call *c, bool likes)
{
    clo_err err = {0};
    if (!may_like(c)) return;
    if (clo_db_begin(c->db, &err) && clo_like_set(c->db, c->who.account, c->repo.id, likes, clo_hub_now(), &err) &&
        clo_db_commit(c->db, &err))
        clo_reply(c->r, 200, "text/plain; charset=utf-8", CLO_STR("OK"));
    else clo_hub_undo(c, &err);
}

void clo_hub_like(clo_hub_call *c)
{
    set_like(c, true);
}

void clo_hub_unlike(clo_hub_call *c)
{
    set_like(c, false);
}

/* --- lists of likes -----------------------------------------------------------------------------------------------*/

/* False: replied. */
static bool take_place(clo_like_place *out, clo_hub_call *c)
{
    clo_list_place p;
    if (!clo_hub_take_place(&p, c)) return false;
    *out = (clo_like_place){p.key, p.id};
    return true;
}

static json_t *user_row(clo_hub_call *c, const clo_like *l)
{
    return json_pack("{s:s, s:s, s:o}", "user", l->name, "fullname", l->fullname, "avatarUrl",
                     json_sprintf("%s/avatars/%s.svg", c->base, l->name));
}

static json_t *repo_row(clo_hub_call *c, const clo_like *l)
{
    char time[CLO_STAMP_LEN + 1];
    (void)c;
    return json_pack("{s:s, s:{s:s, s:s}}", "createdAt", clo_stamp(time, l->at.time_s), "repo", "name", l->name, "type",
                     clo_repo_type_name(l->type));
}

static void reply_likes(clo_hub_call *c, const clo_like *likes, size_t n, bool more, json_t *row(clo_hub_call *c, const clo_like *l))
{
    json_t *rows = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(rows, row(c, &likes[i]));
    if (more) clo_hub_link_place(c, likes[n - 1].at.time_s, likes[n - 1].at.id);
    clo_hub_json(c, 200, rows);
}

void clo_hub_likers(clo_hub_call *c)
{
    size_t n = 0;
    bool more = false;
    clo_err err = {0};
    clo_like_place place;
    if (!take_place(&place, c)) return;
    clo_like *likes = (clo_like *)calloc(PAGE, sizeof *likes);
    bool ok = likes || clo_fail(&err, CLO_ERR_MEMORY, "likes");
    size_t limit = (size_t)clo_hub_number(c, "limit", 1, PAGE, PAGE);
    if (ok && clo_like_users(likes, &n, &more, c->db, c->repo.id, &place, limit, &err)) reply_likes(c, likes, n, more, user_row);
    else clo_hub_fail_err(c, &err);
    free(likes);
}

void clo_hub_user_likes(clo_hub_call *c)
{
    size_t n = 0;
    bool more = false;
    clo_err err = {0};
    clo_viewer v;
    clo_account_info a;
    clo_like_place place;
    if (!take_place(&place, c)) return;
    clo_like *likes = (clo_like *)calloc(PAGE, sizeof *likes);
    size_t limit = (size_t)clo_hub_number(c, "limit", 1, PAGE, PAGE);
    bool ok = likes || clo_fail(&err, CLO_ERR_MEMORY, "likes");
    ok = ok && clo_account_find(&a, c->db, c->a.x, &err);
    if (ok && a.is_org) ok = clo_fail(&err, CLO_ERR_NOT_FOUND, "no user '%s'", a.name);
    if (ok && clo_viewer_of(&v, c->db, &c->who, &err) && clo_like_repos(likes, &n, &more, c->db, a.id, &v, &place, limit, &err))
        reply_likes(c, likes, n, more, repo_row);
    else if (err.code == CLO_ERR_NOT_FOUND) clo_hub_fail(c, 404, NULL, "%s", err.text);
    else clo_hub_fail_err(c, &err);
    free(likes);
}

/* --- storage ------------------------------------------------------------------------------------------------------*/

typedef struct {
    clo_hub_call *c;
    json_t *rows;
    int64_t total;
} storage;

static bool add_usage(void *ctx, const clo_repo *r, clo_err *err)
{
    storage *s = (storage *)ctx;
    int64_t n, bytes;
    char time[CLO_STAMP_LEN + 1];
    if (!clo_files_usage(&n, &bytes, &s->c->files, r->id, err)) return false;
    s->total += bytes;
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:I}", "id", r->full, "type", clo_repo_type_name(r->type), "updatedAt",
                          clo_stamp(time, r->modified_s), "visibility", r->is_private ? "private" : "public", "storage", (json_int_t)bytes);
    return json_array_append_new(s->rows, o) == 0 || clo_fail(err, CLO_ERR_MEMORY, "storage of a namespace");
}

static int by_storage(const void *a, const void *b)
{
    json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, "storage"));
    json_int_t y = json_integer_value(json_object_get(*(json_t *const *)b, "storage"));
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Largest first, each with its part of the whole. */
static json_t *spell_storage(const storage *s)
{
    size_t n = json_array_size(s->rows);
    json_t *out = json_array(), **rows = (json_t **)calloc(n + 1, sizeof *rows);
    for (size_t i = 0; rows && i < n; i++) rows[i] = json_array_get(s->rows, i);
    if (rows) qsort(rows, n, sizeof *rows, by_storage);
    for (size_t i = 0; rows && i < n; i++) {
        double part = s->total ? (double)json_integer_value(json_object_get(rows[i], "storage")) / (double)s->total : 0;
        json_object_set_new(rows[i], "storagePercent", json_real(part * 100));
        json_array_append(out, rows[i]);
    }
    free(rows);
    return out;
}

static void reply_storage(clo_hub_call *c, int64_t owner)
{
    clo_err err = {0};
    storage s = {.c = c, .rows = json_array()};
    clo_repo_filter f = {.type = CLO_REPO_TYPES, .owner = owner};
    if (clo_repo_each(c->db, &f, add_usage, &s, &err)) clo_hub_json(c, 200, spell_storage(&s));
    else clo_hub_fail_err(c, &err);
    json_decref(s.rows);
}

static bool sees_all(clo_hub_call *c)
{
    return !c->who.scope[0] || clo_hub_fail(c, 403, NULL, "This token is for one repository");
}

void clo_hub_user_storage(clo_hub_call *c)
{
    if (sees_all(c)) reply_storage(c, c->who.account);
}

void clo_hub_org_storage(clo_hub_call *c)
{
    clo_account_info a;
    clo_membership role = CLO_MEMBER_NONE;
    clo_err err = {0};
    if (!sees_all(c)) return;
    bool ok = clo_account_find(&a, c->db, c->a.x, &err);
    if (ok && !a.is_org && a.id != c->who.account) ok = clo_fail(&err, CLO_ERR_NOT_FOUND, "no organisation '%s'", a.name);
    if (!ok || !clo_member_role(&role, c->db, a.id, c->who.account, &err)) {
        if (err.code == CLO_ERR_NOT_FOUND) clo_hub_fail(c, 404, NULL, "%s", err.text);
        else clo_hub_fail_err(c, &err);
    } else if (role == CLO_MEMBER_NONE && !c->who.admin) clo_hub_fail(c, 403, NULL, "You are no member of '%s'", a.name);
    else reply_storage(c, a.id);
}
