/* See airgap.h. */
#include "cli/airgap.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "cli/cli.h"
#include "serve/airgap.h"
#include "serve/seal.h"

static json_t *attempts_json(const clo_attempt *tries, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:s, s:b, s:s?}", "what", tries[i].what, "got_out", tries[i].got_out,
                                              "refusal", tries[i].got_out ? NULL : strerror(tries[i].sys)));
    return list;
}

static void print_attempts(const clo_attempt *tries, size_t n)
{
    for (size_t i = 0; i < n; i++)
        printf("  %-8s %s%s%s\n", tries[i].got_out ? "possible" : "refused", tries[i].what, tries[i].got_out ? "" : ": ",
               tries[i].got_out ? "" : strerror(tries[i].sys));
}

static void print_sockets(const json_t *sockets)
{
    const json_t *s;
    size_t i;
    printf("sockets of this machine (network namespace)\n");
    if (json_array_size(sockets) == 0) printf("  none\n");
    json_array_foreach (sockets, i, s)
        printf("  %-5s %-12s %s -> %s\n", json_string_value(json_object_get(s, "protocol")),
               json_string_value(json_object_get(s, "state")), json_string_value(json_object_get(s, "local")),
               json_string_value(json_object_get(s, "remote")));
}

static void print_verdict(size_t n_out, bool sealed)
{
    if (n_out == 0) {
        printf("proven: a sealed process cannot get out of this machine or write outside its data folder\n");
        return;
    }
    printf("not proven: %zu ways are open to %s\n", n_out, sealed ? "a sealed process" : "this process, which is not sealed");
    if (!sealed) fprintf(stderr, "  'cloche doctor --airgap --sealed' tries it as 'cloche serve --sealed' runs\n");
}

int clo_doctor_airgap(const char *data, bool sealed, bool json)
{
    clo_attempt tries[CLO_ATTEMPTS_MAX];
    clo_seal_state state = {0};
    clo_err err = {0};
    char dir[4096];
    json_t *sockets = NULL;
    size_t n_out = 0;
    if (!clo_cli_data_dir(dir, data, &err)) return clo_cli_fail(&err, NULL);
    const char *folder = clo_path_is_dir(dir) ? dir : NULL;
    if (sealed && !clo_seal(&state, &(clo_seal_opts){.data_dir = folder, .notify_fd = -1}, &err))
        return clo_cli_fail(&err, NULL);
    size_t n = clo_airgap_try(tries, folder);
    for (size_t i = 0; i < n; i++) n_out += tries[i].got_out;
    if (!clo_airgap_sockets(&sockets, &err)) return clo_cli_fail(&err, NULL);
    int rc = n_out == 0 ? CLO_EXIT_OK : CLO_EXIT_NOT_SO;
    if (json) {
        int printed = clo_cli_print_json(json_pack("{s:b, s:b, s:i, s:o, s:o}", "proven", n_out == 0, "sealed", sealed,
                                                   "landlock_abi", state.landlock_abi, "attempts",
                                                   attempts_json(tries, n), "sockets", sockets));
        return printed == CLO_EXIT_OK ? rc : printed;
    }
    printf("attempts of this process (%s)\n", sealed ? "sealed" : "not sealed");
    print_attempts(tries, n);
    if (sealed && state.landlock_abi == 0) printf("this kernel has no Landlock: files are not sealed\n");
    print_sockets(sockets);
    json_decref(sockets);
    print_verdict(n_out, sealed);
    return rc;
}
