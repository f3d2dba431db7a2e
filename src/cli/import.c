/* cloche import: takes a model into the data folder, or with --repo a repository of the hub. Success means that its bytes are on
 * disk and were read back. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/import.h"
#include "infer/library.h"

int clo_cmd_import(int argc, char **argv)
{
    const char *name = NULL, *sha256 = NULL, *data = NULL;
    bool json = false;
#ifndef CLO_NO_SERVE
    clo_import_repo_args repo = {0};
#endif
    const clo_opt opts[] = {
        {"name", NULL, CLO_OPT_STR, &name, "NAME", "name or org/name (default: the file's or folder's)"},
        {"sha256", NULL, CLO_OPT_STR, &sha256, "HEX", "refuse a file with another digest"},
#ifndef CLO_NO_SERVE
        {"repo", NULL, CLO_OPT_STR, &repo.repo, "NS/NAME", "make or extend this repository of the hub, no model of the library"},
        {"type", NULL, CLO_OPT_STR, &repo.type, "T", "--repo: model, dataset or space (default: model)"},
        {"message", "m", CLO_OPT_STR, &repo.message, "TEXT", "--repo: of the commit of a folder or file"},
        {"private", NULL, CLO_OPT_FLAG, &repo.is_private, NULL, "--repo: a new one may be read by its namespace only"},
        {"force", NULL, CLO_OPT_FLAG, &repo.force, NULL, "--repo: also over branches that went another way than a clone's"},
#endif
        {"data", NULL, CLO_OPT_STR, &data, "DIR", "data folder (default: $CLOCHE_DATA)"},
        {"json", NULL, CLO_OPT_FLAG, &json, NULL, "print one JSON object"},
    };
    const clo_cli_spec spec = {
        "import PATH",
        "Copies a GGUF file (with all parts of a split one) or a Hugging Face folder into the data folder, checked by\n"
        "SHA-256 as it reads back from the disk. The same model under the same name again changes nothing."
#ifndef CLO_NO_SERVE
        "\n\nWith --repo, PATH becomes a repository of the hub: a folder or a file (a GGUF, say) one commit on main; a clone of git\n"
        "its history, branches, tags and what lies in its lfs/objects; a repository in a Hugging Face cache (models--org--name) a\n"
        "commit for each snapshot."
#endif
        ,
        "  cloche import /media/usb/SmolLM2-135M-Q8_0.gguf --name smollm2\n"
        "  cloche import ./Qwen2.5-0.5B-Instruct --name Qwen/Qwen2.5-0.5B-Instruct\n"
#ifndef CLO_NO_SERVE
        "  cloche import ~/src/tiny --repo lab/tiny\n"
        "  cloche import ~/.cache/huggingface/hub/datasets--lab--corpus --repo lab/corpus --type dataset\n"
#endif
        ,
        opts, CLO_COUNT(opts), 1, 1};
    clo_cli_args args;
    clo_err err = {0};
    char dir[4096], given[CLO_MODEL_NAME_MAX];
    json_t *m = NULL;
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
#ifndef CLO_NO_SERVE
    if (repo.repo && (name || sha256)) return clo_cli_fail_usage("--name and --sha256 are for models of the library, --repo for the hub");
    if (!repo.repo && (repo.type || repo.message || repo.is_private || repo.force))
        return clo_cli_fail_usage("--type, --message, --private and --force go with --repo");
    repo.source = args.args[0];
    repo.data = data;
    repo.json = json;
    if (repo.repo) return clo_cli_import_repo(&repo);
#endif
    const clo_import_opts o = {.name = name, .sha256 = sha256, .progress = clo_cli_progress};
    if (!clo_cli_data_dir(dir, data, &err) || !clo_library_import(given, dir, args.args[0], o, &err) ||
        !clo_library_show(&m, dir, given, &err))
        return clo_cli_fail(&err, NULL);
    if (json) return clo_cli_print_json(m);
    char size[24];
    size_t n_files = json_array_size(json_object_get(m, "files"));
    printf("%s: %s in %zu file%s, digest %.16s...\n", given, clo_cli_bytes(size, (uint64_t)clo_json_int(m, "bytes", 0)),
           n_files, n_files == 1 ? "" : "s", clo_json_str(m, "digest", CLO_STR("")).ptr);
    json_decref(m);
    return CLO_EXIT_OK;
}
