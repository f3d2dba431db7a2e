/* Operators: arithmetic on int, float and text, comparisons, `in`, slices. Integers of Python have no end; ours have
 * 64 bits, and what does not fit is refused. */
#include <math.h>

#include "base/utf8.h"
#include "model/template_impl.h"

bool tpl_as_number(tv v, bool *is_int, int64_t *i, double *f)
{
    *is_int = v.kind == TV_INT || v.kind == TV_BOOL;
    *i = v.kind == TV_BOOL ? v.b : v.kind == TV_INT ? v.i : 0;
    *f = v.kind == TV_FLOAT ? v.f : 0;
    return *is_int || v.kind == TV_FLOAT;
}

int tpl_cmp_int_float(int64_t i, double f)
{
    if (isnan(f)) return 2;
    if (f >= 0x1p63) return -1;
    if (f < -0x1p63) return 1;
    int64_t whole = (int64_t)f; /* toward zero, exact */
    if (i != whole) return i < whole ? -1 : 1;
    double rest = f - (double)whole;
    return rest > 0 ? -1 : rest < 0 ? 1 : 0;
}

static bool overflow(tpl_run *r)
{
    return tpl_fail(r, CLO_ERR_UNSUPPORTED, "an integer beyond 64 bits");
}

static bool no_operator(tpl_run *r, uint32_t op, tv a, tv b)
{
    char text[3] = {(char)(op & 255), (char)(op >> 8), '\0'};
    return tpl_fail(r, TPL_TYPE_ERROR, "unsupported operand type(s) for %s: '%s' and '%s'", text, tpl_type_name(a),
                    tpl_type_name(b));
}

static bool int_floor_div(tpl_run *r, int64_t a, int64_t b, int64_t *q, int64_t *m)
{
    if (b == 0) return tpl_fail(r, CLO_ERR_USAGE, "integer division or modulo by zero");
    if (b == -1) { /* INT64_MIN / -1 */
        *m = 0;
        return !__builtin_sub_overflow(0, a, q) || overflow(r);
    }
    *q = a / b;
    *m = a % b;
    if (*m != 0 && (*m < 0) != (b < 0)) {
        *m += b;
        --*q;
    }
    return true;
}

static bool int_pow(tpl_run *r, int64_t a, int64_t b, tv *out)
{
    int64_t v = 1;
    if (a == 0 || a == 1 || a == -1) {
        *out = tv_int(b == 0 || a == 1 ? 1 : a == 0 ? 0 : b % 2 ? -1 : 1);
        return true;
    }
    for (int64_t i = 0; i < b; i++)
        if (__builtin_mul_overflow(v, a, &v)) return overflow(r);
    *out = tv_int(v);
    return true;
}

static bool float_binary(tpl_run *r, uint32_t op, double a, double b, tv *out)
{
    double m, q;
    if (b == 0 && (op == '/' || op == '%' || op == TPL_OP2('/', '/')))
        return tpl_fail(r, CLO_ERR_USAGE, "float division by zero");
    switch (op) {
    case '+': *out = tv_float(a + b); return true;
    case '-': *out = tv_float(a - b); return true;
    case '*': *out = tv_float(a * b); return true;
    case '/': *out = tv_float(a / b); return true;
    case TPL_OP2('*', '*'): {
        double p = pow(a, b);
        if ((a < 0 && b != floor(b)) || (a == 0 && b < 0) || (isinf(p) && !isinf(a) && !isinf(b)))
            return tpl_fail(r, CLO_ERR_UNSUPPORTED, "a power outside of real numbers");
        *out = tv_float(p);
        return true;
    }
    default: break;
    }
    m = fmod(a, b); /* the steps of CPython's float_divmod */
    q = (a - m) / b;
    if (m != 0) {
        if ((b < 0) != (m < 0)) {
            m += b;
            q -= 1.0;
        }
    } else {
        m = copysign(0.0, b);
    }
    double fq = q != 0 ? floor(q) : copysign(0.0, a / b);
    if (q != 0 && q - fq > 0.5) fq += 1.0;
    *out = tv_float(op == '%' ? m : fq);
    return true;
}

