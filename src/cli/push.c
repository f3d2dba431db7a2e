/* cloche push: sends a repository of the data folder to another hub. */
#include <stdio.h>
#include <time.h>

#include "cli/faraway.h"
#include "hub/remote_push.h"

static json_t *result_json(const clo_send_result *r, const clo_send_opts *o)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I}", "id", o->id, "as", o->remote.id, "type",
                     clo_repo_type_name(o->remote.type), "to", o->remote.endpoint, "created", r->created, "refs", (json_int_t)r->n_refs,
                     "behind", (json_int_t)r->n_refs_behind, "objects", (json_int_t)r->n_objects, "files", (json_int_t)r->n_files, "bytes",
                     (json_int_t)r->bytes);
}

static void print_result(const clo_send_result *r, const clo_send_opts *o)
{
    char size[24];
    if (r->n_refs == 0) printf("%s has all of %s already\n", o->remote.endpoint, o->remote.id);
    else
        printf("%s%s %s: %zu branches and tags, %zu objects, %zu large files (%s)\n", r->created ? "created " : "",
               clo_repo_type_name(o->remote.type), o->remote.id, r->n_refs, r->n_objects, r->n_files, clo_cli_bytes(size, r->bytes));
    if (r->n_refs_behind) fprintf(stderr, "%zu branches have more there than here: 'cloche pull' brings it\n", r->n_refs_behind);
}

int clo_cmd_push(int argc, char **argv)
{
    clo_faraway f = {0};
    bool json = false;
    clo_send_opts o = {.now_s = (int64_t)time(NULL), .progress = clo_cli_progress};
    const clo_opt opts[] = {
        CLO_FARAWAY_OPTS(f, "to"),
        {"as", NULL, CLO_OPT_STR, &f.remote.id, "NS/NAME", "its id there (default: as here)"},
        {"create", NULL, CLO_OPT_FLAG, &o.create, NULL, "make the repository there when it is not; private if it is private here"},
        {"force", NULL, CLO_OPT_FLAG, &o.force, NULL, "also over branches and tags that went another way there"},
        {"json", NULL, CLO_OPT_FLAG, &json, NULL, "print one JSON object"},
    };
    const clo_cli_spec spec = {
        "push ORG/NAME",
        "Sends a repository of the data folder to huggingface.co or another hub: its branches, tags and commits, and the\n"
        "large files that the hub lacks. A branch that went another way there is refused; branches that are only there stay.",
        "  cloche push lab/tiny --to http://10.0.0.7:11434 --token hf_... --create\n"
        "  cloche push lab/corpus --type dataset --as anna/corpus --json\n",
        opts, CLO_COUNT(opts), 1, 1};
    clo_cli_args args;
    clo_err err = {0};
    clo_send_result r;
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (!clo_faraway_settle(&f, &err)) return clo_cli_fail(&err, NULL);
    o.data_dir = f.data_dir;
    o.n_jobs = f.n_jobs;
    o.id = args.args[0];
    o.remote = f.remote;
    if (!o.remote.id) o.remote.id = o.id;
    if (!clo_remote_send(&r, &o, &err)) return clo_faraway_fail(&f, &err);
    if (json) return clo_cli_print_json(result_json(&r, &o));
    print_result(&r, &o);
    return CLO_EXIT_OK;
}
