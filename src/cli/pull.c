/* cloche pull: brings a repository from another hub into the data folder. */
#include <stdio.h>
#include <time.h>

#include "cli/faraway.h"
#include "hub/remote_pull.h"

static json_t *result_json(const clo_pull_result *r, const char *endpoint)
{
    char main[CLO_OID_HEX];
    clo_oid_hex(main, &r->main);
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I}", "id", r->repo.full, "type", clo_repo_type_name(r->repo.type),
                     "from", endpoint, "main", main, "new", r->is_new, "refs", (json_int_t)r->n_refs_changed, "ahead",
                     (json_int_t)r->n_refs_ahead, "objects", (json_int_t)r->n_objects, "files", (json_int_t)r->n_files_brought, "bytes",
                     (json_int_t)r->bytes_brought, "absent", (json_int_t)r->n_absent);
}

static void print_result(const clo_pull_result *r)
{
    char size[24], main[CLO_OID_HEX];
    clo_oid_hex(main, &r->main);
    printf("%s %s is at %.12s: ", clo_repo_type_name(r->repo.type), r->repo.full, main);
    if (!r->is_new && r->n_refs_changed == 0 && r->n_files_brought == 0) printf("nothing is new\n");
    else
        printf("%zu branch%s and tags, %zu objects, %zu large file%s (%s)\n", r->n_refs_changed, r->n_refs_changed == 1 ? "" : "es",
               r->n_objects, r->n_files_brought, r->n_files_brought == 1 ? "" : "s", clo_cli_bytes(size, r->bytes_brought));
    if (r->n_refs_ahead) fprintf(stderr, "%zu branches have more here than there\n", r->n_refs_ahead);
    if (r->n_absent) fprintf(stderr, "%zu large files were left there: of older commits (--history), or left out\n", r->n_absent);
}

int clo_cmd_pull(int argc, char **argv)
{
    clo_faraway f = {0};
    clo_opt_list include = {0}, exclude = {0};
    bool json = false;
    clo_pull_opts o = {.now_s = (int64_t)time(NULL), .progress = clo_cli_progress};
    const clo_opt opts[] = {
        CLO_FARAWAY_OPTS(f, "from"),
        {"revision", NULL, CLO_OPT_STR, &o.revision, "R", "a branch, a tag or a commit's id (default: all branches and tags)"},
        {"include", NULL, CLO_OPT_LIST, &include, "GLOB", "bring only large files of these paths (may be repeated)"},
        {"exclude", NULL, CLO_OPT_LIST, &exclude, "GLOB", "leave large files of these paths (may be repeated)"},
        {"history", NULL, CLO_OPT_FLAG, &o.pick.history, NULL, "also large files that only older commits name"},
        {"force", NULL, CLO_OPT_FLAG, &o.force, NULL, "also over branches and tags that went another way here"},
        {"public", NULL, CLO_OPT_FLAG, &o.make_public, NULL, "a new repository is public here though it is private there"},
        {"json", NULL, CLO_OPT_FLAG, &json, NULL, "print one JSON object"},
    };
    const clo_cli_spec spec = {
        "pull ORG/NAME",
        "Brings a repository from huggingface.co or another hub, with its commits, branches and tags, and checks every\n"
        "byte by its digest. Again, it brings what is new; killed, it goes on where it was. A namespace that is nobody's here\n"
        "becomes an organisation without members. Only the hub that is named is spoken to, and hosts that it sends on to\n"
        "for large files, which never get the token; proxies are those of the environment, as curl has them.",
        "  cloche pull HuggingFaceTB/SmolLM2-135M-Instruct\n"
        "  cloche pull lab/corpus --type dataset --from http://10.0.0.7:11434 --token hf_...\n"
        "  cloche pull org/model --revision v1.0 --exclude '*.onnx' --json\n",
        opts, CLO_COUNT(opts), 1, 1};
    clo_cli_args args;
    clo_err err = {0};
    clo_pull_result r;
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (!clo_faraway_settle(&f, &err)) return clo_cli_fail(&err, NULL);
    o.data_dir = o.note_ctx = f.data_dir;
    o.note = clo_cli_note_account;
    o.n_jobs = f.n_jobs;
    o.remote = f.remote;
    o.pick.include = include.items;
    o.pick.n_include = include.n;
    o.pick.exclude = exclude.items;
    o.pick.n_exclude = exclude.n;
    o.remote.id = args.args[0];
    if (!clo_remote_pull(&r, &o, &err)) return clo_faraway_fail(&f, &err);
    if (json) return clo_cli_print_json(result_json(&r, f.remote.endpoint));
    print_result(&r);
    return CLO_EXIT_OK;
}
