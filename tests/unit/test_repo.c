/* Repositories: names, making, moving, removing, settings; what the first commit holds. */
#include "hub_box.h"

static void names_are_checked_by_the_rules_of_the_hub(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool ok;
    } rows[] = {
        {"m", true},
        {"SmolLM2-135M_x.y", true},
        {"_a_", true},
        {"9", true},
        {"a-b", true},
        {"", false},
        {"-a", false},
        {"a-", false},
        {".a", false},
        {"a.", false},
        {"a--b", false},
        {"a..b", false},
        {"a b", false},
        {"a/b", false},
        {"x.git", false},
        {"x.GIT", false},
        {"\xc3\xa4", false},
        {"a\nb", false},
        {"a%b", false},
        {"git", true},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (clo_repo_check_name(clo_str_from(rows[i].name), NULL) != rows[i].ok) fail_msg("'%s'", rows[i].name);
    assert_true(clo_repo_check_name(CLO_STR("api"), NULL));
    static const char *const reserved[] = {"api", "Datasets", "spaces", "models", "v1", "settings", "resolve-cache"};
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (clo_repo_check_namespace(clo_str_from(reserved[i]), NULL)) fail_msg("'%s'", reserved[i]);
}

static void a_new_repository_has_one_commit_with_its_attributes(void **state)
{
    hub_box *b = *state;
    clo_oid main = hub_main(b);
    assert_string_equal(b->repo.full, "Alice/m");
    assert_int_equal(strlen(b->repo.oid), 24);
    assert_int_equal(strspn(b->repo.oid, "0123456789abcdef"), 24);
    assert_false(b->repo.is_private || b->repo.disabled || b->repo.gated != CLO_GATED_NO);
    hub_export(b, "m.git");
    assert_string_equal(hub_sh(b, "git -C m.git log --format='%%H %%s|%%an|%%ae|%%ad' --date=unix main"),
                        hub_sh(b, "echo '%s initial commit|alice|a@x.test|1700000000'", hub_hex(&main)));
    assert_string_equal(hub_sh(b, "git -C m.git ls-tree --name-only -r main"), ".gitattributes");
    assert_non_null(
        strstr(hub_text(b, &main, ".gitattributes"), "*.safetensors filter=lfs diff=lfs merge=lfs -text\n"));
    assert_null(strstr(hub_text(b, &main, ".gitattributes"), "*.png"));
    must(hub_make_repo(b, &b->repo, CLO_REPO_DATASET, LAB, "d"));
    hub_open_git(b);
    main = hub_main(b);
    assert_non_null(strstr(hub_text(b, &main, ".gitattributes"), "*.png filter=lfs"));
}

/* What the same commit has in the real git. */
static void the_first_commit_is_what_git_would_make(void **state)
{
    hub_box *b = *state;
    clo_oid main = hub_main(b);
    hub_export(b, "m.git");
    hub_sh(
        b,
        "git -C m.git show main:.gitattributes > attributes && git init -q w && cp attributes w/.gitattributes && cd w && git add . &&"
        " GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000' git -c user.name=alice -c user.email=a@x.test"
        " commit -q -m 'initial commit'");
    assert_string_equal(hub_sh(b, "git -C w rev-parse HEAD"), hub_hex(&main));
}

static void files_given_at_the_making_stand_in_the_first_commit(void **state)
{
    hub_box *b = *state;
    const clo_repo_file files[] = {{CLO_STR("README.md"), clo_bytes_of(CLO_STR("---\nlicense: mit\n---\n"))}};
    clo_repo_opts o = {.type = CLO_REPO_SPACE,
                       .owner = LAB,
                       .name = CLO_STR("s"),
                       .author = {"alice", ""},
                       .files = files,
                       .n_files = 1};
    must(clo_db_begin(b->db, &b->err) && clo_repo_create(&b->repo, b->db, &o, HUB_NOW, &b->err) &&
         clo_db_commit(b->db, &b->err));
    hub_open_git(b);
    clo_oid main = hub_main(b);
    assert_string_equal(hub_text(b, &main, "README.md"), "---\nlicense: mit\n---\n");
    hub_export(b, "s.git");
    assert_string_equal(hub_sh(b, "git -C s.git rev-list --count main"), "1");
}

static void a_repository_is_found_in_any_case_and_shown_as_it_was_made(void **state)
{
    hub_box *b = *state;
    clo_repo r;
    bool moved;
    must(clo_repo_find(&r, &moved, b->db, CLO_REPO_MODEL, CLO_STR("aLiCe/M"), &b->err));
    assert_string_equal(r.full, "Alice/m");
    assert_false(moved);
    static const char *const none[] = {"alice/x", "m", "alice/m/", "/m", "", "alice/m/x", "bob/m", "' OR 1=1/x"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_false(clo_repo_find(&r, &moved, b->db, CLO_REPO_MODEL, clo_str_from(none[i]), &b->err));
        assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
    }
    assert_false(clo_repo_find(&r, &moved, b->db, CLO_REPO_DATASET, CLO_STR("alice/m"), &b->err));
}

