/* The audit log and the ledger: what a line says, what a changed log shows, what a kill leaves. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "hub/keys.h"
#include "serve/ledger.h"
#include "temp_folder.h"

static int set_up(void **state)
{
    char *dir = calloc(1, 64);
    temp_folder_make(dir);
    *state = dir;
    return 0;
}

static int tear_down(void **state)
{
    temp_folder_remove(*state);
    free(*state);
    return 0;
}

static clo_audit_record answer(int64_t n)
{
    return (clo_audit_record){.at_ms = 1795780800000 + n, .event = "answer", .key = CLO_STR("anna"), .counts = true,
                              .n_prompt = 10, .n_output = n, .finish = CLO_STR("stop")};
}

/* Puts records 1..n through a ledger. */
static void put(const char *dir, int n, uint64_t rotate_bytes)
{
    clo_ledger *l = NULL;
    clo_err err = {0};
    if (!clo_ledger_open(&l, dir, rotate_bytes, &err)) fail_msg("%s", err.text);
    for (int i = 1; i <= n; i++) {
        clo_audit_record r = answer(i);
        if (!clo_ledger_put_wait(l, &r, &err)) fail_msg("%s", err.text);
    }
    clo_ledger_close(l);
}

static clo_str read_log(const char *dir, clo_arena *a)
{
    char path[128];
    clo_str text = {0};
    snprintf(path, sizeof path, "%s/audit.log", dir);
    assert_true(clo_file_read(&text, path, 1 << 20, a, NULL));
    return text;
}

static void write_log(const char *dir, clo_str text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/audit.log", dir);
    assert_true(clo_file_write_atomic(path, clo_bytes_of(text), NULL));
}

static void a_line_says_what_the_record_says_and_nothing_else(void **state)
{
    const char *dir = *state;
    clo_sha256 d = clo_sha256_of("x", 1);
    clo_audit_record r = {.at_ms = 1795780800250, .event = "answer", .key = CLO_STR("anna"), .user = CLO_STR("u\n\"\xff"),
                          .request = CLO_STR("r-1"), .route = CLO_STR("/v1/chat/completions"), .model = CLO_STR("m"),
                          .model_digest = &d, .receipt = &d, .counts = true, .n_prompt = 3, .n_cached = 2, .n_output = 4,
                          .ms = 77, .finish = CLO_STR("length"), .status = 200};
    clo_arena a = {0};
    clo_ledger *l = NULL;
    json_t *o = NULL;
    clo_err err = {0};
    assert_true(clo_ledger_open(&l, dir, 0, &err) && clo_ledger_put_wait(l, &r, &err));
    clo_ledger_close(l);
    clo_str text = read_log(dir, &a);
    assert_int_equal(clo_str_find(text, 0, '\n'), text.len - 1);
    assert_true(clo_json_parse(&o, text, 1 << 20, &err));
    assert_string_equal(clo_json_str(o, "at", CLO_STR("")).ptr, "2026-11-27T12:00:00.250Z");
    assert_string_equal(clo_json_str(o, "user", CLO_STR("")).ptr, "u\n\"?");
    assert_string_equal(clo_json_str(o, "model_digest", CLO_STR("")).ptr + 7,
                        "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881");
    assert_int_equal(clo_json_int(o, "output_tokens", 0), 4);
    assert_int_equal(clo_json_int(o, "status", 0), 200);
    assert_null(json_object_get(o, "prompt"));
    assert_null(json_object_get(o, "answer"));
    json_decref(o);
    clo_arena_free(&a);
}

