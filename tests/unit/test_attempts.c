/* How often passwords may be tried. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "serve/attempts.h"

#define NOW 1000000

static void a_name_waits_after_ten_and_others_do_not(void **state)
{
    (void)state;
    static clo_attempts a = CLO_ATTEMPTS_INIT;
    for (int i = 0; i < CLO_ATTEMPTS_OF_NAME; i++) assert_int_equal(clo_attempts_take(&a, CLO_STR("anna"), NOW + i), 0);
    assert_int_equal(clo_attempts_take(&a, CLO_STR("ANNA"), NOW + 20), CLO_ATTEMPTS_NAME_S - 20);
    assert_int_equal(clo_attempts_take(&a, CLO_STR("ben"), NOW + 20), 0);
    assert_int_equal(clo_attempts_take(&a, CLO_STR("anna"), NOW + CLO_ATTEMPTS_NAME_S), 0);
}

static void who_was_right_begins_anew(void **state)
{
    (void)state;
    static clo_attempts a = CLO_ATTEMPTS_INIT;
    for (int i = 0; i < 3 * CLO_ATTEMPTS_OF_NAME; i++) {
        assert_int_equal(clo_attempts_take(&a, CLO_STR("anna"), NOW), 0);
        clo_attempts_forget(&a, CLO_STR("anna"));
    }
}

static void all_together_wait_too(void **state)
{
    (void)state;
    static clo_attempts a = CLO_ATTEMPTS_INIT;
    int n = 0;
    char name[16];
    for (int i = 0; i < 2 * CLO_ATTEMPTS_OF_ALL; i++) {
        snprintf(name, sizeof name, "user%d", i);
        n += clo_attempts_take(&a, clo_str_from(name), NOW) == 0;
    }
    assert_int_equal(n, CLO_ATTEMPTS_OF_ALL);
    assert_int_equal(clo_attempts_take(&a, CLO_STR("anna"), NOW + CLO_ATTEMPTS_ALL_S), 0);
    assert_int_equal(clo_attempts_take(&a, CLO_STR("anna"), 5), 0); /* the clock was set back */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_waits_after_ten_and_others_do_not),
        cmocka_unit_test(who_was_right_begins_anew),
        cmocka_unit_test(all_together_wait_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
