/* cloche org: organisations of the hub and their members. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/books.h"
#include "cli/cli.h"
#include "hub/account.h"
#include "hub/identity.h"
#include "hub/member.h"

typedef struct {
    const char *data, *fullname, *role;
    bool json;
    char dir[4096];
} options;

static int create(const options *o, const char *name)
{
    clo_err err = {0};
    clo_cli_books b = {0};
    clo_account_info a = {0};
    clo_account_opts org = {.name = name, .fullname = o->fullname, .is_org = true};
    bool ok = clo_cli_books_open(&b, o->dir, &err) && clo_account_add(&a, b.db, &org, (int64_t)time(NULL), &err) &&
              clo_cli_books_note(&b, "org-created", name, NULL, &err);
    if (!clo_cli_books_close(&b, ok, &err)) return clo_cli_books_fail(&err);
    if (o->json) return clo_cli_print_json(json_pack("{s:s, s:s}", "name", a.name, "id", a.oid));
    printf("created %s\n", a.name);
    return CLO_EXIT_OK;
}

static bool find_both(clo_account_info *org, clo_account_info *user, clo_db *db, const char *org_name, const char *user_name, clo_err *err)
{
    if (!clo_account_find(org, db, clo_str_from(org_name), err) || !clo_account_find(user, db, clo_str_from(user_name), err)) return false;
    if (!org->is_org) return clo_fail(err, CLO_ERR_NOT_FOUND, "'%s' is a user, no organisation", org->name);
    return !user->is_org || clo_fail(err, CLO_ERR_NOT_FOUND, "'%s' is an organisation, no user", user->name);
}

static int add_member(const options *o, const char *org_name, const char *user_name)
{
    clo_err err = {0};
    clo_cli_books b = {0};
    clo_account_info org, user;
    clo_membership role = CLO_MEMBER_READ;
    char note[160];
    if (o->role && !clo_membership_parse(&role, clo_str_from(o->role)))
        return clo_cli_fail_usage("'%s' is no role: admin, write, contributor or read", o->role);
    bool ok = clo_cli_books_open(&b, o->dir, &err) && find_both(&org, &user, b.db, org_name, user_name, &err) &&
              clo_member_set(b.db, org.id, user.id, role, &err);
    if (ok) snprintf(note, sizeof note, "%s: %s", org.name, clo_membership_name(role));
    ok = ok && clo_cli_books_note(&b, "member-added", user.name, note, &err);
    if (!clo_cli_books_close(&b, ok, &err)) return clo_cli_books_fail(&err);
    if (o->json)
        return clo_cli_print_json(json_pack("{s:s, s:s, s:s}", "org", org.name, "user", user.name, "role", clo_membership_name(role)));
    printf("%s is a member of %s: %s\n", user.name, org.name, clo_membership_name(role));
    return CLO_EXIT_OK;
}

static int remove_member(const options *o, const char *org_name, const char *user_name)
{
    clo_err err = {0};
    clo_cli_books b = {0};
    clo_account_info org, user;
    bool ok = clo_cli_books_open_to_end(&b, o->dir, &err) && find_both(&org, &user, b.db, org_name, user_name, &err) &&
              clo_member_remove(b.db, org.id, user.id, &err);
    bool logged = ok && clo_cli_books_try_note(&b, "member-removed", user.name, org.name);
    if (!clo_cli_books_close(&b, ok, &err)) return clo_cli_books_fail(&err);
    if (o->json) clo_cli_print_json(json_pack("{s:s, s:s, s:b}", "org", org.name, "removed", user.name, "logged", logged));
    else printf("removed %s from %s\n", user.name, org.name);
    return logged ? CLO_EXIT_OK : clo_cli_books_fail(&b.log_err);
}

static int remove_org(const options *o, const char *name)
{
    clo_err err = {0};
    clo_cli_books b = {0};
    bool ok = clo_cli_books_open_to_end(&b, o->dir, &err) &&
              clo_account_remove(b.db, clo_str_from(name), true, (int64_t)time(NULL), &err);
    bool logged = ok && clo_cli_books_try_note(&b, "org-removed", name, NULL);
    if (!clo_cli_books_close(&b, ok, &err)) return clo_cli_books_fail(&err);
    if (o->json) clo_cli_print_json(json_pack("{s:s, s:b}", "removed", name, "logged", logged));
    else printf("removed %s\n", name);
    return logged ? CLO_EXIT_OK : clo_cli_books_fail(&b.log_err);
}

/* Organisations, or the members of one. */
static int list(const options *o, const char *org)
{
    clo_err err = {0};
    clo_db *db = NULL;
    json_t *rows = NULL, *r;
    size_t i;
    bool ok = true;
    if (!org && !clo_db_exists(o->dir)) rows = json_array();
    else
        ok = (clo_db_exists(o->dir) || clo_fail(&err, CLO_ERR_NOT_FOUND, "nothing was made in '%s'", o->dir)) &&
             clo_db_open(&db, o->dir, &err) &&
             (org ? clo_identity_members(&rows, db, clo_str_from(org), "", &err) : clo_account_list(&rows, db, true, &err));
    clo_db_close(db);
    if (!ok) return clo_cli_books_fail(&err);
    if (o->json && !org) return clo_cli_print_json(rows);
    json_t *members = o->json ? json_array() : NULL; /* names and roles alone: the rest is for web clients */
    if (!o->json && json_array_size(rows) == 0)
        fprintf(stderr, org ? "no members: 'cloche org add-member ORG USER' adds one\n" : "no organisations: 'cloche org create NAME' makes one\n");
    json_array_foreach (rows, i, r) {
        const char *name = clo_json_str(r, org ? "user" : "name", CLO_STR("?")).ptr, *full = clo_json_str(r, "fullname", CLO_STR("?")).ptr;
        const char *role = clo_json_str(r, "role", CLO_STR("?")).ptr;
        if (members) json_array_append_new(members, json_pack("{s:s, s:s, s:s}", "user", name, "fullname", full, "role", role));
        else if (org) printf("%-24s  %-11s  %s\n", name, role, full);
        else printf("%-24s  %4lld members  %s\n", name, (long long)clo_json_int(r, "members", 0), full);
    }
    json_decref(rows);
    return members ? clo_cli_print_json(members) : CLO_EXIT_OK;
}