static void long_texts_are_cut_at_a_character(void **state)
{
    (void)state;
    size_t n = CLO_AUDIT_TEXT_MAX + 10;
    char *text = malloc(n + 1);
    memset(text, 'a', n);
    memcpy(text + CLO_AUDIT_TEXT_MAX - 1, "\xE2\x82\xAC", 3);
    clo_audit_record r = {.event = "answer", .prompt = {text, n}};
    clo_buf b = {.max = 4 << 20};
    json_t *o = NULL;
    clo_audit_render(&b, &r);
    assert_true(clo_json_parse(&o, clo_buf_str(&b), 4 << 20, NULL));
    assert_int_equal(clo_json_str(o, "prompt", CLO_STR("")).len, CLO_AUDIT_TEXT_MAX - 1);
    assert_int_equal(clo_json_int(o, "prompt_bytes", 0), n);
    json_decref(o);
    clo_buf_free(&b);
    free(text);
}

static void the_chain_holds_through_restarts_and_files(void **state)
{
    const char *dir = *state;
    clo_audit_report r;
    clo_sha256 noted;
    clo_err err = {0};
    assert_true(clo_audit_verify(&r, dir, NULL, &err));
    assert_int_equal(r.last, 0);
    put(dir, 5, 0);
    assert_true(clo_audit_verify(&r, dir, NULL, &err));
    noted = r.head;
    for (int i = 0; i < 4; i++) put(dir, 10, 1000);
    if (!clo_audit_verify(&r, dir, &noted, &err)) fail_msg("%s", err.text);
    assert_int_equal(r.first, 1);
    assert_int_equal(r.last, 45);
    assert_true(r.n_files > 5);
    noted.b[0] ^= 1;
    assert_false(clo_audit_verify(&r, dir, &noted, &err));
    assert_int_equal(err.code, CLO_ERR_MISMATCH);
}

static void old_files_may_be_moved_away_but_not_from_between(void **state)
{
    const char *dir = *state;
    char path[128];
    clo_audit_report r;
    clo_err err = {0};
    put(dir, 30, 1000);
    snprintf(path, sizeof path, "%s/audit-000000000001.log", dir);
    assert_int_equal(unlink(path), 0);
    if (!clo_audit_verify(&r, dir, NULL, &err)) fail_msg("%s", err.text);
    assert_true(r.first > 1);
    uint64_t second = r.first;
    put(dir, 30, 1000);
    assert_true(clo_audit_verify(&r, dir, NULL, &err));
    assert_int_equal(r.last, 60);
    snprintf(path, sizeof path, "%s/audit-%012llu.log", dir, (unsigned long long)second + 5);
    if (unlink(path)) { /* files have the same number of lines, of 206 to 208 bytes each */
        snprintf(path, sizeof path, "%s/audit-%012llu.log", dir, (unsigned long long)second + 4);
        assert_int_equal(unlink(path), 0);
    }
    assert_false(clo_audit_verify(&r, dir, NULL, &err));
    assert_int_equal(err.code, CLO_ERR_MISMATCH);
}

