/* Methods of text, dicts and lists, as Python has them. What would change a list or dict is unsafe, as in Jinja's
 * immutable sandbox. */
#include "base/utf8.h"
#include "model/template_impl.h"

static bool word_in(const char *words, clo_str name)
{
    for (clo_str rest = clo_str_from(words); rest.len;) {
        size_t end = clo_str_find(rest, 0, ' ');
        if (clo_str_eq((clo_str){rest.ptr, end}, name)) return true;
        rest = clo_str_from_off(rest, end + 1);
    }
    return false;
}

bool tpl_has_method(tv v, clo_str name, bool *unsafe)
{
    static const char str_names[] =
        "capitalize casefold center count encode endswith expandtabs find format format_map index isalnum isalpha "
        "isascii isdecimal isdigit isidentifier islower isnumeric isprintable isspace istitle isupper join ljust lower "
        "lstrip maketrans partition removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip split "
        "splitlines startswith strip swapcase title translate upper zfill";
    static const char dict_unsafe[] = "clear pop popitem setdefault update";
    static const char list_unsafe[] = "append clear extend insert pop remove reverse sort";
    *unsafe = false;
    switch (v.kind) {
    case TV_STR: return word_in(str_names, name);
    case TV_DICT: *unsafe = word_in(dict_unsafe, name); return *unsafe || word_in("copy fromkeys get items keys values", name);
    case TV_LIST: *unsafe = word_in(list_unsafe, name); return *unsafe || word_in("copy count index", name);
    case TV_TUPLE: return word_in("count index", name);
    case TV_RANGE: return word_in("count index start stop step", name);
    case TV_INT:
    case TV_BOOL:
        return word_in("as_integer_ratio bit_count bit_length conjugate denominator from_bytes imag numerator real to_bytes",
                       name);
    case TV_FLOAT: return word_in("as_integer_ratio conjugate fromhex hex imag is_integer real", name);
    case TV_VIEW: return word_in("isdisjoint mapping", name);
    case TV_GEN:
        *unsafe = word_in("gi_frame gi_code", name);
        return *unsafe || word_in("close send throw gi_running gi_suspended gi_yieldfrom", name);
    default: return false;
    }
}

/* ---- helpers ---- */

static bool want_str(tpl_run *r, tv v, const char *what, const tpl_str **out)
{
    if (v.kind == TV_UNDEF && v.u->why == TPL_UNDEF_UNSAFE) return tpl_undef_fail(r, v.u);
    if (v.kind != TV_STR) return tpl_fail(r, TPL_TYPE_ERROR, "%s: text expected, not %s", what, tpl_type_name(v));
    *out = v.s;
    return true;
}

static bool want_int(tpl_run *r, tv v, int64_t fallback, int64_t *out)
{
    *out = fallback;
    if (v.kind == TV_MISSING) return true;
    if (v.kind != TV_INT && v.kind != TV_BOOL)
        return tpl_fail(r, TPL_TYPE_ERROR, "'%s' object cannot be interpreted as an integer", tpl_type_name(v));
    *out = v.kind == TV_INT ? v.i : v.b;
    return true;
}

/* ---- strip ---- */

static bool has_char(clo_str set, uint32_t c)
{
    for (size_t i = 0, n; i < set.len; i += n)
        if (clo_utf8_decode(set, i, &n) == c) return true;
    return false;
}

