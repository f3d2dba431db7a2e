/* Keys: what is stored of them, who gets in, what quotas refuse, what survives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/file.h"
#include "hub/keys_impl.h"
#include "temp_folder.h"

#define DAY 86400
#define NOW ((int64_t)20000 * DAY + 1000) /* 1000 s after a midnight */

typedef struct {
    char dir[64];
    clo_db *db;
    clo_err err;
} box;

static int set_up(void **state)
{
    box *b = calloc(1, sizeof *b);
    temp_folder_make(b->dir);
    if (!clo_db_open(&b->db, b->dir, &b->err)) return -1;
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    box *b = *state;
    clo_db_close(b->db);
    temp_folder_remove(b->dir);
    free(b);
    return 0;
}

static bool add(box *b, char text[CLO_KEY_TEXT_MAX], clo_key_opts o)
{
    if (!clo_db_begin(b->db, &b->err)) return false;
    if (clo_key_add(text, b->db, &o, NOW, &b->err)) return clo_db_commit(b->db, &b->err);
    clo_db_rollback(b->db);
    return false;
}

static bool end_key(box *b, const char *name)
{
    if (!clo_db_begin(b->db, &b->err)) return false;
    if (clo_key_revoke(b->db, name, NOW, &b->err)) return clo_db_commit(b->db, &b->err);
    clo_db_rollback(b->db);
    return false;
}

static clo_keys *open_keys(box *b)
{
    clo_keys *k = NULL;
    if (!clo_keys_open(&k, b->dir, &b->err)) fail_msg("%s", b->err.text);
    return k;
}

/* 0 when the text opens the door, else the status. */
static int ask(clo_keys *k, const char *text, clo_caller *who, int64_t now)
{
    char header[128];
    clo_refusal no = {0};
    snprintf(header, sizeof header, "Bearer %s", text);
    return clo_keys_who(who, k, header, NULL, now, &no) ? 0 : no.status;
}

static void a_key_is_three_parts_of_letters_and_digits_and_never_the_same(void **state)
{
    box *b = *state;
    char seen[50][CLO_KEY_TEXT_MAX], name[16];
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "n%d", i);
        assert_true(add(b, seen[i], (clo_key_opts){.name = name}));
        assert_int_equal(strlen(seen[i]), 54);
        assert_int_equal(strspn(seen[i] + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"), 51);
        for (int j = 0; j < i; j++) assert_string_not_equal(seen[i] + 11, seen[j] + 11);
    }
}

static void the_secret_is_nowhere_in_the_data_folder(void **state)
{
    box *b = *state;
    char text[CLO_KEY_TEXT_MAX], path[128];
    static const char *const files[] = {"cloche.db", "cloche.db-wal"};
    assert_true(add(b, text, (clo_key_opts){.name = "anna"}));
    for (size_t i = 0; i < 2; i++) {
        clo_map m = {0};
        snprintf(path, sizeof path, "%s/%s", b->dir, files[i]);
        assert_true(clo_map_open(&m, path, &b->err));
        assert_null(memmem(m.bytes.ptr, m.bytes.len, text + 11, 12));
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 007, 0);
        clo_map_close(&m);
    }
}

