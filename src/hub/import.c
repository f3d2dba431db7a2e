/* See import.h: what the source is, and commits of folders and of snapshots of a cache. */
#include "hub/import.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "hub/account.h"
#include "hub/import_impl.h"
#include "hub/refs.h"
#include "hub/revision.h"

#define SNAPSHOTS_MAX 1000

/* One commit that is to be: of a folder, a file or a snapshot. */
typedef struct {
    clo_import_folder folder;
    char id[CLO_OID_HEX]; /* of a snapshot: the commit that it was */
    time_t time;
    bool is_main;
    clo_oid made;
} step;

typedef struct {
    const clo_import_repo_opts *o;
    clo_import_result *out;
    clo_git *g; /* owned */
    bool found;
    step *steps; /* owned [n] */
    size_t n;
} importing;

/* --- what main has ------------------------------------------------------------------------------------------------*/

typedef struct {
    char **rows; /* owned [n] */
    size_t n;
} paths;

static bool add_path(void *ctx, const clo_entry *e, clo_err *err)
{
    paths *p = ctx;
    if (e->kind != CLO_ENTRY_FILE) return true;
    char **more = realloc(p->rows, (p->n + 1) * sizeof *more), *copy = strdup(e->path);
    if (more) p->rows = more;
    if (more && copy) {
        more[p->n++] = copy;
        return true;
    }
    free(copy);
    return clo_fail(err, CLO_ERR_MEMORY, "list of files");
}

static void free_paths(paths *p)
{
    for (size_t i = 0; i < p->n; i++) free(p->rows[i]);
    free(p->rows);
}

/* A folder is what main has afterwards. */
static bool drop_others(importing *m, clo_import_folder *f, clo_err *err)
{
    paths p = {0};
    clo_oid head;
    clo_tree_opts all = {.recursive = true};
    bool there = false, more;
    bool ok = clo_ref_get(&head, &there, m->g, CLO_STR("refs/heads/main"), err);
    if (ok && there)
        ok = clo_tree_each(&more, m->g, &head, &all, add_path, &p, err) &&
             clo_import_folder_drop(f, (const char *const *)p.rows, p.n, err);
    free_paths(&p);
    return ok;
}

/* --- commits ------------------------------------------------------------------------------------------------------*/

static bool any_large(void *ctx, const clo_sha256 *sha256, int64_t *size, clo_err *err)
{
    (void)ctx, (void)sha256, (void)size, (void)err;
    return true; /* it was brought just now, and is linked in this transaction */
}

/* A new repository has the rules of all new ones, unless the folder brings its own. */
static bool add_attributes(importing *m, clo_import_folder *f, clo_err *err)
{
    clo_op op = {.kind = CLO_OP_FILE, .path = CLO_STR(".gitattributes"), .content = clo_bytes_of(clo_repo_attributes(m->o->home.type))};
    return m->found || clo_import_folder_has(f, ".gitattributes") || clo_commit_add(f->commit, &op, err);
}

static bool write_step(importing *m, size_t i, const clo_author *by, clo_err *err)
{
    step *s = &m->steps[i];
    clo_commit_result r;
    char message[80];
    snprintf(message, sizeof message, s->id[0] ? "Snapshot %.12s of a cache" : "Import", s->id);
    clo_commit_opts o = {.ref = CLO_STR("refs/heads/main"), .is_first = !m->found && i == 0,
                         .summary = clo_str_from(m->o->message && !s->id[0] ? m->o->message : message), .author = *by,
                         .now_s = s->id[0] ? (int64_t)s->time : m->o->now_s, .may_link = any_large};
    if (!clo_commit_write(&r, s->folder.commit, &o, err)) return false;
    s->made = r.commit;
    m->out->main = r.commit;
    m->out->n_commits += r.changed;
    for (size_t k = 0; k < s->folder.n; k++) m->out->n_files += s->folder.rows[k].is_large;
    return clo_import_folder_link(&s->folder, &m->o->files, m->out->repo.id, err);
}

static bool name_snapshot(importing *m, const char *folder, const char *name, const clo_oid *at, clo_err *err)
{
    char full[CLO_REF_NAME_MAX];
    snprintf(full, sizeof full, "refs/%s/%.200s", folder, name);
    return !clo_ref_name_ok(clo_str_from(full)) || clo_ref_set(m->g, clo_str_from(full), at, NULL, err);
}

