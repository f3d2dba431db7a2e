/* See home.h. */
#include "hub/home.h"

#include <stdio.h>

#include "hub/account.h"

bool clo_home_find(clo_repo *out, bool *found, clo_db *db, const clo_home_opts *o, clo_err *err)
{
    bool moved = false;
    clo_err why = {0};
    clo_str ns, name;
    *found = false;
    if (!clo_repo_split(&ns, &name, clo_str_from(o->id), err)) return false;
    *found = clo_repo_find(out, &moved, db, o->type, clo_str_from(o->id), &why);
    if (*found && moved) return clo_fail(err, CLO_ERR_NOT_FOUND, "'%s' is called %s here", o->id, out->full);
    if (*found || why.code == CLO_ERR_NOT_FOUND) return true;
    if (err) *err = why;
    return false;
}

/* The account, or a new organisation. */
static bool find_namespace(clo_account_info *out, clo_db *db, const clo_home_opts *o, clo_str ns, int64_t now_s, clo_err *err)
{
    char name[CLO_ACCOUNT_NAME_MAX];
    clo_err why = {0};
    if (clo_account_find(out, db, ns, &why)) return true;
    if (why.code != CLO_ERR_NOT_FOUND) {
        if (err) *err = why;
        return false;
    }
    if (ns.len >= sizeof name) return clo_fail(err, CLO_ERR_USAGE, "a namespace of %zu bytes", ns.len);
    snprintf(name, sizeof name, "%.*s", (int)ns.len, ns.ptr);
    return clo_account_add(out, db, &(clo_account_opts){.name = name, .is_org = true}, now_s, err) &&
           (!o->note || o->note(o->note_ctx, db, "org-created", out->name, err));
}

bool clo_home_make(clo_repo *out, clo_db *db, const clo_home_opts *o, int64_t now_s, clo_err *err)
{
    clo_str ns, name;
    clo_account_info who;
    if (!clo_repo_split(&ns, &name, clo_str_from(o->id), err) || !find_namespace(&who, db, o, ns, now_s, err)) return false;
    clo_repo_opts opts = {.type = o->type, .owner = who.id, .name = name, .is_private = o->is_private};
    if (!clo_repo_create_empty(out, db, &opts, now_s, err)) return false;
    out->gated = o->gated;
    return o->gated == CLO_GATED_NO || clo_repo_set(db, out, err);
}
