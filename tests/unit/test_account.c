/* Accounts: what may be a name, what is stored of a password, members and their roles, what a removal takes with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "hub/account.h"
#include "hub/member.h"
#include "temp_folder.h"

#define NOW 1800000000

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

static clo_account_info add(box *b, clo_account_opts o)
{
    clo_account_info a = {0};
    if (!clo_account_add(&a, b->db, &o, NOW, &b->err)) fail_msg("%s", b->err.text);
    return a;
}

static clo_code refused(box *b, clo_account_opts o)
{
    clo_account_info a;
    b->err = (clo_err){0};
    return clo_account_add(&a, b->db, &o, NOW, &b->err) ? CLO_OK : b->err.code;
}

static void names_go_by_the_clients_rule_and_begin_no_address(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "anna", "Anna_B", "_x", "a-b.c", "0", "google-bert", "api2", "v3",
                                       "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"};
    static const char *const bad[] = {"", "-a", "a-", ".a", "a.", "a--b", "a..b", "a b", "a/b", "x.git", "x.GIT", "\xc3\xa9",
                                      "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl",
                                      "api", "API", "datasets", "Spaces", "models", "kernels", "buckets", "collections",
                                      "settings", "login", "docs", "oauth", "resolve-cache", "v1", "v2", "ui", "metrics"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!clo_account_name_check(clo_str_from(good[i]), NULL)) fail_msg("'%s' is refused", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        clo_err err = {0};
        if (clo_account_name_check(clo_str_from(bad[i]), &err)) fail_msg("'%s' passes", bad[i]);
        assert_int_equal(err.code, CLO_ERR_USAGE);
    }
    assert_false(clo_account_name_check((clo_str){"a\0b", 3}, NULL));
    assert_true(clo_account_name_fits(CLO_STR("api"), 96)); /* a repository may be called so */
}

static void an_account_is_found_in_either_case_and_its_name_is_taken(void **state)
{
    box *b = *state;
    clo_account_info found, anna = add(b, (clo_account_opts){.name = "Anna", .fullname = "Anna A", .email = "a@x.test"});
    assert_int_equal(strlen(anna.oid), 24);
    assert_int_equal(strspn(anna.oid, "0123456789abcdef"), 24);
    assert_true(clo_account_find(&found, b->db, CLO_STR("aNNA"), &b->err));
    assert_int_equal(found.id, anna.id);
    assert_string_equal(found.name, "Anna");
    assert_string_equal(found.fullname, "Anna A");
    assert_string_equal(found.email, "a@x.test");
    assert_true(clo_account_get(&found, b->db, anna.id, &b->err) && found.created_s == NOW && !found.admin && !found.is_org);
    assert_int_equal(refused(b, (clo_account_opts){.name = "anna"}), CLO_ERR_DENIED);
    assert_int_equal(refused(b, (clo_account_opts){.name = "ANNA", .is_org = true}), CLO_ERR_DENIED);
    assert_false(clo_account_find(&found, b->db, CLO_STR("ben"), &b->err));
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
    assert_string_equal(add(b, (clo_account_opts){.name = "ben"}).fullname, "ben");
}

