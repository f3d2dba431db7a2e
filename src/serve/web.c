/* See web.h. The assembler puts the files into the program (.incbin), so that nothing is generated and no tool is needed;
 * the Makefile says that this file depends on them. */
#include "serve/web.h"

#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "serve/api_error.h"
#include "serve/health.h"
#include "serve/router.h"

#define CSP \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; " \
    "form-action 'none'; frame-ancestors 'none'"

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

static const struct {
    const char *name, *type, *begin, *end;
} files[] = {
#define ROW(name, type, symbol) {name, type, clo_web_##symbol, clo_web_##symbol##_end}
    ROW("index.html", "text/html; charset=utf-8", index_html),
    ROW("style.css", "text/css; charset=utf-8", style_css),
    ROW("icon.svg", "image/svg+xml", icon_svg),
    ROW("app.js", "text/javascript; charset=utf-8", app_js),
    ROW("api.js", "text/javascript; charset=utf-8", api_js),
    ROW("dom.js", "text/javascript; charset=utf-8", dom_js),
    ROW("markdown.js", "text/javascript; charset=utf-8", markdown_js),
    ROW("message.js", "text/javascript; charset=utf-8", message_js),
    ROW("settings.js", "text/javascript; charset=utf-8", settings_js),
    ROW("store.js", "text/javascript; charset=utf-8", store_js),
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
    clo_reply_header(r, "Content-Security-Policy", CSP);
    clo_reply_header(r, "X-Content-Type-Options", "nosniff");
    clo_reply_header(r, "Referrer-Policy", "no-referrer");
    clo_reply_header(r, "Cross-Origin-Opener-Policy", "same-origin");
    if (clo_request_has_etag(r, tag)) clo_reply(r, 304, NULL, CLO_STR(""));
    else clo_reply(r, 200, files[i].type, body);
}

void clo_web_index(clo_server *s, clo_request *r, clo_str rest)
{
    (void)rest;
    clo_web_file(s, r, CLO_STR("index.html"));
}

static void redirect(clo_request *r)
{
    clo_reply_header(r, "Location", "/ui/");
    clo_reply_header(r, "Vary", "Accept");
    clo_reply(r, 302, NULL, CLO_STR(""));
}

/* Only browsers ask for text/html by name. */
void clo_web_root(clo_server *s, clo_request *r, clo_str rest)
{
    const clo_str html = CLO_STR("text/html");
    clo_str accept = clo_request_header(r, "Accept");
    for (size_t i = 0; accept.len >= html.len && i <= accept.len - html.len; i++)
        if (memcmp(accept.ptr + i, html.ptr, html.len) == 0) {
            redirect(r);
            return;
        }
    clo_health_root(s, r, rest);
}
