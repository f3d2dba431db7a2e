/* Git objects and refs as rows: what is stored is git's, a repository sees its own, a transaction is whole. */
#include "hub_box.h"

#include <git2.h>

#include "hub/git_impl.h"

static clo_str slice(const char *s)
{
    return clo_str_from(s);
}

static void an_object_has_the_name_that_git_gives_it(void **state)
{
    hub_box *b = *state;
    static const char *const texts[] = {"", "a", "hello\n", "\xff\xfe not text"};
    for (size_t i = 0; i < 4; i++) {
        clo_oid oid;
        char path[128];
        must(clo_git_put(&oid, b->g, CLO_GIT_BLOB, clo_bytes_of(slice(texts[i])), &b->err));
        snprintf(path, sizeof path, "%s/f", b->dir);
        FILE *f = fopen(path, "wb");
        fputs(texts[i], f);
        fclose(f);
        assert_string_equal(hub_hex(&oid), hub_sh(b, "git hash-object f"));
    }
}

static void staged_objects_are_seen_by_their_handle_alone_and_rows_by_their_repository(void **state)
{
    hub_box *b = *state;
    clo_git *other = NULL, *same = NULL;
    clo_repo two;
    clo_oid oid;
    clo_git_kind kind;
    clo_buf text = {0};
    must(hub_make_repo(b, &two, CLO_REPO_MODEL, ALICE, "two"));
    must(clo_git_open(&other, b->db, two.id, &b->err) && clo_git_open(&same, b->db, b->repo.id, &b->err));
    must(clo_git_put(&oid, b->g, CLO_GIT_BLOB, clo_bytes_of(CLO_STR("secret")), &b->err));
    assert_true(clo_git_has(b->g, &oid) && !clo_git_has(same, &oid) && !clo_git_has(other, &oid));
    must(clo_db_begin(b->db, &b->err) && clo_git_flush(b->g, &b->err) && clo_db_commit(b->db, &b->err));
    assert_int_equal(clo_git_staged_bytes(b->g), 0);
    assert_true(clo_git_has(b->g, &oid) && clo_git_has(same, &oid));
    assert_false(clo_git_has(other, &oid));
    assert_false(clo_git_read(&text, &kind, other, &oid, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
    assert_false(clo_git_find_prefix(&oid, other, (clo_str){hub_hex(&oid), 8}, &b->err));
    must(clo_git_read(&text, &kind, same, &oid, &b->err));
    assert_string_equal(text.ptr, "secret");
    assert_int_equal(kind, CLO_GIT_BLOB);
    /* Whoever brings the same bytes has the object, too. */
    must(clo_git_put(&oid, other, CLO_GIT_BLOB, clo_bytes_of(CLO_STR("secret")), &b->err));
    must(clo_db_begin(b->db, &b->err) && clo_git_flush(other, &b->err) && clo_db_commit(b->db, &b->err));
    assert_true(clo_git_has(other, &oid));
    clo_buf_free(&text);
    clo_git_close(other);
    clo_git_close(same);
}

static void what_is_rolled_back_never_was(void **state)
{
    hub_box *b = *state;
    clo_oid oid, main = hub_main(b), at;
    bool found;
    must(clo_git_put(&oid, b->g, CLO_GIT_BLOB, clo_bytes_of(CLO_STR("x")), &b->err));
    assert_false(clo_git_flush(b->g, &b->err)); /* no transaction */
    assert_int_equal(b->err.code, CLO_ERR_USAGE);
    assert_false(clo_ref_set(b->g, CLO_STR("refs/heads/x"), &main, NULL, &b->err));
    must(clo_db_begin(b->db, &b->err) && clo_git_flush(b->g, &b->err) &&
         clo_ref_set(b->g, CLO_STR("refs/heads/x"), &main, NULL, &b->err));
    clo_db_rollback(b->db);
    hub_open_git(b);
    assert_false(clo_git_has(b->g, &oid));
    must(clo_ref_get(&at, &found, b->g, CLO_STR("refs/heads/x"), &b->err));
    assert_false(found);
}

static void damage_is_told(void **state)
{
    hub_box *b = *state;
    static const char *const sql[] = {
        "UPDATE git_objects SET data = x'00' WHERE type = 3",
        "UPDATE git_objects SET size = size + 1 WHERE type = 3",
        "UPDATE git_objects SET size = -1 WHERE type = 3",
        "UPDATE git_objects SET type = 9 WHERE type = 3",
        "UPDATE git_objects SET type = 2 WHERE type = 3",
        "UPDATE git_objects SET (size, data) = (SELECT size, data FROM git_objects WHERE type = 1) WHERE type = 3",
    };
    static clo_entry e;
    clo_oid main = hub_main(b);
    must(clo_tree_entry(&e, b->g, &main, CLO_STR(".gitattributes"), &b->err));
    for (size_t i = 0; i < sizeof sql / sizeof sql[0]; i++) {
        clo_buf text = {0};
        clo_git_kind kind;
        hub_exec(b->db, "CREATE TABLE kept AS SELECT * FROM git_objects");
        hub_exec(b->db, sql[i]);
        hub_open_git(b);
        if (clo_git_read(&text, &kind, b->g, &e.oid, &b->err)) fail_msg("not noticed: %s", sql[i]);
        assert_int_equal(b->err.code, CLO_ERR_DAMAGED);
        clo_buf_free(&text);
        hub_exec(b->db, "DELETE FROM git_objects");
        hub_exec(b->db, "INSERT INTO git_objects SELECT * FROM kept");
        hub_exec(b->db, "DROP TABLE kept");
    }
}

static void prefixes_name_one_object_or_none(void **state)
{
    hub_box *b = *state;
    clo_oid main = hub_main(b), got, one;
    char hex[CLO_OID_HEX];
    clo_oid_hex(hex, &main);
    for (size_t n = 8; n <= 40; n++) {
        must(clo_git_find_prefix(&got, b->g, (clo_str){hex, n}, &b->err));
        assert_true(clo_oid_eq(&got, &main));
    }
    assert_false(clo_git_find_prefix(&got, b->g, (clo_str){hex, 3}, &b->err));
    assert_false(clo_git_find_prefix(&got, b->g, CLO_STR("zzzzzzz"), &b->err));
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
    /* Two that begin with the same four digits, of which one is a row and one is staged. */
    for (int i = 0; i < 1000000; i++) {
        char text[16];
        git_oid id;
        snprintf(text, sizeof text, "%d", i);
        git_odb_hash(&id, text, strlen(text), GIT_OBJECT_BLOB);
        if (memcmp(id.id, main.b, 2) != 0) continue;
        must(clo_git_put(&one, b->g, CLO_GIT_BLOB, clo_bytes_of(slice(text)), &b->err));
        assert_false(clo_git_find_prefix(&got, b->g, (clo_str){hex, 4}, &b->err));
        assert_int_equal(b->err.code, CLO_ERR_USAGE);
        return;
    }
    fail_msg("no second object was found");
}

static void a_ref_moves_only_from_where_it_is_said_to_be(void **state)
{
    hub_box *b = *state;
    clo_oid a = {{1}}, c = {{2}}, zero = {{0}}, got;
    bool found;
    clo_str x = CLO_STR("refs/heads/x");
    must(clo_db_begin(b->db, &b->err));
    assert_false(clo_ref_set(b->g, x, &a, &c, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_MISMATCH);
    must(clo_ref_set(b->g, x, &a, &zero, &b->err));
    assert_false(clo_ref_set(b->g, x, &c, &zero, &b->err));
    must(clo_ref_set(b->g, x, &c, &a, &b->err));
    must(clo_ref_get(&got, &found, b->g, x, &b->err));
    assert_true(found && clo_oid_eq(&got, &c));
    assert_false(clo_ref_delete(b->g, x, &a, &b->err));
    must(clo_ref_delete(b->g, x, &c, &b->err));
    assert_false(clo_ref_delete(b->g, x, NULL, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
    must(clo_db_commit(b->db, &b->err));
}

static void refs_that_could_not_lie_in_one_clone_are_refused(void **state)
{
    hub_box *b = *state;
    clo_oid a = hub_main(b);
    static const char *const bad[] = {"refs/heads/",   "heads/x",           "refs/heads/a..b", "refs/heads/a b",
                                      "refs/heads/.a", "refs/heads/a.lock", "refs/heads/a~1",  "refs/heads//a",
                                      "refs/heads/a/", "refs/heads/a\x01",  "refs/heads/@{",   ""};
    must(clo_db_begin(b->db, &b->err));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (clo_ref_set(b->g, slice(bad[i]), &a, NULL, &b->err)) fail_msg("taken: '%s'", bad[i]);
    must(clo_ref_set(b->g, CLO_STR("refs/heads/a/b"), &a, NULL, &b->err));
    must(clo_ref_set(b->g, CLO_STR("refs/heads/a-b"), &a, NULL, &b->err));
    assert_false(clo_ref_set(b->g, CLO_STR("refs/heads/a"), &a, NULL, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_DENIED);
    assert_false(clo_ref_set(b->g, CLO_STR("refs/heads/a/b/c"), &a, NULL, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_DENIED);
    must(clo_db_commit(b->db, &b->err));
}

/* libgit2 reads through the backend, so its own packs can be built over it. */
static void libgit2_packs_what_is_in_rows(void **state)
{
    hub_box *b = *state;
    clo_op op = hub_file("a/b.txt", "text");
    clo_oid head;
    git_packbuilder *pb = NULL;
    git_revwalk *w = NULL;
    git_buf pack = {0};
    assert_int_equal(hub_commit(b, &head, &op, 1), CLO_COMMIT_OK);
    hub_open_git(b);
    git_oid id = clo_git_oid(&head);
    assert_int_equal(git_packbuilder_new(&pb, b->g->git), 0);
    assert_int_equal(git_revwalk_new(&w, b->g->git), 0);
    assert_int_equal(git_revwalk_push(w, &id), 0);
    assert_int_equal(git_packbuilder_insert_walk(pb, w), 0);
    assert_int_equal(git_packbuilder_object_count(pb), 7); /* 2 commits, 3 trees, 2 blobs */
    assert_int_equal(git_packbuilder_write_buf(&pack, pb), 0);
    assert_memory_equal(pack.ptr, "PACK", 4);
    git_buf_dispose(&pack);
    git_revwalk_free(w);
    git_packbuilder_free(pb);
}

static void objects_that_nobody_has_are_swept(void **state)
{
    hub_box *b = *state;
    clo_repo two;
    clo_op op = hub_file("only.txt", "only here");
    int64_t n = 0;
    must(hub_make_repo(b, &two, CLO_REPO_MODEL, ALICE, "two"));
    assert_int_equal(hub_commit(b, NULL, &op, 1), CLO_COMMIT_OK);
    must(clo_git_sweep(&n, b->db, &b->err));
    assert_int_equal(n, 0);
    must(clo_db_begin(b->db, &b->err) && clo_repo_delete(b->db, b->repo.id, &b->err) && clo_db_commit(b->db, &b->err));
    must(clo_git_sweep(&n, b->db, &b->err));
    assert_int_equal(n, 3); /* a blob, a tree, a commit: the first commit is the other's, too */
    b->repo = two;
    hub_open_git(b);
    hub_export(b, "two.git");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, hub_set_up, hub_tear_down)
        T(an_object_has_the_name_that_git_gives_it),
        T(staged_objects_are_seen_by_their_handle_alone_and_rows_by_their_repository),
        T(what_is_rolled_back_never_was),
        T(damage_is_told),
        T(prefixes_name_one_object_or_none),
        T(a_ref_moves_only_from_where_it_is_said_to_be),
        T(refs_that_could_not_lie_in_one_clone_are_refused),
        T(libgit2_packs_what_is_in_rows),
        T(objects_that_nobody_has_are_swept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