/* The other refs of a cache. */
static bool name_refs(importing *m, clo_err *err)
{
    char path[4096];
    bool ok = true;
    for (size_t i = 0; ok && i < m->n; i++)
        if (m->steps[i].id[0]) ok = name_snapshot(m, "tags", m->steps[i].id, &m->steps[i].made, err);
    if (!ok || !clo_path_join(path, err, "%s/refs", m->o->source)) return false;
    DIR *d = m->n && m->steps[0].id[0] ? opendir(path) : NULL;
    for (struct dirent *e; d && ok && (e = readdir(d));) {
        clo_str id = {0};
        clo_arena arena = clo_arena_make(4096);
        if (e->d_name[0] != '.' && strcmp(e->d_name, "main") != 0 && clo_path_join(path, err, "%s/refs/%s", m->o->source, e->d_name) &&
            !clo_path_is_dir(path) && clo_file_read(&id, path, 128, &arena, NULL))
            for (size_t i = 0; ok && i < m->n; i++)
                if (clo_str_starts_with(id, clo_str_from(m->steps[i].id))) ok = name_snapshot(m, "heads", e->d_name, &m->steps[i].made, err);
        clo_arena_free(&arena);
    }
    if (d) closedir(d);
    return ok;
}

static bool write_all(importing *m, clo_err *err)
{
    clo_db *db = m->o->files.db;
    clo_account_info who;
    if (!clo_db_begin(db, err)) return false;
    bool ok = m->found || clo_home_make(&m->out->repo, db, &m->o->home, m->o->now_s, err);
    ok = ok && clo_account_get(&who, db, m->out->repo.owner, err);
    if (ok) clo_git_become(m->g, m->out->repo.id);
    const clo_author by = {ok ? who.name : "", ok ? who.email : ""};
    for (size_t i = 0; ok && i < m->n; i++) ok = write_step(m, i, &by, err);
    ok = ok && name_refs(m, err) && clo_repo_touch(db, m->out->repo.id, m->o->now_s, err);
    if (ok && m->found && m->out->n_commits == 0) { /* the same again */
        clo_db_rollback(db);
        bool there;
        clo_git_close(m->g); /* it remembers what was undone */
        m->g = NULL;
        return clo_git_open(&m->g, db, m->out->repo.id, err) && clo_ref_get(&m->out->main, &there, m->g, CLO_STR("refs/heads/main"), err);
    }
    if (ok && clo_db_commit(db, err)) return true;
    clo_db_rollback(db);
    return false;
}

/* --- sources ------------------------------------------------------------------------------------------------------*/

static step *add_step(importing *m, clo_err *err)
{
    step *more = realloc(m->steps, (m->n + 1) * sizeof *more);
    if (!more) {
        clo_fail(err, CLO_ERR_MEMORY, "list of commits");
        return NULL;
    }
    m->steps = more;
    more[m->n] = (step){0};
    return &more[m->n++];
}

static bool open_plain(importing *m, bool is_file, clo_err *err)
{
    char real[PATH_MAX];
    step *s = add_step(m, err);
    if (!s) return false;
    if (!realpath(m->o->source, real)) return clo_fail_sys(err, errno, "'%s'", m->o->source);
    clo_import_place place = {.folder = real, .inside = real};
    if (!is_file)
        return clo_import_folder_open(&s->folder, m->o, m->g, &place, err) && add_attributes(m, &s->folder, err) &&
               drop_others(m, &s->folder, err);
    char *slash = strrchr(real, '/');
    *slash = '\0';
    place.only = slash + 1;
    if (slash == real) place.folder = place.inside = "/";
    return clo_import_folder_open(&s->folder, m->o, m->g, &place, err) && add_attributes(m, &s->folder, err);
}

static int by_time(const void *pa, const void *pb)
{
    const step *a = pa, *b = pb;
    if (a->is_main != b->is_main) return a->is_main ? 1 : -1;
    if (a->time != b->time) return a->time < b->time ? -1 : 1;
    return strcmp(a->id, b->id);
}

