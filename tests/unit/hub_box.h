/* A store with two accounts and a repository, for tests of the hub; and the real git beside it. */
#ifndef CLO_TESTS_HUB_BOX_H
#define CLO_TESTS_HUB_BOX_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "hub/commit.h"
#include "hub/git_db.h"
#include "hub/refs.h"
#include "hub/repo.h"
#include "hub/revision.h"
#include "hub/tree.h"
#include "temp_folder.h"

#define HUB_NOW 1700000000
#define ALICE 1
#define LAB 2

typedef struct {
    char dir[64];
    clo_db *db;
    clo_repo repo;
    clo_git *g;
    clo_err err;
} hub_box;

#define must(call)                                                                                                     \
    do {                                                                                                               \
        if (!(call)) fail_msg("%s: %s", #call, b->err.text);                                                           \
    } while (0)

static inline void hub_exec(clo_db *db, const char *sql)
{
    clo_stmt q = {0};
    clo_err err = {0};
    bool row;
    if (!clo_stmt_open(&q, db, sql, &err) || !clo_stmt_step(&q, &row, &err)) fail_msg("%s", err.text);
    clo_stmt_close(&q);
}

static inline void hub_open_git(hub_box *b)
{
    clo_git_close(b->g);
    b->g = NULL;
    must(clo_git_open(&b->g, b->db, b->repo.id, &b->err));
}

static inline bool hub_make_repo(hub_box *b, clo_repo *out, clo_repo_type type, int64_t owner, const char *name)
{
    clo_repo_opts o = {.type = type, .owner = owner, .name = clo_str_from(name), .author = {"alice", "a@x.test"}};
    if (!clo_db_begin(b->db, &b->err)) return false;
    if (clo_repo_create(out, b->db, &o, HUB_NOW, &b->err)) return clo_db_commit(b->db, &b->err);
    clo_db_rollback(b->db);
    return false;
}

static inline int hub_set_up(void **state)
{
    hub_box *b = calloc(1, sizeof *b);
    temp_folder_make(b->dir);
    must(clo_db_open(&b->db, b->dir, &b->err));
    hub_exec(
        b->db,
        "INSERT INTO accounts (id, oid, name, kind, created) VALUES (1, '65f0c0ffee0000000000a11c', 'Alice', 'user', 0),"
        " (2, '65f0c0ffee0000000000000b', 'lab', 'org', 0)");
    must(hub_make_repo(b, &b->repo, CLO_REPO_MODEL, ALICE, "m"));
    hub_open_git(b);
    *state = b;
    return 0;
}

static inline int hub_tear_down(void **state)
{
    hub_box *b = *state;
    char command[128];
    clo_git_close(b->g);
    clo_db_close(b->db);
    snprintf(command, sizeof command, "rm -rf '%s'", b->dir);
    if (system(command) != 0) return -1;
    free(b);
    return 0;
}

static inline clo_op hub_file(const char *path, const char *text)
{
    return (clo_op){.kind = CLO_OP_FILE, .path = clo_str_from(path), .content = clo_bytes_of(clo_str_from(text))};
}

static inline bool hub_may_link(void *ctx, const clo_sha256 *sha256, int64_t *size, clo_err *err)
{
    (void)ctx;
    if (sha256->b[0] == 0xff) return clo_fail(err, CLO_ERR_DENIED, "no such file is yours");
    if (*size < 0) *size = 777;
    return true;
}

/* A commit of operations to a ref; the fault. */
static inline clo_commit_fault hub_commit_to(hub_box *b, clo_oid *out, const char *ref, const clo_op *ops, size_t n,
                                             const char *parent)
{
    clo_commit *c = NULL;
    clo_commit_result r = {0};
    clo_commit_opts o = {.ref = clo_str_from(ref),
                         .summary = CLO_STR("change"),
                         .parent = clo_str_from(parent ? parent : ""),
                         .author = {"alice", "a@x.test"},
                         .now_s = HUB_NOW + 1,
                         .may_link = hub_may_link};
    b->err = (clo_err){0};
    must(clo_commit_open(&c, b->g, &b->err));
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) ok = clo_commit_add(c, &ops[i], &b->err);
    ok = ok && clo_commit_make(&r, c, &o, &b->err);
    clo_commit_fault why = clo_commit_why(c);
    assert_int_equal(ok, why == CLO_COMMIT_OK);
    clo_commit_close(c);
    if (ok && out) *out = r.commit;
    if (!ok) hub_open_git(b);
    return why;
}

