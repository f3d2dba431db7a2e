/* Which objects a fetch sends: what the wanted commits lead to, without what the client has.
 *
 *   clo_select s = {.g = g};
 *   if (!clo_select_want(&s, &oid, &err)) ...          // any object of the repository
 *   if (!clo_select_have(&s, &oid, &err)) ...          // a commit that both have; others are passed over
 *   s.depth = 1;
 *   if (!clo_select_run(&s, &err)) ...
 *   ... s.shallow, s.unshallow, s.objects ...
 *   clo_select_free(&s);
 *
 * Source: git's protocol-v2 (fetch) and shallow. A client's shallow commits have no parents for it; a filter leaves
 * out blobs that the client asks for later by their names. */
#ifndef CLO_HUB_SELECT_H
#define CLO_HUB_SELECT_H

#include "hub/git_db.h"
#include "hub/oid_map.h"

#define CLO_SELECT_COMMITS_MAX 5000000
#define CLO_SELECT_OBJECTS_MAX 20000000

typedef struct {
    clo_git *g; /* borrowed */
    /* What is asked. */
    clo_oid_map wants, haves, client_shallow;
    size_t depth;        /* 0: no limit; 1: the wanted commits alone */
    bool depth_relative; /* depth counts from the client's shallow commits */
    int64_t since_s;     /* 0: no limit; only commits of this time or later */
    clo_oid_map without; /* commits that, with all that they lead to, are beyond the limit */
    bool has_blob_limit; /* blobs of blob_limit bytes or more are left out */
    uint64_t blob_limit;
    bool include_tags; /* tag objects of commits that are sent */
    /* What comes out. */
    clo_oid_map objects;            /* in the order of sending: commits and tags, then trees and blobs */
    clo_oid_map shallow, unshallow; /* commits that end the client's history now, or do no more */
} clo_select;

CLO_CHECK bool clo_select_want(clo_select *s, const clo_oid *oid, clo_err *err);
/* *common: whether the repository has the commit. */
CLO_CHECK bool clo_select_have(clo_select *s, const clo_oid *oid, bool *common, clo_err *err);
/* Whether the client's history is to end elsewhere than it does. */
bool clo_select_deepens(const clo_select *s);
CLO_CHECK bool clo_select_run(clo_select *s, clo_err *err);
void clo_select_free(clo_select *s);

#endif
