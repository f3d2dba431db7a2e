/* Discussions and pull requests: numbers, events, limits, what may become what, merging. */
#include "hub/discussion.h"
#include "hub_box.h"

#define BOB 3

static const clo_author author = {"alice", "a@x.test"};

static int set_up(void **state)
{
    if (hub_set_up(state) != 0) return -1;
    hub_exec(((hub_box *)*state)->db, "INSERT INTO accounts (id, oid, name, kind, created) VALUES"
                                      " (3, '65f0c0ffee00000000000b0b', 'bob', 'user', 0)");
    return 0;
}

/* Runs a change in a transaction; what it returned. */
#define change(call)                                                                                                   \
    (b->err = (clo_err){0}, clo_db_begin(b->db, &b->err) && (call) ? clo_db_commit(b->db, &b->err)                     \
                                                                   : (clo_db_rollback(b->db), hub_open_git(b), false))

static bool open_one(hub_box *b, clo_discussion *d, const char *title, bool is_pull)
{
    clo_discussion_opts o = {.title = clo_str_from(title), .text = CLO_STR("text"), .by = BOB, .is_pull = is_pull};
    return change(clo_discussion_create(d, b->g, &o, HUB_NOW, &b->err));
}

static json_t *events(hub_box *b, const clo_discussion *d)
{
    json_t *list = NULL;
    must(clo_discussion_events(&list, b->db, d, &b->err));
    return list;
}

static const char *type_at(const json_t *list, size_t i)
{
    return json_string_value(json_object_get(json_array_get(list, i), "type"));
}

static bool add_num(void *ctx, const clo_discussion *d, clo_err *err)
{
    (void)err;
    clo_buf_addf(ctx, "%lld ", (long long)d->num);
    return true;
}

