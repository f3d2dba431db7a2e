/* See web.h. The assembler puts the files into the program (.incbin), so that nothing is generated and no tool is needed;
 * the Makefile says that this file depends on them. */
#include "serve/web.h"

#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "serve/api_error.h"
#include "serve/health.h"
#include "serve/router.h"
#include "serve/server_impl.h"

#define CSP \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; " \
    "form-action 'none'; frame-ancestors 'none'"
#define CSP_HUB CSP "; require-trusted-types-for 'script'; trusted-types cloche"

#define EMBED(symbol, file) \
    extern const char clo_web_##symbol[], clo_web_##symbol##_end[]; \
    __asm__(".pushsection .rodata\n" \
            "clo_web_" #symbol ":\n.incbin \"web/" file "\"\n" \
            "clo_web_" #symbol "_end:\n.byte 0\n" \
            ".popsection\n")

EMBED(index_html, "index.html");
EMBED(style_css, "style.css");
EMBED(icon_svg, "icon.svg");
EMBED(app_js, "app.js");
EMBED(api_js, "api.js");
EMBED(dom_js, "dom.js");
EMBED(markdown_js, "markdown.js");
EMBED(message_js, "message.js");
EMBED(settings_js, "settings.js");
EMBED(store_js, "store.js");
EMBED(base_css, "base.css");
EMBED(hub_html, "hub.html");
EMBED(hub_css, "hub.css");
EMBED(hub_account_js, "hub/account.js");
EMBED(hub_app_js, "hub/app.js");
EMBED(hub_collections_js, "hub/collections.js");
EMBED(hub_commits_js, "hub/commits.js");
EMBED(hub_discussions_js, "hub/discussions.js");
EMBED(hub_files_js, "hub/files.js");
EMBED(hub_forms_js, "hub/forms.js");
EMBED(hub_hash_js, "hub/hash.js");
EMBED(hub_html_js, "hub/html.js");
EMBED(hub_list_js, "hub/list.js");
EMBED(hub_net_js, "hub/net.js");
EMBED(hub_owner_js, "hub/owner.js");
EMBED(hub_repo_js, "hub/repo.js");
EMBED(hub_settings_js, "hub/settings.js");
EMBED(hub_sha256_js, "hub/sha256.js");
EMBED(hub_snippets_js, "hub/snippets.js");
EMBED(hub_tables_js, "hub/tables.js");
EMBED(hub_ui_js, "hub/ui.js");
EMBED(hub_upload_js, "hub/upload.js");
EMBED(hub_view_js, "hub/view.js");

#define HTML "text/html; charset=utf-8"
#define CSS "text/css; charset=utf-8"
#define SCRIPT "text/javascript; charset=utf-8"

static const struct {
    const char *name, *type, *begin, *end;
} files[] = {
#define ROW(name, type, symbol) {name, type, clo_web_##symbol, clo_web_##symbol##_end}
    ROW("index.html", HTML, index_html),
    ROW("style.css", CSS, style_css),
    ROW("icon.svg", "image/svg+xml", icon_svg),
    ROW("app.js", SCRIPT, app_js),
    ROW("api.js", SCRIPT, api_js),
    ROW("dom.js", SCRIPT, dom_js),
    ROW("markdown.js", SCRIPT, markdown_js),
    ROW("message.js", SCRIPT, message_js),
    ROW("settings.js", SCRIPT, settings_js),
    ROW("store.js", SCRIPT, store_js),
    ROW("base.css", CSS, base_css),
    ROW("hub.html", HTML, hub_html),
    ROW("hub.css", CSS, hub_css),
    ROW("hub/account.js", SCRIPT, hub_account_js),
    ROW("hub/app.js", SCRIPT, hub_app_js),
    ROW("hub/collections.js", SCRIPT, hub_collections_js),
    ROW("hub/commits.js", SCRIPT, hub_commits_js),
    ROW("hub/discussions.js", SCRIPT, hub_discussions_js),
    ROW("hub/files.js", SCRIPT, hub_files_js),
    ROW("hub/forms.js", SCRIPT, hub_forms_js),
    ROW("hub/hash.js", SCRIPT, hub_hash_js),
    ROW("hub/html.js", SCRIPT, hub_html_js),
    ROW("hub/list.js", SCRIPT, hub_list_js),
    ROW("hub/net.js", SCRIPT, hub_net_js),
    ROW("hub/owner.js", SCRIPT, hub_owner_js),
    ROW("hub/repo.js", SCRIPT, hub_repo_js),
    ROW("hub/settings.js", SCRIPT, hub_settings_js),
    ROW("hub/sha256.js", SCRIPT, hub_sha256_js),
    ROW("hub/snippets.js", SCRIPT, hub_snippets_js),
    ROW("hub/tables.js", SCRIPT, hub_tables_js),
    ROW("hub/ui.js", SCRIPT, hub_ui_js),
    ROW("hub/upload.js", SCRIPT, hub_upload_js),
    ROW("hub/view.js", SCRIPT, hub_view_js),
};

void clo_web_file(clo_server *s, clo_request *r, clo_str name)
{
    size_t i = 0, n = sizeof files / sizeof *files;
    char hex[65], tag[40];
    while (i < n && !clo_str_eq(name, clo_str_from(files[i].name))) i++;
    if (i == n) {
        clo_api_error e = {0};
        clo_api_fail(&e, CLO_API_NO_PATH, NULL, "the page has no such file");
        clo_route_fail(s, r, &e);
        return;
    }
    const clo_str body = {files[i].begin, (size_t)(files[i].end - files[i].begin)};
    clo_sha256 d = clo_sha256_of(body.ptr, body.len);
    clo_sha256_hex(hex, &d);
    snprintf(tag, sizeof tag, "\"%.32s\"", hex);
    clo_reply_header(r, "ETag", tag);
    clo_reply_header(r, "Cache-Control", "no-cache");
    clo_reply_header(r, "Content-Security-Policy", strcmp(files[i].name, "hub.html") == 0 ? CSP_HUB : CSP);
    clo_reply_header(r, "X-Content-Type-Options", "nosniff");
    clo_reply_header(r, "Referrer-Policy", "no-referrer");
    clo_reply_header(r, "Cross-Origin-Opener-Policy", "same-origin");
    if (clo_request_has_etag(r, tag)) clo_reply(r, 304, NULL, CLO_STR(""));
    else clo_reply(r, 200, files[i].type, body);
}

void clo_web_chat(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    clo_web_file(s, r, CLO_STR("index.html"));
}

/* The same addresses answer programs with something else. */
void clo_web_shell(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    clo_reply_header(r, "Vary", "Accept");
    clo_web_file(s, r, CLO_STR("hub.html"));
}

void clo_web_old_chat(clo_server *s, clo_request *r, clo_str rest)
{
    (void)s;
    (void)rest;
    clo_reply_header(r, "Location", "/chat");
    clo_reply_header(r, "Vary", "Accept");
    clo_reply(r, 302, NULL, CLO_STR(""));
}

void clo_web_root(clo_server *s, clo_request *r, clo_str rest)
{
    if (!clo_web_wants_page(r)) clo_health_root(s, r, rest);
    else if (s->hub && clo_hub_in_use(s->hub)) clo_web_shell(s, r, rest);
    else clo_web_old_chat(s, r, rest);
}
