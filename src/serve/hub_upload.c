/* Uploads: what is sent how, and commits. Large files come another way before (hub_lfs.c, hub_xet.c). */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/attributes.h"
#include "hub/commit_lines.h"
#include "hub/discussion.h"
#include "hub/revision.h"
#include "hub/tree.h"
#include "serve/hub_handlers.h"

#define PREUPLOAD_FILES_MAX 1000
#define SAMPLE_MAX 4096 /* bytes of base64 */

/* --- preupload ----------------------------------------------------------------------------------------------------*/

typedef struct {
    clo_patterns attributes, ignore;
    clo_oid commit;
    bool has_commit;
} upload_rules;

/* A file of the revision as text, or nothing. */
static bool read_text(clo_buf *out, clo_hub_call *c, const upload_rules *u, const char *path, clo_err *err)
{
    clo_entry e;
    clo_err no = {0};
    if (!u->has_commit || !clo_tree_entry(&e, c->git, &u->commit, clo_str_from(path), &no) || e.kind != CLO_ENTRY_FILE || e.is_lfs)
        return true;
    return clo_blob_read(out, c->git, &e.oid, err);
}

/* The rules that the client sends count before those of the revision. */
static bool open_rules(upload_rules *u, clo_hub_call *c, const json_t *body, clo_err *err)
{
    clo_buf attributes = {0}, ignore = {0};
    const json_t *a = json_object_get(body, "gitAttributes"), *i = json_object_get(body, "gitIgnore");
    bool ok = (json_is_string(a) || read_text(&attributes, c, u, ".gitattributes", err)) &&
              (json_is_string(i) || read_text(&ignore, c, u, ".gitignore", err));
    clo_str at = json_is_string(a) ? (clo_str){json_string_value(a), json_string_length(a)} : clo_buf_str(&attributes);
    clo_str it = json_is_string(i) ? (clo_str){json_string_value(i), json_string_length(i)} : clo_buf_str(&ignore);
    ok = ok && clo_attributes_parse(&u->attributes, at, err) && clo_ignore_parse(&u->ignore, it, err);
    clo_buf_free(&attributes);
    clo_buf_free(&ignore);
    return ok;
}

static size_t decode_sample(uint8_t out[SAMPLE_MAX], clo_str text)
{
    if (text.len == 0 || text.len > SAMPLE_MAX || text.len % 4 != 0) return 0;
    int n = EVP_DecodeBlock(out, (const unsigned char *)text.ptr, (int)text.len);
    if (n < 0) return 0;
    for (size_t i = 1; i <= 2 && n > 0 && text.ptr[text.len - i] == '='; i++) n--;
    return (size_t)n;
}

static json_t *rule_of(clo_hub_call *c, const upload_rules *u, const json_t *file, clo_err *err)
{
    uint8_t sample[SAMPLE_MAX];
    clo_entry e;
    clo_err no = {0};
    char hex[65];
    clo_str path = clo_json_str(file, "path", CLO_STR(""));
    int64_t size = clo_json_int(file, "size", 0);
    if (!clo_path_check(path, err)) return NULL;
    size_t n = decode_sample(sample, clo_json_str(file, "sample", CLO_STR("")));
    bool lfs = clo_upload_is_lfs(&u->attributes, path, size > 0 ? (uint64_t)size : 0, (clo_bytes){sample, n});
    json_t *o = json_pack("{s:s%, s:s, s:b}", "path", path.ptr, path.len, "uploadMode", lfs ? "lfs" : "regular", "shouldIgnore",
                          clo_ignore_matches(&u->ignore, path));
    if (u->has_commit && clo_tree_entry(&e, c->git, &u->commit, path, &no) && e.kind == CLO_ENTRY_FILE) {
        if (e.is_lfs) clo_sha256_hex(hex, &e.sha256);
        else clo_oid_hex(hex, &e.oid);
        json_object_set_new(o, "oid", json_string(hex));
    }
    return o;
}

/* The status that fits why refs/pr/N may not be changed; returns false. */
static bool fail_pull(clo_hub_call *c, const clo_err *err)
{
    if (err->code == CLO_ERR_NOT_FOUND) return clo_hub_fail(c, 404, "RevisionNotFound", "%s", err->text);
    return err->code == CLO_ERR_DENIED ? clo_hub_fail(c, 403, NULL, "%s", err->text) : clo_hub_fail_err(c, err);
}

/* Who may write; who may propose where a pull request is to come of it, or where it is one's own. False: replied. */
bool clo_hub_may_upload(clo_hub_call *c)
{
    clo_err err = {0};
    if (clo_hub_flag(c, "create_pr")) return clo_hub_may(c, CLO_MAY_PROPOSE) && clo_hub_takes_discussions(c);
    if (!clo_str_starts_with(c->a.rev, CLO_STR("refs/pr/"))) return clo_hub_may(c, CLO_MAY_WRITE);
    return clo_hub_may(c, CLO_MAY_PROPOSE) && (clo_hub_may_pull(c, c->a.rev, &err) || fail_pull(c, &err));
}

