/* The check of what repositories hold: each kind of damage is found and named, and only that; the sweep of git objects. */
#include "hub/git_check.h"

#include "hub_box.h"

/* What the check said: "kind name: what" lines. */
typedef struct {
    char text[8192];
    clo_git_check_counts n;
} findings;

static bool note(void *ctx, const char *kind, const char *name, const char *what)
{
    findings *f = ctx;
    size_t len = strlen(f->text);
    snprintf(f->text + len, sizeof f->text - len, "%s %s: %s\n", kind, name, what);
    return true;
}

static const char *check(hub_box *b)
{
    static findings f;
    clo_files files = {.db = b->db, .data_dir = b->dir};
    f = (findings){0};
    must(clo_git_check(&f.n, &files, note, &f, &b->err));
    size_t n_lines = 0;
    for (const char *p = f.text; (p = strchr(p, '\n')); p++) n_lines++;
    assert_int_equal(n_lines, f.n.faults);
    return f.text;
}

/* Of a text that the check said: so many faults, each with all of the words. */
static void says(const char *text, size_t n_lines, const char *a, const char *c)
{
    size_t n = 0;
    for (const char *p = text; (p = strchr(p, '\n')); p++) n++;
    if (n != n_lines || (a && !strstr(text, a)) || (c && !strstr(text, c))) fail_msg("%zu faults with '%s', '%s' expected:\n%s", n_lines, a, c, text);
}

/* a.txt, sub/b.txt and a large file's pointer, whose file is there; the oid of a.txt. */
static clo_oid fill(hub_box *b, clo_oid *commit)
{
    clo_op ops[] = {hub_file("a.txt", "one\n"), hub_file("sub/b.txt", "two\n"),
                    {.kind = CLO_OP_LFS, .path = CLO_STR("w.bin"), .sha256 = {{7}}, .size = 777}};
    clo_entry e;
    assert_int_equal(hub_commit(b, commit, ops, sizeof ops / sizeof ops[0]), CLO_COMMIT_OK);
    hub_exec(b->db, "INSERT INTO files (sha256, size, whole, created) VALUES (x'07" /* and 31 zeros */
                    "00000000000000000000000000000000000000000000000000000000000000', 777, 1, 0)");
    hub_exec(b->db, "INSERT INTO repo_files (repo, sha256) SELECT 1, sha256 FROM files");
    must(clo_tree_entry(&e, b->g, commit, CLO_STR("a.txt"), &b->err));
    assert_string_equal(check(b), "");
    return e.oid;
}

static void change(hub_box *b, const char *fmt, const clo_oid *oid)
{
    char sql[512];
    snprintf(sql, sizeof sql, fmt, hub_hex(oid));
    hub_exec(b->db, sql);
    hub_open_git(b); /* which remembers objects */
}

static void a_changed_byte_of_an_object_is_named(void **state)
{
    hub_box *b = *state;
    clo_oid commit, blob = fill(b, &commit);
    clo_stmt q = {0};
    bool row = false;
    uint8_t bytes[256];
    must(clo_stmt_open(&q, b->db, "SELECT data FROM git_objects WHERE oid = ?1", &b->err));
    must(clo_stmt_blob(&q, 1, (clo_bytes){blob.b, CLO_OID_BYTES}, &b->err) && clo_stmt_step(&q, &row, &b->err));
    clo_bytes data = clo_stmt_get_blob(&q, 0);
    size_t n = data.len;
    assert_in_range(n, 5, sizeof bytes);
    memcpy(bytes, data.ptr, n);
    clo_stmt_close(&q);
    size_t n_found = 0;
    for (size_t i = 0; i < n; i++) {
        bytes[i] ^= 0x10;
        must(clo_stmt_open(&q, b->db, "UPDATE git_objects SET data = ?2 WHERE oid = ?1", &b->err));
        must(clo_stmt_blob(&q, 1, (clo_bytes){blob.b, CLO_OID_BYTES}, &b->err) && clo_stmt_blob(&q, 2, (clo_bytes){bytes, n}, &b->err));
        must(clo_stmt_step(&q, &row, &b->err));
        clo_stmt_close(&q);
        hub_open_git(b);
        const char *text = check(b);
        if (text[0]) says(text, 1, "object Alice/m", hub_hex(&blob));
        else assert_string_equal(hub_text(b, &commit, "a.txt"), "one\n"); /* bits that fill the last byte stand for nothing */
        n_found += text[0] != '\0';
        bytes[i] ^= 0x10;
    }
    assert_in_range(n_found, n - 1, n);
}

