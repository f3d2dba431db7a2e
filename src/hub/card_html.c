/* See card.h: Markdown to HTML, by cmark-gfm. It escapes all text; what is left to this file is where links lead, which of
 * its extensions run, and how much work a text may be. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm.h>

#include "hub/card.h"

#define URL_BYTES_MAX 4096
#define WORDS_NODES_MAX 1000 /* of an image's words */
#define WORDS_BYTES_MAX 4000
#define LEVELS_MAX 100 /* of nodes around an image that are looked at */
#define WORD_BYTES_MAX 2000 /* of a word in which bare links are looked for */
#define MARKERS_MAX 32 /* quotations and lists that begin on one line */
#define TABLE_CELLS_MAX 200000 /* columns of the widest line by lines: rows are filled up to their table's width */

/* cmark-gfm registers extensions in, and keeps the special characters of a parse in, variables of its own: one at a time. */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

/* --- where links lead ---------------------------------------------------------------------------------------------*/

typedef enum { URL_BAD, URL_RELATIVE, URL_ABSOLUTE } url_kind;

static bool has_scheme(clo_str url, clo_str scheme)
{
    if (url.len < scheme.len) return false;
    for (size_t i = 0; i < scheme.len; i++) {
        char c = url.ptr[i];
        if ((c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c) != scheme.ptr[i]) return false;
    }
    return true;
}

/* Browsers drop tabs, newlines and leading blanks of an address and take `\` for `/`: none of these is let through. What
 * has a colon before any of / ? # has a scheme. */
static url_kind kind_of(clo_str url, bool image)
{
    if (url.len > URL_BYTES_MAX) return URL_BAD;
    for (size_t i = 0; i < url.len; i++)
        if ((unsigned char)url.ptr[i] <= ' ' || url.ptr[i] == 0x7f || url.ptr[i] == '\\') return URL_BAD;
    if (has_scheme(url, CLO_STR("http://")) || has_scheme(url, CLO_STR("https://"))) return URL_ABSOLUTE;
    if (has_scheme(url, CLO_STR("mailto:"))) return image ? URL_BAD : URL_ABSOLUTE;
    if (clo_str_starts_with(url, CLO_STR("//"))) return URL_BAD;
    for (size_t i = 0; i < url.len && !strchr("/?#", url.ptr[i]); i++)
        if (url.ptr[i] == ':') return URL_BAD;
    return URL_RELATIVE;
}

/* A relative address gets what goes before it, unless it is of this page or of the whole server. */
static bool put_base(cmark_node *n, const char *base, clo_str url, clo_err *err)
{
    if (!base || url.len == 0 || strchr("/#?", url.ptr[0])) return true;
    while (clo_str_starts_with(url, CLO_STR("./"))) url = clo_str_from_off(url, 2);
    clo_buf b = {.max = 2 * URL_BYTES_MAX};
    clo_buf_add(&b, clo_str_from(base));
    clo_buf_add(&b, url);
    bool ok = clo_buf_ok(&b, err) && (cmark_node_set_url(n, b.ptr) || clo_fail(err, CLO_ERR_MEMORY, "HTML of a card"));
    clo_buf_free(&b);
    return ok;
}

/* The words of a node and those within, up to a limit: many levels of images would else be read once for each. */
static void add_words(clo_buf *out, cmark_node *n)
{
    cmark_iter *it = cmark_iter_new(n);
    int n_seen = 0;
    for (cmark_event_type e; it && n_seen < WORDS_NODES_MAX && (e = cmark_iter_next(it)) != CMARK_EVENT_DONE; n_seen++) {
        cmark_node *at = cmark_iter_get_node(it);
        cmark_node_type type = cmark_node_get_type(at);
        if (e == CMARK_EVENT_ENTER && (type == CMARK_NODE_TEXT || type == CMARK_NODE_CODE))
            clo_buf_add(out, clo_str_from(cmark_node_get_literal(at)));
        if (type == CMARK_NODE_SOFTBREAK || type == CMARK_NODE_LINEBREAK) clo_buf_add_char(out, ' ');
    }
    if (it) cmark_iter_free(it);
}

