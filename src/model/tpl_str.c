/* Strings with marks: which bytes came from the conversation. Concatenation and slices keep marks exactly. */
#include <utf8proc.h>

#include "base/utf8.h"
#include "model/template_impl.h"

/* ---- building ---- */

static bool grow(tpl_run *r, tpl_sb *b, size_t n)
{
    if (n <= b->cap - b->len) return true;
    size_t cap = b->cap ? b->cap : 64;
    while (cap - b->len < n) {
        if (cap > TPL_MEMORY_BYTES_MAX) return tpl_fail(r, CLO_ERR_LIMIT, "a string is too long");
        cap *= 2;
    }
    char *p = TPL_NEW(r, char, cap);
    if (!p) return false;
    if (b->len) memcpy(p, b->ptr, b->len);
    b->ptr = p;
    b->cap = cap;
    return true;
}

static void add_mark(tpl_run *r, tpl_sb *b, size_t begin, size_t end)
{
    if (begin == end) return;
    if (b->n_marks && b->marks[b->n_marks - 1].end == begin) {
        b->marks[b->n_marks - 1].end = end;
        return;
    }
    if (b->n_marks == b->cap_marks) {
        size_t cap = b->cap_marks ? b->cap_marks * 2 : 2;
        tpl_mark *p = TPL_NEW(r, tpl_mark, cap);
        if (!p) return;
        if (b->n_marks) memcpy(p, b->marks, b->n_marks * sizeof *p);
        b->marks = p;
        b->cap_marks = cap;
    }
    b->marks[b->n_marks++] = (tpl_mark){begin, end};
}

void tpl_sb_add(tpl_run *r, tpl_sb *b, clo_str s)
{
    if (r->failed || s.len == 0 || !grow(r, b, s.len)) return;
    memcpy(b->ptr + b->len, s.ptr, s.len);
    b->len += s.len;
}

void tpl_sb_add_marked(tpl_run *r, tpl_sb *b, clo_str s, bool marked)
{
    size_t begin = b->len;
    tpl_sb_add(r, b, s);
    if (marked) add_mark(r, b, begin, b->len);
}

void tpl_sb_add_str(tpl_run *r, tpl_sb *b, const tpl_str *s)
{
    size_t base = b->len;
    tpl_sb_add(r, b, tpl_bytes(s));
    if (r->failed) return;
    for (size_t i = 0; i < s->n_marks; i++) add_mark(r, b, base + s->marks[i].begin, base + s->marks[i].end);
}

bool tpl_sb_end(tpl_run *r, tpl_sb *b, tv *out)
{
    tpl_str *s = TPL_NEW(r, tpl_str, 1);
    if (!s || r->failed) return false;
    *s = (tpl_str){.ptr = b->ptr ? b->ptr : "", .len = b->len, .marks = b->marks, .n_marks = b->n_marks};
    *out = tv_str(s);
    return tpl_work(r, b->len / 64);
}

bool tpl_new_str(tpl_run *r, clo_str text, tv *out)
{
    tpl_str *s = TPL_NEW(r, tpl_str, 1);
    if (!s) return false;
    s->ptr = text.ptr ? text.ptr : "";
    s->len = text.len;
    *out = tv_str(s);
    return true;
}

bool tpl_sub_str(tpl_run *r, const tpl_str *s, size_t begin, size_t end, tv *out)
{
    tpl_str *q = TPL_NEW(r, tpl_str, 1);
    if (!q) return false;
    q->ptr = s->ptr + begin;
    q->len = end - begin;
    if (s->n_marks) {
        tpl_mark *m = TPL_NEW(r, tpl_mark, s->n_marks);
        if (!m) return false;
        for (size_t i = 0; i < s->n_marks; i++) {
            size_t a = s->marks[i].begin, z = s->marks[i].end;
            a = a > begin ? a : begin;
            z = z < end ? z : end;
            if (a < z) m[q->n_marks++] = (tpl_mark){a - begin, z - begin};
        }
        q->marks = m;
    }
    *out = tv_str(q);
    return true;
}

bool tpl_concat(tpl_run *r, const tpl_str *a, const tpl_str *b, tv *out)
{
    tpl_sb sb = {0};
    if (!grow(r, &sb, a->len + b->len + 1)) return false;
    tpl_sb_add_str(r, &sb, a);
    tpl_sb_add_str(r, &sb, b);
    return tpl_sb_end(r, &sb, out);
}

/* ---- code points ---- */

size_t tpl_str_len(const tpl_str *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->len; i++) n += ((uint8_t)s->ptr[i] & 0xc0) != 0x80;
    return n;
}

size_t tpl_str_off(const tpl_str *s, size_t i_char)
{
    size_t i = 0;
    while (i < s->len) {
        if (((uint8_t)s->ptr[i] & 0xc0) != 0x80 && i_char-- == 0) break;
        i++;
    }
    return i;
}

bool tpl_str_is(tv v, const char *lit)
{
    return v.kind == TV_STR && clo_str_eq(tpl_bytes(v.s), clo_str_from(lit));
}

/* ---- Python's repr and str ---- */

