/* Grapheme clusters: a row or more for every rule of UAX #29, and nothing else joins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "model/tok_unicode.h"

/* What the rows' letters stand for. */
static uint32_t cp_of(char c)
{
    static const struct {
        char c;
        uint32_t cp;
    } is[] = {
        {'r', 0x0D},    {'n', 0x0A},    {'0', 0x200B}, /* CR, LF, a control */
        {'e', 0x301},   {'E', 0x1ACF},  {'m', 0x903},  /* Extend (the second of Unicode 17), SpacingMark */
        {'p', 0x600},   {'P', 0x113D1},                /* Prepend */
        {'z', 0x200D},  {'x', 0x200C},                 /* joiner, non-joiner */
        {'k', 0x915},   {'v', 0x94D},   {'i', 0x93C},  /* consonant, linker, a nukta between them */
        {'*', 0x1F466}, {'f', 0x1F1E6}, {'c', 0xA9},   /* pictographs and a flag's half */
        {'L', 0x1100},  {'V', 0x1160},  {'T', 0x11A8}, {'W', 0xAC00}, {'G', 0xAC01}, /* Hangul: L, V, T, LV, LVT */
        {'Y', 0x16D63},                                                              /* Kirat Rai's vowel, a V */
    };
    for (size_t i = 0; i < sizeof is / sizeof *is; i++) {
        if (is[i].c == c) return is[i].cp;
    }
    return (uint32_t)(uint8_t)c;
}

static void clusters_end_where_the_annex_says(void **state)
{
    static const struct {
        const char *rule, *want;
    } rows[] = {
        {"GB3", "rn|a"},       {"GB4", "r|rn|n|r"}, {"GB4", "0|e"},      {"GB5", "a|0"},
        {"GB5", "p|0"},        {"GB6", "LLV"},      {"GB6", "LW"},       {"GB6", "LG"},
        {"GB6", "L|T"},        {"GB7", "WVVT|L"},   {"GB7", "VY"},       {"GB8", "GTT|V"},
        {"GB8", "G|V"},        {"GB9", "ae|a"},     {"GB9", "aE"},       {"GB9", "az|a"},
        {"GB9", "avx|a"},      {"GB9a", "am|a"},    {"GB9b", "pa|a"},    {"GB9b", "Pppae"},
        {"GB9c", "kvk|a"},     {"GB9c", "kvkvk|k"}, {"GB9c", "kivzek"},  {"GB9c", "kzvk"},
        {"GB9c", "kvxv|k"},    {"GB9c", "kxv|k"},   {"GB9c", "ki|k"},    {"GB9c", "kvm|k"},
        {"GB9c", "av|k"},      {"GB9c", "kv|a"},    {"GB9c", "pkvk"},    {"GB11", "*z*|*"},
        {"GB11", "*eez*z*|a"}, {"GB11", "*zz|*"},   {"GB11", "*ze|*"},   {"GB11", "*mz|*"},
        {"GB11", "az|*"},      {"GB11", "cvzc"},    {"GB12", "ff|ff|f"}, {"GB12", "pff|f"},
        {"GB12", "fe|f"},      {"GB13", "a|ff|ff"}, {"GB13", "ffe|ff"},  {"GB999", "a|b|*|k|k|L|c|W|W"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[64], got[64];
        size_t n_text = 0, n_got = 0;
        for (const char *w = rows[i].want; *w; w++) {
            if (*w != '|') n_text += clo_utf8_encode(text + n_text, cp_of(*w));
        }
        clo_str s = {text, n_text};
        const char *w = rows[i].want;
        for (size_t at = 0, n; at < n_text;) {
            size_t end = clo_tok_grapheme_end(s, at);
            assert_true(end > at && end <= n_text);
            if (at > 0) got[n_got++] = '|';
            for (; at < end; at += n) {
                clo_tok_cp(text + at, &n);
                w += *w == '|';
                got[n_got++] = *w++;
            }
        }
        got[n_got] = 0;
        if (strcmp(got, rows[i].want) != 0) fail_msg("%s: want %s, got %s", rows[i].rule, rows[i].want, got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clusters_end_where_the_annex_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
