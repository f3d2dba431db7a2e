/* Tokens: what is stored of them, who they say a request comes from, and that they open the model-serving routes with the
 * limits of their account. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "hub/session.h"
#include "hub/token.h"
#include "temp_folder.h"

#define DAY 86400
#define NOW ((int64_t)20000 * DAY + 1000)

typedef struct {
    char dir[64];
    clo_db *db;
    clo_keys *keys;
    clo_account_info anna, ben, boss;
    clo_err err;
} box;

static clo_account_info add_user(box *b, clo_account_opts o)
{
    clo_account_info a = {0};
    if (!clo_account_add(&a, b->db, &o, NOW, &b->err)) fail_msg("%s", b->err.text);
    return a;
}

static int set_up(void **state)
{
    box *b = calloc(1, sizeof *b);
    temp_folder_make(b->dir);
    if (!clo_db_open(&b->db, b->dir, &b->err) || !clo_keys_open(&b->keys, b->dir, &b->err)) return -1;
    b->anna = add_user(b, (clo_account_opts){.name = "anna", .tokens_per_day = 100, .concurrent = 1, .models = "smollm2"});
    b->ben = add_user(b, (clo_account_opts){.name = "ben"});
    b->boss = add_user(b, (clo_account_opts){.name = "boss", .admin = true});
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    box *b = *state;
    clo_keys_close(b->keys);
    clo_db_close(b->db);
    temp_folder_remove(b->dir);
    free(b);
    return 0;
}

static void add(box *b, char text[CLO_KEY_TEXT_MAX], clo_token_opts o)
{
    if (!clo_token_add(text, b->db, &o, NOW, &b->err)) fail_msg("%s", b->err.text);
}

/* 0, or the status. */
static int who(box *b, clo_bearer *out, const char *scheme, const char *text, int64_t now)
{
    char header[2048];
    clo_denial no = {0};
    snprintf(header, sizeof header, "%s %s", scheme, text);
    bool ok = clo_token_who(out, b->keys, header, now, &no);
    if (!ok) assert_string_equal(no.message, "Invalid credentials in Authorization header");
    return ok ? 0 : no.status;
}

static void encode64(char *out, const char *in)
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = strlen(in);
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = 0;
        for (size_t j = 0; j < 3; j++) v = v << 8 | (i + j < n ? (uint8_t)in[i + j] : 0);
        for (size_t j = 0; j < 4; j++) *out++ = i + j <= n ? set[v >> (18 - 6 * j) & 63] : '=';
    }
    *out = 0;
}

