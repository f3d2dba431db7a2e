/* Revisions, branches, tags, pull request refs, history and squashing. */
#include "hub_box.h"

static bool in_transaction(hub_box *b, bool ok)
{
    if (ok) return clo_db_commit(b->db, &b->err);
    clo_db_rollback(b->db);
    return false;
}

#define change(call) (clo_db_begin(b->db, &b->err) && in_transaction(b, (call)))

static const clo_author by = {"alice", "a@x.test"};

static bool is_at(hub_box *b, const char *rev, const clo_oid *want)
{
    clo_oid got;
    return clo_revision_find(&got, b->g, clo_str_from(rev), &b->err) && clo_oid_eq(&got, want);
}

static void a_revision_is_an_id_a_ref_a_branch_a_tag_or_a_prefix(void **state)
{
    hub_box *b = *state;
    clo_oid first = hub_main(b), second;
    clo_op op = hub_file("x", "1");
    char hex[CLO_OID_HEX];
    assert_int_equal(hub_commit(b, &second, &op, 1), CLO_COMMIT_OK);
    clo_oid_hex(hex, &first);
    must(change(clo_branch_create(b->g, CLO_STR("dev"), (clo_str){hex, 40}, &b->err)));
    must(change(clo_tag_create(b->g, CLO_STR("v1"), CLO_STR("dev"), CLO_STR(""), &by, HUB_NOW, &b->err)));
    must(change(clo_tag_create(b->g, CLO_STR("v2"), (clo_str){hex, 7}, CLO_STR("the second"), &by, HUB_NOW, &b->err)));
    must(change(clo_tag_create(b->g, CLO_STR("dev"), CLO_STR("main"), CLO_STR(""), &by, HUB_NOW,
                               &b->err))); /* a branch's name */
    must(change(clo_pull_create(b->g, 1, &b->err)));
    static const char *const at_first[] = {"dev", "v1", "v2", "refs/heads/dev", "refs/tags/v1", "refs/tags/v2"};
    static const char *const at_second[] = {"main", "HEAD", "refs/heads/main", "refs/pr/1", "refs/tags/dev"};
    static const char *const nothing[] = {"",
                                          "x",
                                          "refs/heads/x",
                                          "refs/pr/2",
                                          "heads/main",
                                          "HEAD~1",
                                          "main^",
                                          "main@{0}",
                                          ":x",
                                          "../main",
                                          "0000000000000000000000000000000000000000",
                                          "refs/heads/"};
    for (size_t i = 0; i < sizeof at_first / sizeof at_first[0]; i++)
        if (!is_at(b, at_first[i], &first)) fail_msg("%s", at_first[i]);
    for (size_t i = 0; i < sizeof at_second / sizeof at_second[0]; i++)
        if (!is_at(b, at_second[i], &second)) fail_msg("%s", at_second[i]);
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++) {
        if (is_at(b, nothing[i], &first) || is_at(b, nothing[i], &second)) fail_msg("'%s' is found", nothing[i]);
        assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
        assert_non_null(strstr(b->err.text, "Invalid rev id"));
    }
    assert_true(is_at(b, hex, &first));
    for (int n = 39; n >= 5; n--) {
        hex[n] = '\0';
        assert_true(is_at(b, hex, &first));
    }
    hex[4] = '\0';
    assert_false(is_at(b, hex, &first));
    /* A file's id is no revision. */
    static clo_entry e;
    must(clo_tree_entry(&e, b->g, &first, CLO_STR(".gitattributes"), &b->err));
    assert_false(is_at(b, hub_hex(&e.oid), &first));
    hub_export(b, "r.git");
    assert_string_equal(
        hub_sh(b, "git -C r.git for-each-ref --format='%%(objecttype) %%(contents:subject)' refs/tags/v2"),
        "tag the second");
}

static void an_id_of_another_repository_is_no_revision(void **state)
{
    hub_box *b = *state;
    clo_op op = hub_file("x", "1");
    clo_oid head;
    assert_int_equal(hub_commit(b, &head, &op, 1), CLO_COMMIT_OK);
    must(hub_make_repo(b, &b->repo, CLO_REPO_MODEL, LAB, "other"));
    hub_open_git(b);
    assert_false(is_at(b, hub_hex(&head), &head));
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
    assert_false(change(clo_branch_create(b->g, CLO_STR("stolen"), clo_str_from(hub_hex(&head)), &b->err)));
}

