/* Receipts: what is written reads back, what is cut or altered is refused or found out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "infer/receipt.h"
#include "tiny_model.h"

#define N_OUT 40

static const int32_t prompt[] = {5, 9, 200, 17, 5, 9, 200};
#define N_PROMPT (sizeof prompt / sizeof *prompt)

/* A receipt that needs no model. */
static clo_receipt made_up(void)
{
    static clo_logit_bias bias[] = {{7, 1.5f}, {8, -__builtin_inff()}};
    clo_receipt r = {.profile = "n1", .kv = "F16", .version = "0.1.0", .seed = UINT64_MAX, .finish = "length",
                     .has_template = true, .n_prompt = 1};
    r.sampler = (clo_sampler_params){.temp = 0.7f, .top_k = 40, .top_p = 0.95f, .repeat_penalty = 1.1f,
                                     .penalty_last_n = -1, .order = CLO_SAMPLER_ORDER_HF, .n_bias = 2};
    r.sampler.bias = malloc(sizeof bias);
    memcpy((void *)(uintptr_t)r.sampler.bias, bias, sizeof bias);
    r.model.b[0] = 1;
    r.template_text.b[31] = 0xff;
    r.prompt_sha256.b[3] = 9;
    for (int i = 0; i < 3; i++) assert_true(clo_ids_push(&r.output, i * 1000, NULL));
    r.links = malloc(3 * CLO_RECEIPT_LINK_BYTES);
    memset(r.links, 0xab, 3 * CLO_RECEIPT_LINK_BYTES);
    memset(r.chain.b, 0xab, CLO_RECEIPT_LINK_BYTES);
    return r;
}

/* The same for an answer that was held to a schema. */
static clo_receipt made_up_held(void)
{
    clo_receipt r = made_up();
    json_t *schema = json_pack("{s:s, s:[s, f]}", "type", "string", "enum", "\"x\"", 0.1);
    snprintf(r.grammar_version, sizeof r.grammar_version, "g1");
    assert_true(clo_grammar_source_of_schema(&r.grammar, schema, NULL));
    json_decref(schema);
    return r;
}

static clo_buf format(const clo_receipt *r)
{
    clo_buf b = {0};
    clo_err err = {0};
    if (!clo_receipt_format(&b, r, &err)) fail_msg("%s", err.text);
    return b;
}

static void reads_back(clo_receipt r)
{
    clo_receipt again = {0};
    clo_buf a = format(&r);
    clo_err err = {0};
    if (!clo_receipt_parse(&again, clo_buf_str(&a), &err)) fail_msg("%s", err.text);
    clo_buf b = format(&again);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.ptr, b.ptr, a.len);
    assert_true(again.seed == UINT64_MAX);
    assert_true(again.sampler.temp == 0.7f);
    assert_int_equal(again.grammar.kind, r.grammar.kind);
    assert_true(clo_str_eq(clo_buf_str(&again.grammar.text), clo_buf_str(&r.grammar.text)));
    clo_buf_free(&a);
    clo_buf_free(&b);
    clo_receipt_free(&r);
    clo_receipt_free(&again);
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    reads_back(made_up());
    reads_back(made_up_held());
}

static void every_cut_is_refused_and_no_byte_breaks_the_reader(void **state)
{
    (void)state;
    clo_receipt r = made_up_held(), got = {0};
    clo_buf b = format(&r);
    char *copy = malloc(b.len);
    for (size_t n = 0; n < b.len; n++) {
        char *cut = malloc(n + 1);
        memcpy(cut, b.ptr, n);
        if (clo_receipt_parse(&got, (clo_str){cut, n}, NULL)) fail_msg("cut at %zu of %zu was taken", n, b.len);
        free(cut);
    }
    for (size_t i = 0; i < b.len; i++) {
        memcpy(copy, b.ptr, b.len);
        copy[i] ^= 1;
        if (clo_receipt_parse(&got, (clo_str){copy, b.len}, NULL)) clo_receipt_free(&got);
    }
    free(copy);
    clo_buf_free(&b);
    clo_receipt_free(&r);
}

