/* Streaming, generation, prefix reuse and prompt lookup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "infer/generate.h"
#include "infer/seq.h"
#include "infer/stream.h"
#include "tiny_model.h"

/* --- streaming ----------------------------------------------------------------------------------------------------*/

static void text_streams_whole_and_never_takes_back(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        const char *in;     /* pieces, cut at | */
        const char *stop;   /* or NULL */
        const char *out;    /* what each piece hands out, cut at |; the last is the end's */
        bool stopped;
    } rows[] = {
        {"plain text passes through", "Hel|lo", NULL, "Hel|lo|", false},
        {"a character in two pieces waits for its end", "a\xc3|\xa9z", NULL, "a|\xc3\xa9z|", false},
        {"an emoji byte by byte", "\xf0|\x9f|\x98|\x80", NULL, "|||\xf0\x9f\x98\x80|", false},
        {"a broken character becomes a mark", "\xe2\x82|x", NULL, "|\xef\xbf\xbdx|", false},
        {"an unfinished character at the end becomes a mark", "a\xe2\x82", NULL, "a|\xef\xbf\xbd", false},
        {"a stray byte is replaced at once", "\x80" "b", NULL, "\xef\xbf\xbd" "b|", false},
        {"a stop text is cut", "say END now", "END", "say |", true},
        {"a stop text across pieces is held", "a E|N|D b", "END", "a |||", true},
        {"what only looked like one comes later", "a EN|X", "END", "a |ENX|", false},
        {"what only looked like one comes at the end", "a EN", "END", "a |EN", false},
        {"the longest beginning is held", "aab|aac", "aabaac", "||", true},
        {"a beginning inside a held part", "aabaab|aac", "aabaac", "aab||", true},
        {"an empty stop text never matches", "abc", "", "abc|", false},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        clo_str stop = clo_str_from(rows[r].stop);
        clo_stream s = {.stops = &stop, .n_stops = rows[r].stop ? 1 : 0};
        clo_buf got = {0};
        const char *p = rows[r].in;
        for (bool more = true; more;) {
            size_t n = strcspn(p, "|");
            clo_stream_add(&s, (clo_str){p, n});
            clo_buf_add(&got, clo_stream_take(&s));
            clo_buf_add_char(&got, '|');
            more = p[n] != '\0';
            p += n + 1;
        }
        clo_stream_end(&s);
        clo_buf_add(&got, clo_stream_take(&s));
        clo_str g = clo_buf_str(&got);
        if (!clo_str_eq(g, clo_str_from(rows[r].out)) || s.stopped != rows[r].stopped)
            fail_msg("%s: got '%.*s', stopped %d", rows[r].why, (int)g.len, g.ptr, s.stopped);
        clo_stream_free(&s);
        clo_buf_free(&got);
    }
}

/* --- generation ---------------------------------------------------------------------------------------------------*/

#define N_OUT 60

typedef struct {
    int32_t ids[N_OUT];
    size_t n;
    clo_sha256 chain;
} answer;

static const int32_t prompt[] = {5, 9, 200, 17, 5, 9, 200, 17, 5, 9, 200, 17, 5, 9};
#define N_PROMPT (sizeof prompt / sizeof *prompt)

static answer run(clo_gen *g, clo_sampler_params p, uint64_t seed, bool lookup, clo_gen_result *r)
{
    answer a = {.n = 0};
    clo_err err = {0};
    const clo_gen_opts o = {.sampler = &p, .seed = seed, .n_max = N_OUT, .lookup = lookup, .chain = true,
                            .ignore_stop_ids = true};
    if (!clo_gen_run(g, prompt, N_PROMPT, &o, r, &err)) fail_msg("%s", err.text);
    assert_int_equal(r->n_ids, N_OUT);
    memcpy(a.ids, r->ids, sizeof a.ids);
    a.n = r->n_ids;
    a.chain = r->chain[r->n_ids - 1];
    return a;
}

static bool same(const answer *a, const answer *b)
{
    return a->n == b->n && memcmp(a->ids, b->ids, sizeof a->ids) == 0 && clo_sha256_eq(&a->chain, &b->chain);
}

