/* Filters on single values: text, numbers, defaults. Those that walk sequences are in tpl_seq.c. */
#include <math.h>

#include "base/utf8.h"
#include "model/template_impl.h"

static bool given(tv v)
{
    return v.kind != TV_MISSING && v.kind != TV_NONE;
}

static bool call_text(tpl_run *r, tv v, const char *method, const tv *a, size_t n, tv *out)
{
    const tpl_str *s;
    tpl_args args = {.n_pos = n};
    if (n && !(args.pos = TPL_NEW(r, tv, n))) return false;
    if (n) memcpy(args.pos, a, n * sizeof *a);
    if (!tpl_to_str(r, v, &s)) return false;
    tpl_method m = {.self = tv_str(s), .name = clo_str_from(method)};
    return tpl_call_method(r, &m, &args, out);
}

static bool f_trim(tpl_run *r, tv v, const tv *a, tv *out)
{
    return call_text(r, v, "strip", a, given(a[0]), out);
}
static bool f_upper(tpl_run *r, tv v, const tv *a, tv *out)
{
    return call_text(r, v, "upper", a, 0, out);
}
static bool f_lower(tpl_run *r, tv v, const tv *a, tv *out)
{
    return call_text(r, v, "lower", a, 0, out);
}
static bool f_capitalize(tpl_run *r, tv v, const tv *a, tv *out)
{
    return call_text(r, v, "capitalize", a, 0, out);
}

static bool f_string(tpl_run *r, tv v, const tv *a, tv *out)
{
    const tpl_str *s;
    (void)a;
    if (!tpl_to_str(r, v, &s)) return false;
    *out = tv_str(s);
    return true;
}

static bool f_safe(tpl_run *r, tv v, const tv *a, tv *out)
{
    const tpl_str *s;
    tpl_str *q = TPL_NEW(r, tpl_str, 1);
    (void)a;
    if (!q || !tpl_to_str(r, v, &s)) return false;
    *q = *s;
    q->markup = true;
    *out = tv_str(q);
    return true;
}

/* Each word's first letter large, the rest small; words end at white space and at - ( { [ < alone. */
static bool f_title(tpl_run *r, tv v, const tv *a, tv *out)
{
    const tpl_str *s;
    tpl_sb b = {0};
    tv part, done;
    (void)a;
    if (!tpl_to_str(r, v, &s)) return false;
    if (s->markup) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "title of text marked safe");
    clo_str t = tpl_bytes(s);
    for (size_t i = 0; i < t.len;) {
        size_t end = i, n;
        bool sep = false;
        for (; end < t.len; end += n) {
            uint32_t c = clo_utf8_decode(t, end, &n);
            bool is_sep = tpl_is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
            if (end == i) sep = is_sep;
            else if (is_sep != sep) break;
        }
        if (!tpl_sub_str(r, s, i, end, &part)) return false;
        for (size_t k = i; k < end && !sep; k++)
            if ((uint8_t)t.ptr[k] >= 0x80) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "title of non-ASCII text");
        done = part;
        if (!sep && !tpl_case_str(r, part.s, TPL_CASE_CAPITAL, &done)) return false;
        tpl_sb_add_str(r, &b, done.s);
        i = end;
    }
    return tpl_sb_end(r, &b, out);
}

static bool f_replace(tpl_run *r, tv v, const tv *a, tv *out)
{
    const tpl_str *s, *from, *to;
    if (!tpl_to_str(r, v, &s) || !tpl_to_str(r, a[0], &from) || !tpl_to_str(r, a[1], &to)) return false;
    if (given(a[2]) && a[2].kind != TV_INT) return tpl_fail(r, TPL_TYPE_ERROR, "replace: a count expected");
    return tpl_replace(r, s, from, to, given(a[2]) ? a[2].i : -1, out);
}

static bool f_default(tpl_run *r, tv v, const tv *a, tv *out)
{
    bool use = v.kind == TV_UNDEF || (given(a[1]) && tpl_truth(a[1]) && !tpl_truth(v));
    *out = v;
    if (!use) return true;
    *out = a[0];
    return a[0].kind != TV_MISSING || tpl_new_str(r, CLO_STR(""), out);
}

static bool f_length(tpl_run *r, tv v, const tv *a, tv *out)
{
    int64_t n;
    (void)a;
    if (!tpl_len(r, v, &n)) return false;
    *out = tv_int(n);
    return true;
}

