/* Texts to vectors: pooling by hand, tokens cut as asked, and the same bits alone, in a crowd, for every number of threads, and
 * from the scheduler, whatever else it computes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/random.h"
#include "infer/embed.h"
#include "infer/scheduler.h"
#include "tiny_model.h"

enum { N_TEXTS = 90, N_TOKENS_MAX = 150 };

static size_t draw(uint64_t i, uint64_t what, size_t n)
{
    return (size_t)(clo_random_unit(78, CLO_RANDOM_TEST, i, what) * (double)n);
}

/* Texts of 1 to n_max tokens. */
static clo_ids *make_texts(const clo_model *m, size_t n_max)
{
    clo_ids *texts = calloc(N_TEXTS, sizeof *texts);
    for (size_t i = 0; i < N_TEXTS; i++)
        for (size_t k = 0, n = i == 0 ? 1 : i == 1 ? n_max : 1 + draw(i, 0, i % 5 ? 20 : n_max); k < n; k++)
            assert_true(clo_ids_push(&texts[i], (int32_t)draw(i, 1 + k, clo_model_spec(m)->n_vocab), NULL));
    return texts;
}

static void free_texts(clo_ids *texts)
{
    for (size_t i = 0; i < N_TEXTS; i++) clo_ids_free(&texts[i]);
    free(texts);
}

static float *all_vectors(clo_decoder *d, const clo_ids *texts)
{
    clo_err err = {0};
    float *v = calloc(N_TEXTS * clo_model_spec(clo_decoder_model(d))->n_dim, sizeof *v);
    if (!clo_embed_run(d, texts, N_TEXTS, v, &err)) fail_msg("%s", err.text);
    return v;
}

/* --- pooling ------------------------------------------------------------------------------------------------------*/