static void names_and_lists_that_cannot_be_ones_are_refused(void **state)
{
    box *b = *state;
    static const struct {
        const char *why;
        clo_key_opts o;
        clo_code want;
    } rows[] = {
        {"an empty name", {.name = ""}, CLO_ERR_USAGE},
        {"a space", {.name = "a b"}, CLO_ERR_USAGE},
        {"a newline", {.name = "a\nb"}, CLO_ERR_USAGE},
        {"a dash first", {.name = "-a"}, CLO_ERR_USAGE},
        {"64 letters", {.name = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, CLO_ERR_USAGE},
        {"an empty list", {.name = "a", .models = ""}, CLO_ERR_USAGE},
        {"an empty model", {.name = "a", .models = "m,,n"}, CLO_ERR_USAGE},
        {"a star in the middle", {.name = "a", .models = "m*n"}, CLO_ERR_USAGE},
        {"a newline in a model", {.name = "a", .models = "m\nn"}, CLO_ERR_USAGE},
    };
    char text[CLO_KEY_TEXT_MAX];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        b->err = (clo_err){0};
        if (add(b, text, rows[i].o) || b->err.code != rows[i].want) fail_msg("%s: code %d", rows[i].why, b->err.code);
    }
    assert_true(add(b, text, (clo_key_opts){.name = "anna.o-1@lab"}));
    assert_false(add(b, text, (clo_key_opts){.name = "anna.o-1@lab"}));
    assert_int_equal(b->err.code, CLO_ERR_DENIED);
}

static void expiry_is_a_span_or_a_date(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want; /* 0: refused */
    } rows[] = {
        {"90d", NOW + 90 * DAY}, {"12h", NOW + 12 * 3600}, {"2027-01-31", 1801440000}, {"2027-02-29", 0}, {"2028-02-29", 1835481600},
        {"2000-01-01", 0}, {"90", 0}, {"d", 0}, {"0d", 0}, {"-1d", 0}, {"1dd", 0}, {"2027-1-31", 0}, {"2027-13-01", 0},
        {"", 0}, {"99999999999999999999d", 0}, {"2027-01-31x", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t s = 0;
        bool ok = clo_key_parse_expiry(&s, rows[i].text, NOW, NULL);
        if (ok != (rows[i].want != 0) || (ok && s != rows[i].want))
            fail_msg("'%s': %d, %lld", rows[i].text, ok, (long long)s);
    }
}

static void without_any_key_everyone_may_ask_and_from_the_first_on_nobody_without(void **state)
{
    box *b = *state;
    char text[CLO_KEY_TEXT_MAX];
    clo_keys *k = open_keys(b);
    clo_caller who;
    clo_refusal no;
    assert_false(clo_keys_needed(k));
    assert_true(clo_keys_who(&who, k, NULL, NULL, NOW, &no));
    assert_true(clo_keys_who(&who, k, "Bearer ollama", NULL, NOW, &no));
    assert_string_equal(who.name, "");
    assert_true(add(b, text, (clo_key_opts){.name = "anna"})); /* by another connection, as another process would */
    assert_true(clo_keys_needed(k));
    assert_false(clo_keys_who(&who, k, NULL, NULL, NOW, &no));
    assert_int_equal(no.status, 401);
    assert_string_equal(no.code, "invalid_api_key");
    assert_true(no.no_retry);
    assert_true(end_key(b, "anna"));
    assert_true(clo_keys_needed(k)); /* the last key's end opens nothing */
    clo_keys_ask_nobody(k);
    assert_false(clo_keys_needed(k));
    assert_true(clo_keys_who(&who, k, NULL, NULL, NOW, &no));
    clo_keys_close(k);
}

static void only_the_whole_right_key_opens_in_either_header(void **state)
{
    box *b = *state;
    char text[CLO_KEY_TEXT_MAX], other[CLO_KEY_TEXT_MAX], bad[128];
    assert_true(add(b, text, (clo_key_opts){.name = "anna"}) && add(b, other, (clo_key_opts){.name = "ben"}));
    clo_keys *k = open_keys(b);
    clo_caller who;
    clo_refusal no;
    assert_int_equal(ask(k, text, &who, NOW), 0);
    assert_string_equal(who.name, "anna");
    assert_true(clo_keys_who(&who, k, NULL, other, NOW, &no));
    assert_string_equal(who.name, "ben");
    snprintf(bad, sizeof bad, "bearer   %s  ", text);
    assert_true(clo_keys_who(&who, k, bad, NULL, NOW, &no));
    snprintf(bad, sizeof bad, "Basic %s", text);
    assert_false(clo_keys_who(&who, k, bad, NULL, NOW, &no));
    for (size_t i = 0; i < strlen(text); i++) { /* every character counts */
        snprintf(bad, sizeof bad, "%s", text);
        bad[i] = bad[i] == 'x' ? 'y' : 'x';
        assert_int_equal(ask(k, bad, &who, NOW), 401);
        snprintf(bad, sizeof bad, "%.*s", (int)i, text);
        assert_int_equal(ask(k, bad, &who, NOW), 401);
    }
    snprintf(bad, sizeof bad, "%.11s%s", text, other + 11); /* the id of one, the secret of another */
    assert_int_equal(ask(k, bad, &who, NOW), 401);
    snprintf(bad, sizeof bad, "%sx", text);
    assert_int_equal(ask(k, bad, &who, NOW), 401);
    clo_keys_close(k);
}