static void an_answer_does_not_depend_on_how_it_was_computed(void **state)
{
    (void)state;
    static const struct {
        size_t threads, chunk;
        bool lookup;
    } ways[] = {{1, 1, false}, {2, 0, false}, {1, 5, true}, {2, 0, true}, {3, 64, true}};
    static const clo_sampler_params settings[] = {
        {0},
        {.temp = 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = 0.05f},
        {.temp = 1.2f, .repeat_penalty = 1.3f, .frequency_penalty = 0.1f},
    };
    for (size_t k = 0; k < sizeof settings / sizeof *settings; k++) {
        answer first = {.n = 0};
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
            tiny_model t;
            clo_gen *g = NULL;
            clo_gen_result r;
            if (!tiny_open(&t, ways[w].threads, ways[w].chunk)) skip();
            assert_true(clo_gen_open(&g, t.decoder, 0, NULL));
            for (int again = 0; again < 2; again++) { /* the second time the prompt is in the cache */
                answer a = run(g, settings[k], 11, ways[w].lookup, &r);
                assert_int_equal(r.n_reused, again ? N_PROMPT - 1 : 0);
                if (w == 0 && !again) first = a;
                if (!same(&a, &first)) fail_msg("settings %zu, way %zu, time %d: another answer", k, w, again);
            }
            clo_gen_close(g);
            tiny_close(&t);
        }
    }
}

static void lookup_finds_what_repeats(void **state)
{
    (void)state;
    tiny_model t;
    clo_gen *g = NULL;
    clo_gen_result r;
    if (!tiny_open(&t, 1, 0)) skip();
    assert_true(clo_gen_open(&g, t.decoder, 0, NULL));
    run(g, (clo_sampler_params){0}, 0, true, &r);
    print_message("%zu guesses, %zu held, %zu steps for %d tokens\n", r.n_drafted, r.n_accepted, r.n_steps, N_OUT);
    assert_true(r.n_accepted <= r.n_drafted);
    clo_gen_close(g);
    tiny_close(&t);
}

static void seeds_give_other_answers_and_the_same_ones_again(void **state)
{
    (void)state;
    tiny_model t;
    clo_gen *g = NULL;
    clo_gen_result r;
    const clo_sampler_params p = {.temp = 1.0f};
    if (!tiny_open(&t, 2, 0)) skip();
    assert_true(clo_gen_open(&g, t.decoder, 0, NULL));
    answer a = run(g, p, 1, false, &r), b = run(g, p, 2, false, &r), c = run(g, p, 1, true, &r);
    assert_false(same(&a, &b));
    assert_true(same(&a, &c));
    clo_gen_close(g);
    tiny_close(&t);
}

static void a_longer_conversation_computes_only_what_is_new(void **state)
{
    (void)state;
    tiny_model t;
    clo_gen *g = NULL, *fresh = NULL;
    clo_gen_result r, f;
    int32_t more[N_PROMPT + 30];
    const clo_gen_opts o = {.n_max = 20, .ignore_stop_ids = true, .chain = true};
    if (!tiny_open(&t, 2, 0)) skip();
    assert_true(clo_gen_open(&g, t.decoder, 256, NULL) && clo_gen_open(&fresh, t.decoder, 256, NULL));
    assert_true(clo_gen_run(g, prompt, N_PROMPT, &o, &r, NULL));
    memcpy(more, prompt, sizeof prompt);
    memcpy(more + N_PROMPT, r.ids, 20 * sizeof *more);
    for (int i = 20; i < 30; i++) more[N_PROMPT + i] = 40 + i;
    assert_true(clo_gen_run(g, more, N_PROMPT + 30, &o, &r, NULL));
    assert_int_equal(r.n_reused, N_PROMPT + 19); /* all but the newest token, whose place was never computed */
    assert_true(clo_gen_run(fresh, more, N_PROMPT + 30, &o, &f, NULL));
    assert_int_equal(f.n_reused, 0);
    assert_memory_equal(r.ids, f.ids, 20 * sizeof *r.ids);
    assert_true(clo_sha256_eq(&r.chain[19], &f.chain[19]));
    more[3]++; /* parts at the fourth token */
    assert_true(clo_gen_run(g, more, N_PROMPT, &o, &r, NULL));
    assert_int_equal(r.n_reused, 3);
    clo_gen_close(g);
    clo_gen_close(fresh);
    tiny_close(&t);
}

