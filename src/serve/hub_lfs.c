/* Large files as git-lfs and clients without Xet send and fetch them: the batch answers with signed addresses, at which no
 * token is sent. A file is taken into the repository when its last byte was checked; verify only asks once more.
 *
 * A client that offers to send by Xet is told to: an address of tokens stands in place of the file's.
 *
 * Whoever may propose a change may upload: a file that no commit names is nobody's to see, and clients do not say here that a
 * pull request is to come of it.
 *
 * Source: git-lfs, "Git LFS Batch API", "Basic Transfer API", "File Locking API". */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/hub_handlers.h"
#include "serve/hub_send.h"
#include "serve/hub_xet.h"

#define OBJECTS_MAX 1000

/* What an address is signed for, its part after /_lfs/, and for how long. */
static const char *const purposes[] = {"lfs-put", "lfs-get", "lfs-verify"}, *const folders[] = {"put", "get", "verify"};
static const int lives_s[] = {86400, 6 * 3600, 86400};
enum { FOR_PUT, FOR_GET, FOR_VERIFY };

/* --- batch --------------------------------------------------------------------------------------------------------*/

typedef struct {
    clo_sha256 sha256;
    uint64_t size;
    clo_file_info info; /* when it is the repository's */
    bool ours;
} object;

static json_t *object_error(json_t *row, int code, const char *text)
{
    json_object_set_new(row, "error", json_pack("{s:i, s:s}", "code", code, "message", text));
    return row;
}

/* {"href", "expires_in"} */
static json_t *signed_action(clo_hub_call *c, int purpose, const object *o)
{
    char hex[65], fields[CLO_SIGNED_FIELDS_MAX], text[CLO_SIGNED_MAX], url[CLO_HUB_BASE_MAX + CLO_SIGNED_MAX + 16];
    clo_sha256_hex(hex, &o->sha256);
    snprintf(fields, sizeof fields, "%s-%" PRIu64 "-%lld-%s", hex, o->size, (long long)c->repo.id, c->repo.oid);
    if (!clo_sign(text, clo_hub_sign_key(c), purposes[purpose], fields, clo_hub_now() + lives_s[purpose])) return NULL;
    snprintf(url, sizeof url, "%s/_lfs/%s/%s", c->base, folders[purpose], text);
    return json_pack("{s:s, s:i}", "href", url, "expires_in", lives_s[purpose]);
}

/* An {"oid", "size"} of a client's, and whether the repository has it. False: *why says what is wrong with it, or err is set. */
static bool read_object(object *out, const char **why, clo_hub_call *c, const json_t *in, clo_err *err)
{
    clo_str oid = clo_json_str(in, "oid", CLO_STR(""));
    int64_t size = clo_json_int(in, "size", -1);
    *out = (object){.size = size > 0 ? (uint64_t)size : 0};
    *why = NULL;
    if (!clo_sha256_parse(&out->sha256, oid.ptr, oid.len)) *why = "oid: 64 lower-case hex digits are expected";
    else if (size < 0 || out->size > CLO_FILE_BYTES_MAX) *why = "size: a number of bytes is expected";
    if (*why) return false;
    if (!clo_files_find_own(&out->info, &out->ours, &c->files, c->repo.id, &out->sha256, err)) return false;
    if (out->ours && out->info.size != out->size) *why = "size: the file with this oid has another size";
    return !*why;
}

/* What a batch is about. */
typedef struct {
    bool upload;
    const clo_xet_token *xet; /* the upload is to go by Xet; NULL: not */
} wish;

/* {"href", "header"}: where the client gets its next token, and its first one. */
static json_t *xet_action(clo_hub_call *c, const clo_xet_token *t)
{
    clo_buf url = {0};
    clo_buf_addf(&url, "%s/api/%s/%s/xet-write-token/main?create_pr=1", c->base, clo_hub_type_plural(c->repo.type), c->repo.full);
    json_t *o = json_pack("{s:s%, s:{s:s, s:s, s:s}}", "href", url.ptr, url.len, "header", "X-Xet-Cas-Url", t->url,
                          "X-Xet-Access-Token", t->text, "X-Xet-Token-Expiration", t->until);
    clo_buf_free(&url);
    return o;
}

static json_t *actions_of(clo_hub_call *c, const object *o, const wish *w)
{
    if (w->xet) return json_pack("{s:o}", "upload", xet_action(c, w->xet));
    if (!w->upload) return json_pack("{s:o}", "download", signed_action(c, FOR_GET, o));
    return json_pack("{s:o, s:o}", "upload", signed_action(c, FOR_PUT, o), "verify", signed_action(c, FOR_VERIFY, o));
}

