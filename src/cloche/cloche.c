/* libcloche: the C library's door. See cloche/cloche.h. It only translates: every decision is made in the rooms below. */
#include "cloche/cloche.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "infer/chat.h"
#include "infer/decoder.h"
#include "infer/generate.h"
#include "infer/receipt.h"

#ifndef CLO_VERSION
#define CLO_VERSION "0"
#endif

#define JSON_BYTES_MAX ((size_t)64 << 20)
#define STOPS_MAX 64

struct cloche_model {
    clo_pool *pool;
    clo_model *model;
    clo_decoder *decoder;
    clo_gen *gen;
    clo_chat *chat; /* NULL: no template */
};

_Static_assert((int)CLOCHE_DAMAGED == (int)CLO_ERR_DAMAGED, "codes are the same, in the same order");
_Static_assert(sizeof(((cloche_error *)0)->text) == sizeof(((clo_err *)0)->text), "texts are as long");

static bool pass_error(cloche_error *out, const clo_err *err)
{
    if (out) {
        out->code = (cloche_code)err->code;
        memcpy(out->text, err->text, sizeof out->text);
    }
    return false;
}

/* --- the library --------------------------------------------------------------------------------------------------*/

const char *cloche_version(void)
{
    return CLO_VERSION;
}

const char *cloche_profile(void)
{
    return "n1";
}

int cloche_api_version(void)
{
    return CLOCHE_API_VERSION;
}

/* --- models -------------------------------------------------------------------------------------------------------*/

cloche_open_options cloche_open_defaults(void)
{
    return (cloche_open_options){.size = sizeof(cloche_open_options)};
}

static bool open_model(cloche_model *m, const char *path, const cloche_open_options *o, clo_err *err)
{
    if (!clo_pool_open(&m->pool, o->n_threads, err)) return false;
    const clo_model_opts mo = {.pool = m->pool, .data_dir = o->data_dir};
    if (!clo_model_open(&m->model, path, mo, err)) return false;
    if (!clo_decoder_open(&m->decoder, m->model, m->pool, (clo_decoder_opts){0}, err)) return false;
    if (!clo_gen_open(&m->gen, m->decoder, o->n_ctx, err)) return false;
    if (!clo_chat_open(&m->chat, m->model, false, err)) {
        if (err->code != CLO_ERR_NOT_FOUND) return false;
        *err = (clo_err){0};
    }
    return true;
}

cloche_model *cloche_open(const char *path, const cloche_open_options *options, cloche_error *err)
{
    cloche_open_options o = cloche_open_defaults();
    clo_err e = {0};
    if (options) memcpy(&o, options, clo_min(options->size, sizeof o));
    cloche_model *m = (cloche_model *)calloc(1, sizeof *m);
    if (!m) clo_fail(&e, CLO_ERR_MEMORY, "model");
    else if (open_model(m, path, &o, &e)) return m;
    cloche_close(m);
    (void)pass_error(err, &e);
    return NULL;
}

void cloche_close(cloche_model *m)
{
    if (!m) return;
    clo_chat_close(m->chat);
    clo_gen_close(m->gen);
    clo_decoder_close(m->decoder);
    clo_model_close(m->model);
    clo_pool_close(m->pool);
    free(m);
}

void cloche_get_info(const cloche_model *m, cloche_info *out)
{
    const clo_spec *s = clo_model_spec(m->model);
    clo_sha256 d = clo_model_digest(m->model);
    *out = (cloche_info){.family = s->family,
                         .type = clo_dtype_info_of(clo_model_main_dtype(m->model))->name,
                         .n_vocab = s->n_vocab,
                         .n_ctx = clo_gen_ctx(m->gen),
                         .n_layer = s->n_layer,
                         .n_dim = s->n_dim,
                         .bytes = clo_model_bytes(m->model),
                         .bytes_per_token = clo_model_bytes_per_token(m->model),
                         .has_tokenizer = clo_model_tokenizer(m->model) != NULL,
                         .has_template = m->chat != NULL};
    clo_sha256_hex(out->digest, &d);
}

/* --- text and tokens ----------------------------------------------------------------------------------------------*/

void cloche_ids_free(cloche_ids *ids)
{
    free(ids->ids);
    *ids = (cloche_ids){0};
}

/* Appends; *from is emptied. */
static bool append_ids(cloche_ids *to, clo_ids *from, clo_err *err)
{
    size_t n, bytes;
    if (!clo_add(to->n, from->n, &n) || !clo_mul(n ? n : 1, sizeof *to->ids, &bytes))
        return clo_fail(err, CLO_ERR_LIMIT, "%zu tokens", to->n);
    if (n > to->capacity) {
        int32_t *grown = (int32_t *)realloc(to->ids, bytes);
        if (!grown) return clo_fail(err, CLO_ERR_MEMORY, "%zu tokens", n);
        to->ids = grown;
        to->capacity = n;
    }
    if (from->n > 0) memcpy(to->ids + to->n, from->ids, from->n * sizeof *to->ids);
    to->n = n;
    return true;
}

