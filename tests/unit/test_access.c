/* Who may do what, every cell: caller by repository by action, as the hub's clients are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hub/access.h"

/* A cell is five letters, for see, read, propose, write, administer:
 *   .  may          r  401 RepoNotFound   n  404 RepoNotFound   l  401 without a code
 *   f  403 without  g  401 GatedRepo      G  403 GatedRepo      d  403 with the disabled message */
enum { MISSING, PUBLIC, PRIVATE, GATED, DISABLED, PRIVATE_DISABLED, PRIVATE_GATED, GATED_DISABLED, N_REPOS };
static const struct {
    const char *name;
    clo_access_repo repo;
} repos[N_REPOS] = {
    [MISSING] = {"missing", {"model", "lab", "m", .exists = false}},
    [PUBLIC] = {"public", {"model", "lab", "m", .exists = true}},
    [PRIVATE] = {"private", {"model", "lab", "m", .exists = true, .is_private = true}},
    [GATED] = {"gated", {"model", "lab", "m", .exists = true, .is_gated = true}},
    [DISABLED] = {"disabled", {"model", "lab", "m", .exists = true, .is_disabled = true}},
    [PRIVATE_DISABLED] = {"private and disabled", {"model", "lab", "m", .exists = true, .is_private = true, .is_disabled = true}},
    [PRIVATE_GATED] = {"private and gated", {"model", "lab", "m", .exists = true, .is_private = true, .is_gated = true}},
    [GATED_DISABLED] = {"gated and disabled", {"model", "lab", "m", .exists = true, .is_gated = true, .is_disabled = true}},
};

#define READS .known = true, .in_scope = true
#define WRITES .known = true, .in_scope = true, .may_write = true
#define ELSEWHERE .known = true, .may_write = true

