/* Options, errors, JSON and progress of the command line. See cli.h. */
#include "cli/cli.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"

#define SET_BYTES_MAX ((size_t)1 << 20)

/* --- help ---------------------------------------------------------------------------------------------------------*/

static void print_opt(const clo_opt *o)
{
    char left[96];
    const char *dash = o->alias && strlen(o->alias) > 1 ? "--" : "-";
    int n = snprintf(left, sizeof left, "  --%s%s%s%s%s%s", o->name, o->alias ? ", " : "", o->alias ? dash : "",
                     o->alias ? o->alias : "", o->value ? " " : "", o->value ? o->value : "");
    if (n > 28) printf("%s\n%28s  %s\n", left, "", o->help);
    else printf("%-28s  %s\n", left, o->help);
}

static void print_help(const clo_cli_spec *spec)
{
    printf("usage: cloche %s%s\n\n%s\n", spec->usage, spec->n_opts ? " [options]" : "", spec->about);
    if (spec->n_opts) printf("\noptions:\n");
    for (size_t i = 0; i < spec->n_opts; i++) print_opt(&spec->opts[i]);
    if (spec->examples) printf("\nexamples:\n%s", spec->examples);
}

/* --- parsing ------------------------------------------------------------------------------------------------------*/

static const clo_opt *find_opt(const clo_cli_spec *spec, const char *name, size_t len)
{
    for (size_t i = 0; i < spec->n_opts; i++) {
        const clo_opt *o = &spec->opts[i];
        if (strlen(o->name) == len && memcmp(o->name, name, len) == 0) return o;
        if (o->alias && strlen(o->alias) == len && memcmp(o->alias, name, len) == 0) return o;
    }
    return NULL;
}

static bool parse_unsigned(const char *text, uint64_t *out)
{
    char *end = NULL;
    if (text[0] < '0' || text[0] > '9') return false;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno || *end) return false;
    *out = v;
    return true;
}

static bool parse_signed(const char *text, int64_t *out)
{
    char *end = NULL;
    const char *digits = text[0] == '-' ? text + 1 : text;
    if (digits[0] < '0' || digits[0] > '9') return false;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno || *end) return false;
    *out = v;
    return true;
}

static bool parse_number(const char *text, double *out)
{
    char *end = NULL;
    if (!text[0] || strspn(text, "0123456789+-.eE") != strlen(text)) return false;
    errno = 0;
    double v = strtod(text, &end);
    if (*end || !isfinite(v)) return false;
    *out = v;
    return true;
}

/* NULL when the value fits, else what was expected. */
static const char *store_value(const clo_opt *o, const char *text)
{
    uint64_t u = 0;
    switch (o->kind) {
    case CLO_OPT_STR: *(const char **)o->out = text; return NULL;
    case CLO_OPT_U64: return parse_unsigned(text, (uint64_t *)o->out) ? NULL : "a whole number, 0 or more";
    case CLO_OPT_SIZE:
        if (!parse_unsigned(text, &u) || u > SIZE_MAX / 4) return "a whole number, 0 or more";
        *(size_t *)o->out = (size_t)u;
        return NULL;
    case CLO_OPT_I64: return parse_signed(text, (int64_t *)o->out) ? NULL : "a whole number";
    case CLO_OPT_F64: return parse_number(text, (double *)o->out) ? NULL : "a number";
    case CLO_OPT_LIST: {
        clo_opt_list *l = (clo_opt_list *)o->out;
        if (l->n == CLO_OPT_LIST_MAX) return "at most 64 of them";
        l->items[l->n++] = text;
        return NULL;
    }
    case CLO_OPT_FLAG:
    case CLO_OPT_OFF: break;
    }
    return "no value";
}

static int usage_fault(const clo_cli_spec *spec, const char *fmt, ...) CLO_PRINTF(2, 3);
static int usage_fault(const clo_cli_spec *spec, const char *fmt, ...)
{
    size_t n = strcspn(spec->usage, " ");
    va_list ap;
    va_start(ap, fmt);
    fputs("cloche: ", stderr);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nusage: cloche %s\n  'cloche %.*s --help' shows the options\n", spec->usage, (int)n,
            spec->usage);
    return CLO_EXIT_USAGE;
}

bool clo_cli_parse(clo_cli_args *out, const clo_cli_spec *spec, int argc, char **argv, int *rc)
{
    size_t n_args = 0;
    bool options_end = false;
    for (int i = 1; i < argc; i++) {
        char *a = argv[i];
        if (options_end || a[0] != '-' || a[1] == '\0') {
            argv[1 + n_args++] = a;
            continue;
        }
        if (strcmp(a, "--") == 0) {
            options_end = true;
            continue;
        }
        if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0) {
            print_help(spec);
            *rc = CLO_EXIT_OK;
            return false;
        }
        bool is_long = a[1] == '-';
        const char *name = a + (is_long ? 2 : 1);
        size_t len = strcspn(name, "=");
        const clo_opt *o = find_opt(spec, name, len);
        if (!o || is_long != (len > 1)) {
            *rc = usage_fault(spec, "unknown option '%s'", a);
            return false;
        }
        const char *value = name[len] == '=' ? name + len + 1 : NULL;
        if (o->kind == CLO_OPT_FLAG || o->kind == CLO_OPT_OFF) {
            if (value) {
                *rc = usage_fault(spec, "option '--%s' takes no value", o->name);
                return false;
            }
            *(bool *)o->out = o->kind == CLO_OPT_FLAG;
            continue;
        }
        if (!value) {
            if (i + 1 >= argc) {
                *rc = usage_fault(spec, "option '--%s' needs a value: %s", o->name, o->value);
                return false;
            }
            value = argv[++i];
        }
        const char *want = store_value(o, value);
        if (want) {
            *rc = usage_fault(spec, "option '--%s': '%s' is not %s", o->name, value, want);
            return false;
        }
    }
    if (n_args < spec->n_args_min || n_args > spec->n_args_max) {
        *rc = n_args < spec->n_args_min
                  ? usage_fault(spec, "%zu argument%s given, %zu needed", n_args, n_args == 1 ? "" : "s",
                                spec->n_args_min)
                  : usage_fault(spec, "unexpected argument '%s'", argv[1 + spec->n_args_max]);
        return false;
    }
    *out = (clo_cli_args){argv + 1, n_args};
    return true;
}

