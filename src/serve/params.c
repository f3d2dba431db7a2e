/* See params.h. */
#include "serve/params.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/check.h"

#define BODY_BYTES_MAX ((size_t)256 << 20) /* the HTTP limit is far below */

/* --- the table ----------------------------------------------------------------------------------------------------*/

typedef enum { KIND_BOOL, KIND_INT, KIND_NUM } field_kind;

typedef struct {
    const char *name;
    unsigned where; /* clo_params_kind */
    field_kind kind;
    size_t offset;  /* in clo_params */
    double min, max;
} field;

#define OPENAI (CLO_PARAMS_CHAT | CLO_PARAMS_COMPLETIONS)
#define BOTH (OPENAI | CLO_PARAMS_OPTIONS)
#define AT(member) offsetof(clo_params, member)
#define INT_TOP 2147483647.0

/* A later row of the same member wins over an earlier one. */
static const field fields[] = {
    {"temperature", OPENAI, KIND_NUM, AT(temperature), 0, 2},
    {"temperature", CLO_PARAMS_OPTIONS, KIND_NUM, AT(temperature), 0, 100},
    {"top_p", BOTH, KIND_NUM, AT(top_p), 0, 1},
    {"min_p", BOTH, KIND_NUM, AT(min_p), 0, 1},
    {"typical_p", BOTH, KIND_NUM, AT(typical_p), 0, 1},
    {"top_k", BOTH, KIND_INT, AT(top_k), -1, INT_TOP},
    {"repeat_penalty", BOTH, KIND_NUM, AT(repeat_penalty), 0.01, 100},
    {"repeat_last_n", BOTH, KIND_INT, AT(repeat_last_n), -1, INT_TOP},
    {"presence_penalty", BOTH, KIND_NUM, AT(presence_penalty), -2, 2},
    {"frequency_penalty", BOTH, KIND_NUM, AT(frequency_penalty), -2, 2},
    {"max_tokens", CLO_PARAMS_CHAT, KIND_INT, AT(n_max), 1, INT_TOP},
    {"max_completion_tokens", CLO_PARAMS_CHAT, KIND_INT, AT(n_max), 1, INT_TOP},
    {"max_tokens", CLO_PARAMS_COMPLETIONS, KIND_INT, AT(n_max), 0, INT_TOP},
    {"num_predict", CLO_PARAMS_OPTIONS, KIND_INT, AT(n_max), -2, INT_TOP},
    {"num_ctx", CLO_PARAMS_OPTIONS, KIND_INT, AT(n_ctx), 1, INT_TOP},
    {"n", OPENAI, KIND_INT, AT(n), 1, CLO_PARAMS_CHOICES_MAX},
    {"best_of", CLO_PARAMS_COMPLETIONS, KIND_INT, AT(best_of), 1, CLO_PARAMS_CHOICES_MAX},
    {"stream", OPENAI | CLO_PARAMS_OLLAMA, KIND_BOOL, AT(stream), 0, 0},
    {"logprobs", CLO_PARAMS_CHAT | CLO_PARAMS_OLLAMA, KIND_BOOL, AT(logprobs), 0, 0},
    {"top_logprobs", CLO_PARAMS_CHAT | CLO_PARAMS_OLLAMA, KIND_INT, AT(n_top), 0, 20},
    {"logprobs", CLO_PARAMS_COMPLETIONS, KIND_INT, AT(n_top), 0, 20},
    {"echo", CLO_PARAMS_COMPLETIONS, KIND_BOOL, AT(echo), 0, 0},
    {"ignore_eos", OPENAI, KIND_BOOL, AT(ignore_eos), 0, 0},
    {"x_receipt", OPENAI | CLO_PARAMS_OLLAMA | CLO_PARAMS_OPTIONS, KIND_BOOL, AT(receipt), 0, 0},
    {"x_queue", OPENAI, KIND_BOOL, AT(queue), 0, 0},
    {"truncate", CLO_PARAMS_OLLAMA, KIND_BOOL, AT(truncate), 0, 0},
    {"raw", CLO_PARAMS_OLLAMA, KIND_BOOL, AT(raw), 0, 0},
};

