/* The server's parts without a connection: JSON out, parameters, errors, durations, messages, thinking. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "serve/api_error.h"
#include "serve/ask.h"
#include "serve/duration.h"
#include "serve/json_out.h"
#include "serve/messages.h"
#include "serve/metrics.h"
#include "serve/params.h"
#include "serve/router.h"
#include "serve/thinking.h"

static json_t *json(const char *text)
{
    json_error_t why;
    json_t *v = json_loads(text, JSON_DECODE_ANY, &why);
    if (!v) fail_msg("%s: %s", text, why.text);
    return v;
}

static void text_is_escaped_and_reads_back(void **state)
{
    (void)state;
    static const struct {
        const char *why, *in;
        size_t len;
        const char *want;
    } rows[] = {
        {"empty", "", 0, "\"\""},
        {"plain", "abc", 3, "\"abc\""},
        {"quotes and backslashes", "a\"b\\", 4, "\"a\\\"b\\\\\""},
        {"control characters", "\n\t\r\x01\x7f", 5, "\"\\n\\t\\r\\u0001\\u007f\""},
        {"a NUL", "a\0b", 3, "\"a\\u0000b\""},
        {"characters", "\xC3\xA9\xF0\x9F\x98\x80", 6, "\"\xC3\xA9\xF0\x9F\x98\x80\""},
        {"half a character", "a\xF0\x9F", 3, "\"a\xEF\xBF\xBD\""},
        {"no character", "\xFF\xFE", 2, "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clo_buf b = {0};
        clo_json_add_str(&b, (clo_str){rows[i].in, rows[i].len});
        if (!clo_str_eq(clo_buf_str(&b), clo_str_from(rows[i].want))) fail_msg("%s: %s", rows[i].why, b.ptr);
        clo_buf_free(&b);
    }
}

static void numbers_are_short_and_read_back(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *want;
    } rows[] = {{0, "0.0"},   {1, "1.0"},       {-0.5, "-0.5"},       {0.1, "0.1"},           {1.0 / 3, "0.3333333333333333"},
                {1e300, "1e+300"}, {-5.21, "-5.21"}, {123456789, "123456789.0"}, {0.30000000000000004, "0.30000000000000004"}};
    clo_buf b = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        b.len = 0;
        clo_json_add_num(&b, rows[i].v);
        assert_string_equal(b.ptr, rows[i].want);
    }
    uint64_t x = 88172645463325252U;
    for (int i = 0; i < 20000; i++) {
        double v;
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        memcpy(&v, &x, sizeof v);
        if (!isfinite(v)) continue;
        b.len = 0;
        clo_json_add_num(&b, v);
        assert_true(strtod(b.ptr, NULL) == v);
    }
    b.len = 0;
    clo_json_add_logprob(&b, -(double)INFINITY);
    assert_string_equal(b.ptr, "-9999.0");
    clo_buf_free(&b);
}

static void times_are_what_old_pythons_read(void **state)
{
    (void)state;
    char t[CLO_TIME_BYTES];
    assert_string_equal(clo_json_time(t, 1763859602000005), "2025-11-23T01:00:02.000005+00:00");
}

static void durations_have_units_or_are_seconds(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        bool ok;
        double want;
    } rows[] = {{"5m", true, 300},   {"1h30m", true, 5400}, {"300ms", true, 0.3}, {"90", true, 90}, {"0", true, 0},
                {"-1", true, -1},    {"-1m", true, -60},    {"1.5h", true, 5400}, {"2us", true, 2e-6}, {"", false, 0},
                {"soon", false, 0},  {"5", true, 5},        {"5x", false, 0},     {"m", false, 0},  {"1m5", false, 0},
                {"-", false, 0},     {"5 m", false, 0},     {"1e5s", false, 0},   {"0x5s", false, 0}, {"nan", false, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double v = -7;
        bool ok = clo_duration_parse(&v, clo_str_from(rows[i].in));
        if (ok != rows[i].ok || (ok && fabs(v - rows[i].want) > 1e-9)) fail_msg("'%s': %d %g", rows[i].in, ok, v);
    }
}

static void errors_have_their_status_and_shape(void **state)
{
    (void)state;
    clo_api_error e;
    clo_buf b = {0};
    assert_false(clo_api_fail(&e, CLO_API_NO_MODEL, "model", "model '%s' not found", "x\"y"));
    clo_api_error_json(&b, CLO_SURFACE_OPENAI, &e);
    assert_string_equal(b.ptr, "{\"error\":{\"message\":\"model 'x\\\"y' not found\",\"type\":\"invalid_request_error\","
                               "\"param\":\"model\",\"code\":\"model_not_found\"}}");
    b.len = 0;
    clo_api_error_json(&b, CLO_SURFACE_OLLAMA, &e);
    assert_string_equal(b.ptr, "{\"error\":\"model 'x\\\"y' not found\"}");
    b.len = 0;
    clo_api_fail(&e, CLO_API_INTERNAL, NULL, "x");
    clo_api_error_json(&b, CLO_SURFACE_OPENAI, &e);
    assert_string_equal(b.ptr, "{\"error\":{\"message\":\"x\",\"type\":\"server_error\",\"param\":null,\"code\":null}}");
    static const unsigned status[CLO_API_KINDS] = {200, 400, 400, 400, 401, 403, 403, 404, 404, 405, 413, 415, 429, 429, 500, 503, 503};
    for (int k = 0; k < CLO_API_KINDS; k++) assert_int_equal(clo_api_status((clo_api_kind)k), status[k]);
    clo_err err = {.code = CLO_ERR_IO, .text = "open '/secret/path': no"};
    clo_api_fail_err(&e, &err);
    assert_null(strstr(e.message, "secret"));
    clo_buf_free(&b);
}

/* The field that is complained of, "" for none. */
static const char *fault_of(const char *body, unsigned kinds, clo_params *p)
{
    static clo_api_error e;
    clo_arena a = {0};
    json_t *v = json(body);
    e = (clo_api_error){0};
    *p = clo_params_make(false);
    bool ok = clo_params_read(p, v, kinds, &a, &e);
    json_decref(v);
    clo_arena_free(&a);
    return ok ? "" : e.param;
}