static void the_context_ends_without_harm(void **state)
{
    (void)state;
    tiny_model t;
    clo_gen *g = NULL;
    clo_gen_result r;
    clo_err err = {0};
    const clo_gen_opts o = {.ignore_stop_ids = true, .lookup = true};
    const int32_t outside[] = {1, 1 << 20};
    if (!tiny_open(&t, 1, 0)) skip();
    assert_true(clo_gen_open(&g, t.decoder, N_PROMPT + 7, NULL));
    assert_true(clo_gen_run(g, prompt, N_PROMPT, &o, &r, NULL));
    assert_int_equal(r.n_ids, 7);
    assert_int_equal(r.finish, CLO_FINISH_LENGTH);
    assert_true(r.context_full);
    clo_gen_close(g);
    assert_true(clo_gen_open(&g, t.decoder, N_PROMPT, NULL));
    assert_false(clo_gen_run(g, prompt, N_PROMPT, &o, &r, &err));
    assert_int_equal(err.code, CLO_ERR_LIMIT);
    assert_non_null(strstr(err.text, "--ctx"));
    assert_false(clo_gen_run(g, prompt, 0, &o, &r, &err));
    assert_false(clo_gen_run(g, outside, 2, &o, &r, &err));
    assert_true(clo_gen_run(g, prompt, 4, &o, &r, NULL)); /* and it goes on */
    clo_gen_close(g);
    tiny_close(&t);
}

/* A grammar: an even id, then an odd one, and so on. It counts, to see that it is asked for each token once and in order. */
typedef struct {
    size_t n_asked;
    bool skipped;
} parity;

static void even_then_odd(void *ctx, float *logits, size_t n_vocab, const int32_t *ids, size_t n_ids)
{
    parity *y = ctx;
    y->skipped |= n_ids != y->n_asked++ || (n_ids > 0 && (size_t)ids[n_ids - 1] % 2 != (n_ids - 1) % 2);
    for (size_t id = 0; id < n_vocab; id++)
        if (id % 2 != n_ids % 2) logits[id] = -__builtin_inff();
}

static void forbid_all(void *ctx, float *logits, size_t n_vocab, const int32_t *ids, size_t n_ids)
{
    (void)ctx, (void)ids;
    for (size_t id = 0; n_ids == 3 && id < n_vocab; id++) logits[id] = -__builtin_inff();
}

static void a_mask_decides_what_may_come(void **state)
{
    (void)state;
    const clo_sampler_params p = {.temp = 0.8f, .top_p = 0.95f};
    tiny_model t;
    clo_gen *g = NULL;
    clo_gen_result r;
    clo_err err = {0};
    int32_t first[N_OUT];
    if (!tiny_open(&t, 1, 0)) skip();
    assert_true(clo_gen_open(&g, t.decoder, 0, NULL));
    for (int lookup = 0; lookup < 2; lookup++) {
        parity y = {0};
        const clo_gen_opts o = {.sampler = &p, .n_max = N_OUT, .ignore_stop_ids = true, .lookup = lookup,
                                .mask = even_then_odd, .ctx = &y};
        assert_true(clo_gen_run(g, prompt, N_PROMPT, &o, &r, NULL));
        assert_true(y.n_asked == N_OUT && !y.skipped);
        for (int i = 0; i < N_OUT; i++) assert_int_equal(r.ids[i] % 2, i % 2);
        if (lookup) assert_memory_equal(first, r.ids, sizeof first);
        memcpy(first, r.ids, sizeof first);
    }
    clo_gen_opts o = {.ignore_stop_ids = true, .mask = forbid_all};
    assert_false(clo_gen_run(g, prompt, N_PROMPT, &o, &r, &err));
    assert_int_equal(err.code, CLO_ERR_FORMAT);
    assert_int_equal(r.n_ids, 3);
    clo_gen_close(g);
    tiny_close(&t);
}

