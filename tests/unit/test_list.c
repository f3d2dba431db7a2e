/* Lists against a plain statement, whichever way they are found; what the index makes of a repository's files. */
#include "hub_box.h"

#include "hub/index.h"
#include "hub/index_sets.h"
#include "hub/like.h"
#include "hub/list.h"

#define N_REPOS 6000 /* more than are fetched and sorted: frequent conditions walk an index */

typedef struct {
    int64_t ids[N_REPOS + 8];
    size_t n;
    clo_repo last;
} finds;

static bool take(void *ctx, const clo_repo *r, clo_err *err)
{
    finds *f = ctx;
    (void)err;
    assert_true(f->n < N_REPOS + 8);
    f->ids[f->n++] = r->id;
    f->last = *r;
    return true;
}

/* All pages, one after the other. */
static void list_all(finds *f, hub_box *b, const clo_viewer *v, clo_list_opts o)
{
    bool more = true;
    f->n = 0;
    while (more) {
        size_t before = f->n;
        must(clo_list_each(&more, b->db, v, &o, take, f, &b->err));
        assert_true(f->n - before <= o.limit);
        o.after = (clo_list_place){true, clo_list_key(&f->last, o.order), f->last.id};
    }
}

static void fill(hub_box *b)
{
    hub_exec(b->db, "BEGIN");
    hub_exec(b->db,
             "INSERT INTO repos (id, oid, type, namespace, name, private, gated, disabled, created, modified, downloads, likes)"
             " WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 6009)"
             " SELECT i, printf('%024x', i), 'model', 1 + i % 2, printf('common-%s-%d', iif(i % 700 = 0, 'scarce', 'x'), i), i % 3 = 0,"
             " iif(i % 5 = 0, 'manual', 'no'), i % 50 = 0, i * 7919 % 1000, i * 104729 % 1000, i * 31 % 97, i % 4 FROM n");
    hub_exec(b->db, "INSERT INTO repo_tags (type, tag, repo) SELECT 0, 'frequent', id FROM repos");
    hub_exec(b->db, "INSERT INTO repo_tags (type, tag, repo) SELECT 0, 'half', id FROM repos WHERE id % 2 = 0");
    hub_exec(b->db, "INSERT INTO repo_tags (type, tag, repo) SELECT 0, 'rare', id FROM repos WHERE id % 100 = 7");
    hub_exec(b->db, "INSERT INTO accounts (id, oid, name, kind, created) VALUES (3, 'f00000000000000000000003', 'ben', 'user', 0),"
                    " (4, 'f00000000000000000000004', 'rita', 'user', 0)");
    hub_exec(b->db, "INSERT INTO members (org, user, role) VALUES (2, 4, 'read')");
    hub_exec(b->db, "COMMIT");
    must(clo_index_build_sets(b->db, &b->err));
}

