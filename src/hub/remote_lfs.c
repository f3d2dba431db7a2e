/* See remote.h: the batch API of git-lfs. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "hub/remote.h"

#define BATCH_BYTES_MAX ((size_t)8 << 20)
#define BATCH_SECONDS_MAX 300

/* --- the request --------------------------------------------------------------------------------------------------*/

static char *spell(bool upload, const clo_lfs_pointer *files, size_t n)
{
    json_t *rows = json_array();
    for (size_t i = 0; rows && i < n; i++) {
        char hex[65];
        clo_sha256_hex(hex, &files[i].sha256);
        json_array_append_new(rows, json_pack("{s:s, s:I}", "oid", hex, "size", (json_int_t)files[i].size));
    }
    json_t *o = upload ? json_pack("{s:s, s:[s,s], s:s, s:o}", "operation", "upload", "transfers", "basic", "multipart", "hash_algo",
                                   "sha256", "objects", rows)
                       : json_pack("{s:s, s:[s], s:s, s:o}", "operation", "download", "transfers", "basic", "hash_algo", "sha256",
                                   "objects", rows);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}

/* --- the reply ----------------------------------------------------------------------------------------------------*/

static json_t *row_of(json_t *objects, const clo_sha256 *sha256)
{
    json_t *row;
    char hex[65];
    size_t i;
    clo_sha256_hex(hex, sha256);
    json_array_foreach (objects, i, row)
        if (clo_str_eq(clo_json_str(row, "oid", CLO_STR("")), clo_str_from(hex))) return row;
    return NULL;
}

/* Rows may come in any order; one that is not there is refused. */
static bool in_order(json_t **out, json_t *objects, const clo_lfs_pointer *files, size_t n, clo_err *err)
{
    char hex[65];
    *out = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *row = row_of(objects, &files[i].sha256);
        clo_sha256_hex(hex, &files[i].sha256);
        if (row && json_array_append(*out, row) == 0) continue;
        json_decref(*out);
        *out = NULL;
        return clo_fail(err, CLO_ERR_FORMAT, "the far hub's reply says nothing of the large file %s", hex);
    }
    return *out || clo_fail(err, CLO_ERR_MEMORY, "reply");
}

bool clo_remote_batch_parse(json_t **out, char transfer[16], clo_str reply, const clo_lfs_pointer *files, size_t n, clo_err *err)
{
    json_t *o = NULL;
    *out = NULL;
    if (!clo_json_parse(&o, reply, BATCH_BYTES_MAX, err)) return false;
    clo_str how = clo_json_str(o, "transfer", CLO_STR("basic"));
    bool known = clo_str_eq(how, CLO_STR("basic")) || clo_str_eq(how, CLO_STR("multipart"));
    if (known) snprintf(transfer, 16, "%.*s", (int)how.len, how.ptr);
    bool ok = known ? in_order(out, json_object_get(o, "objects"), files, n, err)
                    : clo_fail(err, CLO_ERR_UNSUPPORTED, "the far hub wants large files in a way that is not known here");
    json_decref(o);
    return ok;
}

bool clo_remote_batch(json_t **out, char transfer[16], const clo_remote *r, clo_net *n, bool upload, const clo_lfs_pointer *files,
                      size_t n_files, clo_err *err)
{
    char url[CLO_REMOTE_URL_MAX];
    clo_buf reply = {.max = BATCH_BYTES_MAX};
    clo_net_reply got = {0};
    clo_err why = {0};
    int tries = 0;
    bool ok;
    char *body = spell(upload, files, n_files);
    *out = NULL;
    if (!body) return clo_fail(err, CLO_ERR_MEMORY, "request");
    clo_remote_git_url(url, r, "info/lfs/objects/batch");
    clo_net_request q = {.method = "POST", .url = url, .auth = CLO_NET_BEARER,
                         .headers = {"Content-Type: application/vnd.git-lfs+json", "Accept: application/vnd.git-lfs+json"},
                         .body = clo_bytes_of(clo_str_from(body)), .seconds_max = BATCH_SECONDS_MAX, .take = clo_net_to_buf, .ctx = &reply};
    do {
        why = (clo_err){0};
        reply.len = 0;
        ok = clo_net_call(&got, n, &q, &why);
        if (ok && got.status != 200) ok = clo_net_refused(&got, &q, &why);
        ok = ok && clo_remote_batch_parse(out, transfer, clo_buf_str(&reply), files, n_files, &why);
    } while (!ok && clo_remote_try_again(&tries, &why, &got, r->stop));
    clo_buf_free(&reply);
    free(body);
    if (!ok && err) *err = why;
    return ok;
}

/* --- actions ------------------------------------------------------------------------------------------------------*/

static bool plain(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < ' ' || (unsigned char)*s == 0x7f) return false;
    return true;
}

static bool is_number(const char *s)
{
    return *s && strspn(s, "0123456789") == strlen(s);
}

/* What the server wants to be told along with the bytes. Numbers and chunk_size are of multipart. */
static bool add_headers(clo_remote_action *a, json_t *headers, clo_err *err)
{
    const char *name, *text;
    json_t *value;
    size_t n = 0;
    json_object_foreach (headers, name, value) {
        text = json_string_value(value);
        if (is_number(name) || strcmp(name, "chunk_size") == 0) continue;
        if (!text || !*name || !plain(name) || !plain(text) || strpbrk(name, ": ") || strlen(name) + strlen(text) > 8000 ||
            n + 4 >= CLO_NET_HEADERS_MAX)
            return clo_fail(err, CLO_ERR_FORMAT, "the far hub wants a header that cannot be sent");
        size_t len = strlen(name) + strlen(text) + 3;
        if (!(a->headers[n] = malloc(len))) return clo_fail(err, CLO_ERR_MEMORY, "request");
        snprintf(a->headers[n++], len, "%s: %s", name, text);
    }
    return true;
}

bool clo_remote_action_of(clo_remote_action *out, const clo_remote *r, const json_t *row, const char *name, clo_err *err)
{
    const json_t *action = json_object_get(json_object_get(row, "actions"), name), *error = json_object_get(row, "error");
    const char *href = json_string_value(json_object_get(action, "href"));
    *out = (clo_remote_action){0};
    if (error) {
        int64_t code = clo_json_int(error, "code", 0);
        clo_str why = clo_json_str(error, "message", CLO_STR(""));
        return clo_fail(err, code == 404 || code == 410 ? CLO_ERR_NOT_FOUND : CLO_ERR_DENIED, "the far hub says of a large file: %lld %.*s",
                        (long long)code, (int)(why.len > 200 ? 200 : why.len), why.ptr);
    }
    if (!href || !plain(href) || strlen(href) >= CLO_NET_URL_MAX ||
        (strncasecmp(href, "https://", 8) != 0 &&
         (strncasecmp(href, "http://", 7) != 0 || strncasecmp(r->endpoint, "https:", 6) == 0)))
        return clo_fail(err, CLO_ERR_FORMAT, "the far hub gives no address for a large file");
    out->href = href;
    if (add_headers(out, json_object_get(action, "header"), err)) return true;
    clo_remote_action_free(out);
    return false;
}

void clo_remote_action_free(clo_remote_action *a)
{
    for (size_t i = 0; i < CLO_NET_HEADERS_MAX; i++) free(a->headers[i]);
    *a = (clo_remote_action){0};
}
