/* See remote_upload.h. Addresses for bytes are signed, and get no token; only the question whether all is there does. */
#include "hub/remote_upload.h"

#include <stdio.h>
#include <stdlib.h>

#include "hub/reader.h"

#define PARTS_MAX 10000
#define ETAG_MAX 256

/* A stretch of a file on its way out. */
typedef struct {
    clo_crew *crew;
    clo_reader *reader; /* owned */
    uint64_t sent;
} outgoing;

static bool give(void *ctx, void *buf, size_t cap, size_t *got, clo_err *err)
{
    outgoing *out = ctx;
    if (!clo_reader_read(out->reader, buf, cap, got, err)) return false;
    out->sent += *got;
    clo_crew_count(out->crew, (int64_t)*got);
    return true;
}

/* Bytes [off, off + n) to an address. */
static bool put_stretch(char etag[ETAG_MAX], clo_crew_hand *h, const clo_lfs_pointer *f, uint64_t off, uint64_t n, const char *url,
                        char *const *headers, clo_err *err)
{
    clo_net_reply got = {0};
    clo_err why = {0};
    int tries = 0;
    bool ok;
    do {
        outgoing out = {.crew = h->crew};
        clo_net_request q = {.method = "PUT", .url = url, .give = give, .give_ctx = &out, .give_bytes = n};
        size_t k = 0;
        for (; headers && headers[k]; k++) q.headers[k] = headers[k];
        q.headers[k] = "Content-Type: application/octet-stream";
        why = (clo_err){0};
        ok = clo_reader_open(&out.reader, &h->files, &f->sha256, off, n, &why) && clo_net_call(&got, h->net, &q, &why);
        if (ok && (got.status < 200 || got.status > 299)) ok = clo_net_refused(&got, &q, &why);
        clo_reader_close(out.reader);
        if (!ok) clo_crew_count(h->crew, -(int64_t)out.sent);
    } while (!ok && clo_remote_try_again(&tries, &why, &got, h->crew->remote->stop));
    if (ok) snprintf(etag, ETAG_MAX, "%s", got.etag);
    else if (err) *err = why;
    return ok;
}

static bool post_json(clo_crew_hand *h, const char *url, clo_net_auth auth, char *const *headers, json_t *stolen, clo_err *err)
{
    clo_net_reply got = {0};
    char *text = stolen ? json_dumps(stolen, JSON_COMPACT) : NULL;
    json_decref(stolen);
    if (!text) return clo_fail(err, CLO_ERR_MEMORY, "request");
    clo_net_request q = {.method = "POST", .url = url, .auth = auth, .body = clo_bytes_of(clo_str_from(text))};
    size_t k = 0;
    for (; headers && headers[k]; k++) q.headers[k] = headers[k];
    q.headers[k++] = "Content-Type: application/vnd.git-lfs+json";
    q.headers[k] = "Accept: application/vnd.git-lfs+json";
    clo_err why = {0};
    int tries = 0;
    bool ok;
    do {
        why = (clo_err){0};
        ok = clo_net_call(&got, h->net, &q, &why);
        if (ok && (got.status < 200 || got.status > 299)) ok = clo_net_refused(&got, &q, &why);
    } while (!ok && clo_remote_try_again(&tries, &why, &got, h->crew->remote->stop));
    free(text);
    if (!ok && err) *err = why;
    return ok;
}

/* --- in parts -----------------------------------------------------------------------------------------------------*/

static const char *part_url(const json_t *header, size_t i)
{
    char key[24];
    snprintf(key, sizeof key, "%zu", i + 1);
    const char *text = json_string_value(json_object_get(header, key));
    return text ? text : json_string_value(json_object_get(header, (snprintf(key, sizeof key, "%05zu", i + 1), key)));
}

