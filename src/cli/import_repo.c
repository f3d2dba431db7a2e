/* cloche import --repo: makes a repository of the hub of what lies on disk. */
#include <stdio.h>
#include <time.h>

#include "cli/faraway.h"
#include "cli/import.h"
#include "hub/import.h"

static json_t *result_json(const clo_import_result *r)
{
    char main[CLO_OID_HEX];
    clo_oid_hex(main, &r->main);
    return json_pack("{s:s, s:s, s:s, s:b, s:s, s:I, s:I, s:I, s:I, s:I}", "id", r->repo.full, "type", clo_repo_type_name(r->repo.type), "kind",
                     r->kind, "new", r->is_new, "main", main, "commits", (json_int_t)r->n_commits, "refs", (json_int_t)r->n_refs, "objects",
                     (json_int_t)r->n_objects, "files", (json_int_t)r->n_files, "absent", (json_int_t)r->n_absent);
}

static void print_result(const clo_import_result *r)
{
    char main[CLO_OID_HEX];
    clo_oid_hex(main, &r->main);
    printf("%s %s is at %.12s: ", clo_repo_type_name(r->repo.type), r->repo.full, main);
    if (r->n_commits) printf("%zu commit%s of a %s, %zu large files\n", r->n_commits, r->n_commits == 1 ? "" : "s", r->kind, r->n_files);
    else if (r->n_refs) printf("%zu branches and tags, %zu objects, %zu large files\n", r->n_refs, r->n_objects, r->n_files);
    else printf("nothing is new\n");
    if (r->n_absent) fprintf(stderr, "%zu large files are not in the clone: 'git lfs fetch --all' brings them\n", r->n_absent);
}

int clo_cli_import_repo(const clo_import_repo_args *a)
{
    clo_err err = {0};
    clo_import_result r;
    char dir[4096];
    clo_import_repo_opts o = {.source = a->source, .message = a->message, .force = a->force, .now_s = (int64_t)time(NULL),
                              .progress = clo_cli_progress,
                              .home = {.id = a->repo, .is_private = a->is_private, .note = clo_cli_note_account, .note_ctx = dir}};
    if (a->type && !clo_repo_type_parse(&o.home.type, clo_str_from(a->type)))
        return clo_cli_fail_usage("'%s' is not model, dataset or space", a->type);
    if (!clo_cli_data_dir(dir, a->data, &err)) return clo_cli_fail(&err, NULL);
    o.files.data_dir = dir;
    bool ok = clo_db_open(&o.files.db, dir, &err) && clo_import_repo(&r, &o, &err);
    clo_db_close(o.files.db);
    if (!ok) return clo_cli_fail(&err, err.code == CLO_ERR_DAMAGED ? "'cloche fsck' says what is damaged in the data folder" : NULL);
    if (a->json) return clo_cli_print_json(result_json(&r));
    print_result(&r);
    return CLO_EXIT_OK;
}