static void a_revoked_and_an_expired_key_are_refused_at_once(void **state)
{
    box *b = *state;
    char anna[CLO_KEY_TEXT_MAX], ben[CLO_KEY_TEXT_MAX], again[CLO_KEY_TEXT_MAX];
    clo_keys *k = open_keys(b);
    clo_caller who;
    clo_grant *g = NULL;
    clo_refusal no;
    assert_true(add(b, anna, (clo_key_opts){.name = "anna"}));
    assert_true(add(b, ben, (clo_key_opts){.name = "ben", .expires_s = NOW + 10}));
    assert_int_equal(ask(k, ben, &who, NOW + 9), 0);
    assert_int_equal(ask(k, ben, &who, NOW + 10), 401);
    assert_int_equal(ask(k, anna, &who, NOW), 0);
    assert_true(end_key(b, "anna"));
    assert_int_equal(ask(k, anna, &(clo_caller){0}, NOW), 401);
    assert_false(clo_keys_begin(&g, k, &who, "m", 1, NOW, &no)); /* was let in before, starts after */
    assert_int_equal(no.status, 401);
    assert_true(add(b, again, (clo_key_opts){.name = "anna"}));
    assert_int_equal(ask(k, again, &who, NOW), 0);
    assert_int_equal(ask(k, anna, &who, NOW), 401);
    clo_keys_close(k);
}

static void a_key_with_a_list_may_use_those_models_only(void **state)
{
    box *b = *state;
    char text[CLO_KEY_TEXT_MAX];
    static const struct {
        const char *model;
        bool may;
    } rows[] = {{"smollm2", true}, {"smollm2:latest", true}, {"smollm", false}, {"smollm2x", false}, {"org/a", true},
                {"org/", true}, {"other/a", false}, {"", false}, {"q:q4_0", true}, {"q", false}};
    assert_true(add(b, text, (clo_key_opts){.name = "anna", .models = "smollm2,org/*,q:q4_0"}));
    clo_keys *k = open_keys(b);
    clo_caller who;
    assert_int_equal(ask(k, text, &who, NOW), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        clo_grant *g = NULL;
        clo_refusal no = {0};
        bool may = clo_keys_begin(&g, k, &who, rows[i].model, 1, NOW, &no);
        if (may != rows[i].may || clo_keys_may_use(k, &who, rows[i].model) != may) fail_msg("'%s'", rows[i].model);
        if (!may) assert_int_equal(no.status, 403);
        if (!may) assert_string_equal(no.type, "permission_error");
        clo_keys_end(k, g, 0, 0, NOW);
    }
    clo_keys_close(k);
}