int clo_cmd_org(int argc, char **argv)
{
    options o = {0};
    const clo_opt opts[] = {
        {"fullname", NULL, CLO_OPT_STR, &o.fullname, "TEXT", "create: the name that is shown"},
        {"role", NULL, CLO_OPT_STR, &o.role, "ROLE", "add-member: admin, write, contributor or read (default)"},
        {"data", NULL, CLO_OPT_STR, &o.data, "DIR", "data folder (default: $CLOCHE_DATA)"},
        {"json", NULL, CLO_OPT_FLAG, &o.json, NULL, "print JSON"},
    };
    const clo_cli_spec spec = {
        "org create NAME | org list | org members NAME | org add-member NAME USER | org remove-member NAME USER | org remove NAME",
        "Makes, lists and removes the organisations of the hub, and says who is a member. A member with the role `read` reads\n"
        "private repositories, a `contributor` also makes some and changes those, `write` changes all, `admin` says who is a\n"
        "member. add-member for one who is a member changes the role.",
        "  cloche org create lab --fullname 'The Lab'\n"
        "  cloche org add-member lab anna --role write\n"
        "  cloche org members lab --json\n"
        "  cloche org remove-member lab anna\n",
        opts, CLO_COUNT(opts), 1, 3};
    clo_cli_args args;
    clo_err err = {0};
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (!clo_cli_data_dir(o.dir, o.data, &err)) return clo_cli_fail(&err, NULL);
    const char *action = args.args[0], *name = args.n_args >= 2 ? args.args[1] : NULL, *user = args.n_args == 3 ? args.args[2] : NULL;
    if (o.fullname && strcmp(action, "create") != 0) return clo_cli_fail_usage("--fullname is given to 'cloche org create'");
    if (o.role && strcmp(action, "add-member") != 0) return clo_cli_fail_usage("--role is given to 'cloche org add-member'");
    if (strcmp(action, "list") == 0 && !name) return list(&o, NULL);
    if (strcmp(action, "members") == 0 && name && !user) return list(&o, name);
    if (strcmp(action, "create") == 0 && name && !user) return create(&o, name);
    if (strcmp(action, "remove") == 0 && name && !user) return remove_org(&o, name);
    if (strcmp(action, "add-member") == 0 && user) return add_member(&o, name, user);
    if (strcmp(action, "remove-member") == 0 && user) return remove_member(&o, name, user);
    return clo_cli_fail_usage("'cloche org create NAME', 'list', 'members NAME', 'add-member NAME USER', 'remove-member NAME USER' or "
                              "'remove NAME' is expected");
}