static inline clo_commit_fault hub_commit(hub_box *b, clo_oid *out, const clo_op *ops, size_t n)
{
    return hub_commit_to(b, out, "refs/heads/main", ops, n, NULL);
}

static inline clo_oid hub_main(hub_box *b)
{
    clo_oid oid = {{0}};
    must(clo_revision_find(&oid, b->g, CLO_STR("main"), &b->err));
    return oid;
}

static inline const char *hub_hex(const clo_oid *oid)
{
    static char hex[4][CLO_OID_HEX];
    static int i;
    i = (i + 1) % 4;
    clo_oid_hex(hex[i], oid);
    return hex[i];
}

/* The text of a file of a commit; "-" when it is not there. Overwritten by the next call. */
static inline const char *hub_text(hub_box *b, const clo_oid *commit, const char *path)
{
    static clo_buf text;
    static clo_entry e;
    text.len = 0;
    if (!clo_tree_entry(&e, b->g, commit, clo_str_from(path), NULL)) return "-";
    must(clo_blob_read(&text, b->g, &e.oid, &b->err));
    return text.ptr;
}

/* --- the real git -------------------------------------------------------------------------------------------------*/

/* Runs a shell command in b->dir; its output, without the last newline. */
static inline const char *hub_sh(hub_box *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline const char *hub_sh(hub_box *b, const char *fmt, ...)
{
    static char out[65536];
    char command[8192];
    int n = snprintf(command, sizeof command, "cd '%s' && export HOME='%s' GIT_CONFIG_NOSYSTEM=1 && ", b->dir, b->dir);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(command + n, sizeof command - (size_t)n, fmt, ap);
    va_end(ap);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    size_t len = fread(out, 1, sizeof out - 1, f);
    int rc = pclose(f);
    out[len] = '\0';
    while (len && out[len - 1] == '\n') out[--len] = '\0';
    if (rc != 0) fail_msg("%s: status %d: %s", command, rc, out);
    return out;
}

static inline void hub_write_loose(const char *objects, const clo_oid *oid, clo_git_kind kind, clo_str bytes)
{
    static const char *const names[] = {"", "commit", "tree", "blob", "tag"};
    char path[256];
    const char *hex = hub_hex(oid);
    char *raw = malloc(bytes.len + 64);
    size_t n = (size_t)snprintf(raw, 64, "%s %zu", names[kind], bytes.len) + 1; /* its NUL belongs to the header */
    memcpy(raw + n, bytes.ptr, bytes.len);
    uLongf len = compressBound(n + bytes.len);
    Bytef *z = malloc(len);
    assert_int_equal(compress2(z, &len, (Bytef *)raw, n + bytes.len, 1), Z_OK);
    snprintf(path, sizeof path, "%s/%.2s", objects, hex);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%.2s/%s", objects, hex, hex + 2);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(z, 1, len, f), len);
    fclose(f);
    free(z);
    free(raw);
}

static inline bool hub_write_ref(void *ctx, const clo_ref *ref, clo_err *err)
{
    (void)err;
    fprintf(ctx, "%s %s\n", hub_hex(&ref->target), ref->name);
    return true;
}

/* Writes the repository's rows as a bare repository b->dir/<name> and has git check it. */
static inline void hub_export(hub_box *b, const char *name)
{
    char path[128];
    clo_stmt q = {0};
    bool row = false;
    hub_sh(b, "rm -rf '%s' && git init -q --bare -b main '%s'", name, name);
    must(clo_stmt_open(&q, b->db, "SELECT oid FROM repo_objects WHERE repo = ?1", &b->err));
    must(clo_stmt_int(&q, 1, b->repo.id, &b->err));
    snprintf(path, sizeof path, "%s/%s/objects", b->dir, name);
    while (clo_stmt_step(&q, &row, &b->err) && row) {
        clo_buf bytes = {0};
        clo_oid oid;
        clo_git_kind kind;
        memcpy(oid.b, clo_stmt_get_blob(&q, 0).ptr, CLO_OID_BYTES);
        must(clo_git_read(&bytes, &kind, b->g, &oid, &b->err));
        hub_write_loose(path, &oid, kind, clo_buf_str(&bytes));
        clo_buf_free(&bytes);
    }
    clo_stmt_close(&q);
    snprintf(path, sizeof path, "%s/%s/packed-refs", b->dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    must(clo_ref_each(b->g, CLO_STR("refs/"), hub_write_ref, f, &b->err));
    fclose(f);
    const char *said = hub_sh(b, "git -C '%s' fsck --strict --full --no-dangling 2>&1", name);
    assert_string_equal(said, "");
}

#endif
