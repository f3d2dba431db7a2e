/* cloche list: the models in the data folder. */
#include <stdio.h>

#include "cli/cli.h"
#include "infer/library.h"

int clo_cmd_list(int argc, char **argv)
{
    const char *data = NULL;
    bool json = false;
    const clo_opt opts[] = {
        {"data", NULL, CLO_OPT_STR, &data, "DIR", "data folder (default: $CLOCHE_DATA)"},
        {"json", NULL, CLO_OPT_FLAG, &json, NULL, "print a JSON array"},
    };
    const clo_cli_spec spec = {"list", "Lists the models in the data folder.", "  cloche list\n  cloche list --json\n",
                               opts, CLO_COUNT(opts), 0, 0};
    clo_cli_args args;
    clo_err err = {0};
    char dir[4096], size[24];
    json_t *list = NULL, *m;
    size_t i;
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (!clo_cli_data_dir(dir, data, &err) || !clo_library_list(&list, dir, &err)) return clo_cli_fail(&err, NULL);
    if (json) return clo_cli_print_json(list);
    if (json_array_size(list) == 0) fprintf(stderr, "no models in '%s': 'cloche import PATH' takes one in\n", dir);
    json_array_foreach (list, i, m) {
        clo_str name = clo_json_str(m, "name", CLO_STR("?")), fault = clo_json_str(m, "fault", CLO_STR(""));
        if (fault.len > 0) printf("%-40.*s  damaged: " CLO_STR_FMT "\n", (int)name.len, name.ptr, CLO_STR_ARG(fault));
        else
            printf("%-40.*s  %-11s  %10s  %.12s\n", (int)name.len, name.ptr,
                   clo_json_str(m, "format", CLO_STR("?")).ptr,
                   clo_cli_bytes(size, (uint64_t)clo_json_int(m, "bytes", 0)),
                   clo_json_str(m, "digest", CLO_STR("?")).ptr);
    }
    json_decref(list);
    return CLO_EXIT_OK;
}
