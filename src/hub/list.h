/* Lists of repositories: those that somebody may see, found by name, tag and namespace, in an order, a page at a time.
 *
 *   clo_viewer v;
 *   if (!clo_viewer_of(&v, db, &bearer, &err)) ...
 *   clo_list_opts o = {.type = CLO_REPO_MODEL, .order = CLO_LIST_DOWNLOADS, .tags = {CLO_STR("gguf")}, .n_tags = 1, .limit = 30};
 *   if (!clo_list_each(&more, db, &v, &o, add, rows, &err)) ...
 *   o.after = (clo_list_place){true, clo_list_key(&last, o.order), last.id};        // the next page
 *
 * Made for millions of rows. Tags and parts of names are sets (index_sets.h), which are intersected; where few repositories are left
 * (LIST_FEW), or a namespace is asked for, these are looked at and sorted; else an index in the order of the list is walked and what is not in the
 * set is passed over, which finds a page soon, for so many are left. A page goes on after a place in the order, not after a number of
 * rows, so the hundredth costs what the first does. Slow is a set of more than a few that all stand at the end of the order.
 *
 * Equal keys stand in the order of making, latest first. */
#ifndef CLO_HUB_LIST_H
#define CLO_HUB_LIST_H

#include "hub/repo.h"
#include "hub/token.h"

#define CLO_LIST_TERMS_MAX 16   /* tags, and parts of names */
#define CLO_LIST_LIMIT_MAX 1000

/* Who looks. Public repositories are for all; private ones for the members of their namespace and admins; disabled ones for
 * admins. A token with a scope is as a stranger's but for its repository. */
typedef struct {
    int64_t account; /* 0: nobody in particular, or a token with a scope */
    bool admin;      /* sees all */
    int64_t only;    /* the repository of a token with a scope that its user may see; 0: none */
} clo_viewer;

CLO_CHECK bool clo_viewer_of(clo_viewer *out, clo_db *db, const clo_bearer *who, clo_err *err);

typedef enum {
    CLO_LIST_CREATED,
    CLO_LIST_MODIFIED,
    CLO_LIST_DOWNLOADS,
    CLO_LIST_LIKES,
} clo_list_order; /* each descending */

typedef struct {
    bool set;
    int64_t key, id;
} clo_list_place;

typedef enum { CLO_LIST_ANY, CLO_LIST_GATED, CLO_LIST_NOT_GATED } clo_list_gate;

typedef struct {
    clo_repo_type type;
    clo_list_order order;
    int64_t owner;                        /* an account; 0: all */
    clo_str search[CLO_LIST_TERMS_MAX];   /* parts of ns/name, in any case; all of them */
    size_t n_search;
    clo_str tags[CLO_LIST_TERMS_MAX];     /* all of them */
    size_t n_tags;
    clo_list_gate gate;
    clo_list_place after;                 /* not set: from the first */
    size_t limit;                         /* 1 to CLO_LIST_LIMIT_MAX */
} clo_list_opts;

/* What a repository is sorted by. */
int64_t clo_list_key(const clo_repo *r, clo_list_order order);
/* Calls fn for each of a page; *more: there are others after it. */
CLO_CHECK bool clo_list_each(bool *more, clo_db *db, const clo_viewer *v, const clo_list_opts *o, clo_repo_fn *fn, void *ctx,
                             clo_err *err);
/* How many of a namespace the viewer sees, by type. */
CLO_CHECK bool clo_list_count(int64_t out[CLO_REPO_TYPES], clo_db *db, const clo_viewer *v, int64_t owner, clo_err *err);

#endif