static bool f_abs(tpl_run *r, tv v, const tv *a, tv *out)
{
    (void)a;
    if (v.kind == TV_FLOAT) *out = tv_float(fabs(v.f));
    else if (v.kind == TV_BOOL) *out = tv_int(v.b);
    else if (v.kind == TV_INT && v.i >= 0) *out = v;
    else if (v.kind == TV_INT) return tpl_negate(r, v, out);
    else if (v.kind == TV_UNDEF) return tpl_fail(r, TPL_TYPE_ERROR, "bad operand type for abs(): 'Undefined'");
    else return tpl_fail(r, TPL_TYPE_ERROR, "bad operand type for abs(): '%s'", tpl_type_name(v));
    return true;
}

/* Python's float(text): ASCII digits, underscores between them, inf and nan by name; anything else is a miss. */
static bool text_float(tpl_run *r, const tpl_str *s, bool *hit, double *f)
{
    char text[400];
    clo_str t = tpl_bytes(s);
    size_t n = 0, head = tpl_space_head(t);
    t = clo_str_from_off(t, head);
    t.len -= tpl_space_tail(t);
    *hit = false;
    if (t.len == 0) return true;
    if (t.len >= sizeof text) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "a number of %zu characters", t.len);
    bool digits = false;
    for (size_t i = 0; i < t.len; i++) {
        char c = t.ptr[i];
        if ((uint8_t)c >= 0x80) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "a number in non-ASCII digits");
        if (c == '_') {
            bool between = i > 0 && i + 1 < t.len && t.ptr[i - 1] >= '0' && t.ptr[i - 1] <= '9' &&
                           t.ptr[i + 1] >= '0' && t.ptr[i + 1] <= '9';
            if (!between) return true;
            continue;
        }
        if (c == 'x' || c == 'X' || c == 'p' || c == 'P' || c == '(' || c == '\0' || tpl_is_space((uint8_t)c)) return true;
        digits |= c >= '0' && c <= '9';
        text[n++] = c;
    }
    text[n] = '\0';
    char *end;
    *f = strtod(text, &end);
    *hit = *end == '\0' && (digits || isinf(*f) || isnan(*f));
    return true;
}

static bool f_float(tpl_run *r, tv v, const tv *a, tv *out)
{
    bool hit = false;
    double f = 0;
    if (v.kind == TV_UNDEF) return tpl_undef_fail(r, v.u);
    if (v.kind == TV_FLOAT) {
        *out = v;
        return true;
    }
    if (v.kind == TV_INT || v.kind == TV_BOOL) {
        *out = tv_float(v.kind == TV_INT ? (double)v.i : (double)v.b);
        return true;
    }
    if (v.kind == TV_STR && !text_float(r, v.s, &hit, &f)) return false;
    *out = hit ? tv_float(f) : a[0].kind == TV_MISSING ? tv_float(0.0) : a[0];
    return true;
}

/* Python's int(text, 10). */
static bool text_int(tpl_run *r, const tpl_str *s, bool *hit, int64_t *out)
{
    clo_str t = tpl_bytes(s);
    t = clo_str_from_off(t, tpl_space_head(t));
    t.len -= tpl_space_tail(t);
    bool minus = t.len && t.ptr[0] == '-', last_digit = false;
    int64_t v = 0;
    *hit = false;
    if (t.len && (t.ptr[0] == '-' || t.ptr[0] == '+')) t = clo_str_from_off(t, 1);
    for (size_t i = 0; i < t.len; i++) {
        char c = t.ptr[i];
        if ((uint8_t)c >= 0x80) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "a number in non-ASCII digits");
        if (c == '_' && last_digit) {
            last_digit = false;
            continue;
        }
        if (c < '0' || c > '9') return true;
        last_digit = true;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, c - '0', &v))
            return tpl_fail(r, CLO_ERR_UNSUPPORTED, "an integer beyond 64 bits");
    }
    *hit = last_digit;
    if (!minus && __builtin_sub_overflow(0, v, &v)) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "an integer beyond 64 bits");
    *out = v;
    return true;
}

static bool float_to_int(tpl_run *r, double f, tv fallback, tv *out)
{
    *out = fallback;
    if (isnan(f) || isinf(f)) return true;
    if (!(f > -0x1p63 && f < 0x1p63)) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "an integer beyond 64 bits");
    *out = tv_int((int64_t)f);
    return true;
}

