/* Likes: a user likes a repository or does not. repos.likes is their number, so that lists can be in its order.
 *
 *   if (clo_db_begin(db, &err) && clo_like_set(db, user, repo, true, now_s, &err) && clo_db_commit(db, &err)) ...
 *   if (!clo_like_users(&rows, &more, db, repo, &place, 100, &err)) ...          // who likes a repository
 *   if (!clo_like_repos(&rows, &more, db, user, &viewer, &place, 100, &err)) ... // what a user likes */
#ifndef CLO_HUB_LIKE_H
#define CLO_HUB_LIKE_H

#include "hub/list.h"

/* To like twice is to like once. Stands in a transaction. CLO_ERR_NOT_FOUND when there is no such repository. */
CLO_CHECK bool clo_like_set(clo_db *db, int64_t user, int64_t repo, bool likes, int64_t now_s, clo_err *err);

CLO_CHECK bool clo_like_has(bool *out, clo_db *db, int64_t user, int64_t repo, clo_err *err);

typedef struct {
    int64_t time_s, id; /* of the like, and whose or what's: where a page goes on after; id 0: from the first */
} clo_like_place;

typedef struct {
    clo_like_place at;
    char name[CLO_REPO_ID_MAX];          /* of a user, or of a repository */
    char fullname[CLO_ACCOUNT_TEXT_MAX]; /* of a user */
    clo_repo_type type;                  /* of a repository */
} clo_like;

/* Latest first. out[limit]; *n of them. */
CLO_CHECK bool clo_like_users(clo_like *out, size_t *n, bool *more, clo_db *db, int64_t repo, const clo_like_place *after, size_t limit,
                              clo_err *err);
/* Those that the viewer may see. */
CLO_CHECK bool clo_like_repos(clo_like *out, size_t *n, bool *more, clo_db *db, int64_t user, const clo_viewer *v,
                              const clo_like_place *after, size_t limit, clo_err *err);
/* How many a user likes that the viewer may see. */
CLO_CHECK bool clo_like_count(int64_t *out, clo_db *db, int64_t user, const clo_viewer *v, clo_err *err);

#endif
