/* Files of a revision, as bytes. */
#include <stdio.h>
#include <string.h>

#include "hub/revision.h"
#include "hub/tree.h"
#include "serve/hub_handlers.h"
#include "serve/hub_send.h"
#include "serve/hub_xet.h"
#include "serve/json_out.h"

/* --- headers ------------------------------------------------------------------------------------------------------*/

static void add_disposition(clo_hub_call *c, clo_str path)
{
    clo_buf b = {0};
    size_t at = path.len;
    while (at > 0 && path.ptr[at - 1] != '/') at--;
    clo_str name = clo_str_from_off(path, at);
    clo_buf_addf(&b, "%s; filename*=UTF-8''", clo_hub_flag(c, "download") ? "attachment" : "inline");
    for (size_t i = 0; i < name.len; i++) {
        char ch = name.ptr[i];
        bool plain = (ch >= '0' && ch <= '9') || ((ch | 32) >= 'a' && (ch | 32) <= 'z') || ch == '.' || ch == '-' || ch == '_';
        if (plain) clo_buf_add_char(&b, ch);
        else clo_buf_addf(&b, "%%%02X", (unsigned)(uint8_t)ch);
    }
    clo_buf_add(&b, CLO_STR("; filename=\""));
    for (size_t i = 0; i < name.len; i++)
        clo_buf_add_char(&b, name.ptr[i] < ' ' || name.ptr[i] == '"' || name.ptr[i] == '\\' || name.ptr[i] > '~' ? '_' : name.ptr[i]);
    clo_buf_add(&b, CLO_STR("\";"));
    clo_buf_add_char(&b, '\0');
    if (!b.failed) clo_reply_header(c->r, "Content-Disposition", b.ptr);
    clo_buf_free(&b);
}

/* Texts are shown, nothing is run: a page of a repository is no page of this server. */
static const char *type_of(clo_str path)
{
    static const struct {
        const char *end, *type;
    } rows[] = {{".json", "application/json"}, {".txt", CLO_TYPE_TEXT}, {".md", CLO_TYPE_TEXT},   {".jsonl", CLO_TYPE_TEXT},
                {".csv", CLO_TYPE_TEXT},       {".yaml", CLO_TYPE_TEXT}, {".py", CLO_TYPE_TEXT},  {".jinja", CLO_TYPE_TEXT},
                {".png", "image/png"},         {".jpg", "image/jpeg"},   {".webp", "image/webp"}, {".html", CLO_TYPE_TEXT},
                {".svg", CLO_TYPE_TEXT}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (clo_str_ends_with(path, clo_str_from(rows[i].end))) return rows[i].type;
    return "application/octet-stream";
}

#define TYPE_XET "application/vnd.xet-fileinfo+json"

/* True when the file can be fetched by Xet; the answer's headers say how. */
static bool add_xet(clo_hub_call *c, const clo_entry *e, const char *commit)
{
    clo_file_info info;
    clo_err no = {0};
    bool found = false;
    if (!e->is_lfs || !clo_files_find_own(&info, &found, &c->files, c->repo.id, &e->sha256, &no) || !found || !info.has_xet) return false;
    clo_hub_xet_headers(c, &info, commit);
    clo_reply_header(c->r, "Vary", "Accept");
    return true;
}

/* Clients in JavaScript ask so, and need no bytes. */
static bool wants_xet(const clo_request *r)
{
    return clo_str_starts_with(clo_request_header(r, "Accept"), CLO_STR(TYPE_XET));
}

/* What every answer about a file has; the stretch that is asked for. False: replied. */
static bool begin_file(clo_byte_range *out, clo_hub_call *c, const clo_entry *e, const clo_oid *commit)
{
    char id[CLO_OID_HEX], tag[72], text[80], hex[65];
    clo_oid_hex(id, commit);
    clo_reply_header(c->r, "X-Repo-Commit", id);
    if (e->is_lfs) clo_sha256_hex(hex, &e->sha256);
    else clo_oid_hex(hex, &e->oid);
    snprintf(tag, sizeof tag, "\"%s\"", hex);
    clo_reply_header(c->r, "ETag", tag);
    if (e->is_lfs) {
        clo_reply_header(c->r, "X-Linked-ETag", tag);
        snprintf(text, sizeof text, "%llu", (unsigned long long)e->size);
        clo_reply_header(c->r, "X-Linked-Size", text);
    }
    bool xet = add_xet(c, e, id);
    clo_reply_header(c->r, "X-Content-Type-Options", "nosniff");
    clo_reply_header(c->r, "Content-Security-Policy", "default-src 'none'; sandbox");
    if (clo_request_has_etag(c->r, tag)) {
        clo_reply(c->r, 304, NULL, CLO_STR(""));
        return false;
    }
    if (xet && wants_xet(c->r)) {
        clo_reply(c->r, 200, TYPE_XET, CLO_STR("{}"));
        return false;
    }
    if (!clo_hub_range(out, c, e->size)) return false;
    add_disposition(c, clo_str_from(e->path));
    return true;
}

/* --- bodies -------------------------------------------------------------------------------------------------------*/

static void send_small(clo_hub_call *c, const clo_entry *e, const clo_byte_range *s, const char *type)
{
    clo_buf b = {0};
    clo_err err = {0};
    if (!clo_blob_read(&b, c->git, &e->oid, &err)) clo_hub_fail_err(c, &err);
    else if (s->off + s->n > b.len) clo_hub_fail(c, 500, NULL, "internal error");
    else clo_reply(c->r, s->part ? 206 : 200, type, (clo_str){b.ptr + s->off, s->n});
    clo_buf_free(&b);
}

bool clo_hub_find_entry(clo_entry *e, clo_oid *commit, clo_hub_call *c)
{
    clo_err err = {0};
    if (!clo_hub_commit(commit, c)) return false;
    bool found = clo_tree_entry(e, c->git, commit, c->a.rest, &err);
    if (found && e->kind == CLO_ENTRY_FILE) return true;
    if (found || err.code == CLO_ERR_NOT_FOUND || err.code == CLO_ERR_USAGE) return clo_hub_no_entry(c, commit, c->a.rest);
    return clo_hub_fail_err(c, &err);
}

void clo_hub_resolve(clo_hub_call *c)
{
    clo_entry e;
    clo_oid commit;
    clo_byte_range s;
    if (!clo_hub_find_entry(&e, &commit, c) || !begin_file(&s, c, &e, &commit)) return;
    if (e.is_lfs) clo_hub_send_large(c, &e.sha256, &s, type_of(clo_str_from(e.path)));
    else send_small(c, &e, &s, type_of(clo_str_from(e.path)));
}

void clo_hub_raw(clo_hub_call *c)
{
    clo_entry e;
    clo_oid commit;
    clo_byte_range s;
    if (!clo_hub_find_entry(&e, &commit, c)) return;
    if (e.is_lfs) e.size = e.pointer_size;
    e.is_lfs = false; /* what git has */
    if (begin_file(&s, c, &e, &commit)) send_small(c, &e, &s, CLO_TYPE_TEXT);
}