static const struct {
    const char *name;
    clo_access_caller who;
    const char *cells[N_REPOS]; /* missing, public, private, gated, disabled, private+disabled, private+gated, gated+disabled */
    const char *in_namespace;   /* create, manage */
} rows[] = {
    {"anonymous", {0},
     {"rrrrr", "..lll", "rrrrr", ".gggl", "ddddd", "rrrrr", "rrrrr", "ddddd"}, "ll"},
    {"anonymous, whatever else is said of it", {.admin = true, .may_write = true, .in_scope = true, .role = CLO_MEMBER_ADMIN,
                                                .is_maker = true, .gate = CLO_GATE_ACCEPTED},
     {"rrrrr", "..lll", "rrrrr", ".gggl", "ddddd", "rrrrr", "rrrrr", "ddddd"}, "ll"},
    {"a stranger who may read", {READS},
     {"nnnnn", "..fff", "nnnnn", ".GGGf", "ddddd", "nnnnn", "nnnnn", "ddddd"}, "ff"},
    {"a stranger who may write", {WRITES},
     {"nnnnn", "...ff", "nnnnn", ".GGGf", "ddddd", "nnnnn", "nnnnn", "ddddd"}, "ff"},
    {"a stranger who asked", {WRITES, .gate = CLO_GATE_PENDING},
     {"nnnnn", "...ff", "nnnnn", ".GGGf", "ddddd", "nnnnn", "nnnnn", "ddddd"}, "ff"},
    {"a stranger who was rejected", {WRITES, .gate = CLO_GATE_REJECTED},
     {"nnnnn", "...ff", "nnnnn", ".GGGf", "ddddd", "nnnnn", "nnnnn", "ddddd"}, "ff"},
    {"a stranger who was accepted", {WRITES, .gate = CLO_GATE_ACCEPTED},
     {"nnnnn", "...ff", "nnnnn", "...ff", "ddddd", "nnnnn", "nnnnn", "ddddd"}, "ff"},
    {"a stranger who was accepted and may read", {READS, .gate = CLO_GATE_ACCEPTED},
     {"nnnnn", "..fff", "nnnnn", "..fff", "ddddd", "nnnnn", "nnnnn", "ddddd"}, "ff"},
    {"a stranger who made it, long ago", {WRITES, .is_maker = true},
     {"nnnnn", "...ff", "nnnnn", ".GGGf", "ddddd", "nnnnn", "nnnnn", "ddddd"}, "ff"},
    {"a member who reads", {WRITES, .role = CLO_MEMBER_READ},
     {"nnnnn", "...ff", "...ff", "...ff", "ddddd", "ddddd", "...ff", "ddddd"}, "ff"},
    {"a member who reads and made it", {WRITES, .role = CLO_MEMBER_READ, .is_maker = true},
     {"nnnnn", "...ff", "...ff", "...ff", "ddddd", "ddddd", "...ff", "ddddd"}, "ff"},
    {"a contributor", {WRITES, .role = CLO_MEMBER_CONTRIBUTOR},
     {"nnnnn", "...ff", "...ff", "...ff", "ddddd", "ddddd", "...ff", "ddddd"}, ".f"},
    {"a contributor who made it", {WRITES, .role = CLO_MEMBER_CONTRIBUTOR, .is_maker = true},
     {"nnnnn", ".....", ".....", ".....", "ddddd", "ddddd", ".....", "ddddd"}, ".f"},
    {"a member who writes", {WRITES, .role = CLO_MEMBER_WRITE},
     {"nnnnn", ".....", ".....", ".....", "ddddd", "ddddd", ".....", "ddddd"}, ".f"},
    {"an admin of the organisation, or the user of the namespace", {WRITES, .role = CLO_MEMBER_ADMIN},
     {"nnnnn", ".....", ".....", ".....", "ddddd", "ddddd", ".....", "ddddd"}, ".."},
    {"an admin who was rejected once", {WRITES, .role = CLO_MEMBER_ADMIN, .gate = CLO_GATE_REJECTED},
     {"nnnnn", ".....", ".....", ".....", "ddddd", "ddddd", ".....", "ddddd"}, ".."},
    {"an admin with a token that reads", {READS, .role = CLO_MEMBER_ADMIN, .is_maker = true},
     {"nnnnn", "..fff", "..fff", "..fff", "ddddd", "ddddd", "..fff", "ddddd"}, "ff"},
    {"an admin with a token for another repository", {ELSEWHERE, .role = CLO_MEMBER_ADMIN, .is_maker = true, .gate = CLO_GATE_ACCEPTED},
     {"nnnnn", "..fff", "nnnnn", ".GGGf", "ddddd", "nnnnn", "nnnnn", "ddddd"}, "ff"},
    {"the hub's admin", {WRITES, .admin = true},
     {"nnnnn", ".....", ".....", ".....", ".....", ".....", ".....", "....."}, ".."},
    {"the hub's admin with a token that reads", {READS, .admin = true},
     {"nnnnn", "..fff", "..fff", "..fff", "..fff", "..fff", "..fff", "..fff"}, "ff"},
    {"the hub's admin with a token for another repository", {ELSEWHERE, .admin = true},
     {"nnnnn", "..fff", "nnnnn", ".GGGf", "ddddd", "nnnnn", "nnnnn", "ddddd"}, "ff"},
};

static char letter_of(bool may, const clo_denial *no)
{
    if (may) return '.';
    const char *code = no->code ? no->code : "";
    if (strcmp(code, "RepoNotFound") == 0) return no->status == 401 ? 'r' : no->status == 404 ? 'n' : '?';
    if (strcmp(code, "GatedRepo") == 0) return no->status == 401 ? 'g' : no->status == 403 ? 'G' : '?';
    if (*code) return '?';
    if (no->status == 403) return strcmp(no->message, "Access to this resource is disabled.") == 0 ? 'd' : 'f';
    return no->status == 401 ? 'l' : '?';
}