/* --- errors -------------------------------------------------------------------------------------------------------*/

void clo_cli_print_escaped(clo_str s, bool to_stderr)
{
    FILE *f = to_stderr ? stderr : stdout;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) fprintf(f, "\\x%02x", c);
        else fputc(c, f);
    }
}

clo_exit clo_cli_exit_code(const clo_err *err)
{
    static const struct {
        clo_code code;
        clo_exit exit;
    } rows[] = {
        {CLO_OK, CLO_EXIT_OK},
        {CLO_ERR_USAGE, CLO_EXIT_USAGE},
        {CLO_ERR_MISMATCH, CLO_EXIT_NOT_SO},
        {CLO_ERR_NOT_FOUND, CLO_EXIT_NOT_FOUND},
        {CLO_ERR_DENIED, CLO_EXIT_DENIED},
        {CLO_ERR_DAMAGED, CLO_EXIT_DAMAGED},
    };
    for (size_t i = 0; i < CLO_COUNT(rows); i++)
        if (rows[i].code == err->code) return rows[i].exit;
    return CLO_EXIT_FAILED;
}

static const char *next_after_io(int sys)
{
    switch (sys) {
    case ENOSPC:
    case EDQUOT: return "free some space, or name another place";
    case EACCES:
    case EPERM:
    case EROFS: return "see who may write or read there, or name another place";
    default: return NULL;
    }
}

static const char *default_next(const clo_err *err)
{
    switch (err->code) {
    case CLO_ERR_IO: return next_after_io(err->sys);
    case CLO_ERR_MEMORY: return "free memory, or take a smaller model or --ctx";
    case CLO_ERR_FORMAT: return "a copied file may be cut off or damaged: compare its SHA-256 with the publisher's";
    case CLO_ERR_DAMAGED: return "remove the model ('cloche rm') and import it again";
    default: return NULL;
    }
}

int clo_cli_fail(const clo_err *err, const char *next)
{
    if (err->code == CLO_OK) return CLO_EXIT_FAILED; /* the output, and it has been told or main tells it */
    fputs("cloche: ", stderr);
    clo_cli_print_escaped(clo_str_from(err->text[0] ? err->text : "failed"), true);
    fputc('\n', stderr);
    if (!next) next = default_next(err);
    if (next) fprintf(stderr, "  %s\n", next);
    return (int)clo_cli_exit_code(err);
}

int clo_cli_fail_usage(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("cloche: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return CLO_EXIT_USAGE;
}

/* --- values -------------------------------------------------------------------------------------------------------*/

bool clo_cli_set_var(json_t *vars, const char *pair, clo_err *err)
{
    clo_str s = clo_str_from(pair);
    size_t eq = clo_str_find(s, 0, '=');
    json_t *v = NULL;
    if (eq == 0 || eq == s.len) return clo_fail(err, CLO_ERR_USAGE, "--set '%s': NAME=JSON is expected", pair);
    if (!clo_json_parse(&v, clo_str_from_off(s, eq + 1), SET_BYTES_MAX, NULL))
        return clo_fail(err, CLO_ERR_USAGE, "--set '%s': no JSON after the name (a text needs quotes: --set 'x=\"y\"')",
                        pair);
    return json_object_setn_new(vars, s.ptr, eq, v) == 0 ||
           clo_fail(err, CLO_ERR_USAGE, "--set '%s': the name is not UTF-8", pair);
}

/* --- output -------------------------------------------------------------------------------------------------------*/

int clo_cli_print_json(json_t *stolen)
{
    bool ok = stolen && json_dumpf(stolen, stdout, JSON_ENCODE_ANY) == 0 && fputc('\n', stdout) != EOF;
    if (!stolen) fputs("cloche: no memory for the JSON\n", stderr);
    json_decref(stolen);
    return ok ? CLO_EXIT_OK : CLO_EXIT_FAILED;
}

void clo_cli_progress(void *ctx, const char *what, uint64_t done, uint64_t total)
{
    (void)ctx;
    if (!isatty(STDERR_FILENO)) return;
    if (done >= total) {
        fprintf(stderr, "\r\x1b[K");
        return;
    }
    double part = total ? (double)done / (double)total : 0;
    char bar[33];
    for (int i = 0; i < 32; i++) bar[i] = i < (int)(part * 32) ? '#' : '.';
    bar[32] = '\0';
    fprintf(stderr, "\r%-24.24s [%s] %3d %%", what, bar, (int)(part * 100));
}

const char *clo_cli_bytes(char out[24], uint64_t n_bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double v = (double)n_bytes;
    size_t i = 0;
    for (; v >= 1024 && i + 1 < CLO_COUNT(units); i++) v /= 1024;
    snprintf(out, 24, i ? "%.1f %s" : "%.0f %s", v, units[i]);
    return out;
}

double clo_cli_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* --- places -------------------------------------------------------------------------------------------------------*/

bool clo_cli_data_dir(char out[4096], const char *given, clo_err *err)
{
    if (given) return clo_path_join(out, err, "%s", given);
    return clo_data_dir(out, err);
}