void clo_hub_preupload(clo_hub_call *c)
{
    upload_rules u = {0};
    json_t *body, *file, *rows = NULL;
    size_t i;
    clo_err err = {0};
    if (!clo_hub_may_upload(c) || !clo_hub_body(&body, c)) return;
    const json_t *files = json_object_get(body, "files");
    if (!json_is_array(files) || json_array_size(files) > PREUPLOAD_FILES_MAX) {
        clo_hub_fail(c, 400, NULL, "files: a list of at most %d is expected", PREUPLOAD_FILES_MAX);
        goto done;
    }
    if (!clo_hub_commit(&u.commit, c)) goto done;
    u.has_commit = true;
    bool ok = open_rules(&u, c, body, &err);
    rows = json_array();
    json_array_foreach((json_t *)(uintptr_t)files, i, file) {
        json_t *row = ok ? rule_of(c, &u, file, &err) : NULL;
        ok = row && json_array_append_new(rows, row) == 0;
        if (!ok) break;
    }
    if (ok) clo_hub_json(c, 200, json_pack("{s:O}", "files", rows));
    else if (err.code == CLO_ERR_USAGE) clo_hub_fail(c, 422, NULL, "%s", err.text);
    else clo_hub_fail_err(c, &err);
done:
    clo_patterns_free(&u.attributes);
    clo_patterns_free(&u.ignore);
    json_decref(rows);
    json_decref(body);
}

/* --- commit -------------------------------------------------------------------------------------------------------*/

/* A commit whose lines are coming in. */
typedef struct {
    clo_hub_call *c;
    clo_commit *commit;      /* owned */
    clo_commit_lines *lines; /* owned */
    clo_err err;             /* once a piece was refused */
} upload;

static void free_upload(void *data)
{
    upload *u = (upload *)data;
    clo_commit_lines_close(u->lines);
    clo_commit_close(u->commit);
    free(u);
}

static bool add_op(void *ctx, const clo_op *op, clo_err *err)
{
    return clo_commit_add(((upload *)ctx)->commit, op, err);
}

static bool take_lines(void *data, clo_str bytes)
{
    upload *u = (upload *)data;
    return clo_commit_lines_add(u->lines, clo_bytes_of(bytes), &u->err);
}

void clo_hub_commit_begin(clo_hub_call *c)
{
    clo_err err = {0};
    if (!clo_hub_may_upload(c) || !clo_hub_git(c)) return;
    upload *u = (upload *)calloc(1, sizeof *u);
    if (!u) {
        clo_hub_fail(c, 503, NULL, "server busy, please try again.  no memory is left");
        return;
    }
    u->c = c;
    c->data = u;
    c->free_data = free_upload;
    if (clo_commit_open(&u->commit, c->git, &err) && clo_commit_lines_open(&u->lines, add_op, u, &err)) clo_hub_sink(c, take_lines);
    else clo_hub_fail_err(c, &err);
}

bool clo_hub_may_link(void *ctx, const clo_sha256 *sha256, int64_t *size, clo_err *err)
{
    clo_hub_call *c = (clo_hub_call *)ctx;
    clo_file_info info;
    bool found = false;
    char hex[65];
    clo_sha256_hex(hex, sha256);
    if (!clo_files_find_own(&info, &found, &c->files, c->repo.id, sha256, err)) return false;
    if (!found) return clo_fail(err, CLO_ERR_NOT_FOUND, "the file with SHA-256 %s was not uploaded to this repository", hex);
    if (*size >= 0 && (uint64_t)*size != info.size)
        return clo_fail(err, CLO_ERR_MISMATCH, "the file with SHA-256 %s has %llu bytes, not %lld", hex, (unsigned long long)info.size,
                        (long long)*size);
    *size = (int64_t)info.size;
    return true;
}

static bool fail_commit(clo_hub_call *c, clo_commit_fault why, const clo_err *err)
{
    switch (why) {
    case CLO_COMMIT_STALE: return clo_hub_fail(c, 412, NULL, "%s", err->text);
    case CLO_COMMIT_NO_BRANCH: return clo_hub_fail(c, 404, "RevisionNotFound", "%s", err->text);
    case CLO_COMMIT_NO_ENTRY: return clo_hub_fail(c, 404, "EntryNotFound", "%s", err->text);
    case CLO_COMMIT_BAD_PATH: return clo_hub_fail(c, 422, NULL, "%s", err->text);
    case CLO_COMMIT_TOO_LARGE: return clo_hub_fail(c, 413, NULL, "%s", err->text);
    case CLO_COMMIT_NO_OBJECT:
    case CLO_COMMIT_BAD: return clo_hub_fail(c, 400, NULL, "%s", err->text);
    default: return clo_hub_fail_err(c, err);
    }
}

