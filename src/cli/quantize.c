/* cloche quantize: a GGUF file with its matrices in another type. */
#include <stdio.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/thread.h"
#include "cli/cli.h"
#include "model/requantize.h"

typedef struct {
    const char *type, *data;
    size_t n_threads;
    bool pure, again, json;
} options;

/* The text of --help, with the table of types. */
static bool write_about(clo_buf *b)
{
    clo_buf_add(
        b, CLO_STR("Writes OUT: the GGUF model IN with its matrices in another type. Norms and biases keep theirs.\n"
                   "The same input and type give the same bytes, whatever the machine and the number of threads.\n\n"
                   "types (some tensors get a better one than the name says, unless --pure):\n"));
    const clo_mixture *m;
    for (size_t i = 0; (m = clo_mixture_at(i)) != NULL; i++)
        clo_buf_addf(b, "  %-8s  %s\n", m->name, m->about);
    b->len -= b->len > 0; /* the last newline is the help's */
    if (b->ptr) b->ptr[b->len] = '\0';
    return clo_buf_ok(b, NULL);
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat sa, sb;
    return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static double bits_per_weight(const clo_requantize_stats *st)
{
    return st->n_elements ? 8.0 * (double)st->bytes_out / (double)st->n_elements : 0;
}

static int print_json(const char *out, const options *o, const clo_requantize_stats *st, double seconds)
{
    json_t *types = json_object();
    for (int t = 0; t < CLO_DTYPE_COUNT; t++) {
        if (st->n_of_type[t] == 0) continue;
        json_object_set_new(types, clo_dtype_info_of((clo_dtype)t)->name, json_integer((json_int_t)st->n_of_type[t]));
    }
    return clo_cli_print_json(
        json_pack("{s:s, s:s, s:b, s:I, s:I, s:I, s:o, s:I, s:I, s:f, s:f}", "out", out, "type", o->type, "pure",
                  o->pure, "tensors", (json_int_t)st->n_tensors, "converted", (json_int_t)st->n_converted, "fallbacks",
                  (json_int_t)st->n_fallback, "types", types, "bytes_in", (json_int_t)st->bytes_in, "bytes_out",
                  (json_int_t)st->bytes_out, "bits_per_weight", bits_per_weight(st), "seconds", seconds));
}

static int print_text(const char *out, const clo_requantize_stats *st, double seconds)
{
    char from[24], to[24];
    const char *between = "";
    clo_cli_bytes(from, st->bytes_in);
    clo_cli_bytes(to, st->bytes_out);
    printf("%s: %s to %s, %.2f bits a weight, %.1f s\n  ", out, from, to, bits_per_weight(st), seconds);
    for (int t = 0; t < CLO_DTYPE_COUNT; t++) {
        if (st->n_of_type[t] == 0) continue;
        printf("%s%zu %s", between, st->n_of_type[t], clo_dtype_info_of((clo_dtype)t)->name);
        between = ", ";
    }
    printf("\n");
    if (st->n_fallback) {
        printf("  %zu of them got the nearest type whose blocks divide their rows\n", st->n_fallback);
    }
    return CLO_EXIT_OK;
}

static int quantize(const char *model, const char *out, const options *o)
{
    clo_err err = {0};
    char in[4096];
    clo_requantize_stats st;
    clo_requantize_opts ro = {
        .pure = o->pure, .allow_requantize = o->again, .n_threads = o->n_threads, .progress = clo_cli_progress};

    if (!o->type) return clo_cli_fail_usage("--type is needed, for example --type q4_k_m");
    ro.type = clo_mixture_find(clo_str_from(o->type));
    if (!ro.type) return clo_cli_fail_usage("unknown type '%s'; 'cloche quantize --help' lists them", o->type);
    if (!clo_cli_model_path(in, model, o->data, &err)) return clo_cli_fail(&err, NULL);
    if (is_same_file(in, out)) return clo_cli_fail_usage("'%s' is both input and output", out);

    double begin = clo_cli_now();
    if (!clo_requantize(in, out, &ro, &st, &err)) {
        return clo_cli_fail(&err, err.code == CLO_ERR_USAGE && !o->again
                                      ? "start from the F16, BF16 or F32 file, or say --allow-requantize"
                                      : NULL);
    }
    double seconds = clo_cli_now() - begin;
    return o->json ? print_json(out, o, &st, seconds) : print_text(out, &st, seconds);
}

int clo_cmd_quantize(int argc, char **argv)
{
    options o = {0};
    const clo_opt opts[] = {
        {"type", NULL, CLO_OPT_STR, &o.type, "TYPE", "what to make of the matrices"},
        {"pure", NULL, CLO_OPT_FLAG, &o.pure, NULL, "every matrix exactly this type, where its rows allow"},
        {"allow-requantize", NULL, CLO_OPT_FLAG, &o.again, NULL, "take matrices that are quantised already"},
        {"threads", "t", CLO_OPT_SIZE, &o.n_threads, "N", "threads; default: the processors this process may use"},
        {"data", NULL, CLO_OPT_STR, &o.data, "DIR", "the data folder, when IN is a name in it"},
        {"json", NULL, CLO_OPT_FLAG, &o.json, NULL, "print one JSON object"},
    };
    clo_buf about = {.max = 1u << 16};
    if (!write_about(&about)) return clo_cli_fail_usage("no memory");
    const clo_cli_spec spec = {"quantize IN.gguf OUT.gguf --type TYPE",
                               about.ptr,
                               "  cloche quantize SmolLM2-F16.gguf SmolLM2-Q4_K_M.gguf --type q4_k_m\n"
                               "  cloche quantize OLMo-2-1B-BF16.gguf OLMo-2-1B-Q8_0.gguf --type q8_0 -t 4\n"
                               "  cloche quantize in.gguf out.gguf --type q4_0 --pure --json\n",
                               opts,
                               CLO_COUNT(opts),
                               2,
                               2};
    clo_cli_args args;
    int rc = 0;
    if (clo_cli_parse(&args, &spec, argc, argv, &rc)) {
        rc = o.n_threads > CLO_THREADS_MAX ? clo_cli_fail_usage("--threads: at most %d", CLO_THREADS_MAX)
                                           : quantize(args.args[0], args.args[1], &o);
    }
    clo_buf_free(&about);
    return rc;
}
