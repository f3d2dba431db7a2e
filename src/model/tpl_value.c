/* Values: where they come from, how they are walked, looked into, compared. The rules are Python's, and Jinja's for
 * what is undefined. */
#include <math.h>

#include "base/utf8.h"
#include "model/template_impl.h"

const char *tpl_type_name(tv v)
{
    static const char *const names[] = {
        [TV_MISSING] = "Undefined", [TV_UNDEF] = "Undefined", [TV_NONE] = "NoneType", [TV_BOOL] = "bool",
        [TV_INT] = "int",           [TV_FLOAT] = "float",     [TV_STR] = "str",       [TV_LIST] = "list",
        [TV_TUPLE] = "tuple",       [TV_VIEW] = "dict_items", [TV_RANGE] = "range",   [TV_GEN] = "generator",
        [TV_DICT] = "dict",         [TV_NS] = "Namespace",    [TV_LOOP] = "LoopContext",
        [TV_MACRO] = "Macro",       [TV_FUNC] = "function",   [TV_METHOD] = "builtin_function_or_method"};
    return names[v.kind];
}

const char *tpl_object_name(tv v)
{
    static const char *const names[] = {
        [TV_MISSING] = "Undefined",     [TV_UNDEF] = "Undefined",        [TV_NONE] = "None",
        [TV_BOOL] = "bool object",      [TV_INT] = "int object",         [TV_FLOAT] = "float object",
        [TV_STR] = "str object",        [TV_LIST] = "list object",       [TV_TUPLE] = "tuple object",
        [TV_VIEW] = "dict_items object", [TV_RANGE] = "range object",    [TV_GEN] = "generator object",
        [TV_DICT] = "dict object",      [TV_NS] = "transformers.utils.chat_template_utils.TemplateNamespace object",
        [TV_LOOP] = "jinja2.runtime.LoopContext object", [TV_MACRO] = "jinja2.runtime.Macro object",
        [TV_FUNC] = "function object",  [TV_METHOD] = "builtin_function_or_method object"};
    return names[v.kind];
}

bool tpl_truth(tv v)
{
    switch (v.kind) {
    case TV_MISSING:
    case TV_UNDEF:
    case TV_NONE: return false;
    case TV_BOOL: return v.b;
    case TV_INT: return v.i != 0;
    case TV_FLOAT: return v.f != 0;
    case TV_STR: return v.s->len > 0;
    case TV_LIST:
    case TV_TUPLE:
    case TV_VIEW:
    case TV_RANGE: return v.l->n > 0;
    case TV_DICT: return v.d->n > 0;
    default: return true;
    }
}

/* ---- making ---- */

bool tpl_new_list(tpl_run *r, tv_kind kind, size_t n, tv *out, tv **items)
{
    tpl_list *l = TPL_NEW(r, tpl_list, 1);
    if (!l || !(l->items = TPL_NEW(r, tv, n ? n : 1)) || !tpl_work(r, n)) return false;
    l->n = n;
    *items = l->items;
    *out = (tv){.kind = kind, .l = l};
    return true;
}

bool tpl_new_gen(tpl_run *r, tv list, tv *out)
{
    tpl_gen *g = TPL_NEW(r, tpl_gen, 1);
    if (!g) return false;
    g->l = list.l;
    *out = (tv){.kind = TV_GEN, .g = g};
    return true;
}

static bool json_str(tpl_run *r, const char *p, size_t len, bool marked, tv *out)
{
    if (!clo_utf8_valid((clo_str){p, len})) return tpl_fail(r, CLO_ERR_FORMAT, "a string is not UTF-8");
    if (!tpl_new_str(r, (clo_str){p, len}, out)) return false;
    if (!marked || len == 0) return true;
    tpl_mark *m = TPL_NEW(r, tpl_mark, 1);
    if (!m) return false;
    *m = (tpl_mark){0, len};
    tpl_str *s = TPL_NEW(r, tpl_str, 1);
    if (!s) return false;
    *s = (tpl_str){.ptr = out->s->ptr, .len = len, .marks = m, .n_marks = 1};
    *out = tv_str(s);
    return true;
}

