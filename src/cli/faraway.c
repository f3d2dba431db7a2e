/* See faraway.h. */
#include "cli/faraway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "cli/books.h"

#define HOME_HUB "https://huggingface.co"

static bool is_set(const char *name)
{
    static const char *const yes[] = {"1", "on", "yes", "true"};
    const char *v = getenv(name);
    for (size_t i = 0; v && i < CLO_COUNT(yes); i++)
        if (strcasecmp(v, yes[i]) == 0) return true;
    return false;
}

/* Where huggingface_hub keeps it. */
static bool token_path(char out[4096])
{
    static const struct {
        const char *variable, *rest;
    } rows[] = {{"HF_TOKEN_PATH", ""}, {"HF_HOME", "/token"}, {"XDG_CACHE_HOME", "/huggingface/token"}, {"HOME", "/.cache/huggingface/token"}};
    for (size_t i = 0; i < CLO_COUNT(rows); i++) {
        const char *v = getenv(rows[i].variable);
        if (v && *v) return clo_path_join(out, NULL, "%s%s", v, rows[i].rest);
    }
    return false;
}

static void read_kept(clo_faraway *f)
{
    char path[4096];
    clo_str text = {0};
    clo_arena arena = clo_arena_make(4 * sizeof f->kept);
    if (token_path(path) && clo_file_read(&text, path, sizeof f->kept - 1, &arena, NULL)) {
        while (text.len && strchr(" \t\r\n", text.ptr[text.len - 1])) text.len--;
        snprintf(f->kept, sizeof f->kept, "%.*s", (int)text.len, text.ptr);
        if (f->kept[0]) f->remote.token = f->kept;
    }
    clo_arena_free(&arena);
}

bool clo_faraway_settle(clo_faraway *f, clo_err *err)
{
    clo_remote_opts *r = &f->remote;
    const char *home = getenv("HF_ENDPOINT"), *token = getenv("HF_TOKEN");
    static const char *const offline[] = {"CLOCHE_OFFLINE", "HF_HUB_OFFLINE"};
    if (f->type && !clo_repo_type_parse(&r->type, clo_str_from(f->type)))
        return clo_fail(err, CLO_ERR_USAGE, "'%s' is not model, dataset or space", f->type);
    if (f->n_jobs > CLO_JOBS_MAX) return clo_fail(err, CLO_ERR_USAGE, "--jobs: at most %d", CLO_JOBS_MAX);
    if (!clo_cli_data_dir(f->data_dir, f->data, err)) return false;
    for (size_t i = 0; i < CLO_COUNT(offline); i++)
        if (is_set(offline[i])) return clo_fail(err, CLO_ERR_DENIED, "%s is set: no other hub is spoken to", offline[i]);
    if (!home || !*home) home = HOME_HUB;
    if (!r->endpoint) r->endpoint = home;
    if (!r->token && token && *token) r->token = token;
    if (!r->token && (strcmp(r->endpoint, home) == 0 || strcmp(r->endpoint, HOME_HUB) == 0)) read_kept(f);
    return true;
}

int clo_faraway_fail(const clo_faraway *f, const clo_err *err)
{
    const char *next = NULL;
    if (err->code == CLO_ERR_DENIED && strstr(err->text, "answers 40"))
        next = f->remote.token ? "the token may not do that there" : "a token may be needed: --token, or $HF_TOKEN";
    if (err->code == CLO_ERR_NOT_FOUND && strstr(err->text, "answers 404")) next = "see the id and --type; a private repository needs a token";
    if (strstr(err->text, "another way there")) next = "'cloche pull' shows what is there; --force replaces it";
    if (strstr(err->text, "another way here")) next = "--force takes what is there; what was here is then behind no branch any more";
    if (err->code == CLO_ERR_DAMAGED) next = "'cloche fsck' says what is damaged in the data folder";
    if (err->code == CLO_ERR_IO && err->sys == 0) next = "the same command goes on from what has come";
    return clo_cli_fail(err, next);
}

bool clo_cli_note_account(void *data_dir, clo_db *db, const char *event, const char *whom, clo_err *err)
{
    clo_cli_books b = {.db = db};
    bool ok = clo_audit_open(&b.audit, data_dir, 0, err) && clo_cli_books_note(&b, event, whom, "for what came from elsewhere", err);
    clo_audit_close(b.audit);
    return ok;
}
