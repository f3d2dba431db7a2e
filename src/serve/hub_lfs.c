/* Large files as git-lfs and clients without Xet send and fetch them: the batch answers with signed addresses, at which no
 * token is sent. A file is taken into the repository when its last byte was checked; verify only asks once more.
 *
 * A client that offers to send by Xet is told to: an address of tokens stands in place of the file's. One that offers to send in
 * parts is told to where a file has more bytes than a part (hub_lfs_parts.c).
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
#include "serve/hub_lfs.h"
#include "serve/hub_send.h"
#include "serve/hub_xet.h"
#include "serve/server_impl.h"

#define OBJECTS_MAX 1000

#define PARTS_MAX 1000         /* of a file */
#define BATCH_PARTS_MAX 20000  /* of all files of a batch */
#define PART_BYTES ((uint64_t)1 << 30)

/* What an address is signed for, its part after /_lfs/, and for how long. */
static const struct {
    const char *purpose, *folder;
    int life_s;
} addresses[] = {
    [CLO_LFS_PUT] = {"lfs-put", "put", 86400},
    [CLO_LFS_GET] = {"lfs-get", "get", 6 * 3600},
    [CLO_LFS_VERIFY] = {"lfs-verify", "verify", 86400},
    [CLO_LFS_PART] = {"lfs-part", "part", 86400},
    [CLO_LFS_PARTS] = {"lfs-parts", "parts", 86400},
};

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

/* An address for this file, or the part of it. False: it would be too long. */
static bool sign_address(clo_buf *out, clo_hub_call *c, clo_lfs_purpose purpose, const clo_lfs_address *a)
{
    char hex[65], fields[CLO_SIGNED_FIELDS_MAX], text[CLO_SIGNED_MAX];
    clo_sha256_hex(hex, &a->sha256);
    snprintf(fields, sizeof fields, "%s-%" PRIu64 "-%" PRIu64 "-%" PRIu64 "-%lld-%s", hex, a->size, a->offset, a->len,
             (long long)c->repo.id, c->repo.oid);
    if (!clo_sign(text, clo_hub_sign_key(c), addresses[purpose].purpose, fields, clo_hub_now() + addresses[purpose].life_s))
        return false;
    clo_buf_addf(out, "%s/_lfs/%s/%s", c->base, addresses[purpose].folder, text);
    return true;
}

/* {"href", "expires_in"} */
static json_t *signed_action(clo_hub_call *c, clo_lfs_purpose purpose, const object *o)
{
    clo_buf url = {0};
    json_t *action = NULL;
    if (sign_address(&url, c, purpose, &(clo_lfs_address){.sha256 = o->sha256, .size = o->size, .len = o->size}))
        action = json_pack("{s:s%, s:i}", "href", url.ptr, url.len, "expires_in", addresses[purpose].life_s);
    clo_buf_free(&url);
    return action;
}

/* {"href", "header": {"chunk_size", "1", "2", ...}}: parts are put at the numbered addresses, and then told at href. */
static json_t *parts_action(clo_hub_call *c, const object *o, uint64_t part)
{
    json_t *action = signed_action(c, CLO_LFS_PARTS, o), *header = json_object();
    char number[24];
    snprintf(number, sizeof number, "%" PRIu64, part);
    json_object_set_new(header, "chunk_size", json_string(number));
    clo_lfs_address a = {.sha256 = o->sha256, .size = o->size};
    for (uint64_t i = 1; a.offset < o->size; i++, a.offset += a.len) {
        clo_buf url = {0};
        a.len = o->size - a.offset < part ? o->size - a.offset : part;
        snprintf(number, sizeof number, "%" PRIu64, i);
        if (sign_address(&url, c, CLO_LFS_PART, &a)) json_object_set_new(header, number, json_stringn(url.ptr, url.len));
        clo_buf_free(&url);
    }
    json_object_set_new(action, "header", header);
    return action;
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
    uint64_t part;            /* it is to go in parts of so many bytes, or more where they were too many; 0: whole */
    uint64_t n_parts_max;     /* of a file */
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
    if (!w->upload) return json_pack("{s:o}", "download", signed_action(c, CLO_LFS_GET, o));
    uint64_t least = o->size / w->n_parts_max + 1;
    return json_pack("{s:o, s:o}", "upload",
                     w->part ? parts_action(c, o, w->part < least ? least : w->part) : signed_action(c, CLO_LFS_PUT, o), "verify",
                     signed_action(c, CLO_LFS_VERIFY, o));
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

static bool offers(const json_t *body, const char *transfer)
{
    const json_t *names = json_object_get(body, "transfers");
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (name && strcmp(name, transfer) == 0) return true;
    }
    return false;
}