/* Puts the words of an image in its place, as a link to it unless it stands in one. *put is what stands there now. */
static bool image_to_words(cmark_node **put, cmark_node *image, bool as_link, clo_err *err)
{
    clo_buf words = {.max = WORDS_BYTES_MAX};
    add_words(&words, image);
    cmark_node *text = cmark_node_new(CMARK_NODE_TEXT), *link = as_link ? cmark_node_new(CMARK_NODE_LINK) : NULL;
    bool ok = text && cmark_node_set_literal(text, words.len && !words.failed ? words.ptr : "image");
    if (as_link) ok = ok && link && cmark_node_set_url(link, cmark_node_get_url(image)) && cmark_node_append_child(link, text);
    clo_buf_free(&words);
    *put = as_link ? link : text;
    ok = ok && cmark_node_replace(image, *put);
    if (ok) {
        cmark_node_free(image);
        return true;
    }
    if (text && !cmark_node_parent(text)) cmark_node_free(text);
    if (link) cmark_node_free(link);
    return clo_fail(err, CLO_ERR_MEMORY, "HTML of a card");
}

/* Past some levels it is taken for so. */
static bool is_inside_link(cmark_node *n)
{
    int level = 0;
    for (cmark_node *p = cmark_node_parent(n); p; p = cmark_node_parent(p))
        if (cmark_node_get_type(p) == CMARK_NODE_LINK || ++level == LEVELS_MAX) return true;
    return false;
}

/* An image that lies elsewhere goes with all that is in it, and the walk goes on after it. */
static bool tame_node(cmark_iter *it, cmark_node *n, const clo_card_links *links, clo_err *err)
{
    const char *raw = cmark_node_get_url(n);
    clo_str url = clo_str_from(raw ? raw : "");
    bool image = cmark_node_get_type(n) == CMARK_NODE_IMAGE;
    url_kind kind = kind_of(url, image);
    if (kind == URL_RELATIVE) return put_base(n, image ? links->images : links->pages, url, err);
    if (kind == URL_BAD) return cmark_node_set_url(n, "") || clo_fail(err, CLO_ERR_MEMORY, "HTML of a card");
    if (!image) return true;
    cmark_node *put;
    if (!image_to_words(&put, n, !is_inside_link(n), err)) return false;
    cmark_iter_reset(it, put, CMARK_EVENT_EXIT);
    return true;
}

static bool tame_tree(cmark_node *root, const clo_card_links *links, clo_err *err)
{
    cmark_iter *it = cmark_iter_new(root);
    bool ok = it || clo_fail(err, CLO_ERR_MEMORY, "HTML of a card");
    for (cmark_event_type e; ok && (e = cmark_iter_next(it)) != CMARK_EVENT_DONE;) {
        cmark_node *n = cmark_iter_get_node(it);
        cmark_node_type type = cmark_node_get_type(n);
        if (e != CMARK_EVENT_ENTER) continue;
        if (type == CMARK_NODE_HTML_BLOCK || type == CMARK_NODE_HTML_INLINE) cmark_node_free(n); /* a leaf: the walk is past it */
        else if (type == CMARK_NODE_LINK || type == CMARK_NODE_IMAGE) ok = tame_node(it, n, links, err);
    }
    if (it) cmark_iter_free(it);
    return ok;
}

/* --- parsing ------------------------------------------------------------------------------------------------------*/

/* Whether rows filled up to the width of the widest line would be more cells than we want to see. */
static bool tables_fit(clo_str body)
{
    size_t n_lines = 1, n_bars = 0, widest = 0;
    for (size_t i = 0; i < body.len; i++) {
        if (body.ptr[i] == '|') n_bars++;
        if (n_bars > widest) widest = n_bars;
        if (body.ptr[i] != '\n' && body.ptr[i] != '\r') continue;
        n_lines++;
        n_bars = 0;
    }
    return (widest + 1) * n_lines <= TABLE_CELLS_MAX;
}

/* Whether no word is longer than bare links are looked for in: the work on one is the square of its length. */
static bool words_fit(clo_str body)
{
    size_t run = 0;
    for (size_t i = 0; i < body.len; i++) {
        run = (unsigned char)body.ptr[i] > ' ' ? run + 1 : 0;
        if (run > WORD_BYTES_MAX) return false;
    }
    return true;
}

