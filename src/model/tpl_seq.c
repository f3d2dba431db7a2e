/* Filters that walk a sequence. The lazy ones give a generator, which can be walked once, as in Python. */
#include "model/template_impl.h"

static bool given(tv v)
{
    return v.kind != TV_MISSING && v.kind != TV_NONE;
}

static bool f_list(tpl_run *r, tv v, const tv *a, tv *out)
{
    const tpl_list *l;
    tv *items;
    (void)a;
    if (!tpl_iter(r, v, &l) || !tpl_new_list(r, TV_LIST, l->n, out, &items)) return false;
    if (l->n) memcpy(items, l->items, l->n * sizeof *items);
    return true;
}

static bool f_first(tpl_run *r, tv v, const tv *a, tv *out)
{
    const tpl_list *l;
    (void)a;
    if (v.kind == TV_GEN && v.g->pos < v.g->l->n) {
        *out = v.g->l->items[v.g->pos++];
        return true;
    }
    if (!tpl_iter(r, v, &l)) return false;
    if (l->n == 0) return tpl_undef_hint(r, "No first item, sequence was empty.", out);
    *out = l->items[0];
    return true;
}

static bool f_last(tpl_run *r, tv v, const tv *a, tv *out)
{
    const tpl_list *l;
    (void)a;
    if (v.kind == TV_GEN) return tpl_fail(r, TPL_TYPE_ERROR, "'generator' object is not reversible");
    if (!tpl_iter(r, v, &l)) return false;
    if (l->n == 0) return tpl_undef_hint(r, "No last item, sequence was empty.", out);
    *out = l->items[l->n - 1];
    return true;
}

static bool f_reverse(tpl_run *r, tv v, const tv *a, tv *out)
{
    const tpl_list *l;
    tv list, *items;
    (void)a;
    if (v.kind == TV_STR) return tpl_slice(r, v, tv_none(), tv_none(), tv_int(-1), out);
    if (!tpl_is_iterable(v)) return tpl_fail(r, CLO_ERR_USAGE, "argument must be iterable");
    if (!tpl_iter(r, v, &l) || !tpl_new_list(r, TV_LIST, l->n, &list, &items)) return false;
    for (size_t i = 0; i < l->n; i++) items[i] = l->items[l->n - 1 - i];
    if (v.kind == TV_GEN) { /* reversed() refuses it; Jinja then makes a list */
        *out = list;
        return true;
    }
    return tpl_new_gen(r, list, out);
}

static bool f_join(tpl_run *r, tv v, const tv *a, tv *out)
{
    const tpl_list *l;
    const tpl_str *sep = NULL;
    tpl_sb b = {0};
    if (a[0].kind != TV_MISSING && !tpl_to_str(r, a[0], &sep)) return false;
    if (!tpl_iter(r, v, &l)) return false;
    for (size_t i = 0; i < l->n; i++) {
        tv item;
        const tpl_str *s;
        if (!tpl_get_path(r, l->items[i], a[1], tv_none(), &item) || !tpl_to_str(r, item, &s)) return false;
        if (i && sep) tpl_sb_add_str(r, &b, sep);
        tpl_sb_add_str(r, &b, s);
    }
    return tpl_sb_end(r, &b, out);
}

/* ---- order ---- */

static bool fold_case(tpl_run *r, tv v, bool case_sensitive, tv *out)
{
    *out = v;
    return v.kind != TV_STR || case_sensitive || tpl_case_str(r, v.s, TPL_CASE_LOWER, out);
}

typedef struct {
    tv key, value;
} keyed;

/* Stable merge sort by key; reverse keeps the order of equals, as Python's does. */
static bool merge_sort(tpl_run *r, keyed *p, keyed *tmp, size_t n, bool reverse)
{
    if (n < 2) return true;
    size_t half = n / 2, i = 0, k = half, o = 0;
    if (!merge_sort(r, p, tmp, half, reverse) || !merge_sort(r, p + half, tmp, n - half, reverse)) return false;
    while (i < half && k < n) {
        bool less; /* does the right one go first? */
        if (!(reverse ? tpl_less(r, p[i].key, p[k].key, 0, &less) : tpl_less(r, p[k].key, p[i].key, 0, &less))) return false;
        tmp[o++] = less ? p[k++] : p[i++];
    }
    while (i < half) tmp[o++] = p[i++];
    while (k < n) tmp[o++] = p[k++];
    memcpy(p, tmp, n * sizeof *p);
    return true;
}

