/* The decoder's promise: how tokens are cut into steps, what else is in a call and how many threads work on it show in
 * no bit of the logits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tiny_model.h"

#define N_IDS 150

static int32_t ids[N_IDS];

static float *rows_of(const clo_decoder *d, size_t n)
{
    float *p = aligned_alloc(64, n * clo_decoder_logits_stride(d) * sizeof *p);
    assert_non_null(p);
    return p;
}

static clo_seq *new_seq(clo_decoder *d, size_t n_ctx)
{
    clo_seq *s = NULL;
    assert_true(clo_seq_open(&s, d, n_ctx, NULL));
    return s;
}

static void append(clo_decoder *d, clo_seq *s, size_t from, size_t n, float *logits)
{
    const clo_step step = {.seq = s, .ids = ids + from, .n = n, .n_logits = n, .logits = logits};
    clo_err err = {0};
    if (!clo_decoder_run(d, &step, 1, &err)) fail_msg("%s", err.text);
}

static float *expected; /* logits of all ids in one step, one thread */
static size_t row_floats;

static int set_up(void **state)
{
    (void)state;
    tiny_model t;
    for (int32_t i = 0; i < N_IDS; i++) ids[i] = (i * 7919 + 13) % 1024;
    if (!tiny_open(&t, 1, 512)) return 0;
    row_floats = clo_decoder_logits_stride(t.decoder);
    expected = rows_of(t.decoder, N_IDS);
    clo_seq *s = new_seq(t.decoder, 256);
    append(t.decoder, s, 0, N_IDS, expected);
    clo_seq_close(s);
    tiny_close(&t);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(expected);
    return 0;
}

static void assert_rows(const char *why, const float *got, size_t from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(got + i * row_floats, expected + (from + i) * row_floats, row_floats * sizeof *got) != 0)
            fail_msg("%s: logits of position %zu differ", why, from + i);
}

static void threads_and_chunks_show_in_no_bit(void **state)
{
    (void)state;
    if (!expected) skip();
    static const size_t threads[] = {1, 2, 3, 8}, chunks[] = {1, 7, 64, 512};
    for (size_t i = 0; i < 16; i++) {
        tiny_model t;
        assert_true(tiny_open(&t, threads[i / 4], chunks[i % 4]));
        float *got = rows_of(t.decoder, N_IDS);
        clo_seq *s = new_seq(t.decoder, 256);
        append(t.decoder, s, 0, N_IDS, got);
        char why[64];
        snprintf(why, sizeof why, "%zu threads, chunks of %zu", threads[i / 4], chunks[i % 4]);
        assert_rows(why, got, 0, N_IDS);
        clo_seq_close(s);
        free(got);
        tiny_close(&t);
    }
}

static void a_prefix_taken_back_leaves_no_trace(void **state)
{
    (void)state;
    tiny_model t;
    if (!tiny_open(&t, 2, 64)) skip();
    float *got = rows_of(t.decoder, N_IDS);
    clo_seq *s = new_seq(t.decoder, 256);
    append(t.decoder, s, 20, 100, got); /* other text first */
    clo_seq_truncate(s, 0);
    append(t.decoder, s, 0, 90, got);
    assert_rows("after other text", got, 0, 90);
    append(t.decoder, s, 3, 40, got); /* wrong guesses */
    clo_seq_truncate(s, 70);
    assert_int_equal(clo_seq_len(s), 70);
    append(t.decoder, s, 70, N_IDS - 70, got);
    assert_rows("after wrong guesses", got, 70, N_IDS - 70);
    clo_seq_close(s);
    free(got);
    tiny_close(&t);
}

