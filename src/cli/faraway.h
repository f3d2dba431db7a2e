/* What the commands that speak to another hub share: which one, with which token, and whether they may.
 *
 *   clo_faraway f = {0};
 *   const clo_opt opts[] = {CLO_FARAWAY_OPTS(f, "from"), ...};
 *   if (!clo_faraway_settle(&f, &err)) ...      // f.remote (but its id), f.data_dir and f.n_jobs are what to use
 *
 * The hub is what --from or --to says, else $HF_ENDPOINT, else https://huggingface.co. The token is --token, else $HF_TOKEN, else the
 * one that huggingface_hub keeps, which goes to $HF_ENDPOINT or huggingface.co alone. */
#ifndef CLO_CLI_FARAWAY_H
#define CLO_CLI_FARAWAY_H

#include "cli/cli.h"
#include "hub/remote.h"

typedef struct {
    clo_remote_opts remote;
    size_t n_jobs;
    char data_dir[4096];
    const char *type, *data; /* as given */
    char kept[1024];         /* the token that was read from a file */
} clo_faraway;

#define CLO_FARAWAY_OPTS(f, where)                                                                                            \
    {"type", NULL, CLO_OPT_STR, &(f).type, "T", "model, dataset or space (default: model)"},                                  \
        {where, NULL, CLO_OPT_STR, &(f).remote.endpoint, "URL", "the hub (default: $HF_ENDPOINT, else https://huggingface.co)"}, \
        {"token", NULL, CLO_OPT_STR, &(f).remote.token, "T",                                                                  \
         "its token (default: $HF_TOKEN, or the one that huggingface_hub keeps)"},                                            \
        {"jobs", "j", CLO_OPT_SIZE, &(f).n_jobs, "N", "large files at once (default: 4)"},                                    \
        {"data", NULL, CLO_OPT_STR, &(f).data, "DIR", "data folder (default: $CLOCHE_DATA)"}

/* CLO_ERR_USAGE for a type or a number of jobs that is none; CLO_ERR_DENIED when CLOCHE_OFFLINE or HF_HUB_OFFLINE is set. */
CLO_CHECK bool clo_faraway_settle(clo_faraway *f, clo_err *err);
/* The exit code of what went wrong there, told with what to do about it. */
int clo_faraway_fail(const clo_faraway *f, const clo_err *err);

/* A clo_home_note_fn: a line of the audit log of the data folder, which ctx names, for an account that was made. */
bool clo_cli_note_account(void *data_dir, clo_db *db, const char *event, const char *whom, clo_err *err);

#endif