/* Sides: 1 left, 2 right. chars MISSING or None: white space. */
static bool strip(tpl_run *r, const tpl_str *s, tv chars, int sides, tv *out)
{
    clo_str t = tpl_bytes(s);
    size_t begin = 0, end = t.len, n;
    const tpl_str *set = NULL;
    if (chars.kind != TV_MISSING && chars.kind != TV_NONE && !want_str(r, chars, "strip arg must be None or str", &set))
        return false;
    if (!tpl_work(r, set ? t.len / 64 * (set->len + 1) : t.len / 64)) return false;
    if (!set) {
        if (sides & 1) begin = tpl_space_head(t);
        if (sides & 2) end -= tpl_space_tail((clo_str){t.ptr + begin, t.len - begin});
        return tpl_sub_str(r, s, begin, end, out);
    }
    while ((sides & 1) && begin < end && has_char(tpl_bytes(set), clo_utf8_decode(t, begin, &n))) begin += n;
    while ((sides & 2) && end > begin) {
        size_t i = end - 1;
        while (i > begin && ((uint8_t)t.ptr[i] & 0xc0) == 0x80) i--;
        if (!has_char(tpl_bytes(set), clo_utf8_decode(t, i, &n))) break;
        end = i;
    }
    return tpl_sub_str(r, s, begin, end, out);
}

static bool m_strip(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    return strip(r, s, a[0], 3, out);
}
static bool m_lstrip(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    return strip(r, s, a[0], 1, out);
}
static bool m_rstrip(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    return strip(r, s, a[0], 2, out);
}

/* ---- split ---- */

typedef struct {
    tv *items;
    size_t n, cap;
} parts;

static bool add_part(tpl_run *r, parts *p, const tpl_str *s, size_t begin, size_t end)
{
    if (p->n == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 8;
        tv *q = TPL_NEW(r, tv, cap);
        if (!q) return false;
        if (p->n) memcpy(q, p->items, p->n * sizeof *q);
        p->items = q;
        p->cap = cap;
    }
    return tpl_work(r, 1) && tpl_sub_str(r, s, begin, end, &p->items[p->n++]);
}

static bool parts_list(tpl_run *r, const parts *p, bool reverse, tv *out)
{
    tv *items;
    if (!tpl_new_list(r, TV_LIST, p->n, out, &items)) return false;
    for (size_t i = 0; i < p->n; i++) items[i] = p->items[reverse ? p->n - 1 - i : i];
    return true;
}

static bool split_spaces(tpl_run *r, const tpl_str *s, int64_t max, tv *out)
{
    parts p = {0};
    clo_str t = tpl_bytes(s);
    size_t i = tpl_space_head(t), n;
    while (i < t.len) {
        size_t end = i;
        if (max >= 0 && (int64_t)p.n == max) end = t.len; /* the rest as it is */
        else while (end < t.len && !tpl_is_space(clo_utf8_decode(t, end, &n))) end += n;
        if (!add_part(r, &p, s, i, end)) return false;
        if (end >= t.len || (max >= 0 && (int64_t)p.n > max)) break;
        i = end + tpl_space_head(clo_str_from_off(t, end));
    }
    return parts_list(r, &p, false, out);
}

static bool rsplit_spaces(tpl_run *r, const tpl_str *s, int64_t max, tv *out)
{
    parts p = {0};
    clo_str t = tpl_bytes(s);
    for (size_t end = t.len - tpl_space_tail(t); end > 0;) {
        size_t begin = end;
        if (max >= 0 && (int64_t)p.n == max) begin = 0;
        else while (begin > 0) {
            size_t i = begin - 1, n;
            while (i > 0 && ((uint8_t)t.ptr[i] & 0xc0) == 0x80) i--;
            if (tpl_is_space(clo_utf8_decode(t, i, &n))) break;
            begin = i;
        }
        if (!add_part(r, &p, s, begin, end)) return false;
        if (max >= 0 && (int64_t)p.n > max) break;
        end = begin - tpl_space_tail((clo_str){t.ptr, begin});
    }
    return parts_list(r, &p, true, out);
}

static size_t rfind(clo_str hay, clo_str needle, size_t end)
{
    if (needle.len > end) return hay.len + 1;
    for (size_t i = end - needle.len + 1; i-- > 0;)
        if (memcmp(hay.ptr + i, needle.ptr, needle.len) == 0) return i;
    return hay.len + 1;
}

