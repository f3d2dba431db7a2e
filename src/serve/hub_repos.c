/* Repositories: made, removed, renamed, set; their facts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/account.h"
#include "hub/commit_lines.h"
#include "serve/hub_handlers.h"
#include "serve/json_out.h"

/* --- what a body names --------------------------------------------------------------------------------------------*/

static bool take_type(clo_repo_type *out, clo_hub_call *c, const json_t *body)
{
    clo_str s = clo_json_str(body, "type", CLO_STR("model"));
    return clo_repo_type_parse(out, s) || clo_hub_fail(c, 400, NULL, "type: model, dataset or space is expected");
}

bool clo_hub_take_owner(clo_account_info *out, clo_hub_call *c, const char *type, clo_str name)
{
    clo_err err = {0};
    if (name.len == 0) name = clo_str_from(c->who.user);
    if (clo_account_find(out, c->db, name, &err)) return true;
    return err.code == CLO_ERR_NOT_FOUND
               ? clo_hub_fail(c, 403, NULL, "You don't have the rights to create a %s under the namespace \"%.*s\"", type,
                              (int)(name.len > 100 ? 100 : name.len), name.ptr)
               : clo_hub_fail_err(c, &err);
}

bool clo_hub_may_create(clo_hub_call *c, const clo_account_info *owner, const char *type, const char *name)
{
    clo_err err = {0};
    c->caller = (clo_access_caller){.known = c->who.account != 0,
                                    .admin = c->who.admin,
                                    .may_write = c->who.may_write,
                                    .in_scope = clo_token_in_scope_new(&c->who, type, clo_str_from(owner->name), clo_str_from(name))};
    c->seen = (clo_access_repo){.type = type, .namespace_name = owner->name, .name = name};
    return clo_member_role(&c->caller.role, c->db, owner->id, c->who.account, &err) ? clo_hub_may(c, CLO_MAY_CREATE)
                                                                                   : clo_hub_fail_err(c, &err);
}

static bool take_private(const json_t *body, bool before)
{
    clo_str v = clo_json_str(body, "visibility", CLO_STR(""));
    if (v.len > 0) return !clo_str_eq(v, CLO_STR("public"));
    return clo_json_bool(body, "private", before);
}

static json_t *repo_answer(const clo_hub_call *c, const clo_repo *r, const char *error)
{
    clo_buf url = {0};
    clo_hub_repo_url(&url, c, r);
    json_t *out = json_pack("{s:s%, s:s, s:s}", "url", url.ptr, url.len, "name", r->full, "id", r->oid);
    if (error) json_object_set_new(out, "error", json_string(error));
    clo_buf_free(&url);
    return out;
}

/* What happened to a repository, in the audit log. False: replied. */
static bool note(clo_hub_call *c, const char *event, const clo_repo *r, const char *from)
{
    clo_err err = {0};
    char text[CLO_REPO_WORDS_MAX];
    clo_repo_words(text, r, from);
    return clo_hub_note(c, event, text, &err) || clo_hub_fail_err(c, &err);
}

/* --- the first commit's files -------------------------------------------------------------------------------------*/

#define FIRST_FILES_MAX 100
#define LICENSE_MAX 64

typedef struct {
    clo_repo_file files[FIRST_FILES_MAX + 1];
    clo_buf bytes[FIRST_FILES_MAX + 1]; /* owned */
    size_t n;
} first_files;

static void free_files(first_files *f)
{
    for (size_t i = 0; f && i < f->n; i++) clo_buf_free(&f->bytes[i]);
    free(f);
}

/* Takes bytes[n] over. */
static void add_file(first_files *f, clo_str path)
{
    f->files[f->n] = (clo_repo_file){path, clo_bytes_of(clo_buf_str(&f->bytes[f->n]))};
    f->n++;
}

static bool take_file(first_files *f, clo_hub_call *c, const json_t *file)
{
    clo_err err = {0};
    clo_str path = clo_json_str(file, "path", CLO_STR(""));
    f->bytes[f->n].max = CLO_COMMIT_FILE_MAX;
    bool ok = clo_commit_content(&f->bytes[f->n], clo_json_str(file, "content", CLO_STR("")), clo_json_str(file, "encoding", CLO_STR("")), &err);
    add_file(f, path);
    if (!ok) return clo_hub_fail(c, 400, NULL, "files: %s", err.text);
    return clo_path_check(path, &err) || clo_hub_fail(c, 422, NULL, "files: %s", err.text);
}

