/* Commits from operations: what they make is what git makes, what is refused, what survives a kill. */
#include <signal.h>
#include <time.h>

#include "hub_box.h"

#include "hub/commit_lines.h"

#define LFS_TEXT(hex, size) "version https://git-lfs.github.com/spec/v1\noid sha256:" hex "\nsize " size "\n"
#define SHA_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static clo_op remove_file(const char *path)
{
    return (clo_op){.kind = CLO_OP_DELETE_FILE, .path = clo_str_from(path)};
}

static clo_op lfs(const char *path, const char *sha, int64_t size)
{
    clo_op op = {.kind = CLO_OP_LFS, .path = clo_str_from(path), .size = size};
    assert_true(clo_sha256_parse(&op.sha256, sha, 64));
    return op;
}

/* The same files, committed by git on top of the same first commit, give the same id. */
static void a_commit_is_what_git_would_make(void **state)
{
    hub_box *b = *state;
    clo_op ops[] = {hub_file("README.md", "# hello\n"),
                    hub_file("a-b", "1"),
                    hub_file("a.b", "2"),
                    hub_file("a/x", "3"),
                    hub_file("a0", "4"),
                    hub_file("dir/sub/deep/file.txt", "5"),
                    hub_file("\xc3\xa4 \xe2\x82\xac.txt", "6"),
                    hub_file("empty", "")};
    clo_op more[] = {remove_file("dir/sub/deep/file.txt"), hub_file("a/x", "33"), remove_file("a0")};
    clo_oid one, two;
    assert_int_equal(hub_commit(b, &one, ops, 8), CLO_COMMIT_OK);
    assert_int_equal(hub_commit(b, &two, more, 3), CLO_COMMIT_OK);
    hub_export(b, "m.git");
    hub_sh(
        b,
        "git clone -q m.git w && cd w && git checkout -q -B main main~2 && git config user.name alice && git config user.email a@x.test &&"
        " mkdir -p a dir/sub/deep && printf '# hello\\n' > README.md && printf 1 > a-b && printf 2 > a.b && printf 3 > a/x && printf 4 > a0"
        " && printf 5 > dir/sub/deep/file.txt && printf 6 > '\xc3\xa4 \xe2\x82\xac.txt' && : > empty && git add . &&"
        " GIT_AUTHOR_DATE='1700000001 +0000' GIT_COMMITTER_DATE='1700000001 +0000' git commit -q -m change");
    assert_string_equal(hub_sh(b, "git -C w rev-parse HEAD"), hub_hex(&one));
    hub_sh(b, "cd w && git rm -q dir/sub/deep/file.txt a0 && printf 33 > a/x && git add . &&"
              " GIT_AUTHOR_DATE='1700000001 +0000' GIT_COMMITTER_DATE='1700000001 +0000' git commit -q -m change");
    assert_string_equal(hub_sh(b, "git -C w rev-parse HEAD"), hub_hex(&two));
}

static void operations_take_effect_in_their_order(void **state)
{
    hub_box *b = *state;
    clo_oid c;
    clo_op ops[] = {hub_file("x", "1"),     remove_file("x"),     hub_file("x", "2"),
                    hub_file("d/y", "1"),   remove_file("d"),     hub_file("d", "a file now"),
                    hub_file("p/q/r", "1"), remove_file("p/q/r"), hub_file("p", "too")};
    assert_int_equal(hub_commit(b, &c, ops, 9), CLO_COMMIT_OK);
    assert_string_equal(hub_text(b, &c, "x"), "2");
    assert_string_equal(hub_text(b, &c, "d"), "a file now");
    assert_string_equal(hub_text(b, &c, "p"), "too");
    hub_export(b, "m.git");
    assert_string_equal(hub_sh(b, "git -C m.git ls-tree -r --name-only main"), ".gitattributes\nd\np\nx");
}

