/* What every command shares: options, errors with a next step, exit codes, JSON, progress, the data folder.
 *
 * A command describes its options in a table; the same table parses them and prints --help, so neither can lie.
 *
 *   int clo_cmd_show(int argc, char **argv)                  // argv[0] is "show"
 *   {
 *       bool json = false;
 *       const clo_opt opts[] = {
 *           { "json", NULL, CLO_OPT_FLAG, &json, NULL, "print one JSON object" },
 *       };
 *       const clo_cli_spec spec = { "show MODEL", "Shows what a model is.", "  cloche show SmolLM2.gguf\n",
 *                                   opts, CLO_COUNT(opts), 1, 1 };
 *       clo_cli_args args;
 *       int rc = 0;
 *       if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
 *       clo_err err = {0};
 *       if (!work(args.args[0], &err)) return clo_cli_fail(&err, NULL);
 *       return CLO_EXIT_OK;
 *   }
 *
 * `exit` is called nowhere but in main. Results go to stdout, everything else to stderr.
 */
#ifndef CLO_CLI_CLI_H
#define CLO_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/slice.h"

#ifndef CLO_VERSION
#define CLO_VERSION "0" /* the build defines it */
#endif

#define CLO_COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef enum {
    CLO_EXIT_OK = 0,        /* done, or true */
    CLO_EXIT_FAILED = 1,
    CLO_EXIT_USAGE = 2,
    CLO_EXIT_NOT_SO = 3,    /* checked, and not so */
    CLO_EXIT_NOT_FOUND = 4,
    CLO_EXIT_DENIED = 5,    /* refused by policy */
    CLO_EXIT_BUSY = 6,
    CLO_EXIT_DAMAGED = 7,   /* stored data is damaged */
} clo_exit;

typedef enum {
    CLO_OPT_FLAG, /* bool *: set to true, takes no value */
    CLO_OPT_OFF,  /* bool *: set to false, takes no value */
    CLO_OPT_STR,  /* const char ** */
    CLO_OPT_SIZE, /* size_t *: decimal, not negative */
    CLO_OPT_U64,  /* uint64_t *: decimal */
    CLO_OPT_I64,  /* int64_t *: decimal */
    CLO_OPT_F64,  /* double *: a finite decimal number */
    CLO_OPT_LIST, /* clo_opt_list *: may be given several times */
} clo_opt_kind;

#define CLO_OPT_LIST_MAX 64
typedef struct {
    const char *items[CLO_OPT_LIST_MAX]; /* borrowed from argv */
    size_t n;
} clo_opt_list;

typedef struct {
    const char *name;  /* long name without dashes: "max-tokens" */
    const char *alias; /* "n" for -n, a second long name, or NULL */
    clo_opt_kind kind;
    void *out;         /* left alone when the option is not given */
    const char *value; /* what --help calls the value: "N"; NULL for flags */
    const char *help;  /* one line */
} clo_opt;

typedef struct {
    const char *usage;    /* "run MODEL [PROMPT]" */
    const char *about;    /* sentences */
    const char *examples; /* lines that begin with two spaces and end in a newline */
    const clo_opt *opts;
    size_t n_opts;
    size_t n_args_min, n_args_max;
} clo_cli_spec;

typedef struct {
    char **args; /* [n_args] what is not an option, borrowed from argv (which is reordered) */
    size_t n_args;
} clo_cli_args;

/* Parses argv[1..argc). --name VALUE, --name=VALUE, -n VALUE; "--" ends the options; "-" is an argument. --help and -h
 * are known to every command. False: *rc is what the command returns at once (help was shown: 0; a fault was told: 2). */
CLO_CHECK bool clo_cli_parse(clo_cli_args *out, const clo_cli_spec *spec, int argc, char **argv, int *rc);

/* Prints "cloche: <text>" to stderr, then "  <next>": what to do about it (NULL: a default for the code, if there is
 * one), and returns the exit code. Control characters of the text are escaped. CLO_OK: output failed, nothing to add. */