/* The key of an item: the values at the paths of "a,b.c" as a tuple, or the item. */
static bool sort_key(tpl_run *r, tv item, tv attribute, bool case_sensitive, tv *out)
{
    tv *keys;
    size_t n = 1;
    if (attribute.kind == TV_STR)
        for (size_t i = 0; i < attribute.s->len; i++) n += attribute.s->ptr[i] == ',';
    if (!tpl_new_list(r, TV_LIST, n, out, &keys)) return false;
    for (size_t i = 0, begin = 0; i < n; i++) {
        tv path = attribute, v;
        if (attribute.kind == TV_STR) {
            size_t end = clo_str_find(tpl_bytes(attribute.s), begin, ',');
            if (!tpl_sub_str(r, attribute.s, begin, end, &path)) return false;
            begin = end + 1;
        }
        if (!tpl_get_path(r, item, path, tv_none(), &v) || !fold_case(r, v, case_sensitive, &keys[i])) return false;
    }
    return true;
}

static bool sorted(tpl_run *r, keyed *p, size_t n, bool reverse, tv *out)
{
    tv *items;
    keyed *tmp = TPL_NEW(r, keyed, n + 1);
    if (!tmp || !merge_sort(r, p, tmp, n, reverse) || !tpl_new_list(r, TV_LIST, n, out, &items)) return false;
    for (size_t i = 0; i < n; i++) items[i] = p[i].value;
    return true;
}

static bool f_sort(tpl_run *r, tv v, const tv *a, tv *out)
{
    const tpl_list *l;
    if (!tpl_iter(r, v, &l)) return false;
    keyed *p = TPL_NEW(r, keyed, l->n + 1);
    if (!p) return false;
    for (size_t i = 0; i < l->n; i++) {
        p[i].value = l->items[i];
        if (!sort_key(r, l->items[i], a[2], tpl_truth(a[1]), &p[i].key)) return false;
    }
    return sorted(r, p, l->n, tpl_truth(a[0]), out);
}

static bool f_dictsort(tpl_run *r, tv v, const tv *a, tv *out)
{
    bool by_value = tpl_str_is(a[1], "value");
    if (v.kind != TV_DICT) return v.kind == TV_UNDEF ? tpl_undef_fail(r, v.u) : tpl_fail(r, TPL_TYPE_ERROR, "dictsort of %s", tpl_type_name(v));
    if (a[1].kind != TV_MISSING && !by_value && !tpl_str_is(a[1], "key"))
        return tpl_fail(r, CLO_ERR_USAGE, "You can only sort by either \"key\" or \"value\"");
    keyed *p = TPL_NEW(r, keyed, v.d->n + 1);
    if (!p) return false;
    for (size_t i = 0; i < v.d->n; i++) {
        tv *pair;
        if (!tpl_new_list(r, TV_TUPLE, 2, &p[i].value, &pair)) return false;
        pair[0] = v.d->pairs[i].key;
        pair[1] = v.d->pairs[i].value;
        if (!fold_case(r, pair[by_value], tpl_truth(a[0]), &p[i].key)) return false;
    }
    return sorted(r, p, v.d->n, tpl_truth(a[2]), out);
}

static bool extreme(tpl_run *r, tv v, const tv *a, bool max, tv *out)
{
    const tpl_list *l;
    tv best = tv_none();
    if (!tpl_iter(r, v, &l)) return false;
    if (l->n == 0) return tpl_undef_hint(r, "No aggregated item, sequence was empty.", out);
    for (size_t i = 0; i < l->n; i++) {
        tv key;
        bool better = i == 0;
        if (!tpl_get_path(r, l->items[i], a[1], tv_none(), &key) || !fold_case(r, key, tpl_truth(a[0]), &key)) return false;
        if (i && !(max ? tpl_less(r, best, key, 0, &better) : tpl_less(r, key, best, 0, &better))) return false;
        if (!better) continue;
        best = key;
        *out = l->items[i];
    }
    return true;
}