static bool from_json_object(tpl_run *r, json_t *j, bool marked, uint32_t depth, tv *out)
{
    tpl_dict *d = TPL_NEW(r, tpl_dict, 1);
    size_t n = json_object_size(j), i = 0;
    if (!d || !(d->pairs = TPL_NEW(r, tpl_pair, n ? n : 1))) return false;
    for (void *it = json_object_iter(j); it && i < n; it = json_object_iter_next(j, it), i++) {
        const char *key = json_object_iter_key(it);
        if (!json_str(r, key, strlen(key), marked, &d->pairs[i].key)) return false;
        if (!tpl_from_json(r, json_object_iter_value(it), marked, depth + 1, &d->pairs[i].value)) return false;
    }
    d->n = d->cap = i;
    *out = (tv){.kind = TV_DICT, .d = d};
    return true;
}

bool tpl_from_json(tpl_run *r, json_t *j, bool marked, uint32_t depth, tv *out)
{
    tv *items;
    if (depth > TPL_DATA_DEPTH_MAX) return tpl_fail(r, CLO_ERR_LIMIT, "data nested deeper than %d", TPL_DATA_DEPTH_MAX);
    switch (json_typeof(j)) {
    case JSON_OBJECT: return from_json_object(r, j, marked, depth, out);
    case JSON_ARRAY:
        if (!tpl_new_list(r, TV_LIST, json_array_size(j), out, &items)) return false;
        for (size_t i = 0; i < json_array_size(j); i++)
            if (!tpl_from_json(r, json_array_get(j, i), marked, depth + 1, &items[i])) return false;
        return true;
    case JSON_STRING: return json_str(r, json_string_value(j), json_string_length(j), marked, out);
    case JSON_INTEGER: *out = tv_int(json_integer_value(j)); return true;
    case JSON_REAL: *out = tv_float(json_real_value(j)); return true;
    case JSON_TRUE: *out = tv_bool(true); return true;
    case JSON_FALSE: *out = tv_bool(false); return true;
    case JSON_NULL: break;
    }
    *out = tv_none();
    return true;
}

/* ---- undefined ---- */

static bool new_undef(tpl_run *r, tpl_undef u, tv *out)
{
    tpl_undef *p = TPL_NEW(r, tpl_undef, 1);
    if (!p) return false;
    *p = u;
    *out = (tv){.kind = TV_UNDEF, .u = p};
    return true;
}

bool tpl_undef_name(tpl_run *r, clo_str name, tv *out)
{
    return new_undef(r, (tpl_undef){.why = TPL_UNDEF_NAME, .text = name}, out);
}

bool tpl_undef_hint(tpl_run *r, const char *hint, tv *out)
{
    return new_undef(r, (tpl_undef){.why = TPL_UNDEF_HINT, .text = clo_str_from(hint)}, out);
}

bool tpl_undef_member(tpl_run *r, tv obj, tv key, tv *out)
{
    tpl_undef u = {.why = TPL_UNDEF_MEMBER, .obj_type = tpl_object_name(obj), .is_element = key.kind != TV_STR};
    if (key.kind == TV_STR) {
        u.text = tpl_bytes(key.s);
    } else if (key.kind == TV_INT) {
        char *p = TPL_NEW(r, char, 24);
        if (!p) return false;
        u.text = (clo_str){p, tpl_fmt_int(p, key.i)};
    } else {
        u.text = clo_str_from(tpl_type_name(key));
    }
    return new_undef(r, u, out);
}

