/* What a commit changed, and what differs between two. */
#include "hub/diff.h"

#include "hub/revision.h"
#include "serve/hub_handlers.h"
#include "serve/json_out.h"

#define TEXT_BYTES_MAX ((size_t)8 << 20)

/* The commit of another revision than the path's; false: replied. */
static bool find_revision(clo_oid *out, clo_hub_call *c, clo_str rev)
{
    c->a.rev = rev;
    return clo_hub_commit(out, c);
}

/* What the commit is compared with: `base` of the query, else its first parent. False: replied. */
static bool find_base(clo_oid *out, bool *found, clo_hub_call *c, const clo_oid *commit)
{
    clo_str rev = clo_hub_param(c, "base");
    clo_err err = {0};
    *found = true;
    if (rev.len > 0) return find_revision(out, c, rev);
    return clo_diff_base(out, found, c->git, commit, &err) || clo_hub_fail_err(c, &err);
}

void clo_hub_diff(clo_hub_call *c)
{
    clo_oid commit, base;
    clo_err err = {0};
    clo_diff d = {0};
    bool has_base;
    char hex[CLO_OID_HEX];
    if (!clo_hub_commit(&commit, c) || !find_base(&base, &has_base, c, &commit)) return;
    json_t *head = json_array();
    if (clo_history_get(c->git, &commit, clo_hub_add_commit, head, &err) && clo_diff_json(&d, c->git, has_base ? &base : NULL, &commit, &err)) {
        if (has_base) clo_oid_hex(hex, &base);
        clo_hub_json(c, 200, json_pack("{s:O, s:s?, s:o, s:I, s:b}", "commit", json_array_get(head, 0), "base", has_base ? hex : NULL,
                                       "files", d.files, "n_files", (json_int_t)d.n_files, "truncated", d.truncated));
    } else {
        clo_hub_fail_err(c, &err);
    }
    json_decref(head);
}

static void reply_text(clo_hub_call *c, const clo_oid *base, const clo_oid *commit)
{
    clo_buf text = {.max = TEXT_BYTES_MAX};
    clo_err err = {0};
    clo_reply_header(c->r, "X-Content-Type-Options", "nosniff");
    if (clo_diff_text(&text, c->git, base, commit, &err)) clo_reply_buf(c->r, 200, CLO_TYPE_TEXT, &text);
    else clo_hub_fail_err(c, &err);
    clo_buf_free(&text);
}

/* {rev}: COMMIT.diff */
void clo_hub_commit_text(clo_hub_call *c)
{
    clo_oid commit, base;
    bool has_base;
    if (!clo_str_ends_with(c->a.rev, CLO_STR(".diff"))) {
        clo_hub_fail(c, 404, NULL, "not found: COMMIT.diff is its text");
        return;
    }
    c->a.rev.len -= 5;
    if (!clo_hub_commit(&commit, c) || !find_base(&base, &has_base, c, &commit)) return;
    reply_text(c, has_base ? &base : NULL, &commit);
}

/* A..B: from A to B; A...B: what B changed since it parted from A. */
void clo_hub_compare(clo_hub_call *c)
{
    clo_oid a, b, common;
    clo_err err = {0};
    size_t at = 0;
    while (at + 1 < c->a.rest.len && !(c->a.rest.ptr[at] == '.' && c->a.rest.ptr[at + 1] == '.')) at++;
    bool since = at + 2 < c->a.rest.len && c->a.rest.ptr[at + 2] == '.';
    if (at + 1 >= c->a.rest.len) {
        clo_hub_fail(c, 400, NULL, "two revisions are expected: A..B or A...B");
        return;
    }
    if (!find_revision(&a, c, (clo_str){c->a.rest.ptr, at}) || !find_revision(&b, c, clo_str_from_off(c->a.rest, at + (since ? 3 : 2)))) return;
    common = a;
    if (since && !clo_diff_common(&common, c->git, &a, &b, &err)) {
        clo_hub_fail_err(c, &err);
        return;
    }
    reply_text(c, &common, &b);
}
