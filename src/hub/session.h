/* Sessions: what a browser holds in place of a token once its user gave name and password. A session is a token of the user's
 * (token.h) that may write, whose name begins with "session ", and which is good for a while: so it is looked up, revoked and
 * listed as tokens are, and ends with the account. It never reaches a script: it travels in a cookie alone (serve/cookie.h).
 *
 *   char text[CLO_KEY_TEXT_MAX];
 *   if (clo_db_begin(db, &err) && clo_session_add(text, db, anna.id, now_s, &err) && clo_db_commit(db, &err)) ...
 *
 * A user has at most CLO_SESSIONS_MAX: one more ends the oldest. Rows of sessions that ended are removed then. While nobody has
 * a key or a token, sessions do not make the model-serving routes ask for one. */
#ifndef CLO_HUB_SESSION_H
#define CLO_HUB_SESSION_H

#include "hub/token.h"

#define CLO_SESSION_LIFE_S (30 * 86400)
#define CLO_SESSIONS_MAX 20

/* In a transaction of the caller's. CLO_ERR_NOT_FOUND when there is no such user. */
CLO_CHECK bool clo_session_add(char text[CLO_KEY_TEXT_MAX], clo_db *db, int64_t account, int64_t now_s, clo_err *err);
/* Whether the name of a token is a session's: no other token is to be called so. */
bool clo_session_has_name(clo_str name);

#endif