static void no_more_requests_run_at_once_than_the_key_may_have(void **state)
{
    box *b = *state;
    char text[CLO_KEY_TEXT_MAX];
    assert_true(add(b, text, (clo_key_opts){.name = "anna", .concurrent = 2}));
    clo_keys *k = open_keys(b);
    clo_caller who;
    clo_grant *g[3] = {0};
    clo_refusal no = {0};
    assert_int_equal(ask(k, text, &who, NOW), 0);
    assert_true(clo_keys_begin(&g[0], k, &who, "m", 1, NOW, &no) && clo_keys_begin(&g[1], k, &who, "m", 1, NOW, &no));
    assert_false(clo_keys_begin(&g[2], k, &who, "m", 1, NOW, &no));
    assert_int_equal(no.status, 429);
    assert_string_equal(no.type, "requests");
    assert_string_equal(no.code, "rate_limit_exceeded");
    assert_true(no.retry_after_s > 0 && !no.no_retry);
    clo_keys_end(k, g[0], 0, 0, NOW);
    assert_true(clo_keys_begin(&g[2], k, &who, "m", 1, NOW, &no));
    clo_keys_end(k, g[1], 0, 0, NOW);
    clo_keys_end(k, g[2], 0, 0, NOW);
    clo_keys_close(k);
}

static void the_days_tokens_are_counted_reserved_and_begin_anew_at_midnight(void **state)
{
    box *b = *state;
    char text[CLO_KEY_TEXT_MAX];
    assert_true(add(b, text, (clo_key_opts){.name = "anna", .tokens_per_day = 100}));
    clo_keys *k = open_keys(b);
    clo_caller who;
    clo_grant *g = NULL, *h = NULL;
    clo_refusal no = {0};
    assert_int_equal(ask(k, text, &who, NOW), 0);
    assert_true(clo_keys_begin(&g, k, &who, "m", 30, NOW, &no));
    assert_int_equal(clo_grant_output_max(g), 70);
    assert_true(clo_keys_begin(&h, k, &who, "m", 30, NOW, &no));
    assert_int_equal(clo_grant_output_max(h), 40);
    clo_keys_end(k, h, 0, 0, NOW);
    assert_false(clo_keys_begin(&h, k, &who, "m", 70, NOW, &no)); /* passes when the other ends with less */
    assert_string_equal(no.type, "tokens");
    assert_string_equal(no.code, "rate_limit_exceeded");
    assert_false(no.no_retry);
    clo_keys_end(k, g, 30, 30, NOW);
    assert_false(clo_keys_begin(&h, k, &who, "m", 40, NOW, &no)); /* leaves no room for one token */
    assert_int_equal(no.status, 429);
    assert_string_equal(no.type, "insufficient_quota");
    assert_true(no.no_retry);
    assert_int_equal(no.retry_after_s, DAY - 1000);
    assert_true(clo_keys_begin(&h, k, &who, "m", 39, NOW, &no));
    assert_int_equal(clo_grant_output_max(h), 1);
    clo_keys_end(k, h, 39, 1, NOW + DAY); /* counted on the day that it ends */
    assert_true(clo_keys_begin(&h, k, &who, "m", 1, NOW + DAY, &no));
    assert_int_equal(clo_grant_output_max(h), 100 - 40 - 1);
    clo_keys_end(k, h, 1, 0, NOW + DAY);
    clo_keys_close(k);
}

static void what_was_used_is_known_after_a_restart_also_under_a_new_key(void **state)
{
    box *b = *state;
    char text[CLO_KEY_TEXT_MAX];
    json_t *list = NULL;
    clo_caller who;
    clo_grant *g = NULL;
    clo_refusal no;
    assert_true(add(b, text, (clo_key_opts){.name = "anna", .tokens_per_day = 100}));
    assert_true(clo_key_usage_add(b->db, "anna", NOW, 20, 30, &b->err));
    assert_true(clo_key_usage_add(b->db, "anna", NOW, 1, 2, &b->err));
    assert_true(clo_key_usage_add(b->db, "anna", NOW - DAY, 1000, 1000, &b->err));
    assert_true(end_key(b, "anna") && add(b, text, (clo_key_opts){.name = "anna", .tokens_per_day = 100}));
    clo_keys *k = open_keys(b);
    assert_int_equal(ask(k, text, &who, NOW), 0);
    assert_true(clo_keys_begin(&g, k, &who, "m", 7, NOW, &no));
    assert_int_equal(clo_grant_output_max(g), 100 - 53 - 7);
    clo_keys_end(k, g, 7, 0, NOW);
    clo_keys_close(k);
    assert_true(clo_key_list(&list, b->db, false, NOW, &b->err));
    assert_int_equal(json_array_size(list), 1);
    const json_t *used = json_object_get(json_array_get(list, 0), "used");
    assert_int_equal(clo_json_int(json_object_get(used, "today"), "output", 0), 32);
    assert_int_equal(clo_json_int(json_object_get(used, "today"), "requests", 0), 2);
    assert_int_equal(clo_json_int(json_object_get(used, "all"), "prompt", 0), 1021);
    json_decref(list);
}