static bool printable(uint32_t c)
{
    switch (utf8proc_category((int32_t)c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP: return false;
    case UTF8PROC_CATEGORY_ZS: return c == ' ';
    default: return true;
    }
}

static void repr_char(tpl_run *r, tpl_sb *b, uint32_t c, char quote, clo_str raw)
{
    char text[16];
    int n;
    if (c == (uint8_t)quote || c == '\\') n = snprintf(text, sizeof text, "\\%c", (int)c);
    else if (c == '\n') n = snprintf(text, sizeof text, "\\n");
    else if (c == '\r') n = snprintf(text, sizeof text, "\\r");
    else if (c == '\t') n = snprintf(text, sizeof text, "\\t");
    else if (printable(c)) {
        tpl_sb_add(r, b, raw);
        return;
    } else if (c < 0x100) n = snprintf(text, sizeof text, "\\x%02x", c);
    else if (c < 0x10000) n = snprintf(text, sizeof text, "\\u%04x", c);
    else n = snprintf(text, sizeof text, "\\U%08x", c);
    tpl_sb_add(r, b, (clo_str){text, (size_t)n});
}

static bool repr_str(tpl_run *r, tpl_sb *b, const tpl_str *s)
{
    clo_str in = tpl_bytes(s);
    bool single = clo_str_find(in, 0, '\'') < in.len, dbl = clo_str_find(in, 0, '"') < in.len;
    char quote = single && !dbl ? '"' : '\'';
    if (s->markup) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "the representation of text marked safe");
    tpl_sb_add(r, b, (clo_str){&quote, 1});
    size_t begin = b->len;
    for (size_t i = 0, n; i < in.len; i += n) {
        uint32_t c = clo_utf8_decode(in, i, &n);
        repr_char(r, b, c, quote, (clo_str){in.ptr + i, n});
    }
    if (s->n_marks) add_mark(r, b, begin, b->len);
    tpl_sb_add(r, b, (clo_str){&quote, 1});
    return !r->failed && tpl_work(r, s->len / 16);
}

static bool repr_items(tpl_run *r, tpl_sb *b, const tpl_list *l, const char *open, const char *close, uint32_t depth)
{
    tpl_sb_add(r, b, clo_str_from(open));
    for (size_t i = 0; i < l->n; i++) {
        if (i) tpl_sb_add(r, b, CLO_STR(", "));
        if (!tpl_repr(r, b, l->items[i], depth + 1)) return false;
    }
    tpl_sb_add(r, b, clo_str_from(close));
    return true;
}

static bool repr_dict(tpl_run *r, tpl_sb *b, const tpl_dict *d, uint32_t depth)
{
    tpl_sb_add(r, b, CLO_STR("{"));
    for (size_t i = 0; i < d->n; i++) {
        if (i) tpl_sb_add(r, b, CLO_STR(", "));
        if (!tpl_repr(r, b, d->pairs[i].key, depth + 1)) return false;
        tpl_sb_add(r, b, CLO_STR(": "));
        if (!tpl_repr(r, b, d->pairs[i].value, depth + 1)) return false;
    }
    tpl_sb_add(r, b, CLO_STR("}"));
    return true;
}

static bool repr_range(tpl_run *r, tpl_sb *b, const int64_t range[3])
{
    char text[100];
    int n = snprintf(text, sizeof text, "range(%lld, %lld", (long long)range[0], (long long)range[1]);
    if (range[2] != 1) n += snprintf(text + n, sizeof text - (size_t)n, ", %lld", (long long)range[2]);
    n += snprintf(text + n, sizeof text - (size_t)n, ")");
    tpl_sb_add(r, b, (clo_str){text, (size_t)n});
    return true;
}

bool tpl_repr(tpl_run *r, tpl_sb *b, tv v, uint32_t depth)
{
    char num[40];
    if (depth > TPL_DATA_DEPTH_MAX) return tpl_fail(r, CLO_ERR_LIMIT, "data nested deeper than %d", TPL_DATA_DEPTH_MAX);
    if (!tpl_work(r, 1) || r->failed) return false;
    switch (v.kind) {
    case TV_UNDEF: tpl_sb_add(r, b, CLO_STR("Undefined")); return true;
    case TV_NONE: tpl_sb_add(r, b, CLO_STR("None")); return true;
    case TV_BOOL: tpl_sb_add(r, b, v.b ? CLO_STR("True") : CLO_STR("False")); return true;
    case TV_INT: tpl_sb_add(r, b, (clo_str){num, tpl_fmt_int(num, v.i)}); return true;
    case TV_FLOAT: tpl_sb_add(r, b, (clo_str){num, tpl_fmt_float(num, v.f)}); return true;
    case TV_STR: return repr_str(r, b, v.s);
    case TV_LIST: return repr_items(r, b, v.l, "[", "]", depth);
    case TV_TUPLE: return repr_items(r, b, v.l, "(", v.l->n == 1 ? ",)" : ")", depth);
    case TV_RANGE: return repr_range(r, b, v.l->range);
    case TV_DICT: return repr_dict(r, b, v.d, depth);
    default: return tpl_fail(r, CLO_ERR_UNSUPPORTED, "printing of a '%s'", tpl_type_name(v));
    }
}

bool tpl_to_str(tpl_run *r, tv v, const tpl_str **out)
{
    static const tpl_str empty = {.ptr = ""};
    tpl_sb b = {0};
    if (v.kind == TV_STR) {
        *out = v.s;
        return true;
    }
    if (v.kind == TV_UNDEF) {
        if (v.u->why == TPL_UNDEF_UNSAFE) return tpl_undef_fail(r, v.u);
        *out = &empty;
        return true;
    }
    if (!tpl_repr(r, &b, v, 0) || !tpl_sb_end(r, &b, &v)) return false;
    *out = v.s;
    return true;
}