static bool exact_double(tpl_run *r, int64_t i, double *f)
{
    *f = (double)i;
    if (tpl_cmp_int_float(i, *f) == 0) return true;
    return tpl_fail(r, CLO_ERR_UNSUPPORTED, "an integer too large to become a float exactly");
}

static bool int_binary(tpl_run *r, uint32_t op, int64_t a, int64_t b, tv *out)
{
    int64_t v = 0, m = 0;
    double fa, fb;
    bool bad = false;
    switch (op) {
    case '+': bad = __builtin_add_overflow(a, b, &v); break;
    case '-': bad = __builtin_sub_overflow(a, b, &v); break;
    case '*': bad = __builtin_mul_overflow(a, b, &v); break;
    case '%':
    case TPL_OP2('/', '/'):
        if (!int_floor_div(r, a, b, &v, &m)) return false;
        if (op == '%') v = m;
        break;
    case TPL_OP2('*', '*'):
        if (b >= 0) return int_pow(r, a, b, out);
        /* fall through */
    default:
        if (op == '/' && b == 0) return tpl_fail(r, CLO_ERR_USAGE, "division by zero");
        return exact_double(r, a, &fa) && exact_double(r, b, &fb) && float_binary(r, op, fa, fb, out);
    }
    if (bad) return overflow(r);
    *out = tv_int(v);
    return true;
}

static bool no_markup(tpl_run *r, tv v, const char *what)
{
    if (v.kind != TV_STR || !v.s->markup) return true;
    return tpl_fail(r, CLO_ERR_UNSUPPORTED, "%s on text marked safe", what);
}

static bool repeat(tpl_run *r, tv v, int64_t n, tv *out)
{
    size_t times = n < 0 ? 0 : (size_t)n, len = v.kind == TV_STR ? v.s->len : v.l->n;
    if (len && times > TPL_MEMORY_BYTES_MAX / len) return tpl_fail(r, CLO_ERR_LIMIT, "a repeated value is too long");
    if (!no_markup(r, v, "'*'") || !tpl_work(r, len * times / 16)) return false;
    if (v.kind == TV_STR) {
        tpl_sb b = {0};
        if (len == 0) times = 0;
        for (size_t i = 0; i < times && !r->failed; i++) tpl_sb_add_str(r, &b, v.s);
        return tpl_sb_end(r, &b, out);
    }
    tv *items;
    if (!tpl_new_list(r, v.kind, len * times, out, &items)) return false;
    for (size_t i = 0; i < len * times; i++) items[i] = v.l->items[i % len];
    return true;
}

static bool join_lists(tpl_run *r, tv a, tv b, tv *out)
{
    tv *items;
    if (!tpl_new_list(r, a.kind, a.l->n + b.l->n, out, &items)) return false;
    if (a.l->n) memcpy(items, a.l->items, a.l->n * sizeof *items);
    if (b.l->n) memcpy(items + a.l->n, b.l->items, b.l->n * sizeof *items);
    return true;
}

static bool is_sequence(tv v)
{
    return v.kind == TV_STR || v.kind == TV_LIST || v.kind == TV_TUPLE;
}

