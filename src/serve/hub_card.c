/* Markdown of a repository as HTML, for the pages: cmark-gfm makes it, without any HTML of the file's own (hub/card.h). */
#include <string.h>

#include "hub/card.h"
#include "hub/revision.h"
#include "hub/tree.h"
#include "serve/hub_handlers.h"

#define CARD "README.md"

/* Parts of an address as they stand in one. A slash stays where it divides. */
static void add_escaped(clo_buf *out, clo_str s, bool slashes)
{
    for (size_t i = 0; i < s.len; i++) {
        char ch = s.ptr[i];
        bool plain = (ch >= '0' && ch <= '9') || ((ch | 32) >= 'a' && (ch | 32) <= 'z') || strchr("-._~", ch) || (slashes && ch == '/');
        if (plain) clo_buf_add_char(out, ch);
        else clo_buf_addf(out, "%%%02X", (unsigned)(uint8_t)ch);
    }
}

/* "/datasets/lab/d/<verb>/<rev>/<folder of the path>/" */
static void add_base(clo_buf *out, const clo_hub_call *c, const char *verb, clo_str path)
{
    size_t folder = path.len;
    while (folder > 0 && path.ptr[folder - 1] != '/') folder--;
    clo_buf_addf(out, "/%s%s%s/%s/", c->repo.type == CLO_REPO_MODEL ? "" : clo_hub_type_plural(c->repo.type),
                 c->repo.type == CLO_REPO_MODEL ? "" : "/", c->repo.full, verb);
    add_escaped(out, c->a.rev, false);
    clo_buf_add_char(out, '/');
    add_escaped(out, (clo_str){path.ptr, folder}, true);
    clo_buf_add_char(out, '\0');
}

/* "html" null and "why" where it is more than is made into HTML. */
static void reply(clo_hub_call *c, clo_str path, clo_str text)
{
    clo_buf pages = {0}, images = {0}, html = {0};
    clo_err err = {0};
    clo_str yaml, body;
    add_base(&pages, c, "blob", path);
    add_base(&images, c, "resolve", path);
    clo_card_split(&yaml, &body, text);
    bool made = !pages.failed && !images.failed && clo_card_html(&html, body, &(clo_card_links){pages.ptr, images.ptr}, &err);
    json_t *out = json_pack("{s:s%, s:n}", "path", path.ptr, path.len, "html");
    if (made) json_object_set_new(out, "html", json_stringn(html.ptr ? html.ptr : "", html.len));
    else json_object_set_new(out, "why", json_string(err.text));
    clo_hub_json(c, 200, out);
    clo_buf_free(&pages);
    clo_buf_free(&images);
    clo_buf_free(&html);
}

static void render(clo_hub_call *c, clo_str path)
{
    clo_entry e;
    clo_oid commit;
    clo_buf text = {0};
    clo_err err = {0};
    if (!clo_hub_commit(&commit, c)) return;
    bool found = clo_tree_entry(&e, c->git, &commit, path, &err);
    if (!found && err.code != CLO_ERR_NOT_FOUND && err.code != CLO_ERR_USAGE) clo_hub_fail_err(c, &err);
    else if (!found || e.kind != CLO_ENTRY_FILE || e.is_lfs) clo_hub_no_entry(c, &commit, path);
    else if (e.size > CLO_CARD_BYTES_MAX) clo_hub_fail(c, 413, NULL, "more than %zu bytes of Markdown", CLO_CARD_BYTES_MAX);
    else if (!clo_blob_read(&text, c->git, &e.oid, &err)) clo_hub_fail_err(c, &err);
    else reply(c, path, clo_buf_str(&text));
    clo_buf_free(&text);
}

/* The card is for whoever sees the repository: it says what a gated one is about. */
void clo_hub_card(clo_hub_call *c)
{
    render(c, CLO_STR(CARD));
}

void clo_hub_markdown(clo_hub_call *c)
{
    render(c, c->a.rest);
}