/* A row of the answer; NULL with err. */
static json_t *answer_object(clo_hub_call *c, const json_t *in, const wish *w, clo_err *err)
{
    object o;
    const char *why;
    clo_str oid = clo_json_str(in, "oid", CLO_STR(""));
    bool ok = read_object(&o, &why, c, in, err);
    if (!ok && !why) return NULL;
    json_t *row = json_pack("{s:s%, s:I}", "oid", oid.ptr, oid.len, "size", (json_int_t)clo_json_int(in, "size", 0));
    if (!row) {
        clo_fail(err, CLO_ERR_FORMAT, "an oid that is no text");
        return NULL;
    }
    if (!ok) return object_error(row, 422, why);
    if (!w->upload && !o.ours) return object_error(row, 404, "Object does not exist on the server");
    json_object_set_new(row, "authenticated", json_true());
    if (!w->upload || !o.ours) json_object_set_new(row, "actions", actions_of(c, &o, w)); /* else there is nothing to do */
    return row;
}

static bool offers_xet(const json_t *body)
{
    const json_t *names = json_object_get(body, "transfers");
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (name && strcmp(name, "xet") == 0) return true;
    }
    return false;
}

static void answer_batch(clo_hub_call *c, const json_t *body, bool upload)
{
    clo_xet_token t;
    wish w = {.upload = upload, .xet = upload && offers_xet(body) ? &t : NULL};
    if (w.xet && !clo_hub_xet_token(&t, c, true)) return;
    const json_t *objects = json_object_get(body, "objects");
    json_t *rows = json_array(), *row;
    clo_err err = {0};
    bool ok = rows != NULL;
    for (size_t i = 0; ok && i < json_array_size(objects); i++) {
        row = answer_object(c, json_array_get(objects, i), &w, &err);
        ok = row && json_array_append_new(rows, row) == 0;
    }
    if (ok) clo_hub_lfs_json(c, 200, json_pack("{s:s, s:s, s:O}", "transfer", w.xet ? "xet" : "basic", "hash_algo", "sha256", "objects", rows));
    else clo_hub_fail_err(c, &err);
    json_decref(rows);
}

void clo_hub_lfs_batch(clo_hub_call *c)
{
    json_t *body;
    if (!clo_hub_body(&body, c)) return;
    clo_str operation = clo_json_str(body, "operation", CLO_STR("")), algo = clo_json_str(body, "hash_algo", CLO_STR("sha256"));
    bool upload = clo_str_eq(operation, CLO_STR("upload"));
    const json_t *objects = json_object_get(body, "objects");
    if (!upload && !clo_str_eq(operation, CLO_STR("download")))
        clo_hub_fail(c, 422, NULL, "operation: upload or download is expected");
    else if (!clo_str_eq(algo, CLO_STR("sha256")) && !clo_str_eq(algo, CLO_STR("sha_256")))
        clo_hub_fail(c, 409, NULL, "hash_algo: sha256 is expected");
    else if (!json_is_array(objects)) clo_hub_fail(c, 422, NULL, "objects: a list is expected");
    else if (json_array_size(objects) > OBJECTS_MAX) clo_hub_fail(c, 413, NULL, "objects: at most %d are answered at once", OBJECTS_MAX);
    else if (!upload || clo_hub_may(c, CLO_MAY_PROPOSE)) answer_batch(c, body, upload);
    json_decref(body);
}

/* only: the file that may be asked for; NULL: any. */
static void answer_verify(clo_hub_call *c, const clo_sha256 *only)
{
    json_t *body;
    object o;
    const char *why;
    clo_err err = {0};
    if (!clo_hub_body(&body, c)) return;
    bool ok = read_object(&o, &why, c, body, &err);
    json_decref(body);
    if (!ok && why) clo_hub_fail(c, 422, NULL, "%s", why);
    else if (!ok) clo_hub_fail_err(c, &err);
    else if (only && !clo_sha256_eq(only, &o.sha256)) clo_hub_fail(c, 403, NULL, "this address is for another file");
    else if (!o.ours) clo_hub_fail(c, 404, NULL, "Object does not exist on the server");
    else clo_hub_lfs_json(c, 200, json_object());
}

void clo_hub_lfs_verify(clo_hub_call *c)
{
    answer_verify(c, NULL);
}

/* --- transfers ----------------------------------------------------------------------------------------------------*/