clo_params clo_params_make(bool stream)
{
    return (clo_params){.temperature = (double)NAN,
                        .top_p = (double)NAN,
                        .min_p = (double)NAN,
                        .typical_p = (double)NAN,
                        .repeat_penalty = (double)NAN,
                        .presence_penalty = (double)NAN,
                        .frequency_penalty = (double)NAN,
                        .top_k = CLO_PARAMS_NONE,
                        .repeat_last_n = CLO_PARAMS_NONE,
                        .n_max = CLO_PARAMS_NONE,
                        .n = 1,
                        .best_of = CLO_PARAMS_NONE,
                        .n_top = CLO_PARAMS_NONE,
                        .n_ctx = CLO_PARAMS_NONE,
                        .stream = stream,
                        .truncate = true};
}

/* --- one value ----------------------------------------------------------------------------------------------------*/

static const char *type_name(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "text";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a number";
    case JSON_TRUE:
    case JSON_FALSE: return "true or false";
    default: return "null";
    }
}

static bool wrong_type(clo_api_error *e, const char *name, const char *wanted, const json_t *v)
{
    return clo_api_fail(e, CLO_API_INVALID, name, "'%s' is %s; %s is expected", name, type_name(v), wanted);
}

/* A whole number, also one written 8.0. */
static bool whole(int64_t *out, const json_t *v)
{
    if (json_is_integer(v)) {
        *out = (int64_t)json_integer_value(v);
        return true;
    }
    double d = json_is_real(v) ? json_real_value(v) : 0.5;
    if (d != floor(d) || fabs(d) >= 9007199254740992.0) return false;
    *out = (int64_t)d;
    return true;
}

static bool out_of_range(clo_api_error *e, const field *f, const json_t *v)
{
    return clo_api_fail(e, CLO_API_INVALID, f->name, "'%s' is %.17g; %.9g to %.9g is expected", f->name,
                        json_number_value(v), f->min, f->max);
}

static bool read_field(clo_params *io, const field *f, const json_t *v, clo_api_error *e)
{
    char *at = (char *)io + f->offset;
    if (f->kind == KIND_BOOL) {
        if (!json_is_boolean(v)) return wrong_type(e, f->name, "true or false", v);
        *(bool *)(void *)at = json_is_true(v);
        return true;
    }
    if (f->kind == KIND_NUM) {
        if (!json_is_number(v)) return wrong_type(e, f->name, "a number", v);
        double d = json_number_value(v);
        if (!(d >= f->min && d <= f->max)) return out_of_range(e, f, v);
        *(double *)(void *)at = d;
        return true;
    }
    int64_t i;
    if (!json_is_number(v) || !whole(&i, v)) return wrong_type(e, f->name, "an integer", v);
    if ((double)i < f->min || (double)i > f->max) return out_of_range(e, f, v);
    *(int64_t *)(void *)at = i;
    return true;
}

/* --- fields of their own kind -------------------------------------------------------------------------------------*/

static bool read_stop(clo_params *io, const json_t *v, clo_api_error *e)
{
    io->n_stops = 0;
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    if (!json_is_array(v) && !json_is_string(v)) return wrong_type(e, "stop", "text or an array of texts", v);
    if (n > CLO_PARAMS_STOPS_MAX)
        return clo_api_fail(e, CLO_API_INVALID, "stop", "'stop' has %zu texts; at most %d are allowed", n,
                            CLO_PARAMS_STOPS_MAX);
    for (size_t i = 0; i < n; i++) {
        const json_t *s = json_is_array(v) ? json_array_get(v, i) : v;
        if (!json_is_string(s)) return wrong_type(e, "stop", "an array of texts", s);
        if (json_string_length(s) == 0) continue; /* would match everywhere */
        io->stops[io->n_stops++] = (clo_str){json_string_value(s), json_string_length(s)};
    }
    return true;
}

