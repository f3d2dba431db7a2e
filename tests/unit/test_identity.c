/* Users and organisations as clients read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/identity.h"
#include "hub/member.h"
#include "temp_folder.h"

#define NOW 1767323045 /* 2026-01-02T03:04:05Z */
#define BASE "http://hub.test:8080"

typedef struct {
    char dir[64];
    clo_db *db;
    clo_account_info alice, ben, lab;
    clo_bearer alices;
    clo_err err;
} box;

static int set_up(void **state)
{
    box *b = calloc(1, sizeof *b);
    temp_folder_make(b->dir);
    clo_account_opts alice = {.name = "alice", .fullname = "Alice A", .email = "a@x.test"}, ben = {.name = "ben"},
                     lab = {.name = "lab", .fullname = "The Lab", .is_org = true};
    clo_token_opts o = {.name = "laptop", .may_write = true};
    char text[CLO_KEY_TEXT_MAX], header[128];
    clo_keys *keys = NULL;
    clo_denial no;
    if (!clo_db_open(&b->db, b->dir, &b->err) || !clo_account_add(&b->alice, b->db, &alice, NOW, &b->err) ||
        !clo_account_add(&b->ben, b->db, &ben, NOW, &b->err) || !clo_account_add(&b->lab, b->db, &lab, NOW, &b->err) ||
        !clo_member_set(b->db, b->lab.id, b->alice.id, CLO_MEMBER_ADMIN, &b->err) ||
        !clo_member_set(b->db, b->lab.id, b->ben.id, CLO_MEMBER_READ, &b->err))
        return -1;
    o.account = b->alice.id;
    if (!clo_token_add(text, b->db, &o, NOW, &b->err) || !clo_keys_open(&keys, b->dir, &b->err)) return -1;
    snprintf(header, sizeof header, "Bearer %s", text);
    if (!clo_token_who(&b->alices, keys, header, NOW, &no)) return -1;
    clo_keys_close(keys);
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

static void expect(json_t *got, json_t *want)
{
    assert_non_null(want);
    if (!json_equal(got, want)) fail_msg("%s\nexpected %s", json_dumps(got, JSON_INDENT(1)), json_dumps(want, JSON_INDENT(1)));
    json_decref(got);
    json_decref(want);
}

static void whoami_is_as_the_contract_shows_it(void **state)
{
    box *b = *state;
    json_t *got = NULL;
    assert_true(clo_identity_whoami(&got, b->db, &b->alices, BASE, &b->err));
    expect(got, json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:n, s:s,"
                          " s:[{s:s, s:s, s:s, s:s, s:n, s:b, s:n, s:s, s:s, s:b}], s:{s:s, s:{s:s, s:s, s:s}}}",
                          "type", "user", "id", b->alice.oid, "name", "alice", "fullname", "Alice A", "email", "a@x.test",
                          "emailVerified", 1, "isPro", 0, "canPay", 0, "periodEnd", "avatarUrl", BASE "/avatars/alice.svg", "orgs", "type",
                          "org", "id", b->lab.oid, "name", "lab", "fullname", "The Lab", "email", "canPay", 0, "periodEnd",
                          "avatarUrl", BASE "/avatars/lab.svg", "roleInOrg", "admin", "isEnterprise", 0, "auth", "type", "access_token",
                          "accessToken", "displayName", "laptop", "role", "write", "createdAt", "2026-01-02T03:04:05.000Z"));
    b->alices.account = 999;
    assert_false(clo_identity_whoami(&got, b->db, &b->alices, BASE, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
}

static void overviews_tell_names_and_counts_and_no_address(void **state)
{
    box *b = *state;
    json_t *got = NULL;
    clo_identity_counts c = {1, 2, 3, 4};
    assert_true(clo_identity_overview(&got, b->db, CLO_STR("ALICE"), false, &c, BASE, &b->err));
    expect(got, json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:[{s:s, s:s, s:s, s:s}], s:s, s:i, s:i, s:i, s:i}", "_id", b->alice.oid, "type",
                          "user", "user", "alice", "fullname", "Alice A", "avatarUrl", BASE "/avatars/alice.svg", "isPro", 0, "orgs", "id",
                          b->lab.oid, "name", "lab", "fullname", "The Lab", "avatarUrl", BASE "/avatars/lab.svg", "createdAt",
                          "2026-01-02T03:04:05.000Z", "numModels", 1, "numDatasets", 2, "numSpaces", 3, "numLikes", 4));
    assert_true(clo_identity_overview(&got, b->db, CLO_STR("lab"), true, NULL, BASE, &b->err));
    expect(got, json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:i, s:i, s:i, s:i}", "_id", b->lab.oid, "type", "org", "name", "lab",
                          "fullname", "The Lab", "avatarUrl", BASE "/avatars/lab.svg", "numUsers", 2, "createdAt",
                          "2026-01-02T03:04:05.000Z", "numModels", 0, "numDatasets", 0, "numSpaces", 0, "numLikes", 0));
    assert_false(clo_identity_overview(&got, b->db, CLO_STR("lab"), false, NULL, BASE, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
    assert_false(clo_identity_overview(&got, b->db, CLO_STR("alice"), true, NULL, BASE, &b->err));
    assert_false(clo_identity_overview(&got, b->db, CLO_STR("nobody"), false, NULL, BASE, &b->err));
}

static void members_are_listed_by_name(void **state)
{
    box *b = *state;
    json_t *got = NULL;
    assert_true(clo_identity_members(&got, b->db, CLO_STR("lab"), BASE, &b->err));
    expect(got, json_pack("[{s:s, s:s, s:s, s:s, s:b, s:s, s:s}, {s:s, s:s, s:s, s:s, s:b, s:s, s:s}]", "_id", b->alice.oid, "user", "alice",
                          "fullname", "Alice A", "avatarUrl", BASE "/avatars/alice.svg", "isPro", 0, "type", "user", "role", "admin", "_id",
                          b->ben.oid, "user", "ben", "fullname", "ben", "avatarUrl", BASE "/avatars/ben.svg", "isPro", 0, "type", "user",
                          "role", "read"));
    assert_false(clo_identity_members(&got, b->db, CLO_STR("alice"), BASE, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_NOT_FOUND);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(whoami_is_as_the_contract_shows_it),
        T(overviews_tell_names_and_counts_and_no_address),
        T(members_are_listed_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
