/* See session.h. */
#include "hub/session.h"

#include <stdio.h>

#include "base/entropy.h"
#include "hub/keys_impl.h"

#define NAME_PREFIX "session "

bool clo_session_has_name(clo_str name)
{
    return clo_str_starts_with(name, CLO_STR(NAME_PREFIX));
}

/* Those that ended, and the oldest of those that did not, so that there is room for one more. */
static bool make_room(clo_db *db, int64_t account, int64_t now_s, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, db,
                            "DELETE FROM keys WHERE account = ?1 AND name GLOB '" NAME_PREFIX "*' AND (revoked IS NOT NULL OR expires <= ?2"
                            " OR id NOT IN (SELECT id FROM keys WHERE account = ?1 AND name GLOB '" NAME_PREFIX "*' AND revoked IS NULL"
                            " AND expires > ?2 ORDER BY created DESC, id LIMIT ?3))",
                            err) &&
              clo_stmt_int(&q, 1, account, err) && clo_stmt_int(&q, 2, now_s, err) && clo_stmt_int(&q, 3, CLO_SESSIONS_MAX - 1, err) &&
              clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

bool clo_session_add(char text[CLO_KEY_TEXT_MAX], clo_db *db, int64_t account, int64_t now_s, clo_err *err)
{
    char id[16 + 1], name[CLO_KEY_NAME_MAX];
    if (!clo_entropy_hex(id, 16, err) || !make_room(db, account, now_s, err)) return false;
    snprintf(name, sizeof name, NAME_PREFIX "%s", id);
    clo_token_opts o = {.account = account, .name = name, .may_write = true, .is_session = true, .expires_s = now_s + CLO_SESSION_LIFE_S};
    return clo_token_add(text, db, &o, now_s, err);
}