/* Jinja's message for an operation on something undefined. */
bool tpl_undef_fail(tpl_run *r, const tpl_undef *u)
{
    int n = tpl_shown(u->text);
    switch (u->why) {
    case TPL_UNDEF_NAME: return tpl_fail(r, CLO_ERR_USAGE, "'%.*s' is undefined", n, u->text.ptr);
    case TPL_UNDEF_HINT: return tpl_fail(r, CLO_ERR_USAGE, "%.*s", n, u->text.ptr);
    case TPL_UNDEF_UNSAFE:
        return tpl_fail(r, CLO_ERR_DENIED, "access to attribute '%.*s' of '%s' object is unsafe.", n, u->text.ptr,
                        u->obj_type);
    case TPL_UNDEF_MEMBER: break;
    }
    if (u->is_element)
        return tpl_fail(r, CLO_ERR_USAGE, "%s has no element %.*s", u->obj_type, n, u->text.ptr);
    return tpl_fail(r, CLO_ERR_USAGE, "'%s' has no attribute '%.*s'", u->obj_type, n, u->text.ptr);
}

/* ---- walking ---- */

bool tpl_is_iterable(tv v)
{
    switch (v.kind) {
    case TV_UNDEF:
    case TV_STR:
    case TV_LIST:
    case TV_TUPLE:
    case TV_VIEW:
    case TV_RANGE:
    case TV_GEN:
    case TV_DICT:
    case TV_LOOP: return true;
    default: return false;
    }
}

bool tpl_iter(tpl_run *r, tv v, const tpl_list **out)
{
    tv list, *items;
    size_t n = 0, w;
    switch (v.kind) {
    case TV_LIST:
    case TV_TUPLE:
    case TV_VIEW:
    case TV_RANGE: *out = v.l; return tpl_work(r, v.l->n);
    case TV_GEN: {
        if (!tpl_new_list(r, TV_LIST, v.g->l->n - v.g->pos, &list, &items)) return false;
        memcpy(items, v.g->l->items + v.g->pos, list.l->n * sizeof *items);
        v.g->pos = v.g->l->n;
        *out = list.l;
        return true;
    }
    case TV_DICT:
        if (!tpl_new_list(r, TV_LIST, v.d->n, &list, &items)) return false;
        for (size_t i = 0; i < v.d->n; i++) items[i] = v.d->pairs[i].key;
        *out = list.l;
        return true;
    case TV_UNDEF:
        if (v.u->why == TPL_UNDEF_UNSAFE) return tpl_undef_fail(r, v.u);
        if (!tpl_new_list(r, TV_LIST, 0, &list, &items)) return false;
        *out = list.l;
        return true;
    case TV_STR:
        if (!tpl_new_list(r, TV_LIST, tpl_str_len(v.s), &list, &items)) return false;
        for (size_t off = 0; off < v.s->len; off += w) {
            (void)clo_utf8_decode(tpl_bytes(v.s), off, &w);
            if (!tpl_sub_str(r, v.s, off, off + w, &items[n++])) return false;
        }
        *out = list.l;
        return true;
    case TV_LOOP: return tpl_fail(r, CLO_ERR_UNSUPPORTED, "iteration over the loop variable");
    default: return tpl_fail(r, TPL_TYPE_ERROR, "'%s' object is not iterable", tpl_type_name(v));
    }
}

bool tpl_len(tpl_run *r, tv v, int64_t *out)
{
    switch (v.kind) {
    case TV_UNDEF: *out = 0; return v.u->why != TPL_UNDEF_UNSAFE || tpl_undef_fail(r, v.u);
    case TV_STR: *out = (int64_t)tpl_str_len(v.s); return tpl_work(r, v.s->len / 64);
    case TV_LIST:
    case TV_TUPLE:
    case TV_VIEW:
    case TV_RANGE: *out = (int64_t)v.l->n; return true;
    case TV_DICT: *out = (int64_t)v.d->n; return true;
    case TV_LOOP: return tpl_fail(r, CLO_ERR_UNSUPPORTED, "the length of the loop variable");
    default: return tpl_fail(r, TPL_TYPE_ERROR, "object of type '%s' has no len()", tpl_type_name(v));
    }
}

