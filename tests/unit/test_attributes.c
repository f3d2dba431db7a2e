/* .gitattributes and .gitignore: what git says of the same patterns and paths. */
#include "hub_box.h"

#include "hub/attributes.h"

static bool lfs(const char *text, const char *path)
{
    clo_patterns p = {0};
    clo_err err = {0};
    if (!clo_attributes_parse(&p, clo_str_from(text), &err)) fail_msg("%s", err.text);
    bool yes = clo_attributes_lfs(&p, clo_str_from(path));
    clo_patterns_free(&p);
    return yes;
}

static void the_last_rule_that_matches_decides(void **state)
{
    (void)state;
    assert_true(lfs("*.bin filter=lfs diff=lfs merge=lfs -text\n", "a/b/x.bin"));
    assert_false(lfs("*.bin filter=lfs\nx.bin !filter\n", "x.bin"));
    assert_false(lfs("*.bin filter=lfs\nx.bin -filter\n", "x.bin"));
    assert_false(lfs("*.bin filter=lfs\nx.bin filter=other\n", "x.bin"));
    assert_true(lfs("x.bin -filter\n*.bin filter=lfs\n", "x.bin"));
    assert_true(lfs("*.bin filter=lfs\nx.bin text\n", "x.bin")); /* says nothing of the filter */
    assert_true(lfs("\"a b.bin\" filter=lfs\n", "a b.bin"));
    assert_true(lfs("  *.bin\tfilter=lfs\r\n", "x.bin"));
    assert_false(lfs("# *.bin filter=lfs\n", "x.bin"));
    assert_false(lfs("*.bin filter=lfs2", "x.bin"));
    assert_false(lfs("", "x.bin"));
}

static unsigned seed = 11;

static unsigned draw(unsigned n)
{
    seed = seed * 1103515245u + 12345u;
    return seed / 65536 % n;
}

static void random_text(char *out, const char *const *parts, unsigned n_parts, unsigned n)
{
    out[0] = '\0';
    for (unsigned i = 0; i < n; i++) snprintf(out + strlen(out), 64 - strlen(out), "%s", parts[draw(n_parts)]);
}

/* Paths that can lie in a folder: no empty part, no part of dots alone. */
static void random_path(char *out)
{
    static const char *const parts[] = {"a", "b", "ab", "a.c", "c", "-", "1"};
    out[0] = '\0';
    for (unsigned i = 0, n = 1 + draw(4); i < n; i++)
        snprintf(out + strlen(out), 64 - strlen(out), "%s%s%s", i ? "/" : "", parts[draw(7)],
                 draw(2) ? parts[draw(7)] : "");
}

/* Two stars behind something else than a slash: git before 2.41 compares pointers of two texts there, and what it answers
 * changes from run to run. */
static bool git_cannot_tell(const char *pattern)
{
    for (const char *at = pattern; (at = strstr(at, "**")); at++)
        if (at > pattern && at[-1] != '/') return true;
    return false;
}

#define N_PATHS 150

static void write_lines(hub_box *b, const char *name, char lines[][64], size_t n)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", b->dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (size_t i = 0; i < n; i++) fprintf(f, "%s\n", lines[i]);
    fclose(f);
}

static void random_patterns_match_what_git_matches(void **state)
{
    hub_box *b = *state;
    static const char *const parts[] = {"a", "b",    "c",    "*",     "*",   "**", "/",           "/",   "?",
                                        ".", "[ab]", "[!a]", "[a-c]", "\\*", "-",  "[[:digit:]]", "**/", "/**"};
    static char patterns[1][64], paths[N_PATHS][64];
    for (int i = 0; i < N_PATHS; i++) random_path(paths[i]);
    write_lines(b, "paths", paths, N_PATHS);
    hub_sh(b, "git init -q w");
    for (int round = 0; round < 120; round++) {
        char rule[80];
        do {
            random_text(patterns[0], parts, 18, 1 + draw(6));
        } while (strchr("!-", patterns[0][0]) || git_cannot_tell(patterns[0]));
        snprintf(rule, sizeof rule, "%s filter=lfs\n", patterns[0]);
        write_lines(b, "pattern", patterns, 1);
        char said[N_PATHS * 8 + 1];
        snprintf(
            said, sizeof said, "%s",
            hub_sh(
                b,
                "sed 's/$/ filter=lfs/' pattern > w/.gitattributes && cd w && git check-attr --stdin filter < ../paths |"
                " sed 's/.*: //;s/lfs/1/;s/unspecified/0/' | tr -d '\\n'"));
        assert_int_equal(strlen(said), N_PATHS);
        for (int i = 0; i < N_PATHS; i++)
            if (lfs(rule, paths[i]) != (said[i] == '1'))
                fail_msg("pattern '%s', path '%s': git says %c", patterns[0], paths[i], said[i]);
    }
}