static void what_cannot_be_an_accounts_is_refused(void **state)
{
    box *b = *state;
    char long_text[CLO_ACCOUNT_TEXT_MAX + 1], long_password[CLO_ACCOUNT_PASSWORD_MAX + 1];
    memset(long_text, 'x', sizeof long_text);
    long_text[CLO_ACCOUNT_TEXT_MAX] = 0;
    memset(long_password, 'x', sizeof long_password);
    assert_int_equal(refused(b, (clo_account_opts){.name = "a", .fullname = long_text}), CLO_ERR_LIMIT);
    assert_int_equal(refused(b, (clo_account_opts){.name = "a", .fullname = "two\nlines"}), CLO_ERR_USAGE);
    assert_int_equal(refused(b, (clo_account_opts){.name = "a", .email = "\xff"}), CLO_ERR_USAGE);
    assert_int_equal(refused(b, (clo_account_opts){.name = "a", .password = CLO_STR("seven77")}), CLO_ERR_USAGE);
    assert_int_equal(refused(b, (clo_account_opts){.name = "a", .password = {long_password, sizeof long_password}}), CLO_ERR_USAGE);
    assert_int_equal(refused(b, (clo_account_opts){.name = "a", .password = {"12345678\0x", 10}}), CLO_ERR_USAGE);
    assert_int_equal(refused(b, (clo_account_opts){.name = "a", .concurrent = -1}), CLO_ERR_USAGE);
    assert_int_equal(refused(b, (clo_account_opts){.name = "a", .models = "a b"}), CLO_ERR_USAGE);
    assert_int_equal(refused(b, (clo_account_opts){.name = "a", .is_org = true, .admin = true}), CLO_ERR_USAGE);
    assert_int_equal(refused(b, (clo_account_opts){.name = "a", .is_org = true, .password = CLO_STR("12345678")}), CLO_ERR_USAGE);
    assert_int_equal(refused(b, (clo_account_opts){.name = "a"}), CLO_OK);
}

static bool opens(box *b, const char *name, const char *password)
{
    clo_account_info a;
    bool right = false;
    if (!clo_account_check_password(&right, &a, b->db, clo_str_from(name), clo_str_from(password), &b->err))
        fail_msg("%s", b->err.text);
    return right;
}

static void only_the_whole_password_opens_and_it_is_not_stored(void **state)
{
    box *b = *state;
    static const char *const files[] = {"cloche.db", "cloche.db-wal"};
    clo_account_info anna = add(b, (clo_account_opts){.name = "anna", .password = CLO_STR("correct horse")});
    add(b, (clo_account_opts){.name = "ben", .password = CLO_STR("correct horse")});
    add(b, (clo_account_opts){.name = "carl"});
    add(b, (clo_account_opts){.name = "lab", .is_org = true});
    assert_true(opens(b, "anna", "correct horse") && opens(b, "ANNA", "correct horse"));
    static const char *const wrong[] = {"correct horsf", "correct hors", "correct horse ", "", "Correct horse"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) assert_false(opens(b, "anna", wrong[i]));
    assert_false(opens(b, "carl", "correct horse") || opens(b, "lab", "correct horse") || opens(b, "nobody", "correct horse"));
    for (size_t i = 0; i < 2; i++) {
        char path[128];
        clo_map m = {0};
        snprintf(path, sizeof path, "%s/%s", b->dir, files[i]);
        assert_true(clo_map_open(&m, path, &b->err));
        assert_null(memmem(m.bytes.ptr, m.bytes.len, "correct horse", 13));
        clo_map_close(&m);
    }
    clo_stmt q = {0};
    bool row;
    assert_true(clo_stmt_open(&q, b->db, "SELECT count(DISTINCT password), min(password) FROM accounts", &b->err) &&
                clo_stmt_step(&q, &row, &b->err));
    assert_int_equal(clo_stmt_get_int(&q, 0), 2); /* the same password, another salt */
    assert_true(clo_str_starts_with(clo_stmt_get_str(&q, 1), CLO_STR("$y$")));
    clo_stmt_close(&q);
    assert_true(clo_account_set_password(b->db, anna.id, CLO_STR("battery staple"), &b->err));
    assert_true(opens(b, "anna", "battery staple") && !opens(b, "anna", "correct horse"));
}

static clo_membership role(box *b, int64_t org, int64_t user)
{
    clo_membership r;
    if (!clo_member_role(&r, b->db, org, user, &b->err)) fail_msg("%s", b->err.text);
    return r;
}

