/* Trees: listing, entries, pointers, last changes. */
#include "hub_box.h"

#define SHA "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define LINE "version https://git-lfs.github.com/spec/v1\n"

static void a_pointer_is_read_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
    } rows[] = {
        {LINE "oid sha256:" SHA "\nsize 200000\n", true},
        {LINE "oid sha256:" SHA "\nsize 0\n", true},
        {LINE "oid sha256:" SHA "\nsize 9223372036854775807\n", true},
        {LINE "oid sha256:" SHA "\nsize 9223372036854775808\n", false},
        {LINE "oid sha256:" SHA "\nsize 99999999999999999999\n", false},
        {LINE "oid sha256:" SHA "\nsize 1", false},
        {LINE "oid sha256:" SHA "\nsize 1\n\n", false},
        {LINE "oid sha256:" SHA "\nsize 1\nx", false},
        {LINE "oid sha256:" SHA "\nsize 01\n", false},
        {LINE "oid sha256:" SHA "\nsize -1\n", false},
        {LINE "oid sha256:" SHA "\nsize +1\n", false},
        {LINE "oid sha256:" SHA "\nsize \n", false},
        {LINE "oid sha256:" SHA "\r\nsize 1\n", false},
        {LINE "oid sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\nsize 1\n", false},
        {LINE "oid sha1:" SHA "\nsize 1\n", false},
        {LINE "size 1\noid sha256:" SHA "\n", false},
        {"version https://hawser.github.com/spec/v1\noid sha256:" SHA "\nsize 1\n", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        clo_lfs_pointer p;
        char again[CLO_LFS_POINTER_MAX];
        bool ok = clo_lfs_parse(&p, clo_bytes_of(clo_str_from(rows[i].text)));
        if (ok != rows[i].ok) fail_msg("%s", rows[i].text);
        if (!ok) continue;
        assert_int_equal(clo_lfs_format(again, &p), strlen(rows[i].text));
        assert_string_equal(again, rows[i].text);
    }
}

typedef struct {
    char text[8192];
    char last[CLO_PATH_MAX];
    size_t n;
} notes;

static bool note(void *ctx, const clo_entry *e, clo_err *err)
{
    notes *s = ctx;
    (void)err;
    snprintf(s->text + strlen(s->text), sizeof s->text - strlen(s->text), "%s%s ", e->path,
             e->kind == CLO_ENTRY_FOLDER ? "/" : "");
    snprintf(s->last, sizeof s->last, "%s", e->path);
    s->n++;
    return true;
}

static void folders_are_listed_with_what_is_in_them(void **state)
{
    hub_box *b = *state;
    clo_op ops[] = {hub_file("a-b", "1"), hub_file("a/x/y", "22"), hub_file("a/z", "3"), hub_file("a0", "4"),
                    hub_file("z/1/2/3", "5")};
    clo_oid c;
    assert_int_equal(hub_commit(b, &c, ops, 5), CLO_COMMIT_OK);
    static const struct {
        const char *path;
        bool recursive;
        const char *want;
    } rows[] = {
        {"", false, ".gitattributes a-b a/ a0 z/ "},
        {"", true, ".gitattributes a-b a/ a/x/ a/x/y a/z a0 z/ z/1/ z/1/2/ z/1/2/3 "},
        {"a", false, "a/x/ a/z "},
        {"a", true, "a/x/ a/x/y a/z "},
        {"z/1", true, "z/1/2/ z/1/2/3 "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        notes all = {0};
        bool more;
        clo_tree_opts o = {.path = clo_str_from(rows[i].path), .recursive = rows[i].recursive};
        must(clo_tree_each(&more, b->g, &c, &o, note, &all, &b->err));
        assert_string_equal(all.text, rows[i].want);
        assert_false(more);
        /* In pages of every size, the same. */
        for (o.limit = 1; o.limit <= all.n; o.limit++) {
            notes paged = {0};
            size_t n_pages = 0;
            do {
                char after[CLO_PATH_MAX];
                snprintf(after, sizeof after, "%s", paged.last);
                o.after = clo_str_from(after);
                must(clo_tree_each(&more, b->g, &c, &o, note, &paged, &b->err));
                n_pages++;
            } while (more && n_pages < 100);
            assert_string_equal(paged.text, rows[i].want);
            assert_int_equal(n_pages, (all.n + o.limit - 1) / o.limit);
        }
    }
    static const char *const none[] = {"b", "a/b", "a-b", "a/x/y", "a/", "/a", "a//x", ".", ".."};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        notes s = {0};
        bool more;
        clo_tree_opts o = {.path = clo_str_from(none[i])};
        if (clo_tree_each(&more, b->g, &c, &o, note, &s, &b->err)) fail_msg("'%s'", none[i]);
        assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
    }
}