static bool list_snapshots(importing *m, clo_err *err)
{
    char path[4096];
    struct stat st;
    clo_str main = {0};
    clo_oid oid;
    clo_arena arena = clo_arena_make(4096);
    bool ok = clo_path_join(path, err, "%s/refs/main", m->o->source);
    if (ok && !clo_file_read(&main, path, 128, &arena, NULL)) main = (clo_str){0};
    ok = ok && clo_path_join(path, err, "%s/snapshots", m->o->source);
    DIR *d = ok ? opendir(path) : NULL;
    if (ok && !d) ok = clo_fail_sys(err, errno, "list '%s'", path);
    for (struct dirent *e; ok && (e = readdir(d));) {
        if (!clo_oid_parse(&oid, clo_str_from(e->d_name))) continue;
        step *s = m->n < SNAPSHOTS_MAX ? add_step(m, err) : NULL;
        ok = s && clo_path_join(path, err, "%s/snapshots/%.40s", m->o->source, e->d_name) && stat(path, &st) == 0;
        if (!ok) break;
        snprintf(s->id, sizeof s->id, "%.40s", e->d_name);
        s->time = st.st_mtime;
        s->is_main = clo_str_starts_with(main, clo_str_from(s->id));
    }
    if (d) closedir(d);
    clo_arena_free(&arena);
    if (ok && m->n == 0) ok = clo_fail(err, CLO_ERR_NOT_FOUND, "'%s' has no snapshots", m->o->source);
    if (ok && m->n > 1) qsort(m->steps, m->n, sizeof *m->steps, by_time);
    return ok;
}

/* Each snapshot is all that its commit has. Blobs are the repository's, or links to those of the whole cache. */
static bool open_cache(importing *m, clo_err *err)
{
    char path[4096], shared[4096], real[PATH_MAX];
    clo_import_place place = {.folder = path, .inside = real, .also = shared};
    if (m->found) return clo_fail(err, CLO_ERR_DENIED, "%s is there already: a cache becomes a new repository", m->out->repo.full);
    if (!realpath(m->o->source, real)) return clo_fail_sys(err, errno, "'%s'", m->o->source);
    bool ok = clo_path_join(shared, err, "%.*s/blobs", (int)(strrchr(real, '/') - real), real) && list_snapshots(m, err);
    for (size_t i = 0; ok && i < m->n; i++) {
        clo_import_folder *f = &m->steps[i].folder;
        ok = clo_path_join(path, err, "%s/snapshots/%s", real, m->steps[i].id) &&
             clo_import_folder_open(f, m->o, m->g, &place, err) && (i > 0 || add_attributes(m, f, err));
        for (size_t k = 0; ok && i > 0 && k < m->steps[i - 1].folder.n; k++)
            ok = clo_import_folder_drop(f, (const char *const[]){m->steps[i - 1].folder.rows[k].path}, 1, err);
    }
    return ok;
}

static const char *kind_of(const char *source)
{
    char path[4096];
    const char *name = strrchr(source, '/');
    name = name && name[1] ? name + 1 : source;
    bool dir = clo_path_is_dir(source);
    if (!dir) return clo_path_exists(source) ? "file" : NULL;
    if (clo_path_join(path, NULL, "%s/.git", source) && clo_path_exists(path)) return "clone";
    if (clo_path_join(path, NULL, "%s/objects", source) && clo_path_is_dir(path) && clo_path_join(path, NULL, "%s/HEAD", source) &&
        clo_path_exists(path))
        return "clone";
    if (strstr(name, "s--") && clo_path_join(path, NULL, "%s/snapshots", source) && clo_path_is_dir(path)) return "cache";
    return "folder";
}

bool clo_import_repo(clo_import_result *out, const clo_import_repo_opts *o, clo_err *err)
{
    importing m = {.o = o, .out = out};
    *out = (clo_import_result){.kind = kind_of(o->source)};
    if (!out->kind) return clo_fail(err, CLO_ERR_NOT_FOUND, "no file or folder '%s'", o->source);
    if (strcmp(out->kind, "clone") == 0) return clo_import_clone(out, o, err);
    bool ok = clo_home_find(&out->repo, &m.found, o->files.db, &o->home, err) &&
              clo_git_open(&m.g, o->files.db, m.found ? out->repo.id : 0, err);
    out->is_new = !m.found;
    ok = ok && (strcmp(out->kind, "cache") == 0 ? open_cache(&m, err) : open_plain(&m, strcmp(out->kind, "file") == 0, err)) &&
         write_all(&m, err);
    for (size_t i = 0; i < m.n; i++) clo_import_folder_close(&m.steps[i].folder);
    free(m.steps);
    clo_git_close(m.g);
    return ok;
}
