/* cloche fsck: reads everything that the hub holds back. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "hub/git_check.h"

#define NEXT_IF_DAMAGED "put the named files and rows back from a backup; other repositories are not concerned"

typedef struct {
    bool json;
    json_t *rows; /* faults */
} telling;

static bool tell(void *ctx, const char *kind, const char *name, const char *what)
{
    telling *t = (telling *)ctx;
    if (t->json) return json_array_append_new(t->rows, json_pack("{s:s, s:s, s:s}", "kind", kind, "name", name, "fault", what)) == 0;
    printf("%s %s: %s\n", kind, name, what);
    return true;
}

static json_t *counts_json(const clo_git_check_counts *g, const clo_fsck_counts *f)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "repositories", (json_int_t)g->n_repos, "refs", (json_int_t)g->n_refs,
                     "objects", (json_int_t)g->n_objects, "files", (json_int_t)f->n_files, "xorbs", (json_int_t)f->n_xorbs,
                     "xet_files", (json_int_t)f->n_xet_files, "bytes", (json_int_t)(g->bytes + f->bytes), "faults",
                     (json_int_t)(g->faults + f->faults));
}

static int check(const char *dir, bool json)
{
    clo_err err = {0};
    clo_db *db = NULL;
    clo_git_check_counts g = {0};
    clo_fsck_counts n = {0};
    telling t = {json, json_array()};
    bool ok = clo_db_exists(dir) || clo_fail(&err, CLO_ERR_NOT_FOUND, "nothing was made in '%s'", dir);
    ok = ok && clo_db_open(&db, dir, &err);
    clo_files f = {.db = db, .data_dir = dir};
    ok = ok && clo_git_check(&g, &f, tell, &t, &err) && clo_files_check(&n, &f, tell, &t, &err);
    clo_db_close(db);
    if (!ok) {
        json_decref(t.rows);
        return clo_cli_fail(&err, NULL);
    }
    if (json) {
        json_t *out = counts_json(&g, &n);
        json_object_set_new(out, "list", t.rows);
        int rc = clo_cli_print_json(out);
        return rc != CLO_EXIT_OK ? rc : g.faults + n.faults > 0 ? CLO_EXIT_DAMAGED : CLO_EXIT_OK;
    }
    json_decref(t.rows);
    printf("%llu repositories, %llu refs, %llu objects, %llu large files, %llu xorbs: ", (unsigned long long)g.n_repos,
           (unsigned long long)g.n_refs, (unsigned long long)g.n_objects, (unsigned long long)n.n_files, (unsigned long long)n.n_xorbs);
    if (g.faults + n.faults == 0) {
        printf("all is whole\n");
        return CLO_EXIT_OK;
    }
    printf("%llu faults\n", (unsigned long long)(g.faults + n.faults));
    clo_fail(&err, CLO_ERR_DAMAGED, "stored data is damaged");
    return clo_cli_fail(&err, NEXT_IF_DAMAGED);
}

int clo_cmd_fsck(int argc, char **argv)
{
    const char *data = NULL;
    bool json = false;
    char dir[4096];
    const clo_opt opts[] = {
        {"data", NULL, CLO_OPT_STR, &data, "DIR", "data folder (default: $CLOCHE_DATA)"},
        {"json", NULL, CLO_OPT_FLAG, &json, NULL, "print JSON"},
    };
    const clo_cli_spec spec = {"fsck",
                               "Reads everything back that the hub holds: git objects, what refs lead to, large files, chunks. Names what is\n"
                               "damaged or missing. A server may run meanwhile. Exit code 7 when anything is.",
                               "  cloche fsck\n"
                               "  cloche fsck --data /srv/cloche --json\n",
                               opts,
                               CLO_COUNT(opts),
                               0,
                               0};
    clo_cli_args args;
    clo_err err = {0};
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (!clo_cli_data_dir(dir, data, &err)) return clo_cli_fail(&err, NULL);
    return check(dir, json);
}