static bool read_bias(clo_params *io, const json_t *v, clo_arena *keep, clo_api_error *e)
{
    const char *key;
    const json_t *b;
    size_t n = json_object_size(v);
    if (!json_is_object(v)) return wrong_type(e, "logit_bias", "an object", v);
    if (n > CLO_LOGIT_BIAS_MAX)
        return clo_api_fail(e, CLO_API_INVALID, "logit_bias", "'logit_bias' has %zu tokens; at most %d are allowed", n,
                            CLO_LOGIT_BIAS_MAX);
    clo_logit_bias *list = CLO_NEW(keep, clo_logit_bias, n);
    if (!list) return clo_api_fail(e, CLO_API_BUSY, NULL, "no memory");
    io->n_bias = 0;
    json_object_foreach ((json_t *)(uintptr_t)v, key, b) {
        char *end = NULL;
        errno = 0;
        unsigned long id = strtoul(key, &end, 10);
        if (key[0] < '0' || key[0] > '9' || *end || errno || id > INT32_MAX)
            return clo_api_fail(e, CLO_API_INVALID, "logit_bias", "'logit_bias': '%.40s' is no token id", key);
        double d = json_number_value(b);
        if (!json_is_number(b) || !(d >= -100 && d <= 100))
            return clo_api_fail(e, CLO_API_INVALID, "logit_bias", "'logit_bias': -100 to 100 is expected for token %lu", id);
        /* -100 bans a token, as OpenAI describes it. */
        list[io->n_bias++] = (clo_logit_bias){(int32_t)id, d <= -100 ? -INFINITY : (float)d};
    }
    io->bias = list;
    return true;
}

static bool read_seed(clo_params *io, const json_t *v, clo_api_error *e)
{
    if (!json_is_number(v) || !whole(&io->seed, v)) return wrong_type(e, "seed", "an integer of 64 bits", v);
    io->has_seed = true;
    return true;
}

static bool read_stream_options(clo_params *io, const json_t *v, clo_api_error *e)
{
    if (!json_is_object(v)) return wrong_type(e, "stream_options", "an object", v);
    return clo_body_bool(&io->include_usage, v, "include_usage", e);
}

static const json_t *given(const json_t *body, const char *key)
{
    const json_t *v = json_object_get(body, key);
    return json_is_null(v) ? NULL : v;
}

/* What asks for something other than text. */
static bool refuse_other_kinds(const json_t *body, clo_api_error *e)
{
    static const char *const names[] = {"audio", "web_search_options"};
    const json_t *modalities = given(body, "modalities"), *m;
    size_t i;
    for (i = 0; i < sizeof names / sizeof *names; i++)
        if (given(body, names[i]))
            return clo_api_fail(e, CLO_API_UNSUPPORTED, names[i], "'%s' is not supported: answers are text", names[i]);
    if (!modalities) return true;
    json_array_foreach (modalities, i, m)
        if (!json_is_string(m) || strcmp(json_string_value(m), "text") != 0)
            return clo_api_fail(e, CLO_API_UNSUPPORTED, "modalities", "'modalities': only \"text\" is supported");
    return json_is_array(modalities) || wrong_type(e, "modalities", "an array", modalities);
}

bool clo_params_read(clo_params *io, const json_t *body, unsigned kinds, clo_arena *keep, clo_api_error *e)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const json_t *v = fields[i].where & kinds ? given(body, fields[i].name) : NULL;
        if (v && !read_field(io, &fields[i], v, e)) return false;
    }
    const json_t *v;
    if (kinds & BOTH) {
        if ((v = given(body, "stop")) && !read_stop(io, v, e)) return false;
        if ((v = given(body, "seed")) && !read_seed(io, v, e)) return false;
    }
    if (!(kinds & OPENAI)) return true;
    if ((v = given(body, "logit_bias")) && !read_bias(io, v, keep, e)) return false;
    if ((v = given(body, "stream_options")) && !read_stream_options(io, v, e)) return false;
    if (kinds & CLO_PARAMS_COMPLETIONS) io->logprobs = io->n_top != CLO_PARAMS_NONE;
    if (io->n_top != CLO_PARAMS_NONE && !io->logprobs)
        return clo_api_fail(e, CLO_API_INVALID, "top_logprobs", "'top_logprobs' needs 'logprobs': true");
    if (io->best_of != CLO_PARAMS_NONE && io->best_of != io->n)
        return clo_api_fail(e, CLO_API_UNSUPPORTED, "best_of", "'best_of' is supported only when it equals 'n'");
    return refuse_other_kinds(body, e);
}