static void random_ignore_files_ignore_what_git_ignores(void **state)
{
    hub_box *b = *state;
    static const char *const parts[] = {"a", "b", "ab", "c", "*", "**", "/", "?", ".c", "[ab]", "/"};
    static char rules[4][64], paths[N_PATHS][64];
    for (int i = 0; i < N_PATHS; i++) random_path(paths[i]);
    write_lines(b, "paths", paths, N_PATHS);
    hub_sh(b, "git init -q w");
    for (int round = 0; round < 80; round++) {
        char text[300] = "";
        size_t n = 1 + draw(4);
        for (size_t i = 0; i < n; i++) {
            do {
                random_text(rules[i], parts, 11, 1 + draw(4));
            } while (git_cannot_tell(rules[i]) || strstr(rules[i], "//"));
            if (draw(3) == 0) {
                char t[64];
                snprintf(t, sizeof t, "!%.60s", rules[i]);
                memcpy(rules[i], t, sizeof t);
            }
            if (draw(4) == 0 && rules[i][strlen(rules[i]) - 1] != '/') snprintf(rules[i] + strlen(rules[i]), 3, "/");
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s\n", rules[i]);
        }
        write_lines(b, "w/.gitignore", rules, n);
        clo_patterns p = {0};
        must(clo_ignore_parse(&p, clo_str_from(text), &b->err));
        char said[16384];
        said[0] = '\n';
        snprintf(said + 1, sizeof said - 1, "%s\n",
                 hub_sh(b, "cd w && { git check-ignore --no-index --stdin < ../paths || true; }"));
        for (int i = 0; i < N_PATHS; i++) {
            char line[72];
            snprintf(line, sizeof line, "\n%.63s\n", paths[i]);
            bool git = strstr(said, line) != NULL;
            if (clo_ignore_matches(&p, clo_str_from(paths[i])) != git)
                fail_msg("rules\n%spath '%s': git says %d", text, paths[i], git);
        }
        clo_patterns_free(&p);
    }
}

static void a_hostile_pattern_costs_no_more_than_its_length(void **state)
{
    (void)state;
    char pattern[CLO_PATTERN_MAX + 2], path[4001];
    for (size_t i = 0; i < CLO_PATTERN_MAX; i++) pattern[i] = i % 2 ? 'a' : '*';
    memset(path, 'a', 4000);
    assert_false(clo_wildmatch((clo_str){pattern, CLO_PATTERN_MAX - 1}, (clo_str){path, 400}));
    assert_true(clo_wildmatch((clo_str){pattern, CLO_PATTERN_MAX - 1}, (clo_str){path, 4000}));
    assert_false(clo_wildmatch((clo_str){pattern, CLO_PATTERN_MAX + 1}, (clo_str){path, 4000}));
    static const char *const odd[] = {"[",  "[!",  "[]", "[a",  "[a-", "[a-]", "[[:", "[[:x", "[[:x:",
                                      "\\", "a\\", "**", "**/", "/**", "***",  "[]]", "[\\]"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) clo_wildmatch(clo_str_from(odd[i]), CLO_STR("a/b]"));
}

static void how_a_file_is_sent(void **state)
{
    hub_box *b = *state;
    clo_patterns p = {0};
    must(clo_attributes_parse(&p, clo_repo_attributes(CLO_REPO_MODEL), &b->err));
    static const struct {
        const char *path;
        uint64_t size;
        clo_bytes sample;
        bool lfs;
    } rows[] = {
        {"README.md", 9 << 20, {(const uint8_t *)"text", 4}, false},
        {"README.md", 10 << 20, {(const uint8_t *)"text", 4}, false},
        {"README.md", (10 << 20) + 1, {(const uint8_t *)"text", 4}, true},
        {"x.bin", 3, {(const uint8_t *)"abc", 3}, true},
        {"a/b/x.pkl", 3, {(const uint8_t *)"abc", 3}, true},
        {"saved_model/x", 3, {(const uint8_t *)"abc", 3}, true},
        {"saved_model/a/b/x", 3, {(const uint8_t *)"abc", 3}, true},
        {"a/saved_model/x", 3, {(const uint8_t *)"abc", 3}, false},
        {"run/events.out.tfevents.1", 3, {(const uint8_t *)"abc", 3}, true},
        {"x", 4, {(const uint8_t *)"a\0bc", 4}, true},
        {"x", 2, {(const uint8_t *)"\xff\xfe", 2}, true},
        {"x", 600, {(const uint8_t *)"a\xe2\x82", 3}, false}, /* the sample cuts a character */
        {"x", 3, {(const uint8_t *)"a\xe2\x82", 3}, true},
        {"x", 0, {(const uint8_t *)"", 0}, false},
        {"img.png", 3, {(const uint8_t *)"abc", 3}, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (clo_upload_is_lfs(&p, clo_str_from(rows[i].path), rows[i].size, rows[i].sample) != rows[i].lfs)
            fail_msg("row %zu: %s", i, rows[i].path);
    clo_patterns_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, hub_set_up, hub_tear_down)
        T(the_last_rule_that_matches_decides),
        T(random_patterns_match_what_git_matches),
        T(random_ignore_files_ignore_what_git_ignores),
        T(a_hostile_pattern_costs_no_more_than_its_length),
        T(how_a_file_is_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