static bool f_min(tpl_run *r, tv v, const tv *a, tv *out)
{
    return extreme(r, v, a, false, out);
}
static bool f_max(tpl_run *r, tv v, const tv *a, tv *out)
{
    return extreme(r, v, a, true, out);
}

static bool f_sum(tpl_run *r, tv v, const tv *a, tv *out)
{
    const tpl_list *l;
    *out = a[1].kind == TV_MISSING ? tv_int(0) : a[1];
    if (out->kind == TV_STR) return tpl_fail(r, TPL_TYPE_ERROR, "sum() can't sum strings [use ''.join(seq) instead]");
    if (!tpl_iter(r, v, &l)) return false;
    for (size_t i = 0; i < l->n; i++) {
        tv item;
        if (!tpl_get_path(r, l->items[i], a[0], tv_none(), &item) || !tpl_binary(r, '+', *out, item, out)) return false;
    }
    return true;
}

static bool f_unique(tpl_run *r, tv v, const tv *a, tv *out)
{
    const tpl_list *l;
    tv list, *items;
    tpl_dict seen = {0};
    size_t n = 0;
    if (!tpl_iter(r, v, &l) || !tpl_new_list(r, TV_LIST, l->n, &list, &items)) return false;
    for (size_t i = 0; i < l->n; i++) {
        tv key;
        if (!tpl_get_path(r, l->items[i], a[1], tv_none(), &key) || !fold_case(r, key, tpl_truth(a[0]), &key)) return false;
        size_t before = seen.n;
        if (!tpl_dict_put(r, &seen, key, tv_none())) return false;
        if (seen.n > before) items[n++] = l->items[i];
    }
    tpl_list *cut = TPL_NEW(r, tpl_list, 1);
    if (!cut) return false;
    *cut = (tpl_list){.items = items, .n = n};
    list.l = cut;
    return tpl_new_gen(r, list, out);
}

/* ---- map, select, reject ---- */

static tv keyword(const tpl_args *a, const char *name)
{
    for (size_t i = 0; i < a->n_kw; i++)
        if (clo_str_eq(a->kw_names[i], clo_str_from(name))) return a->kw[i];
    return (tv){.kind = TV_MISSING};
}

static tpl_args args_after(const tpl_args *a, size_t n)
{
    tpl_args b = *a;
    b.pos += n;
    b.n_pos -= n;
    return b;
}

static bool f_map(tpl_run *r, tv v, const tpl_args *a, tv *out)
{
    const tpl_list *l;
    tv list, *items, attribute = keyword(a, "attribute"), fallback = keyword(a, "default");
    const tpl_filter *f = NULL;
    bool known, by_attribute = a->n_pos == 0 && given(attribute);
    tpl_args rest = *a;
    if (by_attribute && a->n_kw > 1u + (fallback.kind != TV_MISSING))
        return tpl_fail(r, CLO_ERR_USAGE, "Unexpected keyword argument");
    if (!by_attribute) {
        if (a->n_pos == 0) return tpl_fail(r, CLO_ERR_USAGE, "map requires a filter argument");
        if (a->pos[0].kind != TV_STR) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "map with a filter that is not a name");
        f = tpl_find_filter(tpl_bytes(a->pos[0].s), &known);
        if (!f)
            return tpl_fail(r, known ? CLO_ERR_UNSUPPORTED : CLO_ERR_USAGE, "%s '%.*s'",
                            known ? "unsupported filter" : "No filter named", tpl_shown(tpl_bytes(a->pos[0].s)),
                            a->pos[0].s->ptr);
        rest = args_after(a, 1);
    }
    if (!tpl_truth(v)) return tpl_new_list(r, TV_LIST, 0, &list, &items) && tpl_new_gen(r, list, out);
    if (!tpl_iter(r, v, &l) || !tpl_new_list(r, TV_LIST, l->n, &list, &items)) return false;
    for (size_t i = 0; i < l->n; i++) {
        bool ok = by_attribute ? tpl_get_path(r, l->items[i], attribute, fallback, &items[i])
                               : tpl_apply_filter(r, f, l->items[i], &rest, &items[i]);
        if (!ok) return false;
    }
    return tpl_new_gen(r, list, out);
}