static bool split(tpl_run *r, const tpl_str *s, const tv *a, bool right, tv *out)
{
    int64_t max;
    const tpl_str *sep;
    parts p = {0};
    clo_str t = tpl_bytes(s);
    if (!want_int(r, a[1], -1, &max) || !tpl_work(r, s->len / 16)) return false;
    if (a[0].kind == TV_MISSING || a[0].kind == TV_NONE)
        return right ? rsplit_spaces(r, s, max, out) : split_spaces(r, s, max, out);
    if (!want_str(r, a[0], "must be str or None", &sep)) return false;
    if (sep->len == 0) return tpl_fail(r, CLO_ERR_USAGE, "empty separator");
    size_t begin = 0, end = t.len;
    while (max < 0 || (int64_t)p.n < max) {
        size_t hit = right ? rfind(t, tpl_bytes(sep), end) : tpl_find(t, tpl_bytes(sep), begin);
        if (hit > t.len) break;
        if (!(right ? add_part(r, &p, s, hit + sep->len, end) : add_part(r, &p, s, begin, hit))) return false;
        if (right) end = hit;
        else begin = hit + sep->len;
    }
    return add_part(r, &p, s, begin, end) && parts_list(r, &p, right, out);
}

static bool m_split(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    return split(r, s, a, false, out);
}
static bool m_rsplit(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    return split(r, s, a, true, out);
}

static bool m_splitlines(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    parts p = {0};
    clo_str t = tpl_bytes(s);
    bool keep = tpl_truth(a[0]);
    size_t begin = 0;
    for (size_t i = 0, n; i < t.len;) {
        uint32_t c = clo_utf8_decode(t, i, &n);
        size_t end = i;
        i += n;
        bool eol = (c >= 10 && c <= 13) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
        if (!eol) continue;
        if (c == '\r' && i < t.len && t.ptr[i] == '\n') i++;
        if (!add_part(r, &p, s, begin, keep ? i : end)) return false;
        begin = i;
    }
    if (begin < t.len && !add_part(r, &p, s, begin, t.len)) return false;
    return parts_list(r, &p, false, out);
}

static bool partition(tpl_run *r, const tpl_str *s, tv sep_v, bool right, tv *out)
{
    const tpl_str *sep;
    tv *items;
    if (!want_str(r, sep_v, "must be str", &sep)) return false;
    if (sep->len == 0) return tpl_fail(r, CLO_ERR_USAGE, "empty separator");
    clo_str t = tpl_bytes(s);
    size_t hit = right ? rfind(t, tpl_bytes(sep), t.len) : tpl_find(t, tpl_bytes(sep), 0), end = hit + sep->len;
    if (hit > t.len) hit = end = right ? 0 : t.len;
    if (!tpl_new_list(r, TV_TUPLE, 3, out, &items)) return false;
    return tpl_sub_str(r, s, 0, hit, &items[0]) && tpl_sub_str(r, s, hit, end, &items[1]) &&
           tpl_sub_str(r, s, end, t.len, &items[2]);
}

static bool m_partition(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    return partition(r, s, a[0], false, out);
}
static bool m_rpartition(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    return partition(r, s, a[0], true, out);
}

/* ---- search ---- */

static bool affix_one(tpl_run *r, const tpl_str *s, tv v, bool tail, bool *out)
{
    const tpl_str *q;
    if (!want_str(r, v, "startswith/endswith first arg must be str or a tuple of str", &q)) return false;
    *out = tail ? clo_str_ends_with(tpl_bytes(s), tpl_bytes(q)) : clo_str_starts_with(tpl_bytes(s), tpl_bytes(q));
    return true;
}