static void an_entry_tells_what_its_file_is(void **state)
{
    hub_box *b = *state;
    static clo_entry e;
    clo_oid c;
    clo_op lfs = {.kind = CLO_OP_LFS, .path = CLO_STR("d/w.bin"), .size = 1234567};
    assert_true(clo_sha256_parse(&lfs.sha256, SHA, 64));
    clo_op ops[] = {hub_file("d/x", "hello\n"), lfs, hub_file("like", LINE "oid sha256:" SHA "\nsize 5\n\n")};
    assert_int_equal(hub_commit(b, &c, ops, 3), CLO_COMMIT_OK);
    hub_export(b, "m.git");
    must(clo_tree_entry(&e, b->g, &c, CLO_STR("d/x"), &b->err));
    assert_true(e.kind == CLO_ENTRY_FILE && !e.is_lfs && e.size == 6);
    assert_string_equal(hub_hex(&e.oid), hub_sh(b, "git -C m.git rev-parse main:d/x"));
    must(clo_tree_entry(&e, b->g, &c, CLO_STR("d"), &b->err));
    assert_true(e.kind == CLO_ENTRY_FOLDER && e.size == 0);
    assert_string_equal(hub_hex(&e.oid), hub_sh(b, "git -C m.git rev-parse main:d"));
    must(clo_tree_entry(&e, b->g, &c, CLO_STR("d/w.bin"), &b->err));
    assert_true(e.is_lfs && e.size == 1234567);
    long size = strtol(hub_sh(b, "git -C m.git cat-file -s main:d/w.bin"), NULL, 10);
    assert_int_equal(e.pointer_size, size);
    must(clo_tree_entry(&e, b->g, &c, CLO_STR("like"), &b->err));
    assert_false(e.is_lfs);
    must(clo_tree_entry(&e, b->g, &c, CLO_STR(""), &b->err));
    assert_int_equal(e.kind, CLO_ENTRY_FOLDER);
}

/* A tree as only a push can bring it: a link, a program, a commit of another repository. */
static void links_and_submodules_are_told_apart(void **state)
{
    hub_box *b = *state;
    static clo_entry e;
    clo_oid blob, tree, commit, head = hub_main(b);
    clo_buf t = {0};
    must(clo_git_put(&blob, b->g, CLO_GIT_BLOB, clo_bytes_of(CLO_STR("target")), &b->err));
    static const char *const names[] = {"120000 link", "160000 module", "100755 program"};
    for (int i = 0; i < 3; i++) {
        clo_buf_add(&t, clo_str_from(names[i]));
        clo_buf_add_char(&t, '\0');
        clo_buf_add(&t, (clo_str){(const char *)(i == 1 ? head.b : blob.b), 20});
    }
    must(clo_git_put(&tree, b->g, CLO_GIT_TREE, clo_bytes_of(clo_buf_str(&t)), &b->err));
    t.len = 0;
    clo_buf_addf(&t, "tree %s\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\nx\n", hub_hex(&tree));
    must(clo_git_put(&commit, b->g, CLO_GIT_COMMIT, clo_bytes_of(clo_buf_str(&t)), &b->err));
    clo_buf_free(&t);
    must(clo_db_begin(b->db, &b->err) && clo_git_flush(b->g, &b->err) &&
         clo_ref_set(b->g, CLO_STR("refs/heads/main"), &commit, NULL, &b->err) && clo_db_commit(b->db, &b->err));
    must(clo_tree_entry(&e, b->g, &commit, CLO_STR("link"), &b->err));
    assert_true(e.kind == CLO_ENTRY_FILE && e.is_link && e.size == 6);
    must(clo_tree_entry(&e, b->g, &commit, CLO_STR("module"), &b->err));
    assert_int_equal(e.kind, CLO_ENTRY_SUBMODULE);
    must(clo_tree_entry(&e, b->g, &commit, CLO_STR("program"), &b->err));
    assert_true(e.kind == CLO_ENTRY_FILE && !e.is_link);
    clo_op op = hub_file("program", "new"), through = hub_file("module/x", "1");
    assert_int_equal(hub_commit(b, &commit, &op, 1), CLO_COMMIT_OK);
    assert_int_equal(hub_commit(b, NULL, &through, 1), CLO_COMMIT_BAD_PATH);
    hub_export(b, "m.git");
    assert_string_equal(hub_sh(b, "git -C m.git ls-tree main | cut -c1-6 | tr '\\n' ' '"), "120000 160000 100755 ");
}

static void the_last_change_of_each_path_is_git_s(void **state)
{
    hub_box *b = *state;
    unsigned seed = 3;
    for (int i = 0; i < 30; i++) {
        char path[16], text[16];
        seed = seed * 1103515245u + 12345u;
        snprintf(path, sizeof path, "d%u/f%u", seed / 65536 % 3, seed / 262144 % 3);
        snprintf(text, sizeof text, "%d", i / 2);
        clo_op op = hub_file(path, text);
        assert_int_equal(hub_commit(b, NULL, &op, 1), CLO_COMMIT_OK);
    }
    clo_oid main = hub_main(b), got[20];
    notes all = {0};
    bool more;
    clo_tree_opts o = {.recursive = true};
    must(clo_tree_each(&more, b->g, &main, &o, note, &all, &b->err));
    hub_export(b, "m.git");
    clo_str paths[20];
    size_t n = 0;
    for (char *at = all.text, *end; (end = strchr(at, ' ')) && n < 19; at = end + 1) {
        *end = '\0';
        size_t len = strlen(at);
        paths[n++] = (clo_str){at, at[len - 1] == '/' ? len - 1 : len};
    }
    assert_true(n > 8);
    paths[n++] = CLO_STR("not/there");
    must(clo_tree_last_commits(got, b->g, &main, paths, n, &b->err));
    for (size_t i = 0; i + 1 < n; i++)
        assert_string_equal(hub_hex(&got[i]), hub_sh(b, "git -C m.git log -1 --format=%%H main -- '%.*s'",
                                                     (int)paths[i].len, paths[i].ptr));
    assert_true(clo_oid_is_zero(&got[n - 1]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, hub_set_up, hub_tear_down)
        T(a_pointer_is_read_strictly),
        T(folders_are_listed_with_what_is_in_them),
        T(an_entry_tells_what_its_file_is),
        T(links_and_submodules_are_told_apart),
        T(the_last_change_of_each_path_is_git_s),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
