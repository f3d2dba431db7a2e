/* cloche show: what a model is, from its files alone (nothing is computed or prepared). */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "infer/facts.h"
#include "infer/library.h"

/* NULL with err set, or an object with what config and tensors say. */
static json_t *facts_of(const char *path, clo_err *err)
{
    clo_facts f;
    if (!clo_facts_read(&f, path, err)) return NULL;
    json_t *o = json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "path", path,
                          "format", f.gguf ? "gguf" : "safetensors", "family", f.family, "parameters",
                          (json_int_t)f.n_weights, "weight_bytes", (json_int_t)f.weight_bytes, "type",
                          clo_dtype_info_of(f.main_dtype)->name, "layers", (json_int_t)f.n_layer, "dim",
                          (json_int_t)f.n_dim, "heads", (json_int_t)f.n_head, "kv_heads", (json_int_t)f.n_kv_head,
                          "head_dim", (json_int_t)f.head_dim, "ff", (json_int_t)f.n_ff, "vocab", (json_int_t)f.n_vocab,
                          "context", (json_int_t)f.n_ctx, "tied", f.tied);
    if (!o) clo_fail(err, CLO_ERR_MEMORY, "facts");
    if (o && f.embeds) json_object_set_new(o, "text_tokens", json_integer(f.n_text));
    return o;
}

static void print_facts(const json_t *o)
{
    char size[24];
    printf("path        %s\n", clo_json_str(o, "path", CLO_STR("")).ptr);
    printf("format      %s, mostly %s\n", clo_json_str(o, "format", CLO_STR("")).ptr,
           clo_json_str(o, "type", CLO_STR("")).ptr);
    printf("family      %s\n", clo_json_str(o, "family", CLO_STR("")).ptr);
    printf("parameters  %.1f million, %s\n", (double)clo_json_int(o, "parameters", 0) / 1e6,
           clo_cli_bytes(size, (uint64_t)clo_json_int(o, "weight_bytes", 0)));
    printf("shape       %lld layers of %lld, %lld heads (%lld kv) of %lld, ff %lld\n",
           (long long)clo_json_int(o, "layers", 0), (long long)clo_json_int(o, "dim", 0),
           (long long)clo_json_int(o, "heads", 0), (long long)clo_json_int(o, "kv_heads", 0),
           (long long)clo_json_int(o, "head_dim", 0), (long long)clo_json_int(o, "ff", 0));
    printf("vocabulary  %lld\n", (long long)clo_json_int(o, "vocab", 0));
    printf("context     %lld tokens\n", (long long)clo_json_int(o, "context", 0));
    if (json_object_get(o, "text_tokens"))
        printf("vectors     of texts of up to %lld tokens\n", (long long)clo_json_int(o, "text_tokens", 0));
    const json_t *library = json_object_get(o, "library"), *held = json_object_get(o, "repository");
    if (held)
        printf("repository  %s at %s\n", clo_json_str(held, "id", CLO_STR("")).ptr, clo_json_str(held, "commit", CLO_STR("")).ptr);
    if (library) printf("digest      %s\n", clo_json_str(library, "digest", CLO_STR("")).ptr);
    if (json_object_get(o, "verified")) printf("verified    every file has its digest\n");
}

int clo_cmd_show(int argc, char **argv)
{
    const char *data = NULL;
    bool json = false, verify = false;
    const clo_opt opts[] = {
        {"verify", NULL, CLO_OPT_FLAG, &verify, NULL, "read every file of a model in the data folder and compare digests"},
        {"data", NULL, CLO_OPT_STR, &data, "DIR", "data folder (default: $CLOCHE_DATA)"},
        {"json", NULL, CLO_OPT_FLAG, &json, NULL, "print one JSON object"},
    };
    const clo_cli_spec spec = {"show MODEL", "Shows what a model is. With --verify: exit 7 when a file is damaged.",
                               "  cloche show SmolLM2.gguf\n  cloche show smollm2 --verify\n  cloche show HuggingFaceTB/SmolLM2-135M-Instruct@main\n", opts, CLO_COUNT(opts), 1,
                               1};
    clo_cli_args args;
    clo_err err = {0};
    char dir[4096];
    clo_cli_model m;
    json_t *manifest = NULL;
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    const char *name = args.args[0];
    if (!clo_cli_data_dir(dir, data, &err) || !clo_cli_find_model(&m, name, data, &err))
        return clo_cli_fail(&err, NULL);
    bool in_library = m.place == CLO_MODEL_IN_LIBRARY;
    if (verify && m.place == CLO_MODEL_IN_HUB) return clo_cli_fail_usage("'cloche fsck' reads what repositories hold; --verify is for imported models");
    if (verify && !in_library) return clo_cli_fail_usage("--verify is for models in the data folder");
    if (verify && !clo_library_verify(dir, name, &err)) return clo_cli_fail(&err, NULL);
    if (in_library && !clo_library_show(&manifest, dir, name, &err)) return clo_cli_fail(&err, NULL);
    json_t *o = facts_of(m.path, &err);
    if (!o) {
        json_decref(manifest);
        return clo_cli_fail(&err, NULL);
    }
    if (manifest) json_object_set_new(o, "library", manifest);
    if (m.place == CLO_MODEL_IN_HUB) json_object_set_new(o, "repository", json_pack("{s:s, s:s}", "id", m.repo, "commit", m.commit));
    if (verify) json_object_set_new(o, "verified", json_true());
    if (json) return clo_cli_print_json(o);
    print_facts(o);
    json_decref(o);
    return CLO_EXIT_OK;
}