static const clo_tok *get_tokenizer(const cloche_model *m, clo_err *err)
{
    const clo_tok *tok = clo_model_tokenizer(m->model);
    if (!tok) clo_fail(err, CLO_ERR_NOT_FOUND, "the model has no tokenizer");
    return tok;
}

bool cloche_tokenize(const cloche_model *m, const char *text, size_t n_bytes, bool add_special, bool parse_special,
                     cloche_ids *out, cloche_error *err)
{
    clo_err e = {0};
    clo_ids ids = {0};
    const clo_tok_opts o = {.add_special = add_special, .parse_special = parse_special};
    const clo_tok *tok = get_tokenizer(m, &e);
    bool ok = tok && clo_tok_encode(tok, &ids, (clo_str){text, n_bytes}, o, &e) && append_ids(out, &ids, &e);
    clo_ids_free(&ids);
    return ok || pass_error(err, &e);
}

/* A copy of s with a closing NUL, from malloc. */
static char *copy_text(clo_str s, clo_err *err)
{
    char *copy = (char *)malloc(s.len + 1);
    if (!copy) {
        clo_fail(err, CLO_ERR_MEMORY, "%zu bytes of text", s.len);
        return NULL;
    }
    if (s.len > 0) memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}

char *cloche_detokenize(const cloche_model *m, const int32_t *ids, size_t n, bool with_special, size_t *n_bytes,
                        cloche_error *err)
{
    clo_err e = {0};
    clo_buf b = {0};
    char *text = NULL;
    const clo_tok *tok = get_tokenizer(m, &e);
    if (tok && clo_tok_decode(tok, &b, ids, n, with_special, &e) && clo_buf_ok(&b, &e))
        text = copy_text(clo_buf_str(&b), &e);
    if (text && n_bytes) *n_bytes = b.len;
    clo_buf_free(&b);
    if (!text) (void)pass_error(err, &e);
    return text;
}

void cloche_text_free(char *text)
{
    free(text);
}

static bool encode_chat(const cloche_model *m, const json_t *messages, clo_chat_opts o, cloche_ids *out, clo_err *err)
{
    clo_ids ids = {0};
    if (!m->chat) return clo_fail(err, CLO_ERR_NOT_FOUND, "the model has no chat template");
    bool ok = clo_chat_encode(m->chat, &ids, messages, o, err) && append_ids(out, &ids, err);
    clo_ids_free(&ids);
    return ok;
}

bool cloche_chat(const cloche_model *m, const cloche_message *messages, size_t n, cloche_ids *out, cloche_error *err)
{
    clo_err e = {0};
    json_t *list = json_array();
    bool ok = list != NULL || clo_fail(&e, CLO_ERR_MEMORY, "messages");
    for (size_t i = 0; ok && i < n; i++) {
        json_t *one = json_pack("{s:s, s:s}", "role", messages[i].role, "content", messages[i].content);
        if (!one || json_array_append_new(list, one) != 0)
            ok = clo_fail(&e, CLO_ERR_USAGE, "message %zu is not valid UTF-8", i);
    }
    ok = ok && encode_chat(m, list, (clo_chat_opts){0}, out, &e);
    json_decref(list);
    return ok || pass_error(err, &e);
}

static bool parse_optional(json_t **out, const char *text, const char *what, clo_err *err)
{
    *out = NULL;
    if (!text || clo_json_parse(out, clo_str_from(text), JSON_BYTES_MAX, err)) return true;
    clo_err_context(err, "%s", what);
    return false;
}

bool cloche_chat_json(const cloche_model *m, const char *messages, const char *tools, const char *variables,
                      cloche_ids *out, cloche_error *err)
{
    clo_err e = {0};
    json_t *list = NULL, *t = NULL, *v = NULL;
    bool ok = parse_optional(&list, messages, "messages", &e) && parse_optional(&t, tools, "tools", &e) &&
              parse_optional(&v, variables, "variables", &e);
    ok = ok && encode_chat(m, list, (clo_chat_opts){.tools = t, .vars = v}, out, &e);
    json_decref(list);
    json_decref(t);
    json_decref(v);
    return ok || pass_error(err, &e);
}

/* --- generation ---------------------------------------------------------------------------------------------------*/

cloche_generate_options cloche_generate_defaults(const cloche_model *m)
{
    clo_sampler_params p = clo_sampler_defaults();
    (void)m;
    return (cloche_generate_options){.size = sizeof(cloche_generate_options),
                                     .temperature = p.temp,
                                     .top_k = p.top_k,
                                     .top_p = p.top_p,
                                     .min_p = p.min_p,
                                     .repeat_penalty = 1.0F};
}

void cloche_answer_free(cloche_answer *a)
{
    free(a->text);
    free(a->receipt);
    cloche_ids_free(&a->ids);
    *a = (cloche_answer){0};
}

static bool pass_text(void *ctx, clo_str text)
{
    const cloche_generate_options *o = (const cloche_generate_options *)ctx;
    return o->on_text(o->ctx, text.ptr, text.len);
}