/* The bytes of a part where the client knows parts and a file has more; else 0. */
static uint64_t part_for(const clo_hub_call *c, const json_t *body)
{
    const json_t *objects = json_object_get(body, "objects");
    uint64_t part = c->s->o.lfs_part_bytes ? c->s->o.lfs_part_bytes : PART_BYTES;
    if (!offers(body, "multipart")) return 0;
    for (size_t i = 0; i < json_array_size(objects); i++)
        if (clo_json_int(json_array_get(objects, i), "size", 0) > (int64_t)part) return part;
    return 0;
}

static void answer_batch(clo_hub_call *c, const json_t *body, bool upload)
{
    clo_xet_token t;
    const json_t *objects = json_object_get(body, "objects");
    size_t n = json_array_size(objects);
    wish w = {.upload = upload, .xet = upload && offers(body, "xet") ? &t : NULL};
    if (w.xet && !clo_hub_xet_token(&t, c, true)) return;
    if (upload && !w.xet) w.part = part_for(c, body);
    w.n_parts_max = n > BATCH_PARTS_MAX / PARTS_MAX ? BATCH_PARTS_MAX / n : PARTS_MAX;
    json_t *rows = json_array(), *row;
    clo_err err = {0};
    bool ok = rows != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        row = answer_object(c, json_array_get(objects, i), &w, &err);
        ok = row && json_array_append_new(rows, row) == 0;
    }
    const char *transfer = w.xet ? "xet" : w.part ? "multipart" : "basic";
    if (ok) clo_hub_lfs_json(c, 200, json_pack("{s:s, s:s, s:O}", "transfer", transfer, "hash_algo", "sha256", "objects", rows));
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

/* The decimal number up to the next dash of *rest, which then begins behind it. */
static uint64_t take_number(clo_str *rest)
{
    char text[24] = "";
    size_t dash = clo_str_find(*rest, 0, '-');
    if (dash < sizeof text) memcpy(text, rest->ptr, dash);
    *rest = clo_str_from_off(*rest, dash < rest->len ? dash + 1 : rest->len);
    return strtoull(text, NULL, 10);
}

bool clo_lfs_open(clo_lfs_address *out, clo_hub_call *c, clo_lfs_purpose purpose)
{
    clo_str fields;
    if (!clo_signed(&fields, clo_hub_sign_key(c), addresses[purpose].purpose, c->a.x, clo_hub_now()) || fields.len < 66 ||
        !clo_sha256_parse(&out->sha256, fields.ptr, 64))
        return clo_hub_fail(c, 403, NULL, "this address is not valid, or no longer");
    clo_str rest = clo_str_from_off(fields, 65);
    out->size = take_number(&rest);
    out->offset = take_number(&rest);
    out->len = take_number(&rest);
    return clo_hub_signed_repo(c, rest);
}

bool clo_lfs_check_length(clo_hub_call *c, const clo_lfs_address *a)
{
    char length[24] = "";
    clo_str given = clo_request_header(c->r, "Content-Length");
    if (given.len == 0 || given.len >= sizeof length) return true;
    memcpy(length, given.ptr, given.len);
    return strtoull(length, NULL, 10) == a->len ||
           clo_hub_fail(c, 422, NULL, "%s bytes are announced, %" PRIu64 " were promised", length, a->len);
}

void clo_lfs_fail(clo_hub_call *c, const clo_err *err)
{
    if (err->code == CLO_ERR_MISMATCH) clo_hub_fail(c, 422, NULL, "%s", err->text);
    else if (err->code == CLO_ERR_DENIED) clo_hub_fail(c, 409, NULL, "%s", err->text);
    else clo_hub_fail_err(c, err);
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

void clo_hub_lfs_put_begin(clo_hub_call *c)
{
    clo_lfs_address a;
    clo_err err = {0};
    if (!clo_lfs_open(&a, c, CLO_LFS_PUT) || !clo_lfs_check_length(c, &a)) return;
    file_upload *u = (file_upload *)calloc(1, sizeof *u);
    if (!u) {
        clo_hub_fail(c, 503, NULL, "server busy, please try again.  no memory is left");
        return;
    }
    c->data = u;
    c->free_data = free_upload;
    if (clo_file_put_open(&u->put, &c->files, &a.sha256, a.size, &err)) clo_hub_sink(c, take_bytes);
    else clo_lfs_fail(c, &err);
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
    else clo_lfs_fail(c, &u->err);
}

void clo_hub_lfs_put_run(clo_hub_call *c)
{
    if (clo_request_body_fault(c->r) == CLO_BODY_REFUSED) reply_put(c);
    else clo_hub_aside(c, commit_put, reply_put);
}

void clo_hub_lfs_get(clo_hub_call *c)
{
    clo_lfs_address a;
    clo_byte_range s;
    if (!clo_lfs_open(&a, c, CLO_LFS_GET)) return;
    if (clo_hub_range(&s, c, a.size)) clo_hub_send_large(c, &a.sha256, &s, "application/octet-stream");
}

void clo_hub_lfs_verify_signed(clo_hub_call *c)
{
    clo_lfs_address a;
    if (clo_lfs_open(&a, c, CLO_LFS_VERIFY)) answer_verify(c, &a.sha256);
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