static void renames_and_copies_keep_the_object(void **state)
{
    hub_box *b = *state;
    clo_oid one, two;
    clo_op ops[] = {hub_file("a", "1"), lfs("w.bin", SHA_ABC, 3)};
    assert_int_equal(hub_commit(b, &one, ops, 2), CLO_COMMIT_OK);
    clo_op moved = hub_file("b", "1");
    moved.from = CLO_STR("a");
    clo_op copies[] = {
        moved,
        {.kind = CLO_OP_COPY, .path = CLO_STR("c/w2.bin"), .from = CLO_STR("w.bin")},
        {.kind = CLO_OP_COPY, .path = CLO_STR("old-a"), .from = CLO_STR("a"), .from_rev = clo_str_from(hub_hex(&one))}};
    assert_int_equal(hub_commit(b, &two, copies, 3), CLO_COMMIT_OK);
    assert_string_equal(hub_text(b, &two, "a"), "-");
    assert_string_equal(hub_text(b, &two, "b"), "1");
    assert_string_equal(hub_text(b, &two, "old-a"), "1");
    assert_string_equal(hub_text(b, &two, "c/w2.bin"), LFS_TEXT(SHA_ABC, "3"));
    clo_op none = {.kind = CLO_OP_COPY, .path = CLO_STR("z"), .from = CLO_STR("none")};
    assert_int_equal(hub_commit(b, NULL, &none, 1), CLO_COMMIT_NO_ENTRY);
    none.from = CLO_STR("c");
    assert_int_equal(hub_commit(b, NULL, &none, 1), CLO_COMMIT_NO_ENTRY);
    none.from = CLO_STR("b");
    none.from_rev = CLO_STR("nowhere");
    assert_int_equal(hub_commit(b, NULL, &none, 1), CLO_COMMIT_NO_BRANCH);
}

static void what_is_deleted_must_be_there(void **state)
{
    hub_box *b = *state;
    clo_op ops[] = {hub_file("d/x", "1"), hub_file("d/y", "1"), hub_file("keep", "1")}, gone = remove_file("none");
    clo_op folder = {.kind = CLO_OP_DELETE_FOLDER, .path = CLO_STR("d/")};
    clo_oid c;
    assert_int_equal(hub_commit(b, &c, ops, 3), CLO_COMMIT_OK);
    assert_int_equal(hub_commit(b, NULL, &gone, 1), CLO_COMMIT_NO_ENTRY);
    assert_non_null(strstr(b->err.text, "A file with this name doesn't exist"));
    gone = remove_file("d/none");
    assert_int_equal(hub_commit(b, NULL, &gone, 1), CLO_COMMIT_NO_ENTRY);
    gone = remove_file("keep/none");
    assert_int_equal(hub_commit(b, NULL, &gone, 1), CLO_COMMIT_NO_ENTRY);
    assert_int_equal(hub_commit(b, &c, &folder, 1), CLO_COMMIT_OK);
    assert_string_equal(hub_text(b, &c, "d/x"), "-");
    assert_int_equal(hub_commit(b, NULL, &folder, 1), CLO_COMMIT_NO_ENTRY);
    clo_op again[] = {hub_file("e/x", "1")};
    assert_int_equal(hub_commit(b, &c, again, 1), CLO_COMMIT_OK);
    clo_op as_file = remove_file("e");
    assert_int_equal(hub_commit(b, &c, &as_file, 1), CLO_COMMIT_OK);
}

static void a_file_and_a_folder_cannot_have_one_name(void **state)
{
    hub_box *b = *state;
    clo_op ops[] = {hub_file("d/x", "1"), hub_file("f", "1")}, over = hub_file("d", "1"),
           under = hub_file("f/x/y", "1");
    assert_int_equal(hub_commit(b, NULL, ops, 2), CLO_COMMIT_OK);
    assert_int_equal(hub_commit(b, NULL, &over, 1), CLO_COMMIT_BAD_PATH);
    assert_int_equal(hub_commit(b, NULL, &under, 1), CLO_COMMIT_BAD_PATH);
}