bool tpl_binary(tpl_run *r, uint32_t op, tv a, tv b, tv *out)
{
    bool ia, ib;
    int64_t na, nb;
    double fa, fb;
    if (a.kind == TV_UNDEF) return tpl_undef_fail(r, a.u);
    if (b.kind == TV_UNDEF && !(op == '%' && a.kind == TV_STR)) return tpl_undef_fail(r, b.u);
    bool num_a = tpl_as_number(a, &ia, &na, &fa), num_b = tpl_as_number(b, &ib, &nb, &fb);
    if (num_a && num_b) {
        if (ia && ib) return int_binary(r, op, na, nb, out);
        if ((ia && !exact_double(r, na, &fa)) || (ib && !exact_double(r, nb, &fb))) return false;
        return float_binary(r, op, fa, fb, out);
    }
    if (op == '%' && a.kind == TV_STR) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "formatting of text with '%%'");
    if (op == '*' && is_sequence(a) && ib) return repeat(r, a, nb, out);
    if (op == '*' && is_sequence(b) && ia) return repeat(r, b, na, out);
    if (op == '+' && a.kind == b.kind && a.kind == TV_STR)
        return no_markup(r, a, "'+'") && no_markup(r, b, "'+'") && tpl_concat(r, a.s, b.s, out);
    if (op == '+' && a.kind == b.kind && is_sequence(a)) return join_lists(r, a, b, out);
    if (a.kind == TV_VIEW || b.kind == TV_VIEW) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "operators on dict views");
    if (op == '+' && a.kind == TV_STR)
        return tpl_fail(r, TPL_TYPE_ERROR, "can only concatenate str (not \"%s\") to str", tpl_type_name(b));
    if (op == '+' && (a.kind == TV_LIST || a.kind == TV_TUPLE))
        return tpl_fail(r, TPL_TYPE_ERROR, "can only concatenate %s (not \"%s\") to %s", tpl_type_name(a),
                        tpl_type_name(b), tpl_type_name(a));
    return no_operator(r, op, a, b);
}

bool tpl_negate(tpl_run *r, tv a, tv *out)
{
    bool is_int;
    int64_t i;
    double f;
    if (a.kind == TV_UNDEF) return tpl_undef_fail(r, a.u);
    if (!tpl_as_number(a, &is_int, &i, &f))
        return tpl_fail(r, TPL_TYPE_ERROR, "bad operand type for unary -: '%s'", tpl_type_name(a));
    if (!is_int) *out = tv_float(-f);
    else if (__builtin_sub_overflow(0, i, &i)) return overflow(r);
    else *out = tv_int(i);
    return true;
}

bool tpl_contains(tpl_run *r, tv item, tv box, bool *out)
{
    const tpl_list *l;
    *out = false;
    if (box.kind == TV_STR) {
        if (item.kind == TV_UNDEF || item.kind != TV_STR)
            return tpl_fail(r, TPL_TYPE_ERROR, "'in <string>' requires string as left operand, not %s",
                            tpl_type_name(item));
        *out = tpl_find(tpl_bytes(box.s), tpl_bytes(item.s), 0) <= box.s->len;
        return tpl_work(r, box.s->len / 64);
    }
    if (box.kind == TV_DICT) {
        size_t i;
        if (!tpl_dict_find(r, box.d, item, &i)) return false;
        *out = i < box.d->n;
        return true;
    }
    if (!tpl_is_iterable(box))
        return tpl_fail(r, TPL_TYPE_ERROR, "argument of type '%s' is not iterable", tpl_type_name(box));
    if (box.kind == TV_GEN) { /* walks only as far as the item */
        while (!*out && box.g->pos < box.g->l->n)
            if (!tpl_eq(r, box.g->l->items[box.g->pos++], item, 0, out)) return false;
        return true;
    }
    if (!tpl_iter(r, box, &l)) return false;
    for (size_t i = 0; !*out && i < l->n; i++)
        if (!tpl_eq(r, l->items[i], item, 0, out)) return false;
    return true;
}

bool tpl_compare(tpl_run *r, uint32_t op, tv a, tv b, bool *out)
{
    switch (op) {
    case TPL_OP2('=', '='): return tpl_eq(r, a, b, 0, out);
    case TPL_OP2('!', '='):
        if (!tpl_eq(r, a, b, 0, out)) return false;
        *out = !*out;
        return true;
    case TPL_OP_IN: return tpl_contains(r, a, b, out);
    case TPL_OP_NOT_IN:
        if (!tpl_contains(r, a, b, out)) return false;
        *out = !*out;
        return true;
    case '<': return tpl_less(r, a, b, 0, out);
    case '>': return tpl_less(r, b, a, 0, out);
    default: break;
    }
    bool less, eq; /* <= and >=: less or equal, so that NaN compares false */
    if (!tpl_less(r, op == TPL_OP2('<', '=') ? a : b, op == TPL_OP2('<', '=') ? b : a, 0, &less)) return false;
    if (!tpl_eq(r, a, b, 0, &eq)) return false;
    *out = less || eq;
    return true;
}

