/* cloche import: takes a model into the data folder. Success means that its bytes are on disk and were read back. */
#include <stdio.h>

#include "cli/cli.h"
#include "infer/library.h"

int clo_cmd_import(int argc, char **argv)
{
    const char *name = NULL, *sha256 = NULL, *data = NULL;
    bool json = false;
    const clo_opt opts[] = {
        {"name", NULL, CLO_OPT_STR, &name, "NAME", "name or org/name (default: the file's or folder's)"},
        {"sha256", NULL, CLO_OPT_STR, &sha256, "HEX", "refuse a file with another digest"},
        {"data", NULL, CLO_OPT_STR, &data, "DIR", "data folder (default: $CLOCHE_DATA)"},
        {"json", NULL, CLO_OPT_FLAG, &json, NULL, "print one JSON object"},
    };
    const clo_cli_spec spec = {
        "import PATH",
        "Copies a GGUF file (with all parts of a split one) or a Hugging Face folder into the data folder, checked by\n"
        "SHA-256 as it reads back from the disk. The same model under the same name again changes nothing.",
        "  cloche import /media/usb/SmolLM2-135M-Q8_0.gguf --name smollm2\n"
        "  cloche import ./Qwen2.5-0.5B-Instruct --name Qwen/Qwen2.5-0.5B-Instruct\n",
        opts, CLO_COUNT(opts), 1, 1};
    clo_cli_args args;
    clo_err err = {0};
    char dir[4096], given[CLO_MODEL_NAME_MAX];
    json_t *m = NULL;
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
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