static void pooling_is_what_its_name_says(void **state)
{
    (void)state;
    static const float rows[3][4] = {{3, 0, 1, 9}, {0, 8, 2, 9}, {3, 4, 0, 9}}; /* 3 numbers and fill */
    static const struct {
        clo_pool_kind kind;
        float want[3];
    } cases[] = {{CLO_POOL_MEAN, {2, 4, 1}}, {CLO_POOL_FIRST, {3, 0, 1}}, {CLO_POOL_LAST, {3, 4, 0}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float v[3] = {0}, length = 0;
        clo_pooled p = {.kind = cases[i].kind, .n_dim = 3, .v = v};
        clo_pooled_add(&p, rows[0], 4, 0, 2);
        clo_pooled_add(&p, rows[0], 4, 0, 1); /* computed again */
        clo_pooled_add(&p, rows[1], 4, 1, 2);
        assert_int_equal(p.n_seen, 3);
        clo_pooled_end(&p);
        for (size_t k = 0; k < 3; k++) length += cases[i].want[k] * cases[i].want[k];
        for (size_t k = 0; k < 3; k++) assert_float_equal(v[k], cases[i].want[k] / sqrtf(length), 1e-6f);
    }
    float zero[2] = {0, 0};
    clo_embed_normalise(zero, 2);
    assert_true(zero[0] == 0 && zero[1] == 0);
}

/* --- tokens -------------------------------------------------------------------------------------------------------*/

static void a_long_text_is_cut_or_refused(void **state)
{
    (void)state;
    tiny_model t;
    clo_ids whole = {0}, cut = {0};
    clo_err err = {0};
    tiny_text_open(&t, "bert", 1);
    clo_str text = CLO_STR("the bell of glass, a bell of glass.");
    assert_true(clo_embed_encode(&whole, t.model, text, 100, false, &err));
    assert_true(whole.n > 8 && whole.ids[0] == 2 && whole.ids[whole.n - 1] == 3);
    assert_true(clo_embed_encode(&cut, t.model, text, 6, true, &err));
    assert_int_equal(cut.n, 6);
    assert_memory_equal(cut.ids, whole.ids, 5 * sizeof *cut.ids); /* [CLS] and the first four */
    assert_int_equal(cut.ids[5], 3);                             /* [SEP] */
    assert_false(clo_embed_encode(&cut, t.model, text, whole.n - 1, false, &err));
    assert_int_equal(err.code, CLO_ERR_LIMIT);
    assert_int_equal(err.at, whole.n);
    assert_true(clo_embed_encode(&cut, t.model, text, whole.n, false, &err));
    assert_false(clo_embed_encode(&cut, t.model, text, 2, true, &err)); /* no room between what stands around it */
    clo_ids_free(&whole);
    clo_ids_free(&cut);
    tiny_close(&t);
}

static void lengths_are_those_that_were_trained(void **state)
{
    (void)state;
    tiny_model t;
    tiny_text_open(&t, "bert", 1);
    clo_spec *s = (clo_spec *)(uintptr_t)clo_model_spec(t.model);
    assert_true(clo_embed_length_ok(t.model, 64) && !clo_embed_length_ok(t.model, 32) && !clo_embed_length_ok(t.model, 65));
    s->shortens = true;
    assert_true(clo_embed_length_ok(t.model, 1) && clo_embed_length_ok(t.model, 63) && !clo_embed_length_ok(t.model, 0));
    s->lengths[s->n_lengths++] = 32;
    assert_true(clo_embed_length_ok(t.model, 32) && !clo_embed_length_ok(t.model, 33) && clo_embed_length_ok(t.model, 64));
    tiny_close(&t);
}

/* --- the same bits ------------------------------------------------------------------------------------------------*/

static void neighbours_threads_and_passes_show_in_no_bit(void **state)
{
    (void)state;
    static const char *const types[] = {"bert", "pooled"};
    for (size_t m = 0; m < 2; m++) {
        tiny_model t;
        tiny_text_open(&t, types[m], 1);
        size_t n_dim = clo_model_spec(t.model)->n_dim;
        clo_ids *texts = make_texts(t.model, N_TOKENS_MAX);
        float *want = all_vectors(t.decoder, texts), *alone = calloc(n_dim, sizeof *alone);
        for (size_t i = 0; i < N_TEXTS; i++) {
            assert_true(clo_embed_run(t.decoder, &texts[i], 1, alone, NULL));
            if (memcmp(alone, want + i * n_dim, n_dim * sizeof *alone) != 0) fail_msg("%s: text %zu alone", types[m], i);
            double length = 0;
            for (size_t k = 0; k < n_dim; k++) length += (double)alone[k] * (double)alone[k];
            assert_float_equal((float)length, 1, 1e-5f);
        }
        tiny_close(&t);
        for (size_t n_threads = 2; n_threads < 4; n_threads++) {
            char path[4096];
            snprintf(path, sizeof path, "%s/tiny-%s.gguf", tiny_folder, types[m]);
            tiny_open_at(&t, path, n_threads, n_threads == 2 ? 7 : 64); /* an encoder's passes are as long as its texts */
            float *found = all_vectors(t.decoder, texts);
            if (memcmp(found, want, N_TEXTS * n_dim * sizeof *want) != 0) fail_msg("%s: %zu threads", types[m], n_threads);
            free(found);
            tiny_close(&t);
        }
        free(alone);
        free(want);
        free_texts(texts);
    }
}

static void nap(long us)
{
    nanosleep(&(struct timespec){us / 1000000, us % 1000000 * 1000}, NULL);
}

/* Answers and vectors in one scheduler; of an encoder vectors alone. */
static void the_scheduler_gives_the_same_vectors(void **state)
{
    (void)state;
    static const char *const types[] = {"bert", "pooled"};
    for (size_t m = 0; m < 2; m++) {
        tiny_model t;
        clo_sched *s = NULL;
        clo_task *tasks[N_TEXTS], *answers[4] = {0};
        clo_err err = {0};
        tiny_text_open(&t, types[m], 2);
        size_t n_dim = clo_model_spec(t.model)->n_dim;
        clo_ids *texts = make_texts(t.model, N_TOKENS_MAX);
        float *want = all_vectors(t.decoder, texts);
        const clo_sched_opts so = {.n_running_max = 20, .n_pass_tokens = 100, .n_waiting_max = N_TEXTS + 4};
        assert_true(clo_sched_open(&s, t.model, t.pool, so, NULL));
        for (size_t i = 0; i < N_TEXTS; i++) {
            clo_task_opts o = {.prompt = texts[i].ids, .n_prompt = texts[i].n, .embed = true, .n_top = -1,
                               .key = i % 3 ? "a" : "b"};
            if (!clo_task_start(&tasks[i], s, &o, &err)) fail_msg("%s", err.text);
            o.embed = false;
            o.n_max = 30;
            if (m == 1 && i % 25 == 0) assert_true(clo_task_start(&answers[i / 25], s, &o, NULL));
        }
        clo_task_cancel(tasks[N_TEXTS - 1]);
        for (size_t i = 0; i < N_TEXTS; i++) {
            while (clo_task_state(tasks[i], NULL) != CLO_TASK_DONE) nap(200);
            const clo_task_result *r = clo_task_result_of(tasks[i]);
            assert_true(r->ok && r->gen.n_ids == 0);
            if (i == N_TEXTS - 1 && !r->vector) assert_int_equal(r->gen.finish, CLO_FINISH_CANCELLED);
            else if (memcmp(r->vector, want + i * n_dim, n_dim * sizeof *want) != 0) fail_msg("%s: text %zu", types[m], i);
        }
        for (size_t i = 0; i < N_TEXTS; i++) clo_task_close(tasks[i]);
        for (size_t i = 0; i < 4; i++) clo_task_close(answers[i]);
        clo_sched_close(s);
        free(want);
        free_texts(texts);
        tiny_close(&t);
    }
}

static void what_a_model_does_not_do_is_refused(void **state)
{
    (void)state;
    static const int32_t ids[151] = {2, 5, 3};
    tiny_model t;
    clo_sched *s = NULL;
    clo_task *task = NULL;
    clo_seq *seq = NULL;
    clo_err err = {0};
    float *rows = aligned_alloc(64, 1 << 20), v[256];
    clo_task_opts o = {.prompt = ids, .n_prompt = 3, .n_top = -1};
    tiny_text_open(&t, "bert", 1);
    assert_true(clo_seq_open(&seq, t.decoder, 151, NULL));
    const clo_step logits = {.seq = seq, .ids = ids, .n = 3, .n_logits = 1, .logits = rows};
    assert_false(clo_decoder_run(t.decoder, &logits, 1, &err));
    assert_int_equal(err.code, CLO_ERR_UNSUPPORTED);
    assert_false(clo_decoder_run(t.decoder, &(clo_step){.seq = seq, .ids = ids, .n = 151, .hidden = rows}, 1, &err));
    assert_true(clo_decoder_run(t.decoder, &(clo_step){.seq = seq, .ids = ids, .n = 2, .hidden = rows}, 1, &err));
    assert_false(clo_decoder_run(t.decoder, &(clo_step){.seq = seq, .ids = ids, .n = 1, .hidden = rows}, 1, &err));
    clo_seq_close(seq);
    assert_true(clo_sched_open(&s, t.model, t.pool, (clo_sched_opts){0}, NULL));
    assert_false(clo_task_start(&task, s, &o, &err));
    assert_int_equal(err.code, CLO_ERR_UNSUPPORTED);
    o.embed = true;
    o.n_prompt = 151;
    assert_false(clo_task_start(&task, s, &o, &err));
    assert_int_equal(err.code, CLO_ERR_LIMIT);
    clo_sched_close(s);
    clo_ids none = {0};
    assert_false(clo_embed_run(t.decoder, &none, 1, v, &err));
    assert_int_equal(err.code, CLO_ERR_USAGE);
    tiny_close(&t);

    tiny_text_open(&t, "f32", 1);
    assert_true(clo_sched_open(&s, t.model, t.pool, (clo_sched_opts){0}, NULL));
    o.n_prompt = 3;
    assert_false(clo_task_start(&task, s, &o, &err));
    assert_int_equal(err.code, CLO_ERR_UNSUPPORTED);
    clo_sched_close(s);
    clo_ids some = {.ids = (int32_t *)(uintptr_t)ids, .n = 3};
    assert_false(clo_embed_run(t.decoder, &some, 1, v, &err));
    assert_int_equal(err.code, CLO_ERR_UNSUPPORTED);
    tiny_close(&t);
    free(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pooling_is_what_its_name_says),
        cmocka_unit_test(a_long_text_is_cut_or_refused),
        cmocka_unit_test(lengths_are_those_that_were_trained),
        cmocka_unit_test(neighbours_threads_and_passes_show_in_no_bit),
        cmocka_unit_test(the_scheduler_gives_the_same_vectors),
        cmocka_unit_test(what_a_model_does_not_do_is_refused),
    };
    return cmocka_run_group_tests_name("embed", tests, tiny_text_make, tiny_text_remove);
}
