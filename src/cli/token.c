/* cloche token: what the hub's clients send in place of a password. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/books.h"
#include "cli/cli.h"
#include "hub/token.h"

typedef struct {
    const char *data, *user, *name, *repo, *expires;
    bool read, write, all, json;
    char dir[4096];
} options;

static json_t *made_json(const clo_account_info *a, const options *o, const clo_token_opts *t, const char *text)
{
    return json_pack("{s:s, s:s#, s:o, s:s, s:s, s:o, s:o}", "user", a->name, "id", text + 3, CLO_KEY_ID_LEN, "name",
                     o->name ? json_string(o->name) : json_stringn(text + 3, CLO_KEY_ID_LEN), "token", text, "role",
                     o->repo ? "fineGrained" : o->write ? "write" : "read", "scope", t->scope ? json_string(t->scope) : json_null(),
                     "expires", t->expires_s ? json_integer((json_int_t)t->expires_s) : json_null());
}

static int create(const options *o)
{
    char text[CLO_KEY_TEXT_MAX], scope[CLO_TOKEN_SCOPE_MAX], note[CLO_TOKEN_SCOPE_MAX + 64], date[24];
    clo_err err = {0};
    clo_cli_books b = {0};
    clo_account_info a = {0};
    clo_token_opts t = {.name = o->name, .may_write = o->write};
    int64_t now = (int64_t)time(NULL);
    if (!o->user) return clo_cli_fail_usage("--user NAME says whose token it is");
    if (o->read && o->write) return clo_cli_fail_usage("--read or --write, not both");
    if (o->expires && !clo_key_parse_expiry(&t.expires_s, o->expires, now, &err)) return clo_cli_books_fail(&err);
    if (o->repo && !clo_token_parse_scope(scope, clo_str_from(o->repo), &err)) return clo_cli_books_fail(&err);
    t.scope = o->repo ? scope : NULL;
    bool ok = clo_cli_books_open(&b, o->dir, &err) && clo_account_find(&a, b.db, clo_str_from(o->user), &err);
    t.account = a.id;
    ok = ok && clo_token_add(text, b.db, &t, now, &err);
    if (ok) snprintf(note, sizeof note, "%.*s: %s%s%s", CLO_KEY_ID_LEN, text + 3, o->write ? "write" : "read", t.scope ? " " : "", t.scope ? scope : "");
    ok = ok && clo_cli_books_note(&b, "token-added", a.name, note, &err);
    if (!clo_cli_books_close(&b, ok, &err)) return clo_cli_books_fail(&err);
    if (o->json) return clo_cli_print_json(made_json(&a, o, &t, text));
    printf("%s\n", text);
    fprintf(stderr, "a token of %s that may %s%s%s%s%s. It is shown this once and not stored.\n", a.name, o->write ? "read and write" : "read",
            t.scope ? ", for " : "", t.scope ? scope : "", t.expires_s ? ", valid until " : "",
            t.expires_s ? clo_cli_date(date, t.expires_s) : "");
    return CLO_EXIT_OK;
}

static int revoke(const options *o, const char *id)
{
    clo_err err = {0};
    clo_cli_books b = {0};
    char user[CLO_ACCOUNT_NAME_MAX] = "";
    bool ok = clo_cli_books_open_to_end(&b, o->dir, &err) &&
              clo_token_revoke(user, b.db, clo_str_from(id), (int64_t)time(NULL), &err);
    bool logged = ok && clo_cli_books_try_note(&b, "token-revoked", user, id);
    if (!clo_cli_books_close(&b, ok, &err)) return clo_cli_books_fail(&err);
    if (o->json) clo_cli_print_json(json_pack("{s:s, s:s, s:b}", "revoked", id, "user", user, "logged", logged));
    else printf("revoked %s of %s\n", id, user);
    return logged ? CLO_EXIT_OK : clo_cli_books_fail(&b.log_err);
}

static const char *day_of(char out[24], const json_t *t, const char *name)
{
    const json_t *v = json_object_get(t, name);
    return json_is_integer(v) ? clo_cli_date(out, json_integer_value(v)) : "-";
}

static void print_token(const json_t *t)
{
    char expires[24], used[24];
    printf("%-8s  %-20s  %-8s  %-5s  %-16s  %-16s  %-20s  ", clo_json_str(t, "id", CLO_STR("?")).ptr, clo_json_str(t, "user", CLO_STR("-")).ptr,
           clo_json_str(t, "state", CLO_STR("?")).ptr, clo_json_bool(t, "may_write", false) ? "write" : "read",
           day_of(expires, t, "expires"), day_of(used, t, "used"), clo_json_str(t, "scope", CLO_STR("everything")).ptr);
    clo_cli_print_escaped(clo_json_str(t, "name", CLO_STR("?")), false);
    printf("\n");
}

static bool read_list(json_t **out, const options *o, clo_err *err)
{
    clo_db *db = NULL;
    clo_account_info a = {0};
    if (!clo_db_exists(o->dir)) {
        *out = json_array();
        return true;
    }
    bool ok = clo_db_open(&db, o->dir, err) && (!o->user || clo_account_find(&a, db, clo_str_from(o->user), err)) &&
              clo_token_list(out, db, a.id, o->all, (int64_t)time(NULL), err);
    clo_db_close(db);
    return ok;
}

static int list(const options *o)
{
    clo_err err = {0};
    json_t *tokens = NULL, *t;
    size_t i;
    if (!read_list(&tokens, o, &err)) return clo_cli_books_fail(&err);
    if (o->json) return clo_cli_print_json(tokens);
    if (json_array_size(tokens) == 0) fprintf(stderr, "no tokens in '%s': 'cloche token create --user NAME' makes one\n", o->dir);
    else
        printf("%-8s  %-20s  %-8s  %-5s  %-16s  %-16s  %-20s  %s\n", "id", "user", "state", "may", "expires (UTC)", "used", "for", "name");
    json_array_foreach (tokens, i, t) print_token(t);
    json_decref(tokens);
    return CLO_EXIT_OK;
}

int clo_cmd_token(int argc, char **argv)
{
    options o = {0};
    const clo_opt opts[] = {
        {"user", NULL, CLO_OPT_STR, &o.user, "NAME", "create: whose it is; list: that user's only"},
        {"name", NULL, CLO_OPT_STR, &o.name, "TEXT", "create: by which people know it; default: its id"},
        {"read", NULL, CLO_OPT_FLAG, &o.read, NULL, "create: it may read what the user may read (default)"},
        {"write", NULL, CLO_OPT_FLAG, &o.write, NULL, "create: it may also change what the user may change"},
        {"repo", NULL, CLO_OPT_STR, &o.repo, "R", "create: for one repository alone: lab/m, datasets/lab/d, spaces/lab/s"},
        {"expires", NULL, CLO_OPT_STR, &o.expires, "D", "create: valid for 90d or 12h, or until the end of 2027-01-31"},
        {"all", "a", CLO_OPT_FLAG, &o.all, NULL, "list: revoked tokens too"},
        {"data", NULL, CLO_OPT_STR, &o.data, "DIR", "data folder (default: $CLOCHE_DATA)"},
        {"json", NULL, CLO_OPT_FLAG, &o.json, NULL, "print JSON"},
    };
    const clo_cli_spec spec = {
        "token create --user NAME | token list | token revoke ID",
        "Makes, lists and revokes tokens of the hub's users. `create` prints the token, once; the data folder keeps only a salted\n"
        "hash of it. A token is also an API key of the server, with its user's limits: from the first one on the server asks\n"
        "everyone for a key. A running server sees changes at once.",
        "  cloche token create --user anna --write --name laptop\n"
        "  cloche token create --user robot --write --repo lab/m --expires 90d\n"
        "  cloche token list --user anna --json\n"
        "  cloche token revoke Zk3vQ9aB\n",
        opts, CLO_COUNT(opts), 1, 2};
    clo_cli_args args;
    clo_err err = {0};
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (!clo_cli_data_dir(o.dir, o.data, &err)) return clo_cli_fail(&err, NULL);
    const char *action = args.args[0], *id = args.n_args == 2 ? args.args[1] : NULL;
    bool is_create = strcmp(action, "create") == 0, is_list = strcmp(action, "list") == 0;
    if (!is_create && (o.name || o.read || o.write || o.repo || o.expires))
        return clo_cli_fail_usage("rights and names are given to 'cloche token create'");
    if (o.all && !is_list) return clo_cli_fail_usage("--all is for 'cloche token list'");
    if (is_create && !id) return create(&o);
    if (is_list && !id) return list(&o);
    if (strcmp(action, "revoke") == 0 && id && !o.user) return revoke(&o, id);
    return clo_cli_fail_usage("'cloche token create --user NAME', 'token list' or 'token revoke ID' is expected");
}
