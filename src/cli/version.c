/* cloche version: which program this is. */
#include <stdio.h>

#include "cli/cli.h"

#if defined(__x86_64__)
#define MACHINE "x86_64"
#elif defined(__aarch64__)
#define MACHINE "aarch64"
#else
#define MACHINE "other"
#endif

int clo_cmd_version(int argc, char **argv)
{
    bool json = false;
    const clo_opt opts[] = {
        {"json", NULL, CLO_OPT_FLAG, &json, NULL, "print one JSON object"},
    };
    const clo_cli_spec spec = {"version", "Shows the version, the numeric profile and the compiler of this program.",
                               "  cloche version\n  cloche version --json\n", opts, CLO_COUNT(opts), 0, 0};
    clo_cli_args args;
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (json)
        return clo_cli_print_json(json_pack("{s:s, s:s, s:s, s:s}", "version", CLO_VERSION, "profile", "n1", "machine",
                                            MACHINE, "compiler", __VERSION__));
    printf("cloche %s (profile n1, %s, compiler %s)\n", CLO_VERSION, MACHINE, __VERSION__);
    return CLO_EXIT_OK;
}
