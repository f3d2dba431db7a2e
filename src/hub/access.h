/* Who may do what with a repository, and what a client is told who may not. One pure function: routes, git, the large files
 * and the lists of repositories all ask it, so that there is one place to read and to test.
 *
 *   clo_access_caller who = {.known = b.account != 0, .admin = b.admin, .may_write = b.may_write,
 *                            .in_scope = clo_token_in_scope(&b, r.id), .role = role, .gate = state};
 *   clo_access_repo repo = {.type = "model", .namespace_name = "lab", .name = "m", .exists = true, .is_private = true};
 *   clo_denial no;
 *   if (!clo_access(&no, &who, &repo, CLO_MAY_READ)) answer(no);
 *
 * What is decided, in this order:
 *   1. A repository that is missing and a private one of others are the same to whoever asks: 404 RepoNotFound, and 401 to
 *      an anonymous one, who may only have forgotten the token.
 *   2. A disabled one is refused to all but the hub's admins.
 *   3. The files of a gated one are for its members, for admins and for those who were accepted; its metadata are for all.
 *   4. Changes need a token that may write and has the repository in its scope, and the right:
 *        propose (a pull request)   whoever may read the files, unless it is closed; then as write
 *        write                      members from `write` up; a contributor where it made the repository
 *        administer (settings,      as write
 *          move, remove, access requests)
 *        create (in a namespace)    members from contributor up
 *        manage (members)           admins of the organisation
 *      The hub's admins may do everything.
 * A token out of scope counts as one that reads, of a stranger. */
#ifndef CLO_HUB_ACCESS_H
#define CLO_HUB_ACCESS_H

#include <stdbool.h>

#include "hub/denial.h"
#include "hub/member.h"

typedef enum {
    CLO_MAY_SEE,        /* that it is there, its metadata, its tree */
    CLO_MAY_READ,       /* its files: resolve, clone, large files */
    CLO_MAY_PROPOSE,    /* open a pull request, write to its refs/pr/ */
    CLO_MAY_WRITE,      /* branches and tags */
    CLO_MAY_ADMINISTER, /* settings, move, remove, access requests */
    CLO_MAY_CREATE,     /* a `type` in the namespace; nothing else of `repo` is looked at */
    CLO_MAY_MANAGE,     /* the members of the namespace; likewise */
} clo_action;

/* What a user's request for a gated repository came to. */
typedef enum { CLO_GATE_NONE, CLO_GATE_PENDING, CLO_GATE_ACCEPTED, CLO_GATE_REJECTED } clo_gate_state;

typedef struct {
    bool known;          /* a valid token of an account; all else is looked at for such only */
    bool admin;          /* of the whole hub */
    bool may_write;      /* the token */
    bool in_scope;       /* the token has no scope, or this repository */
    clo_membership role;       /* in the namespace; admin in one's own */
    bool is_maker;       /* made the repository: for contributors */
    clo_gate_state gate;
} clo_access_caller;

typedef struct {
    const char *type;           /* "model", "dataset", "space"; "collection", for which the law is the same */
    const char *namespace_name, *name;
    bool exists;
    bool is_private, is_gated, is_disabled;
    bool is_closed;             /* takes no discussions and pull requests */
} clo_access_repo;

/* *no is set when the answer is false, and may be NULL: for lists, which leave out what may not be seen. */
bool clo_access(clo_denial *no, const clo_access_caller *who, const clo_access_repo *repo, clo_action action);

#endif