/* Bytes of a marker that opens a quotation or an item of a list at `at`, 0 when there is none. */
static size_t marker_at(clo_str s, size_t at)
{
    size_t n = 0;
    if (at >= s.len) return 0;
    if (s.ptr[at] == '>') return 1;
    while (at + n < s.len && s.ptr[at + n] >= '0' && s.ptr[at + n] <= '9') n++;
    if (at + n >= s.len || !strchr(n > 0 ? ".)" : "-+*", s.ptr[at + n])) return 0;
    n++;
    return at + n >= s.len || strchr(" \t\r\n", s.ptr[at + n]) ? n : 0;
}

/* Every line asks all blocks that are open around it, so that depth by lines is the work. */
static bool check_depth(clo_str body, clo_err *err)
{
    for (size_t at = 0; at < body.len; at++) {
        int depth = 0;
        for (size_t n = 1; n > 0; depth++) {
            while (at < body.len && (body.ptr[at] == ' ' || body.ptr[at] == '\t')) at++;
            at += n = marker_at(body, at);
        }
        if (depth > MARKERS_MAX + 1)
            return clo_fail(err, CLO_ERR_LIMIT, "Markdown: byte %zu: more than %d quotations or lists begin on a line", at, MARKERS_MAX);
        while (at < body.len && body.ptr[at] != '\n' && body.ptr[at] != '\r') at++;
    }
    return true;
}

static bool attach(cmark_parser *p, const char *name, clo_err *err)
{
    cmark_syntax_extension *e = cmark_find_syntax_extension(name);
    return (e && cmark_parser_attach_syntax_extension(p, e)) || clo_fail(err, CLO_ERR_UNSUPPORTED, "cmark-gfm has no '%s'", name);
}

static bool render(clo_buf *out, cmark_node *root, cmark_parser *p, clo_err *err)
{
    char *html = cmark_render_html(root, CMARK_OPT_DEFAULT, cmark_parser_get_syntax_extensions(p));
    if (!html) return clo_fail(err, CLO_ERR_MEMORY, "HTML of a card");
    clo_str s = clo_str_from(html);
    bool ok = s.len <= CLO_CARD_HTML_MAX || clo_fail(err, CLO_ERR_LIMIT, "a card whose HTML is %zu bytes", s.len);
    if (ok) clo_buf_add(out, s);
    free(html);
    return ok && clo_buf_ok(out, err);
}

static bool make(clo_buf *out, clo_str body, const clo_card_links *links, clo_err *err)
{
    cmark_gfm_core_extensions_ensure_registered();
    cmark_parser *p = cmark_parser_new(CMARK_OPT_VALIDATE_UTF8);
    if (!p) return clo_fail(err, CLO_ERR_MEMORY, "HTML of a card");
    cmark_node *root = NULL;
    bool ok = (!tables_fit(body) || attach(p, "table", err)) && attach(p, "strikethrough", err) &&
              (!words_fit(body) || attach(p, "autolink", err));
    if (ok) {
        cmark_parser_feed(p, body.ptr, body.len);
        root = cmark_parser_finish(p);
    }
    ok = ok && (root || clo_fail(err, CLO_ERR_MEMORY, "HTML of a card")) && tame_tree(root, links, err) && render(out, root, p, err);
    if (root) cmark_node_free(root);
    cmark_parser_free(p);
    return ok;
}

bool clo_card_html(clo_buf *out, clo_str body, const clo_card_links *links, clo_err *err)
{
    static const clo_card_links none = {0};
    if (body.len > CLO_CARD_HTML_BODY_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "Markdown of %zu bytes, limit %zu", body.len, CLO_CARD_HTML_BODY_MAX);
    if (!check_depth(body, err)) return false;
    pthread_mutex_lock(&one_at_a_time);
    bool ok = make(out, body.ptr ? body : CLO_STR(""), links ? links : &none, err);
    pthread_mutex_unlock(&one_at_a_time);
    return ok;
}
