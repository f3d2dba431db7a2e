/* See git_db.h. The repository that libgit2 sees has no folder: its objects come from git_odb.c, its configuration is
 * empty, so that no file of this machine's users has a say. */
#include "hub/git_db.h"

#include <git2/sys/repository.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "hub/git_impl.h"

#define DEFLATE_LEVEL 6
#define STAGED_MAX 1000000 /* objects of one commit or push */
#define PREFIX_DIGITS_MIN 4
#define EMAIL_MAX 320

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int init_rc;

/* No file of the machine or of a user's has a say in what a merge or a diff makes. */
static void init(void)
{
    static const git_config_level_t levels[] = {GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL,
                                                GIT_CONFIG_LEVEL_PROGRAMDATA};
    init_rc = git_libgit2_init();
    for (size_t i = 0; init_rc >= 0 && i < sizeof levels / sizeof levels[0]; i++) {
        int rc = git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "");
        if (rc < 0) init_rc = rc;
    }
}

bool clo_git_fail(clo_err *err, int rc, const char *doing)
{
    const git_error *e = git_error_last();
    clo_code code = rc == GIT_ENOTFOUND ? CLO_ERR_NOT_FOUND : rc == GIT_EAMBIGUOUS ? CLO_ERR_USAGE : CLO_ERR_FORMAT;
    if (e && e->klass == GIT_ERROR_NOMEMORY) code = CLO_ERR_MEMORY;
    return clo_fail(err, code, "%s: %s", doing, e && e->message ? e->message : "git refused");
}

bool clo_git_commit_tree(git_tree **out, clo_git *g, const clo_oid *commit, clo_err *err)
{
    git_commit *c = NULL;
    git_oid id = clo_git_oid(commit);
    int rc = git_commit_lookup(&c, g->git, &id);
    if (rc == 0) rc = git_commit_tree(out, c);
    git_commit_free(c);
    return rc == 0 || clo_git_fail(err, rc, "commit");
}

/* --- the handle ---------------------------------------------------------------------------------------------------*/

static bool open_git(clo_git *g, clo_err *err)
{
    git_config *config = NULL;
    git_odb_backend *b = NULL;
    int rc = git_repository_new(&g->git);
    if (rc == 0) rc = git_repository_set_bare(g->git);
    if (rc == 0) rc = git_config_new(&config);
    if (rc == 0) rc = git_repository_set_config(g->git, config);
    if (rc == 0) rc = git_odb_new(&g->odb);
    if (rc == 0 && !(b = clo_git_backend(g))) rc = GIT_ERROR;
    if (rc == 0 && (rc = git_odb_add_backend(g->odb, b, 1)) < 0) b->free(b);
    if (rc == 0) rc = git_repository_set_odb(g->git, g->odb);
    git_config_free(config);
    return rc == 0 || clo_git_fail(err, rc, "open a repository");
}

#define OF_REPO " FROM repo_objects m JOIN git_objects o ON o.oid = m.oid WHERE m.repo = ?1 AND m.oid = ?2"

bool clo_git_open(clo_git **out, clo_db *db, int64_t repo, clo_err *err)
{
    *out = NULL;
    pthread_once(&once, init);
    if (init_rc < 0) return clo_git_fail(err, init_rc, "libgit2");
    clo_git *g = calloc(1, sizeof *g);
    if (!g) return clo_fail(err, CLO_ERR_MEMORY, "repository");
    g->db = db;
    g->repo = repo;
    if (open_git(g, err) && clo_stmt_open(&g->read, db, "SELECT o.type, o.size, o.data" OF_REPO, err) &&
        clo_stmt_open(&g->head, db, "SELECT o.type, o.size" OF_REPO, err) &&
        clo_stmt_open(&g->prefix, db, "SELECT oid FROM repo_objects WHERE repo = ?1 AND oid BETWEEN ?2 AND ?3 LIMIT 2",
                      err)) {
        *out = g;
        return true;
    }
    clo_git_close(g);
    return false;
}

void clo_git_close(clo_git *g)
{
    if (!g) return;
    git_repository_free(g->git);
    git_odb_free(g->odb);
    clo_stmt_close(&g->read);
    clo_stmt_close(&g->head);
    clo_stmt_close(&g->prefix);
    for (size_t i = 0; i < g->n_staged; i++) free(g->staged[i].data);
    free(g->staged);
    free(g->slots);
    free(g);
}