/* ---- equality and order ---- */

static bool list_eq(tpl_run *r, const tpl_list *a, const tpl_list *b, uint32_t depth, bool *out)
{
    *out = a->n == b->n;
    for (size_t i = 0; *out && i < a->n; i++)
        if (!tpl_eq(r, a->items[i], b->items[i], depth + 1, out)) return false;
    return true;
}

static bool dict_eq(tpl_run *r, const tpl_dict *a, const tpl_dict *b, uint32_t depth, bool *out)
{
    *out = a->n == b->n;
    for (size_t i = 0; *out && i < a->n; i++) {
        size_t k;
        if (!tpl_dict_find(r, b, a->pairs[i].key, &k)) return false;
        *out = k < b->n;
        if (*out && !tpl_eq(r, a->pairs[i].value, b->pairs[k].value, depth + 1, out)) return false;
    }
    return true;
}

bool tpl_eq(tpl_run *r, tv a, tv b, uint32_t depth, bool *out)
{
    bool ia, ib;
    int64_t na, nb;
    double fa, fb;
    if (depth > TPL_DATA_DEPTH_MAX) return tpl_fail(r, CLO_ERR_LIMIT, "data nested deeper than %d", TPL_DATA_DEPTH_MAX);
    if (!tpl_work(r, 1)) return false;
    *out = false;
    if (tpl_as_number(a, &ia, &na, &fa) && tpl_as_number(b, &ib, &nb, &fb)) {
        if (ia && ib) *out = na == nb;
        else if (ia) *out = tpl_cmp_int_float(na, fb) == 0;
        else if (ib) *out = tpl_cmp_int_float(nb, fa) == 0;
        else *out = fa == fb;
        return true;
    }
    if (a.kind != b.kind) return true;
    switch (a.kind) {
    case TV_UNDEF:
    case TV_NONE: *out = true; return true;
    case TV_STR: *out = clo_str_eq(tpl_bytes(a.s), tpl_bytes(b.s)); return tpl_work(r, *out ? a.s->len / 64 : 0);
    case TV_LIST:
    case TV_TUPLE:
    case TV_RANGE: return list_eq(r, a.l, b.l, depth, out);
    case TV_DICT: return dict_eq(r, a.d, b.d, depth, out);
    case TV_VIEW: return tpl_fail(r, CLO_ERR_UNSUPPORTED, "comparison of dict views");
    case TV_METHOD: return tpl_fail(r, CLO_ERR_UNSUPPORTED, "comparison of methods");
    case TV_FUNC: *out = a.func == b.func; return true;
    default: *out = a.l == b.l; return true; /* the same object */
    }
}

bool tpl_less(tpl_run *r, tv a, tv b, uint32_t depth, bool *out)
{
    bool ia, ib;
    int64_t na, nb;
    double fa, fb;
    if (depth > TPL_DATA_DEPTH_MAX) return tpl_fail(r, CLO_ERR_LIMIT, "data nested deeper than %d", TPL_DATA_DEPTH_MAX);
    if (!tpl_work(r, 1)) return false;
    if (a.kind == TV_UNDEF) return tpl_undef_fail(r, a.u);
    if (b.kind == TV_UNDEF) return tpl_undef_fail(r, b.u);
    if (tpl_as_number(a, &ia, &na, &fa) && tpl_as_number(b, &ib, &nb, &fb)) {
        if (ia && ib) *out = na < nb;
        else if (ia) *out = tpl_cmp_int_float(na, fb) == -1;
        else if (ib) *out = tpl_cmp_int_float(nb, fa) == 1;
        else *out = fa < fb;
        return true;
    }
    if (a.kind == TV_STR && b.kind == TV_STR) { /* bytewise order of UTF-8 is order of code points */
        *out = clo_str_cmp(tpl_bytes(a.s), tpl_bytes(b.s)) < 0;
        return true;
    }
    if (a.kind == b.kind && (a.kind == TV_LIST || a.kind == TV_TUPLE)) {
        for (size_t i = 0; i < a.l->n && i < b.l->n; i++) {
            bool eq;
            if (!tpl_eq(r, a.l->items[i], b.l->items[i], depth + 1, &eq)) return false;
            if (!eq) return tpl_less(r, a.l->items[i], b.l->items[i], depth + 1, out);
        }
        *out = a.l->n < b.l->n;
        return true;
    }
    return tpl_fail(r, TPL_TYPE_ERROR, "'<' not supported between instances of '%s' and '%s'", tpl_type_name(a),
                    tpl_type_name(b));
}

