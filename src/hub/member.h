/* Members of organisations, and what their role lets them do there:
 *
 *   read         read its private repositories
 *   contributor  also make repositories, and change those that they made
 *   write        also change, rename and remove every repository
 *   admin        also say who is a member
 *
 * A user's own namespace is as an organisation of which that user alone is admin. */
#ifndef CLO_HUB_MEMBER_H
#define CLO_HUB_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "store/db.h"

typedef enum {
    CLO_MEMBER_NONE = 0, /* no member */
    CLO_MEMBER_READ,
    CLO_MEMBER_CONTRIBUTOR,
    CLO_MEMBER_WRITE,
    CLO_MEMBER_ADMIN,
} clo_membership;

const char *clo_membership_name(clo_membership role); /* "none" for no member */
/* False when the text is no role's name; "none" is none. */
bool clo_membership_parse(clo_membership *out, clo_str text);

/* Makes the user a member, or changes the role of one. */
CLO_CHECK bool clo_member_set(clo_db *db, int64_t org, int64_t user, clo_membership role, clo_err *err);
/* CLO_ERR_NOT_FOUND when the user is no member. */
CLO_CHECK bool clo_member_remove(clo_db *db, int64_t org, int64_t user, clo_err *err);
/* The role that a user has in a namespace: admin in its own. */
CLO_CHECK bool clo_member_role(clo_membership *out, clo_db *db, int64_t namespace_id, int64_t user, clo_err *err);

#endif
