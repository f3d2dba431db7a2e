/* Merging pull requests, and their differences: as git does it. */
#include "hub/diff.h"
#include "hub/merge.h"
#include "hub_box.h"

static const clo_author by = {"alice", "a@x.test"};

/* main and refs/pr/1, each with its own change of what both had. */
static void part_ways(hub_box *b, clo_oid *main, clo_oid *pr, const char *main_path, const char *main_text, const char *pr_path,
                      const char *pr_text)
{
    clo_op both[] = {hub_file("f", "1\n2\n3\n4\n5\n6\n7\n8\n9\n"), hub_file("d/g", "g\n")};
    clo_op ours = hub_file(main_path, main_text), theirs = hub_file(pr_path, pr_text);
    assert_int_equal(hub_commit(b, NULL, both, 2), CLO_COMMIT_OK);
    must(clo_db_begin(b->db, &b->err) && clo_pull_create(b->g, 1, &b->err) && clo_db_commit(b->db, &b->err));
    assert_int_equal(hub_commit_to(b, pr, "refs/pr/1", &theirs, 1, NULL), CLO_COMMIT_OK);
    assert_int_equal(hub_commit_to(b, main, "refs/heads/main", &ours, 1, NULL), CLO_COMMIT_OK);
}

static bool merge(hub_box *b, clo_oid *out, const clo_oid *from)
{
    if (!clo_db_begin(b->db, &b->err)) return false;
    if (clo_merge_into(out, b->g, CLO_STR("refs/heads/main"), from, CLO_STR("Merge pull request 1\n"), &by, HUB_NOW + 5, &b->err))
        return clo_db_commit(b->db, &b->err);
    clo_db_rollback(b->db);
    hub_open_git(b);
    return false;
}

static void changes_of_different_lines_are_merged_as_git_merges_them(void **state)
{
    hub_box *b = *state;
    clo_oid main, pr, merged, again;
    bool conflicts = true;
    part_ways(b, &main, &pr, "f", "one\n2\n3\n4\n5\n6\n7\n8\n9\n", "f", "1\n2\n3\n4\n5\n6\n7\n8\nnine\n");
    must(clo_merge_check(&conflicts, b->g, &main, &pr, &b->err));
    assert_false(conflicts);
    must(merge(b, &merged, &pr));
    assert_string_equal(hub_text(b, &merged, "f"), "one\n2\n3\n4\n5\n6\n7\n8\nnine\n");
    assert_string_equal(hub_text(b, &merged, "d/g"), "g\n");
    hub_export(b, "m.git");
    hub_sh(b, "git clone -q m.git w && cd w && git config user.name alice && git config user.email a@x.test && git checkout -q %s &&"
              " git fetch -q origin refs/pr/1 && GIT_AUTHOR_DATE='1700000005 +0000' GIT_COMMITTER_DATE='1700000005 +0000'"
              " git merge -q -m 'Merge pull request 1' FETCH_HEAD",
           hub_hex(&main));
    assert_string_equal(hub_sh(b, "git -C w rev-parse HEAD"), hub_hex(&merged));
    must(merge(b, &again, &pr)); /* there already */
    assert_true(clo_oid_eq(&again, &merged));
}

static void changes_of_the_same_lines_are_a_conflict(void **state)
{
    hub_box *b = *state;
    clo_oid main, pr, merged, after;
    bool conflicts = false;
    part_ways(b, &main, &pr, "f", "ours\n", "f", "theirs\n");
    must(clo_merge_check(&conflicts, b->g, &main, &pr, &b->err));
    assert_true(conflicts);
    assert_false(merge(b, &merged, &pr));
    assert_int_equal(b->err.code, CLO_ERR_MISMATCH);
    after = hub_main(b);
    assert_true(clo_oid_eq(&after, &main));
    hub_export(b, "m.git");
    assert_string_equal(hub_sh(b, "git -C m.git fsck --unreachable 2>&1"), "");
}

static void different_files_are_merged(void **state)
{
    hub_box *b = *state;
    clo_oid main, pr, merged;
    part_ways(b, &main, &pr, "new", "1\n", "d/other", "2\n");
    must(merge(b, &merged, &pr));
    assert_string_equal(hub_text(b, &merged, "new"), "1\n");
    assert_string_equal(hub_text(b, &merged, "d/other"), "2\n");
    hub_export(b, "m.git");
}

static void a_difference_is_git_s(void **state)
{
    hub_box *b = *state;
    clo_oid main, pr, common;
    clo_buf text = {0}, little = {.max = 120};
    part_ways(b, &main, &pr, "new", "1\n", "f", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n");
    must(clo_diff_common(&common, b->g, &main, &pr, &b->err));
    must(clo_diff_text(&text, b->g, &common, &pr, &b->err));
    hub_export(b, "m.git");
    char path[128];
    snprintf(path, sizeof path, "%s/ours", b->dir);
    FILE *f = fopen(path, "w");
    fwrite(text.ptr, 1, text.len, f);
    fclose(f);
    assert_string_equal(hub_sh(b, "git -C m.git diff --abbrev=7 main...refs/pr/1 | diff - ours"), "");
    must(clo_diff_text(&little, b->g, &common, &pr, &b->err));
    assert_true(little.len <= 120);
    assert_non_null(strstr(little.ptr, "left out"));
    clo_buf_free(&text);
    clo_buf_free(&little);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, hub_set_up, hub_tear_down)
        T(changes_of_different_lines_are_merged_as_git_merges_them),
        T(changes_of_the_same_lines_are_a_conflict),
        T(different_files_are_merged),
        T(a_difference_is_git_s),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
