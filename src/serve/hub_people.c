/* Who someone is: whoami, users, organisations. And what is asked of every hub and is not here: it is told at once. */
#include "hub/card.h"
#include "hub/identity.h"
#include "hub/like.h"
#include "hub/list.h"
#include "serve/hub_handlers.h"

void clo_hub_whoami(clo_hub_call *c)
{
    json_t *out;
    clo_err err = {0};
    if (clo_identity_whoami(&out, c->db, &c->who, c->base, &err)) clo_hub_json(c, 200, out);
    else if (err.code == CLO_ERR_NOT_FOUND) clo_hub_fail(c, 401, NULL, "Invalid credentials in Authorization header");
    else clo_hub_fail_err(c, &err);
}

/* --- accounts -----------------------------------------------------------------------------------------------------*/

static void reply_account(clo_hub_call *c, bool ok, json_t *out, const clo_err *err)
{
    if (ok) clo_hub_json(c, 200, out);
    else if (err->code == CLO_ERR_NOT_FOUND) clo_hub_fail(c, 404, NULL, "%s", err->text);
    else clo_hub_fail_err(c, err);
}

/* Of the account, what who asks may see. */
static bool count(clo_identity_counts *out, clo_hub_call *c, clo_err *err)
{
    clo_account_info a;
    clo_viewer v;
    int64_t n[CLO_REPO_TYPES];
    bool ok = clo_account_find(&a, c->db, c->a.x, err) && clo_viewer_of(&v, c->db, &c->who, err) &&
              clo_list_count(n, c->db, &v, a.id, err) && clo_like_count(&out->n_likes, c->db, a.id, &v, err);
    if (!ok) return false;
    out->n_models = n[CLO_REPO_MODEL];
    out->n_datasets = n[CLO_REPO_DATASET];
    out->n_spaces = n[CLO_REPO_SPACE];
    return true;
}

static void overview(clo_hub_call *c, bool org)
{
    json_t *out = NULL;
    clo_err err = {0};
    clo_identity_counts n = {0};
    bool ok = count(&n, c, &err) && clo_identity_overview(&out, c->db, c->a.x, org, &n, c->base, &err);
    reply_account(c, ok, out, &err);
}

void clo_hub_user_overview(clo_hub_call *c)
{
    overview(c, false);
}

void clo_hub_org_overview(clo_hub_call *c)
{
    overview(c, true);
}

void clo_hub_org_members(clo_hub_call *c)
{
    json_t *out = NULL;
    clo_err err = {0};
    bool ok = clo_identity_members(&out, c->db, c->a.x, c->base, &err);
    reply_account(c, ok, out, &err);
}

/* Nobody follows anybody here. */
static void followers(clo_hub_call *c, bool org)
{
    clo_account_info a;
    clo_err err = {0};
    bool ok = clo_account_find(&a, c->db, c->a.x, &err);
    if (ok && a.is_org != org) ok = clo_fail(&err, CLO_ERR_NOT_FOUND, "no %s '%s'", org ? "organisation" : "user", a.name);
    reply_account(c, ok, ok ? json_array() : NULL, &err);
}

void clo_hub_user_followers(clo_hub_call *c)
{
    followers(c, false);
}

void clo_hub_org_followers(clo_hub_call *c)
{
    followers(c, true);
}

/* --- cards --------------------------------------------------------------------------------------------------------*/

/* Asked before a commit that has a README.md. A card with errors is 400 with the whole report: the client reads the errors then. */
void clo_hub_validate_yaml(clo_hub_call *c)
{
    json_t *body, *report = NULL;
    clo_err err = {0};
    clo_repo_type type;
    if (!clo_hub_body(&body, c)) return;
    clo_str text = clo_json_str(body, "content", CLO_STR(""));
    if (!clo_repo_type_parse(&type, clo_json_str(body, "repoType", CLO_STR("model"))))
        clo_hub_fail(c, 400, NULL, "repoType: model, dataset or space is expected");
    else if (clo_card_check(&report, text, clo_repo_type_name(type), &err))
        clo_hub_json(c, json_array_size(json_object_get(report, "errors")) ? 400 : 200, report);
    else clo_hub_fail_err(c, &err);
    json_decref(body);
}

/* --- what is not here ---------------------------------------------------------------------------------------------*/

/* Asked once a day by the Python client. */
void clo_hub_agent_harnesses(clo_hub_call *c)
{
    clo_hub_json(c, 200, json_pack("{s:[], s:{}}", "standardEnvVars", "harnesses"));
}

/* What clients tell is not kept. */
void clo_hub_telemetry(clo_hub_call *c)
{
    clo_reply(c->r, 204, NULL, CLO_STR(""));
}

void clo_hub_not_here(clo_hub_call *c)
{
    clo_hub_fail(c, 501, "NotImplemented", "This hub does not have this");
}
