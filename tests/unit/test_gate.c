/* Requests for gated repositories: each state reached from each, and what owners are shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/account.h"
#include "hub/gate.h"
#include "hub/stamp.h"
#include "temp_folder.h"

#define NOW 1800000000
enum { REPO = 7, OTHER = 8 };

typedef struct {
    char dir[64];
    clo_db *db;
    clo_account_info anna, ben;
    clo_err err;
} box;

static int set_up(void **state)
{
    box *b = calloc(1, sizeof *b);
    temp_folder_make(b->dir);
    if (!clo_db_open(&b->db, b->dir, &b->err)) return -1;
    clo_account_opts anna = {.name = "anna", .fullname = "Anna A", .email = "a@x.test"}, ben = {.name = "ben"};
    if (!clo_account_add(&b->anna, b->db, &anna, NOW, &b->err) || !clo_account_add(&b->ben, b->db, &ben, NOW, &b->err)) return -1;
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

static clo_gate_state now_of(box *b, int64_t repo, int64_t user)
{
    clo_gate_state s;
    if (!clo_gate_state_of(&s, b->db, repo, user, &b->err)) fail_msg("%s", b->err.text);
    return s;
}

/* Brings anna's request into a state, whatever it was. */
static void bring_to(box *b, clo_gate_state s)
{
    clo_gate_state got;
    assert_true(clo_gate_forget(b->db, REPO, &b->err));
    if (s == CLO_GATE_NONE) return;
    assert_true(clo_gate_ask(&got, b->db, REPO, b->anna.id, false, NULL, NOW, &b->err));
    if (s != CLO_GATE_PENDING) assert_true(clo_gate_handle(b->db, REPO, b->anna.id, s, NULL, NOW, &b->err));
    assert_int_equal(now_of(b, REPO, b->anna.id), s);
}

static void each_act_in_each_state(void **state)
{
    box *b = *state;
    enum { ASK, ASK_AUTO, ACCEPT, REJECT, REOPEN, GRANT, N_ACTS };
    const clo_gate_state N = CLO_GATE_NONE, P = CLO_GATE_PENDING, A = CLO_GATE_ACCEPTED, R = CLO_GATE_REJECTED;
    const struct {
        clo_gate_state from, to[N_ACTS];
        clo_code code[N_ACTS];
    } rows[] = {
        {N, {P, A, N, N, N, A}, {0, 0, CLO_ERR_NOT_FOUND, CLO_ERR_NOT_FOUND, CLO_ERR_NOT_FOUND, 0}},
        {P, {P, A, A, R, P, A}, {0, 0, 0, 0, CLO_ERR_DENIED, 0}},
        {A, {A, A, A, R, P, A}, {0, 0, CLO_ERR_DENIED, 0, 0, CLO_ERR_DENIED}},
        {R, {R, R, A, R, P, A}, {0, 0, 0, CLO_ERR_DENIED, 0, 0}},
    };
    for (size_t i = 0; i < 4; i++)
        for (int act = 0; act < N_ACTS; act++) {
            static const clo_gate_state target[N_ACTS] = {[ACCEPT] = CLO_GATE_ACCEPTED, [REJECT] = CLO_GATE_REJECTED,
                                                          [REOPEN] = CLO_GATE_PENDING};
            clo_gate_state got = CLO_GATE_NONE;
            bool ok;
            bring_to(b, rows[i].from);
            b->err = (clo_err){0};
            if (act == ASK || act == ASK_AUTO) {
                ok = clo_gate_ask(&got, b->db, REPO, b->anna.id, act == ASK_AUTO, NULL, NOW, &b->err);
                assert_int_equal(got, rows[i].to[act]);
            } else if (act == GRANT) {
                ok = clo_gate_grant(b->db, REPO, b->anna.id, NOW, &b->err);
            } else {
                ok = clo_gate_handle(b->db, REPO, b->anna.id, target[act], NULL, NOW, &b->err);
            }
            if (ok != (rows[i].code[act] == CLO_OK) || b->err.code != rows[i].code[act] || now_of(b, REPO, b->anna.id) != rows[i].to[act])
                fail_msg("act %d from %s: %d %s, now %s", act, clo_gate_state_name(rows[i].from), ok, b->err.text,
                         clo_gate_state_name(now_of(b, REPO, b->anna.id)));
            assert_int_equal(now_of(b, OTHER, b->anna.id), CLO_GATE_NONE);
            assert_int_equal(now_of(b, REPO, b->ben.id), CLO_GATE_NONE);
        }
}