static void a_closed_repository_takes_proposals_of_writers_alone(void **state)
{
    (void)state;
    clo_access_repo r = {.type = "model", .namespace_name = "lab", .name = "m", .exists = true, .is_closed = true};
    clo_access_caller stranger = {WRITES}, reader = {WRITES, .role = CLO_MEMBER_READ}, writer = {WRITES, .role = CLO_MEMBER_WRITE};
    clo_denial no = {0};
    assert_false(clo_access(&no, &stranger, &r, CLO_MAY_PROPOSE));
    assert_string_equal(no.message, "Discussions are disabled for this repository");
    assert_false(clo_access(&no, &reader, &r, CLO_MAY_PROPOSE));
    assert_true(clo_access(&no, &writer, &r, CLO_MAY_PROPOSE) && clo_access(&no, &stranger, &r, CLO_MAY_READ));
}

static void every_cell_says_what_the_contract_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t r = 0; r < N_REPOS; r++) {
            char got[6] = "";
            for (int a = CLO_MAY_SEE; a <= CLO_MAY_ADMINISTER; a++) {
                clo_denial no = {0};
                bool may = clo_access(&no, &rows[i].who, &repos[r].repo, (clo_action)a);
                got[a] = letter_of(may, &no);
                assert_int_equal(may, clo_access(NULL, &rows[i].who, &repos[r].repo, (clo_action)a));
            }
            if (strcmp(got, rows[i].cells[r]) != 0)
                fail_msg("%s, %s: expected %s, found %s", rows[i].name, repos[r].name, rows[i].cells[r], got);
        }
}

static void namespaces_are_for_their_members(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t r = 0; r < N_REPOS; r++) {
            char got[3] = "";
            for (int a = 0; a < 2; a++) {
                clo_denial no = {0};
                bool may = clo_access(&no, &rows[i].who, &repos[r].repo, a ? CLO_MAY_MANAGE : CLO_MAY_CREATE);
                got[a] = letter_of(may, &no);
            }
            if (strcmp(got, rows[i].in_namespace) != 0)
                fail_msg("%s: expected %s, found %s", rows[i].name, rows[i].in_namespace, got);
        }
}

/* Status, code and message of a private repository are those of one that is not there. */
static void a_private_one_cannot_be_told_from_a_missing_one(void **state)
{
    (void)state;
    static const size_t hidden[] = {PRIVATE, PRIVATE_DISABLED, PRIVATE_GATED};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t h = 0; h < sizeof hidden / sizeof hidden[0]; h++)
            for (int a = CLO_MAY_SEE; a <= CLO_MAY_ADMINISTER; a++) {
                clo_denial missing, no;
                if (clo_access(&no, &rows[i].who, &repos[hidden[h]].repo, CLO_MAY_SEE)) break;
                if (no.status == 403) break; /* a member's disabled one */
                assert_false(clo_access(&no, &rows[i].who, &repos[hidden[h]].repo, (clo_action)a));
                assert_false(clo_access(&missing, &rows[i].who, &repos[MISSING].repo, (clo_action)a));
                assert_int_equal(no.status, missing.status);
                assert_string_equal(no.code, missing.code);
                assert_string_equal(no.message, missing.message);
            }
}

static void messages_have_the_words_that_clients_match(void **state)
{
    (void)state;
    clo_denial no;
    clo_access_caller who = {WRITES};
    assert_false(clo_access(&no, &who, &repos[GATED].repo, CLO_MAY_READ));
    assert_non_null(strstr(no.message, "Access to model lab/m is restricted and you are not in the authorized list."));
    who.gate = CLO_GATE_REJECTED;
    assert_false(clo_access(&no, &who, &repos[GATED].repo, CLO_MAY_READ));
    assert_non_null(strstr(no.message, "Access to model lab/m is restricted and you are not in the authorized list."));
    assert_non_null(strstr(no.message, "rejected"));
    clo_deny(&no, 400, NULL, "two\nlines of \xc3\xa9");
    assert_string_equal(no.message, "two?lines of ??");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cell_says_what_the_contract_says),
        cmocka_unit_test(a_closed_repository_takes_proposals_of_writers_alone),
        cmocka_unit_test(namespaces_are_for_their_members),
        cmocka_unit_test(a_private_one_cannot_be_told_from_a_missing_one),
        cmocka_unit_test(messages_have_the_words_that_clients_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