static bool affix(tpl_run *r, const tpl_str *s, const tv *a, bool tail, tv *out)
{
    bool hit = false;
    tv part = tv_str(s);
    if (a[1].kind != TV_MISSING || a[2].kind != TV_MISSING) { /* s[start:end].startswith(...) but for empty text */
        tv none = tv_none();
        int64_t start, n;
        if (!tpl_len(r, part, &n) || !want_int(r, a[1].kind == TV_NONE ? (tv){.kind = TV_MISSING} : a[1], 0, &start)) return false;
        if (start > n) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "startswith beyond the end");
        if (!tpl_slice(r, part, a[1].kind == TV_MISSING ? none : a[1], a[2].kind == TV_MISSING ? none : a[2], none, &part))
            return false;
    }
    if (a[0].kind != TV_TUPLE) {
        if (!affix_one(r, part.s, a[0], tail, &hit)) return false;
    } else {
        for (size_t i = 0; !hit && i < a[0].l->n; i++)
            if (!affix_one(r, part.s, a[0].l->items[i], tail, &hit)) return false;
    }
    *out = tv_bool(hit);
    return true;
}

static bool m_startswith(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    return affix(r, s, a, false, out);
}
static bool m_endswith(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    return affix(r, s, a, true, out);
}

static bool find_char(tpl_run *r, const tpl_str *s, tv v, bool right, bool must, tv *out)
{
    const tpl_str *q;
    if (!want_str(r, v, "must be str", &q) || !tpl_work(r, s->len / 16)) return false;
    clo_str t = tpl_bytes(s);
    size_t hit = right ? rfind(t, tpl_bytes(q), t.len) : tpl_find(t, tpl_bytes(q), 0);
    tpl_str head = {.ptr = s->ptr, .len = hit};
    if (hit > t.len && must) return tpl_fail(r, CLO_ERR_USAGE, "substring not found");
    *out = tv_int(hit > t.len ? -1 : (int64_t)tpl_str_len(&head));
    return true;
}

static bool m_find(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    return find_char(r, s, a[0], false, false, out);
}
static bool m_rfind(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    return find_char(r, s, a[0], true, false, out);
}
static bool m_index(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    return find_char(r, s, a[0], false, true, out);
}

static bool m_count(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    const tpl_str *q;
    int64_t n = 0;
    if (!want_str(r, a[0], "must be str", &q) || !tpl_work(r, s->len / 16)) return false;
    clo_str t = tpl_bytes(s);
    if (q->len == 0) n = (int64_t)tpl_str_len(s) + 1;
    else for (size_t i = 0; (i = tpl_find(t, tpl_bytes(q), i)) <= t.len; i += q->len) n++;
    *out = tv_int(n);
    return true;
}

/* ---- change ---- */

bool tpl_replace(tpl_run *r, const tpl_str *s, const tpl_str *from, const tpl_str *to, int64_t max, tv *out)
{
    tpl_sb b = {0};
    tv part;
    clo_str t = tpl_bytes(s);
    size_t i = 0;
    for (int64_t k = 0; (max < 0 || k < max) && !r->failed; k++) {
        size_t hit = tpl_find(t, tpl_bytes(from), i), w = 0;
        if (hit > t.len) break;
        if (from->len == 0) { /* before every character, and at the end */
            tpl_sb_add_str(r, &b, to);
            if (hit == t.len) break;
            (void)clo_utf8_decode(t, hit, &w);
        }
        if (!tpl_sub_str(r, s, i, hit + w, &part)) return false;
        tpl_sb_add_str(r, &b, part.s);
        if (from->len) tpl_sb_add_str(r, &b, to);
        i = hit + w + from->len;
        if (!tpl_work(r, 1)) return false;
    }
    if (!tpl_sub_str(r, s, i, t.len, &part)) return false;
    tpl_sb_add_str(r, &b, part.s);
    return tpl_work(r, t.len / 16) && tpl_sb_end(r, &b, out);
}

static bool m_replace(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    const tpl_str *from, *to;
    int64_t max;
    if (!want_str(r, a[0], "replace", &from) || !want_str(r, a[1], "replace", &to)) return false;
    return want_int(r, a[2], -1, &max) && tpl_replace(r, s, from, to, max, out);
}