/* The chain of a masked answer covers the logits as they were before the mask: those of one pass over all of it. */
static void a_chain_covers_what_the_mask_has_not_touched(void **state)
{
    (void)state;
    const clo_sampler_params p = {.temp = 0.8f};
    tiny_model t;
    clo_gen *g = NULL;
    clo_seq *seq = NULL;
    clo_gen_result r;
    int32_t all[N_PROMPT + N_OUT];
    parity y = {0};
    const clo_gen_opts o = {.sampler = &p, .n_max = N_OUT, .ignore_stop_ids = true, .lookup = true, .chain = true,
                            .mask = even_then_odd, .ctx = &y};
    if (!tiny_open(&t, 1, 0)) skip();
    size_t stride = clo_decoder_logits_stride(t.decoder);
    float *rows = aligned_alloc(64, N_OUT * stride * sizeof *rows);
    assert_true(clo_gen_open(&g, t.decoder, 0, NULL) && clo_gen_run(g, prompt, N_PROMPT, &o, &r, NULL));
    memcpy(all, prompt, sizeof prompt);
    memcpy(all + N_PROMPT, r.ids, N_OUT * sizeof *all);
    assert_true(clo_seq_open(&seq, t.decoder, N_PROMPT + N_OUT, NULL));
    const clo_step st = {.seq = seq, .ids = all, .n = N_PROMPT + N_OUT - 1, .n_logits = N_OUT, .logits = rows};
    assert_true(clo_decoder_run(t.decoder, &st, 1, NULL));
    clo_sha256 link = {{0}};
    for (size_t i = 0; i < N_OUT; i++) {
        clo_top top[CLO_CHAIN_TOP] = {{0}};
        clo_top_logits(top, CLO_CHAIN_TOP, rows + i * stride, clo_gen_vocab(clo_decoder_model(t.decoder)));
        link = clo_chain_link(&link, r.ids[i], top);
        assert_memory_equal(link.b, r.chain[i].b, sizeof link.b);
    }
    clo_seq_close(seq);
    free(rows);
    clo_gen_close(g);
    tiny_close(&t);
}

/* Says yes after so many questions. */
static bool counts_down(void *ctx)
{
    return (*(int *)ctx)-- == 0;
}

static void a_cancelled_run_ends_at_once_and_harms_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        size_t n_prompt;
        int n_passes; /* of the decoder until the question is answered with yes */
        size_t n_ids; /* output by then */
    } rows[] = {
        {"before anything", N_PROMPT, 0, 0},
        {"after the prompt", N_PROMPT, 1, 1},
        {"in the answer", N_PROMPT, 5, 5},
        {"in a long prompt", 700, 1, 0},
    };
    int32_t ids[700];
    for (int i = 0; i < 700; i++) ids[i] = prompt[i % (int)N_PROMPT];
    tiny_model t;
    if (!tiny_open(&t, 1, 0)) skip();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clo_gen *g = NULL, *fresh = NULL;
        clo_gen_result r, f;
        int n_left = rows[i].n_passes;
        const clo_gen_opts until = {.ignore_stop_ids = true, .cancelled = counts_down, .ctx = &n_left};
        const clo_gen_opts whole = {.ignore_stop_ids = true, .n_max = 9};
        assert_true(clo_gen_open(&g, t.decoder, 800, NULL) && clo_gen_open(&fresh, t.decoder, 800, NULL));
        assert_true(clo_gen_run(g, ids, rows[i].n_prompt, &until, &r, NULL));
        if (r.finish != CLO_FINISH_CANCELLED || r.n_ids != rows[i].n_ids || r.context_full)
            fail_msg("%s: %s after %zu", rows[i].why, clo_finish_name(r.finish), r.n_ids);
        assert_true(clo_gen_run(g, ids, rows[i].n_prompt, &whole, &r, NULL)); /* and the next one is as ever */
        assert_true(clo_gen_run(fresh, ids, rows[i].n_prompt, &whole, &f, NULL));
        assert_int_equal(r.n_ids, 9);
        assert_memory_equal(r.ids, f.ids, 9 * sizeof *r.ids);
        clo_gen_close(g);
        clo_gen_close(fresh);
    }
    tiny_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_streams_whole_and_never_takes_back),
        cmocka_unit_test(an_answer_does_not_depend_on_how_it_was_computed),
        cmocka_unit_test(lookup_finds_what_repeats),
        cmocka_unit_test(seeds_give_other_answers_and_the_same_ones_again),
        cmocka_unit_test(a_longer_conversation_computes_only_what_is_new),
        cmocka_unit_test(the_context_ends_without_harm),
        cmocka_unit_test(a_mask_decides_what_may_come),
        cmocka_unit_test(a_chain_covers_what_the_mask_has_not_touched),
        cmocka_unit_test(a_cancelled_run_ends_at_once_and_harms_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