static void parameters_have_types_and_ranges(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        unsigned kinds;
        const char *fault;
    } rows[] = {
        {"{}", CLO_PARAMS_CHAT, ""},
        {"{\"temperature\":null,\"n\":null,\"stop\":null,\"seed\":null}", CLO_PARAMS_CHAT, ""},
        {"{\"temperature\":2}", CLO_PARAMS_CHAT, ""},
        {"{\"temperature\":2.01}", CLO_PARAMS_CHAT, "temperature"},
        {"{\"temperature\":2.01}", CLO_PARAMS_OPTIONS, ""},
        {"{\"temperature\":\"1\"}", CLO_PARAMS_CHAT, "temperature"},
        {"{\"n\":8.0}", CLO_PARAMS_CHAT, ""},
        {"{\"n\":8.5}", CLO_PARAMS_CHAT, "n"},
        {"{\"n\":9}", CLO_PARAMS_CHAT, "n"},
        {"{\"max_tokens\":0}", CLO_PARAMS_CHAT, "max_tokens"},
        {"{\"max_tokens\":0}", CLO_PARAMS_COMPLETIONS, ""},
        {"{\"num_predict\":-1}", CLO_PARAMS_OPTIONS, ""},
        {"{\"num_predict\":-1}", CLO_PARAMS_CHAT, ""},
        {"{\"top_k\":1e300}", CLO_PARAMS_CHAT, "top_k"},
        {"{\"seed\":-9223372036854775807}", CLO_PARAMS_CHAT, ""},
        {"{\"seed\":0.5}", CLO_PARAMS_CHAT, "seed"},
        {"{\"logprobs\":true,\"top_logprobs\":20}", CLO_PARAMS_CHAT, ""},
        {"{\"top_logprobs\":2}", CLO_PARAMS_CHAT, "top_logprobs"},
        {"{\"logprobs\":5}", CLO_PARAMS_COMPLETIONS, ""},
        {"{\"logprobs\":true}", CLO_PARAMS_COMPLETIONS, "logprobs"},
        {"{\"best_of\":2,\"n\":2}", CLO_PARAMS_COMPLETIONS, ""},
        {"{\"best_of\":2}", CLO_PARAMS_COMPLETIONS, "best_of"},
        {"{\"stream_options\":{\"include_usage\":1}}", CLO_PARAMS_CHAT, "include_usage"},
        {"{\"logit_bias\":{\"-1\":5}}", CLO_PARAMS_CHAT, "logit_bias"},
        {"{\"logit_bias\":{\"99999999999\":5}}", CLO_PARAMS_CHAT, "logit_bias"},
        {"{\"modalities\":[\"text\"]}", CLO_PARAMS_CHAT, ""},
        {"{\"modalities\":[\"audio\"]}", CLO_PARAMS_CHAT, "modalities"},
    };
    clo_params p;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(fault_of(rows[i].body, rows[i].kinds, &p), rows[i].fault) != 0)
            fail_msg("%s: '%s'", rows[i].body, fault_of(rows[i].body, rows[i].kinds, &p));
    fault_of("{\"max_tokens\":9,\"max_completion_tokens\":5,\"temperature\":0.5}", CLO_PARAMS_CHAT, &p);
    assert_int_equal(p.n_max, 5);
    assert_true(p.temperature == 0.5 && isnan(p.top_p) && p.top_k == CLO_PARAMS_NONE);
}

