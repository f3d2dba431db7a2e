/* cloche key: API keys of the server: who may ask, how much, what was used. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/books.h"
#include "cli/cli.h"
#include "hub/keys.h"

typedef struct {
    const char *data, *models, *expires;
    int64_t tokens_per_day, concurrent;
    bool all, admin, json;
    char dir[4096];
} options;

static int add(const options *o, const char *name)
{
    char text[CLO_KEY_TEXT_MAX], date[24];
    clo_key_opts k = {.name = name,
                      .tokens_per_day = o->tokens_per_day,
                      .concurrent = o->concurrent,
                      .models = o->models,
                      .admin = o->admin};
    clo_err err = {0};
    clo_cli_books b = {0};
    int64_t now = (int64_t)time(NULL);
    if (o->tokens_per_day < 0 || o->concurrent < 0) return clo_cli_fail_usage("a limit is 1 or more (0: none)");
    if (o->expires && !clo_key_parse_expiry(&k.expires_s, o->expires, now, &err)) return clo_cli_books_fail(&err);
    bool ok = clo_cli_books_open(&b, o->dir, &err) && clo_key_add(text, b.db, &k, now, &err) &&
              clo_cli_books_note(&b, "key-added", name, NULL, &err);
    if (!clo_cli_books_close(&b, ok, &err)) return clo_cli_books_fail(&err);
    if (o->json)
        return clo_cli_print_json(json_pack("{s:s, s:s, s:s#, s:o}", "name", name, "key", text, "id", text + 3,
                                            CLO_KEY_ID_LEN, "expires",
                                            k.expires_s ? json_integer((json_int_t)k.expires_s) : json_null()));
    printf("%s\n", text);
    fprintf(stderr, "the key of %s%s%s. It is shown this once and not stored.\n", name, k.expires_s ? ", valid until " : "",
            k.expires_s ? clo_cli_date(date, k.expires_s) : "");
    return CLO_EXIT_OK;
}

/* A key ends even when the audit log cannot take a line: that is told. */
static int revoke(const options *o, const char *name)
{
    clo_err err = {0};
    clo_cli_books b = {0};
    bool ok = clo_cli_books_open_to_end(&b, o->dir, &err) && clo_key_revoke(b.db, name, (int64_t)time(NULL), &err);
    bool logged = ok && clo_cli_books_try_note(&b, "key-revoked", name, NULL);
    if (!clo_cli_books_close(&b, ok, &err)) return clo_cli_books_fail(&err);
    if (o->json) clo_cli_print_json(json_pack("{s:s, s:b}", "revoked", name, "logged", logged));
    else printf("revoked %s\n", name);
    return logged ? CLO_EXIT_OK : clo_cli_books_fail(&b.log_err);
}

static void print_limit(const json_t *k, const char *name)
{
    const json_t *v = json_object_get(k, name);
    if (json_is_integer(v)) printf("  %10lld", (long long)json_integer_value(v));
    else printf("  %10s", "-");
}

static void print_key(const json_t *k)
{
    const json_t *today = json_object_get(json_object_get(k, "used"), "today"), *models = json_object_get(k, "models"), *m;
    const json_t *expires = json_object_get(k, "expires");
    char date[24];
    size_t i;
    printf("%-24s  %-8s  %-8s", clo_json_str(k, "name", CLO_STR("?")).ptr, clo_json_str(k, "id", CLO_STR("?")).ptr,
           clo_json_str(k, "state", CLO_STR("?")).ptr);
    printf("  %-5s", clo_json_bool(k, "admin", false) ? "yes" : "");
    printf("  %10lld", (long long)(clo_json_int(today, "prompt", 0) + clo_json_int(today, "output", 0)));
    print_limit(k, "tokens_per_day");
    print_limit(k, "concurrent");
    printf("  %-16s ", json_is_integer(expires) ? clo_cli_date(date, json_integer_value(expires)) : "-");
    if (!json_is_array(models)) printf(" all");
    json_array_foreach (models, i, m) printf("%s%s", i ? "," : " ", json_string_value(m));
    printf("\n");
}

static int list(const options *o)
{
    clo_err err = {0};
    clo_db *db = NULL;
    json_t *keys = NULL, *k;
    size_t i;
    bool ok = true;
    if (!clo_db_exists(o->dir)) keys = json_array();
    else ok = clo_db_open(&db, o->dir, &err) && clo_key_list(&keys, db, o->all, (int64_t)time(NULL), &err);
    clo_db_close(db);
    if (!ok) return clo_cli_books_fail(&err);
    if (o->json) return clo_cli_print_json(keys);
    if (json_array_size(keys) == 0) fprintf(stderr, "no keys in '%s': 'cloche key add NAME' makes one\n", o->dir);
    else
        printf("%-24s  %-8s  %-8s  %-5s  %10s  %10s  %10s  %-16s  %s\n", "name", "id", "state", "admin", "used today", "a day", "at once",
               "expires (UTC)", "models");
    json_array_foreach (keys, i, k) print_key(k);
    json_decref(keys);
    return CLO_EXIT_OK;
}

int clo_cmd_key(int argc, char **argv)
{
    options o = {0};
    const clo_opt opts[] = {
        {"tokens-per-day", NULL, CLO_OPT_I64, &o.tokens_per_day, "N", "add: prompt and output tokens a day (UTC); default: no limit"},
        {"concurrent", NULL, CLO_OPT_I64, &o.concurrent, "N", "add: requests at once; default: no limit"},
        {"models", NULL, CLO_OPT_STR, &o.models, "M,...", "add: the models it may use, org/* for all of org's; default: all"},
        {"expires", NULL, CLO_OPT_STR, &o.expires, "D", "add: valid for 90d or 12h, or until the end of 2027-01-31"},
        {"admin", NULL, CLO_OPT_FLAG, &o.admin, NULL, "add: it may also create, copy and remove models"},
        {"all", "a", CLO_OPT_FLAG, &o.all, NULL, "list: revoked keys too"},
        {"data", NULL, CLO_OPT_STR, &o.data, "DIR", "data folder (default: $CLOCHE_DATA)"},
        {"json", NULL, CLO_OPT_FLAG, &o.json, NULL, "print JSON"},
    };
    const clo_cli_spec spec = {
        "key add NAME | key list | key revoke NAME",
        "Makes, lists and revokes the API keys of the server. `add` prints the key, once; the data folder keeps only a\n"
        "salted hash of it. From the first key on the server asks everyone for one. A running server sees changes at once.",
        "  cloche key add anna\n"
        "  cloche key add lab --tokens-per-day 200000 --concurrent 4 --models smollm2 --expires 90d\n"
        "  cloche key add boss --admin\n"
        "  cloche key list --json\n"
        "  cloche key revoke anna\n",
        opts, CLO_COUNT(opts), 1, 2};
    clo_cli_args args;
    clo_err err = {0};
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (!clo_cli_data_dir(o.dir, o.data, &err)) return clo_cli_fail(&err, NULL);
    const char *action = args.args[0], *name = args.n_args == 2 ? args.args[1] : NULL;
    bool is_add = strcmp(action, "add") == 0, is_list = strcmp(action, "list") == 0;
    if (!is_add && (o.tokens_per_day || o.concurrent || o.models || o.expires || o.admin))
        return clo_cli_fail_usage("limits and rights are given to 'cloche key add'");
    if (is_list && !name) return list(&o);
    if (is_add && name) return add(&o, name);
    if (strcmp(action, "revoke") == 0 && name) return revoke(&o, name);
    return clo_cli_fail_usage("'cloche key add NAME', 'key list' or 'key revoke NAME' is expected");
}
