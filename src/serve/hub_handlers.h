/* Every handler of the hub, file by file; the table that calls them is in hub_routes.c. */
#ifndef CLO_SERVE_HUB_HANDLERS_H
#define CLO_SERVE_HUB_HANDLERS_H

#include "serve/hub.h"

/* hub_repos.c */
void clo_hub_repo_create(clo_hub_call *c);
void clo_hub_repo_remove(clo_hub_call *c);
void clo_hub_repo_move(clo_hub_call *c);
void clo_hub_repo_settings(clo_hub_call *c);
void clo_hub_auth_check(clo_hub_call *c);

/* hub_info.c */
void clo_hub_repo_info(clo_hub_call *c);

/* hub_tree.c */
void clo_hub_tree(clo_hub_call *c);
void clo_hub_paths_info(clo_hub_call *c);

/* Replies that the path is not in the commit; returns false. */
bool clo_hub_no_entry(clo_hub_call *c, const clo_oid *commit, clo_str path);

/* hub_refs.c */
void clo_hub_refs(clo_hub_call *c);
void clo_hub_branch_create(clo_hub_call *c);
void clo_hub_branch_delete(clo_hub_call *c);
void clo_hub_tag_create(clo_hub_call *c);
void clo_hub_tag_delete(clo_hub_call *c);
void clo_hub_commits(clo_hub_call *c);
void clo_hub_squash(clo_hub_call *c);

/* hub_resolve.c */
void clo_hub_resolve(clo_hub_call *c);
void clo_hub_raw(clo_hub_call *c);

/* hub_upload.c */
void clo_hub_preupload(clo_hub_call *c);
void clo_hub_commit_begin(clo_hub_call *c);
void clo_hub_commit_run(clo_hub_call *c);
/* A clo_may_link_fn of a call. */
bool clo_hub_may_link(void *ctx, const clo_sha256 *sha256, int64_t *size, clo_err *err);

/* hub_discussions.c */
void clo_hub_discussions(clo_hub_call *c);
void clo_hub_discussion(clo_hub_call *c);
void clo_hub_discussion_create(clo_hub_call *c);
void clo_hub_discussion_comment(clo_hub_call *c);
void clo_hub_discussion_title(clo_hub_call *c);
void clo_hub_discussion_status(clo_hub_call *c);
void clo_hub_discussion_merge(clo_hub_call *c);
void clo_hub_discussion_revise(clo_hub_call *c);
/* Whether who asks may change refs/pr/N: its author, writers, until it is merged. CLO_ERR_NOT_FOUND, CLO_ERR_DENIED,
 * CLO_ERR_USAGE. */
CLO_CHECK bool clo_hub_may_pull(const clo_hub_call *c, clo_str ref, clo_err *err);
/* BASE/[datasets/]ns/name/discussions/N */
void clo_hub_discussion_url(clo_buf *out, const clo_hub_call *c, int64_t num);

/* hub_git.c */
void clo_hub_git_refs(clo_hub_call *c);
void clo_hub_git_fetch(clo_hub_call *c);
void clo_hub_git_push_begin(clo_hub_call *c);
void clo_hub_git_push(clo_hub_call *c);

#endif