static void what_has_another_spelling_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *why, *from, *to;
    } rows[] = {
        {"another kind", "\"rcp1\"", "\"rcp2\""},
        {"a field more", "\"seed\"", "\"more\": 1, \"seed\""},
        {"a field twice", "\"seed\"", "\"seed\": \"1\", \"seed\""},
        {"a missing field", "\"salt\"", "\"slat\""},
        {"a seed with a sign", "\"18446744073709551615\"", "\"-1\""},
        {"a seed with a zero before it", "\"18446744073709551615\"", "\"01\""},
        {"a seed that overflows", "\"18446744073709551615\"", "\"18446744073709551616\""},
        {"a decimal float", "\"temp\": \"0x1.666666p-1\"", "\"temp\": \"0.7\""},
        {"a float that is none", "\"temp\": \"0x1.666666p-1\"", "\"temp\": \"nan\""},
        {"a temperature below zero", "\"temp\": \"0x1.666666p-1\"", "\"temp\": \"-0x1p+0\""},
        {"upper-case hex", "\"model\": \"01", "\"model\": \"0A"},
        {"a count that is not the list's", "\"output\": {\"n\": 3", "\"output\": {\"n\": 4"},
        {"a negative token", "[0,1000", "[-1,1000"},
        {"a token that is too large", "[0,1000", "[0,2147483648"},
        {"a finish that is unknown", "\"length\"", "\"bored\""},
        {"links of another length", "\"links\": \"abab", "\"links\": \"ab"},
        {"a head that is not the last link", "\"head\": \"ab", "\"head\": \"ac"},
        {"prompt tokens without the prompt's digest", "\"tokens\": null", "\"tokens\": [1]"},
        {"an unknown order", "\"hf\"", "\"fh\""},
        {"a grammar of no kind", "\"kind\": \"schema\"", "\"kind\": \"none\""},
        {"a grammar without its digest", "\"sha256\": \"329", "\"sha256\": \"328"},
        {"a grammar in another spelling", "{\\\"type", "{ \\\"type"},
        {"a grammar that is no JSON", "{\\\"type", "\\\"type"},
        {"a grammar with a field more", "\"version\": \"g1\"", "\"version\": \"g1\", \"more\": 1"},
        {"a grammar that is null", "\"grammar\": {", "\"grammar\": null, \"x\": {"},
        {"bytes after the end", "}\n}\n", "}\n}\n}\n"},
    };
    clo_receipt r = made_up_held(), got = {0};
    clo_buf b = format(&r);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clo_buf t = {0};
        char *at = strstr(b.ptr, rows[i].from);
        if (!at) fail_msg("%s: '%s' is not in the text", rows[i].why, rows[i].from);
        clo_buf_add(&t, (clo_str){b.ptr, (size_t)(at - b.ptr)});
        clo_buf_add(&t, clo_str_from(rows[i].to));
        clo_buf_add(&t, clo_str_from(at + strlen(rows[i].from)));
        if (clo_receipt_parse(&got, clo_buf_str(&t), NULL)) fail_msg("%s was taken", rows[i].why);
        clo_buf_free(&t);
    }
    clo_buf_free(&b);
    clo_receipt_free(&r);
}

/* Makes an answer on one decoder and its receipt. */
static clo_receipt answer(const tiny_model *t, bool is_private)
{
    const clo_sampler_params p = {.temp = 0.9f, .top_k = 30, .repeat_penalty = 1.1f};
    const clo_gen_opts o = {.sampler = &p, .seed = 77, .n_max = N_OUT, .ignore_stop_ids = true, .chain = true,
                            .lookup = true};
    clo_gen *g = NULL;
    clo_gen_result result;
    clo_receipt r = {0};
    clo_err err = {0};
    assert_true(clo_gen_open(&g, t->decoder, 128, NULL));
    assert_true(clo_gen_run(g, prompt, N_PROMPT, &o, &result, NULL));
    const clo_receipt_facts f = {.result = &result, .prompt = prompt, .sampler = &p, .seed = 77, .version = "0.1.0",
                                 .private_prompt = is_private};
    if (!clo_receipt_make(&r, t->decoder, &f, &err)) fail_msg("%s", err.text);
    clo_gen_close(g);
    return r;
}

