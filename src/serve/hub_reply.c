/* What handlers of the hub read of a request and how they reply. See hub.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "hub/revision.h"
#include "serve/account.h"
#include "serve/api_error.h"
#include "serve/hub.h"
#include "serve/json_out.h"

clo_git *clo_hub_git(clo_hub_call *c)
{
    clo_err err = {0};
    if (!c->git && !clo_git_open(&c->git, c->db, c->repo.id, &err)) clo_hub_fail_err(c, &err);
    return c->git;
}

bool clo_hub_commit(clo_oid *out, clo_hub_call *c)
{
    clo_err err = {0};
    clo_git *g = clo_hub_git(c);
    if (!g) return false;
    if (clo_revision_find(out, g, c->a.rev, &err)) return true;
    if (err.code != CLO_ERR_NOT_FOUND && err.code != CLO_ERR_USAGE) return clo_hub_fail_err(c, &err);
    return clo_hub_fail(c, 404, "RevisionNotFound", "Invalid rev id: %.*s", (int)(c->a.rev.len > 200 ? 200 : c->a.rev.len),
                        c->a.rev.ptr);
}

bool clo_hub_may(clo_hub_call *c, clo_action action)
{
    clo_denial no = {0};
    if (clo_access(&no, &c->caller, &c->seen, action)) return true;
    clo_hub_deny(c, &no);
    return false;
}

bool clo_hub_body(json_t **out, clo_hub_call *c)
{
    clo_err err = {0};
    clo_str body = clo_request_body(c->r);
    *out = NULL;
    if (!clo_json_parse(out, body, clo_request_body_max(c->r), &err)) return clo_hub_fail(c, 400, NULL, "body: %s", err.text);
    if (json_is_object(*out)) return true;
    json_decref(*out);
    *out = NULL;
    return clo_hub_fail(c, 400, NULL, "body: a JSON object is expected");
}

bool clo_hub_note(clo_hub_call *c, const char *event, const char *text, clo_err *err)
{
    return clo_account_changed(c->s, c->r, c->who.user, event, "", text, err);
}

clo_str clo_hub_param(clo_hub_call *c, const char *name)
{
    clo_str v;
    return clo_request_param(&v, c->r, clo_request_query(c->r), name, 0) ? v : CLO_STR("");
}

bool clo_hub_flag(clo_hub_call *c, const char *name)
{
    clo_str v = clo_hub_param(c, name);
    return clo_str_eq(v, CLO_STR("true")) || clo_str_eq(v, CLO_STR("True")) || clo_str_eq(v, CLO_STR("1"));
}

int64_t clo_hub_number(clo_hub_call *c, const char *name, int64_t min, int64_t max, int64_t fallback)
{
    clo_str v = clo_hub_param(c, name);
    char text[24] = "", *end = NULL;
    if (v.len == 0 || v.len >= sizeof text) return fallback;
    memcpy(text, v.ptr, v.len);
    int64_t n = strtoll(text, &end, 10);
    return *end || n < min ? fallback : n > max ? max : n;
}

void clo_hub_repo_url(clo_buf *out, const clo_hub_call *c, const clo_repo *r)
{
    clo_buf_addf(out, "%s/%s%s%s", c->base, r->type == CLO_REPO_MODEL ? "" : clo_hub_type_plural(r->type),
                 r->type == CLO_REPO_MODEL ? "" : "/", r->full);
}

void clo_hub_link_next(clo_hub_call *c, clo_str cursor)
{
    clo_buf b = {0};
    clo_str target = clo_request_target(c->r), query = clo_request_query(c->r);
    clo_buf_addf(&b, "<%s%.*s?", c->base, (int)target.len, target.ptr);
    for (size_t at = 0; at < query.len;) { /* every parameter but the old cursor */
        clo_str rest = clo_str_from_off(query, at);
        size_t len = clo_str_find(rest, 0, '&');
        if (!clo_str_starts_with(rest, CLO_STR("cursor="))) clo_buf_addf(&b, "%.*s&", (int)len, rest.ptr);
        at += len + 1;
    }
    clo_buf_add(&b, CLO_STR("cursor="));
    for (size_t i = 0; i < cursor.len; i++) clo_buf_addf(&b, "%02x", (unsigned)(uint8_t)cursor.ptr[i]);
    clo_buf_add(&b, CLO_STR(">; rel=\"next\""));
    clo_buf_add_char(&b, '\0');
    if (!b.failed) clo_reply_header(c->r, "Link", b.ptr);
    clo_buf_free(&b);
}