static void lists_are_what_a_plain_statement_says(void **state)
{
    hub_box *b = *state;
    static const struct {
        const char *why, *search, *tag, *tag2;
        int64_t owner;
        clo_list_gate gate;
        const char *where;
    } asks[] = {
        {"everything", NULL, NULL, NULL, 0, CLO_LIST_ANY, "1"},
        {"a frequent tag", NULL, "frequent", NULL, 0, CLO_LIST_ANY, "1"},
        {"a rare tag", NULL, "rare", NULL, 0, CLO_LIST_ANY, "r.id % 100 = 7"},
        {"two tags", NULL, "frequent", "half", 0, CLO_LIST_ANY, "r.id % 2 = 0"},
        {"tags that exclude each other", NULL, "rare", "half", 0, CLO_LIST_ANY, "0"},
        {"no such tag", NULL, "nothing", NULL, 0, CLO_LIST_ANY, "0"},
        {"a frequent word", "COMMON", NULL, NULL, 0, CLO_LIST_ANY, "instr(r.name, 'common')"},
        {"a rare word", "scarce", NULL, NULL, 0, CLO_LIST_ANY, "instr(r.name, 'scarce')"},
        {"a rare word and a tag", "scarce", "half", NULL, 0, CLO_LIST_ANY, "instr(r.name, 'scarce') AND r.id % 2 = 0"},
        {"two letters", "-7", NULL, NULL, 0, CLO_LIST_ANY, "instr(r.name, '-7')"},
        {"over the slash", "lab/common-s", NULL, NULL, 0, CLO_LIST_ANY, "instr(r.name, 'scarce') AND r.namespace = 2"},
        {"signs of FTS5", "a\" OR \"x", NULL, NULL, 0, CLO_LIST_ANY, "0"},
        {"an owner", NULL, NULL, NULL, LAB, CLO_LIST_ANY, "r.namespace = 2"},
        {"an owner, a word, a tag", "common", "rare", NULL, LAB, CLO_LIST_ANY, "r.namespace = 2 AND instr(r.name, 'common') AND r.id % 100 = 7"},
        {"gated", NULL, NULL, NULL, 0, CLO_LIST_GATED, "r.gated <> 'no'"},
        {"not gated", NULL, "rare", NULL, 0, CLO_LIST_NOT_GATED, "r.gated = 'no' AND r.id % 100 = 7"},
    };
    static const struct {
        const char *why, *where;
        clo_viewer v;
    } viewers[] = {
        {"nobody", "r.private = 0 AND r.disabled = 0", {0}},
        {"ben", "r.private = 0 AND r.disabled = 0", {.account = 3}},
        {"rita", "(r.private = 0 OR r.namespace = 2) AND r.disabled = 0", {.account = 4}},
        {"alice", "(r.private = 0 OR r.namespace = 1) AND r.disabled = 0", {.account = ALICE}},
        {"an admin", "1", {.account = 3, .admin = true}},
        {"a token for 12", "(r.private = 0 OR r.id = 12) AND r.disabled = 0", {.only = 12}},
    };
    static const char *const columns[] = {"created", "modified", "downloads", "likes"};
    finds *f = malloc(sizeof *f);
    fill(b);
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++)
        for (size_t k = 0; k < sizeof viewers / sizeof *viewers; k++) {
            size_t order = (i + k) % 4, n = 0;
            clo_stmt q = {0};
            bool row = false;
            char sql[600];
            clo_list_opts o = {.type = CLO_REPO_MODEL, .order = (clo_list_order)order, .owner = asks[i].owner, .gate = asks[i].gate,
                               .limit = i % 2 ? 97 : 1000};
            if (asks[i].search) o.search[o.n_search++] = clo_str_from(asks[i].search);
            if (asks[i].tag) o.tags[o.n_tags++] = clo_str_from(asks[i].tag);
            if (asks[i].tag2) o.tags[o.n_tags++] = clo_str_from(asks[i].tag2);
            list_all(f, b, &viewers[k].v, o);
            snprintf(sql, sizeof sql, "SELECT r.id FROM repos r WHERE (%s) AND (%s) ORDER BY r.%s DESC, r.id DESC", asks[i].where,
                     viewers[k].where, columns[order]);
            must(clo_stmt_open(&q, b->db, sql, &b->err));
            for (; clo_stmt_step(&q, &row, &b->err) && row; n++)
                if (n >= f->n || f->ids[n] != clo_stmt_get_int(&q, 0)) fail_msg("%s, for %s: row %zu of %zu", asks[i].why, viewers[k].why, n, f->n);
            clo_stmt_close(&q);
            if (n != f->n) fail_msg("%s, for %s: %zu instead of %zu", asks[i].why, viewers[k].why, f->n, n);
        }
    free(f);
}

/* --- the index ----------------------------------------------------------------------------------------------------*/

static void commit_file(hub_box *b, const char *path, const char *text)
{
    clo_commit *c = NULL;
    clo_commit_result r;
    clo_op op = {.kind = CLO_OP_FILE, .path = clo_str_from(path), .content = clo_bytes_of(clo_str_from(text))};
    clo_commit_opts o = {.ref = CLO_STR("refs/heads/main"), .summary = CLO_STR("file"), .author = {"alice", ""}, .now_s = HUB_NOW};
    must(clo_commit_open(&c, b->g, &b->err));
    must(clo_commit_add(c, &op, &b->err));
    must(clo_commit_make(&r, c, &o, &b->err));
    clo_commit_close(c);
}