static void addresses_that_others_reach_need_keys_or_the_flag(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        clo_err err = {0};
        bool local = i & 1, needed = i & 2, no_keys = i & 4;
        bool may = clo_keys_check_listen("http://192.0.2.1:80", local, needed, no_keys, &err);
        assert_int_equal(may, local || needed || no_keys);
        if (!may) assert_int_equal(err.code, CLO_ERR_DENIED);
    }
}

static void a_database_of_a_newer_program_or_of_noise_is_refused(void **state)
{
    (void)state;
    char dir[64], path[96];
    clo_db *db = NULL;
    clo_stmt q = {0};
    clo_err err = {0};
    bool row;
    temp_folder_make(dir);
    assert_true(clo_db_open(&db, dir, &err));
    assert_true(clo_stmt_open(&q, db, "PRAGMA user_version = 999", &err) && clo_stmt_step(&q, &row, &err));
    clo_stmt_close(&q);
    clo_db_close(db);
    assert_false(clo_db_open(&db, dir, &err));
    assert_int_equal(err.code, CLO_ERR_UNSUPPORTED);
    snprintf(path, sizeof path, "%s/cloche.db", dir);
    char noise[8192];
    memset(noise, 'x', sizeof noise);
    assert_true(clo_file_write_atomic(path, (clo_bytes){(uint8_t *)noise, sizeof noise}, &err));
    assert_false(clo_db_open(&db, dir, &err));
    assert_int_equal(err.code, CLO_ERR_DAMAGED);
    temp_folder_remove(dir);
}