static void members_have_the_role_that_was_given_last(void **state)
{
    box *b = *state;
    int64_t anna = add(b, (clo_account_opts){.name = "anna"}).id, ben = add(b, (clo_account_opts){.name = "ben"}).id;
    int64_t lab = add(b, (clo_account_opts){.name = "lab", .is_org = true}).id;
    assert_int_equal(role(b, lab, anna), CLO_MEMBER_NONE);
    for (clo_membership r = CLO_MEMBER_READ; r <= CLO_MEMBER_ADMIN; r++) {
        clo_membership back = CLO_MEMBER_NONE;
        assert_true(clo_member_set(b->db, lab, anna, r, &b->err));
        assert_int_equal(role(b, lab, anna), r);
        assert_true(clo_membership_parse(&back, clo_str_from(clo_membership_name(r))) && back == r);
    }
    assert_int_equal(role(b, lab, ben), CLO_MEMBER_NONE);
    assert_int_equal(role(b, anna, anna), CLO_MEMBER_ADMIN);
    assert_int_equal(role(b, ben, anna), CLO_MEMBER_NONE);
    assert_int_equal(role(b, 0, 0), CLO_MEMBER_NONE);
    assert_false(clo_membership_parse(&(clo_membership){0}, CLO_STR("none")) || clo_membership_parse(&(clo_membership){0}, CLO_STR("owner")));
    assert_false(clo_member_set(b->db, ben, anna, CLO_MEMBER_READ, &b->err)); /* a user has no members */
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
    assert_false(clo_member_set(b->db, lab, lab, CLO_MEMBER_READ, &b->err));
    assert_false(clo_member_set(b->db, lab, 999, CLO_MEMBER_READ, &b->err));
    assert_true(clo_member_remove(b->db, lab, anna, &b->err));
    assert_int_equal(role(b, lab, anna), CLO_MEMBER_NONE);
    assert_false(clo_member_remove(b->db, lab, anna, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
}

static void a_removed_account_leaves_no_member_and_its_number_is_never_anothers(void **state)
{
    box *b = *state;
    json_t *list = NULL;
    int64_t anna = add(b, (clo_account_opts){.name = "anna"}).id;
    int64_t lab = add(b, (clo_account_opts){.name = "lab", .is_org = true}).id;
    assert_true(clo_member_set(b->db, lab, anna, CLO_MEMBER_WRITE, &b->err));
    assert_true(clo_account_list(&list, b->db, true, &b->err));
    assert_int_equal(clo_json_int(json_array_get(list, 0), "members", -1), 1);
    json_decref(list);
    assert_false(clo_account_remove(b->db, CLO_STR("anna"), true, NOW, &b->err)); /* no organisation */
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
    assert_true(clo_account_remove(b->db, CLO_STR("anna"), false, NOW, &b->err));
    assert_int_equal(role(b, lab, anna), CLO_MEMBER_NONE);
    assert_true(add(b, (clo_account_opts){.name = "anna"}).id > lab);
    assert_true(clo_account_list(&list, b->db, false, &b->err));
    assert_int_equal(json_array_size(list), 1);
    json_decref(list);
}

static void an_account_stays_while_something_refers_to_it(void **state)
{
    box *b = *state;
    clo_stmt q = {0};
    bool row;
    clo_account_info a = add(b, (clo_account_opts){.name = "lab", .is_org = true});
    assert_true(clo_stmt_open(&q, b->db, "CREATE TABLE things (namespace INTEGER REFERENCES accounts)", &b->err) &&
                clo_stmt_step(&q, &row, &b->err));
    clo_stmt_close(&q);
    assert_true(clo_stmt_open(&q, b->db, "INSERT INTO things VALUES (?1)", &b->err) && clo_stmt_int(&q, 1, a.id, &b->err) &&
                clo_stmt_step(&q, &row, &b->err));
    clo_stmt_close(&q);
    assert_false(clo_account_remove(b->db, CLO_STR("lab"), true, NOW, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_DENIED);
    assert_true(clo_account_find(&a, b->db, CLO_STR("lab"), &b->err));
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_go_by_the_clients_rule_and_begin_no_address),
        T(an_account_is_found_in_either_case_and_its_name_is_taken),
        T(what_cannot_be_an_accounts_is_refused),
        T(only_the_whole_password_opens_and_it_is_not_stored),
        T(members_have_the_role_that_was_given_last),
        T(a_removed_account_leaves_no_member_and_its_number_is_never_anothers),
        T(an_account_stays_while_something_refers_to_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
