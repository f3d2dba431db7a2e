/* cloche stop: has a running server close a model. */
#include <stdio.h>

#include "cli/asking.h"

int clo_cmd_stop(int argc, char **argv)
{
    clo_asking a = {0};
    bool json = false;
    const clo_opt opts[] = {
        CLO_ASKING_OPTS(a),
        {"json", NULL, CLO_OPT_FLAG, &json, NULL, "print one JSON object"},
    };
    const clo_cli_spec spec = {
        "stop MODEL",
        "Has a running server close a model, once its answers that run have ended, and so free its memory. The next\n"
        "request for it opens it again. To stop the server itself, send it SIGTERM.",
        "  cloche stop smollm2\n  cloche stop smollm2 --server 127.0.0.1:8080\n",
        opts,
        CLO_COUNT(opts),
        1,
        1};
    clo_cli_args args;
    clo_err err = {0};
    json_t *reply = NULL;
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    json_t *body = json_pack("{s:s, s:s, s:i, s:b}", "model", args.args[0], "prompt", "", "keep_alive", 0, "stream", 0);
    if (!body) return clo_cli_fail_usage("the name of a model in UTF-8 is expected");
    bool ok = clo_cli_ask(&reply, &a, "POST", "/api/generate", body, &err);
    json_decref(body);
    json_decref(reply);
    if (!ok) return clo_cli_ask_fail(&err);
    if (json) return clo_cli_print_json(json_pack("{s:s}", "stopped", args.args[0]));
    printf("stopped %s\n", args.args[0]);
    return CLO_EXIT_OK;
}
