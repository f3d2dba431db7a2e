/* Numbers between bounds, as decimal digits. Integers of one length lo..hi are a band of a tree of digits: along its two
 * edges a digit is bound, between them all digits are free. */
#include <stdio.h>
#include <string.h>

#include "infer/grammar_impl.h"

#define DIGITS_MAX 20       /* of a uint64_t */
#define INTEGER_DIGITS 15   /* of any number: what a double holds exactly */
#define FRACTION_DIGITS 15
#define EXPONENT_DIGITS 2

static uint32_t digit_machine(gr_builder *b)
{
    const gr_range digits = {'0', '9'};
    const gr_set s = {(gr_range *)(uintptr_t)&digits, 1, 1};
    return gr_char_machine_of(b, &s);
}

/* Behind any n digits: `to`. */
static void free_digits(gr_builder *b, uint32_t from, size_t n, uint32_t to)
{
    if (n == 0) {
        gr_eps(b, from, to);
        return;
    }
    for (; n > 1; n--) {
        uint32_t next = gr_state_new(b);
        gr_bytes(b, from, '0', '9', next);
        from = next;
    }
    gr_bytes(b, from, '0', '9', to);
}

static bool all_are(const char *s, size_t n, char c)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] != c) return false;
    return true;
}

static void band(gr_builder *b, uint32_t from, const char *lo, const char *hi, size_t n, uint32_t to)
{
    static const char zeros[] = "00000000000000000000", nines[] = "99999999999999999999";
    if (n == 0 || (all_are(lo, n, '0') && all_are(hi, n, '9'))) {
        free_digits(b, from, n, to);
        return;
    }
    char first = *lo, last = *hi;
    uint32_t next = gr_state_new(b);
    if (first == last) {
        gr_bytes(b, from, (uint8_t)first, (uint8_t)first, next);
        band(b, next, lo + 1, hi + 1, n - 1, to);
        return;
    }
    gr_bytes(b, from, (uint8_t)first, (uint8_t)first, next);
    band(b, next, lo + 1, nines, n - 1, to);
    next = gr_state_new(b);
    gr_bytes(b, from, (uint8_t)last, (uint8_t)last, next);
    band(b, next, zeros, hi + 1, n - 1, to);
    if (first + 1 < last) {
        next = gr_state_new(b);
        gr_bytes(b, from, (uint8_t)(first + 1), (uint8_t)(last - 1), next);
        free_digits(b, next, n - 1, to);
    }
}

/* Decimal digits of lo..hi, without leading zeros. */
static void digits(gr_builder *b, uint32_t from, uint64_t lo, uint64_t hi, uint32_t to)
{
    uint64_t least = 0, most = 9; /* of n digits */
    for (size_t n = 1; n <= DIGITS_MAX && least <= hi; n++) {
        uint64_t l = lo > least ? lo : least, h = hi < most ? hi : most;
        if (l <= h) {
            char a[DIGITS_MAX + 2], z[DIGITS_MAX + 2];
            (void)snprintf(a, sizeof a, "%llu", (unsigned long long)l);
            (void)snprintf(z, sizeof z, "%llu", (unsigned long long)h);
            band(b, from, a, z, n, to);
        }
        if (most == UINT64_MAX) break;
        least = most + 1;
        most = most > (UINT64_MAX - 9) / 10 ? UINT64_MAX : most * 10 + 9;
    }
}

static uint64_t magnitude(int64_t v)
{
    return v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
}

void gr_integer(gr_builder *b, uint32_t from, int64_t lo, int64_t hi, uint32_t to)
{
    if (lo > hi) return;
    if (hi >= 0) digits(b, from, lo > 0 ? (uint64_t)lo : 0, (uint64_t)hi, to);
    if (lo < 0) digits(b, gr_after(b, from, CLO_STR("-")), hi < 0 ? magnitude(hi) : 1, magnitude(lo), to);
}

