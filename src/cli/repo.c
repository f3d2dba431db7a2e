/* cloche repo: repositories of the hub in the data folder. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/books.h"
#include "cli/cli.h"
#include "hub/account.h"
#include "hub/git_db.h"
#include "hub/repo.h"

typedef struct {
    const char *data, *type, *owner;
    bool is_private, json;
    clo_repo_type of;
    char dir[4096];
} options;

static json_t *repo_json(const clo_repo *r)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:s, s:b, s:I, s:I}", "id", r->full, "_id", r->oid, "type",
                     clo_repo_type_name(r->type), "private", r->is_private, "gated", clo_gated_name(r->gated),
                     "disabled", r->disabled, "created", (json_int_t)r->created_s, "modified",
                     (json_int_t)r->modified_s);
}

/* The line of the audit log, under the namespace's name. */
static bool note(clo_cli_books *b, const char *event, const clo_repo *r, const char *from, clo_err *err)
{
    char text[CLO_REPO_WORDS_MAX];
    clo_repo_words(text, r, from);
    return clo_cli_books_note(b, event, r->ns, text, err);
}

static bool must_exist(const options *o, clo_err *err)
{
    return clo_db_exists(o->dir) || clo_fail(err, CLO_ERR_NOT_FOUND, "nothing was made in '%s'", o->dir);
}

static int create(const options *o, const char *id)
{
    clo_err err = {0};
    clo_cli_books b = {0};
    clo_repo r;
    clo_str ns, name;
    clo_account_info who;
    bool ok = clo_repo_split(&ns, &name, clo_str_from(id), &err) && clo_cli_books_open(&b, o->dir, &err) &&
              clo_account_find(&who, b.db, ns, &err);
    if (ok) {
        clo_repo_opts opts = {
            .type = o->of, .owner = who.id, .name = name, .is_private = o->is_private, .author = {who.name, who.email}};
        ok = clo_repo_create(&r, b.db, &opts, (int64_t)time(NULL), &err) && note(&b, "repo-created", &r, NULL, &err);
    }
    if (!clo_cli_books_close(&b, ok, &err)) return clo_cli_books_fail(&err);
    if (o->json) return clo_cli_print_json(repo_json(&r));
    printf("created %s %s\n", clo_repo_type_name(r.type), r.full);
    return CLO_EXIT_OK;
}

/* An old id is not followed where something is about to be destroyed. */
static bool find_as_it_is(clo_repo *r, clo_db *db, const options *o, const char *id, clo_err *err)
{
    bool moved = false;
    if (!clo_repo_find(r, &moved, db, o->of, clo_str_from(id), err)) return false;
    return !moved || clo_fail(err, CLO_ERR_NOT_FOUND, "'%.200s' is called %s now", id, r->full);
}

static int delete_repo(const options *o, const char *id)
{
    clo_err err = {0};
    clo_cli_books b = {0};
    clo_db *db = NULL;
    clo_repo r;
    int64_t n = 0;
    bool ok = must_exist(o, &err) && clo_cli_books_open(&b, o->dir, &err) && find_as_it_is(&r, b.db, o, id, &err) &&
              clo_repo_delete(b.db, r.id, &err) && note(&b, "repo-removed", &r, NULL, &err);
    ok = clo_cli_books_close(&b, ok, &err) && clo_db_open(&db, o->dir, &err) && clo_git_sweep(&n, db, &err);
    clo_db_close(db);
    if (!ok) return clo_cli_books_fail(&err);
    if (o->json) return clo_cli_print_json(json_pack("{s:s, s:I}", "deleted", r.full, "objects", (json_int_t)n));
    printf("deleted %s %s\n", clo_repo_type_name(r.type), r.full);
    return CLO_EXIT_OK;
}

static int move(const options *o, const char *from, const char *to)
{
    clo_err err = {0};
    clo_cli_books b = {0};
    clo_repo r;
    clo_str ns, name;
    clo_account_info who;
    bool ok = must_exist(o, &err) && clo_repo_split(&ns, &name, clo_str_from(to), &err) && clo_cli_books_open(&b, o->dir, &err) &&
              find_as_it_is(&r, b.db, o, from, &err) && clo_account_find(&who, b.db, ns, &err) &&
              clo_repo_move(&r, b.db, who.id, name, (int64_t)time(NULL), &err) && note(&b, "repo-moved", &r, from, &err);
    if (!clo_cli_books_close(&b, ok, &err)) return clo_cli_books_fail(&err);
    if (o->json) return clo_cli_print_json(repo_json(&r));
    printf("%s is %s now; the old id leads there\n", from, r.full);
    return CLO_EXIT_OK;
}