void clo_git_become(clo_git *g, int64_t repo)
{
    g->repo = repo;
}

clo_db *clo_git_store(clo_git *g)
{
    return g->db;
}

int64_t clo_git_repo(const clo_git *g)
{
    return g->repo;
}

size_t clo_git_staged_bytes(const clo_git *g)
{
    return g->staged_bytes;
}

/* --- staging ------------------------------------------------------------------------------------------------------*/

/* The slot that has the object, or the free one where it would go. An object's name is as good a hash as any. */
static size_t slot_of(const clo_git *g, const clo_oid *oid)
{
    uint64_t h;
    memcpy(&h, oid->b, sizeof h);
    size_t i = (size_t)h & (g->n_slots - 1);
    while (g->slots[i] && !clo_oid_eq(&g->staged[g->slots[i] - 1].oid, oid)) i = (i + 1) & (g->n_slots - 1);
    return i;
}

const clo_staged *clo_git_find_staged(const clo_git *g, const clo_oid *oid)
{
    if (g->n_slots == 0) return NULL;
    size_t i = slot_of(g, oid);
    return g->slots[i] ? &g->staged[g->slots[i] - 1] : NULL;
}

/* Room for one more, the table at most half full. */
static bool grow(clo_git *g, clo_err *err)
{
    if (g->n_staged >= STAGED_MAX) return clo_fail(err, CLO_ERR_LIMIT, "more than %d objects at once", STAGED_MAX);
    if (g->n_staged == g->cap_staged) {
        size_t cap = g->cap_staged ? 2 * g->cap_staged : 64;
        clo_staged *rows = realloc(g->staged, cap * sizeof *rows);
        if (!rows) return clo_fail(err, CLO_ERR_MEMORY, "staged objects");
        g->staged = rows;
        g->cap_staged = cap;
    }
    if (2 * (g->n_staged + 1) <= g->n_slots) return true;
    size_t n = g->n_slots ? 2 * g->n_slots : 256;
    uint32_t *slots = calloc(n, sizeof *slots);
    if (!slots) return clo_fail(err, CLO_ERR_MEMORY, "staged objects");
    free(g->slots);
    g->slots = slots;
    g->n_slots = n;
    for (size_t i = 0; i < g->n_staged; i++) g->slots[slot_of(g, &g->staged[i].oid)] = (uint32_t)i + 1;
    return true;
}

static bool deflate_into(clo_staged *s, clo_bytes bytes, clo_err *err)
{
    uLongf n = compressBound((uLong)bytes.len);
    uint8_t *p = malloc(n);
    if (!p || compress2(p, &n, bytes.len ? bytes.ptr : (const Bytef *)"", (uLong)bytes.len, DEFLATE_LEVEL) != Z_OK) {
        free(p);
        return clo_fail(err, CLO_ERR_MEMORY, "object of %zu bytes", bytes.len);
    }
    uint8_t *less = realloc(p, n);
    s->data = less ? less : p;
    s->data_len = n;
    return true;
}

/* s->data becomes the store's, or is freed. */
static bool stage(clo_git *g, clo_staged s, clo_err *err)
{
    bool ok = s.data_len <= CLO_GIT_STAGED_MAX - g->staged_bytes ||
              clo_fail(err, CLO_ERR_LIMIT, "more than %zu bytes at once, deflated", CLO_GIT_STAGED_MAX);
    if (!ok || !grow(g, err)) {
        free(s.data);
        return false;
    }
    g->staged[g->n_staged] = s;
    g->slots[slot_of(g, &s.oid)] = (uint32_t)++g->n_staged;
    g->staged_bytes += s.data_len;
    return true;
}

bool clo_git_stage(clo_git *g, const clo_oid *oid, clo_git_kind kind, clo_bytes bytes, clo_err *err)
{
    clo_staged s = {.oid = *oid, .kind = kind, .size = bytes.len};
    if (clo_git_has(g, oid)) return true;
    if (bytes.len > CLO_GIT_OBJECT_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "an object of %zu bytes, limit %zu", bytes.len, CLO_GIT_OBJECT_MAX);
    return deflate_into(&s, bytes, err) && stage(g, s, err);
}