static void paths_that_could_do_harm_are_refused(void **state)
{
    hub_box *b = *state;
    static char name_255[257], deep[600], wide[4200];
    memset(name_255, 'a', 256);
    for (int i = 0; i < 129; i++) memcpy(deep + 2 * i, "a/", 2);
    memset(wide, 'a', 4100);
    for (int i = 200; i < 4100; i += 200) wide[i] = '/';
    const char *const bad[] = {"",
                               "/",
                               "/a",
                               "a/",
                               "a//b",
                               ".",
                               "..",
                               "a/../b",
                               "./a",
                               "..\\ddd",
                               "a\\b",
                               ".git",
                               ".git/config",
                               "a/.git/x",
                               ".GIT",
                               ".Git",
                               ".git ",
                               ".git.",
                               ".git. .",
                               "git~1",
                               "GIT~1/x",
                               ".git::$INDEX_ALLOCATION",
                               ".g\xe2\x80\x8cit",
                               "\xef\xbb\xbf.git",
                               "a\nb",
                               "a\x01",
                               "a\x7f",
                               "\xff",
                               "\xc0\xae\xc0\xae/x",
                               "\xed\xa0\x80",
                               name_255,
                               deep,
                               wide};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        clo_op op = hub_file(bad[i], "x");
        clo_commit_fault why = hub_commit(b, NULL, &op, 1);
        if (why != CLO_COMMIT_BAD_PATH) fail_msg("'%s': %d", bad[i], why);
        clo_op copy = {.kind = CLO_OP_COPY, .path = CLO_STR("x"), .from = clo_str_from(bad[i])};
        assert_int_equal(hub_commit(b, NULL, &copy, 1), CLO_COMMIT_BAD_PATH);
    }
    name_255[255] = '\0';
    const char *const good[] = {
        name_255, ".gitignore", ".github/x", "a.git",           "git", "...", "..a", "a b", "a:b",
        "git~2",  ".cache/x",   "-x",        "\xf0\x9f\x98\x80"};
    clo_op ops[sizeof good / sizeof good[0]];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) ops[i] = hub_file(good[i], "x");
    assert_int_equal(hub_commit(b, NULL, ops, sizeof good / sizeof good[0]), CLO_COMMIT_OK);
    hub_export(b, "m.git");
    hub_sh(b, "git clone -q m.git w");
}

static void a_stale_parent_is_told(void **state)
{
    hub_box *b = *state;
    clo_op op = hub_file("x", "1");
    clo_oid first = hub_main(b), second;
    char hex[CLO_OID_HEX];
    clo_oid_hex(hex, &first);
    for (char *c = hex; *c; c++) *c = *c >= 'a' && *c <= 'f' ? (char)(*c - 32) : *c;
    assert_int_equal(hub_commit_to(b, &second, "refs/heads/main", &op, 1, hex), CLO_COMMIT_OK);
    assert_int_equal(hub_commit_to(b, NULL, "refs/heads/main", &op, 1, hex), CLO_COMMIT_STALE);
    assert_string_equal(b->err.text,
                        "The branch was updated since you opened this page. Please refresh and try again.");
    clo_oid_hex(hex, &second);
    hex[7] = '\0';
    assert_int_equal(hub_commit_to(b, NULL, "refs/heads/main", &op, 1, hex), CLO_COMMIT_OK);
    assert_int_equal(hub_commit_to(b, NULL, "refs/heads/none", &op, 1, NULL), CLO_COMMIT_NO_BRANCH);
    assert_int_equal(hub_commit_to(b, NULL, "refs/pr/1", &op, 1, NULL), CLO_COMMIT_NO_BRANCH);
    must(clo_db_begin(b->db, &b->err) && clo_pull_create(b->g, 1, &b->err) && clo_db_commit(b->db, &b->err));
    assert_int_equal(hub_commit_to(b, NULL, "refs/pr/1", &op, 1, NULL), CLO_COMMIT_OK);
}