bool tpl_order(tpl_run *r, tv a, tv b, int *out)
{
    bool less, more;
    if (!tpl_less(r, a, b, 0, &less) || !tpl_less(r, b, a, 0, &more)) return false;
    *out = less ? -1 : more;
    return true;
}

/* ---- dicts ---- */

bool tpl_dict_find(tpl_run *r, const tpl_dict *d, tv key, size_t *i)
{
    if (key.kind == TV_LIST || key.kind == TV_DICT)
        return tpl_fail(r, TPL_TYPE_ERROR, "unhashable type: '%s'", tpl_type_name(key));
    if (!tpl_work(r, d->n / 8)) return false;
    for (*i = 0; *i < d->n; ++*i) {
        tv k = d->pairs[*i].key;
        bool eq;
        if (key.kind == TV_STR && k.kind == TV_STR) eq = clo_str_eq(tpl_bytes(key.s), tpl_bytes(k.s));
        else if (!tpl_eq(r, key, k, 0, &eq)) return false;
        if (eq) break;
    }
    return true;
}

bool tpl_dict_put(tpl_run *r, tpl_dict *d, tv key, tv value)
{
    size_t i;
    if (!tpl_dict_find(r, d, key, &i)) return false;
    if (i < d->n) {
        d->pairs[i].value = value;
        return true;
    }
    if (d->n == d->cap) {
        size_t cap = d->cap ? d->cap * 2 : 4;
        tpl_pair *p = TPL_NEW(r, tpl_pair, cap);
        if (!p) return false;
        if (d->n) memcpy(p, d->pairs, d->n * sizeof *p);
        d->pairs = p;
        d->cap = cap;
    }
    d->pairs[d->n++] = (tpl_pair){key, value};
    return true;
}

/* ---- members ---- */

static bool find_text(tpl_run *r, const tpl_dict *d, clo_str name, tv *out)
{
    if (!tpl_work(r, d->n / 8)) return false;
    for (size_t i = 0; i < d->n; i++) {
        if (d->pairs[i].key.kind != TV_STR || !clo_str_eq(tpl_bytes(d->pairs[i].key.s), name)) continue;
        *out = d->pairs[i].value;
        return true;
    }
    *out = (tv){.kind = TV_MISSING};
    return true;
}

/* The Python attribute `name` of v, or TV_MISSING. */
static bool find_attr(tpl_run *r, tv v, clo_str name, tv *out)
{
    bool unsafe = false;
    *out = (tv){.kind = TV_MISSING};
    if (clo_str_starts_with(name, CLO_STR("__")))
        return tpl_fail(r, CLO_ERR_DENIED, "access to attribute '%.*s' of '%s' object is unsafe.", tpl_shown(name),
                        name.ptr, tpl_type_name(v));
    if (v.kind == TV_NS) return find_text(r, v.d, name, out);
    if (v.kind == TV_LOOP) return tpl_loop_attr(r, v.loop, name, out);
    if (!tpl_has_method(v, name, &unsafe)) return true;
    if (unsafe)
        return new_undef(r, (tpl_undef){.why = TPL_UNDEF_UNSAFE, .text = name, .obj_type = tpl_type_name(v)}, out);
    tpl_method *m = TPL_NEW(r, tpl_method, 1);
    if (!m) return false;
    m->self = v;
    m->name = name;
    *out = (tv){.kind = TV_METHOD, .method = m};
    return true;
}