clo_str clo_hub_cursor(clo_hub_call *c)
{
    clo_str hex = clo_hub_param(c, "cursor");
    char *out = (char *)clo_arena_alloc(clo_request_arena(c->r), hex.len / 2 + 1);
    size_t n = 0;
    for (size_t i = 0; out && i + 1 < hex.len; i += 2) {
        const char *digits = "0123456789abcdef", *hi = strchr(digits, hex.ptr[i]), *lo = strchr(digits, hex.ptr[i + 1]);
        if (!hi || !lo || !hex.ptr[i] || !hex.ptr[i + 1]) return CLO_STR("");
        out[n++] = (char)((hi - digits) * 16 + (lo - digits));
    }
    return out ? (clo_str){out, n} : CLO_STR("");
}

void clo_hub_link_place(clo_hub_call *c, int64_t key, int64_t id)
{
    char place[48];
    snprintf(place, sizeof place, "%lld:%lld", (long long)key, (long long)id);
    clo_hub_link_next(c, clo_str_from(place));
}

bool clo_hub_take_place(clo_list_place *out, clo_hub_call *c)
{
    char text[48] = "", *end = NULL;
    clo_str v = clo_hub_cursor(c);
    *out = (clo_list_place){0};
    if (clo_hub_param(c, "cursor").len == 0) return true;
    if (v.len > 0 && v.len < sizeof text) memcpy(text, v.ptr, v.len);
    out->key = strtoll(text, &end, 10);
    out->set = end > text && *end == ':';
    if (out->set) {
        const char *id = end + 1;
        out->id = strtoll(id, &end, 10);
        out->set = end > id && *end == '\0';
    }
    return out->set || clo_hub_fail(c, 400, NULL, "cursor: none of this hub");
}

void clo_hub_json(clo_hub_call *c, unsigned status, json_t *stolen)
{
    clo_reply_json(c->r, status, stolen);
}

void clo_hub_json_text(clo_hub_call *c, unsigned status, clo_buf *stolen)
{
    clo_buf_add_char(stolen, '\n');
    clo_reply_buf(c->r, status, CLO_TYPE_JSON, stolen);
}

void clo_hub_lfs_json(clo_hub_call *c, unsigned status, json_t *stolen)
{
    clo_buf b = {0};
    clo_json_add_tree(&b, stolen);
    clo_reply_buf(c->r, status, "application/vnd.git-lfs+json", &b);
}

void clo_hub_deny(clo_hub_call *c, const clo_denial *no)
{
    char line[sizeof no->message];
    clo_error_line(line, sizeof line, no->message);
    const char *text = clo_utf8_valid(clo_str_from(no->message)) ? no->message : line; /* a name as it came may be anything */
    if (no->code) clo_reply_header(c->r, "X-Error-Code", no->code);
    clo_reply_header(c->r, "X-Error-Message", line);
    /* Browsers would ask for name and password in a window of their own, over our page. */
    bool page = clo_request_header(c->r, "X-Requested-With").ptr != NULL;
    if (no->status == 401 && !page) clo_reply_header(c->r, "WWW-Authenticate", "Basic realm=\"hub\"");
    if (no->status == 401 && c->lfs) clo_reply_header(c->r, "LFS-Authenticate", "Basic realm=\"hub\"");
    if (c->lfs) clo_hub_lfs_json(c, (unsigned)no->status, json_pack("{s:s, s:s}", "message", text, "request_id", clo_request_id(c->r)));
    else clo_hub_json(c, (unsigned)no->status, json_pack("{s:s}", "error", text));
}

bool clo_hub_fail(clo_hub_call *c, int status, const char *code, const char *fmt, ...)
{
    clo_denial no = {.status = status, .code = code};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(no.message, sizeof no.message, fmt, ap);
    va_end(ap);
    clo_hub_deny(c, &no);
    return false;
}

bool clo_hub_fail_err(clo_hub_call *c, const clo_err *err)
{
    switch (err->code) {
    case CLO_ERR_NOT_FOUND: return clo_hub_fail(c, 404, "EntryNotFound", "%s", err->text);
    case CLO_ERR_USAGE:
    case CLO_ERR_FORMAT:
    case CLO_ERR_MISMATCH: return clo_hub_fail(c, 400, NULL, "%s", err->text);
    case CLO_ERR_DENIED: return clo_hub_fail(c, 409, NULL, "%s", err->text);
    case CLO_ERR_LIMIT: return clo_hub_fail(c, 413, NULL, "%s", err->text);
    case CLO_ERR_UNSUPPORTED: return clo_hub_fail(c, 501, NULL, "%s", err->text);
    default: return clo_hub_fail(c, 500, NULL, "internal error");
    }
}

bool clo_hub_undo(clo_hub_call *c, const clo_err *err)
{
    clo_db_rollback(c->db);
    if (c->git) clo_git_close(c->git);
    c->git = NULL;
    return clo_hub_fail_err(c, err);
}
