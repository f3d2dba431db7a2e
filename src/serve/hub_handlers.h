/* Every handler of the hub, file by file; the table that calls them is in hub_routes.c. */
#ifndef CLO_SERVE_HUB_HANDLERS_H
#define CLO_SERVE_HUB_HANDLERS_H

#include "hub/account.h"
#include "hub/revision.h"
#include "hub/tree.h"
#include "serve/hub.h"

/* hub_repos.c */
void clo_hub_repo_create(clo_hub_call *c);
void clo_hub_repo_remove(clo_hub_call *c);
void clo_hub_repo_move(clo_hub_call *c);
void clo_hub_repo_settings(clo_hub_call *c);
void clo_hub_auth_check(clo_hub_call *c);
/* The account under whose name something is to be made; an empty name is who asks. False: replied. */
bool clo_hub_take_owner(clo_account_info *out, clo_hub_call *c, const char *type, clo_str name);
/* Sets caller and seen for a new `type` ("model", ..., "collection"). False: replied. */
bool clo_hub_may_create(clo_hub_call *c, const clo_account_info *owner, const char *type, const char *name);

/* hub_info.c */
void clo_hub_repo_info(clo_hub_call *c);

/* hub_list.c */
void clo_hub_models(clo_hub_call *c);
void clo_hub_datasets(clo_hub_call *c);
void clo_hub_spaces(clo_hub_call *c);
void clo_hub_model_tags(clo_hub_call *c);
void clo_hub_dataset_tags(clo_hub_call *c);

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
/* A clo_commit_fn that appends a commit, as lists of commits have it, to the array ctx. */
CLO_CHECK bool clo_hub_add_commit(void *ctx, const clo_commit_info *info, clo_err *err);

/* hub_diff.c */
void clo_hub_diff(clo_hub_call *c);
void clo_hub_compare(clo_hub_call *c);
void clo_hub_commit_text(clo_hub_call *c);

/* hub_resolve.c */
void clo_hub_resolve(clo_hub_call *c);
void clo_hub_raw(clo_hub_call *c);
/* The file a.rest of the commit of a.rev; false: replied. */
bool clo_hub_find_entry(clo_entry *e, clo_oid *commit, clo_hub_call *c);

/* hub_inspect.c */
void clo_hub_inspect(clo_hub_call *c);

/* hub_rows.c */
void clo_hub_rows(clo_hub_call *c);

/* hub_upload.c */
void clo_hub_preupload(clo_hub_call *c);
void clo_hub_commit_begin(clo_hub_call *c);
void clo_hub_commit_run(clo_hub_call *c);
/* Who may write, or, where a pull request is to come of it, who may propose. False: replied. */
bool clo_hub_may_upload(clo_hub_call *c);
/* A clo_may_link_fn of a call. */
bool clo_hub_may_link(void *ctx, const clo_sha256 *sha256, int64_t *size, clo_err *err);

/* hub_xet.c */
void clo_hub_xet_write_token(clo_hub_call *c);
void clo_hub_xet_read_token(clo_hub_call *c);
void clo_hub_xorb_begin(clo_hub_call *c);
void clo_hub_xorb_run(clo_hub_call *c);
void clo_hub_xorb_head(clo_hub_call *c);
void clo_hub_shard_begin(clo_hub_call *c);
void clo_hub_shard_run(clo_hub_call *c);
void clo_hub_xet_chunk(clo_hub_call *c);
void clo_hub_xet_file_head(clo_hub_call *c);
void clo_hub_reconstruction_v1(clo_hub_call *c);
void clo_hub_reconstruction_v2(clo_hub_call *c);
void clo_hub_xorb_fetch(clo_hub_call *c);

/* hub_lfs.c */
void clo_hub_lfs_batch(clo_hub_call *c);
void clo_hub_lfs_verify(clo_hub_call *c);
void clo_hub_lfs_locks(clo_hub_call *c);
void clo_hub_lfs_locks_verify(clo_hub_call *c);
void clo_hub_lfs_no_lock(clo_hub_call *c);
void clo_hub_lfs_put_begin(clo_hub_call *c);
void clo_hub_lfs_put_run(clo_hub_call *c);
void clo_hub_lfs_get(clo_hub_call *c);
void clo_hub_lfs_verify_signed(clo_hub_call *c);

/* hub_lfs_parts.c */
void clo_hub_lfs_part_begin(clo_hub_call *c);
void clo_hub_lfs_part_run(clo_hub_call *c);
void clo_hub_lfs_parts_begin(clo_hub_call *c);
void clo_hub_lfs_parts_run(clo_hub_call *c);

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
/* Whether the repository takes new discussions and pull requests; false: replied. */
bool clo_hub_takes_discussions(clo_hub_call *c);
/* BASE/[datasets/]ns/name/discussions/N */
void clo_hub_discussion_url(clo_buf *out, const clo_hub_call *c, int64_t num);

/* hub_git.c */
void clo_hub_git_refs(clo_hub_call *c);
void clo_hub_git_fetch(clo_hub_call *c);
void clo_hub_git_push_begin(clo_hub_call *c);
void clo_hub_git_push(clo_hub_call *c);

/* hub_people.c */
void clo_hub_whoami(clo_hub_call *c);
void clo_hub_user_overview(clo_hub_call *c);
void clo_hub_user_followers(clo_hub_call *c);
void clo_hub_org_overview(clo_hub_call *c);
void clo_hub_org_members(clo_hub_call *c);
void clo_hub_org_followers(clo_hub_call *c);
void clo_hub_validate_yaml(clo_hub_call *c);
void clo_hub_agent_harnesses(clo_hub_call *c);
void clo_hub_telemetry(clo_hub_call *c);
void clo_hub_not_here(clo_hub_call *c);

/* hub_gate.c */
void clo_hub_gate_list(clo_hub_call *c);
void clo_hub_gate_handle(clo_hub_call *c);
void clo_hub_gate_grant(clo_hub_call *c);
void clo_hub_gate_ask(clo_hub_call *c);

/* hub_card.c */
void clo_hub_card(clo_hub_call *c);
void clo_hub_markdown(clo_hub_call *c);

/* hub_login.c */
void clo_hub_login(clo_hub_call *c);
void clo_hub_logout(clo_hub_call *c);
void clo_hub_tokens(clo_hub_call *c);
void clo_hub_token_create(clo_hub_call *c);
void clo_hub_token_revoke(clo_hub_call *c);

/* hub_collections.c */
void clo_hub_collections(clo_hub_call *c);
void clo_hub_collection(clo_hub_call *c);
void clo_hub_collection_create(clo_hub_call *c);
void clo_hub_collection_update(clo_hub_call *c);
void clo_hub_collection_delete(clo_hub_call *c);
void clo_hub_collection_item_add(clo_hub_call *c);
void clo_hub_collection_item_update(clo_hub_call *c);
void clo_hub_collection_item_delete(clo_hub_call *c);

/* hub_social.c */
void clo_hub_like(clo_hub_call *c);
void clo_hub_unlike(clo_hub_call *c);
void clo_hub_likers(clo_hub_call *c);
void clo_hub_user_likes(clo_hub_call *c);
void clo_hub_user_storage(clo_hub_call *c);
void clo_hub_org_storage(clo_hub_call *c);

#endif