/* "sha256-size-row-id": the file, and its repository as c->repo. False: replied. */
static bool open_signed(clo_sha256 *sha256, uint64_t *size, clo_hub_call *c, int purpose)
{
    clo_str fields;
    char text[24] = "", *end = NULL;
    if (!clo_signed(&fields, clo_hub_sign_key(c), purposes[purpose], c->a.x, clo_hub_now()) || fields.len < 66 ||
        !clo_sha256_parse(sha256, fields.ptr, 64))
        return clo_hub_fail(c, 403, NULL, "this address is not valid, or no longer");
    clo_str rest = clo_str_from_off(fields, 65);
    size_t dash = clo_str_find(rest, 0, '-');
    if (dash < sizeof text) memcpy(text, rest.ptr, dash);
    *size = strtoull(text, &end, 10);
    return clo_hub_signed_repo(c, clo_str_from_off(rest, dash + 1));
}

typedef struct {
    clo_file_put *put; /* owned */
    bool ok;
    clo_err err;       /* once a piece was refused */
} file_upload;

static void free_upload(void *data)
{
    file_upload *u = (file_upload *)data;
    clo_file_put_close(u->put);
    free(u);
}

static bool take_bytes(void *data, clo_str bytes)
{
    file_upload *u = (file_upload *)data;
    return clo_file_put_add(u->put, clo_bytes_of(bytes), &u->err);
}

/* What the client promised and did not keep is 422. */
static void fail_put(clo_hub_call *c, const clo_err *err)
{
    if (err->code == CLO_ERR_MISMATCH) clo_hub_fail(c, 422, NULL, "%s", err->text);
    else clo_hub_fail_err(c, err);
}

void clo_hub_lfs_put_begin(clo_hub_call *c)
{
    clo_sha256 sha256;
    uint64_t size;
    clo_err err = {0};
    char length[24] = "";
    if (!open_signed(&sha256, &size, c, FOR_PUT)) return;
    clo_str given = clo_request_header(c->r, "Content-Length");
    if (given.len > 0 && given.len < sizeof length) {
        memcpy(length, given.ptr, given.len);
        if (strtoull(length, NULL, 10) != size) {
            clo_hub_fail(c, 422, NULL, "%s bytes are announced, %" PRIu64 " were promised", length, size);
            return;
        }
    }
    file_upload *u = (file_upload *)calloc(1, sizeof *u);
    if (!u) {
        clo_hub_fail(c, 503, NULL, "server busy, please try again.  no memory is left");
        return;
    }
    c->data = u;
    c->free_data = free_upload;
    if (clo_file_put_open(&u->put, &c->files, &sha256, size, &err)) clo_hub_sink(c, take_bytes);
    else fail_put(c, &err);
}

static void commit_put(clo_hub_call *c)
{
    file_upload *u = (file_upload *)c->data;
    u->ok = clo_file_put_commit(u->put, c->repo.id, clo_hub_now(), &u->err);
}

static void reply_put(clo_hub_call *c)
{
    const file_upload *u = (const file_upload *)c->data;
    if (u->ok) clo_hub_lfs_json(c, 200, json_object());
    else fail_put(c, &u->err);
}

void clo_hub_lfs_put_run(clo_hub_call *c)
{
    if (clo_request_body_fault(c->r) == CLO_BODY_REFUSED) reply_put(c);
    else clo_hub_aside(c, commit_put, reply_put);
}

void clo_hub_lfs_get(clo_hub_call *c)
{
    clo_sha256 sha256;
    clo_byte_range s;
    uint64_t size;
    if (!open_signed(&sha256, &size, c, FOR_GET)) return;
    if (clo_hub_range(&s, c, size)) clo_hub_send_large(c, &sha256, &s, "application/octet-stream");
}

void clo_hub_lfs_verify_signed(clo_hub_call *c)
{
    clo_sha256 sha256;
    uint64_t size;
    if (open_signed(&sha256, &size, c, FOR_VERIFY)) answer_verify(c, &sha256);
}

/* --- locks: nobody holds one --------------------------------------------------------------------------------------*/

void clo_hub_lfs_locks(clo_hub_call *c)
{
    clo_hub_lfs_json(c, 200, json_pack("{s:[]}", "locks"));
}

void clo_hub_lfs_locks_verify(clo_hub_call *c)
{
    clo_hub_lfs_json(c, 200, json_pack("{s:[], s:[]}", "ours", "theirs"));
}

void clo_hub_lfs_no_lock(clo_hub_call *c)
{
    clo_hub_fail(c, 501, NULL, "files are not locked here");
}