static void a_token_has_the_form_that_clients_ask_for_and_its_secret_is_nowhere(void **state)
{
    box *b = *state;
    static const char *const files[] = {"cloche.db", "cloche.db-wal"};
    char text[CLO_KEY_TEXT_MAX];
    add(b, text, (clo_token_opts){.account = b->anna.id, .name = "my laptop"});
    assert_int_equal(strlen(text), 54);
    assert_int_equal(strncmp(text, "hf_", 3), 0);
    assert_int_equal(strspn(text + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"), 51);
    for (size_t i = 0; i < 2; i++) {
        char path[128];
        clo_map m = {0};
        snprintf(path, sizeof path, "%s/%s", b->dir, files[i]);
        assert_true(clo_map_open(&m, path, &b->err));
        assert_null(memmem(m.bytes.ptr, m.bytes.len, text + 11, 12));
        clo_map_close(&m);
    }
}

static void a_request_is_known_by_bearer_and_by_the_password_of_basic(void **state)
{
    box *b = *state;
    char text[CLO_KEY_TEXT_MAX], pair[256], coded[512], bad[CLO_KEY_TEXT_MAX];
    static const char *const users[] = {"", "anna", "hf_user", "someone else"};
    clo_bearer w;
    clo_denial no;
    assert_true(clo_token_who(&w, b->keys, NULL, NOW, &no));
    assert_int_equal(w.account, 0);
    add(b, text, (clo_token_opts){.account = b->anna.id, .name = "laptop", .may_write = true, .expires_s = NOW + 10});
    assert_int_equal(who(b, &w, "bearer", text, NOW), 0);
    assert_int_equal(w.account, b->anna.id);
    assert_string_equal(w.user, "anna");
    assert_string_equal(w.oid, b->anna.oid);
    assert_string_equal(w.name, "laptop");
    assert_true(w.may_write && !w.admin && w.scope[0] == 0 && w.created_s == NOW && w.expires_s == NOW + 10);
    assert_int_equal(strncmp(w.id, text + 3, 8), 0);
    for (size_t i = 0; i < sizeof users / sizeof users[0]; i++) {
        snprintf(pair, sizeof pair, "%s:%s", users[i], text);
        encode64(coded, pair);
        assert_int_equal(who(b, &w, "Basic", coded, NOW), 0);
        assert_int_equal(w.account, b->anna.id);
    }
    for (size_t i = 0; i < strlen(text); i++) {
        snprintf(bad, sizeof bad, "%s", text);
        bad[i] = bad[i] == 'x' ? 'y' : 'x';
        assert_int_equal(who(b, &w, "Bearer", bad, NOW), 401);
        snprintf(bad, sizeof bad, "%.*s", (int)i, text);
        assert_int_equal(who(b, &w, "Bearer", bad, NOW), 401);
        snprintf(pair, sizeof pair, "u:%s", bad);
        encode64(coded, pair);
        assert_int_equal(who(b, &w, "Basic", coded, NOW), 401);
        assert_int_equal(w.account, 0);
    }
    memcpy(bad, text, sizeof bad);
    memcpy(bad, "ck_", 3); /* the same letters as a key */
    assert_int_equal(who(b, &w, "Bearer", bad, NOW), 401);
    static const char *const junk[] = {"Basic", "Basic ", "Basic =", "Basic A", "Basic ====", "Basic YQ==", "Basic Y\x01==", "Digest x",
                                       "", " ", "Bearer", "Bearer  "};
    for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++) {
        if (clo_token_who(&w, b->keys, junk[i], NOW, &no)) fail_msg("'%s'", junk[i]);
        assert_int_equal(no.status, 401);
    }
    char long_header[4096] = "Basic ";
    memset(long_header + 6, 'A', sizeof long_header - 7);
    assert_false(clo_token_who(&w, b->keys, long_header, NOW, &no));
    assert_int_equal(who(b, &w, "Bearer", text, NOW + 9), 0);
    assert_int_equal(who(b, &w, "Bearer", text, NOW + 10), 401);
}

static void a_revoked_token_and_those_of_a_removed_user_end_at_once(void **state)
{
    box *b = *state;
    char one[CLO_KEY_TEXT_MAX], two[CLO_KEY_TEXT_MAX], other[CLO_KEY_TEXT_MAX], user[CLO_ACCOUNT_NAME_MAX];
    clo_bearer w;
    json_t *list = NULL;
    add(b, one, (clo_token_opts){.account = b->anna.id, .name = "one"});
    add(b, two, (clo_token_opts){.account = b->anna.id, .name = "two"});
    add(b, other, (clo_token_opts){.account = b->ben.id, .name = "one"}); /* a name is an account's own */
    assert_false(clo_token_add((char[CLO_KEY_TEXT_MAX]){0}, b->db, &(clo_token_opts){.account = b->anna.id, .name = "one"}, NOW, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_DENIED);
    assert_int_equal(who(b, &w, "Bearer", one, NOW), 0);
    assert_true(clo_token_revoke(user, b->db, (clo_str){one + 3, 8}, NOW, &b->err));
    assert_string_equal(user, "anna");
    assert_int_equal(who(b, &w, "Bearer", one, NOW), 401);
    assert_false(clo_token_revoke(NULL, b->db, (clo_str){one + 3, 8}, NOW, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
    add(b, one, (clo_token_opts){.account = b->anna.id, .name = "one"}); /* the name is free again */
    assert_int_equal(who(b, &w, "Bearer", one, NOW), 0);
    assert_true(clo_account_remove(b->db, CLO_STR("anna"), false, NOW, &b->err));
    assert_int_equal(who(b, &w, "Bearer", one, NOW), 401);
    assert_int_equal(who(b, &w, "Bearer", two, NOW), 401);
    add_user(b, (clo_account_opts){.name = "anna"});
    assert_int_equal(who(b, &w, "Bearer", two, NOW), 401);
    assert_int_equal(who(b, &w, "Bearer", other, NOW), 0);
    assert_true(clo_token_list(&list, b->db, 0, false, NOW, &b->err));
    assert_int_equal(json_array_size(list), 1);
    json_decref(list);
    assert_true(clo_token_list(&list, b->db, 0, true, NOW, &b->err));
    assert_int_equal(json_array_size(list), 4);
    json_decref(list);
    assert_true(clo_key_list(&list, b->db, true, NOW, &b->err)); /* tokens are no keys */
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
}

static void a_scope_is_one_repository(void **state)
{
    box *b = *state;
    (void)b;
    static const struct {
        const char *text, *want;
    } rows[] = {{"lab/m", "models/lab/m"},       {"models/lab/m", "models/lab/m"}, {"datasets/lab/d", "datasets/lab/d"},
                {"spaces/lab/s", "spaces/lab/s"}, {"lab", NULL},                    {"lab/", NULL},
                {"/m", NULL},                     {"a/b/c", NULL},                  {"datasets/lab", NULL},
                {"api/m", NULL},                  {"lab/m.git", NULL},              {"", NULL},
                {"kernels/lab/k", NULL},          {"lab/m m", NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[CLO_TOKEN_SCOPE_MAX] = "";
        bool ok = clo_token_parse_scope(out, clo_str_from(rows[i].text), NULL);
        if (ok != (rows[i].want != NULL) || (ok && strcmp(out, rows[i].want) != 0)) fail_msg("'%s': %d '%s'", rows[i].text, ok, out);
    }
    clo_bearer w = {.scope = "datasets/Lab/d", .may_write = true}, all = {.may_write = true};
    assert_true(clo_token_in_scope_new(&w, "dataset", CLO_STR("lab"), CLO_STR("D")));
    assert_false(clo_token_in_scope_new(&w, "model", CLO_STR("Lab"), CLO_STR("d")));
    assert_false(clo_token_in_scope_new(&w, "dataset", CLO_STR("Lab"), CLO_STR("d2")));
    assert_false(clo_token_in_scope_new(&w, "dataset", CLO_STR("La"), CLO_STR("b/d")));
    assert_true(clo_token_in_scope_new(&all, "model", CLO_STR("x"), CLO_STR("y")));
    assert_false(clo_token_in_scope(&w, 7));
    w.repo = 7;
    assert_true(clo_token_in_scope(&w, 7) && clo_token_in_scope(&all, 7));
    assert_false(clo_token_in_scope(&w, 8));
    assert_false(clo_token_in_scope_new(&w, "dataset", CLO_STR("lab"), CLO_STR("D")));
    assert_string_equal(clo_token_role(&w), "fineGrained");
    assert_string_equal(clo_token_role(&all), "write");
    assert_string_equal(clo_token_role(&(clo_bearer){0}), "read");
}

static bool key_who(box *b, clo_caller *out, const char *text, clo_refusal *no)
{
    char header[128];
    snprintf(header, sizeof header, "Bearer %s", text);
    return clo_keys_who(out, b->keys, header, NULL, NOW, no);
}

static void a_token_opens_the_models_with_the_limits_of_its_account(void **state)
{
    box *b = *state;
    char one[CLO_KEY_TEXT_MAX], two[CLO_KEY_TEXT_MAX], scoped[CLO_KEY_TEXT_MAX], boss[CLO_KEY_TEXT_MAX], reader[CLO_KEY_TEXT_MAX];
    clo_caller w, v;
    clo_grant *g = NULL, *h = NULL;
    clo_refusal no = {0};
    assert_false(clo_keys_needed(b->keys));
    add(b, one, (clo_token_opts){.account = b->anna.id, .name = "one"});
    assert_true(clo_keys_needed(b->keys)); /* a token asks everyone for one, as a key does */
    add(b, two, (clo_token_opts){.account = b->anna.id, .name = "two", .may_write = true});
    add(b, scoped, (clo_token_opts){.account = b->anna.id, .name = "ci", .may_write = true, .scope = "lab/m"});
    add(b, boss, (clo_token_opts){.account = b->boss.id, .may_write = true});
    add(b, reader, (clo_token_opts){.account = b->boss.id});
    assert_true(key_who(b, &w, one, &no) && key_who(b, &v, two, &no));
    assert_string_equal(w.name, "anna");
    assert_string_equal(v.name, "anna");
    assert_false(clo_keys_begin(&g, b->keys, &w, "qwen", 1, NOW, &no));
    assert_int_equal(no.status, 403);
    assert_true(clo_keys_begin(&g, b->keys, &w, "smollm2", 30, NOW, &no));
    assert_int_equal(clo_grant_output_max(g), 70);
    assert_string_equal(clo_grant_name(g), "anna");
    assert_false(clo_keys_begin(&h, b->keys, &v, "smollm2", 1, NOW, &no)); /* one request at once, with either token */
    assert_int_equal(no.status, 429);
    clo_keys_end(b->keys, g, 30, 30, NOW);
    assert_true(clo_keys_begin(&h, b->keys, &v, "smollm2", 1, NOW, &no));
    assert_int_equal(clo_grant_output_max(h), 39); /* of the day that both share */
    clo_keys_end(b->keys, h, 0, 0, NOW);
    assert_false(key_who(b, &w, scoped, &no));
    assert_int_equal(no.status, 403);
    assert_true(key_who(b, &w, boss, &no) && w.admin);
    assert_true(key_who(b, &w, reader, &no) && !w.admin); /* a token that reads changes no model */
    assert_true(key_who(b, &w, two, &no) && !w.admin);
}

static void a_key_is_valid_at_the_hub_but_nobody_in_particular(void **state)
{
    box *b = *state;
    char text[CLO_KEY_TEXT_MAX];
    clo_bearer w;
    assert_true(clo_key_add(text, b->db, &(clo_key_opts){.name = "anna", .admin = true}, NOW, &b->err));
    assert_int_equal(who(b, &w, "Bearer", text, NOW), 0);
    assert_true(w.account == 0 && !w.admin && !w.may_write && w.user[0] == 0);
    assert_false(clo_token_revoke(NULL, b->db, (clo_str){text + 3, 8}, NOW, &b->err));
    clo_keys_ask_nobody(b->keys);
    assert_int_equal(who(b, &w, "Bearer", "nonsense", NOW), 401); /* the hub asks all the same */
}

static void requests_write_nothing_and_the_last_use_is_kept_at_the_end(void **state)
{
    box *b = *state;
    char text[CLO_KEY_TEXT_MAX];
    clo_bearer w;
    json_t *list = NULL;
    int64_t before, after;
    add(b, text, (clo_token_opts){.account = b->anna.id, .name = "one"});
    assert_int_equal(who(b, &w, "Bearer", text, NOW), 0);
    assert_true(clo_db_version(&before, b->db, &b->err));
    for (int i = 0; i < 100; i++) assert_int_equal(who(b, &w, "Bearer", text, NOW + i), 0);
    assert_true(clo_db_version(&after, b->db, &b->err));
    assert_int_equal(before, after);
    add(b, (char[CLO_KEY_TEXT_MAX]){0}, (clo_token_opts){.account = b->ben.id}); /* the keys are read again: the use stays */
    assert_int_equal(who(b, &w, "Bearer", "x", NOW), 401);
    assert_true(clo_keys_write_used(b->keys, b->db, 3600, &b->err));
    assert_true(clo_token_list(&list, b->db, b->anna.id, false, NOW, &b->err));
    assert_int_equal(clo_json_int(json_array_get(list, 0), "used", 0), NOW + 99);
    json_decref(list);
    assert_int_equal(who(b, &w, "Bearer", text, NOW + 200), 0);
    assert_true(clo_keys_write_used(b->keys, b->db, 3600, &b->err)); /* less than an hour later: not yet */
    assert_true(clo_token_list(&list, b->db, b->anna.id, false, NOW, &b->err));
    assert_int_equal(clo_json_int(json_array_get(list, 0), "used", 0), NOW + 99);
    json_decref(list);
    clo_keys_close(b->keys);
    assert_true(clo_token_list(&list, b->db, b->anna.id, false, NOW, &b->err));
    assert_int_equal(clo_json_int(json_array_get(list, 0), "used", 0), NOW + 200);
    json_decref(list);
    assert_true(clo_keys_open(&b->keys, b->dir, &b->err));
}

static void what_cannot_be_a_token_is_refused(void **state)
{
    box *b = *state;
    char text[CLO_KEY_TEXT_MAX];
    clo_account_info lab = add_user(b, (clo_account_opts){.name = "lab", .is_org = true});
    const struct {
        clo_token_opts o;
        clo_code want;
    } rows[] = {{{.account = 999}, CLO_ERR_NOT_FOUND},
                {{.account = lab.id}, CLO_ERR_NOT_FOUND},
                {{.account = b->anna.id, .name = ""}, CLO_ERR_USAGE},
                {{.account = b->anna.id, .name = "a\nb"}, CLO_ERR_USAGE},
                {{.account = b->anna.id, .name = "0123456789012345678901234567890123456789012345678901234567890123"}, CLO_ERR_USAGE},
                {{.account = b->anna.id, .name = "session 1"}, CLO_ERR_USAGE},
                {{.account = b->anna.id, .scope = "lab"}, CLO_ERR_USAGE}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        b->err = (clo_err){0};
        assert_false(clo_token_add(text, b->db, &rows[i].o, NOW, &b->err));
        if (b->err.code != rows[i].want) fail_msg("row %zu: %s", i, b->err.text);
    }
}

/* --- sessions -----------------------------------------------------------------------------------------------------*/

static bool is_valid(box *b, const char *text, int64_t now_s)
{
    clo_bearer who;
    clo_denial no;
    char header[CLO_KEY_TEXT_MAX + 8];
    snprintf(header, sizeof header, "Bearer %s", text);
    return clo_token_who(&who, b->keys, header, now_s, &no) && who.account == b->anna.id && who.may_write &&
           clo_session_has_name(clo_str_from(who.name));
}

static void a_session_is_a_token_that_ends_and_closes_nothing(void **state)
{
    box *b = *state;
    char text[CLO_KEY_TEXT_MAX];
    assert_true(clo_session_add(text, b->db, b->anna.id, NOW, &b->err));
    assert_true(is_valid(b, text, NOW));
    assert_false(is_valid(b, text, NOW + CLO_SESSION_LIFE_S));
    assert_false(clo_keys_needed(b->keys)); /* nobody was given a key or a token */
    char token[CLO_KEY_TEXT_MAX];
    add(b, token, (clo_token_opts){.account = b->anna.id, .name = "laptop"});
    assert_true(clo_keys_needed(b->keys));
    assert_false(clo_session_add(text, b->db, 999, NOW, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
}

static void one_session_too_many_ends_the_oldest(void **state)
{
    box *b = *state;
    static char texts[CLO_SESSIONS_MAX + 5][CLO_KEY_TEXT_MAX];
    char token[CLO_KEY_TEXT_MAX];
    json_t *rows;
    add(b, token, (clo_token_opts){.account = b->anna.id, .name = "laptop"});
    for (int i = 0; i < CLO_SESSIONS_MAX + 5; i++) assert_true(clo_session_add(texts[i], b->db, b->anna.id, NOW + i, &b->err));
    for (int i = 0; i < CLO_SESSIONS_MAX + 5; i++) assert_int_equal(is_valid(b, texts[i], NOW + 100), i >= 5);
    assert_true(clo_token_list(&rows, b->db, b->anna.id, true, NOW, &b->err));
    assert_int_equal(json_array_size(rows), CLO_SESSIONS_MAX + 1); /* rows of those that ended are gone, tokens stay */
    json_decref(rows);
    /* What ended leaves with the next one. */
    assert_true(clo_session_add(texts[0], b->db, b->anna.id, NOW + 2 * CLO_SESSION_LIFE_S, &b->err));
    assert_true(clo_token_list(&rows, b->db, b->anna.id, true, NOW, &b->err));
    assert_int_equal(json_array_size(rows), 2);
    json_decref(rows);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_token_has_the_form_that_clients_ask_for_and_its_secret_is_nowhere),
        T(a_request_is_known_by_bearer_and_by_the_password_of_basic),
        T(a_revoked_token_and_those_of_a_removed_user_end_at_once),
        T(a_scope_is_one_repository),
        T(a_token_opens_the_models_with_the_limits_of_its_account),
        T(a_key_is_valid_at_the_hub_but_nobody_in_particular),
        T(requests_write_nothing_and_the_last_use_is_kept_at_the_end),
        T(what_cannot_be_a_token_is_refused),
        T(a_session_is_a_token_that_ends_and_closes_nothing),
        T(one_session_too_many_ends_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