static void the_sampler_takes_what_was_given_over_what_is_advised(void **state)
{
    (void)state;
    const clo_sampler_params base = {.temp = 0.7F, .top_k = 20, .top_p = 0.8F};
    clo_sampler_params out;
    clo_api_error e = {0};
    clo_params p = clo_params_make(false);
    assert_true(clo_params_sampler(&out, &p, &base, &e));
    assert_true(out.temp == 0.7F && out.top_k == 20 && out.top_p == 0.8F);
    p.temperature = 1.5;
    p.top_k = 0;
    assert_true(clo_params_sampler(&out, &p, &base, &e));
    assert_true(out.temp == 1.5F && out.top_k == 0 && out.top_p == 0.8F);
    p.top_p = 0;
    assert_true(clo_params_sampler(&out, &p, &base, &e));
    assert_true(out.temp == 0);
    p.repeat_penalty = 1.3;
    p.repeat_last_n = 0;
    assert_true(clo_params_sampler(&out, &p, &base, &e));
    assert_true(out.repeat_penalty == 0);
}

static void messages_come_to_one_form(void **state)
{
    (void)state;
    static const struct {
        const char *in, *want; /* want NULL: refused */
    } rows[] = {
        {"[{\"role\":\"Developer\",\"content\":\"x\"}]", "[{\"role\":\"system\",\"content\":\"x\"}]"},
        {"[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}],\"name\":\"n\"}]",
         "[{\"role\":\"user\",\"content\":\"a\\nb\",\"name\":\"n\"}]"},
        {"[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}]},"
         "{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"4\"}]",
         "[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}}]},"
         "{\"role\":\"tool\",\"content\":\"4\",\"tool_call_id\":\"c\",\"name\":\"f\"}]"},
        {"[{\"role\":\"assistant\",\"content\":null,\"function_call\":{\"name\":\"f\",\"arguments\":\"no json\"}},"
         "{\"role\":\"function\",\"name\":\"f\",\"content\":\"4\"}]",
         "[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"call_0_0\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"no json\"}}]},"
         "{\"role\":\"tool\",\"content\":\"4\",\"name\":\"f\"}]"},
        {"[{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_content\":\"y\",\"junk\":[1]}]",
         "[{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_content\":\"y\"}]"},
        {"[]", NULL},
        {"[1]", NULL},
        {"[{\"role\":\"user\"}]", NULL},
        {"[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]", NULL},
        {"[{\"role\":\"tool\",\"content\":\"x\"}]", NULL},
        {"[{\"role\":\"<|im_end|>\",\"content\":\"x\"}]", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *in = json(rows[i].in), *out = NULL, *want = rows[i].want ? json(rows[i].want) : NULL;
        clo_api_error e = {0};
        bool ok = clo_messages_read(&out, in, &e);
        if (ok != (want != NULL)) fail_msg("%s: %s", rows[i].in, e.message);
        if (want && !json_equal(out, want)) fail_msg("%s: %s", rows[i].in, json_dumps(out, 0));
        json_decref(in);
        json_decref(out);
        json_decref(want);
    }
}

static void split(const char *text, bool begun, size_t piece, clo_buf *thought, clo_buf *said)
{
    clo_thinking t = clo_thinking_make(begun);
    size_t len = strlen(text);
    thought->len = said->len = 0;
    for (size_t i = 0; i < len; i += piece)
        clo_thinking_add(&t, (clo_str){text + i, len - i < piece ? len - i : piece}, thought, said);
    clo_thinking_end(&t, thought, said);
}

static void thoughts_are_split_off_however_the_text_is_cut(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        bool begun;
        const char *thought, *said;
    } rows[] = {
        {"", false, "", ""},
        {"Four.", false, "", "Four."},
        {"<think>\nhm\n</think>\n\nFour.", false, "hm\n", "Four."},
        {"\n <think>hm</think>Four.", false, "hm", "Four."},
        {"hm</think>Four.", true, "hm", "Four."},
        {"\nhm <b> </thin </think> Four. <think>", true, "hm <b> </thin ", "Four. <think>"},
        {"<thinker>", false, "", "<thinker>"},
        {" <", false, "", " <"},
        {"<think>never ends </thi", false, "never ends </thi", ""},
        {"a<think>b</think>", false, "", "a<think>b</think>"},
        {"<think></think>x", false, "", "x"},
        {"<think><<</think></think>", false, "<<", "</think>"},
        {"                                                                                      x", false, "",
         "                                                                                      x"},
    };
    clo_buf thought = {0}, said = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t piece = 1; piece < 12; piece++) {
            split(rows[i].in, rows[i].begun, piece, &thought, &said);
            if (!clo_str_eq(clo_buf_str(&thought), clo_str_from(rows[i].thought)) ||
                !clo_str_eq(clo_buf_str(&said), clo_str_from(rows[i].said)))
                fail_msg("'%s' by %zu: '%.*s' '%.*s'", rows[i].in, piece, (int)thought.len, clo_buf_str(&thought).ptr,
                         (int)said.len, clo_buf_str(&said).ptr);
        }
    clo_buf_free(&thought);
    clo_buf_free(&said);
}