static void branches_and_tags_answer_as_clients_expect(void **state)
{
    hub_box *b = *state;
    must(change(clo_branch_create(b->g, CLO_STR("dev"), CLO_STR(""), &b->err)));
    assert_false(change(clo_branch_create(b->g, CLO_STR("dev"), CLO_STR(""), &b->err)));
    assert_int_equal(b->err.code, CLO_ERR_DENIED);
    assert_string_equal(b->err.text, "Reference refs/heads/dev already exists");
    assert_false(change(clo_branch_create(b->g, CLO_STR("y"), CLO_STR("nowhere"), &b->err)));
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
    static const char *const bad[] = {"",   "a b",  "refs/heads/x", "HEAD",
                                      "-x", "a..b", "x.lock",       "0123456789012345678901234567890123456789"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (change(clo_branch_create(b->g, clo_str_from(bad[i]), CLO_STR(""), &b->err))) fail_msg("'%s'", bad[i]);
        assert_int_equal(b->err.code, CLO_ERR_USAGE);
        assert_false(
            change(clo_tag_create(b->g, clo_str_from(bad[i]), CLO_STR("main"), CLO_STR(""), &by, HUB_NOW, &b->err)));
        assert_int_equal(b->err.code, CLO_ERR_USAGE);
    }
    assert_false(change(clo_branch_delete(b->g, CLO_STR("main"), &b->err)));
    assert_string_equal(b->err.text, "Cannot delete refs/heads/main");
    must(change(clo_tag_create(b->g, CLO_STR("v1"), CLO_STR("main"), CLO_STR(""), &by, HUB_NOW, &b->err)));
    assert_false(change(clo_tag_create(b->g, CLO_STR("v1"), CLO_STR("main"), CLO_STR(""), &by, HUB_NOW, &b->err)));
    assert_int_equal(b->err.code, CLO_ERR_DENIED);
    assert_false(change(clo_branch_delete(b->g, CLO_STR("v1"), &b->err))); /* a tag is no branch */
    assert_string_equal(b->err.text, "Invalid rev id: v1");
    must(change(clo_branch_delete(b->g, CLO_STR("dev"), &b->err)));
    must(change(clo_tag_delete(b->g, CLO_STR("v1"), &b->err)));
    assert_false(change(clo_tag_delete(b->g, CLO_STR("v1"), &b->err)));
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
}

static bool note_ref(void *ctx, const clo_ref *ref, const clo_oid *commit, clo_err *err)
{
    char *out = ctx;
    (void)err;
    snprintf(out + strlen(out), 512 - strlen(out), "%s=%.7s ", ref->name, hub_hex(commit));
    return true;
}

static void refs_are_listed_with_their_commits(void **state)
{
    hub_box *b = *state;
    clo_oid main = hub_main(b);
    char out[512] = "", want[512];
    must(change(clo_tag_create(b->g, CLO_STR("v1"), CLO_STR("main"), CLO_STR("message"), &by, HUB_NOW, &b->err)));
    must(change(clo_branch_create(b->g, CLO_STR("a"), CLO_STR("v1"), &b->err)));
    must(clo_revision_each(b->g, CLO_STR("refs/heads/"), note_ref, out, &b->err));
    must(clo_revision_each(b->g, CLO_STR("refs/tags/"), note_ref, out, &b->err));
    must(clo_revision_each(b->g, CLO_STR("refs/pr/"), note_ref, out, &b->err));
    snprintf(want, sizeof want, "refs/heads/a=%.7s refs/heads/main=%.7s refs/tags/v1=%.7s ", hub_hex(&main),
             hub_hex(&main), hub_hex(&main));
    assert_string_equal(out, want);
}

static bool note_title(void *ctx, const clo_commit_info *c, clo_err *err)
{
    char *out = ctx;
    (void)err;
    snprintf(out + strlen(out), 512 - strlen(out), "%s|%s|%s;", c->title, c->message, c->author);
    return true;
}