static void discussions_and_pull_requests_share_numbers(void **state)
{
    hub_box *b = *state;
    clo_discussion d;
    clo_repo other;
    clo_oid head = hub_main(b), at;
    bool found = false;
    must(open_one(b, &d, "a question", false));
    assert_int_equal(d.num, 1);
    assert_int_equal(d.status, CLO_DISCUSSION_OPEN);
    assert_int_equal(d.n_comments, 1);
    assert_string_equal(d.author_name, "bob");
    must(open_one(b, &d, "a change", true));
    assert_int_equal(d.num, 2);
    assert_int_equal(d.status, CLO_DISCUSSION_DRAFT);
    assert_string_equal(d.base, "refs/heads/main");
    must(clo_ref_get(&at, &found, b->g, CLO_STR("refs/pr/2"), &b->err));
    assert_true(found && clo_oid_eq(&at, &head));
    must(clo_discussion_of_ref(&d, b->db, b->repo.id, CLO_STR("refs/pr/2"), &b->err));
    const char *none[] = {"refs/pr/1",
                          "refs/pr/3",
                          "refs/pr/02",
                          "refs/pr/",
                          "refs/pr/2x",
                          "refs/heads/2",
                          "refs/pr/99999999999999999999"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        assert_false(clo_discussion_of_ref(&d, b->db, b->repo.id, clo_str_from(none[i]), &b->err));
        assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
    }
    must(hub_make_repo(b, &other, CLO_REPO_DATASET, LAB, "d"));
    assert_false(clo_discussion_find(&d, b->db, other.id, 1, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
}

static void texts_that_do_not_do_are_refused(void **state)
{
    hub_box *b = *state;
    char title[1000];
    static char text[CLO_DISCUSSION_TEXT_MAX + 2];
    clo_discussion d;
    char id[CLO_EVENT_ID_LEN + 1];
    struct {
        const char *why, *title;
    } rows[] = {
        {"empty", ""}, {"blank", " \t"}, {"two lines", "a\nb"}, {"no UTF-8", "\xff"}, {"201 characters", title}};
    memset(title, 'x', 201);
    title[201] = '\0';
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (open_one(b, &d, rows[i].title, false)) fail_msg("%s: it was taken", rows[i].why);
        assert_int_equal(b->err.code, CLO_ERR_USAGE);
    }
    title[200] = '\0';
    must(open_one(b, &d, title, false));
    assert_int_equal(d.num, 1);
    memset(text, 'x', sizeof text - 1);
    assert_false(change(
        clo_discussion_comment(id, &d, b->db, BOB, (clo_str){text, CLO_DISCUSSION_TEXT_MAX + 1}, HUB_NOW, &b->err)));
    assert_int_equal(b->err.code, CLO_ERR_LIMIT);
    assert_false(change(clo_discussion_comment(id, &d, b->db, BOB, CLO_STR("a\0b"), HUB_NOW, &b->err)));
    assert_int_equal(b->err.code, CLO_ERR_USAGE);
    /* As many as there is room for. */
    int n = 0;
    while (
        change(clo_discussion_comment(id, &d, b->db, BOB, (clo_str){text, CLO_DISCUSSION_TEXT_MAX}, HUB_NOW, &b->err)))
        n++;
    assert_int_equal(b->err.code, CLO_ERR_LIMIT);
    assert_int_equal(n, CLO_DISCUSSION_BYTES_MAX / CLO_DISCUSSION_TEXT_MAX - 1);
}

static void a_title_is_made_of_any_text(void **state)
{
    char out[CLO_DISCUSSION_TITLE_BYTES], long_text[1201] = "";
    (void)state;
    for (int i = 0; i < 300; i++)
        memcpy(long_text + 4 * i, "\xf0\x9f\xa4\x97", 4);
    struct {
        const char *text, *want;
    } rows[] = {{"one\ntwo", "one"}, {"\n\n a\tb", "a b"}, {"x\xffy", "x\xef\xbf\xbdy"}, {"", ""}, {" ", ""}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clo_discussion_title_of(out, clo_str_from(rows[i].text));
        assert_string_equal(out, rows[i].want);
    }
    clo_discussion_title_of(out, clo_str_from(long_text));
    assert_int_equal(strlen(out), 4 * CLO_DISCUSSION_TITLE_MAX);
}

static void lists_are_filtered(void **state)
{
    hub_box *b = *state;
    clo_discussion d;
    char id[CLO_EVENT_ID_LEN + 1];
    for (int i = 0; i < 6; i++)
        must(open_one(b, &d, "t", i % 2));
    must(clo_discussion_find(&d, b->db, b->repo.id, 3, &b->err));
    must(change(clo_discussion_set_status(id, &d, b->db, ALICE, CLO_DISCUSSION_CLOSED, HUB_NOW, &b->err)));
    struct {
        clo_discussion_filter f;
        const char *want;
        int n, n_closed;
    } rows[] = {
        {{.limit = 100}, "6 5 4 3 2 1 ", 6, 1},
        {{.limit = 2, .skip = 1}, "5 4 ", 6, 1},
        {{.limit = 100, .pulls = true}, "6 4 2 ", 3, 0},
        {{.limit = 100, .discussions = true, .open = true}, "5 1 ", 2, 1},
        {{.limit = 100, .closed = true}, "3 ", 1, 1},
        {{.limit = 100, .author = CLO_STR("BOB")}, "6 5 4 3 2 1 ", 6, 1},
        {{.limit = 100, .author = CLO_STR("alice")}, "", 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clo_buf out = {0};
        int64_t n = -1, n_closed = -1;
        must(clo_discussion_each(&n, &n_closed, b->db, b->repo.id, &rows[i].f, add_num, &out, &b->err));
        assert_string_equal(out.ptr ? out.ptr : "", rows[i].want);
        assert_int_equal(n, rows[i].n);
        assert_int_equal(n_closed, rows[i].n_closed);
        clo_buf_free(&out);
    }
}

static void comments_are_edited_and_hidden(void **state)
{
    hub_box *b = *state;
    clo_discussion d, other;
    char id[CLO_EVENT_ID_LEN + 1];
    int64_t who = 0;
    json_t *e = NULL;
    must(open_one(b, &d, "t", false) && open_one(b, &other, "t", false));
    must(change(clo_discussion_comment(id, &d, b->db, BOB, CLO_STR("**a** <script>x</script>"), HUB_NOW, &b->err)));
    clo_str comment = clo_str_from(id);
    must(clo_comment_author(&who, b->db, &d, comment, &b->err));
    assert_int_equal(who, BOB);
    assert_false(clo_comment_author(&who, b->db, &other, comment, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
    for (int i = 0; i < 2; i++)
        must(change(clo_comment_edit(b->db, &d, comment, ALICE, CLO_STR("b"), HUB_NOW + 1 + i, &b->err)));
    must(clo_discussion_event(&e, b->db, &d, comment, &b->err));
    const json_t *data = json_object_get(e, "data"), *history = json_object_get(data, "history");
    assert_true(json_is_true(json_object_get(data, "edited")));
    assert_int_equal(json_array_size(history), 2);
    const char *html = json_string_value(json_object_get(json_array_get(history, 0), "html"));
    assert_non_null(strstr(html, "<strong>a</strong>"));
    assert_null(strstr(html, "<script"));
    assert_string_equal(json_string_value(json_object_get(json_object_get(data, "latest"), "updatedAt")),
                        "2023-11-14T22:13:22.000Z");
    json_decref(e);
    must(change(clo_comment_hide(b->db, &d, comment, ALICE, HUB_NOW + 4, &b->err)));
    must(clo_discussion_event(&e, b->db, &d, comment, &b->err));
    char *text = json_dumps(e, 0);
    assert_non_null(strstr(text, "\"hidden\": true"));
    assert_null(strstr(text, "**a**"));
    free(text);
    json_decref(e);
    assert_false(change(clo_comment_edit(b->db, &d, comment, BOB, CLO_STR("c"), HUB_NOW, &b->err)));
    /* What an account said stays when the account goes. */
    hub_exec(b->db, "DELETE FROM accounts WHERE id = 3");
    must(clo_discussion_find(&d, b->db, b->repo.id, 1, &b->err));
    assert_int_equal(d.author, 0);
    assert_string_equal(d.author_name, "");
    json_t *list = events(b, &d);
    assert_int_equal(json_array_size(list), 2);
    assert_null(json_object_get(json_array_get(list, 0), "author"));
    json_decref(list);
}

static void a_pull_request_is_merged_once(void **state)
{
    hub_box *b = *state;
    clo_discussion d;
    clo_oid before = hub_main(b), pr, main;
    clo_op op = hub_file("new", "1\n");
    char id[CLO_EVENT_ID_LEN + 1];
    json_t *out = json_object();
    must(open_one(b, &d, "a change", true));
    assert_int_equal(hub_commit_to(b, &pr, "refs/pr/1", &op, 1, NULL), CLO_COMMIT_OK);
    must(change(clo_discussion_add_commits(&d, b->g, BOB, &before, &pr, HUB_NOW, &b->err)));
    assert_false(change(clo_discussion_merge(id, &d, b->g, ALICE, &author, HUB_NOW, &b->err)));
    assert_int_equal(b->err.code, CLO_ERR_USAGE); /* a draft */
    must(change(clo_discussion_set_status(id, &d, b->db, BOB, CLO_DISCUSSION_OPEN, HUB_NOW, &b->err)));
    assert_false(change(clo_discussion_set_status(id, &d, b->db, BOB, CLO_DISCUSSION_MERGED, HUB_NOW, &b->err)));
    must(change(clo_discussion_merge(id, &d, b->g, ALICE, &author, HUB_NOW, &b->err)));
    main = hub_main(b);
    assert_string_equal(hub_text(b, &main, "new"), "1\n");
    assert_true(clo_oid_eq(&d.merge_commit, &main) && clo_oid_eq(&d.merged_from, &before));
    must(clo_discussion_find(&d, b->db, b->repo.id, 1, &b->err));
    assert_int_equal(d.status, CLO_DISCUSSION_MERGED);
    assert_true(clo_oid_eq(&d.merge_commit, &main));
    must(clo_discussion_add_changes(out, b->g, &d, true, &b->err));
    assert_non_null(strstr(json_string_value(json_object_get(out, "diff")), "+1\n"));
    json_decref(out);
    assert_false(change(clo_discussion_merge(id, &d, b->g, ALICE, &author, HUB_NOW, &b->err)));
    assert_false(change(clo_discussion_set_status(id, &d, b->db, BOB, CLO_DISCUSSION_CLOSED, HUB_NOW, &b->err)));
    assert_false(change(clo_discussion_add_commits(&d, b->g, BOB, &before, &pr, HUB_NOW, &b->err)));
    assert_int_equal(b->err.code, CLO_ERR_DENIED);
    json_t *list = events(b, &d);
    const char *want[] = {"comment", "commit", "status-change", "status-change"};
    assert_int_equal(json_array_size(list), 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(type_at(list, i), want[i]);
    json_decref(list);
    hub_export(b, "m.git");
}

static void conflicts_are_named_and_change_nothing(void **state)
{
    hub_box *b = *state;
    clo_discussion d;
    clo_op both[] = {hub_file("a/f", "0\n"), hub_file("g", "0\n")},
           ours[] = {hub_file("a/f", "1\n"), hub_file("g", "1\n")},
           theirs[] = {hub_file("a/f", "2\n"), hub_file("g", "2\n")};
    clo_oid main, after, pr;
    char id[CLO_EVENT_ID_LEN + 1];
    json_t *out = json_object();
    assert_int_equal(hub_commit(b, NULL, both, 2), CLO_COMMIT_OK);
    must(open_one(b, &d, "a change", true));
    must(change(clo_discussion_set_status(id, &d, b->db, BOB, CLO_DISCUSSION_OPEN, HUB_NOW, &b->err)));
    assert_int_equal(hub_commit_to(b, &pr, "refs/pr/1", theirs, 2, NULL), CLO_COMMIT_OK);
    assert_int_equal(hub_commit_to(b, &main, "refs/heads/main", ours, 2, NULL), CLO_COMMIT_OK);
    must(clo_discussion_add_changes(out, b->g, &d, false, &b->err));
    const json_t *paths = json_object_get(out, "filesWithConflicts");
    assert_int_equal(json_array_size(paths), 2);
    assert_string_equal(json_string_value(json_array_get(paths, 0)), "a/f");
    assert_string_equal(json_string_value(json_array_get(paths, 1)), "g");
    assert_null(json_object_get(out, "diff"));
    json_decref(out);
    assert_false(change(clo_discussion_merge(id, &d, b->g, ALICE, &author, HUB_NOW, &b->err)));
    assert_int_equal(b->err.code, CLO_ERR_MISMATCH);
    assert_non_null(strstr(b->err.text, "a/f, g"));
    must(clo_discussion_find(&d, b->db, b->repo.id, 1, &b->err));
    assert_int_equal(d.status, CLO_DISCUSSION_OPEN);
    after = hub_main(b);
    assert_true(clo_oid_eq(&after, &main));
}

static void only_its_own_commits_are_told(void **state)
{
    hub_box *b = *state;
    clo_discussion d;
    clo_oid old, now, merged;
    clo_op one = hub_file("one", "1\n"), two = hub_file("two", "2\n"), three = hub_file("three", "3\n");
    must(open_one(b, &d, "a change", true));
    old = hub_main(b);
    assert_int_equal(hub_commit(b, NULL, &one, 1), CLO_COMMIT_OK);
    assert_int_equal(hub_commit(b, &now, &two, 1), CLO_COMMIT_OK);
    must(change(clo_discussion_add_commits(&d, b->g, BOB, &old, &now, HUB_NOW, &b->err))); /* main's own: none */
    assert_int_equal(hub_commit_to(b, &merged, "refs/pr/1", &three, 1, NULL), CLO_COMMIT_OK);
    must(change(clo_discussion_add_commits(&d, b->g, BOB, &old, &merged, HUB_NOW, &b->err)));
    json_t *list = events(b, &d);
    assert_int_equal(json_array_size(list), 2);
    const json_t *data = json_object_get(json_array_get(list, 1), "data");
    assert_string_equal(json_string_value(json_object_get(data, "oid")), hub_hex(&merged));
    assert_string_equal(json_string_value(json_object_get(data, "subject")), "change");
    json_decref(list);
}

static void they_go_with_their_repository(void **state)
{
    hub_box *b = *state;
    clo_discussion d;
    clo_stmt q = {0};
    bool row = false;
    char id[CLO_EVENT_ID_LEN + 1];
    must(open_one(b, &d, "a change", true));
    must(change(clo_discussion_comment(id, &d, b->db, BOB, CLO_STR("x"), HUB_NOW, &b->err)));
    must(change(clo_comment_edit(b->db, &d, clo_str_from(id), BOB, CLO_STR("y"), HUB_NOW, &b->err)));
    must(change(clo_repo_delete(b->db, b->repo.id, &b->err)));
    must(clo_stmt_open(&q, b->db,
                       "SELECT (SELECT count(*) FROM discussions) + (SELECT count(*) FROM discussion_events) +"
                       " (SELECT count(*) FROM discussion_edits)",
                       &b->err));
    must(clo_stmt_step(&q, &row, &b->err));
    assert_int_equal(clo_stmt_get_int(&q, 0), 0);
    clo_stmt_close(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, hub_tear_down)
        T(discussions_and_pull_requests_share_numbers),
        T(texts_that_do_not_do_are_refused),
        T(a_title_is_made_of_any_text),
        T(lists_are_filtered),
        T(comments_are_edited_and_hidden),
        T(a_pull_request_is_merged_once),
        T(conflicts_are_named_and_change_nothing),
        T(only_its_own_commits_are_told),
        T(they_go_with_their_repository),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