bool clo_git_stage_deflated(clo_git *g, const clo_oid *oid, clo_git_kind kind, size_t size, clo_bytes deflated,
                            clo_err *err)
{
    clo_staged s = {.oid = *oid, .kind = kind, .size = size, .data_len = deflated.len};
    if (clo_git_has(g, oid)) return true;
    s.data = malloc(deflated.len ? deflated.len : 1);
    if (!s.data) return clo_fail(err, CLO_ERR_MEMORY, "object");
    memcpy(s.data, deflated.ptr, deflated.len);
    return stage(g, s, err);
}

bool clo_git_put(clo_oid *out, clo_git *g, clo_git_kind kind, clo_bytes bytes, clo_err *err)
{
    git_oid id;
    int rc = git_odb_hash(&id, bytes.len ? (const void *)bytes.ptr : "", bytes.len, (git_object_t)kind);
    if (rc < 0) return clo_git_fail(err, rc, "name an object");
    *out = clo_oid_of(&id);
    return clo_git_stage(g, out, kind, bytes, err);
}

static bool insert(clo_stmt *object, clo_stmt *member, clo_git *g, const clo_staged *s, clo_err *err)
{
    clo_bytes oid = {s->oid.b, CLO_OID_BYTES};
    bool row;
    clo_stmt_reset(object);
    clo_stmt_reset(member);
    return clo_stmt_blob(object, 1, oid, err) && clo_stmt_int(object, 2, s->kind, err) &&
           clo_stmt_int(object, 3, (int64_t)s->size, err) &&
           clo_stmt_blob(object, 4, (clo_bytes){s->data, s->data_len}, err) && clo_stmt_step(object, &row, err) &&
           clo_stmt_int(member, 1, g->repo, err) && clo_stmt_blob(member, 2, oid, err) &&
           clo_stmt_step(member, &row, err);
}

/* It may have been deleted while its objects were on their way. */
static bool still_there(clo_git *g, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, g->db, "SELECT 1 FROM repos WHERE id = ?1", err) && clo_stmt_int(&q, 1, g->repo, err) &&
              clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok && (row || clo_fail(err, CLO_ERR_NOT_FOUND, "no such repository"));
}