static bool m_upper(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    (void)a;
    return tpl_case_str(r, s, TPL_CASE_UPPER, out);
}
static bool m_lower(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    (void)a;
    return tpl_case_str(r, s, TPL_CASE_LOWER, out);
}
static bool m_capitalize(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    (void)a;
    return tpl_case_str(r, s, TPL_CASE_CAPITAL, out);
}
static bool m_swapcase(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    (void)a;
    return tpl_case_str(r, s, TPL_CASE_SWAP, out);
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool ascii_only(tpl_run *r, const tpl_str *s, const char *what)
{
    for (size_t i = 0; i < s->len; i++)
        if ((uint8_t)s->ptr[i] >= 0x80) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "%s on non-ASCII text", what);
    return tpl_work(r, s->len / 16);
}

static bool m_title(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    tpl_sb b = {0};
    bool inside = false;
    (void)a;
    if (!ascii_only(r, s, "title")) return false;
    for (size_t i = 0; i < s->len; i++) {
        char c = s->ptr[i];
        if (is_alpha(c)) c = (char)(inside ? c | 32 : c & ~32);
        inside = is_alpha(c);
        tpl_sb_add_marked(r, &b, (clo_str){&c, 1}, s->n_marks > 0);
    }
    return tpl_sb_end(r, &b, out);
}

static bool trim_affix(tpl_run *r, const tpl_str *s, tv v, bool tail, tv *out)
{
    const tpl_str *q;
    bool hit;
    if (!want_str(r, v, "removeprefix/removesuffix", &q) || !affix_one(r, s, v, tail, &hit)) return false;
    size_t cut = hit ? q->len : 0;
    return tpl_sub_str(r, s, tail ? 0 : cut, tail ? s->len - cut : s->len, out);
}

static bool m_removeprefix(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    return trim_affix(r, s, a[0], false, out);
}
static bool m_removesuffix(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    return trim_affix(r, s, a[0], true, out);
}

static bool m_join(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    const tpl_list *l;
    tpl_sb b = {0};
    if (!tpl_iter(r, a[0], &l)) return false;
    for (size_t i = 0; i < l->n; i++) {
        const tpl_str *item;
        if (l->items[i].kind != TV_STR)
            return tpl_fail(r, TPL_TYPE_ERROR, "sequence item %zu: expected str instance, %s found", i,
                            tpl_type_name(l->items[i]));
        item = l->items[i].s;
        if (i) tpl_sb_add_str(r, &b, s);
        tpl_sb_add_str(r, &b, item);
    }
    return tpl_sb_end(r, &b, out);
}

/* ---- classes ---- */

/* True when the text is not empty and each character is in the class ('a' letters, 'd' digits, 'n' both, 's' space). */
static bool all_are(tpl_run *r, const tpl_str *s, char class, tv *out)
{
    bool all = s->len > 0;
    if (!ascii_only(r, s, "a test of characters")) return false;
    for (size_t i = 0; i < s->len; i++) {
        char c = s->ptr[i];
        bool digit = c >= '0' && c <= '9';
        bool hit = class == 'a' ? is_alpha(c) : class == 'd' ? digit : class == 'n' ? digit || is_alpha(c) : tpl_is_space((uint8_t)c);
        all &= hit;
    }
    *out = tv_bool(all);
    return true;
}

static bool m_isalpha(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    (void)a;
    return all_are(r, s, 'a', out);
}
static bool m_isdigit(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    (void)a;
    return all_are(r, s, 'd', out);
}
static bool m_isalnum(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    (void)a;
    return all_are(r, s, 'n', out);
}
static bool m_isspace(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    (void)a;
    return all_are(r, s, 's', out);
}

bool tpl_all_case(tpl_run *r, const tpl_str *s, bool upper, bool *out)
{
    bool some = false;
    *out = true;
    if (!ascii_only(r, s, "a test of case")) return false;
    for (size_t i = 0; i < s->len; i++) {
        if (!is_alpha(s->ptr[i])) continue;
        some = true;
        *out &= ((s->ptr[i] & 32) == 0) == upper;
    }
    *out &= some;
    return true;
}

