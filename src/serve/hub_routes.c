/* The table of the hub's routes. See hub.h. */
#include "serve/hub_handlers.h"

static const clo_hub_route routes[] = {
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

    {"GET", "/api/{T}/{ns}/{name}/discussions", CLO_MAY_SEE, .run = clo_hub_discussions},
    {"POST", "/api/{T}/{ns}/{name}/discussions", CLO_MAY_PROPOSE, .run = clo_hub_discussion_create},
    {"GET", "/api/{T}/{ns}/{name}/discussions/{x}", CLO_MAY_SEE, .run = clo_hub_discussion},
    {"POST", "/api/{T}/{ns}/{name}/discussions/{x}/comment", CLO_MAY_PROPOSE, .run = clo_hub_discussion_comment},
    {"POST", "/api/{T}/{ns}/{name}/discussions/{x}/comment/*", CLO_MAY_PROPOSE, .run = clo_hub_discussion_revise},
    {"POST", "/api/{T}/{ns}/{name}/discussions/{x}/title", CLO_MAY_PROPOSE, .run = clo_hub_discussion_title},
    {"POST", "/api/{T}/{ns}/{name}/discussions/{x}/status", CLO_MAY_PROPOSE, .run = clo_hub_discussion_status},
    {"POST", "/api/{T}/{ns}/{name}/discussions/{x}/merge", CLO_MAY_WRITE, .run = clo_hub_discussion_merge},

    {"GET", "/{R}/{ns}/{git}/info/refs", CLO_MAY_READ, .run = clo_hub_git_refs},
    {"POST", "/{R}/{ns}/{git}/git-upload-pack", CLO_MAY_READ, .run = clo_hub_git_fetch, .any_coding = true},
    {"POST", "/{R}/{ns}/{git}/git-receive-pack", CLO_MAY_PROPOSE, .run = clo_hub_git_push, .begin = clo_hub_git_push_begin,
     .any_coding = true},

    {"GET", "/{R}/{ns}/{name}/resolve/{rev}/*", CLO_MAY_READ, .run = clo_hub_resolve},
    {"GET", "/{R}/{ns}/{name}/raw/{rev}/*", CLO_MAY_READ, .run = clo_hub_raw},
};

const clo_hub_route *clo_hub_routes(size_t *n)
{
    *n = sizeof routes / sizeof *routes;
    return routes;
}
