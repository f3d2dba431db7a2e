/* Text as Python has it: white space, shortest float text, case mapping. */
#include <math.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "model/template_impl.h"

/* str.isspace of Python, which is also \s of its regular expressions. */
bool tpl_is_space(uint32_t cp)
{
    if (cp < 0x80) return cp == ' ' || (cp >= 9 && cp <= 13) || (cp >= 0x1c && cp <= 0x1f);
    return cp == 0x85 || cp == 0xa0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 ||
           cp == 0x2029 || cp == 0x202f || cp == 0x205f || cp == 0x3000;
}

size_t tpl_space_head(clo_str s)
{
    size_t i = 0, n;
    while (i < s.len && tpl_is_space(clo_utf8_decode(s, i, &n))) i += n;
    return i;
}

size_t tpl_space_tail(clo_str s)
{
    size_t end = s.len;
    while (end > 0) {
        size_t i = end - 1, n;
        while (i > 0 && ((uint8_t)s.ptr[i] & 0xc0) == 0x80) i--;
        if (!tpl_is_space(clo_utf8_decode(s, i, &n))) break;
        end = i;
    }
    return s.len - end;
}

size_t tpl_find(clo_str hay, clo_str needle, size_t from)
{
    if (from > hay.len || needle.len > hay.len - from) return hay.len + 1;
    if (needle.len == 0) return from;
    const char *p = memmem(hay.ptr + from, hay.len - from, needle.ptr, needle.len);
    return p ? (size_t)(p - hay.ptr) : hay.len + 1;
}

size_t tpl_fmt_int(char out[24], int64_t i)
{
    return (size_t)snprintf(out, 24, "%lld", (long long)i);
}

/* Adds one unit to the last of n decimal digits; true when it carried out of the first ("999" -> "100"). */
static bool bump(char *digits, size_t n)
{
    while (n > 0) {
        if (digits[n - 1]++ < '9') return false;
        digits[--n] = '0';
    }
    digits[0] = '1';
    return true;
}

/* The shortest digits that read back as f (> 0, finite): n digits d1 d2 ... with value 0.d1d2... * 10^*point. The
 * correctly rounded ones are the closest; below a power of two the next ones up may be the only short ones. */
static size_t shortest_digits(char digits[20], double f, int *point)
{
    int exp2;
    bool power_of_two = frexp(f, &exp2) == 0.5;
    for (int prec = 0; prec < 17; prec++) {
        char text[40];
        snprintf(text, sizeof text, "%.*e", prec, f);
        size_t n = 0, i = 0;
        for (; text[i] != 'e'; i++)
            if (text[i] != '.') digits[n++] = text[i];
        int e = (int)strtol(text + i + 1, NULL, 10);
        bool hit = strtod(text, NULL) == f;
        if (!hit && power_of_two) {
            if (bump(digits, n)) e++;
            snprintf(text, sizeof text, "%c.%.*se%d", digits[0], (int)(n - 1), digits + 1, e);
            hit = strtod(text, NULL) == f;
        }
        if (!hit && prec < 16) continue;
        while (n > 1 && digits[n - 1] == '0') n--;
        *point = e + 1;
        return n;
    }
    return 0;
}

size_t tpl_fmt_float(char out[40], double f)
{
    char digits[20];
    int point;
    size_t o = 0;
    if (isnan(f)) return (size_t)snprintf(out, 40, "nan");
    if (isinf(f)) return (size_t)snprintf(out, 40, f < 0 ? "-inf" : "inf");
    if (signbit(f)) out[o++] = '-';
    if (f == 0) return o + (size_t)snprintf(out + o, 40 - o, "0.0");
    int n = (int)shortest_digits(digits, fabs(f), &point);
    if (point <= -4 || point > 16) {
        out[o++] = digits[0];
        if (n > 1) o += (size_t)snprintf(out + o, 40 - o, ".%.*s", n - 1, digits + 1);
        return o + (size_t)snprintf(out + o, 40 - o, "e%c%02d", point - 1 < 0 ? '-' : '+', abs(point - 1));
    }
    if (point <= 0) {
        o += (size_t)snprintf(out + o, 40 - o, "0.%.*s%.*s", -point, "000", n, digits);
    } else if (point >= n) {
        o += (size_t)snprintf(out + o, 40 - o, "%.*s%.*s.0", n, digits, point - n, "0000000000000000");
    } else {
        o += (size_t)snprintf(out + o, 40 - o, "%.*s.%.*s", point, digits, n - point, digits + point);
    }
    return o;
}

/* Code points whose upper, lower or title form is longer than one code point or depends on what is around
 * (SpecialCasing.txt): these are refused. */
static bool special_case(uint32_t c)
{
    static const uint32_t rows[][2] = {{0xdf, 0xdf},     {0x130, 0x130},   {0x149, 0x149},   {0x1f0, 0x1f0},
                                       {0x345, 0x345},   {0x390, 0x390},   {0x3a3, 0x3a3},   {0x3b0, 0x3b0},
                                       {0x587, 0x587},   {0x1e96, 0x1e9a}, {0x1f50, 0x1f56}, {0x1f80, 0x1fff},
                                       {0xfb00, 0xfb17}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (c >= rows[i][0] && c <= rows[i][1]) return true;
    return false;
}

static uint32_t map_case(uint32_t c, tpl_case how, bool first)
{
    if (how == TPL_CASE_CAPITAL) return (uint32_t)(first ? utf8proc_totitle((int32_t)c) : utf8proc_tolower((int32_t)c));
    if (how == TPL_CASE_UPPER) return (uint32_t)utf8proc_toupper((int32_t)c);
    uint32_t low = (uint32_t)utf8proc_tolower((int32_t)c);
    return how == TPL_CASE_SWAP && low == c ? (uint32_t)utf8proc_toupper((int32_t)c) : low;
}

/* Length-keeping where it can be: marks stay exact for ASCII, else any mark covers the whole result. */
bool tpl_case_str(tpl_run *r, const tpl_str *s, tpl_case how, tv *out)
{
    tpl_sb b = {0};
    clo_str in = tpl_bytes(s);
    bool ascii = true;
    if (!tpl_work(r, s->len / 8)) return false;
    for (size_t i = 0, n; i < in.len; i += n) {
        uint32_t c = clo_utf8_decode(in, i, &n);
        char text[4];
        ascii &= c < 0x80;
        if (c >= 0x80 && (special_case(c) || (how == TPL_CASE_SWAP)))
            return tpl_fail(r, CLO_ERR_UNSUPPORTED, "change of case of U+%04X", c);
        tpl_sb_add(r, &b, (clo_str){text, clo_utf8_encode(text, map_case(c, how, i == 0))});
    }
    if (s->n_marks && ascii) {
        b.marks = TPL_NEW(r, tpl_mark, s->n_marks);
        if (!b.marks) return false;
        memcpy(b.marks, s->marks, s->n_marks * sizeof *b.marks);
        b.n_marks = b.cap_marks = s->n_marks;
    } else if (s->n_marks) {
        tpl_sb whole = {0};
        tpl_sb_add_marked(r, &whole, (clo_str){b.ptr, b.len}, true);
        b = whole;
    }
    return tpl_sb_end(r, &b, out);
}