bool clo_git_flush(clo_git *g, clo_err *err)
{
    clo_stmt object = {0}, member = {0};
    if (!clo_db_writing(g->db)) return clo_fail(err, CLO_ERR_USAGE, "objects are written in a transaction");
    if (!still_there(g, err)) return false;
    bool ok =
        clo_stmt_open(&object, g->db,
                      "INSERT INTO git_objects (oid, type, size, data) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                      err) &&
        clo_stmt_open(&member, g->db, "INSERT INTO repo_objects (repo, oid) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                      err);
    for (size_t i = 0; ok && i < g->n_staged; i++) ok = insert(&object, &member, g, &g->staged[i], err);
    clo_stmt_close(&object);
    clo_stmt_close(&member);
    if (!ok) return false;
    for (size_t i = 0; i < g->n_staged; i++) free(g->staged[i].data);
    if (g->n_slots) memset(g->slots, 0, g->n_slots * sizeof *g->slots);
    g->n_staged = g->staged_bytes = 0;
    return true;
}

/* --- reading ------------------------------------------------------------------------------------------------------*/

static bool absent(clo_err *err, const clo_oid *oid)
{
    char hex[CLO_OID_HEX];
    clo_oid_hex(hex, oid);
    return clo_fail(err, CLO_ERR_NOT_FOUND, "no object %s", hex);
}

static bool ask(clo_stmt *q, clo_git *g, const clo_oid *oid, clo_err *err)
{
    bool row = false;
    clo_stmt_reset(q);
    if (!clo_stmt_int(q, 1, g->repo, err) || !clo_stmt_blob(q, 2, (clo_bytes){oid->b, CLO_OID_BYTES}, err) ||
        !clo_stmt_step(q, &row, err))
        return false;
    return row || absent(err, oid);
}

static bool sound(int64_t kind, int64_t size, const clo_oid *oid, clo_err *err)
{
    char hex[CLO_OID_HEX];
    if (kind >= CLO_GIT_COMMIT && kind <= CLO_GIT_TAG && size >= 0 && (uint64_t)size <= CLO_GIT_OBJECT_MAX) return true;
    clo_oid_hex(hex, oid);
    return clo_fail(err, CLO_ERR_DAMAGED, "object %s: kind %lld, %lld bytes", hex, (long long)kind, (long long)size);
}

bool clo_git_row_get(clo_git_row *out, clo_git *g, const clo_oid *oid, clo_err *err)
{
    const clo_staged *s = clo_git_find_staged(g, oid);
    if (s) {
        *out = (clo_git_row){s->kind, s->size, {s->data, s->data_len}};
        return true;
    }
    if (!ask(&g->read, g, oid, err)) return false;
    int64_t kind = clo_stmt_get_int(&g->read, 0), size = clo_stmt_get_int(&g->read, 1);
    *out = (clo_git_row){(clo_git_kind)kind, (uint64_t)size, clo_stmt_get_blob(&g->read, 2)};
    if (sound(kind, size, oid, err)) return true;
    clo_git_row_done(g);
    return false;
}

void clo_git_row_done(clo_git *g)
{
    clo_stmt_reset(&g->read);
}

bool clo_git_inflate(void *out, const clo_git_row *row, const clo_oid *oid, clo_err *err)
{
    char hex[CLO_OID_HEX];
    uLongf n = (uLongf)row->size;
    Bytef nothing;
    int rc = uncompress(n ? out : &nothing, &n, row->deflated.ptr, (uLong)row->deflated.len);
    if (rc == Z_OK && n == row->size) return true;
    clo_oid_hex(hex, oid);
    return clo_fail(err, CLO_ERR_DAMAGED, "object %s does not inflate to its %llu bytes", hex,
                    (unsigned long long)row->size);
}

bool clo_git_head(clo_git_kind *kind, uint64_t *size, clo_git *g, const clo_oid *oid, clo_err *err)
{
    const clo_staged *s = clo_git_find_staged(g, oid);
    if (s) {
        *kind = s->kind;
        *size = s->size;
        return true;
    }
    bool ok =
        ask(&g->head, g, oid, err) && sound(clo_stmt_get_int(&g->head, 0), clo_stmt_get_int(&g->head, 1), oid, err);
    if (ok) {
        *kind = (clo_git_kind)clo_stmt_get_int(&g->head, 0);
        *size = (uint64_t)clo_stmt_get_int(&g->head, 1);
    }
    clo_stmt_reset(&g->head);
    return ok;
}

bool clo_git_has(clo_git *g, const clo_oid *oid)
{
    clo_git_kind kind;
    uint64_t size;
    return clo_git_head(&kind, &size, g, oid, NULL);
}

bool clo_git_read(clo_buf *out, clo_git_kind *kind, clo_git *g, const clo_oid *oid, clo_err *err)
{
    clo_git_row row;
    git_oid id, want = clo_git_oid(oid);
    char hex[CLO_OID_HEX];
    if (!clo_git_row_get(&row, g, oid, err)) return false;
    char *p = clo_buf_reserve(out, (size_t)row.size + 1);
    bool ok = p ? clo_git_inflate(p, &row, oid, err) : clo_buf_ok(out, err);
    clo_git_row_done(g);
    if (!ok) return false;
    if (git_odb_hash(&id, p, (size_t)row.size, (git_object_t)row.kind) < 0 || git_oid_cmp(&id, &want) != 0) {
        clo_oid_hex(hex, oid);
        return clo_fail(err, CLO_ERR_DAMAGED, "object %s has other bytes", hex);
    }
    p[row.size] = '\0';
    out->len += (size_t)row.size;
    *kind = row.kind;
    return true;
}

/* The lowest and the highest name that begin with the digits. */
static bool range_of(clo_oid *low, clo_oid *high, clo_str hex)
{
    char a[CLO_OID_HEX], b[CLO_OID_HEX];
    if (hex.len < PREFIX_DIGITS_MIN || hex.len > 2 * CLO_OID_BYTES) return false;
    memset(a, '0', sizeof a);
    memset(b, 'f', sizeof b);
    memcpy(a, hex.ptr, hex.len);
    memcpy(b, hex.ptr, hex.len);
    return clo_oid_parse(low, (clo_str){a, 2 * CLO_OID_BYTES}) && clo_oid_parse(high, (clo_str){b, 2 * CLO_OID_BYTES});
}

bool clo_git_find_prefix(clo_oid *out, clo_git *g, clo_str hex, clo_err *err)
{
    clo_oid low, high, found = {{0}};
    clo_stmt *q = &g->prefix;
    size_t n = 0;
    bool row = false;
    if (!range_of(&low, &high, hex))
        return clo_fail(err, CLO_ERR_NOT_FOUND, "no object '" CLO_STR_FMT "'", CLO_STR_ARG(hex));
    for (size_t i = 0; i < g->n_staged; i++) {
        const uint8_t *b = g->staged[i].oid.b;
        if (memcmp(b, low.b, CLO_OID_BYTES) < 0 || memcmp(b, high.b, CLO_OID_BYTES) > 0) continue;
        found = g->staged[i].oid;
        n++;
    }
    clo_stmt_reset(q);
    bool ok = clo_stmt_int(q, 1, g->repo, err) && clo_stmt_blob(q, 2, (clo_bytes){low.b, CLO_OID_BYTES}, err) &&
              clo_stmt_blob(q, 3, (clo_bytes){high.b, CLO_OID_BYTES}, err);
    while (ok && (ok = clo_stmt_step(q, &row, err)) && row) {
        clo_bytes b = clo_stmt_get_blob(q, 0);
        if (b.len == CLO_OID_BYTES) memcpy(found.b, b.ptr, CLO_OID_BYTES);
        n++;
    }
    clo_stmt_reset(q);
    if (!ok) return false;
    if (n == 0) return clo_fail(err, CLO_ERR_NOT_FOUND, "no object '" CLO_STR_FMT "'", CLO_STR_ARG(hex));
    if (n > 1) return clo_fail(err, CLO_ERR_USAGE, "several objects begin with '" CLO_STR_FMT "'", CLO_STR_ARG(hex));
    *out = found;
    return true;
}

/* --- whole repositories -------------------------------------------------------------------------------------------*/

#define OF_NO_REPO "FROM git_objects WHERE oid NOT IN (SELECT oid FROM repo_objects)"

bool clo_git_count_unneeded(int64_t *n, clo_db *db, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    bool ok = clo_stmt_open(&q, db, "SELECT count(*) " OF_NO_REPO, err) && clo_stmt_step(&q, &row, err);
    *n = ok && row ? clo_stmt_get_int(&q, 0) : 0;
    clo_stmt_close(&q);
    return ok;
}

bool clo_git_sweep(int64_t *n, clo_db *db, clo_err *err)
{
    clo_stmt q = {0};
    bool row = false;
    *n = 0;
    if (!clo_db_begin(db, err)) return false;
    bool ok = clo_stmt_open(&q, db, "DELETE " OF_NO_REPO " RETURNING 1", err);
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row) ++*n;
    clo_stmt_close(&q);
    if (ok) return clo_db_commit(db, err);
    clo_db_rollback(db);
    return false;
}

/* --- commits ------------------------------------------------------------------------------------------------------*/

bool clo_git_add_signature(clo_buf *out, const char *role, const clo_author *by, int64_t now_s, clo_err *err)
{
    git_signature *who = NULL;
    char email[EMAIL_MAX];
    bool has_email = by->email && by->email[0];
    snprintf(email, sizeof email, "%s%s", has_email ? by->email : by->name, has_email ? "" : "@localhost");
    int rc = git_signature_new(&who, by->name, email, (git_time_t)now_s, 0);
    if (rc < 0) return clo_git_fail(err, rc, "author");
    clo_buf_addf(out, "%s %s <%s> %lld +0000\n", role, who->name, who->email, (long long)now_s);
    git_signature_free(who);
    return true;
}

bool clo_git_put_commit(clo_oid *out, clo_git *g, const struct clo_commit_parts *p, clo_err *err)
{
    clo_buf text = {.max = CLO_GIT_OBJECT_MAX};
    char hex[CLO_OID_HEX];
    clo_oid_hex(hex, &p->tree);
    clo_buf_addf(&text, "tree %s\n", hex);
    for (size_t i = 0; i < p->n_parents; i++) {
        clo_oid_hex(hex, &p->parents[i]);
        clo_buf_addf(&text, "parent %s\n", hex);
    }
    bool ok = clo_git_add_signature(&text, "author", p->by, p->now_s, err) &&
              clo_git_add_signature(&text, "committer", p->by, p->now_s, err);
    clo_buf_add_char(&text, '\n');
    for (size_t i = 0; i < p->message.len; i++)
        if (p->message.ptr[i]) clo_buf_add_char(&text, p->message.ptr[i]);
    ok = ok && clo_buf_ok(&text, err) && clo_git_put(out, g, CLO_GIT_COMMIT, clo_bytes_of(clo_buf_str(&text)), err);
    clo_buf_free(&text);
    return ok;
}
