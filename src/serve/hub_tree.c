/* Files and folders of a revision, as JSON. */
#include <stdlib.h>
#include <string.h>

#include "hub/revision.h"
#include "hub/stamp.h"
#include "hub/tree.h"
#include "serve/hub_handlers.h"

#define PAGE 1000
#define PAGE_EXPANDED 100
#define PATHS_MAX 1000

/* What has been listed; with `expand` the last commit of each path is added at the end. */
typedef struct {
    clo_hub_call *c;
    json_t *rows; /* owned */
    bool expand;
} listing;

static json_t *entry_json(const clo_entry *e)
{
    static const char *const types[] = {[CLO_ENTRY_FILE] = "file", [CLO_ENTRY_FOLDER] = "directory", [CLO_ENTRY_SUBMODULE] = "unknown"};
    char oid[CLO_OID_HEX], sha256[65];
    clo_oid_hex(oid, &e->oid);
    json_t *o = json_pack("{s:s, s:s, s:I, s:s}", "type", types[e->kind], "oid", oid, "size",
                          (json_int_t)e->size, "path", e->path);
    if (e->is_lfs) {
        clo_sha256_hex(sha256, &e->sha256);
        json_object_set_new(o, "lfs", json_pack("{s:s, s:I, s:I}", "oid", sha256, "size", (json_int_t)e->size, "pointerSize",
                                                (json_int_t)e->pointer_size));
    }
    return o;
}

/* By this clients know that a large file can be fetched by Xet. */
static bool add_xet(json_t *o, const listing *l, const clo_entry *e, clo_err *err)
{
    clo_file_info info;
    bool found = false;
    char hash[65];
    if (!e->is_lfs) return true;
    if (!clo_files_find_own(&info, &found, &l->c->files, l->c->repo.id, &e->sha256, err)) return false;
    if (!found || !info.has_xet) return true;
    clo_xet_hash_text(hash, &info.xet);
    return json_object_set_new(o, "xetHash", json_string(hash)) == 0 || clo_fail(err, CLO_ERR_MEMORY, "listing");
}

static bool add_entry(void *ctx, const clo_entry *e, clo_err *err)
{
    listing *l = (listing *)ctx;
    json_t *o = entry_json(e);
    if (!o || !add_xet(o, l, e, err)) {
        json_decref(o);
        return o ? false : clo_fail(err, CLO_ERR_MEMORY, "listing");
    }
    return json_array_append_new(l->rows, o) == 0 || clo_fail(err, CLO_ERR_MEMORY, "listing");
}

static bool fill_commit(void *ctx, const clo_commit_info *info, clo_err *err)
{
    char id[CLO_OID_HEX], date[CLO_STAMP_LEN + 1];
    clo_oid_hex(id, &info->id);
    json_t *o = json_pack("{s:s, s:s, s:s}", "id", id, "title", info->title, "date", clo_stamp(date, info->time_s));
    return json_object_set_new((json_t *)ctx, "lastCommit", o) == 0 || clo_fail(err, CLO_ERR_MEMORY, "listing");
}

static bool add_last_commits(listing *l, const clo_oid *commit, clo_err *err)
{
    size_t n = json_array_size(l->rows);
    if (!l->expand || n == 0) return true;
    clo_str *paths = (clo_str *)calloc(n, sizeof *paths);
    clo_oid *ids = (clo_oid *)calloc(n, sizeof *ids);
    bool ok = paths && ids ? true : clo_fail(err, CLO_ERR_MEMORY, "listing");
    for (size_t i = 0; ok && i < n; i++)
        paths[i] = clo_json_str(json_array_get(l->rows, i), "path", CLO_STR(""));
    ok = ok && clo_tree_last_commits(ids, l->c->git, commit, paths, n, err);
    for (size_t i = 0; ok && i < n; i++)
        if (!clo_oid_is_zero(&ids[i])) ok = clo_history_get(l->c->git, &ids[i], fill_commit, json_array_get(l->rows, i), err);
    free(paths);
    free(ids);
    return ok;
}