/* Every way to touch the log is seen: a byte changed anywhere, a line taken out, put in twice, moved, cut off the end. */
static void any_change_is_found(void **state)
{
    const char *dir = *state;
    clo_arena a = {0};
    clo_audit_report r;
    clo_err err = {0};
    put(dir, 4, 0);
    clo_str good = read_log(dir, &a);
    char *bad = malloc(2 * good.len);
    size_t end[5] = {0};
    for (int i = 0; i < 4; i++) end[i + 1] = clo_str_find(good, end[i], '\n') + 1;
    for (size_t i = 0; i < good.len; i++) {
        memcpy(bad, good.ptr, good.len);
        bad[i] ^= 1;
        write_log(dir, (clo_str){bad, good.len});
        if (clo_audit_verify(&r, dir, NULL, &err)) fail_msg("byte %zu changed: not found", i);
    }
    for (int i = 0; i < 4; i++) { /* without line i */
        memcpy(bad, good.ptr, end[i]);
        memcpy(bad + end[i], good.ptr + end[i + 1], good.len - end[i + 1]);
        write_log(dir, (clo_str){bad, good.len - (end[i + 1] - end[i])});
        bool ok = clo_audit_verify(&r, dir, NULL, &err);
        if (i == 0 ? !(ok && r.first == 2) : ok) fail_msg("line %d gone: not found", i + 1);
    }
    write_log(dir, (clo_str){good.ptr, end[2]});
    assert_false(clo_audit_verify(&r, dir, NULL, &err));
    write_log(dir, (clo_str){good.ptr, 0});
    assert_false(clo_audit_verify(&r, dir, NULL, &err));
    memcpy(bad, good.ptr, good.len);
    memcpy(bad + good.len, good.ptr + end[3], end[4] - end[3]);
    write_log(dir, (clo_str){bad, good.len + end[4] - end[3]});
    assert_false(clo_audit_verify(&r, dir, NULL, &err));
    memcpy(bad, good.ptr, good.len);
    memcpy(bad + end[1], "no line of ours\n", 16);
    memcpy(bad + end[1] + 16, good.ptr + end[1], good.len - end[1]);
    write_log(dir, (clo_str){bad, good.len + 16});
    assert_false(clo_audit_verify(&r, dir, NULL, &err));
    write_log(dir, good);
    assert_true(clo_audit_verify(&r, dir, NULL, &err));
    free(bad);
    clo_arena_free(&a);
}

static void a_torn_last_line_is_closed_and_covered_by_the_next(void **state)
{
    const char *dir = *state;
    clo_arena a = {0};
    clo_audit_report r;
    clo_err err = {0};
    put(dir, 2, 0);
    clo_str good = read_log(dir, &a);
    for (size_t cut = 0; cut < 120; cut++) { /* of a third line that was written in part */
        char torn[4096];
        memcpy(torn, good.ptr, good.len);
        memcpy(torn + good.len, good.ptr, cut);
        write_log(dir, (clo_str){torn, good.len + cut});
        if (!clo_audit_verify(&r, dir, NULL, &err)) fail_msg("%zu bytes: %s", cut, err.text);
        assert_int_equal(r.last, 2);
        clo_audit *log = NULL;
        clo_str line = CLO_STR("{\"event\":\"start\"}");
        assert_true(clo_audit_open(&log, dir, 0, &err) && clo_audit_append(log, &line, 1, &err));
        clo_audit_close(log);
        if (!clo_audit_verify(&r, dir, NULL, &err)) fail_msg("%zu bytes: %s", cut, err.text);
        assert_int_equal(r.n_torn, cut > 0);
        assert_int_equal(r.last, cut > 0 ? 4 : 3);
    }
    clo_arena_free(&a);
}

static void a_changed_log_is_not_gone_on_with(void **state)
{
    const char *dir = *state;
    clo_arena a = {0};
    clo_ledger *l = NULL;
    clo_err err = {0};
    put(dir, 3, 0);
    clo_str good = read_log(dir, &a);
    char *bad = (char *)(uintptr_t)good.ptr;
    bad[150] ^= 1;
    write_log(dir, good);
    assert_false(clo_ledger_open(&l, dir, 0, &err));
    assert_int_equal(err.code, CLO_ERR_DAMAGED);
    clo_arena_free(&a);
}

static void several_processes_write_one_log_through_rotations(void **state)
{
    const char *dir = *state;
    pid_t kids[4];
    clo_db *db = NULL;
    clo_audit_report r;
    clo_err err = {0};
    assert_true(clo_db_open(&db, dir, &err));
    clo_db_close(db);
    for (int i = 0; i < 4; i++) {
        if ((kids[i] = fork()) != 0) continue;
        put(dir, 40, 3000);
        _exit(0);
    }
    for (int i = 0; i < 4; i++) {
        int status = 1;
        waitpid(kids[i], &status, 0);
        assert_int_equal(status, 0);
    }
    if (!clo_audit_verify(&r, dir, NULL, &err)) fail_msg("%s", err.text);
    assert_int_equal(r.last, 160);
    assert_true(r.n_files > 5);
}

