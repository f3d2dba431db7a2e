/* The tojson filter of Hugging Face's environment: Python's json.dumps with ensure_ascii off, no HTML escapes, keys in
 * their order unless sorted. */
#include <math.h>

#include "base/utf8.h"
#include "model/template_impl.h"

typedef struct {
    bool ascii, sort, pretty;
    clo_str indent;             /* one level */
    clo_str item_sep, key_sep;
} json_style;

static void put_escape(tpl_run *r, tpl_sb *b, uint32_t c)
{
    char text[16];
    int n;
    static const char from[] = "\"\\\n\r\t\f\b", to[] = "\"\\nrtfb";
    const char *hit = c < 0x80 && c ? memchr(from, (int)c, sizeof from - 1) : NULL;
    if (hit) n = snprintf(text, sizeof text, "\\%c", to[hit - from]);
    else if (c < 0x10000) n = snprintf(text, sizeof text, "\\u%04x", c);
    else n = snprintf(text, sizeof text, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + (c & 0x3ff));
    tpl_sb_add(r, b, (clo_str){text, (size_t)n});
}

static bool put_str(tpl_run *r, tpl_sb *b, const json_style *st, const tpl_str *s)
{
    tpl_sb body = {0};
    clo_str t = tpl_bytes(s);
    size_t plain = 0;
    for (size_t i = 0, n; i < t.len; i += n) {
        uint32_t c = clo_utf8_decode(t, i, &n);
        if (c >= 0x20 && c != '"' && c != '\\' && (c < 0x7f || !st->ascii)) continue;
        tpl_sb_add(r, &body, (clo_str){t.ptr + plain, i - plain});
        put_escape(r, &body, c);
        plain = i + n;
    }
    tpl_sb_add(r, b, CLO_STR("\""));
    if (plain == 0) { /* nothing to escape: marks stay exact */
        tpl_sb_add_str(r, b, s);
    } else {
        tpl_sb_add(r, &body, (clo_str){t.ptr + plain, t.len - plain});
        tpl_sb_add_marked(r, b, (clo_str){body.ptr, body.len}, s->n_marks > 0);
    }
    tpl_sb_add(r, b, CLO_STR("\""));
    return tpl_work(r, t.len / 16);
}

static size_t fmt_float(char out[40], double f)
{
    if (isnan(f)) return (size_t)snprintf(out, 40, "NaN");
    if (isinf(f)) return (size_t)snprintf(out, 40, f < 0 ? "-Infinity" : "Infinity");
    return tpl_fmt_float(out, f);
}

static void newline(tpl_run *r, tpl_sb *b, const json_style *st, uint32_t depth)
{
    if (!st->pretty) return;
    tpl_sb_add(r, b, CLO_STR("\n"));
    for (uint32_t i = 0; i < depth; i++) tpl_sb_add(r, b, st->indent);
}

static bool put(tpl_run *r, tpl_sb *b, const json_style *st, tv v, uint32_t depth);

static bool put_list(tpl_run *r, tpl_sb *b, const json_style *st, const tpl_list *l, uint32_t depth)
{
    tpl_sb_add(r, b, CLO_STR("["));
    for (size_t i = 0; i < l->n; i++) {
        if (i) tpl_sb_add(r, b, st->item_sep);
        newline(r, b, st, depth + 1);
        if (!put(r, b, st, l->items[i], depth + 1)) return false;
    }
    if (l->n) newline(r, b, st, depth);
    tpl_sb_add(r, b, CLO_STR("]"));
    return true;
}

static bool put_key(tpl_run *r, tpl_sb *b, const json_style *st, tv key)
{
    char num[40];
    clo_str s = {num, 0};
    switch (key.kind) {
    case TV_STR: return put_str(r, b, st, key.s);
    case TV_INT: s.len = tpl_fmt_int(num, key.i); break;
    case TV_FLOAT: s.len = fmt_float(num, key.f); break;
    case TV_BOOL: s = key.b ? CLO_STR("true") : CLO_STR("false"); break;
    case TV_NONE: s = CLO_STR("null"); break;
    default: return tpl_fail(r, TPL_TYPE_ERROR, "keys must be str, int, float, bool or None, not %s", tpl_type_name(key));
    }
    tpl_sb_add(r, b, CLO_STR("\""));
    tpl_sb_add(r, b, s);
    tpl_sb_add(r, b, CLO_STR("\""));
    return true;
}