bool clo_remote_parts(size_t *n, uint64_t *part_bytes, const json_t *header, uint64_t size, clo_err *err)
{
    const json_t *stated = json_object_get(header, "chunk_size");
    const char *text = json_string_value(stated);
    char *end = NULL;
    uint64_t bytes = text && text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
    if (json_is_integer(stated) && json_integer_value(stated) > 0) bytes = (uint64_t)json_integer_value(stated);
    if ((end && *end) || bytes == 0) return clo_fail(err, CLO_ERR_FORMAT, "the far hub wants a large file in parts of no size");
    uint64_t count = size / bytes + (size % bytes ? 1 : 0);
    if (count > PARTS_MAX) return clo_fail(err, CLO_ERR_LIMIT, "the far hub wants a large file in more than %d parts", PARTS_MAX);
    for (size_t i = 0; i < count; i++)
        if (!part_url(header, i)) return clo_fail(err, CLO_ERR_FORMAT, "the far hub names no address for part %zu of %llu", i + 1, (unsigned long long)count);
    if (part_url(header, (size_t)count)) return clo_fail(err, CLO_ERR_FORMAT, "the far hub wants more than %llu parts", (unsigned long long)count);
    *n = (size_t)count;
    *part_bytes = bytes;
    return true;
}

static bool send_parts(clo_crew_hand *h, const clo_lfs_pointer *f, const char *href, const json_t *header, clo_err *err)
{
    size_t n = 0;
    uint64_t bytes = 0;
    char etag[ETAG_MAX], hex[65];
    json_t *parts = json_array();
    clo_sha256_hex(hex, &f->sha256);
    bool ok = clo_remote_parts(&n, &bytes, header, f->size, err);
    for (size_t i = 0; ok && i < n; i++) {
        uint64_t off = i * bytes, left = f->size - off;
        ok = put_stretch(etag, h, f, off, left < bytes ? left : bytes, part_url(header, i), NULL, err);
        if (ok) json_array_append_new(parts, json_pack("{s:I, s:s}", "partNumber", (json_int_t)i + 1, "etag", etag));
    }
    if (ok) return post_json(h, href, CLO_NET_NO_AUTH, NULL, json_pack("{s:s, s:o}", "oid", hex, "parts", parts), err);
    json_decref(parts);
    return false;
}

/* --- one file -----------------------------------------------------------------------------------------------------*/

static bool verify(clo_crew_hand *h, const clo_lfs_pointer *f, const json_t *row, clo_err *err)
{
    clo_remote_action a;
    char hex[65];
    clo_sha256_hex(hex, &f->sha256);
    if (!json_object_get(json_object_get(row, "actions"), "verify")) return true;
    if (!clo_remote_action_of(&a, h->crew->remote, row, "verify", err)) return false;
    bool ok = post_json(h, a.href, CLO_NET_BEARER, a.headers, json_pack("{s:s, s:I}", "oid", hex, "size", (json_int_t)f->size), err);
    clo_remote_action_free(&a);
    return ok;
}

static bool send_one(clo_crew_hand *h, const clo_lfs_pointer *f, const json_t *row, bool in_parts, clo_err *err)
{
    clo_remote_action a;
    char etag[ETAG_MAX];
    const json_t *actions = json_object_get(row, "actions"), *up = json_object_get(actions, "upload");
    if (!up && !json_object_get(row, "error")) { /* it is there */
        clo_crew_count(h->crew, (int64_t)f->size);
        return true;
    }
    if (!clo_remote_action_of(&a, h->crew->remote, row, "upload", err)) return false;
    const json_t *header = json_object_get(up, "header");
    bool ok = in_parts && json_object_get(header, "chunk_size") ? send_parts(h, f, a.href, header, err)
                                                               : put_stretch(etag, h, f, 0, f->size, a.href, a.headers, err);
    clo_remote_action_free(&a);
    return ok && verify(h, f, row, err);
}

bool clo_remote_upload(clo_crew_hand *h, const clo_lfs_pointer *files, size_t n, clo_err *err)
{
    char transfer[16] = "basic", hex[65];
    json_t *rows = NULL;
    bool ok = clo_remote_batch(&rows, transfer, h->crew->remote, h->net, true, files, n, err);
    for (size_t i = 0; ok && i < n; i++) {
        ok = send_one(h, &files[i], json_array_get(rows, i), strcmp(transfer, "multipart") == 0, err);
        clo_sha256_hex(hex, &files[i].sha256);
        if (!ok) clo_err_context(err, "large file %.12s", hex);
    }
    json_decref(rows);
    return ok;
}