static void a_name_is_taken_once_for_each_type(void **state)
{
    hub_box *b = *state;
    clo_repo r;
    assert_false(hub_make_repo(b, &r, CLO_REPO_MODEL, ALICE, "M"));
    assert_int_equal(b->err.code, CLO_ERR_DENIED);
    assert_string_equal(b->err.text, "You already created this model repo");
    must(hub_make_repo(b, &r, CLO_REPO_DATASET, ALICE, "m"));
    must(hub_make_repo(b, &r, CLO_REPO_MODEL, LAB, "m"));
    assert_false(hub_make_repo(b, &r, CLO_REPO_MODEL, 77, "m"));
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
    assert_false(hub_make_repo(b, &r, CLO_REPO_MODEL, ALICE, "a--b"));
    assert_int_equal(b->err.code, CLO_ERR_USAGE);
}

static bool move(hub_box *b, clo_repo *r, int64_t owner, const char *name)
{
    if (!clo_db_begin(b->db, &b->err)) return false;
    if (clo_repo_move(r, b->db, owner, clo_str_from(name), HUB_NOW + 9, &b->err)) return clo_db_commit(b->db, &b->err);
    clo_db_rollback(b->db);
    return false;
}

static void an_old_id_leads_to_the_new_one_until_somebody_takes_it(void **state)
{
    hub_box *b = *state;
    clo_repo r = b->repo, found, other;
    bool moved;
    clo_oid before = hub_main(b), after;
    must(move(b, &r, LAB, "n"));
    assert_string_equal(r.full, "lab/n");
    must(clo_repo_find(&found, &moved, b->db, CLO_REPO_MODEL, CLO_STR("alice/M"), &b->err));
    assert_true(moved && found.id == r.id);
    must(move(b, &r, LAB, "o")); /* both old ids lead there */
    must(clo_repo_find(&found, &moved, b->db, CLO_REPO_MODEL, CLO_STR("alice/m"), &b->err));
    assert_string_equal(found.full, "lab/o");
    must(hub_make_repo(b, &other, CLO_REPO_MODEL, ALICE, "m"));
    must(clo_repo_find(&found, &moved, b->db, CLO_REPO_MODEL, CLO_STR("alice/m"), &b->err));
    assert_true(!moved && found.id == other.id);
    assert_false(move(b, &r, ALICE, "M"));
    assert_int_equal(b->err.code, CLO_ERR_DENIED);
    assert_string_equal(b->err.text, "A model repository called Alice/M already exists");
    must(move(b, &r, LAB, "O")); /* only its case */
    must(clo_repo_find(&found, &moved, b->db, CLO_REPO_MODEL, CLO_STR("lab/o"), &b->err));
    assert_true(!moved);
    assert_string_equal(found.full, "lab/O");
    must(move(b, &r, LAB, "n")); /* back to an id that it had */
    must(clo_repo_find(&found, &moved, b->db, CLO_REPO_MODEL, CLO_STR("lab/n"), &b->err));
    assert_false(moved);
    after = hub_main(b);
    assert_true(clo_oid_eq(&before, &after));
}

