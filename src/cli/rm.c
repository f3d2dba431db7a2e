/* cloche rm: removes a model from the data folder. */
#include <stdio.h>

#include "cli/cli.h"
#include "infer/library.h"
#include "model/model.h"

int clo_cmd_rm(int argc, char **argv)
{
    const char *data = NULL;
    bool json = false;
    const clo_opt opts[] = {
        {"data", NULL, CLO_OPT_STR, &data, "DIR", "data folder (default: $CLOCHE_DATA)"},
        {"json", NULL, CLO_OPT_FLAG, &json, NULL, "print one JSON object"},
    };
    const clo_cli_spec spec = {"rm NAME",
                               "Removes a model from the data folder, with those of its files that no other model has.",
                               "  cloche rm smollm2\n", opts, CLO_COUNT(opts), 1, 1};
    clo_cli_args args;
    clo_err err = {0};
    char dir[4096], path[4096], size[24];
    uint64_t freed = 0;
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (!clo_cli_data_dir(dir, data, &err)) return clo_cli_fail(&err, NULL);
    if (clo_library_path(path, dir, args.args[0], NULL)) clo_model_forget(path, dir);
    if (!clo_library_remove(dir, args.args[0], &freed, &err)) return clo_cli_fail(&err, NULL);
    if (json)
        return clo_cli_print_json(json_pack("{s:s, s:I}", "removed", args.args[0], "freed_bytes", (json_int_t)freed));
    printf("removed %s, %s freed\n", args.args[0], clo_cli_bytes(size, freed));
    return CLO_EXIT_OK;
}
