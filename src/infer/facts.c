/* See facts.h. */
#include "infer/facts.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "model/checkpoint.h"
#include "model/gguf.h"
#include "model/spec.h"

#define GENERATION_CONFIG_BYTES_MAX (1U << 20)
#define CONFIG_BYTES_MAX ((size_t)16 << 20)

static void count_weights(clo_facts *f, const clo_checkpoint *ck)
{
    uint64_t by_type[CLO_DTYPE_COUNT] = {0};
    f->main_dtype = CLO_DTYPE_NONE;
    for (size_t i = 0; i < ck->n_tensors; i++) {
        const clo_tensor *t = &ck->tensors[i];
        uint64_t n = 1;
        for (uint32_t d = 0; d < t->n_dims; d++) n *= t->dims[d]; /* fits: the reader checked the bytes */
        f->n_weights += n;
        f->weight_bytes += t->bytes;
        by_type[t->dtype] += t->bytes;
        if (by_type[t->dtype] > by_type[f->main_dtype]) f->main_dtype = t->dtype;
    }
}

static bool contains(clo_str s, clo_str what)
{
    return s.len > 0 && memmem(s.ptr, s.len, what.ptr, what.len) != NULL;
}

static void look_at_template(clo_facts *f, clo_str text)
{
    f->has_template = text.len > 0;
    f->shows_tools = contains(text, CLO_STR("tools"));
    f->shows_thinking = contains(text, CLO_STR("</think>")) || contains(text, CLO_STR("enable_thinking"));
}

/* In a folder the template lies beside the weights, or in the tokenizer's configuration. */
static bool look_in_folder(clo_facts *f, const char *folder, clo_arena *arena, clo_err *err)
{
    clo_str jinja, text;
    json_t *config = NULL;
    if (!clo_file_read_beside(&jinja, folder, "chat_template.jinja", CONFIG_BYTES_MAX, arena, err)) return false;
    look_at_template(f, jinja);
    if (jinja.len > 0) return true;
    if (!clo_file_read_beside(&text, folder, "tokenizer_config.json", CONFIG_BYTES_MAX, arena, err)) return false;
    if (!text.ptr || !clo_json_parse(&config, text, CONFIG_BYTES_MAX, NULL)) return true;
    look_at_template(f, clo_json_str(config, "chat_template", CLO_STR("")));
    if (json_is_array(json_object_get(config, "chat_template"))) f->has_template = f->shows_tools = true;
    json_decref(config);
    return true;
}

static bool look_at_texts(clo_facts *f, const clo_checkpoint *ck, const char *path, clo_arena *arena, clo_err *err)
{
    if (ck->container != CLO_CONTAINER_GGUF) return look_in_folder(f, path, arena, err);
    look_at_template(f, clo_gguf_str(ck->gguf, "tokenizer.chat_template", CLO_STR("")));
    clo_str_copy(f->license, sizeof f->license, clo_gguf_str(ck->gguf, "general.license", CLO_STR("")));
    clo_str_copy(f->basename, sizeof f->basename, clo_gguf_str(ck->gguf, "general.basename", CLO_STR("")));
    return true;
}

bool clo_facts_read(clo_facts *out, const char *path, clo_err *err)
{
    clo_checkpoint ck = {0};
    clo_arena arena = clo_arena_make(0);
    clo_spec *s = CLO_NEW(&arena, clo_spec, 1);
    bool ok = s || clo_arena_full(&arena, err);
    ok = ok && clo_checkpoint_open(&ck, path, err) && clo_spec_read(s, &ck, &arena, err);
    if (ok) {
        *out = (clo_facts){.gguf = ck.container == CLO_CONTAINER_GGUF,
                           .n_layer = s->n_layer,
                           .n_dim = s->n_dim,
                           .n_head = s->n_head,
                           .n_kv_head = s->n_kv_head,
                           .head_dim = s->head_dim,
                           .n_ff = s->n_ff,
                           .n_vocab = s->n_vocab,
                           .n_ctx = s->n_ctx,
                           .tied = s->tied,
                           .encoder = s->encoder,
                           .embeds = s->pooling != CLO_POOL_NONE,
                           .n_text = s->n_text};
        snprintf(out->family, sizeof out->family, "%s", s->family);
        count_weights(out, &ck);
        ok = look_at_texts(out, &ck, path, &arena, err);
    }
    clo_checkpoint_close(&ck);
    clo_arena_free(&arena);
    return ok;
}

static bool apply_config(clo_sampler_params *io, const json_t *config, clo_err *err)
{
    bool sample = clo_json_bool(config, "do_sample", json_object_get(config, "temperature") != NULL);
    if (json_object_get(config, "do_sample") && !sample) io->temp = 0;
    io->temp = sample ? (float)clo_json_num(config, "temperature", (double)io->temp) : io->temp;
    io->top_k = (int32_t)clo_json_int(config, "top_k", io->top_k);
    io->top_p = (float)clo_json_num(config, "top_p", (double)io->top_p);
    io->min_p = (float)clo_json_num(config, "min_p", (double)io->min_p);
    io->repeat_penalty = (float)clo_json_num(config, "repetition_penalty", 1.0);
    return clo_sampler_check(io, err);
}

bool clo_facts_sampler(clo_sampler_params *io, const char *path, clo_err *err)
{
    clo_str text;
    json_t *config = NULL;
    clo_arena arena = clo_arena_make(2 * GENERATION_CONFIG_BYTES_MAX);
    if (!clo_path_is_dir(path)) return true;
    bool ok = clo_file_read_beside(&text, path, "generation_config.json", GENERATION_CONFIG_BYTES_MAX, &arena, err);
    if (ok && text.ptr) {
        ok = clo_json_parse(&config, text, GENERATION_CONFIG_BYTES_MAX, err) && apply_config(io, config, err);
        if (!ok) clo_err_context(err, "read '%s/generation_config.json'", path);
    }
    json_decref(config);
    clo_arena_free(&arena);
    return ok;
}
