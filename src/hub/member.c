/* See member.h. */
#include "hub/member.h"

static const char *const names[] = {"none", "read", "contributor", "write", "admin"};

const char *clo_membership_name(clo_membership role)
{
    return names[role];
}

bool clo_membership_parse(clo_membership *out, clo_str text)
{
    for (int r = CLO_MEMBER_READ; r <= CLO_MEMBER_ADMIN; r++) {
        if (!clo_str_eq(text, clo_str_from(names[r]))) continue;
        *out = (clo_membership)r;
        return true;
    }
    return false;
}

static bool bind_pair(clo_stmt *q, int64_t org, int64_t user, clo_err *err)
{
    return clo_stmt_int(q, 1, org, err) && clo_stmt_int(q, 2, user, err);
}

bool clo_member_set(clo_db *db, int64_t org, int64_t user, clo_membership role, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    /* The kinds are looked up here, so that no organisation becomes a member and no user has any. */
    bool ok = clo_stmt_open(&q, db,
                            "INSERT INTO members (org, user, role) SELECT o.id, u.id, ?3 FROM accounts o, accounts u"
                            " WHERE o.id = ?1 AND o.kind = 'org' AND u.id = ?2 AND u.kind = 'user'"
                            " ON CONFLICT DO UPDATE SET role = excluded.role RETURNING user",
                            err) &&
              bind_pair(&q, org, user, err) && clo_stmt_text(&q, 3, clo_str_from(clo_membership_name(role)), err) &&
              clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok && (row || clo_fail(err, CLO_ERR_NOT_FOUND, "an organisation and a user are needed"));
}

bool clo_member_remove(clo_db *db, int64_t org, int64_t user, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, db, "DELETE FROM members WHERE org = ?1 AND user = ?2 RETURNING user", err) &&
              bind_pair(&q, org, user, err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok && (row || clo_fail(err, CLO_ERR_NOT_FOUND, "the user is no member"));
}

bool clo_member_role(clo_membership *out, clo_db *db, int64_t namespace_id, int64_t user, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    *out = namespace_id == user && user != 0 ? CLO_MEMBER_ADMIN : CLO_MEMBER_NONE;
    if (*out != CLO_MEMBER_NONE) return true;
    bool ok = clo_stmt_open(&q, db, "SELECT role FROM members WHERE org = ?1 AND user = ?2", err) &&
              bind_pair(&q, namespace_id, user, err) && clo_stmt_step(&q, &row, err);
    if (ok && row && !clo_membership_parse(out, clo_stmt_get_str(&q, 0)))
        ok = clo_fail(err, CLO_ERR_DAMAGED, "database: no role of a member");
    clo_stmt_close(&q);
    return ok;
}
