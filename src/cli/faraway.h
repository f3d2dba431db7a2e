/* What the commands that speak to another hub share: which one, with which token, and whether they may.
 *
 *   clo_faraway f = {0};
 *   const clo_opt opts[] = { ..., CLO_FARAWAY_OPTS(f) };
 *   if (!clo_faraway_settle(&f, &err)) ...
 *
 * The hub is what --from or --to says, else $HF_ENDPOINT, else https://huggingface.co. The token is --token, else $HF_TOKEN, else the
 * one that huggingface_hub keeps, which goes to $HF_ENDPOINT or huggingface.co alone. */
#ifndef CLO_CLI_FARAWAY_H
#define CLO_CLI_FARAWAY_H

#include "cli/cli.h"
#include "store/db.h"

typedef struct {
    const char *endpoint; /* as given, then settled */
    const char *token;    /* likewise; NULL: none */
    char kept[1024];      /* the token that was read from a file */
} clo_faraway;

/* CLO_ERR_DENIED when CLOCHE_OFFLINE or HF_HUB_OFFLINE is set. */
CLO_CHECK bool clo_faraway_settle(clo_faraway *f, clo_err *err);
/* The exit code of what went wrong there, told with what to do about it. */
int clo_faraway_fail(const clo_faraway *f, const clo_err *err);

/* A clo_home_note_fn: a line of the audit log of the data folder, which ctx names, for an account that was made. */
bool clo_cli_note_account(void *data_dir, clo_db *db, const char *event, const char *whom, clo_err *err);

#endif