static void a_deleted_repository_leaves_no_rows(void **state)
{
    hub_box *b = *state;
    clo_repo r = b->repo;
    clo_stmt q = {0};
    bool row, moved;
    must(move(b, &r, LAB, "n"));
    must(clo_db_begin(b->db, &b->err) && clo_repo_delete(b->db, r.id, &b->err) && clo_db_commit(b->db, &b->err));
    must(clo_stmt_open(&q, b->db,
                       "SELECT (SELECT count(*) FROM refs) + (SELECT count(*) FROM repo_objects) +"
                       " (SELECT count(*) FROM repo_moves) + (SELECT count(*) FROM repos)",
                       &b->err));
    must(clo_stmt_step(&q, &row, &b->err));
    assert_int_equal(clo_stmt_get_int(&q, 0), 0);
    clo_stmt_close(&q);
    assert_false(clo_repo_find(&r, &moved, b->db, CLO_REPO_MODEL, CLO_STR("alice/m"), &b->err));
    assert_false(clo_repo_delete(b->db, b->repo.id, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
    must(hub_make_repo(b, &r, CLO_REPO_MODEL, LAB, "n"));
    assert_int_not_equal(r.id, b->repo.id); /* a row's number is never another's */
}

static void settings_are_kept(void **state)
{
    hub_box *b = *state;
    clo_repo r = b->repo, got;
    r.is_private = r.disabled = true;
    r.gated = CLO_GATED_MANUAL;
    must(clo_repo_set(b->db, &r, &b->err) && clo_repo_touch(b->db, r.id, HUB_NOW + 5, &b->err));
    must(clo_repo_touch(b->db, r.id, HUB_NOW + 4, &b->err));
    must(clo_repo_get(&got, b->db, r.id, &b->err));
    assert_true(got.is_private && got.disabled && got.gated == CLO_GATED_MANUAL);
    assert_int_equal(got.modified_s, HUB_NOW + 5);
}

static void a_duplicate_has_the_same_branches_and_lives_its_own_life(void **state)
{
    hub_box *b = *state;
    clo_op op = hub_file("x", "1"), more = hub_file("y", "2");
    clo_oid head, got;
    clo_repo copy, first = b->repo;
    clo_repo_opts o = {.owner = LAB, .name = CLO_STR("copy"), .is_private = true};
    assert_int_equal(hub_commit(b, &head, &op, 1), CLO_COMMIT_OK);
    must(clo_db_begin(b->db, &b->err) && clo_pull_create(b->g, 1, &b->err) && clo_db_commit(b->db, &b->err));
    must(clo_db_begin(b->db, &b->err) && clo_repo_duplicate(&copy, b->db, &first, &o, HUB_NOW, &b->err) &&
         clo_db_commit(b->db, &b->err));
    assert_true(copy.is_private && copy.type == CLO_REPO_MODEL);
    b->repo = copy;
    hub_open_git(b);
    got = hub_main(b);
    assert_true(clo_oid_eq(&got, &head));
    assert_false(clo_revision_find(&got, b->g, CLO_STR("refs/pr/1"), &b->err));
    assert_int_equal(hub_commit(b, &got, &more, 1), CLO_COMMIT_OK);
    must(clo_db_begin(b->db, &b->err) && clo_repo_delete(b->db, first.id, &b->err) && clo_db_commit(b->db, &b->err));
    int64_t n;
    must(clo_git_sweep(&n, b->db, &b->err));
    hub_export(b, "copy.git");
    assert_string_equal(hub_text(b, &got, "x"), "1");
    must(clo_db_begin(b->db, &b->err));
    assert_false(clo_repo_duplicate(&copy, b->db, &b->repo, &o, HUB_NOW, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_DENIED);
    clo_db_rollback(b->db);
}

static bool note(void *ctx, const clo_repo *r, clo_err *err)
{
    char *out = ctx;
    (void)err;
    snprintf(out + strlen(out), 256 - strlen(out), "%s:%s ", clo_repo_type_name(r->type), r->full);
    return true;
}

static void lists_are_filtered_and_paged(void **state)
{
    hub_box *b = *state;
    clo_repo d, n;
    must(hub_make_repo(b, &d, CLO_REPO_DATASET, LAB, "Data"));
    must(hub_make_repo(b, &n, CLO_REPO_MODEL, LAB, "n"));
    const struct {
        clo_repo_filter f;
        const char *want;
    } rows[] = {
        {{.type = CLO_REPO_TYPES}, "model:Alice/m dataset:lab/Data model:lab/n "},
        {{.type = CLO_REPO_MODEL}, "model:Alice/m model:lab/n "},
        {{.type = CLO_REPO_TYPES, .owner = LAB}, "dataset:lab/Data model:lab/n "},
        {{.type = CLO_REPO_TYPES, .search = CLO_STR("dAT")}, "dataset:lab/Data "},
        {{.type = CLO_REPO_TYPES, .search = CLO_STR("b/n")}, "model:lab/n "},
        {{.type = CLO_REPO_TYPES, .search = CLO_STR("zz")}, ""},
        {{.type = CLO_REPO_TYPES, .limit = 2}, "model:Alice/m dataset:lab/Data "},
        {{.type = CLO_REPO_TYPES, .after = d.id, .limit = 2}, "model:lab/n "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[256] = "";
        must(clo_repo_each(b->db, &rows[i].f, note, out, &b->err));
        assert_string_equal(out, rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, hub_set_up, hub_tear_down)
        T(names_are_checked_by_the_rules_of_the_hub),
        T(a_new_repository_has_one_commit_with_its_attributes),
        T(the_first_commit_is_what_git_would_make),
        T(files_given_at_the_making_stand_in_the_first_commit),
        T(a_repository_is_found_in_any_case_and_shown_as_it_was_made),
        T(a_name_is_taken_once_for_each_type),
        T(an_old_id_leads_to_the_new_one_until_somebody_takes_it),
        T(a_deleted_repository_leaves_no_rows),
        T(a_duplicate_has_the_same_branches_and_lives_its_own_life),
        T(settings_are_kept),
        T(lists_are_filtered_and_paged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
