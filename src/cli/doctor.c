/* cloche doctor: what this machine can do, and what to expect of a model on it. */
#include <stdio.h>
#include <unistd.h>

#include "base/thread.h"
#include "cli/airgap.h"
#include "cli/cli.h"
#include "model/checkpoint.h"
#include "model/spec.h"
#include "tensor/kernel.h"
#include "tensor/limits.h"

#define READ_FRACTION 0.8 /* of plain reading, that decoding is expected to reach */

/* Bytes that decoding one token reads: all weights, of an untied embedding one row only. */
static bool bytes_per_token(uint64_t *out, const char *path, clo_err *err)
{
    clo_checkpoint ck = {0};
    clo_arena arena = clo_arena_make(0);
    clo_spec *s = CLO_NEW(&arena, clo_spec, 1);
    bool ok = s ? clo_checkpoint_open(&ck, path, err) && clo_spec_read(s, &ck, &arena, err)
                : clo_arena_full(&arena, err);
    *out = 0;
    if (ok) {
        const clo_tensor *e = s->tied ? NULL : clo_spec_tensor(s, &ck, CLO_ROLE_EMBED, 0, NULL);
        for (size_t i = 0; i < ck.n_tensors; i++) *out += ck.tensors[i].bytes;
        if (e) *out -= e->bytes;
    }
    clo_checkpoint_close(&ck);
    clo_arena_free(&arena);
    return ok;
}

static json_t *tables(void)
{
    json_t *a = json_array();
    for (size_t i = 0; clo_kernels_at(i); i++) json_array_append_new(a, json_string(clo_kernels_at(i)->name));
    return a;
}

static void print_facts(const json_t *o)
{
    const json_t *t;
    size_t i;
    char size[24];
    printf("instruction sets ");
    json_array_foreach (json_object_get(o, "tables"), i, t) printf(" %s", json_string_value(t));
    printf(" (in use: %s)\n", json_string_value(json_object_get(o, "kernels")));
    printf("processors        %lld online, %lld for this process (affinity and cgroup quota)\n",
           (long long)json_integer_value(json_object_get(o, "processors")),
           (long long)json_integer_value(json_object_get(o, "threads")));
    printf("memory            %s\n",
           clo_cli_bytes(size, (uint64_t)json_integer_value(json_object_get(o, "memory_bytes"))));
    printf("reading           %.1f GB/s\n", json_real_value(json_object_get(o, "read_gb_s")));
    printf("multiply-adds     %.0f GFLOP/s (f32)\n", json_real_value(json_object_get(o, "fma_gflop_s")));
    const json_t *b = json_object_get(o, "bytes_per_token");
    if (b)
        printf("expected decode   %.1f tok/s (%s of weights per token)\n",
               json_real_value(json_object_get(o, "expected_decode_tok_s")),
               clo_cli_bytes(size, (uint64_t)json_integer_value(b)));
}

static json_t *facts(const char *model, const char *data, size_t n_threads, clo_err *err)
{
    const clo_kernels *k = NULL;
    clo_pool *pool = NULL;
    clo_limits lim = {0};
    char path[4096];
    uint64_t bytes = 0;
    json_t *o = NULL;
    if (!clo_kernels_pick(&k, err) || !clo_pool_open(&pool, n_threads, err)) return NULL;
    if (model && (!clo_cli_model_path(path, model, data, err) || !bytes_per_token(&bytes, path, err))) goto done;
    if (!clo_measure_limits(&lim, pool, err)) goto done;
    json_int_t memory = (json_int_t)sysconf(_SC_PHYS_PAGES) * (json_int_t)sysconf(_SC_PAGESIZE);
    o = json_pack("{s:s, s:o, s:I, s:I, s:I, s:f, s:f}", "kernels", k->name, "tables", tables(), "processors",
                  (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "threads", (json_int_t)clo_pool_threads(pool),
                  "memory_bytes", memory, "read_gb_s", lim.read_gb_s, "fma_gflop_s", lim.fma_gflop_s);
    if (!o) clo_fail(err, CLO_ERR_MEMORY, "facts");
    if (o && bytes > 0) {
        json_object_set_new(o, "bytes_per_token", json_integer((json_int_t)bytes));
        json_object_set_new(o, "expected_decode_tok_s",
                            json_real(READ_FRACTION * lim.read_gb_s * 1e9 / (double)bytes));
    }
done:
    clo_pool_close(pool);
    return o;
}

int clo_cmd_doctor(int argc, char **argv)
{
    const char *data = NULL;
    size_t n_threads = 0;
    bool json = false, airgap = false, sealed = false;
    const clo_opt opts[] = {
        {"airgap", NULL, CLO_OPT_FLAG, &airgap, NULL, "try to get out of this machine instead; exit code 3 when that is possible"},
        {"sealed", NULL, CLO_OPT_FLAG, &sealed, NULL, "with --airgap: sealed first, as 'serve --sealed' is"},
        {"threads", "t", CLO_OPT_SIZE, &n_threads, "N", "processors to use (default: all this process may use)"},
        {"data", NULL, CLO_OPT_STR, &data, "DIR", "data folder (default: $CLOCHE_DATA)"},
        {"json", NULL, CLO_OPT_FLAG, &json, NULL, "print one JSON object"},
    };
    const clo_cli_spec spec = {"doctor [MODEL]",
                               "Shows what this machine can do: instruction sets, processors this process may use, speed\n"
                               "of memory and arithmetic; with MODEL, the decoding speed to expect. With --airgap it tries\n"
                               "every way out of this machine that it knows (no packet leaves) and lists sockets.",
                               "  cloche doctor\n  cloche doctor SmolLM2.gguf --json\n  cloche doctor --airgap --sealed\n", opts, CLO_COUNT(opts), 0, 1};
    clo_cli_args args;
    clo_err err = {0};
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (sealed && !airgap) return clo_cli_fail_usage("--sealed goes with --airgap");
    if (airgap && args.n_args) return clo_cli_fail_usage("--airgap takes no model");
    if (airgap) return clo_doctor_airgap(data, sealed, json);
    json_t *o = facts(args.n_args ? args.args[0] : NULL, data, n_threads, &err);
    if (!o) return clo_cli_fail(&err, NULL);
    if (json) return clo_cli_print_json(o);
    print_facts(o);
    json_decref(o);
    return CLO_EXIT_OK;
}
