/* The facts of a repository at a revision. */
#include "hub/revision.h"
#include "serve/hub_handlers.h"
#include "serve/hub_props.h"

void clo_hub_repo_info(clo_hub_call *c)
{
    clo_oid commit;
    clo_err err = {0};
    uint64_t want;
    if (c->a.rev.len == 0) c->a.rev = CLO_STR("main");
    if (!clo_hub_props_wanted(&want, c, c->a.type, CLO_PROPS_INFO) || !clo_hub_commit(&commit, c)) return;
    clo_buf out = {0};
    bool ok = clo_hub_props_add(&out, c, &c->repo, &commit, want, clo_hub_flag(c, "blobs"), &err);
    if (ok) clo_hub_json_text(c, 200, &out);
    else clo_hub_fail_err(c, &err);
    clo_buf_free(&out);
}
