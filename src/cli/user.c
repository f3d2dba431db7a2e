/* cloche user: the people who may use the hub. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "cli/books.h"
#include "cli/cli.h"
#include "hub/account.h"

typedef struct {
    const char *data, *fullname, *email, *models;
    int64_t tokens_per_day, concurrent;
    bool password_stdin, admin, json;
    char dir[4096];
} options;

/* The first line of standard input. */
static bool read_password(clo_str *out, clo_arena *keep, clo_err *err)
{
    if (!clo_stdin_read(out, CLO_ACCOUNT_PASSWORD_MAX + 2, keep, err)) return false;
    out->len = clo_str_find(*out, 0, '\n');
    if (out->len > 0 && out->ptr[out->len - 1] == '\r') out->len--;
    return out->len > 0 || clo_fail(err, CLO_ERR_USAGE, "no password on standard input");
}

static void forget(clo_arena *keep, clo_str password)
{
    if (password.ptr) OPENSSL_cleanse((char *)(uintptr_t)password.ptr, password.len);
    clo_arena_free(keep);
}

static int add(const options *o, const char *name)
{
    clo_err err = {0};
    clo_cli_books b = {0};
    clo_account_info a = {0};
    clo_arena keep = clo_arena_make(1 << 16);
    clo_account_opts u = {.name = name, .fullname = o->fullname, .email = o->email, .admin = o->admin,
                          .tokens_per_day = o->tokens_per_day, .concurrent = o->concurrent, .models = o->models};
    int64_t now = (int64_t)time(NULL);
    bool ok = (!o->password_stdin || read_password(&u.password, &keep, &err)) && clo_cli_books_open(&b, o->dir, &err) &&
              clo_account_add(&a, b.db, &u, now, &err) &&
              clo_cli_books_note(&b, "user-added", name, o->admin ? "admin" : NULL, &err);
    ok = clo_cli_books_close(&b, ok, &err);
    forget(&keep, u.password);
    if (!ok) return clo_cli_books_fail(&err);
    if (o->json) return clo_cli_print_json(json_pack("{s:s, s:s, s:b}", "name", a.name, "id", a.oid, "admin", a.admin));
    printf("added %s\n", a.name);
    return CLO_EXIT_OK;
}

static int set_password(const options *o, const char *name)
{
    clo_err err = {0};
    clo_cli_books b = {0};
    clo_account_info a;
    clo_arena keep = clo_arena_make(1 << 16);
    clo_str password = {0};
    bool ok = read_password(&password, &keep, &err) && clo_cli_books_open(&b, o->dir, &err) &&
              clo_account_find(&a, b.db, clo_str_from(name), &err) && clo_account_set_password(b.db, a.id, password, &err) &&
              clo_cli_books_note(&b, "password-set", a.name, NULL, &err);
    ok = clo_cli_books_close(&b, ok, &err);
    forget(&keep, password);
    if (!ok) return clo_cli_books_fail(&err);
    if (o->json) return clo_cli_print_json(json_pack("{s:s}", "password_set", a.name));
    printf("%s has a new password\n", a.name);
    return CLO_EXIT_OK;
}

static int remove_user(const options *o, const char *name)
{
    clo_err err = {0};
    clo_cli_books b = {0};
    bool ok = clo_cli_books_open_to_end(&b, o->dir, &err) &&
              clo_account_remove(b.db, clo_str_from(name), false, (int64_t)time(NULL), &err);
    bool logged = ok && clo_cli_books_try_note(&b, "user-removed", name, NULL);
    if (!clo_cli_books_close(&b, ok, &err)) return clo_cli_books_fail(&err);
    if (o->json) clo_cli_print_json(json_pack("{s:s, s:b}", "removed", name, "logged", logged));
    else printf("removed %s\n", name);
    return logged ? CLO_EXIT_OK : clo_cli_books_fail(&b.log_err);
}

static void print_limit(const json_t *u, const char *name)
{
    const json_t *v = json_object_get(u, name);
    if (json_is_integer(v)) printf("  %10lld", (long long)json_integer_value(v));
    else printf("  %10s", "-");
}