/* The tables as they were before accounts came, with a key in them. */
static void keys_of_an_older_database_go_on(void **state)
{
    (void)state;
    static const char old[] =
        "CREATE TABLE keys (id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, salt BLOB NOT NULL, hash BLOB NOT NULL,"
        " tokens_per_day INTEGER, concurrent INTEGER, models TEXT, created INTEGER NOT NULL, expires INTEGER,"
        " revoked INTEGER) STRICT, WITHOUT ROWID;"
        "CREATE UNIQUE INDEX keys_by_name ON keys (name) WHERE revoked IS NULL;"
        "CREATE TABLE key_usage (name TEXT NOT NULL, day INTEGER NOT NULL, prompt INTEGER NOT NULL,"
        " output INTEGER NOT NULL, requests INTEGER NOT NULL, PRIMARY KEY (name, day)) STRICT, WITHOUT ROWID;"
        "CREATE TABLE books (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
        "INSERT INTO books VALUES ('keys', 1);"
        "CREATE TABLE audit_head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, digest BLOB NOT NULL) STRICT;"
        "ALTER TABLE keys ADD COLUMN admin INTEGER NOT NULL DEFAULT 0;"
        "INSERT INTO keys VALUES ('00000000', 'anna', zeroblob(16), X'%s', 100, NULL, NULL, 1, NULL, NULL, 1);"
        "INSERT INTO key_usage VALUES ('anna', 20000, 20, 30, 2);"
        "PRAGMA user_version = 2;";
    static const char text[] = "ck_000000001234567890123456789012345678901234567890123";
    char hex[65], sql[4096], header[80], path[96], again[CLO_KEY_TEXT_MAX];
    box b = {0};
    sqlite3 *plain = NULL;
    clo_keys *k;
    clo_caller who;
    clo_grant *g = NULL;
    clo_refusal no = {0};
    clo_sha256 hash = clo_key_hash((uint8_t[16]){0}, text);
    clo_sha256_hex(hex, &hash);
    snprintf(sql, sizeof sql, old, hex);
    temp_folder_make(b.dir);
    snprintf(path, sizeof path, "%s/cloche.db", b.dir);
    assert_int_equal(sqlite3_open(path, &plain), SQLITE_OK);
    assert_int_equal(sqlite3_exec(plain, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(plain), SQLITE_OK);
    assert_true(clo_db_open(&b.db, b.dir, &b.err));
    k = open_keys(&b);
    snprintf(header, sizeof header, "Bearer %s", text);
    assert_true(clo_keys_who(&who, k, header, NULL, NOW, &no) && who.admin);
    assert_true(clo_keys_begin(&g, k, &who, "m", 1, NOW, &no));
    assert_int_equal(clo_grant_output_max(g), 100 - 50 - 1);
    clo_keys_end(k, g, 0, 0, NOW);
    assert_false(add(&b, again, (clo_key_opts){.name = "anna"})); /* the name is taken still */
    assert_true(add(&b, again, (clo_key_opts){.name = "ben"}));
    clo_keys_close(k);
    clo_db_close(b.db);
    temp_folder_remove(b.dir);
}

static void many_processes_may_open_the_first_time_at_once(void **state)
{
    (void)state;
    char dir[64];
    pid_t kids[8];
    temp_folder_make(dir);
    for (int i = 0; i < 8; i++) {
        if ((kids[i] = fork()) != 0) continue;
        clo_db *db = NULL;
        clo_err err = {0};
        char text[CLO_KEY_TEXT_MAX], name[16];
        snprintf(name, sizeof name, "k%d", i);
        bool ok = clo_db_open(&db, dir, &err) && clo_db_begin(db, &err) &&
                  clo_key_add(text, db, &(clo_key_opts){.name = name}, NOW, &err) && clo_db_commit(db, &err);
        if (!ok) fprintf(stderr, "%s\n", err.text);
        clo_db_close(db);
        _exit(ok ? 0 : 1);
    }
    int bad = 0;
    for (int i = 0; i < 8; i++) {
        int status = 0;
        waitpid(kids[i], &status, 0);
        bad += status != 0;
    }
    assert_int_equal(bad, 0);
    clo_db *db = NULL;
    json_t *list = NULL;
    assert_true(clo_db_open(&db, dir, NULL) && clo_key_list(&list, db, true, NOW, NULL));
    assert_int_equal(json_array_size(list), 8);
    json_decref(list);
    clo_db_close(db);
    temp_folder_remove(dir);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_key_is_three_parts_of_letters_and_digits_and_never_the_same),
        T(the_secret_is_nowhere_in_the_data_folder),
        T(names_and_lists_that_cannot_be_ones_are_refused),
        cmocka_unit_test(expiry_is_a_span_or_a_date),
        T(without_any_key_everyone_may_ask_and_from_the_first_on_nobody_without),
        T(only_the_whole_right_key_opens_in_either_header),
        T(a_revoked_and_an_expired_key_are_refused_at_once),
        T(a_key_with_a_list_may_use_those_models_only),
        T(no_more_requests_run_at_once_than_the_key_may_have),
        T(the_days_tokens_are_counted_reserved_and_begin_anew_at_midnight),
        T(what_was_used_is_known_after_a_restart_also_under_a_new_key),
        cmocka_unit_test(addresses_that_others_reach_need_keys_or_the_flag),
        cmocka_unit_test(a_database_of_a_newer_program_or_of_noise_is_refused),
        cmocka_unit_test(keys_of_an_older_database_go_on),
        cmocka_unit_test(many_processes_may_open_the_first_time_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
