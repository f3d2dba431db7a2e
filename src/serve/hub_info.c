/* The facts of a repository at a revision. */
#include <string.h>

#include "hub/revision.h"
#include "hub/stamp.h"
#include "hub/tree.h"
#include "serve/hub_handlers.h"

typedef struct {
    json_t *rows;
    bool blobs; /* sizes and digests too */
} sibling_list;

static bool add_sibling(void *ctx, const clo_entry *e, clo_err *err)
{
    sibling_list *l = (sibling_list *)ctx;
    char oid[CLO_OID_HEX], sha256[65];
    if (e->kind != CLO_ENTRY_FILE) return true;
    json_t *o = json_pack("{s:s}", "rfilename", e->path);
    if (o && l->blobs) {
        clo_oid_hex(oid, &e->oid);
        json_object_set_new(o, "size", json_integer((json_int_t)e->size));
        json_object_set_new(o, "blobId", json_string(oid));
    }
    if (o && l->blobs && e->is_lfs) {
        clo_sha256_hex(sha256, &e->sha256);
        json_object_set_new(o, "lfs", json_pack("{s:s, s:I, s:I}", "sha256", sha256, "size", (json_int_t)e->size, "pointerSize",
                                                (json_int_t)e->pointer_size));
    }
    return (o && json_array_append_new(l->rows, o) == 0) || clo_fail(err, CLO_ERR_MEMORY, "files of a repository");
}

/* Properties that `expand` may ask for; those that are not known here are null. */
static const char *const model_props[] = {
    "author", "baseModels", "cardData", "childrenModelCount", "config", "createdAt", "disabled", "downloads", "downloadsAllTime",
    "evalResults", "gated", "gguf", "inference", "inferenceProviderMapping", "lastModified", "library_name", "likes", "mask_token",
    "model-index", "pipeline_tag", "private", "resourceGroup", "safetensors", "sha", "siblings", "spaces", "tags", "transformersInfo",
    "trendingScore", "usedStorage", "widgetData", "xetEnabled", NULL};
static const char *const dataset_props[] = {
    "author", "cardData", "citation", "createdAt", "description", "disabled", "downloads", "downloadsAllTime", "gated", "lastModified",
    "likes", "mainSize", "paperswithcode_id", "private", "resourceGroup", "sha", "siblings", "tags", "trendingScore", "usedStorage",
    "xetEnabled", NULL};

/* Leaves what was asked for. False: replied. */
static bool expand(json_t *io, clo_hub_call *c)
{
    clo_str want;
    json_t *out = NULL;
    const char *const *known = c->a.type == CLO_REPO_MODEL ? model_props : dataset_props;
    for (size_t i = 0; clo_request_param(&want, c->r, clo_request_query(c->r), "expand", i); i++) {
        size_t k = 0;
        while (known[k] && !clo_str_eq(want, clo_str_from(known[k]))) k++;
        if (!known[k]) {
            json_decref(out);
            return clo_hub_fail(c, 400, NULL, "expand: '%.*s' is not known", (int)(want.len > 60 ? 60 : want.len), want.ptr);
        }
        if (!out) out = json_pack("{s:O, s:O}", "_id", json_object_get(io, "_id"), "id", json_object_get(io, "id"));
        json_t *v = json_object_get(io, known[k]);
        if (v) json_object_set(out, known[k], v);
    }
    if (!out) return true;
    json_object_clear(io);
    json_object_update(io, out);
    json_decref(out);
    return true;
}

void clo_hub_repo_info(clo_hub_call *c)
{
    clo_oid commit;
    clo_err err = {0};
    bool more;
    char id[CLO_OID_HEX], created[CLO_STAMP_LEN + 1], modified[CLO_STAMP_LEN + 1];
    int64_t n_files = 0, bytes = 0;
    const clo_repo *r = &c->repo;
    sibling_list l = {.rows = NULL, .blobs = clo_hub_flag(c, "blobs")};
    if (c->a.rev.len == 0) c->a.rev = CLO_STR("main");
    if (!clo_hub_commit(&commit, c)) return;
    clo_oid_hex(id, &commit);
    l.rows = json_array();
    clo_tree_opts o = {.recursive = true};
    if (!clo_tree_each(&more, c->git, &commit, &o, add_sibling, &l, &err) ||
        !clo_files_usage(&n_files, &bytes, &c->files, r->id, &err)) {
        json_decref(l.rows);
        clo_hub_fail_err(c, &err);
        return;
    }
    json_t *out = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:o, s:b, s:I, s:I, s:[], s:{}, s:I, s:o, s:b}", "_id", r->oid, "id",
                            r->full, "author", r->ns, "sha", id, "lastModified", clo_stamp(modified, r->modified_s), "createdAt",
                            clo_stamp(created, r->created_s), "private", r->is_private, "gated",
                            r->gated == CLO_GATED_NO ? json_false() : json_string(clo_gated_name(r->gated)), "disabled", r->disabled,
                            "downloads", (json_int_t)r->downloads, "likes", (json_int_t)r->likes, "tags", "cardData", "usedStorage",
                            (json_int_t)bytes, "siblings", l.rows, "xetEnabled", 1);
    if (out && r->type == CLO_REPO_MODEL) json_object_set_new(out, "modelId", json_string(r->full));
    if (out && r->type == CLO_REPO_MODEL) json_object_set_new(out, "spaces", json_array());
    if (out && expand(out, c)) {
        clo_hub_json(c, 200, out);
        return;
    }
    if (!out) clo_hub_fail(c, 503, NULL, "server busy, please try again.  no memory is left");
    json_decref(out);
}