/* --- the sampler --------------------------------------------------------------------------------------------------*/

bool clo_params_sampler(clo_sampler_params *out, const clo_params *p, const clo_sampler_params *base, clo_api_error *e)
{
    *out = *base;
    const struct {
        double given;
        float *out;
    } rows[] = {
        {p->temperature, &out->temp},
        {p->top_p, &out->top_p},
        {p->min_p, &out->min_p},
        {p->typical_p, &out->typical_p},
        {p->repeat_penalty, &out->repeat_penalty},
        {p->presence_penalty, &out->presence_penalty},
        {p->frequency_penalty, &out->frequency_penalty},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!isnan(rows[i].given)) *rows[i].out = (float)rows[i].given;
    if (p->top_p <= 0) out->temp = 0; /* the likeliest token alone has all of a share of nothing */
    if (p->top_k != CLO_PARAMS_NONE) out->top_k = (int32_t)p->top_k;
    if (p->repeat_last_n == 0) out->repeat_penalty = out->presence_penalty = out->frequency_penalty = 0;
    else if (p->repeat_last_n != CLO_PARAMS_NONE) out->penalty_last_n = (int32_t)p->repeat_last_n;
    out->bias = p->bias;
    out->n_bias = p->n_bias;
    clo_err err = {0};
    return clo_sampler_check(out, &err) || clo_api_fail_err(e, &err);
}

/* --- bodies -------------------------------------------------------------------------------------------------------*/

bool clo_body_parse(json_t **out, clo_str body, clo_api_error *e)
{
    clo_err err = {0};
    if (body.len == 0) return clo_api_fail(e, CLO_API_INVALID, NULL, "missing request body");
    if (!clo_json_parse(out, body, BODY_BYTES_MAX, &err)) {
        if (err.code == CLO_ERR_MEMORY) return clo_api_fail_err(e, &err);
        return clo_api_fail(e, CLO_API_INVALID, NULL, "the body is no JSON: %.200s (byte %llu)", err.text,
                            (unsigned long long)err.at);
    }
    if (json_is_object(*out)) return true;
    clo_api_fail(e, CLO_API_INVALID, NULL, "the body is %s; an object is expected", type_name(*out));
    json_decref(*out);
    *out = NULL;
    return false;
}

bool clo_body_str(clo_str *out, const json_t *body, const char *key, bool needed, clo_api_error *e)
{
    const json_t *v = given(body, key);
    *out = (clo_str){0};
    if (!v) return !needed || clo_api_fail(e, CLO_API_INVALID, key, "%s is required", key);
    if (!json_is_string(v)) return wrong_type(e, key, "text", v);
    *out = (clo_str){json_string_value(v), json_string_length(v)};
    if (needed && out->len == 0) return clo_api_fail(e, CLO_API_INVALID, key, "%s is required", key);
    return true;
}

bool clo_body_object(json_t **out, const json_t *body, const char *key, clo_api_error *e)
{
    const json_t *v = given(body, key);
    *out = (json_t *)(uintptr_t)v;
    return !v || json_is_object(v) || wrong_type(e, key, "an object", v);
}

bool clo_body_array(json_t **out, const json_t *body, const char *key, clo_api_error *e)
{
    const json_t *v = given(body, key);
    *out = (json_t *)(uintptr_t)v;
    return !v || json_is_array(v) || wrong_type(e, key, "an array", v);
}

bool clo_body_bool(bool *io, const json_t *body, const char *key, clo_api_error *e)
{
    const json_t *v = given(body, key);
    if (!v) return true;
    if (!json_is_boolean(v)) return wrong_type(e, key, "true or false", v);
    *io = json_is_true(v);
    return true;
}