static void history_is_newest_first_and_paged(void **state)
{
    hub_box *b = *state;
    size_t total = 0;
    for (int i = 0; i < 5; i++) {
        char text[16], summary[16];
        clo_commit *c = NULL;
        clo_commit_result r;
        snprintf(text, sizeof text, "%d", i);
        snprintf(summary, sizeof summary, "c%d", i);
        clo_op op = hub_file("x", text);
        clo_commit_opts o = {.ref = CLO_STR("refs/heads/main"),
                             .summary = clo_str_from(summary),
                             .description = CLO_STR("why\nso"),
                             .author = by,
                             .now_s = HUB_NOW}; /* one second for all */
        must(clo_commit_open(&c, b->g, &b->err) && clo_commit_add(c, &op, &b->err) &&
             clo_commit_make(&r, c, &o, &b->err));
        clo_commit_close(c);
    }
    clo_oid main = hub_main(b);
    char out[512] = "";
    must(clo_history_each(&total, b->g, &main, 1, 2, note_title, out, &b->err));
    assert_string_equal(out, "c3|why\nso\n|alice;c2|why\nso\n|alice;");
    assert_int_equal(total, 6);
    out[0] = '\0';
    must(clo_history_each(&total, b->g, &main, 5, 99, note_title, out, &b->err));
    assert_string_equal(out, "initial commit||alice;");
    out[0] = '\0';
    must(clo_history_each(&total, b->g, &main, 6, 99, note_title, out, &b->err));
    assert_string_equal(out, "");
}

static void a_squashed_branch_is_one_commit_with_the_same_files(void **state)
{
    hub_box *b = *state;
    clo_op ops[] = {hub_file("a/x", "1"), hub_file("y", "2")};
    clo_oid before, after;
    size_t total;
    char out[512] = "";
    assert_int_equal(hub_commit(b, NULL, &ops[0], 1), CLO_COMMIT_OK);
    assert_int_equal(hub_commit(b, &before, &ops[1], 1), CLO_COMMIT_OK);
    must(change(clo_pull_create(b->g, 3, &b->err)));
    must(change(clo_history_squash(&after, b->g, CLO_STR("main"), CLO_STR("all in one"), &by, HUB_NOW + 7, &b->err)));
    clo_oid main = hub_main(b);
    assert_true(clo_oid_eq(&main, &after));
    must(clo_history_each(&total, b->g, &main, 0, 9, note_title, out, &b->err));
    assert_string_equal(out, "all in one||alice;");
    assert_string_equal(hub_text(b, &main, "a/x"), "1");
    assert_string_equal(hub_text(b, &main, "y"), "2");
    assert_true(is_at(b, "refs/pr/3", &before));
    must(change(clo_history_squash(&after, b->g, CLO_STR("refs/pr/3"), CLO_STR(""), &by, HUB_NOW + 8, &b->err)));
    assert_true(is_at(b, "refs/pr/3", &after));
    assert_false(change(clo_history_squash(&after, b->g, CLO_STR("none"), CLO_STR(""), &by, HUB_NOW, &b->err)));
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
    hub_export(b, "s.git");
    assert_string_equal(hub_sh(b, "git -C s.git diff --stat main refs/pr/3"), "");
}

static void commits_go_to_branches_and_pull_requests_alone(void **state)
{
    hub_box *b = *state;
    char ref[CLO_REF_NAME_MAX], hex[CLO_OID_HEX];
    clo_oid head, main = hub_main(b);
    clo_oid_hex(hex, &main);
    must(change(clo_pull_create(b->g, 2, &b->err)));
    must(change(clo_tag_create(b->g, CLO_STR("v1"), CLO_STR("main"), CLO_STR(""), &by, HUB_NOW, &b->err)));
    static const char *const good[][2] = {
        {"main", "refs/heads/main"}, {"refs/heads/main", "refs/heads/main"}, {"refs/pr/2", "refs/pr/2"}};
    for (size_t i = 0; i < 3; i++) {
        must(clo_revision_branch(ref, &head, b->g, clo_str_from(good[i][0]), &b->err));
        assert_string_equal(ref, good[i][1]);
        assert_true(clo_oid_eq(&head, &main));
    }
    const char *const bad[] = {"v1", "refs/tags/v1", hex, "refs/pr/3", "refs/pr/02", "none", ""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (clo_revision_branch(ref, &head, b->g, clo_str_from(bad[i]), &b->err)) fail_msg("'%s'", bad[i]);
        assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, hub_set_up, hub_tear_down)
        T(a_revision_is_an_id_a_ref_a_branch_a_tag_or_a_prefix),
        T(an_id_of_another_repository_is_no_revision),
        T(branches_and_tags_answer_as_clients_expect),
        T(refs_are_listed_with_their_commits),
        T(history_is_newest_first_and_paged),
        T(a_squashed_branch_is_one_commit_with_the_same_files),
        T(commits_go_to_branches_and_pull_requests_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