int clo_cli_fail(const clo_err *err, const char *next);
/* The same for a fault that is found here. */
int clo_cli_fail_usage(const char *fmt, ...) CLO_PRINTF(1, 2);
clo_exit clo_cli_exit_code(const clo_err *err);

/* NAME=JSON, as --set has it, put into an object. What is not JSON is refused: a text needs its quotes. */
CLO_CHECK bool clo_cli_set_var(json_t *vars, const char *pair, clo_err *err);

/* Prints a JSON value and a newline to stdout and drops the reference; a NULL value is out of memory, and told. */
int clo_cli_print_json(json_t *stolen);

/* Text for a terminal: control characters other than newline and tab are shown as \xNN. */
void clo_cli_print_escaped(clo_str s, bool to_stderr);

/* Progress on stderr when it is a terminal, else silent. Has the shape of clo_progress_fn; ctx is not used. */
void clo_cli_progress(void *ctx, const char *what, uint64_t done, uint64_t total);

/* "1.5 GiB": bytes for people. */
const char *clo_cli_bytes(char out[24], uint64_t n_bytes);

/* Seconds since some fixed moment, monotonic. */
double clo_cli_now(void);

/* The data folder: `given` (from --data), else as clo_data_dir says. */
CLO_CHECK bool clo_cli_data_dir(char out[4096], const char *given, clo_err *err);

/* What MODEL is, in this order: a GGUF file or a Hugging Face folder; a name of the library (infer/library.h); what a repository of
 * the hub holds (serve/held.h), whose files are made to lie at `path`, which may take a while. */
typedef enum { CLO_MODEL_AT_PATH, CLO_MODEL_IN_LIBRARY, CLO_MODEL_IN_HUB } clo_cli_place;
typedef struct {
    clo_cli_place place;
    char path[4096];
    char repo[200], commit[41]; /* IN_HUB: its id now, and which of its commits */
} clo_cli_model;

/* data: as given by --data, or NULL. CLO_ERR_NOT_FOUND names what was tried and what would bring it. */
CLO_CHECK bool clo_cli_find_model(clo_cli_model *out, const char *model, const char *data, clo_err *err);
/* Where it lies alone. */
CLO_CHECK bool clo_cli_model_path(char out[4096], const char *model, const char *data, clo_err *err);

/* The path of a model that is here, by the digest that receipts have: of the library, or one of the hub's whose files lie there since it
 * was used. CLO_ERR_NOT_FOUND. */
CLO_CHECK bool clo_cli_model_of_digest(char out[4096], const clo_sha256 *digest, const char *data, clo_err *err);

/* --- commands: one file each ---------------------------------------------------------------------------------------*/
int clo_cmd_audit(int argc, char **argv);
int clo_cmd_bench(int argc, char **argv);
int clo_cmd_doctor(int argc, char **argv);
int clo_cmd_embed(int argc, char **argv);
int clo_cmd_import(int argc, char **argv);
int clo_cmd_inspect(int argc, char **argv);
int clo_cmd_key(int argc, char **argv);
int clo_cmd_list(int argc, char **argv);
int clo_cmd_logits(int argc, char **argv);
int clo_cmd_org(int argc, char **argv);
int clo_cmd_perplexity(int argc, char **argv);
int clo_cmd_ps(int argc, char **argv);
int clo_cmd_pull(int argc, char **argv);
int clo_cmd_push(int argc, char **argv);
int clo_cmd_quantize(int argc, char **argv);
int clo_cmd_render(int argc, char **argv);
int clo_cmd_replay(int argc, char **argv);
int clo_cmd_repo(int argc, char **argv);
int clo_cmd_fsck(int argc, char **argv);
int clo_cmd_gc(int argc, char **argv);
int clo_cmd_rm(int argc, char **argv);
int clo_cmd_run(int argc, char **argv);
int clo_cmd_serve(int argc, char **argv);
int clo_cmd_show(int argc, char **argv);
int clo_cmd_stop(int argc, char **argv);
int clo_cmd_token(int argc, char **argv);
int clo_cmd_tokenize(int argc, char **argv);
int clo_cmd_user(int argc, char **argv);
int clo_cmd_version(int argc, char **argv);

#endif