static bool add_json(void *ctx, const clo_repo *r, clo_err *err)
{
    return json_array_append_new(ctx, repo_json(r)) == 0 || clo_fail(err, CLO_ERR_MEMORY, "list of repositories");
}

static void print_repo(const json_t *r)
{
    int64_t s = json_integer_value(json_object_get(r, "modified"));
    time_t t = (time_t)s;
    struct tm tm;
    char date[24] = "?";
    if (gmtime_r(&t, &tm)) strftime(date, sizeof date, "%Y-%m-%d %H:%M", &tm);
    printf("%-8s  %-40s  %-7s  %s\n", json_string_value(json_object_get(r, "type")),
           json_string_value(json_object_get(r, "id")),
           json_is_true(json_object_get(r, "private")) ? "private" : "public", date);
}

static int list(const options *o)
{
    clo_err err = {0};
    clo_db *db = NULL;
    json_t *all = json_array(), *r;
    clo_account_info who = {0};
    size_t i;
    bool ok = all != NULL || clo_fail(&err, CLO_ERR_MEMORY, "list of repositories");
    if (ok && clo_db_exists(o->dir)) {
        ok = clo_db_open(&db, o->dir, &err) && (!o->owner || clo_account_find(&who, db, clo_str_from(o->owner), &err));
        clo_repo_filter f = {.type = o->type ? o->of : CLO_REPO_TYPES, .owner = who.id};
        ok = ok && clo_repo_each(db, &f, add_json, all, &err);
    }
    clo_db_close(db);
    if (!ok) {
        json_decref(all);
        return clo_cli_books_fail(&err);
    }
    if (o->json) return clo_cli_print_json(all);
    if (json_array_size(all) == 0) fprintf(stderr, "no repositories in '%s'\n", o->dir);
    else printf("%-8s  %-40s  %-7s  %s\n", "type", "id", "", "changed (UTC)");
    json_array_foreach (all, i, r) print_repo(r);
    json_decref(all);
    return CLO_EXIT_OK;
}

int clo_cmd_repo(int argc, char **argv)
{
    options o = {.of = CLO_REPO_MODEL};
    const clo_opt opts[] = {
        {"type", NULL, CLO_OPT_STR, &o.type, "T", "model, dataset or space; default: model (list: all)"},
        {"private", NULL, CLO_OPT_FLAG, &o.is_private, NULL, "create: only its namespace may read it"},
        {"owner", NULL, CLO_OPT_STR, &o.owner, "NAME", "list: those of one namespace"},
        {"data", NULL, CLO_OPT_STR, &o.data, "DIR", "data folder (default: $CLOCHE_DATA)"},
        {"json", NULL, CLO_OPT_FLAG, &o.json, NULL, "print JSON"},
    };
    const clo_cli_spec spec = {
        "repo create NS/NAME | repo list | repo move NS/NAME NS/NAME | repo delete NS/NAME",
        "Makes, lists, renames and deletes the hub's repositories in the data folder. NS is an account. A new\n"
        "repository has the branch main with one commit; a renamed one is found under its old id until somebody takes\n"
        "that.",
        "  cloche repo create alice/tiny --private\n"
        "  cloche repo create lab/corpus --type dataset\n"
        "  cloche repo list --json\n"
        "  cloche repo move alice/tiny lab/tiny\n"
        "  cloche repo delete lab/tiny\n",
        opts,
        CLO_COUNT(opts),
        1,
        3};
    clo_cli_args args;
    clo_err err = {0};
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (!clo_cli_data_dir(o.dir, o.data, &err)) return clo_cli_fail(&err, NULL);
    const char *action = args.args[0];
    bool is_create = strcmp(action, "create") == 0, is_list = strcmp(action, "list") == 0;
    if (o.type && !clo_repo_type_parse(&o.of, clo_str_from(o.type)))
        return clo_cli_fail_usage("'%s' is not model, dataset or space", o.type);
    if (o.is_private && !is_create) return clo_cli_fail_usage("--private is given to 'cloche repo create'");
    if (o.owner && !is_list) return clo_cli_fail_usage("--owner is given to 'cloche repo list'");
    if (is_list && args.n_args == 1) return list(&o);
    if (is_create && args.n_args == 2) return create(&o, args.args[1]);
    if (strcmp(action, "delete") == 0 && args.n_args == 2) return delete_repo(&o, args.args[1]);
    if (strcmp(action, "move") == 0 && args.n_args == 3) return move(&o, args.args[1], args.args[2]);
    return clo_cli_fail_usage(
        "'cloche repo create NS/NAME', 'repo list', 'repo move OLD NEW' or 'repo delete NS/NAME' is expected");
}
