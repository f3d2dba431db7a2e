/* See like.h. */
#include "hub/like.h"

#include <stdio.h>

#include "hub/list_impl.h"

/* Runs a statement on (user, repo, time); *row: whether it gave one. */
static bool run(bool *row, clo_db *db, const char *sql, int64_t user, int64_t repo, int64_t now_s, clo_err *err)
{
    clo_stmt q = {0};
    bool ok = clo_stmt_open(&q, db, sql, err) && clo_stmt_int(&q, 1, user, err) && clo_stmt_int(&q, 2, repo, err) &&
              (now_s < 0 || clo_stmt_int(&q, 3, now_s, err)) && clo_stmt_step(&q, row, err);
    clo_stmt_close(&q);
    return ok;
}

bool clo_like_set(clo_db *db, int64_t user, int64_t repo, bool likes, int64_t now_s, clo_err *err)
{
    bool row = false;
    bool ok = likes ? run(&row, db, "INSERT OR IGNORE INTO likes (user, repo, time) VALUES (?1, ?2, ?3)", user, repo, now_s, err)
                    : run(&row, db, "DELETE FROM likes WHERE user = ?1 AND repo = ?2", user, repo, -1, err);
    ok = ok && run(&row, db,
                   "UPDATE repos SET likes = (SELECT count(*) FROM likes WHERE repo = ?2) WHERE id = ?2 AND ?1 <> 0 RETURNING id", user,
                   repo, -1, err);
    return ok && (row || clo_fail(err, CLO_ERR_NOT_FOUND, "no such repository"));
}

bool clo_like_has(bool *out, clo_db *db, int64_t user, int64_t repo, clo_err *err)
{
    return run(out, db, "SELECT 1 FROM likes WHERE user = ?1 AND repo = ?2", user, repo, -1, err);
}

/* --- pages --------------------------------------------------------------------------------------------------------*/

static bool read_like(clo_like *out, clo_stmt *q, bool repos, clo_err *err)
{
    clo_str a = clo_stmt_get_str(q, 2), b = clo_stmt_get_str(q, 3);
    *out = (clo_like){.at = {clo_stmt_get_int(q, 0), clo_stmt_get_int(q, 1)}};
    snprintf(out->name, sizeof out->name, "%.*s", (int)a.len, a.ptr);
    if (repos) return clo_repo_type_parse(&out->type, b) || clo_fail(err, CLO_ERR_DAMAGED, "a repository of no type");
    snprintf(out->fullname, sizeof out->fullname, "%.*s", (int)b.len, b.ptr);
    return true;
}

#define P_WHOSE 20
#define P_TIME 21

static bool read_page(clo_like *out, size_t *n, bool *more, clo_stmt *q, bool repos, int64_t whose, const clo_like_place *after,
                      size_t limit, clo_err *err)
{
    bool row = false;
    bool ok = clo_stmt_int(q, P_WHOSE, whose, err) && clo_stmt_int(q, P_TIME, after->id ? after->time_s : INT64_MAX, err) &&
              clo_stmt_int(q, P_TIME + 1, after->id ? after->id : INT64_MAX, err) &&
              clo_stmt_int(q, P_TIME + 2, (int64_t)limit + 1, err);
    *n = 0;
    *more = false;
    while (ok && (ok = clo_stmt_step(q, &row, err)) && row && !(*more = *n == limit)) ok = read_like(&out[(*n)++], q, repos, err);
    return ok;
}

bool clo_like_users(clo_like *out, size_t *n, bool *more, clo_db *db, int64_t repo, const clo_like_place *after, size_t limit, clo_err *err)
{
    clo_stmt q = {0};
    bool ok = clo_stmt_open(&q, db,
                            "SELECT l.time, l.user, a.name, coalesce(a.fullname, a.name) FROM likes l JOIN accounts a ON a.id = l.user"
                            " WHERE l.repo = ?20 AND (l.time, l.user) < (?21, ?22) ORDER BY l.time DESC, l.user DESC LIMIT ?23",
                            err) &&
              read_page(out, n, more, &q, false, repo, after, limit, err);
    clo_stmt_close(&q);
    return ok;
}

bool clo_like_repos(clo_like *out, size_t *n, bool *more, clo_db *db, int64_t user, const clo_viewer *v, const clo_like_place *after,
                    size_t limit, clo_err *err)
{
    clo_stmt q = {0};
    bool ok = clo_stmt_open(&q, db,
                            "SELECT l.time, l.repo, a.name || '/' || r.name, r.type FROM likes l JOIN repos r ON r.id = l.repo"
                            " JOIN accounts a ON a.id = r.namespace WHERE l.user = ?20 AND (l.time, l.repo) < (?21, ?22) AND " CLO_LIST_SEEN
                            " ORDER BY l.time DESC, l.repo DESC LIMIT ?23",
                            err) &&
              clo_list_bind_viewer(&q, v, err) && read_page(out, n, more, &q, true, user, after, limit, err);
    clo_stmt_close(&q);
    return ok;
}

bool clo_like_count(int64_t *out, clo_db *db, int64_t user, const clo_viewer *v, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, db, "SELECT count(*) FROM likes l JOIN repos r ON r.id = l.repo WHERE l.user = ?20 AND " CLO_LIST_SEEN, err) &&
              clo_list_bind_viewer(&q, v, err) && clo_stmt_int(&q, P_WHOSE, user, err) && clo_stmt_step(&q, &row, err);
    if (ok) *out = clo_stmt_get_int(&q, 0);
    clo_stmt_close(&q);
    return ok;
}