static void large_files_are_pointers_that_their_caller_may_link(void **state)
{
    hub_box *b = *state;
    clo_oid c;
    static clo_entry e;
    clo_op ops[] = {lfs("model.safetensors", SHA_ABC, 3), lfs("sub/odd name [1]*.dat", SHA_ABC, -1),
                    lfs("weights", SHA_ABC, 0)};
    assert_int_equal(hub_commit(b, &c, ops, 3), CLO_COMMIT_OK);
    assert_string_equal(hub_text(b, &c, "model.safetensors"), LFS_TEXT(SHA_ABC, "3"));
    assert_string_equal(hub_text(b, &c, "sub/odd name [1]*.dat"), LFS_TEXT(SHA_ABC, "777"));
    must(clo_tree_entry(&e, b->g, &c, CLO_STR("sub/odd name [1]*.dat"), &b->err));
    assert_true(e.is_lfs);
    assert_int_equal(e.size, 777);
    /* git agrees that all three are LFS, and that no other file became so. */
    hub_export(b, "m.git");
    hub_sh(b, "GIT_LFS_SKIP_SMUDGE=1 git clone -q m.git w");
    assert_string_equal(
        hub_sh(
            b,
            "cd w && git check-attr filter model.safetensors 'sub/odd name [1]*.dat' weights 'sub/odd name 1x.dat' x/weights README.md"
            " | sed 's/.*: //' | tr '\\n' ' '"),
        "lfs lfs lfs unspecified unspecified unspecified ");
    clo_op not_mine = lfs("x.bin", "ff7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 3);
    assert_int_equal(hub_commit(b, NULL, &not_mine, 1), CLO_COMMIT_NO_OBJECT);
    assert_non_null(strstr(b->err.text, "x.bin"));
    assert_null(strstr(hub_text(b, &c, ".gitattributes"), "model.safetensors"));
}

static void a_file_over_the_limit_is_told_to_use_lfs(void **state)
{
    hub_box *b = *state;
    char *bytes = calloc(1, CLO_COMMIT_FILE_MAX + 1);
    clo_op op = {.kind = CLO_OP_FILE, .path = CLO_STR("x"), .content = {(uint8_t *)bytes, CLO_COMMIT_FILE_MAX}};
    assert_int_equal(hub_commit(b, NULL, &op, 1), CLO_COMMIT_OK);
    op.content.len++;
    assert_int_equal(hub_commit(b, NULL, &op, 1), CLO_COMMIT_TOO_LARGE);
    assert_non_null(strstr(b->err.text, "git-lfs"));
    free(bytes);
}

static void a_folder_has_an_end(void **state)
{
    hub_box *b = *state;
    static char names[CLO_FOLDER_ENTRIES_MAX][16];
    static clo_op ops[CLO_FOLDER_ENTRIES_MAX];
    for (size_t i = 0; i < CLO_FOLDER_ENTRIES_MAX; i++) {
        snprintf(names[i], sizeof names[i], "d/%zu", i);
        ops[i] = hub_file(names[i], "x");
    }
    clo_op one_more = hub_file("d/more", "x"), beside = hub_file("e", "x");
    assert_int_equal(hub_commit(b, NULL, ops, CLO_FOLDER_ENTRIES_MAX), CLO_COMMIT_OK);
    assert_int_equal(hub_commit(b, NULL, &one_more, 1), CLO_COMMIT_TOO_LARGE);
    assert_int_equal(hub_commit(b, NULL, &beside, 1), CLO_COMMIT_OK);
}

static void a_change_of_nothing_is_a_commit_too(void **state)
{
    hub_box *b = *state;
    clo_commit *c = NULL;
    clo_commit_result r;
    clo_commit_opts o = {.ref = CLO_STR("refs/heads/main"),
                         .summary = CLO_STR("nothing"),
                         .author = {"alice", "a@x.test"},
                         .now_s = HUB_NOW};
    must(clo_commit_open(&c, b->g, &b->err) && clo_commit_make(&r, c, &o, &b->err));
    assert_false(r.changed);
    o.summary = CLO_STR("");
    assert_false(clo_commit_make(&r, c, &o, &b->err));
    assert_int_equal(clo_commit_why(c), CLO_COMMIT_BAD);
    clo_commit_close(c);
    hub_export(b, "m.git");
}

static void a_refused_commit_leaves_nothing(void **state)
{
    hub_box *b = *state;
    clo_op ops[] = {hub_file("new", "bytes of it"), remove_file("none")};
    clo_oid before = hub_main(b), after;
    assert_int_equal(hub_commit(b, NULL, ops, 2), CLO_COMMIT_NO_ENTRY);
    after = hub_main(b);
    assert_true(clo_oid_eq(&before, &after));
    clo_stmt q = {0};
    bool row;
    must(clo_stmt_open(&q, b->db, "SELECT count(*) FROM git_objects", &b->err) && clo_stmt_step(&q, &row, &b->err));
    assert_int_equal(clo_stmt_get_int(&q, 0), 3);
    clo_stmt_close(&q);
}

/* --- the body of a request ----------------------------------------------------------------------------------------*/

static bool add_op(void *ctx, const clo_op *op, clo_err *err)
{
    return clo_commit_add(ctx, op, err);
}

static void the_lines_of_a_request_become_a_commit(void **state)
{
    hub_box *b = *state;
    static const char body[] =
        "{\"key\":\"header\",\"value\":{\"summary\":\"Upload\",\"description\":\"why\"}}\n"
        "{\"key\":\"file\",\"value\":{\"path\":\"README.md\",\"content\":\"aGVsbG8=\",\"encoding\":\"base64\"}}\n"
        "{\"key\":\"file\",\"value\":{\"path\":\"u\",\"content\":\"h\\u00e4\"}}\n"
        "{\"key\":\"lfsFile\",\"value\":{\"path\":\"w.bin\",\"algo\":\"sha256\",\"oid\":\"" SHA_ABC
        "\",\"size\":200000}}\n"
        "{\"key\":\"copyFile\",\"value\":{\"path\":\"at\",\"srcPath\":\".gitattributes\"}}\n"
        "{\"key\":\"deletedFolder\",\"value\":{\"path\":\"u/\"}}";
    for (size_t piece = 1; piece < sizeof body; piece = piece * 3 + 1) {
        clo_commit_lines *p = NULL;
        clo_commit *c = NULL;
        clo_commit_result r;
        must(clo_commit_open(&c, b->g, &b->err) && clo_commit_lines_open(&p, add_op, c, &b->err));
        for (size_t at = 0; at < sizeof body - 1; at += piece)
            must(clo_commit_lines_add(
                p, (clo_bytes){(const uint8_t *)body + at, sizeof body - 1 - at < piece ? sizeof body - 1 - at : piece},
                &b->err));
        must(clo_commit_lines_end(p, &b->err));
        clo_commit_header h = clo_commit_lines_header(p);
        clo_commit_opts o = {.ref = CLO_STR("refs/heads/main"),
                             .summary = h.summary,
                             .description = h.description,
                             .parent = h.parent,
                             .author = {"alice", "a@x.test"},
                             .now_s = HUB_NOW,
                             .may_link = hub_may_link};
        must(clo_commit_make(&r, c, &o, &b->err));
        assert_string_equal(hub_text(b, &r.commit, "README.md"), "hello");
        assert_string_equal(hub_text(b, &r.commit, "u"), "-");
        assert_string_equal(hub_text(b, &r.commit, "w.bin"), LFS_TEXT(SHA_ABC, "200000"));
        assert_non_null(strstr(hub_text(b, &r.commit, "at"), "*.bin"));
        clo_commit_close(c);
        clo_commit_lines_close(p);
    }
    hub_export(b, "m.git");
    assert_string_equal(hub_sh(b, "git -C m.git log -1 --format=%%B main"), "Upload\n\nwhy");
}

static bool ignore_op(void *ctx, const clo_op *op, clo_err *err)
{
    (void)ctx, (void)op, (void)err;
    return true;
}

static void lines_that_are_no_commit_are_refused_with_their_place(void **state)
{
    hub_box *b = *state;
#define HEAD "{\"key\":\"header\",\"value\":{\"summary\":\"s\"}}\n"
    static const struct {
        const char *why, *body;
        uint64_t at;
    } rows[] = {
        {"nothing", "", 0},
        {"no header", "{\"key\":\"file\",\"value\":{\"path\":\"x\",\"content\":\"\"}}\n", 0},
        {"two headers", HEAD HEAD, 41},
        {"a header without a summary", "{\"key\":\"header\",\"value\":{\"description\":\"\"}}", 0},
        {"an empty summary", "{\"key\":\"header\",\"value\":{\"summary\":\"\"}}", 0},
        {"a parent that is no id", "{\"key\":\"header\",\"value\":{\"summary\":\"s\",\"parentCommit\":\"main\"}}", 0},
        {"a parent of four digits", "{\"key\":\"header\",\"value\":{\"summary\":\"s\",\"parentCommit\":\"abcd\"}}", 0},
        {"no JSON", HEAD "x", 41},
        {"a list", HEAD "[]", 41},
        {"a value that is no object", HEAD "{\"key\":\"file\",\"value\":1}", 41},
        {"an unknown operation", HEAD "{\"key\":\"format\",\"value\":{}}", 41},
        {"a key that is no text", HEAD "{\"key\":1,\"value\":{}}", 41},
        {"a member twice", HEAD "{\"key\":\"deletedFile\",\"key\":\"file\",\"value\":{\"path\":\"x\"}}", 41},
        {"no path", HEAD "{\"key\":\"file\",\"value\":{\"content\":\"\"}}", 41},
        {"a path that is a number", HEAD "{\"key\":\"file\",\"value\":{\"path\":1,\"content\":\"\"}}", 41},
        {"no content", HEAD "{\"key\":\"file\",\"value\":{\"path\":\"x\"}}", 41},
        {"an unknown encoding",
         HEAD "{\"key\":\"file\",\"value\":{\"path\":\"x\",\"content\":\"\",\"encoding\":\"hex\"}}", 41},
        {"base64 that is cut",
         HEAD "{\"key\":\"file\",\"value\":{\"path\":\"x\",\"content\":\"QUJDR\",\"encoding\":\"base64\"}}", 41},
        {"base64 with more behind its end",
         HEAD "{\"key\":\"file\",\"value\":{\"path\":\"x\",\"content\":\"QQ==QQ==\",\"encoding\":\"base64\"}}", 41},
        {"base64 with bits left over",
         HEAD "{\"key\":\"file\",\"value\":{\"path\":\"x\",\"content\":\"QR==\",\"encoding\":\"base64\"}}", 41},
        {"base64 with a wrong character",
         HEAD "{\"key\":\"file\",\"value\":{\"path\":\"x\",\"content\":\"Q-==\",\"encoding\":\"base64\"}}", 41},
        {"an oid that is too short",
         HEAD "{\"key\":\"lfsFile\",\"value\":{\"path\":\"x\",\"oid\":\"abcd\",\"size\":1}}", 41},
        {"another digest",
         HEAD "{\"key\":\"lfsFile\",\"value\":{\"path\":\"x\",\"algo\":\"md5\",\"oid\":\"" SHA_ABC "\",\"size\":1}}",
         41},
        {"a size below zero",
         HEAD "{\"key\":\"lfsFile\",\"value\":{\"path\":\"x\",\"oid\":\"" SHA_ABC "\",\"size\":-1}}", 41},
        {"a size that is no whole number",
         HEAD "{\"key\":\"lfsFile\",\"value\":{\"path\":\"x\",\"oid\":\"" SHA_ABC "\",\"size\":1.5}}", 41},
        {"a copy from nowhere", HEAD "{\"key\":\"copyFile\",\"value\":{\"path\":\"x\"}}", 41},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        clo_commit_lines *p = NULL;
        clo_err err = {0};
        must(clo_commit_lines_open(&p, ignore_op, NULL, &b->err));
        bool ok =
            clo_commit_lines_add(p, clo_bytes_of(clo_str_from(rows[i].body)), &err) && clo_commit_lines_end(p, &err);
        if (ok || err.code != CLO_ERR_FORMAT || err.at != rows[i].at)
            fail_msg("%s: %d, %d at %llu", rows[i].why, ok, err.code, (unsigned long long)err.at);
        assert_false(clo_commit_lines_end(p, &err));
        clo_commit_lines_close(p);
    }
}

static void a_line_has_an_end(void **state)
{
    hub_box *b = *state;
    clo_commit_lines *p = NULL;
    size_t n = (size_t)1 << 20;
    char *bytes = malloc(n);
    bool ok = true;
    int i = 0;
    memset(bytes, 'a', n);
    must(clo_commit_lines_open(&p, ignore_op, NULL, &b->err));
    for (; ok && i < 40; i++) ok = clo_commit_lines_add(p, (clo_bytes){(uint8_t *)bytes, n}, &b->err);
    assert_false(ok);
    assert_int_equal(b->err.code, CLO_ERR_LIMIT);
    assert_int_equal(i, 17);
    clo_commit_lines_close(p);
    free(bytes);
}

/* --- several writers, and kills -----------------------------------------------------------------------------------*/

/* Commits one file after the other under names of its own, and writes each commit's id to fd once it is acknowledged. */
static void commit_in_a_loop(const char *dir, int64_t repo, const char *name, int fd, int n)
{
    clo_err err = {0};
    clo_db *db = NULL;
    if (!clo_db_open(&db, dir, &err)) _exit(3);
    for (int i = 0; i < n; i++) {
        clo_git *g = NULL;
        clo_commit *c = NULL;
        clo_commit_result r;
        char path[64], text[96], hex[CLO_OID_HEX];
        snprintf(path, sizeof path, "%s/%d", name, i);
        snprintf(text, sizeof text, "text of %s", path);
        clo_op op = hub_file(path, text);
        clo_commit_opts o = {.ref = CLO_STR("refs/heads/main"),
                             .summary = clo_str_from(path),
                             .author = {name, ""},
                             .now_s = HUB_NOW + i};
        if (!clo_git_open(&g, db, repo, &err) || !clo_commit_open(&c, g, &err) || !clo_commit_add(c, &op, &err) ||
            !clo_commit_make(&r, c, &o, &err))
            _exit(4);
        clo_oid_hex(hex, &r.commit);
        hex[40] = '\n';
        if (write(fd, hex, 41) != 41) _exit(5);
        clo_commit_close(c);
        clo_git_close(g);
    }
    clo_db_close(db);
    _exit(0);
}

static pid_t start(hub_box *b, const char *name, int n, int *fd)
{
    int p[2];
    assert_int_equal(pipe(p), 0);
    pid_t child = fork();
    if (child == 0) {
        close(p[0]);
        commit_in_a_loop(b->dir, b->repo.id, name, p[1], n);
    }
    assert_true(child > 0);
    close(p[1]);
    *fd = p[0];
    return child;
}

/* Every id that was told is in main's history. Returns how many were told. */
static int check_told(hub_box *b, int fd)
{
    char line[42] = "";
    int n = 0;
    FILE *f = fdopen(fd, "r");
    const char *log = hub_sh(b, "git -C m.git rev-list main");
    while (fgets(line, sizeof line, f) && strlen(line) == 41) {
        line[40] = '\0';
        if (!strstr(log, line)) fail_msg("%s was acknowledged and is gone", line);
        n++;
    }
    fclose(f);
    return n;
}

static void writers_stand_one_behind_the_other(void **state)
{
    hub_box *b = *state;
    static const char *const names[] = {"w0", "w1", "w2", "w3"};
    pid_t pids[4];
    int fds[4], status;
    for (int i = 0; i < 4; i++) pids[i] = start(b, names[i], 15, &fds[i]);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    hub_open_git(b);
    hub_export(b, "m.git");
    for (int i = 0; i < 4; i++) assert_int_equal(check_told(b, fds[i]), 15);
    assert_string_equal(hub_sh(b, "git -C m.git rev-list --count main"), "61");
    assert_string_equal(hub_sh(b, "git -C m.git rev-list --min-parents=2 main"), "");
    assert_string_equal(hub_sh(b, "git -C m.git ls-tree -r --name-only main | wc -l"), "61");
}

static void what_was_acknowledged_survives_a_kill(void **state)
{
    hub_box *b = *state;
    unsigned seed = 7;
    int n_told = 0;
    for (int round = 0; round < 15; round++) {
        char name[16];
        int fd, status;
        snprintf(name, sizeof name, "k%d", round);
        pid_t pid = start(b, name, 100000, &fd);
        seed = seed * 1103515245u + 12345u;
        struct timespec wait = {0, (long)(20 + seed / 65536 % 100) * 1000000};
        nanosleep(&wait, NULL);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        clo_git_close(b->g);
        b->g = NULL;
        clo_db_close(b->db);
        must(clo_db_open(&b->db, b->dir, &b->err));
        hub_open_git(b);
        hub_export(b, "m.git"); /* git reads all of it */
        n_told += check_told(b, fd);
    }
    assert_true(n_told > 15);
    clo_stmt q = {0};
    bool row;
    must(clo_stmt_open(&q, b->db, "PRAGMA integrity_check", &b->err) && clo_stmt_step(&q, &row, &b->err));
    assert_true(clo_str_eq(clo_stmt_get_str(&q, 0), CLO_STR("ok")));
    clo_stmt_close(&q);
    /* Nothing lies there that no commit leads to: an unfinished commit left no rows. */
    assert_string_equal(hub_sh(b, "git -C m.git fsck --unreachable 2>&1"), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, hub_set_up, hub_tear_down)
        T(a_commit_is_what_git_would_make),
        T(operations_take_effect_in_their_order),
        T(renames_and_copies_keep_the_object),
        T(what_is_deleted_must_be_there),
        T(a_file_and_a_folder_cannot_have_one_name),
        T(paths_that_could_do_harm_are_refused),
        T(a_stale_parent_is_told),
        T(large_files_are_pointers_that_their_caller_may_link),
        T(a_file_over_the_limit_is_told_to_use_lfs),
        T(a_folder_has_an_end),
        T(a_change_of_nothing_is_a_commit_too),
        T(a_refused_commit_leaves_nothing),
        T(the_lines_of_a_request_become_a_commit),
        T(lines_that_are_no_commit_are_refused_with_their_place),
        T(a_line_has_an_end),
        T(writers_stand_one_behind_the_other),
        T(what_was_acknowledged_survives_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