static bool sort_pairs(tpl_run *r, const tpl_pair *in, size_t n, tpl_pair **out)
{
    tpl_pair *p = TPL_NEW(r, tpl_pair, n + 1);
    if (!p) return false;
    for (size_t i = 0; i < n; i++) {
        size_t k = i;
        for (; k > 0; k--) {
            bool less;
            if (!tpl_less(r, in[i].key, p[k - 1].key, 0, &less)) return false;
            if (!less) break;
            p[k] = p[k - 1];
        }
        p[k] = in[i];
    }
    *out = p;
    return true;
}

static bool put_dict(tpl_run *r, tpl_sb *b, const json_style *st, const tpl_dict *d, uint32_t depth)
{
    tpl_pair *pairs = d->pairs;
    if (st->sort && !sort_pairs(r, d->pairs, d->n, &pairs)) return false;
    tpl_sb_add(r, b, CLO_STR("{"));
    for (size_t i = 0; i < d->n; i++) {
        if (i) tpl_sb_add(r, b, st->item_sep);
        newline(r, b, st, depth + 1);
        if (!put_key(r, b, st, pairs[i].key)) return false;
        tpl_sb_add(r, b, st->key_sep);
        if (!put(r, b, st, pairs[i].value, depth + 1)) return false;
    }
    if (d->n) newline(r, b, st, depth);
    tpl_sb_add(r, b, CLO_STR("}"));
    return true;
}

static bool put(tpl_run *r, tpl_sb *b, const json_style *st, tv v, uint32_t depth)
{
    char num[40];
    if (depth > TPL_DATA_DEPTH_MAX) return tpl_fail(r, CLO_ERR_LIMIT, "data nested deeper than %d", TPL_DATA_DEPTH_MAX);
    if (!tpl_work(r, 1) || r->failed) return false;
    switch (v.kind) {
    case TV_NONE: tpl_sb_add(r, b, CLO_STR("null")); return true;
    case TV_BOOL: tpl_sb_add(r, b, v.b ? CLO_STR("true") : CLO_STR("false")); return true;
    case TV_INT: tpl_sb_add(r, b, (clo_str){num, tpl_fmt_int(num, v.i)}); return true;
    case TV_FLOAT: tpl_sb_add(r, b, (clo_str){num, fmt_float(num, v.f)}); return true;
    case TV_STR: return put_str(r, b, st, v.s);
    case TV_LIST:
    case TV_TUPLE: return put_list(r, b, st, v.l, depth);
    case TV_DICT: return put_dict(r, b, st, v.d, depth);
    default: return tpl_fail(r, TPL_TYPE_ERROR, "Object of type %s is not JSON serializable", tpl_type_name(v));
    }
}

static bool read_indent(tpl_run *r, tv v, json_style *st)
{
    if (v.kind == TV_MISSING || v.kind == TV_NONE) return true;
    st->pretty = true;
    if (v.kind == TV_STR) {
        st->indent = tpl_bytes(v.s);
        return true;
    }
    if (v.kind != TV_INT && v.kind != TV_BOOL) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "this indent of tojson");
    int64_t n = v.kind == TV_INT ? v.i : v.b;
    if (n > 1000) return tpl_fail(r, CLO_ERR_LIMIT, "an indent of tojson over 1000");
    size_t len = n > 0 ? (size_t)n : 0;
    char *p = TPL_NEW(r, char, len + 1);
    if (!p) return false;
    memset(p, ' ', len);
    st->indent = (clo_str){p, len};
    return true;
}

bool tpl_filter_tojson(tpl_run *r, tv v, const tv *a, tv *out)
{
    json_style st = {.ascii = tpl_truth(a[0]), .item_sep = CLO_STR(", "), .key_sep = CLO_STR(": ")};
    tpl_sb b = {0};
    st.sort = tpl_truth(a[3]);
    if (!read_indent(r, a[1], &st)) return false;
    if (st.pretty) st.item_sep = CLO_STR(",");
    if (a[2].kind != TV_MISSING && a[2].kind != TV_NONE) {
        bool pair = (a[2].kind == TV_TUPLE || a[2].kind == TV_LIST) && a[2].l->n == 2 &&
                    a[2].l->items[0].kind == TV_STR && a[2].l->items[1].kind == TV_STR;
        if (!pair) return tpl_fail(r, TPL_TYPE_ERROR, "separators of tojson: a pair of texts expected");
        st.item_sep = tpl_bytes(a[2].l->items[0].s);
        st.key_sep = tpl_bytes(a[2].l->items[1].s);
    }
    return put(r, &b, &st, v, 0) && tpl_sb_end(r, &b, out);
}