static bool f_int(tpl_run *r, tv v, const tv *a, tv *out)
{
    tv fallback = a[0].kind == TV_MISSING ? tv_int(0) : a[0];
    bool hit = false;
    int64_t i = 0;
    double f = 0;
    if (v.kind == TV_UNDEF) return tpl_undef_fail(r, v.u);
    if (a[1].kind != TV_MISSING && (a[1].kind != TV_INT || a[1].i != 10))
        return tpl_fail(r, CLO_ERR_UNSUPPORTED, "a base of the int filter");
    if (v.kind == TV_INT || v.kind == TV_BOOL) {
        *out = tv_int(v.kind == TV_INT ? v.i : v.b);
        return true;
    }
    if (v.kind == TV_FLOAT && isinf(v.f)) return tpl_fail(r, CLO_ERR_USAGE, "cannot convert float infinity to integer");
    if (v.kind == TV_FLOAT) return float_to_int(r, v.f, fallback, out);
    *out = fallback;
    if (v.kind != TV_STR) return true;
    if (!text_int(r, v.s, &hit, &i)) return false;
    if (hit) {
        *out = tv_int(i);
        return true;
    }
    if (!text_float(r, v.s, &hit, &f)) return false;
    return !hit || float_to_int(r, f, fallback, out);
}

/* Python's round: of a float to the nearest, ties to even, decided on the exact decimal value. */
static bool f_round(tpl_run *r, tv v, const tv *a, tv *out)
{
    int64_t prec = 0;
    char text[500];
    bool common = a[1].kind == TV_MISSING || tpl_str_is(a[1], "common");
    if (v.kind == TV_UNDEF) return tpl_fail(r, TPL_TYPE_ERROR, "type Undefined doesn't define __round__ method");
    if (a[0].kind != TV_MISSING && a[0].kind != TV_INT) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "this precision of round");
    if (a[0].kind == TV_INT) prec = a[0].i;
    if (prec < 0 || prec > 300) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "this precision of round");
    bool is_int = v.kind == TV_INT || v.kind == TV_BOOL;
    if (!is_int && v.kind != TV_FLOAT)
        return tpl_fail(r, TPL_TYPE_ERROR, "type %s doesn't define __round__ method", tpl_type_name(v));
    if (common && is_int) {
        *out = tv_int(v.kind == TV_INT ? v.i : v.b);
        return true;
    }
    if (common) {
        *out = v;
        if (isnan(v.f) || isinf(v.f)) return true;
        snprintf(text, sizeof text, "%.*f", (int)prec, v.f); /* glibc rounds the exact value, ties to even */
        *out = tv_float(strtod(text, NULL));
        return true;
    }
    bool up = tpl_str_is(a[1], "ceil");
    if (!up && !tpl_str_is(a[1], "floor")) return tpl_fail(r, CLO_ERR_USAGE, "method must be common, ceil or floor");
    if (prec > 15) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "this precision of round");
    double scale = 1, f = is_int ? (double)(v.kind == TV_INT ? v.i : v.b) : v.f;
    for (int64_t i = 0; i < prec; i++) scale *= 10;
    double whole = up ? ceil(f * scale) : floor(f * scale);
    if (isnan(f) || fabs(whole) > 0x1p53) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "round of so large a number");
    whole += 0.0; /* an integer in Python, which has no -0 */
    *out = tv_float(whole / scale);
    return true;
}

static bool f_indent(tpl_run *r, tv v, const tv *a, tv *out)
{
    tv lines, pad = a[0];
    tpl_sb b = {0};
    bool first = tpl_truth(a[1]), blank = tpl_truth(a[2]);
    if (v.kind != TV_STR) return v.kind == TV_UNDEF ? tpl_undef_fail(r, v.u) : tpl_fail(r, TPL_TYPE_ERROR, "indent of %s", tpl_type_name(v));
    if (v.s->markup) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "indent of text marked safe");
    if (pad.kind != TV_STR) {
        tv space;
        if (pad.kind == TV_MISSING) pad = tv_int(4);
        if (!tpl_new_str(r, CLO_STR(" "), &space) || !tpl_binary(r, '*', space, pad, &pad)) return false;
    }
    tv newline, text;
    if (!tpl_new_str(r, CLO_STR("\n"), &newline) || !tpl_concat(r, v.s, newline.s, &text)) return false;
    if (!call_text(r, text, "splitlines", NULL, 0, &lines)) return false;
    for (size_t i = 0; i < lines.l->n; i++) {
        const tpl_str *line = lines.l->items[i].s;
        if (i) tpl_sb_add(r, &b, CLO_STR("\n"));
        if (i ? blank || line->len : first) tpl_sb_add_str(r, &b, pad.s);
        tpl_sb_add_str(r, &b, line);
    }
    return tpl_sb_end(r, &b, out);
}