/* 404 with the commit, which lets a client remember that there is nothing. */
bool clo_hub_no_entry(clo_hub_call *c, const clo_oid *commit, clo_str path)
{
    char id[CLO_OID_HEX];
    clo_oid_hex(id, commit);
    clo_reply_header(c->r, "X-Repo-Commit", id);
    return clo_hub_fail(c, 404, "EntryNotFound", "%.*s does not exist on \"%.*s\"", (int)(path.len > 150 ? 150 : path.len), path.ptr,
                        (int)(c->a.rev.len > 100 ? 100 : c->a.rev.len), c->a.rev.ptr);
}

void clo_hub_tree(clo_hub_call *c)
{
    clo_oid commit;
    clo_err err = {0};
    listing l = {.c = c, .expand = clo_hub_flag(c, "expand")};
    if (!clo_hub_commit(&commit, c)) return;
    int64_t page = l.expand ? PAGE_EXPANDED : PAGE;
    clo_tree_opts o = {.path = c->a.rest, .recursive = clo_hub_flag(c, "recursive"), .after = clo_hub_cursor(c)};
    while (o.path.len > 0 && o.path.ptr[o.path.len - 1] == '/') o.path.len--;
    o.limit = (size_t)clo_hub_number(c, "limit", 1, page, page);
    bool more = false;
    l.rows = json_array();
    if (!clo_tree_each(&more, c->git, &commit, &o, add_entry, &l, &err)) {
        if (err.code == CLO_ERR_NOT_FOUND || err.code == CLO_ERR_USAGE) clo_hub_no_entry(c, &commit, o.path);
        else clo_hub_fail_err(c, &err);
    } else if (!add_last_commits(&l, &commit, &err)) {
        clo_hub_fail_err(c, &err);
    } else {
        if (more) clo_hub_link_next(c, clo_json_str(json_array_get(l.rows, json_array_size(l.rows) - 1), "path", CLO_STR("")));
        clo_hub_json(c, 200, l.rows);
        l.rows = NULL;
    }
    json_decref(l.rows);
}

static bool add_path(listing *l, const clo_oid *commit, clo_str path, clo_err *err)
{
    clo_entry e;
    clo_err no = {0};
    while (path.len > 0 && path.ptr[path.len - 1] == '/') path.len--;
    if (path.len == 0) return true;
    if (clo_tree_entry(&e, l->c->git, commit, path, &no)) return add_entry(l, &e, err);
    if (no.code == CLO_ERR_NOT_FOUND || no.code == CLO_ERR_USAGE) return true;
    *err = no;
    return false;
}

/* Paths come as a form from Python, as JSON from JavaScript. */
void clo_hub_paths_info(clo_hub_call *c)
{
    clo_oid commit;
    clo_err err = {0};
    json_t *body = NULL;
    listing l = {.c = c};
    clo_str text = clo_request_body(c->r), path;
    bool is_json = text.len > 0 && text.ptr[0] == '{', ok = true;
    if (!clo_hub_commit(&commit, c) || (is_json && !clo_hub_body(&body, c))) return;
    l.rows = json_array();
    const json_t *paths = json_object_get(body, "paths");
    l.expand = is_json ? clo_json_bool(body, "expand", false)
                       : clo_request_param(&path, c->r, text, "expand", 0) && path.len > 0 && (path.ptr[0] | 32) == 't';
    size_t n = json_is_string(paths) ? 1 : json_array_size(paths);
    while (!is_json && n <= PATHS_MAX && clo_request_param(&path, c->r, text, "paths", n)) n++;
    if (n > PATHS_MAX) {
        clo_hub_fail(c, 413, NULL, "at most %d paths are answered at once", PATHS_MAX);
        goto done;
    }
    for (size_t i = 0; ok && i < n; i++) {
        const json_t *v = json_is_string(paths) ? paths : json_array_get(paths, i);
        if (is_json) path = (clo_str){json_string_value(v), json_string_length(v)};
        else if (!clo_request_param(&path, c->r, text, "paths", i)) break;
        ok = !path.ptr || add_path(&l, &commit, path, &err);
    }
    if (ok && add_last_commits(&l, &commit, &err)) {
        clo_hub_json(c, 200, l.rows);
        l.rows = NULL;
    } else clo_hub_fail_err(c, &err);
done:
    json_decref(l.rows);
    json_decref(body);
}