static bool m_isupper(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    bool hit;
    (void)a;
    if (!tpl_all_case(r, s, true, &hit)) return false;
    *out = tv_bool(hit);
    return true;
}
static bool m_islower(tpl_run *r, const tpl_str *s, const tv *a, tv *out)
{
    bool hit;
    (void)a;
    if (!tpl_all_case(r, s, false, &hit)) return false;
    *out = tv_bool(hit);
    return true;
}

static bool call_str(tpl_run *r, const tpl_method *m, const tpl_args *args, tv *out)
{
    static const struct {
        const char *name, *params;
        size_t n_required, n;
        bool (*fn)(tpl_run *, const tpl_str *, const tv *, tv *);
    } rows[] = {
        {"strip", "", 0, 1, m_strip},
        {"lstrip", "", 0, 1, m_lstrip},
        {"rstrip", "", 0, 1, m_rstrip},
        {"split", "sep maxsplit", 0, 2, m_split},
        {"rsplit", "sep maxsplit", 0, 2, m_rsplit},
        {"splitlines", "keepends", 0, 1, m_splitlines},
        {"partition", "", 1, 1, m_partition},
        {"rpartition", "", 1, 1, m_rpartition},
        {"startswith", "", 1, 3, m_startswith},
        {"endswith", "", 1, 3, m_endswith},
        {"find", "", 1, 1, m_find},
        {"rfind", "", 1, 1, m_rfind},
        {"index", "", 1, 1, m_index},
        {"count", "", 1, 1, m_count},
        {"replace", "", 2, 3, m_replace},
        {"upper", "", 0, 0, m_upper},
        {"lower", "", 0, 0, m_lower},
        {"capitalize", "", 0, 0, m_capitalize},
        {"swapcase", "", 0, 0, m_swapcase},
        {"title", "", 0, 0, m_title},
        {"removeprefix", "", 1, 1, m_removeprefix},
        {"removesuffix", "", 1, 1, m_removesuffix},
        {"join", "", 1, 1, m_join},
        {"isalpha", "", 0, 0, m_isalpha},
        {"isdigit", "", 0, 0, m_isdigit},
        {"isalnum", "", 0, 0, m_isalnum},
        {"isspace", "", 0, 0, m_isspace},
        {"isupper", "", 0, 0, m_isupper},
        {"islower", "", 0, 0, m_islower},
    };
    if (m->self.s->markup) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "methods of text marked safe");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tv a[3];
        if (!clo_str_eq(m->name, clo_str_from(rows[i].name))) continue;
        if (!tpl_bind_args(r, m->name, args, rows[i].params, rows[i].n_required, a, rows[i].n)) return false;
        for (size_t k = 0; k < rows[i].n; k++)
            if (a[k].kind == TV_STR && a[k].s->markup)
                return tpl_fail(r, CLO_ERR_UNSUPPORTED, "methods with text marked safe");
        return rows[i].fn(r, m->self.s, a, out);
    }
    return tpl_fail(r, CLO_ERR_UNSUPPORTED, "unsupported method '%.*s' of str", tpl_shown(m->name), m->name.ptr);
}

/* ---- dict, list, loop ---- */

