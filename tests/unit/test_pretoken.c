/* The known pre-tokeniser patterns: each scanner against its own pattern run by PCRE2, on chosen and on random texts;
 * and the words themselves for the cases that people get wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "model/tok_impl.h"
#include "model/tok_unicode.h"

/* The words of s, with | between them. */
static void words(tok_scan kind, clo_str s, char *out, size_t max)
{
    size_t at = 0, n = 0;
    while (at < s.len) {
        size_t end = clo_tok_scan(kind, s, at);
        assert_true(end > at && end <= s.len);
        n += (size_t)snprintf(out + n, max - n, "%s%.*s", at ? "|" : "", (int)(end - at), s.ptr + at);
        at = end;
    }
    out[n] = 0;
}

static void patterns_cut_where_their_definition_says(void **state)
{
    static const struct {
        tok_scan kind;
        const char *in, *want;
    } rows[] = {
        {TOK_SCAN_GPT2, "Hello world", "Hello| world"},
        {TOK_SCAN_GPT2, "I'm you'LL", "I|'m| you|'|LL"},
        {TOK_SCAN_GPT2, "a  b", "a| | b"},
        {TOK_SCAN_GPT2, "a   ", "a|   "},
        {TOK_SCAN_GPT2, "a\n\n b", "a|\n\n| b"},
        {TOK_SCAN_GPT2, "x12 34!?", "x|12| 34|!?"},
        {TOK_SCAN_CL100K, "I'm you'LL", "I|'m| you|'LL"},
        {TOK_SCAN_CL100K, "1234567", "123|456|7"},
        {TOK_SCAN_CL100K, "a  \n\n  b", "a|  \n\n| | b"},
        {TOK_SCAN_CL100K, "(foo) bar!\r\n\nx", "(foo|)| bar|!\r\n\n|x"},
        {TOK_SCAN_CL100K, "\tx\t\ty", "\tx|\t|\ty"},
        {TOK_SCAN_CL100K, "'\xC5\xBF" "et", "'\xC5\xBF|et"},
        {TOK_SCAN_QWEN2, "1234 5", "1|2|3|4| |5"},
        {TOK_SCAN_QWEN2, "e\xCC\x81 ", "e|\xCC\x81| "},
        {TOK_SCAN_QWEN2, "\xE2\x80\x99s", "\xE2\x80\x99s"},
    };
    char got[512];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        words(rows[i].kind, clo_str_from(rows[i].in), got, sizeof got);
        if (strcmp(got, rows[i].want) != 0) fail_msg("row %zu: want %s, got %s", i, rows[i].want, got);
    }
}

/* Text from the characters that the patterns tell apart; nothing newer than PCRE2's tables. */
static size_t random_text(uint64_t *seed, char *out, size_t max)
{
    static const uint32_t some[] = {'a', 'b', 's', 't', 'l', 'L', 'E', 'r', 'e', 'v', 'V', 'd', 'm', '\'', '\'', '\'', ' ', ' ', ' ',
                                    '\n', '\r', '\t', '1', '2', '.', '!', '(', '_', 0x85, 0xA0, 0xBD, 0xE9, 0x17F, 0x300,
                                    0x301, 0x3000, 0x2028, 0x200D, 0x4E2D, 0x660, 0x2167, 0x1F600, 0x0B, 0x180E, 0x2019};
    size_t n = 0, len = 1 + (size_t)(*seed % 40);
    for (size_t i = 0; i < len && n + 4 < max; i++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        n += clo_utf8_encode(out + n, some[(*seed >> 33) % (sizeof some / sizeof *some)]);
    }
    return n;
}

static void scanners_equal_their_patterns(void **state)
{
    static const tok_scan kinds[] = {TOK_SCAN_GPT2, TOK_SCAN_CL100K, TOK_SCAN_QWEN2};
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        clo_err err = {0};
        struct tok_regex *r = NULL;
        uint64_t seed = 1;
        char text[256];
        if (!clo_tok_regex_open(&r, clo_tok_scan_pattern(kinds[k]), &err)) fail_msg("%s", err.text);
        assert_int_equal(clo_tok_scan_of_pattern(clo_tok_scan_pattern(kinds[k])), kinds[k]);
        for (int i = 0; i < 20000; i++) {
            clo_str s = {text, random_text(&seed, text, sizeof text)};
            for (size_t at = 0; at < s.len;) {
                size_t begin, end, mine = clo_tok_scan(kinds[k], s, at);
                bool found;
                assert_true(clo_tok_regex_find(r, s, at, &begin, &end, &found, &err));
                if (!found || begin != at || end != mine)
                    fail_msg("scanner %zu, text %d '%.*s' at %zu: pattern ends at %zu, scanner at %zu", k, i, (int)s.len,
                             s.ptr, at, end, mine);
                at = end;
            }
        }
        clo_tok_regex_close(r);
    }
}

static void a_pattern_that_runs_away_is_stopped(void **state)
{
    (void)state;
    clo_err err = {0};
    struct tok_regex *r = NULL;
    char text[64];
    size_t begin, end;
    bool found;
    memset(text, 'a', sizeof text);
    assert_true(clo_tok_regex_open(&r, CLO_STR("(a+)+(a+)+(a+)+[bc]"), &err));
    assert_false(clo_tok_regex_find(r, (clo_str){text, sizeof text}, 0, &begin, &end, &found, &err));
    assert_int_equal(err.code, CLO_ERR_LIMIT);
    clo_tok_regex_close(r);
}

static void the_byte_alphabet_goes_both_ways(void **state)
{
    (void)state;
    for (int b = 0; b < 256; b++) assert_int_equal(clo_tok_cp_to_byte(clo_tok_byte_to_cp((uint8_t)b)), b);
    assert_int_equal(clo_tok_byte_to_cp(' '), 0x120);
    assert_int_equal(clo_tok_byte_to_cp('\n'), 0x10A);
    assert_int_equal(clo_tok_byte_to_cp(0xAD), 0x143);
    assert_int_equal(clo_tok_cp_to_byte(' '), -1);
    assert_int_equal(clo_tok_cp_to_byte(0x144), -1);
}

static void normal_forms_follow_the_annex(void **state)
{
    static const struct {
        bool compat, composed;
        const char *in, *want;
    } rows[] = {
        {false, true, "e\xCC\x81", "\xC3\xA9"},
        {false, false, "\xC3\xA9", "e\xCC\x81"},
        {false, true, "\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8", "\xEA\xB0\x81"},              /* Hangul */
        {false, true, "a\xCC\x81\xCC\xA7", "\xC3\xA1\xCC\xA7"},                             /* cedilla sorts first, acute composes */
        {false, true, "\xE2\x84\xAB", "\xC3\x85"},                                          /* ANGSTROM SIGN */
        {true, true, "\xEF\xAC\x81", "fi"},                                                 /* ligature */
        {false, true, "\xEF\xAC\x81", "\xEF\xAC\x81"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clo_err err = {0};
        clo_buf out = {0};
        assert_true(clo_tok_canonical(&out, clo_str_from(rows[i].in), rows[i].compat, rows[i].composed, &err));
        assert_string_equal(out.ptr, rows[i].want);
        clo_buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_cut_where_their_definition_says),
        cmocka_unit_test(scanners_equal_their_patterns),
        cmocka_unit_test(a_pattern_that_runs_away_is_stopped),
        cmocka_unit_test(the_byte_alphabet_goes_both_ways),
        cmocka_unit_test(normal_forms_follow_the_annex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
