/* Users and organisations as the hub's clients read them: whoami, overviews, members. Values only; routes answer with them.
 * `base` is what the server's address begins with, "http://hub.test:8080": links are made from it. */
#ifndef CLO_HUB_IDENTITY_H
#define CLO_HUB_IDENTITY_H

#include "base/json.h"
#include "hub/token.h"

/* What one asks for may see of an account's repositories; counted by the caller. */
typedef struct {
    int64_t n_models, n_datasets, n_spaces, n_likes;
} clo_identity_counts;

/* GET /api/whoami-v2, of a request whose bearer has an account: type, id, name, fullname, email, orgs with the role in each,
 * auth.accessToken with the token's name and role. CLO_ERR_NOT_FOUND when the account is gone meanwhile. */
CLO_CHECK bool clo_identity_whoami(json_t **out, clo_db *db, const clo_bearer *b, const char *base, clo_err *err);

/* GET /api/users/NAME/overview and /api/organizations/NAME/overview. CLO_ERR_NOT_FOUND when there is none of that kind. E-mail
 * addresses are not in them. counts may be NULL: zeros. */
CLO_CHECK bool clo_identity_overview(json_t **out, clo_db *db, clo_str name, bool org, const clo_identity_counts *counts,
                                     const char *base, clo_err *err);

/* GET /api/organizations/NAME/members: an array by name. */
CLO_CHECK bool clo_identity_members(json_t **out, clo_db *db, clo_str org, const char *base, clo_err *err);

/* An account as the owner of something. CLO_ERR_NOT_FOUND. */
CLO_CHECK bool clo_identity_author(json_t **out, clo_db *db, int64_t account, const char *base, clo_err *err);

#endif