static void owners_see_who_asked_with_what_they_filled_in(void **state)
{
    box *b = *state;
    clo_gate_state got;
    json_t *list = NULL, *fields = json_pack("{s:s}", "Affiliation", "The Lab");
    assert_true(clo_gate_ask(&got, b->db, REPO, b->anna.id, false, fields, NOW + 5, &b->err));
    assert_true(clo_gate_ask(&got, b->db, REPO, b->ben.id, false, NULL, NOW, &b->err));
    assert_true(clo_gate_list(&list, b->db, REPO, CLO_GATE_PENDING, &b->err));
    json_t *want = json_pack("[{s:{s:s, s:s}, s:s, s:s, s:{}, s:s}, {s:{s:s, s:s, s:s}, s:s, s:s, s:{s:s}, s:s}]", "user", "user", "ben", "fullname",
                             "ben", "status", "pending", "timestamp", "2027-01-15T08:00:00.000Z", "fields", "requestId", b->ben.oid, "user", "user", "anna",
                             "fullname", "Anna A", "email", "a@x.test", "status", "pending", "timestamp", "2027-01-15T08:00:05.000Z",
                             "fields", "Affiliation", "The Lab", "requestId", b->anna.oid);
    assert_true(json_equal(list, want));
    json_decref(list);
    json_decref(want);
    assert_true(clo_gate_handle(b->db, REPO, b->anna.id, CLO_GATE_REJECTED, "not this one", NOW + 9, &b->err));
    assert_true(clo_gate_list(&list, b->db, REPO, CLO_GATE_REJECTED, &b->err));
    assert_true(clo_str_eq(clo_json_str(json_array_get(list, 0), "rejectionReason", CLO_STR("")), CLO_STR("not this one")));
    assert_true(json_equal(json_object_get(json_array_get(list, 0), "fields"), fields)); /* what was filled in stays */
    json_decref(list);
    assert_true(clo_gate_list(&list, b->db, REPO, CLO_GATE_ACCEPTED, &b->err));
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
    json_decref(fields);
    assert_true(clo_account_remove(b->db, CLO_STR("ben"), false, NOW, &b->err));
    assert_true(clo_gate_list(&list, b->db, REPO, CLO_GATE_PENDING, &b->err));
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
}

static void what_is_too_long_is_refused(void **state)
{
    box *b = *state;
    clo_gate_state got;
    char text[CLO_GATE_FIELDS_MAX + 2];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    json_t *fields = json_pack("{s:s}", "a", text), *list = json_array();
    assert_false(clo_gate_ask(&got, b->db, REPO, b->anna.id, false, fields, NOW, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_LIMIT);
    assert_false(clo_gate_ask(&got, b->db, REPO, b->anna.id, false, list, NOW, &b->err));
    assert_int_equal(now_of(b, REPO, b->anna.id), CLO_GATE_NONE);
    assert_true(clo_gate_ask(&got, b->db, REPO, b->anna.id, false, NULL, NOW, &b->err));
    text[CLO_GATE_REASON_MAX + 1] = 0;
    assert_false(clo_gate_handle(b->db, REPO, b->anna.id, CLO_GATE_REJECTED, text, NOW, &b->err));
    assert_int_equal(b->err.code, CLO_ERR_LIMIT);
    json_decref(fields);
    json_decref(list);
}

static void stamps_are_utc_with_three_decimals(void **state)
{
    (void)state;
    char out[CLO_STAMP_LEN + 1];
    assert_string_equal(clo_stamp(out, 0), "1970-01-01T00:00:00.000Z");
    assert_string_equal(clo_stamp(out, 951782399), "2000-02-28T23:59:59.000Z");
    assert_string_equal(clo_stamp(out, 253402300799), "9999-12-31T23:59:59.000Z");
    assert_string_equal(clo_stamp(out, INT64_MAX), "1970-01-01T00:00:00.000Z");
    assert_string_equal(clo_stamp(out, INT64_MIN), "1970-01-01T00:00:00.000Z");
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(each_act_in_each_state),
        T(owners_see_who_asked_with_what_they_filled_in),
        T(what_is_too_long_is_refused),
        cmocka_unit_test(stamps_are_utc_with_three_decimals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
