/* See identity.h. */
#include "hub/identity.h"

#include <stdio.h>

#include "hub/member.h"
#include "hub/stamp.h"

#define BASE_MAX 1024 /* bytes of an address's beginning that are used */

static bool no_memory(clo_err *err)
{
    return clo_fail(err, CLO_ERR_MEMORY, "identity");
}

static json_t *avatar(const char *base, clo_str name)
{
    return json_sprintf("%.*s/avatars/%.*s.svg", BASE_MAX, base, (int)name.len, name.ptr);
}

static json_t *str(clo_str s)
{
    return json_stringn(s.ptr, s.len);
}

static json_t *text_or_null(const char *s)
{
    return *s ? json_string(s) : json_null();
}

/* --- organisations of a user, members of an organisation -------------------------------------------------------------*/

typedef json_t *row_json(clo_stmt *q, const char *base);

/* Columns: name, fullname, oid, role. */
static json_t *whoami_org(clo_stmt *q, const char *base)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:n, s:b, s:n, s:o, s:o, s:b}", "type", "org", "id", str(clo_stmt_get_str(q, 2)), "name",
                     str(clo_stmt_get_str(q, 0)), "fullname", str(clo_stmt_get_str(q, 1)), "email", "canPay", 0, "periodEnd",
                     "avatarUrl", avatar(base, clo_stmt_get_str(q, 0)), "roleInOrg", str(clo_stmt_get_str(q, 3)), "isEnterprise", 0);
}

static json_t *overview_org(clo_stmt *q, const char *base)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "id", str(clo_stmt_get_str(q, 2)), "name", str(clo_stmt_get_str(q, 0)), "fullname",
                     str(clo_stmt_get_str(q, 1)), "avatarUrl", avatar(base, clo_stmt_get_str(q, 0)));
}

static json_t *member(clo_stmt *q, const char *base)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:b, s:s, s:o}", "_id", str(clo_stmt_get_str(q, 2)), "user", str(clo_stmt_get_str(q, 0)),
                     "fullname", str(clo_stmt_get_str(q, 1)), "avatarUrl", avatar(base, clo_stmt_get_str(q, 0)), "isPro", 0, "type",
                     "user", "role", str(clo_stmt_get_str(q, 3)));
}

static bool list(json_t **out, clo_db *db, bool of_org, int64_t id, row_json *make, const char *base, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    json_t *a = json_array();
    bool ok = a || no_memory(err);
    const char *sql = of_org ? "SELECT a.name, coalesce(a.fullname, a.name), a.oid, m.role FROM members m"
                               " JOIN accounts a ON a.id = m.user WHERE m.org = ?1 ORDER BY a.name"
                             : "SELECT a.name, coalesce(a.fullname, a.name), a.oid, m.role FROM members m"
                               " JOIN accounts a ON a.id = m.org WHERE m.user = ?1 ORDER BY a.name";
    ok = ok && clo_stmt_open(&q, db, sql, err) && clo_stmt_int(&q, 1, id, err);
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row) ok = json_array_append_new(a, make(&q, base)) == 0 || no_memory(err);
    clo_stmt_close(&q);
    if (ok) *out = a;
    else json_decref(a);
    return ok;
}

/* --- whoami -------------------------------------------------------------------------------------------------------*/

static json_t *auth_json(const clo_bearer *b)
{
    char created[CLO_STAMP_LEN + 1];
    return json_pack("{s:s, s:{s:s, s:s, s:s}}", "type", "access_token", "accessToken", "displayName", b->name, "role",
                     clo_token_role(b), "createdAt", clo_stamp(created, b->created_s));
}

bool clo_identity_whoami(json_t **out, clo_db *db, const clo_bearer *b, const char *base, clo_err *err)
{
    clo_account_info a;
    json_t *orgs = NULL;
    if (!clo_account_get(&a, db, b->account, err) || !list(&orgs, db, false, a.id, whoami_org, base, err)) return false;
    *out = json_pack("{s:s, s:s, s:s, s:s, s:o, s:b, s:b, s:b, s:n, s:o, s:o, s:o}", "type", "user", "id", a.oid, "name", a.name,
                     "fullname", a.fullname, "email", text_or_null(a.email), "emailVerified", a.email[0] != 0, "isPro", 0, "canPay", 0,
                     "periodEnd", "avatarUrl", avatar(base, clo_str_from(a.name)), "orgs", orgs, "auth", auth_json(b));
    return *out || no_memory(err);
}

/* --- overviews ----------------------------------------------------------------------------------------------------*/

static bool find(clo_account_info *a, clo_db *db, clo_str name, bool org, clo_err *err)
{
    if (!clo_account_find(a, db, name, err)) return false;
    return a->is_org == org || clo_fail(err, CLO_ERR_NOT_FOUND, "no %s '%s'", org ? "organisation" : "user", a->name);
}

static json_t *counts_json(const clo_identity_counts *c)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "numModels", (json_int_t)c->n_models, "numDatasets", (json_int_t)c->n_datasets,
                     "numSpaces", (json_int_t)c->n_spaces, "numLikes", (json_int_t)c->n_likes);
}

static bool merge(json_t **out, json_t *o, json_t *more, clo_err *err)
{
    bool ok = o && more && json_object_update(o, more) == 0;
    json_decref(more);
    if (ok) *out = o;
    else json_decref(o);
    return ok || no_memory(err);
}

bool clo_identity_overview(json_t **out, clo_db *db, clo_str name, bool org, const clo_identity_counts *counts, const char *base,
                           clo_err *err)
{
    static const clo_identity_counts none = {0};
    clo_account_info a;
    json_t *others = NULL, *o;
    char created[CLO_STAMP_LEN + 1];
    if (!find(&a, db, name, org, err) || !list(&others, db, org, a.id, org ? member : overview_org, base, err)) return false;
    clo_stamp(created, a.created_s);
    if (org) {
        o = json_pack("{s:s, s:s, s:s, s:s, s:o, s:I, s:s}", "_id", a.oid, "type", "org", "name", a.name, "fullname", a.fullname,
                      "avatarUrl", avatar(base, clo_str_from(a.name)), "numUsers", (json_int_t)json_array_size(others), "createdAt",
                      created);
        json_decref(others);
    } else {
        o = json_pack("{s:s, s:s, s:s, s:s, s:o, s:b, s:o, s:s}", "_id", a.oid, "type", "user", "user", a.name, "fullname", a.fullname,
                      "avatarUrl", avatar(base, clo_str_from(a.name)), "isPro", 0, "orgs", others, "createdAt", created);
    }
    return merge(out, o, counts_json(counts ? counts : &none), err);
}

bool clo_identity_members(json_t **out, clo_db *db, clo_str org, const char *base, clo_err *err)
{
    clo_account_info a;
    return find(&a, db, org, true, err) && list(out, db, true, a.id, member, base, err);
}

/* Nobody follows anybody here, and nobody works for the hub's company. */
bool clo_identity_author(json_t **out, clo_db *db, int64_t account, const char *base, clo_err *err)
{
    clo_account_info a;
    if (!clo_account_get(&a, db, account, err)) return false;
    *out = json_pack("{s:s, s:o, s:s, s:s, s:s, s:i, s:b, s:b, s:b, s:b, s:b}", "_id", a.oid, "avatarUrl", avatar(base, clo_str_from(a.name)),
                     "fullname", a.fullname, "name", a.name, "type", a.is_org ? "org" : "user", "followerCount", 0, "isHf", 0, "isHfAdmin", 0,
                     "isMod", 0, "isPro", 0, "isUserFollowing", 0);
    return *out || no_memory(err);
}