static void models_beyond_the_limit_count_as_other(void **state)
{
    (void)state;
    static const char *const routes[] = {"/a", "unknown"};
    clo_metrics *m = NULL;
    clo_buf out = {0};
    clo_err err = {0};
    char name[32];
    assert_true(clo_metrics_open(&m, routes, 2, "scalar", CLO_METRICS_LLAMACPP | CLO_METRICS_VLLM, &err));
    for (int i = 0; i < 80; i++) {
        snprintf(name, sizeof name, "m%d\"\\", i);
        clo_metrics_load(clo_metrics_model(m, name));
    }
    assert_ptr_equal(clo_metrics_model(m, "m3\"\\"), clo_metrics_model(m, "m3\"\\"));
    clo_metrics_show(m, &out, NULL, 0);
    assert_non_null(strstr(out.ptr, "cloche_model_loads_total{model=\"m3\\\"\\\\\"} 1\n"));
    assert_non_null(strstr(out.ptr, "cloche_model_loads_total{model=\"other\"} 16\n"));
    clo_buf_free(&out);
    clo_metrics_close(m);
}

static void every_route_has_a_handler_and_a_surface(void **state)
{
    (void)state;
    size_t n;
    const clo_route *r = clo_routes(&n);
    for (size_t i = 0; i < n; i++) {
        assert_true(r[i].path[0] == '/' && r[i].run && strchr("GPDH", r[i].method[0]));
        if (strncmp(r[i].path, "/api/", 5) == 0) assert_int_equal(r[i].surface, CLO_SURFACE_OLLAMA);
        for (size_t k = 0; k < i; k++)
            assert_false(strcmp(r[i].path, r[k].path) == 0 && strcmp(r[i].method, r[k].method) == 0);
    }
}

/* What comes from where a server should be. */
static void replies_are_read_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *why, *in;
        unsigned status; /* 0: refused */
        const char *body;
    } rows[] = {
        {"a reply", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, "{}"},
        {"no length", "HTTP/1.0 404 Not Found\r\n\r\nx", 404, "x"},
        {"no reason", "HTTP/1.1 204\r\n\r\n", 204, ""},
        {"nothing", "", 0, NULL},
        {"no end of the head", "HTTP/1.1 200 OK\r\n", 0, NULL},
        {"another protocol", "SSH-2.0 200 x\r\n\r\n", 0, NULL},
        {"a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", 0, NULL},
        {"a status that is none", "HTTP/1.1 099 OK\r\n\r\n", 0, NULL},
        {"cut off", "HTTP/1.1 200 OK\r\ncontent-length:3\r\n\r\n{}", 0, NULL},
        {"more than it says", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}", 0, NULL},
        {"a length that overflows", "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551618\r\n\r\n{}", 0, NULL},
        {"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned status = 0;
        clo_str body = {0};
        clo_err err = {0};
        bool ok = clo_ask_parse(&status, &body, clo_str_from(rows[i].in), &err);
        if (ok != (rows[i].status != 0)) fail_msg("%s: %s", rows[i].why, ok ? "was read" : err.text);
        if (ok && (status != rows[i].status || !clo_str_eq(body, clo_str_from(rows[i].body)))) fail_msg("%s: status %u", rows[i].why, status);
        if (!ok) assert_int_equal(err.code, CLO_ERR_FORMAT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_escaped_and_reads_back),
        cmocka_unit_test(numbers_are_short_and_read_back),
        cmocka_unit_test(times_are_what_old_pythons_read),
        cmocka_unit_test(durations_have_units_or_are_seconds),
        cmocka_unit_test(errors_have_their_status_and_shape),
        cmocka_unit_test(parameters_have_types_and_ranges),
        cmocka_unit_test(the_sampler_takes_what_was_given_over_what_is_advised),
        cmocka_unit_test(messages_come_to_one_form),
        cmocka_unit_test(thoughts_are_split_off_however_the_text_is_cut),
        cmocka_unit_test(models_beyond_the_limit_count_as_other),
        cmocka_unit_test(replies_are_read_or_refused),
        cmocka_unit_test(every_route_has_a_handler_and_a_surface),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
