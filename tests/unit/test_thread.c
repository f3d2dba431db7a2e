/* The pool: every thread runs once, barriers hold, any number of threads, and sleeping workers wake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/thread.h"

struct tally {
    clo_pool *pool;
    atomic_uint ran[64];
    unsigned phase_seen[64];
    atomic_uint bad;
};

static void count(void *ctx, size_t i, size_t n)
{
    (void)n;
    struct tally *t = ctx;
    atomic_fetch_add(&t->ran[i], 1);
}

static void every_thread_runs_every_job_once(void **state)
{
    (void)state;
    static const size_t n_threads[] = {1, 2, 3, 8};
    for (size_t k = 0; k < 4; k++) {
        clo_pool *pool = NULL;
        struct tally t = {0};
        assert_true(clo_pool_open(&pool, n_threads[k], NULL));
        assert_int_equal(clo_pool_threads(pool), n_threads[k]);
        for (int run = 0; run < 200; run++) clo_pool_run(pool, count, &t);
        usleep(20000); /* long enough for workers to sleep */
        for (int run = 0; run < 3; run++) clo_pool_run(pool, count, &t);
        for (size_t i = 0; i < 64; i++) assert_int_equal(atomic_load(&t.ran[i]), i < n_threads[k] ? 203 : 0);
        clo_pool_close(pool);
    }
}

static void meet(void *ctx, size_t i, size_t n)
{
    struct tally *t = ctx;
    for (unsigned phase = 1; phase <= 300; phase++) {
        t->phase_seen[i] = phase;
        clo_pool_barrier(t->pool);
        for (size_t j = 0; j < n; j++)
            if (t->phase_seen[j] != phase) atomic_fetch_add(&t->bad, 1);
        clo_pool_barrier(t->pool);
    }
}

static void nobody_passes_a_barrier_early(void **state)
{
    (void)state;
    static const size_t n_threads[] = {1, 2, 3, 8};
    for (size_t k = 0; k < 4; k++) {
        struct tally t = {0};
        assert_true(clo_pool_open(&t.pool, n_threads[k], NULL));
        clo_pool_run(t.pool, meet, &t);
        assert_int_equal(atomic_load(&t.bad), 0);
        clo_pool_close(t.pool);
    }
}

static void splits_cover_everything_once(void **state)
{
    (void)state;
    for (size_t n = 0; n < 70; n++)
        for (size_t grain = 1; grain < 6; grain++)
            for (size_t threads = 1; threads < 9; threads++) {
                size_t at = 0, b, e;
                for (size_t i = 0; i < threads; i++) {
                    clo_split(n, grain, i, threads, &b, &e);
                    assert_int_equal(b, at);
                    assert_true(e == n || e % grain == 0);
                    at = e;
                }
                assert_int_equal(at, n);
            }
}

static void the_quota_is_at_least_one_processor(void **state)
{
    (void)state;
    assert_true(clo_cpu_quota() >= 1);
    clo_pool *pool = NULL;
    clo_err err = {0};
    assert_false(clo_pool_open(&pool, CLO_THREADS_MAX + 1, &err));
    assert_int_equal(err.code, CLO_ERR_LIMIT);
    clo_pool_close(pool);
}

struct guest {
    clo_turn *turn;
    atomic_bool had_it;
};

static void *take_a_turn(void *arg)
{
    struct guest *g = arg;
    clo_turn_take(g->turn);
    atomic_store(&g->had_it, true);
    clo_turn_give(g->turn);
    return NULL;
}

static void a_turn_goes_to_who_asked_first(void **state)
{
    (void)state;
    clo_turn turn;
    clo_turn_init(&turn);
    for (int i = 0; i < 50; i++) {
        struct guest g = {.turn = &turn};
        pthread_t thread;
        clo_turn_take(&turn);
        assert_int_equal(pthread_create(&thread, NULL, take_a_turn, &g), 0);
        for (bool asked = false; !asked;) {
            pthread_mutex_lock(&turn.lock);
            asked = turn.next == turn.serving + 2;
            pthread_mutex_unlock(&turn.lock);
        }
        assert_false(atomic_load(&g.had_it));
        clo_turn_give(&turn);
        clo_turn_take(&turn); /* comes back at once, and is second */
        assert_true(atomic_load(&g.had_it));
        clo_turn_give(&turn);
        pthread_join(thread, NULL);
    }
    clo_turn_free(&turn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_thread_runs_every_job_once),
        cmocka_unit_test(nobody_passes_a_barrier_early),
        cmocka_unit_test(splits_cover_everything_once),
        cmocka_unit_test(the_quota_is_at_least_one_processor),
        cmocka_unit_test(a_turn_goes_to_who_asked_first),
    };
    return cmocka_run_group_tests_name("thread", tests, NULL, NULL);
}