static bool call_dict(tpl_run *r, const tpl_method *m, const tpl_args *args, tv *out)
{
    const tpl_dict *d = m->self.d;
    tv a[2], *items;
    size_t i;
    if (clo_str_eq(m->name, CLO_STR("get"))) {
        if (!tpl_bind_args(r, m->name, args, "", 1, a, 2) || !tpl_dict_find(r, d, a[0], &i)) return false;
        *out = i < d->n ? d->pairs[i].value : a[1].kind == TV_MISSING ? tv_none() : a[1];
        return true;
    }
    bool pairs = clo_str_eq(m->name, CLO_STR("items")), keys = clo_str_eq(m->name, CLO_STR("keys"));
    if (!pairs && !keys && !clo_str_eq(m->name, CLO_STR("values"))) {
        if (!clo_str_eq(m->name, CLO_STR("copy")))
            return tpl_fail(r, CLO_ERR_UNSUPPORTED, "unsupported method '%.*s' of dict", tpl_shown(m->name), m->name.ptr);
        *out = m->self;
        return tpl_bind_args(r, m->name, args, "", 0, a, 0);
    }
    if (!tpl_bind_args(r, m->name, args, "", 0, a, 0) || !tpl_new_list(r, TV_VIEW, d->n, out, &items)) return false;
    for (i = 0; i < d->n; i++) {
        tv *pair;
        if (!pairs) {
            items[i] = keys ? d->pairs[i].key : d->pairs[i].value;
            continue;
        }
        if (!tpl_new_list(r, TV_TUPLE, 2, &items[i], &pair)) return false;
        pair[0] = d->pairs[i].key;
        pair[1] = d->pairs[i].value;
    }
    return true;
}

static bool call_list(tpl_run *r, const tpl_method *m, const tpl_args *args, tv *out)
{
    const tpl_list *l = m->self.l;
    tv a[1];
    int64_t n = 0;
    bool index = clo_str_eq(m->name, CLO_STR("index"));
    if (clo_str_eq(m->name, CLO_STR("copy"))) {
        *out = m->self;
        return tpl_bind_args(r, m->name, args, "", 0, a, 0);
    }
    if (!index && !clo_str_eq(m->name, CLO_STR("count")))
        return tpl_fail(r, CLO_ERR_UNSUPPORTED, "unsupported method '%.*s'", tpl_shown(m->name), m->name.ptr);
    if (!tpl_bind_args(r, m->name, args, "", 1, a, 1)) return false;
    for (size_t i = 0; i < l->n; i++) {
        bool eq;
        if (!tpl_eq(r, l->items[i], a[0], 0, &eq)) return false;
        if (eq && index) {
            *out = tv_int((int64_t)i);
            return true;
        }
        n += eq;
    }
    if (index) return tpl_fail(r, CLO_ERR_USAGE, "the value is not in the list");
    *out = tv_int(n);
    return true;
}

static bool call_loop(tpl_run *r, const tpl_method *m, const tpl_args *args, tv *out)
{
    tpl_loop *l = m->self.loop;
    tv now, *items;
    bool same = false;
    if (args->n_kw) return tpl_fail(r, TPL_TYPE_ERROR, "loop.%.*s() takes no keywords", tpl_shown(m->name), m->name.ptr);
    if (clo_str_eq(m->name, CLO_STR("cycle"))) {
        if (args->n_pos == 0) return tpl_fail(r, TPL_TYPE_ERROR, "no items for cycling given");
        *out = args->pos[(uint64_t)l->index0 % args->n_pos];
        return true;
    }
    if (!tpl_new_list(r, TV_TUPLE, args->n_pos, &now, &items)) return false;
    if (args->n_pos) memcpy(items, args->pos, args->n_pos * sizeof *items);
    if (l->changed.kind == TV_TUPLE && !tpl_eq(r, l->changed, now, 0, &same)) return false;
    l->changed = now;
    *out = tv_bool(!same);
    return true;
}

bool tpl_call_method(tpl_run *r, const tpl_method *m, const tpl_args *a, tv *out)
{
    switch (m->self.kind) {
    case TV_STR: return call_str(r, m, a, out);
    case TV_DICT: return call_dict(r, m, a, out);
    case TV_LIST:
    case TV_TUPLE:
    case TV_RANGE: return call_list(r, m, a, out);
    case TV_LOOP: return call_loop(r, m, a, out);
    default:
        return tpl_fail(r, CLO_ERR_UNSUPPORTED, "unsupported method '%.*s' of %s", tpl_shown(m->name), m->name.ptr,
                        tpl_type_name(m->self));
    }
}
