/* The table of the hub's routes. See hub.h. */
#include "serve/hub_handlers.h"

static const clo_hub_route routes[] = {
    {"GET", "/api/whoami-v2", CLO_HUB_KNOWN, .run = clo_hub_whoami},
    {"GET", "/api/users/{x}/overview", CLO_HUB_OPEN, .run = clo_hub_user_overview},
    {"GET", "/api/users/{x}/followers", CLO_HUB_OPEN, .run = clo_hub_user_followers},
    {"GET", "/api/users/{x}/following", CLO_HUB_OPEN, .run = clo_hub_user_followers},
    {"GET", "/api/users/{x}/likes", CLO_HUB_OPEN, .run = clo_hub_user_likes},
    {"GET", "/api/settings/repositories", CLO_HUB_KNOWN, .run = clo_hub_user_storage},
    {"GET", "/api/organizations/{x}/settings/repositories", CLO_HUB_KNOWN, .run = clo_hub_org_storage},
    {"GET", "/api/organizations/{x}/overview", CLO_HUB_OPEN, .run = clo_hub_org_overview},
    {"GET", "/api/organizations/{x}/members", CLO_HUB_OPEN, .run = clo_hub_org_members},
    {"GET", "/api/organizations/{x}/followers", CLO_HUB_OPEN, .run = clo_hub_org_followers},
    {"POST", "/api/validate-yaml", CLO_HUB_OPEN, .run = clo_hub_validate_yaml},

    {"GET", "/api/models", CLO_HUB_OPEN, .run = clo_hub_models},
    {"GET", "/api/datasets", CLO_HUB_OPEN, .run = clo_hub_datasets},
    {"GET", "/api/spaces", CLO_HUB_OPEN, .run = clo_hub_spaces},
    {"GET", "/api/models-tags-by-type", CLO_HUB_OPEN, .run = clo_hub_model_tags},
    {"GET", "/api/datasets-tags-by-type", CLO_HUB_OPEN, .run = clo_hub_dataset_tags},

    {"GET", "/api/agent-harnesses", CLO_HUB_OPEN, .run = clo_hub_agent_harnesses},
    {"*", "/api/telemetry/*", CLO_HUB_OPEN, .run = clo_hub_telemetry},
    {"*", "/api/daily_papers", CLO_HUB_OPEN, .run = clo_hub_not_here},
    {"*", "/api/papers/*", CLO_HUB_OPEN, .run = clo_hub_not_here},
    {"*", "/api/jobs/*", CLO_HUB_OPEN, .run = clo_hub_not_here},
    {"*", "/api/scheduled-jobs/*", CLO_HUB_OPEN, .run = clo_hub_not_here},
    {"*", "/api/buckets/*", CLO_HUB_OPEN, .run = clo_hub_not_here},
    {"*", "/api/kernels/*", CLO_HUB_OPEN, .run = clo_hub_not_here},
    {"*", "/api/settings/webhooks", CLO_HUB_OPEN, .run = clo_hub_not_here},
    {"*", "/api/settings/webhooks/*", CLO_HUB_OPEN, .run = clo_hub_not_here},

    {"POST", "/api/repos/create", CLO_HUB_KNOWN, .run = clo_hub_repo_create},
    {"DELETE", "/api/repos/delete", CLO_HUB_KNOWN, .run = clo_hub_repo_remove},
    {"POST", "/api/repos/move", CLO_HUB_KNOWN, .run = clo_hub_repo_move},

    {"GET", "/api/{T}/{ns}/{name}", CLO_MAY_SEE, .run = clo_hub_repo_info},
    {"GET", "/api/{T}/{ns}/{name}/revision/{rev}", CLO_MAY_SEE, .run = clo_hub_repo_info},
    {"PUT", "/api/{T}/{ns}/{name}/settings", CLO_MAY_ADMINISTER, .run = clo_hub_repo_settings},
    {"GET", "/api/{T}/{ns}/{name}/auth-check", CLO_MAY_READ, .run = clo_hub_auth_check},
    {"GET", "/api/{T}/{ns}/{name}/auth-check/write", CLO_MAY_WRITE, .run = clo_hub_auth_check},
    {"GET", "/api/{T}/{ns}/{name}/tree/{rev}", CLO_MAY_SEE, .run = clo_hub_tree},
    {"GET", "/api/{T}/{ns}/{name}/tree/{rev}/*", CLO_MAY_SEE, .run = clo_hub_tree},
    {"POST", "/api/{T}/{ns}/{name}/paths-info/{rev}", CLO_MAY_SEE, .run = clo_hub_paths_info},
    {"GET", "/api/{T}/{ns}/{name}/refs", CLO_MAY_SEE, .run = clo_hub_refs},
    {"POST", "/api/{T}/{ns}/{name}/branch/*", CLO_MAY_WRITE, .run = clo_hub_branch_create},
    {"DELETE", "/api/{T}/{ns}/{name}/branch/*", CLO_MAY_WRITE, .run = clo_hub_branch_delete},
    {"POST", "/api/{T}/{ns}/{name}/tag/{rev}", CLO_MAY_WRITE, .run = clo_hub_tag_create},
    {"DELETE", "/api/{T}/{ns}/{name}/tag/*", CLO_MAY_WRITE, .run = clo_hub_tag_delete},
    {"GET", "/api/{T}/{ns}/{name}/commits/{rev}", CLO_MAY_SEE, .run = clo_hub_commits},
    {"POST", "/api/{T}/{ns}/{name}/super-squash/*", CLO_MAY_WRITE, .run = clo_hub_squash},
    {"POST", "/api/{T}/{ns}/{name}/preupload/{rev}", CLO_MAY_READ, .run = clo_hub_preupload},
    {"POST", "/api/{T}/{ns}/{name}/commit/{rev}", CLO_MAY_READ, .run = clo_hub_commit_run, .begin = clo_hub_commit_begin},

    {"GET", "/api/{T}/{ns}/{name}/xet-write-token/{rev}", CLO_MAY_READ, .run = clo_hub_xet_write_token},
    {"GET", "/api/{T}/{ns}/{name}/xet-read-token/{rev}", CLO_MAY_READ, .run = clo_hub_xet_read_token},
    {"POST", "/xet/v1/xorbs/{x}/*", CLO_HUB_SIGNED, .run = clo_hub_xorb_run, .begin = clo_hub_xorb_begin},
    {"HEAD", "/xet/v1/xorbs/{x}/*", CLO_HUB_SIGNED, .run = clo_hub_xorb_head},
    {"POST", "/xet/v1/shards", CLO_HUB_SIGNED, .run = clo_hub_shard_run, .begin = clo_hub_shard_begin},
    {"GET", "/xet/v1/chunks/{x}/*", CLO_HUB_SIGNED, .run = clo_hub_xet_chunk},
    {"HEAD", "/xet/v1/files/{x}", CLO_HUB_SIGNED, .run = clo_hub_xet_file_head},
    {"GET", "/xet/v1/reconstructions/{x}", CLO_HUB_SIGNED, .run = clo_hub_reconstruction_v1},
    {"GET", "/xet/v2/reconstructions/{x}", CLO_HUB_SIGNED, .run = clo_hub_reconstruction_v2},
    {"GET", "/xet/fetch/{x}", CLO_HUB_SIGNED, .run = clo_hub_xorb_fetch},
    {"POST", "/v1/telemetry", CLO_HUB_SIGNED, .run = clo_hub_telemetry, .any_coding = true},

    {"POST", "/{R}/{ns}/{git}/info/lfs/objects/batch", CLO_MAY_READ, .run = clo_hub_lfs_batch, .lfs = true},
    {"POST", "/{R}/{ns}/{git}/info/lfs/verify", CLO_MAY_READ, .run = clo_hub_lfs_verify, .lfs = true},
    {"POST", "/{R}/{ns}/{git}/info/lfs/locks/verify", CLO_MAY_READ, .run = clo_hub_lfs_locks_verify, .lfs = true},
    {"GET", "/{R}/{ns}/{git}/info/lfs/locks", CLO_MAY_READ, .run = clo_hub_lfs_locks, .lfs = true},
    {"POST", "/{R}/{ns}/{git}/info/lfs/locks", CLO_MAY_READ, .run = clo_hub_lfs_no_lock, .lfs = true},
    {"PUT", "/_lfs/put/{x}", CLO_HUB_SIGNED, .run = clo_hub_lfs_put_run, .begin = clo_hub_lfs_put_begin, .lfs = true},
    {"POST", "/_lfs/verify/{x}", CLO_HUB_SIGNED, .run = clo_hub_lfs_verify_signed, .lfs = true},
    {"GET", "/_lfs/get/{x}", CLO_HUB_SIGNED, .run = clo_hub_lfs_get, .lfs = true},

    {"GET", "/{R}/{ns}/{git}/info/refs", CLO_MAY_READ, .run = clo_hub_git_refs},
    {"POST", "/{R}/{ns}/{git}/git-upload-pack", CLO_MAY_READ, .run = clo_hub_git_fetch, .any_coding = true},
    {"POST", "/{R}/{ns}/{git}/git-receive-pack", CLO_MAY_WRITE, .run = clo_hub_git_push, .begin = clo_hub_git_push_begin,
     .any_coding = true},

    {"GET", "/api/{T}/{ns}/{name}/user-access-request/{x}", CLO_MAY_ADMINISTER, .run = clo_hub_gate_list},
    {"POST", "/api/{T}/{ns}/{name}/user-access-request/handle", CLO_MAY_ADMINISTER, .run = clo_hub_gate_handle},
    {"POST", "/api/{T}/{ns}/{name}/user-access-request/grant", CLO_MAY_ADMINISTER, .run = clo_hub_gate_grant},
    {"POST", "/api/{T}/{ns}/{name}/ask-access", CLO_MAY_SEE, .run = clo_hub_gate_ask},
    {"POST", "/api/{T}/{ns}/{name}/like", CLO_MAY_SEE, .run = clo_hub_like},
    {"DELETE", "/api/{T}/{ns}/{name}/like", CLO_MAY_SEE, .run = clo_hub_unlike},
    {"GET", "/api/{T}/{ns}/{name}/likers", CLO_MAY_SEE, .run = clo_hub_likers},

    {"POST", "/{R}/{ns}/{name}/ask-access", CLO_MAY_SEE, .run = clo_hub_gate_ask},
    {"GET", "/{R}/{ns}/{name}/resolve/{rev}/*", CLO_MAY_READ, .run = clo_hub_resolve},
    {"GET", "/{R}/{ns}/{name}/raw/{rev}/*", CLO_MAY_READ, .run = clo_hub_raw},
};

const clo_hub_route *clo_hub_routes(size_t *n)
{
    *n = sizeof routes / sizeof *routes;
    return routes;
}
