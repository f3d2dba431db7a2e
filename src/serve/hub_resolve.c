/* Files of a revision, as bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hub/reader.h"
#include "hub/revision.h"
#include "hub/tree.h"
#include "serve/hub_handlers.h"
#include "serve/json_out.h"

/* --- ranges -------------------------------------------------------------------------------------------------------*/

typedef struct {
    uint64_t off, n; /* the stretch asked for */
    bool part;       /* 206 */
} stretch;

static bool digits(uint64_t *out, clo_str s)
{
    *out = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9' || *out > (UINT64_MAX - 9) / 10) return false;
        *out = *out * 10 + (uint64_t)(s.ptr[i] - '0');
    }
    return s.len > 0;
}

/* `bytes=a-b`, `a-`, `-n` (RFC 9110 section 14.1.2); what is no single range of bytes asks for the whole. False: 416. */
static bool parse_range(stretch *out, clo_str header, uint64_t size)
{
    uint64_t first = 0, last = 0;
    *out = (stretch){.n = size};
    if (!clo_str_starts_with(header, CLO_STR("bytes="))) return true;
    clo_str spec = clo_str_from_off(header, 6);
    size_t dash = clo_str_find(spec, 0, '-');
    if (dash == spec.len || clo_str_find(spec, 0, ',') < spec.len) return true;
    clo_str a = {spec.ptr, dash}, b = clo_str_from_off(spec, dash + 1);
    if (a.len == 0) {
        if (!digits(&last, b)) return true;
        if (last == 0 || size == 0) return false;
        first = last < size ? size - last : 0;
        last = size - 1;
    } else {
        if (!digits(&first, a) || (b.len > 0 && (!digits(&last, b) || last < first))) return true;
        if (first >= size) return false;
        if (b.len == 0 || last >= size) last = size - 1;
    }
    *out = (stretch){.off = first, .n = last - first + 1, .part = true};
    return true;
}

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

static bool has_etag(const clo_request *r, const char *tag)
{
    clo_str given = clo_request_header(r, "If-None-Match");
    size_t n = strlen(tag);
    for (size_t i = 0; given.len >= n && i <= given.len - n; i++)
        if (memcmp(given.ptr + i, tag, n) == 0) return true;
    return false;
}

/* What every answer about a file has; the stretch that is asked for. False: replied. */
static bool begin_file(stretch *out, clo_hub_call *c, const clo_entry *e, const clo_oid *commit)
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
    clo_reply_header(c->r, "Accept-Ranges", "bytes");
    clo_reply_header(c->r, "X-Content-Type-Options", "nosniff");
    clo_reply_header(c->r, "Content-Security-Policy", "default-src 'none'; sandbox");
    if (has_etag(c->r, tag)) {
        clo_reply(c->r, 304, NULL, CLO_STR(""));
        return false;
    }
    clo_str range = clo_request_header(c->r, "Range");
    if (!parse_range(out, range, e->size)) {
        snprintf(text, sizeof text, "bytes */%llu", (unsigned long long)e->size);
        clo_reply_header(c->r, "Content-Range", text);
        return clo_hub_fail(c, 416, NULL, "the range begins after the end of the file, which has %llu bytes",
                            (unsigned long long)e->size);
    }
    if (out->part) {
        snprintf(text, sizeof text, "bytes %llu-%llu/%llu", (unsigned long long)out->off,
                 (unsigned long long)(out->off + out->n - 1), (unsigned long long)e->size);
        clo_reply_header(c->r, "Content-Range", text);
    }
    add_disposition(c, clo_str_from(e->path));
    return true;
}

/* --- bodies -------------------------------------------------------------------------------------------------------*/

static ssize_t read_some(void *ctx, char *to, size_t max)
{
    size_t got = 0;
    clo_err err = {0};
    return clo_reader_read((clo_reader *)ctx, to, max, &got, &err) ? (ssize_t)got : -1;
}

static void end_reader(void *ctx)
{
    clo_reader_close((clo_reader *)ctx);
}

static void send_large(clo_hub_call *c, const clo_entry *e, const stretch *s)
{
    clo_reader *reader = NULL;
    clo_err err = {0};
    int fd;
    uint64_t off;
    unsigned status = s->part ? 206 : 200;
    if (s->n == 0) {
        clo_reply(c->r, status, type_of(clo_str_from(e->path)), CLO_STR(""));
        return;
    }
    if (!clo_reader_open(&reader, &c->files, &e->sha256, s->off, s->n, &err)) {
        if (err.code == CLO_ERR_NOT_FOUND) clo_hub_fail(c, 404, "EntryNotFound", "the bytes of %s are not here", e->path);
        else clo_hub_fail_err(c, &err);
        return;
    }
    if (!clo_reader_plain(reader, &fd, &off)) {
        clo_reply_reader(c->r, status, type_of(clo_str_from(e->path)), s->n, read_some, end_reader, reader);
        return;
    }
    int own = dup(fd);
    clo_reader_close(reader);
    if (own < 0) clo_hub_fail(c, 503, NULL, "server busy, please try again.  too many open files");
    else clo_reply_file(c->r, status, type_of(clo_str_from(e->path)), own, off, s->n);
}

static void send_small(clo_hub_call *c, const clo_entry *e, const stretch *s, const char *type)
{
    clo_buf b = {0};
    clo_err err = {0};
    if (!clo_blob_read(&b, c->git, &e->oid, &err)) clo_hub_fail_err(c, &err);
    else if (s->off + s->n > b.len) clo_hub_fail(c, 500, NULL, "internal error");
    else clo_reply(c->r, s->part ? 206 : 200, type, (clo_str){b.ptr + s->off, s->n});
    clo_buf_free(&b);
}

static bool find_entry(clo_entry *e, clo_oid *commit, clo_hub_call *c)
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
    stretch s;
    if (!find_entry(&e, &commit, c) || !begin_file(&s, c, &e, &commit)) return;
    if (e.is_lfs) send_large(c, &e, &s);
    else send_small(c, &e, &s, type_of(clo_str_from(e.path)));
}

void clo_hub_raw(clo_hub_call *c)
{
    clo_entry e;
    clo_oid commit;
    stretch s;
    if (!find_entry(&e, &commit, c)) return;
    if (e.is_lfs) e.size = e.pointer_size;
    e.is_lfs = false; /* what git has */
    if (begin_file(&s, c, &e, &commit)) send_small(c, &e, &s, CLO_TYPE_TEXT);
}