/* ---- slices ---- */

static bool slice_index(tpl_run *r, tv v, int64_t fallback, int64_t n, int64_t low, int64_t high, int64_t *out)
{
    *out = fallback;
    if (v.kind == TV_NONE || v.kind == TV_MISSING) return true;
    if (v.kind != TV_INT && v.kind != TV_BOOL)
        return tpl_fail(r, TPL_TYPE_ERROR, "slice indices must be integers or None or have an __index__ method");
    int64_t i = v.kind == TV_INT ? v.i : v.b;
    if (i < 0) i = i < -n ? low : i + n;
    *out = i < low ? low : i > high ? high : i;
    return true;
}

static bool slice_chars(tpl_run *r, tv v, int64_t start, int64_t step, int64_t count, tv *out)
{
    if (!tpl_work(r, v.s->len / 16)) return false;
    if (step == 1 || count == 0) {
        size_t begin = tpl_str_off(v.s, (size_t)(count ? start : 0));
        tpl_str rest = {.ptr = v.s->ptr + begin, .len = v.s->len - begin};
        return tpl_sub_str(r, v.s, begin, begin + tpl_str_off(&rest, (size_t)count), out);
    }
    const tpl_list *chars;
    tpl_sb b = {0};
    if (!tpl_iter(r, v, &chars)) return false;
    for (int64_t k = 0; k < count; k++) tpl_sb_add_str(r, &b, chars->items[start + k * step].s);
    return tpl_sb_end(r, &b, out);
}

bool tpl_slice(tpl_run *r, tv v, tv start_v, tv stop_v, tv step_v, tv *out)
{
    int64_t n, start, stop, step = 1, count = 0;
    if (v.kind == TV_UNDEF) return tpl_undef_fail(r, v.u);
    if (!is_sequence(v)) {
        clo_code code = v.kind == TV_RANGE ? CLO_ERR_UNSUPPORTED : TPL_TYPE_ERROR;
        return tpl_fail(r, code, "'%s' object is not subscriptable by a slice", tpl_type_name(v));
    }
    if (!no_markup(r, v, "a slice") || !tpl_len(r, v, &n)) return false;
    if (step_v.kind != TV_NONE && !slice_index(r, step_v, 1, 0, INT64_MIN / 2, INT64_MAX / 2, &step)) return false;
    if (step_v.kind == TV_INT && step_v.i < 0) step = step_v.i < -INT64_MAX / 2 ? -INT64_MAX / 2 : step_v.i;
    if (step == 0) return tpl_fail(r, CLO_ERR_USAGE, "slice step cannot be zero");
    if (step > 0) {
        if (!slice_index(r, start_v, 0, n, 0, n, &start) || !slice_index(r, stop_v, n, n, 0, n, &stop)) return false;
        if (stop > start) count = (stop - start - 1) / step + 1;
    } else {
        if (!slice_index(r, start_v, n - 1, n, -1, n - 1, &start)) return false;
        if (!slice_index(r, stop_v, -1, n, -1, n - 1, &stop)) return false;
        if (start > stop) count = (start - stop - 1) / -step + 1;
    }
    if (v.kind == TV_STR) return slice_chars(r, v, start, step, count, out);
    tv *items;
    if (!tpl_new_list(r, v.kind, (size_t)count, out, &items)) return false;
    for (int64_t k = 0; k < count; k++) items[k] = v.l->items[start + k * step];
    return true;
}