static bool make_receipt(const cloche_model *m, const cloche_ids *prompt, const clo_sampler_params *p, uint64_t seed,
                         const clo_gen_result *r, cloche_answer *out, clo_err *err)
{
    clo_sha256 text = {0};
    clo_receipt receipt = {0};
    clo_buf b = {.max = CLO_RECEIPT_BYTES_MAX};
    if (m->chat) text = clo_chat_digest(m->chat);
    const clo_receipt_facts f = {.result = r, .prompt = prompt->ids, .sampler = p, .seed = seed,
                                 .template_text = m->chat ? &text : NULL, .version = CLO_VERSION};
    bool ok = clo_receipt_make(&receipt, m->decoder, &f, err) && clo_receipt_format(&b, &receipt, err);
    if (ok) out->receipt = copy_text(clo_buf_str(&b), err);
    out->n_receipt_bytes = b.len;
    clo_buf_free(&b);
    clo_receipt_free(&receipt);
    return ok && out->receipt;
}

static bool generate(cloche_model *m, const cloche_ids *prompt, const cloche_generate_options *o, cloche_answer *out,
                     clo_err *err)
{
    clo_str stops[STOPS_MAX];
    clo_gen_result r;
    clo_sampler_params p = {.temp = o->temperature, .top_k = o->top_k, .top_p = o->top_p, .min_p = o->min_p,
                            .repeat_penalty = o->repeat_penalty, .presence_penalty = o->presence_penalty,
                            .frequency_penalty = o->frequency_penalty};
    if (o->n_stops > STOPS_MAX) return clo_fail(err, CLO_ERR_LIMIT, "%zu stop texts, at most %d", o->n_stops, STOPS_MAX);
    for (size_t i = 0; i < o->n_stops; i++) stops[i] = clo_str_from(o->stops[i]);
    const clo_gen_opts g = {.sampler = &p, .seed = o->seed, .n_max = o->n_max, .stops = stops, .n_stops = o->n_stops,
                            .lookup = !o->no_lookup, .chain = o->receipt, .on_text = o->on_text ? pass_text : NULL,
                            .ctx = (void *)(uintptr_t)o};
    if (!clo_gen_run(m->gen, prompt->ids, prompt->n, &g, &r, err)) return false;
    clo_ids ids = {.ids = (int32_t *)(uintptr_t)r.ids, .n = r.n_ids};
    *out = (cloche_answer){.finish = clo_finish_name(r.finish), .n_prompt = r.n_prompt, .n_reused = r.n_reused,
                           .prefill_seconds = r.prefill_s, .decode_seconds = r.decode_s, .n_text_bytes = r.text.len};
    out->text = copy_text(r.text, err);
    if (!out->text || !append_ids(&out->ids, &ids, err)) return false;
    return !o->receipt || make_receipt(m, prompt, &p, o->seed, &r, out, err);
}

bool cloche_generate(cloche_model *m, const cloche_ids *prompt, const cloche_generate_options *options,
                     cloche_answer *out, cloche_error *err)
{
    clo_err e = {0};
    cloche_generate_options o = cloche_generate_defaults(m);
    if (options) memcpy(&o, options, clo_min(options->size, sizeof o));
    *out = (cloche_answer){0};
    return generate(m, prompt, &o, out, &e) || pass_error(err, &e);
}

bool cloche_logits(cloche_model *m, const cloche_ids *prompt, float *out, cloche_error *err)
{
    clo_err e = {0};
    clo_seq *seq = NULL;
    size_t stride = clo_decoder_logits_stride(m->decoder);
    float *row = (float *)aligned_alloc(64, clo_round_up(stride * sizeof *row, 64));
    bool ok = row != NULL || clo_fail(&e, CLO_ERR_MEMORY, "logits");
    if (ok && prompt->n == 0) ok = clo_fail(&e, CLO_ERR_USAGE, "the prompt has no tokens");
    ok = ok && clo_seq_open(&seq, m->decoder, prompt->n, &e);
    const clo_step st = {.seq = seq, .ids = prompt->ids, .n = prompt->n, .n_logits = 1, .logits = row};
    ok = ok && clo_decoder_run(m->decoder, &st, 1, &e);
    if (ok) memcpy(out, row, clo_model_spec(m->model)->n_vocab * sizeof *out);
    clo_seq_close(seq);
    free(row);
    return ok || pass_error(err, &e);
}

/* --- proof --------------------------------------------------------------------------------------------------------*/

bool cloche_replay(cloche_model *m, const char *receipt, size_t n_bytes, cloche_error *err)
{
    clo_err e = {0};
    clo_receipt r = {0};
    clo_replay_verdict v = {0};
    clo_sha256 text = {0};
    if (m->chat) text = clo_chat_digest(m->chat);
    bool ok = clo_receipt_parse(&r, (clo_str){receipt, n_bytes}, &e) &&
              clo_receipt_replay(&r, m->decoder, NULL, m->chat ? &text : NULL, &v, &e);
    if (ok && !v.same) ok = clo_fail(&e, CLO_ERR_MISMATCH, "%s differs at output token %zu", v.what, v.at);
    clo_receipt_free(&r);
    return ok || pass_error(err, &e);
}