bool tpl_get_attr(tpl_run *r, tv obj, clo_str name, tv *out)
{
    tv key;
    if (obj.kind == TV_UNDEF) return tpl_undef_fail(r, obj.u);
    if (obj.kind >= TV_MACRO) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "members of a '%s'", tpl_type_name(obj));
    if (!find_attr(r, obj, name, out)) return false;
    if (out->kind != TV_MISSING) return true;
    if (obj.kind == TV_DICT && !find_text(r, obj.d, name, out)) return false;
    if (out->kind != TV_MISSING) return true;
    return tpl_new_str(r, name, &key) && tpl_undef_member(r, obj, key, out);
}

static bool at_index(tpl_run *r, tv obj, int64_t i, tv *out)
{
    *out = (tv){.kind = TV_MISSING};
    if (obj.kind == TV_STR) {
        int64_t n = (int64_t)tpl_str_len(obj.s);
        if (i < 0) i += n;
        if (i < 0 || i >= n) return true;
        size_t off = tpl_str_off(obj.s, (size_t)i), w;
        (void)clo_utf8_decode(tpl_bytes(obj.s), off, &w);
        return tpl_work(r, obj.s->len / 64) && tpl_sub_str(r, obj.s, off, off + w, out);
    }
    if (obj.kind != TV_LIST && obj.kind != TV_TUPLE && obj.kind != TV_RANGE) return true;
    int64_t n = (int64_t)obj.l->n;
    if (i < 0) i += n;
    if (i >= 0 && i < n) *out = obj.l->items[i];
    return true;
}

bool tpl_get_item(tpl_run *r, tv obj, tv key, tv *out)
{
    *out = (tv){.kind = TV_MISSING};
    if (obj.kind == TV_UNDEF) return tpl_undef_fail(r, obj.u);
    if (obj.kind >= TV_MACRO) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "members of a '%s'", tpl_type_name(obj));
    if (obj.kind == TV_DICT && key.kind != TV_LIST && key.kind != TV_DICT) {
        size_t i;
        if (!tpl_dict_find(r, obj.d, key, &i)) return false;
        if (i < obj.d->n) *out = obj.d->pairs[i].value;
    } else if (key.kind == TV_INT || key.kind == TV_BOOL) {
        if (!at_index(r, obj, key.kind == TV_INT ? key.i : key.b, out)) return false;
    }
    if (out->kind != TV_MISSING) return true;
    if (key.kind == TV_STR && !find_attr(r, obj, tpl_bytes(key.s), out)) return false;
    return out->kind != TV_MISSING || tpl_undef_member(r, obj, key, out);
}

/* Follows a dotted path, as the attribute argument of filters does; a part of digits is an index. */
bool tpl_get_path(tpl_run *r, tv obj, tv path, tv default_value, tv *out)
{
    *out = obj;
    if (path.kind == TV_MISSING || path.kind == TV_NONE) return true;
    if (path.kind != TV_STR) return tpl_get_item(r, obj, path, out);
    clo_str s = tpl_bytes(path.s);
    for (size_t begin = 0; begin <= s.len;) {
        size_t end = clo_str_find(s, begin, '.');
        tv key;
        int64_t index = 0;
        bool digits = end > begin && end - begin < 18;
        for (size_t i = begin; i < end; i++) {
            digits &= s.ptr[i] >= '0' && s.ptr[i] <= '9';
            index = digits ? index * 10 + (s.ptr[i] - '0') : 0;
        }
        if (digits) key = tv_int(index);
        else if (!tpl_sub_str(r, path.s, begin, end, &key)) return false;
        if (!tpl_get_item(r, *out, key, out)) return false;
        bool has_default = default_value.kind != TV_MISSING && default_value.kind != TV_NONE;
        if (has_default && out->kind == TV_UNDEF) *out = default_value;
        begin = end + 1;
    }
    return true;
}