static void an_answer_replays_elsewhere_and_every_alteration_is_found(void **state)
{
    (void)state;
    tiny_model t, other;
    clo_replay_verdict v;
    if (!tiny_open(&t, 2, 0)) skip();
    assert_true(tiny_open(&other, 1, 3)); /* other threads, other chunks */
    clo_receipt r = answer(&t, false);
    assert_true(clo_receipt_replay(&r, other.decoder, NULL, NULL, &v, NULL));
    assert_true(v.same && v.same_program);
    assert_int_equal(v.n_checked, N_OUT);

    for (size_t i = 0; i < N_OUT; i += 13) { /* another token */
        int32_t was = r.output.ids[i];
        r.output.ids[i] = (was + 1) % 1000;
        assert_true(clo_receipt_replay(&r, other.decoder, NULL, NULL, &v, NULL));
        assert_false(v.same);
        assert_string_equal(v.what, "token");
        assert_int_equal(v.at, i);
        assert_int_equal(v.found, was);
        r.output.ids[i] = was;
    }
    for (size_t i = 0; i < N_OUT; i += 13) { /* another link */
        r.links[i * CLO_RECEIPT_LINK_BYTES + 7] ^= 1;
        assert_true(clo_receipt_replay(&r, other.decoder, NULL, NULL, &v, NULL));
        assert_string_equal(v.what, "logits");
        assert_int_equal(v.at, i);
        r.links[i * CLO_RECEIPT_LINK_BYTES + 7] ^= 1;
    }
    r.chain.b[31] ^= 1; /* the head beyond what links show */
    assert_true(clo_receipt_replay(&r, other.decoder, NULL, NULL, &v, NULL));
    assert_string_equal(v.what, "logits");
    r.chain.b[31] ^= 1;
    r.seed++;
    assert_true(clo_receipt_replay(&r, other.decoder, NULL, NULL, &v, NULL));
    assert_string_equal(v.what, "token");
    r.seed--;
    r.model.b[0] ^= 1;
    assert_true(clo_receipt_replay(&r, other.decoder, NULL, NULL, &v, NULL));
    assert_string_equal(v.what, "model");
    r.model.b[0] ^= 1;
    r.prompt.ids[0]++;
    assert_true(clo_receipt_replay(&r, other.decoder, NULL, NULL, &v, NULL));
    assert_string_equal(v.what, "prompt");
    clo_receipt_free(&r);
    tiny_close(&other);
    tiny_close(&t);
}

static void an_answer_made_again_by_other_means_is_compared(void **state)
{
    (void)state;
    clo_receipt r = made_up();
    clo_sha256 chain[3];
    int32_t ids[] = {0, 1000, 2000};
    clo_replay_verdict v = {0};
    memset(chain, 0xab, sizeof chain);
    memset(chain[2].b + CLO_RECEIPT_LINK_BYTES, 0, sizeof chain[2].b - CLO_RECEIPT_LINK_BYTES);
    clo_receipt_check_answer(&r, ids, chain, 3, &v);
    assert_true(v.same);
    assert_int_equal(v.n_checked, 3);

    v = (clo_replay_verdict){0}; /* it ended early */
    clo_receipt_check_answer(&r, ids, chain, 2, &v);
    assert_false(v.same);
    assert_string_equal(v.what, "token");
    assert_int_equal(v.at, 2);
    assert_int_equal(v.stated, 2000);
    assert_int_equal(v.found, -1);

    v = (clo_replay_verdict){0}; /* the head is compared in full */
    chain[2].b[31] = 1;
    clo_receipt_check_answer(&r, ids, chain, 3, &v);
    assert_string_equal(v.what, "logits");
    assert_int_equal(v.at, 2);

    v = (clo_replay_verdict){0};
    chain[0].b[0] ^= 1;
    ids[1] = 7; /* the first difference is told */
    clo_receipt_check_answer(&r, ids, chain, 3, &v);
    assert_string_equal(v.what, "logits");
    assert_int_equal(v.at, 0);
    assert_int_equal(v.n_checked, 0);
    clo_receipt_free(&r);
}

static void a_private_receipt_hides_its_prompt_and_opens_with_it(void **state)
{
    (void)state;
    tiny_model t;
    clo_replay_verdict v;
    clo_err err = {0};
    clo_receipt got = {0};
    clo_ids given = {0};
    if (!tiny_open(&t, 2, 0)) skip();
    clo_receipt r = answer(&t, true);
    clo_buf b = format(&r);
    assert_true(clo_receipt_parse(&got, clo_buf_str(&b), NULL));
    assert_int_equal(got.prompt.n, 0);
    assert_false(clo_receipt_replay(&got, t.decoder, NULL, NULL, &v, &err));
    assert_int_equal(err.code, CLO_ERR_USAGE);
    for (size_t i = 0; i < N_PROMPT; i++) assert_true(clo_ids_push(&given, prompt[i], NULL));
    assert_true(clo_receipt_replay(&got, t.decoder, &given, NULL, &v, NULL));
    assert_true(v.same);
    given.ids[2]++;
    assert_true(clo_receipt_replay(&got, t.decoder, &given, NULL, &v, NULL));
    assert_string_equal(v.what, "prompt");
    clo_ids_free(&given);
    clo_buf_free(&b);
    clo_receipt_free(&got);
    clo_receipt_free(&r);
    tiny_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(every_cut_is_refused_and_no_byte_breaks_the_reader),
        cmocka_unit_test(what_has_another_spelling_is_refused),
        cmocka_unit_test(an_answer_replays_elsewhere_and_every_alteration_is_found),
        cmocka_unit_test(an_answer_made_again_by_other_means_is_compared),
        cmocka_unit_test(a_private_receipt_hides_its_prompt_and_opens_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