/* Digits behind a point, n at most; some of them not 0 when told: then the last is not. */
static void fraction(gr_builder *b, uint32_t from, size_t n, bool not_zero, uint32_t to)
{
    if (n == 0) return;
    uint32_t point = gr_after(b, from, CLO_STR(".")), last = gr_state_new(b);
    if (not_zero) {
        gr_repeat(b, point, digit_machine(b), 0, (uint32_t)n - 1, last);
        gr_bytes(b, last, '1', '9', to);
    } else {
        gr_repeat(b, point, digit_machine(b), 1, (uint32_t)n, to);
    }
}

/* An interval; either end may be left out. */
typedef struct {
    uint64_t lo, hi;
    bool lo_out, hi_out;
} interval;

/* Numbers without a sign, with n digits behind the point at most. */
static void unsigned_between(gr_builder *b, uint32_t from, interval i, size_t n, uint32_t to)
{
    if (i.lo > i.hi) return;
    if (!i.hi_out && !(i.lo_out && i.lo == i.hi)) digits(b, from, i.hi, i.hi, to);
    if (i.lo == i.hi) return;
    uint32_t at_lo = gr_state_new(b), above = gr_state_new(b);
    digits(b, from, i.lo, i.lo, at_lo);
    if (!i.lo_out) gr_eps(b, at_lo, to);
    fraction(b, at_lo, n, i.lo_out, to);
    if (i.hi - i.lo > 1) {
        digits(b, from, i.lo + 1, i.hi - 1, above);
        gr_eps(b, above, to);
        fraction(b, above, n, false, to);
    }
}

/* Digits that may stand behind the point so that a double does not round the number to an end that is left out. */
static size_t fraction_digits(int64_t end)
{
    size_t n = FRACTION_DIGITS;
    for (uint64_t v = magnitude(end); v > 0 && n > 0; v /= 10)
        n--;
    return n;
}

void gr_number_between(gr_builder *b, uint32_t from, int64_t lo, bool lo_out, int64_t hi, bool hi_out, uint32_t to)
{
    size_t n = FRACTION_DIGITS;
    if (lo > hi) return;
    if (lo_out && fraction_digits(lo) < n) n = fraction_digits(lo);
    if (hi_out && fraction_digits(hi) < n) n = fraction_digits(hi);
    if (hi >= 0) {
        const interval up = {lo > 0 ? (uint64_t)lo : 0, (uint64_t)hi, lo >= 0 && lo_out, hi_out};
        unsigned_between(b, from, up, n, to);
    }
    if (lo < 0) { /* "-0" is not written, but "-0.5" is */
        const interval down = {hi < 0 ? magnitude(hi) : 0, magnitude(lo), hi >= 0 || hi_out, lo_out};
        unsigned_between(b, gr_after(b, from, CLO_STR("-")), down, n, to);
    }
}

uint32_t gr_any_number(gr_builder *b)
{
    if (b->number != GR_NONE) return b->number;
    uint32_t m = b->number = gr_machine_new(b), to = gr_final(b, m);
    uint32_t sign = gr_state_new(b), more = gr_state_new(b), whole = gr_state_new(b), real = gr_state_new(b);
    gr_eps(b, gr_start(b, m), sign);
    gr_bytes(b, gr_start(b, m), '-', '-', sign);
    gr_bytes(b, sign, '0', '0', whole);
    gr_bytes(b, sign, '1', '9', more);
    gr_repeat(b, more, digit_machine(b), 0, INTEGER_DIGITS - 1, whole);
    gr_eps(b, whole, real);
    fraction(b, whole, FRACTION_DIGITS, false, real);
    gr_eps(b, real, to);
    uint32_t e = gr_state_new(b), power = gr_state_new(b);
    gr_bytes(b, real, 'e', 'e', e);
    gr_bytes(b, real, 'E', 'E', e);
    gr_eps(b, e, power);
    gr_bytes(b, e, '+', '+', power);
    gr_bytes(b, e, '-', '-', power);
    gr_repeat(b, power, digit_machine(b), 1, EXPONENT_DIGITS, to);
    return m;
}