/* A license makes a card, unless a README.md is sent. */
static bool take_license(first_files *f, clo_hub_call *c, clo_str license)
{
    for (size_t i = 0; i < f->n; i++)
        if (clo_str_eq(f->files[i].path, CLO_STR("README.md"))) return true;
    for (size_t i = 0; i < license.len; i++) {
        char b = license.ptr[i];
        bool plain = (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') || b == '-' || b == '.' || b == '_';
        if (!plain || i == LICENSE_MAX) return clo_hub_fail(c, 400, NULL, "license: letters, digits, - . _ are expected, at most %d", LICENSE_MAX);
    }
    if (license.len == 0) return true;
    clo_buf_addf(&f->bytes[f->n], "---\nlicense: %.*s\n---\n", (int)license.len, license.ptr);
    add_file(f, CLO_STR("README.md"));
    return true;
}

/* False: replied. */
static bool take_files(first_files **out, clo_hub_call *c, const json_t *body)
{
    const json_t *files = json_object_get(body, "files"), *file;
    size_t i;
    first_files *f = *out = (first_files *)calloc(1, sizeof *f);
    if (!f) return clo_hub_fail(c, 500, NULL, "out of memory");
    if (files && !json_is_null(files) && (!json_is_array(files) || json_array_size(files) > FIRST_FILES_MAX))
        return clo_hub_fail(c, 400, NULL, "files: a list of at most %d is expected", FIRST_FILES_MAX);
    json_array_foreach(files, i, file)
        if (!take_file(f, c, file)) return false;
    return take_license(f, c, clo_json_str(body, "license", CLO_STR("")));
}

/* --- create -------------------------------------------------------------------------------------------------------*/

void clo_hub_repo_create(clo_hub_call *c)
{
    json_t *body;
    clo_account_info owner;
    clo_err err = {0};
    char name[CLO_REPO_NAME_MAX + 1];
    first_files *first = NULL;
    if (!clo_hub_body(&body, c)) return;
    clo_str given = clo_json_str(body, "name", CLO_STR(""));
    clo_str org = clo_json_str(body, "organization", CLO_STR(""));
    clo_repo_opts o = {.is_private = take_private(body, false), .author = clo_hub_author(c)};
    size_t slash = clo_str_find(given, 0, '/');
    if (slash < given.len) { /* older clients send the whole id */
        org = (clo_str){given.ptr, slash};
        given = clo_str_from_off(given, slash + 1);
    }
    if (!take_type(&o.type, c, body)) goto done;
    if (given.len >= sizeof name || !clo_repo_check_name(given, &err)) {
        clo_hub_fail(c, 400, NULL, "%s", err.text[0] ? err.text : "name: it is too long");
        goto done;
    }
    memcpy(name, given.ptr, given.len);
    name[given.len] = '\0';
    o.name = given;
    const char *type = clo_repo_type_name(o.type);
    if (!clo_hub_take_owner(&owner, c, type, org) || !clo_hub_may_create(c, &owner, type, name)) goto done;
    if (!take_files(&first, c, body)) goto done;
    o.owner = owner.id;
    o.maker = c->who.account;
    o.files = first->files;
    o.n_files = first->n;
    if (!clo_db_begin(c->db, &err)) {
        clo_hub_fail_err(c, &err);
        goto done;
    }
    clo_repo made;
    if (clo_repo_create(&made, c->db, &o, clo_hub_now(), &err) && clo_db_commit(c->db, &err)) {
        if (note(c, "repo-created", &made, NULL)) clo_hub_json(c, 200, repo_answer(c, &made, NULL));
    } else if (err.code == CLO_ERR_DENIED) {
        bool moved;
        char id[CLO_REPO_ID_MAX];
        clo_err gone = {0};
        clo_db_rollback(c->db);
        snprintf(id, sizeof id, "%s/%s", owner.name, name);
        if (clo_repo_find(&made, &moved, c->db, o.type, clo_str_from(id), &gone)) {
            char text[200];
            snprintf(text, sizeof text, "You already created this %s repo", clo_repo_type_name(o.type));
            clo_reply_header(c->r, "X-Error-Message", text);
            clo_hub_json(c, 409, repo_answer(c, &made, text));
        } else clo_hub_fail_err(c, &err);
    } else clo_hub_undo(c, &err);
done:
    free_files(first);
    json_decref(body);
}

/* --- remove, move, settings ---------------------------------------------------------------------------------------*/

/* The repository that a body names, with the right to administer it. An old id is not followed: something is about to be
 * removed or renamed. */
static bool find_named(clo_hub_call *c, const json_t *body, clo_str id, clo_action action)
{
    bool moved = false;
    clo_err err = {0};
    clo_repo_type type;
    if (!take_type(&type, c, body)) return false;
    if (!clo_hub_look_at(c, &moved, type, id, &err)) return clo_hub_fail_err(c, &err);
    if (moved) c->seen.exists = false;
    return clo_hub_may(c, action);
}

void clo_hub_repo_remove(clo_hub_call *c)
{
    json_t *body;
    clo_err err = {0};
    char id[CLO_REPO_ID_MAX];
    if (!clo_hub_body(&body, c)) return;
    clo_str name = clo_json_str(body, "name", CLO_STR("")), org = clo_json_str(body, "organization", CLO_STR(""));
    if (clo_str_find(name, 0, '/') < name.len) snprintf(id, sizeof id, "%.*s", (int)(name.len > 190 ? 190 : name.len), name.ptr);
    else snprintf(id, sizeof id, "%.*s/%.*s", (int)(org.len ? org.len > 96 ? 96 : org.len : strlen(c->who.user)),
                  org.len ? org.ptr : c->who.user, (int)(name.len > 96 ? 96 : name.len), name.ptr);
    if (find_named(c, body, clo_str_from(id), CLO_MAY_ADMINISTER)) {
        if (!clo_db_begin(c->db, &err) || !clo_repo_delete(c->db, c->repo.id, &err) || !clo_db_commit(c->db, &err)) clo_hub_undo(c, &err);
        else if (note(c, "repo-removed", &c->repo, NULL)) clo_reply(c->r, 200, CLO_TYPE_TEXT, CLO_STR("OK"));
    }
    json_decref(body);
}

void clo_hub_repo_move(clo_hub_call *c)
{
    json_t *body;
    clo_err err = {0};
    clo_account_info owner;
    clo_str ns, name;
    char to_name[CLO_REPO_NAME_MAX + 1] = "";
    if (!clo_hub_body(&body, c)) return;
    clo_str from = clo_json_str(body, "fromRepo", CLO_STR("")), to = clo_json_str(body, "toRepo", CLO_STR(""));
    if (!find_named(c, body, from, CLO_MAY_ADMINISTER)) goto done;
    if (!clo_repo_split(&ns, &name, to, &err) || !clo_repo_check_name(name, &err)) {
        clo_hub_fail(c, 400, NULL, "toRepo: %s", err.text);
        goto done;
    }
    memcpy(to_name, name.ptr, name.len < sizeof to_name ? name.len : 0);
    clo_repo moved = c->repo;
    const char *type = clo_repo_type_name(moved.type);
    if (!clo_hub_take_owner(&owner, c, type, ns) || (owner.id != c->repo.owner && !clo_hub_may_create(c, &owner, type, to_name)))
        goto done;
    if (!clo_db_begin(c->db, &err) || !clo_repo_move(&moved, c->db, owner.id, name, clo_hub_now(), &err) || !clo_db_commit(c->db, &err))
        clo_hub_undo(c, &err);
    else if (note(c, "repo-moved", &moved, c->repo.full)) clo_hub_json(c, 200, repo_answer(c, &moved, NULL));
done:
    json_decref(body);
}

void clo_hub_repo_settings(clo_hub_call *c)
{
    json_t *body;
    clo_err err = {0};
    if (!clo_hub_body(&body, c)) return;
    clo_repo r = c->repo;
    const json_t *gated = json_object_get(body, "gated");
    r.is_private = take_private(body, r.is_private);
    r.no_discussions = clo_json_bool(body, "discussionsDisabled", r.no_discussions);
    if (json_is_false(gated)) r.gated = CLO_GATED_NO;
    else if (json_is_string(gated) && strcmp(json_string_value(gated), "auto") == 0) r.gated = CLO_GATED_AUTO;
    else if (json_is_string(gated) && strcmp(json_string_value(gated), "manual") == 0) r.gated = CLO_GATED_MANUAL;
    else if (gated) {
        clo_hub_fail(c, 400, NULL, "gated: \"auto\", \"manual\" or false is expected");
        json_decref(body);
        return;
    }
    if (clo_db_begin(c->db, &err) && clo_repo_set(c->db, &r, &err) && clo_db_commit(c->db, &err))
        clo_hub_json(c, 200, json_pack("{s:b, s:b, s:o}", "private", r.is_private, "discussionsDisabled", r.no_discussions, "gated",
                                       r.gated == CLO_GATED_NO ? json_false() : json_string(clo_gated_name(r.gated))));
    else clo_hub_undo(c, &err);
    json_decref(body);
}

void clo_hub_auth_check(clo_hub_call *c)
{
    clo_reply(c->r, 200, CLO_TYPE_TEXT, CLO_STR("OK"));
}