/* A limit on the size of files stands in for a full disk. */
static void a_log_that_cannot_be_written_is_told(void **state)
{
    const char *dir = *state;
    clo_audit_report r;
    clo_err err = {0};
    put(dir, 3, 0);
    pid_t kid = fork();
    if (kid == 0) {
        clo_ledger *l = NULL;
        clo_audit_record record = answer(1);
        int n_ok = 0;
        signal(SIGXFSZ, SIG_IGN);
        bool ok = clo_ledger_open(&l, dir, 0, &err);
        ok = ok && setrlimit(RLIMIT_FSIZE, &(struct rlimit){1500, 1500}) == 0;
        for (int i = 0; ok && i < 20; i++) n_ok += clo_ledger_put_wait(l, &record, &err);
        clo_ledger_close(l);
        _exit(ok && n_ok < 20 && err.sys == EFBIG ? 0 : 1);
    }
    int status = 1;
    waitpid(kid, &status, 0);
    assert_int_equal(status, 0);
    put(dir, 3, 0);
    if (!clo_audit_verify(&r, dir, NULL, &err)) fail_msg("%s", err.text);
    assert_true(r.n_torn > 0);
}

/* kill -9 while four threads' worth of answers are put through: what was acknowledged is in the log and in the use. */
static void what_was_acknowledged_survives_kill_9(void **state)
{
    const char *dir = *state;
    int64_t total = 0, acknowledged = 0;
    srand(7);
    for (int round = 0; round < 25; round++) {
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        pid_t kid = fork();
        if (kid == 0) {
            clo_ledger *l = NULL;
            if (!clo_ledger_open(&l, dir, 4000, NULL)) _exit(1);
            for (;;) {
                clo_audit_record r = answer(1);
                if (!clo_ledger_put_wait(l, &r, NULL) || write(fds[1], "x", 1) != 1) _exit(1);
            }
        }
        close(fds[1]);
        nanosleep(&(struct timespec){.tv_nsec = (20 + rand() % 60) * 1000000L}, NULL);
        kill(kid, SIGKILL);
        char acks[4096];
        ssize_t n;
        while ((n = read(fds[0], acks, sizeof acks)) > 0) acknowledged += n;
        close(fds[0]);
        int status = 0;
        waitpid(kid, &status, 0);
        assert_true(WIFSIGNALED(status));

        clo_db *db = NULL;
        clo_stmt q = {0};
        bool row = false;
        clo_err err = {0};
        clo_audit_report r;
        if (!clo_audit_verify(&r, dir, NULL, &err)) fail_msg("round %d: %s", round, err.text);
        assert_true(clo_db_open(&db, dir, &err) &&
                    clo_stmt_open(&q, db, "SELECT sum(requests) FROM key_usage", &err) && clo_stmt_step(&q, &row, &err));
        total = clo_stmt_get_int(&q, 0);
        clo_stmt_close(&q);
        clo_db_close(db);
        int64_t lines = (int64_t)(r.last - r.n_torn);
        if (total < acknowledged || lines < total || lines > acknowledged + round + 1)
            fail_msg("round %d: %lld acknowledged, %lld in use, %lld lines", round, (long long)acknowledged,
                     (long long)total, (long long)lines);
    }
    assert_true(acknowledged > 25);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_line_says_what_the_record_says_and_nothing_else),
        cmocka_unit_test(long_texts_are_cut_at_a_character),
        T(the_chain_holds_through_restarts_and_files),
        T(old_files_may_be_moved_away_but_not_from_between),
        T(any_change_is_found),
        T(a_torn_last_line_is_closed_and_covered_by_the_next),
        T(a_changed_log_is_not_gone_on_with),
        T(several_processes_write_one_log_through_rotations),
        T(a_log_that_cannot_be_written_is_told),
        T(what_was_acknowledged_survives_kill_9),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
