/* cloche ps: the models that a running server has open. */
#include <stdio.h>

#include "base/json.h"
#include "cli/asking.h"

/* "2026-11-28T09:15:00.000000+00:00" as "2026-11-28 09:15"; a date in another century stands for never. */
static void print_until(clo_str at)
{
    if (at.len > 4 && clo_str_cmp((clo_str){at.ptr, 4}, CLO_STR("2100")) > 0)
        printf("  %-16s\n", "always");
    else
        printf("  %.10s %.5s\n", at.len >= 16 ? at.ptr : "?", at.len >= 16 ? at.ptr + 11 : "");
}

static void print_model(const json_t *m)
{
    char size[24];
    clo_str name = clo_json_str(m, "name", CLO_STR("?")), digest = clo_json_str(m, "digest", CLO_STR("?"));
    clo_str until = clo_json_str(m, "expires_at", CLO_STR(""));
    clo_cli_print_escaped(name, false);
    printf("%*s  %.12s  %10s  %8lld", (int)(name.len < 40 ? 40 - name.len : 0), "", digest.ptr,
           clo_cli_bytes(size, (uint64_t)clo_json_int(m, "size", 0)), (long long)clo_json_int(m, "context_length", 0));
    print_until(until);
}

int clo_cmd_ps(int argc, char **argv)
{
    clo_asking a = {0};
    bool json = false;
    const clo_opt opts[] = {
        CLO_ASKING_OPTS(a),
        {"json", NULL, CLO_OPT_FLAG, &json, NULL, "print a JSON array, as /api/ps has it"},
    };
    const clo_cli_spec spec = {
        "ps",
        "Lists the models that a running server has open: name, digest, memory, context, and until when (UTC) they\n"
        "stay when nobody asks.",
        "  cloche ps\n  cloche ps --server unix:/run/cloche/cloche.sock --json\n",
        opts,
        CLO_COUNT(opts),
        0,
        0};
    clo_cli_args args;
    clo_err err = {0};
    json_t *reply = NULL, *m;
    size_t i;
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (!clo_cli_ask(&reply, &a, "GET", "/api/ps", NULL, &err)) return clo_cli_ask_fail(&err);
    json_t *models = json_incref(json_object_get(reply, "models"));
    json_decref(reply);
    if (json) return clo_cli_print_json(models ? models : json_array());
    if (json_array_size(models) == 0) fprintf(stderr, "no model is open\n");
    json_array_foreach(models, i, m) print_model(m);
    json_decref(models);
    return CLO_EXIT_OK;
}