/* num: of the pull request that was made for it; 0: none. */
static void reply_commit(clo_hub_call *c, const clo_oid *commit, int64_t num)
{
    char id[CLO_OID_HEX];
    clo_buf url = {0}, pull = {0};
    clo_oid_hex(id, commit);
    clo_hub_repo_url(&url, c, &c->repo);
    clo_buf_addf(&url, "/commit/%s", id);
    json_t *o = json_pack("{s:b, s:s, s:s%, s:s}", "success", 1, "commitOid", id, "commitUrl", url.ptr, url.len,
                          "hookOutput", "");
    if (num) {
        clo_hub_discussion_url(&pull, c, num);
        json_object_set_new(o, "pullRequestUrl", json_stringn(pull.ptr, pull.len));
    }
    clo_reply_header(c->r, "X-Repo-Commit", id);
    clo_hub_json(c, 200, o);
    clo_buf_free(&url);
    clo_buf_free(&pull);
}

static bool no_branch(clo_hub_call *c)
{
    return clo_hub_fail(c, 404, "RevisionNotFound", "Invalid rev id: %.*s",
                        (int)(c->a.rev.len > 200 ? 200 : c->a.rev.len), c->a.rev.ptr);
}

/* A pull request for a commit that stands upon `parent`, or upon the branch. */
static bool open_pull(clo_discussion *d, clo_hub_call *c, const char *base, const clo_commit_header *h, clo_err *err)
{
    char title[CLO_DISCUSSION_TITLE_BYTES];
    clo_discussion_title_of(title, h->summary);
    clo_discussion_opts o = {.title = clo_str_from(title),
                             .text = h->description.len ? h->description : h->summary,
                             .by = c->who.account,
                             .is_pull = true,
                             .is_open = true,
                             .base = clo_str_from(base),
                             .start = h->parent};
    return clo_discussion_create(d, c->git, &o, clo_hub_now(), err);
}

/* In the transaction: the pull request where one is asked for, the commit, what its discussion says of it. *why: of the
 * commit. */
static bool write_commit(clo_commit_result *done, clo_commit_fault *why, clo_discussion *d, clo_hub_call *c,
                         const char *base, clo_err *err)
{
    upload *u = (upload *)c->data;
    char ref[CLO_REF_NAME_MAX];
    clo_commit_header h = clo_commit_lines_header(u->lines);
    bool opens = clo_hub_flag(c, "create_pr"), pull = opens;
    snprintf(ref, sizeof ref, "%s", base);
    *why = CLO_COMMIT_FAILED;
    if (opens) {
        if (!open_pull(d, c, base, &h, err)) return false;
        snprintf(ref, sizeof ref, "refs/pr/%lld", (long long)d->num);
    } else if (clo_str_starts_with(clo_str_from(ref), CLO_STR("refs/pr/"))) {
        pull = true;
        if (!clo_hub_may_pull(c, clo_str_from(ref), err) ||
            !clo_discussion_of_ref(d, c->db, c->repo.id, clo_str_from(ref), err))
            return false;
    }
    clo_commit_opts o = {.ref = clo_str_from(ref), .summary = h.summary, .description = h.description, .parent = h.parent,
                         .author = clo_hub_author(c), .now_s = clo_hub_now(), .may_link = clo_hub_may_link, .may_link_ctx = c};
    if (!clo_commit_write(done, u->commit, &o, err)) {
        *why = clo_commit_why(u->commit);
        return false;
    }
    return (!pull || clo_discussion_add_commits(d, c->git, c->who.account, &done->parent, &done->commit, o.now_s, err)) &&
           clo_repo_touch(c->db, c->repo.id, o.now_s, err);
}

void clo_hub_commit_run(clo_hub_call *c)
{
    upload *u = (upload *)c->data;
    clo_commit_result done;
    clo_commit_fault why = CLO_COMMIT_FAILED;
    clo_discussion d = {0};
    char ref[CLO_REF_NAME_MAX];
    clo_oid head;
    clo_err err = {0};
    bool opens = clo_hub_flag(c, "create_pr");
    if (clo_request_body_fault(c->r) == CLO_BODY_REFUSED || !clo_commit_lines_end(u->lines, &u->err)) {
        fail_commit(c, clo_commit_why(u->commit), &u->err);
        return;
    }
    if (!clo_revision_branch(ref, &head, c->git, c->a.rev, &err) ||
        (opens && clo_str_starts_with(clo_str_from(ref), CLO_STR("refs/pr/")))) {
        no_branch(c);
        return;
    }
    if (!clo_db_begin(c->db, &err)) {
        clo_hub_fail_err(c, &err);
        return;
    }
    if (write_commit(&done, &why, &d, c, ref, &err) && clo_db_commit(c->db, &err)) {
        reply_commit(c, &done.commit, opens ? d.num : 0);
        return;
    }
    clo_db_rollback(c->db);
    if (why != CLO_COMMIT_FAILED) fail_commit(c, why, &err);
    else fail_pull(c, &err);
}