static int list(const options *o)
{
    clo_err err = {0};
    clo_db *db = NULL;
    json_t *users = NULL, *u;
    size_t i;
    char date[24];
    bool ok = true;
    if (!clo_db_exists(o->dir)) users = json_array();
    else ok = clo_db_open(&db, o->dir, &err) && clo_account_list(&users, db, false, &err);
    clo_db_close(db);
    if (!ok) return clo_cli_books_fail(&err);
    if (o->json) return clo_cli_print_json(users);
    if (json_array_size(users) == 0) fprintf(stderr, "no users in '%s': 'cloche user add NAME --password-stdin' makes one\n", o->dir);
    else printf("%-24s  %-5s  %-16s  %10s  %10s  %s\n", "name", "admin", "since (UTC)", "a day", "at once", "full name");
    json_array_foreach (users, i, u) {
        printf("%-24s  %-5s  %-16s", clo_json_str(u, "name", CLO_STR("?")).ptr, clo_json_bool(u, "admin", false) ? "yes" : "",
               clo_cli_date(date, clo_json_int(u, "created", 0)));
        print_limit(u, "tokens_per_day");
        print_limit(u, "concurrent");
        printf("  %s\n", clo_json_str(u, "fullname", CLO_STR("?")).ptr);
    }
    json_decref(users);
    return CLO_EXIT_OK;
}

int clo_cmd_user(int argc, char **argv)
{
    options o = {0};
    const clo_opt opts[] = {
        {"password-stdin", NULL, CLO_OPT_FLAG, &o.password_stdin, NULL, "add, password: the first line of standard input is the password"},
        {"admin", NULL, CLO_OPT_FLAG, &o.admin, NULL, "add: may do everything in the hub, and change models"},
        {"fullname", NULL, CLO_OPT_STR, &o.fullname, "TEXT", "add: the name that is shown"},
        {"email", NULL, CLO_OPT_STR, &o.email, "ADDRESS", "add: an e-mail address"},
        {"tokens-per-day", NULL, CLO_OPT_I64, &o.tokens_per_day, "N", "add: prompt and output tokens a day (UTC); default: no limit"},
        {"concurrent", NULL, CLO_OPT_I64, &o.concurrent, "N", "add: requests to models at once; default: no limit"},
        {"models", NULL, CLO_OPT_STR, &o.models, "M,...", "add: the models it may ask, org/* for all of org's; default: all"},
        {"data", NULL, CLO_OPT_STR, &o.data, "DIR", "data folder (default: $CLOCHE_DATA)"},
        {"json", NULL, CLO_OPT_FLAG, &o.json, NULL, "print JSON"},
    };
    const clo_cli_spec spec = {
        "user add NAME | user list | user password NAME | user remove NAME",
        "Makes, lists and removes the users of the hub. Passwords are kept as yescrypt hashes; clients send tokens instead\n"
        "(`cloche token create`). A removed user's tokens end; one who has repositories cannot be removed.",
        "  cloche user add anna --password-stdin < password.txt\n"
        "  cloche user add boss --password-stdin --admin < password.txt\n"
        "  cloche user add robot --tokens-per-day 200000\n"
        "  cloche user list --json\n"
        "  cloche user remove anna\n",
        opts, CLO_COUNT(opts), 1, 2};
    clo_cli_args args;
    clo_err err = {0};
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (!clo_cli_data_dir(o.dir, o.data, &err)) return clo_cli_fail(&err, NULL);
    const char *action = args.args[0], *name = args.n_args == 2 ? args.args[1] : NULL;
    bool is_add = strcmp(action, "add") == 0, is_password = strcmp(action, "password") == 0;
    if (!is_add && (o.admin || o.fullname || o.email || o.tokens_per_day || o.concurrent || o.models))
        return clo_cli_fail_usage("names, rights and limits are given to 'cloche user add'");
    if (!is_add && !is_password && o.password_stdin) return clo_cli_fail_usage("a password is given to 'user add' or 'user password'");
    if (strcmp(action, "list") == 0 && !name) return list(&o);
    if (is_add && name) return add(&o, name);
    if (is_password && name && !o.password_stdin) return clo_cli_fail_usage("--password-stdin is needed: a password does not stand in a command line");
    if (is_password && name) return set_password(&o, name);
    if (strcmp(action, "remove") == 0 && name) return remove_user(&o, name);
    return clo_cli_fail_usage("'cloche user add NAME', 'user list', 'user password NAME' or 'user remove NAME' is expected");
}
