/* cloche gc: removes what nothing in the hub needs any more. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "cli/cli.h"
#include "hub/git_db.h"
#include "hub/sweep.h"
#include "model/model.h"

typedef struct {
    const char *dir;
    bool json, dry_run;
    json_t *rows; /* what goes */
} telling;

/* The prepared weights of models of a snapshot go with it: of its folder, and of GGUF files in it. */
static void forget_prepared(const char *folder, const char *dir)
{
    DIR *d = opendir(folder);
    if (!d) return;
    clo_model_forget(folder, dir);
    for (struct dirent *e; (e = readdir(d));) {
        char path[4096];
        if (e->d_name[0] == '.' || !clo_path_join(path, NULL, "%s/%s", folder, e->d_name)) continue;
        if (clo_path_is_dir(path)) forget_prepared(path, dir);
        else if (clo_str_ends_with(clo_str_from(path), CLO_STR(".gguf"))) clo_model_forget(path, dir);
    }
    closedir(d);
}

static void tell(void *ctx, const char *kind, const char *name, uint64_t bytes)
{
    telling *t = (telling *)ctx;
    if (!t->dry_run && strcmp(kind, "snapshot") == 0) forget_prepared(name, t->dir);
    if (t->json) json_array_append_new(t->rows, json_pack("{s:s, s:s, s:I}", "kind", kind, "name", name, "bytes", (json_int_t)bytes));
    else printf("%-9s %12llu  %s\n", kind, (unsigned long long)bytes, name);
}

static int sweep(const char *dir, bool dry_run, bool json)
{
    clo_err err = {0};
    clo_db *db = NULL;
    clo_sweep_counts n = {0};
    int64_t n_objects = 0;
    telling t = {dir, json, dry_run, json_array()};
    const clo_sweep_opts o = {.now_s = (int64_t)time(NULL), .dry_run = dry_run};
    bool ok = clo_db_exists(dir) || clo_fail(&err, CLO_ERR_NOT_FOUND, "nothing was made in '%s'", dir);
    ok = ok && clo_db_open(&db, dir, &err);
    clo_files f = {.db = db, .data_dir = dir};
    ok = ok && clo_files_sweep(&n, &f, &o, tell, &t, &err) &&
         (dry_run ? clo_git_count_unneeded(&n_objects, db, &err) : clo_git_sweep(&n_objects, db, &err));
    clo_db_close(db);
    if (!ok || !json) json_decref(t.rows);
    if (!ok) return clo_cli_fail(&err, NULL);
    const json_int_t n_files = (json_int_t)(n.n_files + n.n_strays + n.n_whole);
    if (json)
        return clo_cli_print_json(json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:o}", "dry_run", dry_run, "files", n_files, "snapshots",
                                            (json_int_t)n.n_snapshots, "xorbs", (json_int_t)n.n_xorbs, "objects", (json_int_t)n_objects,
                                            "bytes", (json_int_t)n.bytes, "list", t.rows));
    printf("%lld files, %llu xorbs, %lld git objects, %llu snapshots of models: %llu bytes %s\n", (long long)n_files,
           (unsigned long long)n.n_xorbs, (long long)n_objects, (unsigned long long)n.n_snapshots, (unsigned long long)n.bytes,
           dry_run ? "would be freed" : "freed");
    return CLO_EXIT_OK;
}

int clo_cmd_gc(int argc, char **argv)
{
    const char *data = NULL;
    bool json = false, dry_run = false;
    char dir[4096];
    const clo_opt opts[] = {
        {"dry-run", "n", CLO_OPT_FLAG, &dry_run, NULL, "only tell what would go"},
        {"data", NULL, CLO_OPT_STR, &data, "DIR", "data folder (default: $CLOCHE_DATA)"},
        {"json", NULL, CLO_OPT_FLAG, &json, NULL, "print JSON"},
    };
    const clo_cli_spec spec = {"gc",
                               "Removes what nothing in the hub needs any more: large files of no repository after a day, chunks of no file after\n"
                               "four weeks (clients remember for three what they have sent), git objects of no repository, and what was laid\n"
                               "out to run models of repositories and was not used for four weeks. A server may run meanwhile.",
                               "  cloche gc --dry-run\n"
                               "  cloche gc --json\n",
                               opts,
                               CLO_COUNT(opts),
                               0,
                               0};
    clo_cli_args args;
    clo_err err = {0};
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (!clo_cli_data_dir(dir, data, &err)) return clo_cli_fail(&err, NULL);
    return sweep(dir, dry_run, json);
}