static void an_object_that_is_gone_is_named(void **state)
{
    hub_box *b = *state;
    clo_oid commit, blob = fill(b, &commit);
    change(b, "DELETE FROM git_objects WHERE oid = x'%s'", &blob);
    says(check(b), 2, "object Alice/m 5626abf", "ref Alice/m refs/heads/main: leads to 5626abf");
    change(b, "DELETE FROM repo_objects WHERE oid = x'%s'", &blob); /* it is not even known to have been there */
    says(check(b), 1, "ref Alice/m refs/heads/main: ", hub_hex(&blob));
}

static void a_folder_that_is_gone_is_named(void **state)
{
    hub_box *b = *state;
    clo_oid commit;
    clo_entry e;
    fill(b, &commit);
    must(clo_tree_entry(&e, b->g, &commit, CLO_STR("sub"), &b->err));
    change(b, "DELETE FROM repo_objects WHERE oid = x'%s'", &e.oid);
    says(check(b), 1, "ref Alice/m refs/heads/main: ", hub_hex(&e.oid));
}

static void a_ref_that_leads_nowhere_is_named(void **state)
{
    hub_box *b = *state;
    clo_oid commit, none = {{0x11, 0x22}};
    fill(b, &commit);
    change(b, "INSERT INTO refs (repo, name, target) VALUES (1, 'refs/heads/lost', x'%s')", &none);
    says(check(b), 1, "ref Alice/m refs/heads/lost: ", hub_hex(&none));
    change(b, "DELETE FROM refs WHERE target = x'%s'", &none);
    assert_string_equal(check(b), "");
    change(b, "DELETE FROM repo_objects WHERE oid = x'%s'", &commit);
    says(check(b), 1, "ref Alice/m refs/heads/main: ", hub_hex(&commit));
}

static void another_repository_s_objects_are_not_its_own(void **state)
{
    hub_box *b = *state;
    clo_oid commit;
    clo_repo other;
    fill(b, &commit);
    must(hub_make_repo(b, &other, CLO_REPO_DATASET, LAB, "d"));
    change(b, "UPDATE refs SET target = x'%s' WHERE repo = 2", &commit);
    says(check(b), 1, "ref dataset lab/d refs/heads/main: ", hub_hex(&commit));
}

static void a_large_file_that_is_gone_or_of_another_size_is_named(void **state)
{
    hub_box *b = *state;
    clo_oid commit;
    fill(b, &commit);
    hub_exec(b->db, "UPDATE files SET size = 778");
    says(check(b), 1, "pointer Alice/m 07000000", "another size");
    hub_exec(b->db, "DELETE FROM repo_files");
    says(check(b), 1, "pointer Alice/m 07000000", "not here");
}

static void a_sweep_takes_objects_of_no_repository_alone(void **state)
{
    hub_box *b = *state;
    clo_oid commit, orphan = {{0x33}};
    int64_t n = 0;
    fill(b, &commit);
    must(clo_git_sweep(&n, b->db, &b->err));
    assert_int_equal(n, 0);
    change(b, "INSERT INTO git_objects SELECT x'%s', type, size, data FROM git_objects LIMIT 1", &orphan);
    assert_string_equal(check(b), ""); /* nobody sees it */
    must(clo_git_count_unneeded(&n, b->db, &b->err));
    assert_int_equal(n, 1);
    must(clo_git_sweep(&n, b->db, &b->err));
    assert_int_equal(n, 1);
    hub_open_git(b);
    assert_string_equal(check(b), "");
    assert_string_equal(hub_text(b, &commit, "sub/b.txt"), "two\n");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, hub_set_up, hub_tear_down)
    const struct CMUnitTest tests[] = {
        T(a_changed_byte_of_an_object_is_named),
        T(an_object_that_is_gone_is_named),
        T(a_folder_that_is_gone_is_named),
        T(a_ref_that_leads_nowhere_is_named),
        T(another_repository_s_objects_are_not_its_own),
        T(a_large_file_that_is_gone_or_of_another_size_is_named),
        T(a_sweep_takes_objects_of_no_repository_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