static bool choose(tpl_run *r, tv v, const tpl_args *a, bool by_attribute, bool want, tv *out)
{
    const tpl_list *l;
    tv list, *items, attribute = tv_none();
    const tpl_test *test = NULL;
    bool known;
    size_t off = by_attribute, n = 0;
    tpl_args rest = {0};
    if (by_attribute && a->n_pos == 0) return tpl_fail(r, CLO_ERR_USAGE, "Missing parameter for attribute name");
    if (by_attribute) attribute = a->pos[0];
    if (a->n_pos > off) {
        tv name = a->pos[off];
        if (name.kind != TV_STR) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "select with a test that is not a name");
        test = tpl_find_test(tpl_bytes(name.s), &known);
        if (!test) return tpl_fail(r, CLO_ERR_USAGE, "No test named '%.*s'.", tpl_shown(tpl_bytes(name.s)), name.s->ptr);
        rest = args_after(a, off + 1);
    } else if (a->n_kw) {
        return tpl_fail(r, CLO_ERR_UNSUPPORTED, "select with keywords");
    }
    if (!tpl_truth(v)) return tpl_new_list(r, TV_LIST, 0, &list, &items) && tpl_new_gen(r, list, out);
    if (!tpl_iter(r, v, &l) || !tpl_new_list(r, TV_LIST, l->n, &list, &items)) return false;
    for (size_t i = 0; i < l->n; i++) {
        tv item;
        bool hit;
        if (!tpl_get_path(r, l->items[i], attribute, tv_none(), &item)) return false;
        if (test && !tpl_apply_test(r, test, item, &rest, &hit)) return false;
        if (!test) hit = tpl_truth(item);
        if (hit == want) items[n++] = l->items[i];
    }
    tpl_list *cut = TPL_NEW(r, tpl_list, 1);
    if (!cut) return false;
    *cut = (tpl_list){.items = items, .n = n};
    list.l = cut;
    return tpl_new_gen(r, list, out);
}

static bool f_select(tpl_run *r, tv v, const tpl_args *a, tv *out)
{
    return choose(r, v, a, false, true, out);
}
static bool f_reject(tpl_run *r, tv v, const tpl_args *a, tv *out)
{
    return choose(r, v, a, false, false, out);
}
static bool f_selectattr(tpl_run *r, tv v, const tpl_args *a, tv *out)
{
    return choose(r, v, a, true, true, out);
}
static bool f_rejectattr(tpl_run *r, tv v, const tpl_args *a, tv *out)
{
    return choose(r, v, a, true, false, out);
}

const tpl_filter tpl_seq_filters[] = {
    {"list", "", 0, f_list, NULL},
    {"first", "", 0, f_first, NULL},
    {"last", "", 0, f_last, NULL},
    {"reverse", "", 0, f_reverse, NULL},
    {"join", "d attribute", 0, f_join, NULL},
    {"sort", "reverse case_sensitive attribute", 0, f_sort, NULL},
    {"dictsort", "case_sensitive by reverse", 0, f_dictsort, NULL},
    {"min", "case_sensitive attribute", 0, f_min, NULL},
    {"max", "case_sensitive attribute", 0, f_max, NULL},
    {"sum", "attribute start", 0, f_sum, NULL},
    {"unique", "case_sensitive attribute", 0, f_unique, NULL},
    {"map", NULL, 0, NULL, f_map},
    {"select", NULL, 0, NULL, f_select},
    {"reject", NULL, 0, NULL, f_reject},
    {"selectattr", NULL, 0, NULL, f_selectattr},
    {"rejectattr", NULL, 0, NULL, f_rejectattr},
    {NULL, NULL, 0, NULL, NULL},
};
