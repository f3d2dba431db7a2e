/* See access.h. */
#include "hub/access.h"

#include <stddef.h>

static bool deny_unknown(clo_denial *no, const clo_access_caller *who)
{
    return clo_deny(no, who->known ? 404 : 401, "RepoNotFound", "Repository not found");
}

static bool deny_login(clo_denial *no)
{
    return clo_deny(no, 401, NULL, "This needs a token: log in first");
}

static bool deny_gated(clo_denial *no, const clo_access_caller *who, const clo_access_repo *r)
{
    const char *what = r->type, *ns = r->namespace_name, *name = r->name;
    if (!who->known)
        return clo_deny(no, 401, "GatedRepo",
                        "Access to %s %s/%s is restricted. You must be authenticated and have been given access to it.", what, ns,
                        name);
    const char *next = who->gate == CLO_GATE_PENDING    ? "Your request awaits an answer of the repository's owners."
                       : who->gate == CLO_GATE_REJECTED ? "Your request was rejected by the repository's owners."
                                                        : "Ask for access on the repository's page.";
    return clo_deny(no, 403, "GatedRepo", "Access to %s %s/%s is restricted and you are not in the authorized list. %s", what, ns,
                    name, next);
}

/* What a caller has once the token is looked at: a token out of scope gives nothing. */
typedef struct {
    bool admin, writes;
    clo_membership role;
    bool accepted;
} rights;

static rights rights_of(const clo_access_caller *who)
{
    if (!who->known || !who->in_scope) return (rights){0};
    return (rights){who->admin, who->may_write, who->role, who->gate == CLO_GATE_ACCEPTED};
}

static bool may_change(const rights *r, bool is_maker)
{
    return r->admin || r->role >= CLO_MEMBER_WRITE || (r->role == CLO_MEMBER_CONTRIBUTOR && is_maker);
}

/* The token's part of every change. */
static bool check_token(clo_denial *no, const clo_access_caller *who, const rights *r)
{
    if (!who->known) return deny_login(no);
    if (!who->in_scope) return clo_deny(no, 403, NULL, "This token is for another repository");
    return r->writes || clo_deny(no, 403, NULL, "This token may read only: a token with the role 'write' is needed");
}

static bool check_namespace(clo_denial *no, const clo_access_caller *who, const rights *r, const clo_access_repo *repo, clo_action action)
{
    clo_membership need = action == CLO_MAY_CREATE ? CLO_MEMBER_CONTRIBUTOR : CLO_MEMBER_ADMIN;
    if (!check_token(no, who, r)) return false;
    return r->admin || r->role >= need ||
           (action == CLO_MAY_CREATE ? clo_deny(no, 403, NULL, "You have no right to make a %s in '%s'", repo->type, repo->namespace_name)
                                     : clo_deny(no, 403, NULL, "You have no right to manage the members of '%s'", repo->namespace_name));
}

static bool check(clo_denial *no, const clo_access_caller *who, const clo_access_repo *repo, clo_action action)
{
    rights r = rights_of(who);
    if (action == CLO_MAY_CREATE || action == CLO_MAY_MANAGE) return check_namespace(no, who, &r, repo, action);
    bool inside = r.admin || r.role >= CLO_MEMBER_READ;
    if (!repo->exists || (repo->is_private && !inside)) return deny_unknown(no, who);
    if (repo->is_disabled && !r.admin) return clo_deny(no, 403, NULL, "Access to this resource is disabled.");
    if (action == CLO_MAY_SEE) return true;
    if (repo->is_gated && action != CLO_MAY_ADMINISTER && !inside && !r.accepted) return deny_gated(no, who, repo);
    if (action == CLO_MAY_READ) return true;
    if (!check_token(no, who, &r)) return false;
    if (may_change(&r, who->is_maker) || (action == CLO_MAY_PROPOSE && !repo->is_closed)) return true;
    if (action == CLO_MAY_PROPOSE) return clo_deny(no, 403, NULL, "Discussions are disabled for this repository");
    return clo_deny(no, 403, NULL, "You have no right to %s %s %s/%s", action == CLO_MAY_WRITE ? "write to" : "administer", repo->type,
                    repo->namespace_name, repo->name);
}

bool clo_access(clo_denial *no, const clo_access_caller *who, const clo_access_repo *repo, clo_action action)
{
    clo_denial unused;
    return check(no ? no : &unused, who, repo, action);
}