static bool has_tag(clo_str tags, const char *tag)
{
    json_t *all = json_loadb(tags.ptr, tags.len, 0, NULL), *v;
    size_t i;
    bool has = false;
    json_array_foreach (all, i, v) has = has || strcmp(json_string_value(v), tag) == 0;
    json_decref(all);
    return has;
}

static void files_that_cannot_be_read_are_as_none(void **state)
{
    hub_box *b = *state;
    static const struct {
        const char *why, *path, *text;
        bool card, config;
    } rows[] = {
        {"a card", "README.md", "---\ntags: [x]\nlibrary_name: peft\n---\n", true, false},
        {"YAML that does not parse", "README.md", "---\na: [\n---\n", false, false},
        {"no front matter", "README.md", "# hello\n", false, false},
        {"a config", "config.json", "{\"model_type\": \"llama\", \"architectures\": [\"A\"], \"hidden\": 1}", false, true},
        {"a config that is no JSON", "config.json", "{", false, false},
        {"a config that is no object", "config.json", "[1]", false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clo_index_row f;
        clo_oid head;
        bool found = false;
        commit_file(b, rows[i].path, rows[i].text);
        must(clo_revision_find(&head, b->g, CLO_STR("main"), &b->err));
        must(clo_index_read(&f, &found, b->db, b->repo.id, true, &b->err));
        if (!found || !clo_oid_eq(&f.at, &head) || (f.card.ptr != NULL) != rows[i].card || (f.config.ptr != NULL) != rows[i].config ||
            !f.tags.ptr)
            fail_msg("%s", rows[i].why);
        if (rows[i].config) assert_true(clo_str_eq(f.config, CLO_STR("{\"architectures\":[\"A\"],\"model_type\":\"llama\"}")));
        if (rows[i].card) assert_true(has_tag(f.tags, "x") && has_tag(f.tags, "peft") && clo_str_eq(f.library, CLO_STR("peft")));
        clo_index_row_end(&f);
    }
}

static void what_is_no_commit_has_no_facts(void **state)
{
    hub_box *b = *state;
    clo_index_facts f;
    clo_oid none = {{1, 2, 3}};
    must(clo_index_facts_at(&f, b->g, CLO_REPO_MODEL, &none, &b->err));
    assert_true(!f.card && !f.config && json_array_size(f.tags) == 0 && !f.task[0]);
    clo_index_facts_free(&f);
}

static int64_t count(hub_box *b, const char *sql)
{
    clo_stmt q = {0};
    bool row = false;
    must(clo_stmt_open(&q, b->db, sql, &b->err) && clo_stmt_step(&q, &row, &b->err));
    int64_t n = row ? clo_stmt_get_int(&q, 0) : -1;
    clo_stmt_close(&q);
    return n;
}

#define ROWS "SELECT (SELECT count(*) FROM repo_cards) + (SELECT count(*) FROM repo_tags) + (SELECT count(*) FROM likes)"

static void a_repository_that_goes_leaves_no_rows(void **state)
{
    hub_box *b = *state;
    clo_repo copy;
    clo_repo_opts o = {.owner = LAB, .name = CLO_STR("copy"), .author = {"alice", ""}};
    commit_file(b, "README.md", "---\ntags: [x, y]\n---\n");
    must(clo_db_begin(b->db, &b->err));
    must(clo_repo_duplicate(&copy, b->db, &b->repo, &o, HUB_NOW, &b->err));
    must(clo_like_set(b->db, ALICE, copy.id, true, HUB_NOW, &b->err));
    assert_int_equal(count(b, ROWS), 2 * 3 + 1); /* a card and two tags of each; a like */
    must(clo_repo_delete(b->db, copy.id, &b->err));
    must(clo_repo_delete(b->db, b->repo.id, &b->err));
    assert_int_equal(count(b, ROWS), 0);
    assert_false(clo_like_set(b->db, ALICE, copy.id, true, HUB_NOW, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
    clo_db_rollback(b->db);
}

static void a_commit_that_is_undone_leaves_the_index(void **state)
{
    hub_box *b = *state;
    clo_commit *c = NULL;
    clo_commit_result r;
    clo_op op = {.kind = CLO_OP_FILE, .path = CLO_STR("README.md"), .content = clo_bytes_of(CLO_STR("---\ntags: [undone]\n---\n"))};
    clo_commit_opts o = {.ref = CLO_STR("refs/heads/main"), .summary = CLO_STR("file"), .author = {"alice", ""}, .now_s = HUB_NOW};
    must(clo_commit_open(&c, b->g, &b->err) && clo_commit_add(c, &op, &b->err) && clo_db_begin(b->db, &b->err));
    must(clo_commit_write(&r, c, &o, &b->err));
    assert_int_equal(count(b, "SELECT count(*) FROM repo_tags WHERE tag = 'undone'"), 1);
    clo_db_rollback(b->db);
    clo_commit_close(c);
    assert_int_equal(count(b, "SELECT count(*) FROM repo_tags WHERE tag = 'undone'"), 0);
}

/* As the counts should be, and those of them that are not. */
#define TAGS                                                                                                                        \
    "SELECT t.type, t.tag, count(*) FROM repo_tags t JOIN repos r ON r.id = t.repo WHERE r.private = 0 AND r.disabled = 0 GROUP BY 1, 2"
#define WRONG_TAGS                                                                                                   \
    "SELECT (SELECT count(*) FROM (" TAGS " EXCEPT SELECT * FROM tags)) + (SELECT count(*) FROM (SELECT * FROM tags" \
    " EXCEPT " TAGS "))"

static void tags_are_counted_through_every_change(void **state)
{
    hub_box *b = *state;
    clo_repo copy;
    clo_repo_opts o = {.owner = LAB, .name = CLO_STR("copy"), .author = {"alice", ""}};
    static const struct {
        bool is_private, disabled;
        int n;
    } steps[] = {{true, false, 1}, {true, true, 1}, {false, true, 1}, {false, false, 2}, {false, false, 2}, {true, true, 1}, {false, false, 2}};
    commit_file(b, "README.md", "---\ntags: [x, y]\n---\n");
    commit_file(b, "README.md", "---\ntags: [x, z]\n---\n");
    must(clo_db_begin(b->db, &b->err));
    must(clo_repo_duplicate(&copy, b->db, &b->repo, &o, HUB_NOW, &b->err));
    assert_int_equal(count(b, WRONG_TAGS), 0);
    assert_int_equal(count(b, "SELECT count(*) FROM tags WHERE tag = 'y'"), 0);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        copy.is_private = steps[i].is_private;
        copy.disabled = steps[i].disabled;
        must(clo_repo_set(b->db, &copy, &b->err));
        assert_int_equal(count(b, WRONG_TAGS), 0);
        assert_int_equal(count(b, "SELECT n FROM tags WHERE tag = 'z'"), steps[i].n);
    }
    must(clo_repo_delete(b->db, b->repo.id, &b->err));
    assert_int_equal(count(b, WRONG_TAGS), 0);
    copy.is_private = true;
    must(clo_repo_set(b->db, &copy, &b->err));
    assert_int_equal(count(b, "SELECT count(*) FROM tags"), 0);
    must(clo_repo_delete(b->db, copy.id, &b->err));
    assert_int_equal(count(b, "SELECT count(*) FROM tags"), 0);
    clo_db_rollback(b->db);
    assert_int_equal(count(b, WRONG_TAGS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lists_are_what_a_plain_statement_says, hub_set_up, hub_tear_down),
        cmocka_unit_test_setup_teardown(files_that_cannot_be_read_are_as_none, hub_set_up, hub_tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_commit_has_no_facts, hub_set_up, hub_tear_down),
        cmocka_unit_test_setup_teardown(a_repository_that_goes_leaves_no_rows, hub_set_up, hub_tear_down),
        cmocka_unit_test_setup_teardown(tags_are_counted_through_every_change, hub_set_up, hub_tear_down),
        cmocka_unit_test_setup_teardown(a_commit_that_is_undone_leaves_the_index, hub_set_up, hub_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