/* Five sequences at different places grow together, by different numbers of tokens, with logits wanted of some. */
static void neighbours_in_a_call_show_in_no_bit(void **state)
{
    (void)state;
    tiny_model t;
    if (!tiny_open(&t, 2, 48)) skip();
    static const size_t first[] = {0, 1, 64, 100, 63}, then[] = {30, 1, 5, 50, 2}, wanted[] = {30, 1, 0, 7, 2};
    clo_step steps[5];
    float *got[5];
    for (size_t i = 0; i < 5; i++) {
        got[i] = rows_of(t.decoder, N_IDS);
        clo_seq *s = new_seq(t.decoder, 256);
        if (first[i]) append(t.decoder, s, 0, first[i], got[i]);
        steps[i] = (clo_step){.seq = s, .ids = ids + first[i], .n = then[i], .n_logits = wanted[i], .logits = got[i]};
    }
    assert_true(clo_decoder_run(t.decoder, steps, 5, NULL));
    for (size_t i = 0; i < 5; i++) {
        char why[64];
        snprintf(why, sizeof why, "sequence %zu", i);
        assert_int_equal(clo_seq_len(steps[i].seq), first[i] + then[i]);
        assert_rows(why, got[i], first[i] + then[i] - wanted[i], wanted[i]);
        clo_seq_close(steps[i].seq);
        free(got[i]);
    }
    tiny_close(&t);
}

/* The weights move from the mapped file to huge pages between passes, and a second opening maps what the first wrote. */
static void a_prepared_file_gives_the_same_bits_while_it_settles(void **state)
{
    (void)state;
    char path[4096], dir[] = "/tmp/cloche-test-XXXXXX", rm[64];
    if (!tiny_path(path)) skip();
    assert_non_null(mkdtemp(dir));
    for (int opening = 0; opening < 2; opening++) {
        tiny_model t = {0};
        assert_true(clo_pool_open(&t.pool, 2, NULL));
        assert_true(clo_model_open(&t.model, path, (clo_model_opts){.pool = t.pool, .data_dir = dir}, NULL));
        assert_true(clo_decoder_open(&t.decoder, t.model, t.pool, (clo_decoder_opts){0}, NULL));
        float *got = rows_of(t.decoder, N_IDS);
        clo_seq *s = new_seq(t.decoder, 256);
        const float *before = clo_model_final_norm(t.model);
        append(t.decoder, s, 0, 10, got);
        assert_ptr_equal(clo_model_final_norm(t.model), before);
        for (size_t i = 10; i < 40; i++) append(t.decoder, s, i, 1, got + i * row_floats);
        append(t.decoder, s, 40, N_IDS - 40, got + 40 * row_floats);
        for (int wait = 0; wait < 3000 && clo_model_settle(t.model, t.pool, SIZE_MAX); wait++) usleep(20000);
        assert_ptr_not_equal(clo_model_final_norm(t.model), before);
        assert_rows(opening ? "second opening" : "first opening", got, 0, N_IDS);
        clo_seq_close(s);
        free(got);
        tiny_close(&t);
    }
    clo_model_forget(path, dir);
    snprintf(rm, sizeof rm, "rmdir %s/prepared %s", dir, dir); /* nothing else was left there */
    assert_int_equal(system(rm), 0);
}

static void what_does_not_fit_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    tiny_model t;
    if (!tiny_open(&t, 1, 16)) skip();
    float *got = rows_of(t.decoder, 1);
    clo_seq *s = new_seq(t.decoder, 100);
    const int32_t bad[] = {1024}, negative[] = {-1};
    const struct {
        const char *why;
        clo_step step;
        clo_code want;
    } rows[] = {
        {"more tokens than the context", {s, ids, 101, 1, got, NULL}, CLO_ERR_LIMIT},
        {"an id beyond the vocabulary", {s, bad, 1, 1, got, NULL}, CLO_ERR_USAGE},
        {"a negative id", {s, negative, 1, 1, got, NULL}, CLO_ERR_USAGE},
        {"no tokens", {s, ids, 0, 0, got, NULL}, CLO_ERR_USAGE},
        {"more logits than tokens", {s, ids, 2, 3, got, NULL}, CLO_ERR_USAGE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        clo_err err = {0};
        if (clo_decoder_run(t.decoder, &rows[i].step, 1, &err) || err.code != rows[i].want)
            fail_msg("%s: code %d, expected %d", rows[i].why, (int)err.code, (int)rows[i].want);
        assert_int_equal(clo_seq_len(s), 0);
    }
    clo_seq_close(s);
    free(got);
    tiny_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_and_chunks_show_in_no_bit),
        cmocka_unit_test(a_prefix_taken_back_leaves_no_trace),
        cmocka_unit_test(neighbours_in_a_call_show_in_no_bit),
        cmocka_unit_test(a_prepared_file_gives_the_same_bits_while_it_settles),
        cmocka_unit_test(what_does_not_fit_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests_name("decoder", tests, set_up, tear_down);
}