static bool f_items(tpl_run *r, tv v, const tv *a, tv *out)
{
    tpl_args none = {0};
    tv list, *items;
    (void)a;
    if (v.kind == TV_UNDEF) return tpl_new_list(r, TV_LIST, 0, &list, &items) && tpl_new_gen(r, list, out);
    if (v.kind != TV_DICT) return tpl_fail(r, TPL_TYPE_ERROR, "Can only get item pairs from a mapping.");
    tpl_method m = {.self = v, .name = CLO_STR("items")};
    return tpl_call_method(r, &m, &none, &list) && tpl_new_gen(r, list, out);
}

static bool f_attr(tpl_run *r, tv v, const tv *a, tv *out)
{
    bool unsafe;
    if (a[0].kind != TV_STR) return tpl_fail(r, TPL_TYPE_ERROR, "attr: a name expected");
    if (v.kind == TV_DICT && !tpl_has_method(v, tpl_bytes(a[0].s), &unsafe)) return tpl_undef_member(r, v, a[0], out);
    return tpl_get_attr(r, v, tpl_bytes(a[0].s), out);
}

static const tpl_filter plain_filters[] = {
    {"trim", "chars", 0, f_trim, NULL},
    {"upper", "", 0, f_upper, NULL},
    {"lower", "", 0, f_lower, NULL},
    {"capitalize", "", 0, f_capitalize, NULL},
    {"title", "", 0, f_title, NULL},
    {"string", "", 0, f_string, NULL},
    {"safe", "", 0, f_safe, NULL},
    {"replace", "old new count", 2, f_replace, NULL},
    {"default", "default_value boolean", 0, f_default, NULL},
    {"d", "default_value boolean", 0, f_default, NULL},
    {"length", "", 0, f_length, NULL},
    {"count", "", 0, f_length, NULL},
    {"abs", "", 0, f_abs, NULL},
    {"float", "default", 0, f_float, NULL},
    {"int", "default base", 0, f_int, NULL},
    {"round", "precision method", 0, f_round, NULL},
    {"indent", "width first blank", 0, f_indent, NULL},
    {"items", "", 0, f_items, NULL},
    {"attr", "name", 1, f_attr, NULL},
    {"tojson", "ensure_ascii indent separators sort_keys", 0, tpl_filter_tojson, NULL},
    {NULL, NULL, 0, NULL, NULL},
};

/* NULL when not built; *known tells whether Jinja has a filter of that name. */
const tpl_filter *tpl_find_filter(clo_str name, bool *known)
{
    static const char *const others[] = {
        "batch",  "center", "e",         "escape",   "filesizeformat", "forceescape", "format", "groupby",   "pprint",
        "random", "slice",  "striptags", "truncate", "urlencode",      "urlize",      "wordcount", "wordwrap", "xmlattr"};
    *known = true;
    for (const tpl_filter *f = plain_filters; f->name; f++)
        if (clo_str_eq(name, clo_str_from(f->name))) return f;
    for (const tpl_filter *f = tpl_seq_filters; f->name; f++)
        if (clo_str_eq(name, clo_str_from(f->name))) return f;
    *known = false;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) *known |= clo_str_eq(name, clo_str_from(others[i]));
    return NULL;
}

static size_t count_words(const char *s)
{
    size_t n = *s != '\0';
    for (; *s; s++) n += *s == ' ';
    return n;
}

bool tpl_apply_filter(tpl_run *r, const tpl_filter *f, tv v, const tpl_args *a, tv *out)
{
    tv args[TPL_FILTER_ARGS_MAX];
    if (v.kind == TV_UNDEF && v.u->why == TPL_UNDEF_UNSAFE) return tpl_undef_fail(r, v.u);
    if (f->raw) return f->raw(r, v, a, out);
    for (size_t i = 0; i < TPL_FILTER_ARGS_MAX; i++) args[i] = (tv){.kind = TV_MISSING};
    if (!tpl_bind_args(r, clo_str_from(f->name), a, f->params, f->n_required, args, count_words(f->params))) return false;
    return f->fn(r, v, args, out);
}
