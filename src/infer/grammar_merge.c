/* References and allOf: several schemas that must all fit become one. A merged schema is a JSON object like any other, so
 * that whoever compiles it need not know. */
#include <stdlib.h>
#include <string.h>

#include "infer/grammar_impl.h"

/* --- references ---------------------------------------------------------------------------------------------------*/

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One step of a JSON pointer (RFC 6901, in a URI fragment): ~0, ~1 and %xx undone. */
static void unescape(clo_buf *out, clo_str step)
{
    out->len = 0;
    for (size_t i = 0; i < step.len; i++) {
        char c = step.ptr[i];
        if (c == '%' && i + 2 < step.len && hex_digit(step.ptr[i + 1]) >= 0 && hex_digit(step.ptr[i + 2]) >= 0) {
            c = (char)(hex_digit(step.ptr[i + 1]) * 16 + hex_digit(step.ptr[i + 2]));
            i += 2;
        }
        if (c == '~' && i + 1 < step.len && (step.ptr[i + 1] == '0' || step.ptr[i + 1] == '1'))
            c = step.ptr[++i] == '0' ? '~' : '/';
        clo_buf_add_char(out, c);
    }
}

static const json_t *child(const json_t *v, clo_str step)
{
    if (json_is_object(v)) return json_object_getn(v, step.ptr, step.len);
    if (!json_is_array(v) || step.len == 0 || step.len > 6) return NULL;
    size_t i = 0;
    for (size_t k = 0; k < step.len; k++) {
        if (step.ptr[k] < '0' || step.ptr[k] > '9') return NULL;
        i = i * 10 + (size_t)(step.ptr[k] - '0');
    }
    return json_array_get(v, i);
}

/* "#/$defs/x" as a path: "$defs.x". */
static const gr_path *target_path(gr_schemas *c, clo_str ref, const gr_path *from)
{
    gr_path *p = CLO_NEW(&c->b->arena, gr_path, 1);
    clo_str text = clo_arena_copy_str(&c->b->arena, clo_str_from_off(ref, 2));
    const gr_path *named = from;
    while (named && !(named->absolute && !named->up))
        named = named->up;
    if (!p || !text.ptr) return NULL;
    for (char *s = (char *)(uintptr_t)text.ptr; *s; s++)
        if (*s == '/') *s = '.';
    *p = (gr_path){.up = named, .key = text.ptr, .absolute = true};
    return p;
}

const json_t *gr_schema_target(gr_schemas *c, clo_str ref, const gr_path **path)
{
    const json_t *v = c->root;
    clo_buf step = {.max = 4096};
    if (ref.len == 0 || ref.ptr[0] != '#' || (ref.len > 1 && ref.ptr[1] != '/')) {
        gr_schema_fail(c, *path, CLO_ERR_UNSUPPORTED, "a $ref to anything but '#' and '#/...'");
        return NULL;
    }
    for (size_t at = 1; v && at < ref.len;) {
        size_t end = clo_str_find(ref, at + 1, '/');
        unescape(&step, (clo_str){ref.ptr + at + 1, end - at - 1});
        v = step.failed ? NULL : child(v, clo_buf_str(&step));
        at = end;
    }
    clo_buf_free(&step);
    if (!v) {
        gr_schema_fail(c, *path, CLO_ERR_FORMAT, "$ref '" CLO_STR_FMT "' points at nothing", (int)(ref.len > 200 ? 200 : ref.len),
                       ref.ptr);
        return NULL;
    }
    *path = target_path(c, ref, *path);
    return v;
}

/* --- merging ------------------------------------------------------------------------------------------------------*/

/* A merge under way: what goes in stays as it is. */
typedef struct {
    gr_schemas *c;
    const json_t *a, *b;
    json_t *out; /* owned by c->made */
    const gr_path *path;
} merge;

static bool set(merge *m, const char *key, json_t *stolen)
{
    if (stolen && json_object_set_new(m->out, key, stolen) == 0) return true;
    return clo_fail(m->c->err, CLO_ERR_MEMORY, "a merged schema");
}

static bool set_both(merge *m, json_t *into, const char *key, const json_t *x, const json_t *y)
{
    const json_t *v = gr_schema_both(m->c, x, y);
    if (!v) return false;
    if (json_object_set(into, key, (json_t *)(uintptr_t)v) == 0) return true;
    return clo_fail(m->c->err, CLO_ERR_MEMORY, "a merged schema");
}

/* Properties of one that the other does not name must fit the other's additionalProperties. */
static bool restrict_to(merge *m, json_t *props, const json_t *one, const json_t *other)
{
    const json_t *rule = json_object_get(other, "additionalProperties");
    const json_t *named = json_object_get(other, "properties");
    const char *key;
    json_t *v;
    if (!rule || json_is_true(rule)) return true;
    json_object_foreach (json_object_get(one, "properties"), key, v) {
        if (json_object_get(named, key)) continue;
        if (json_is_false(rule) ? json_object_set_new(props, key, json_false()) != 0
                                : !set_both(m, props, key, json_object_get(props, key), rule))
            return clo_fail(m->c->err, CLO_ERR_MEMORY, "a merged schema");
    }
    return true;
}

static bool merge_properties(merge *m)
{
    const json_t *pa = json_object_get(m->a, "properties"), *pb = json_object_get(m->b, "properties");
    const char *key;
    json_t *v;
    if (!json_is_object(pa) && !json_is_object(pb)) return true;
    json_t *props = json_is_object(pa) ? json_copy((json_t *)(uintptr_t)pa) : json_object();
    if (!set(m, "properties", props)) return false;
    json_object_foreach ((json_t *)(uintptr_t)pb, key, v) {
        const json_t *before = json_object_get(pa, key);
        if (!set_both(m, props, key, before ? before : v, v)) return false;
    }
    return restrict_to(m, props, m->a, m->b) && restrict_to(m, props, m->b, m->a);
}

static bool has_item(const json_t *list, const json_t *v)
{
    size_t i;
    json_t *x;
    json_array_foreach (list, i, x)
        if (json_equal(x, v)) return true;
    return false;
}

static bool merge_required(merge *m, const char *key, const json_t *x, const json_t *y)
{
    json_t *all = json_copy((json_t *)(uintptr_t)x), *v;
    size_t i;
    if (!set(m, key, all)) return false;
    json_array_foreach (y, i, v)
        if (!has_item(all, v) && json_array_append(all, v) != 0) return clo_fail(m->c->err, CLO_ERR_MEMORY, "a schema");
    return true;
}

/* What stands in both lists; "integer" is in "number". */
static bool merge_type(merge *m, const char *key, const json_t *x, const json_t *y)
{
    json_t *both = json_array(), *wrap[2] = {json_array(), json_array()}, *v;
    const json_t *side[2] = {x, y};
    bool ok = both && wrap[0] && wrap[1];
    size_t i;
    for (int k = 0; ok && k < 2; k++) {
        if (json_is_array(side[k])) continue;
        ok = json_array_append(wrap[k], (json_t *)(uintptr_t)side[k]) == 0;
        side[k] = wrap[k];
    }
    json_t *number = json_string("number"), *integer = json_string("integer");
    json_array_foreach (side[0], i, v) {
        bool in = has_item(side[1], v) || (json_equal(v, integer) && has_item(side[1], number));
        if (ok && in) ok = json_array_append(both, v) == 0;
        if (ok && json_equal(v, number) && has_item(side[1], integer) && !has_item(side[0], integer))
            ok = json_array_append(both, integer) == 0;
    }
    json_decref(number);
    json_decref(integer);
    json_decref(wrap[0]);
    json_decref(wrap[1]);
    if (ok) return set(m, key, both);
    json_decref(both);
    return clo_fail(m->c->err, CLO_ERR_MEMORY, "a merged schema");
}

static bool merge_enum(merge *m, const char *key, const json_t *x, const json_t *y)
{
    json_t *both = json_array(), *v;
    size_t i;
    if (!set(m, key, both)) return false;
    if (json_array_size(x) > CLO_GRAMMAR_ENUM_MAX / 10 || json_array_size(y) > CLO_GRAMMAR_ENUM_MAX / 10)
        return gr_schema_fail(m->c, m->path, CLO_ERR_LIMIT, "two enums to merge, limit %d values each",
                              CLO_GRAMMAR_ENUM_MAX / 10);
    json_array_foreach (x, i, v)
        if (has_item(y, v) && json_array_append(both, v) != 0)
            return clo_fail(m->c->err, CLO_ERR_MEMORY, "a merged schema");
    return true;
}

static bool merge_min(merge *m, const char *key, const json_t *x, const json_t *y)
{
    return set(m, key, json_incref((json_t *)(uintptr_t)(json_number_value(x) >= json_number_value(y) ? x : y)));
}

static bool merge_max(merge *m, const char *key, const json_t *x, const json_t *y)
{
    return set(m, key, json_incref((json_t *)(uintptr_t)(json_number_value(x) <= json_number_value(y) ? x : y)));
}

static bool merge_schema(merge *m, const char *key, const json_t *x, const json_t *y)
{
    return set_both(m, m->out, key, x, y);
}

/* One of each: every pair must fit. */
static bool merge_choices(merge *m, const char *key, const json_t *x, const json_t *y)
{
    json_t *pairs = json_array(), *v, *w;
    size_t i, k;
    if (!set(m, key, pairs)) return false;
    json_array_foreach (x, i, v) {
        json_array_foreach (y, k, w) {
            const json_t *both = gr_schema_both(m->c, v, w);
            if (!both) return false;
            if (json_array_append(pairs, (json_t *)(uintptr_t)both) != 0)
                return clo_fail(m->c->err, CLO_ERR_MEMORY, "a merged schema");
        }
    }
    return true;
}

/* How a keyword that stands in both is merged; properties come before. NULL: only when both say the same. */
typedef bool merge_fn(merge *m, const char *key, const json_t *x, const json_t *y);

static merge_fn *rule_of(const char *key)
{
    static const struct {
        const char *key;
        merge_fn *fn;
    } rows[] = {
        {"required", merge_required},   {"type", merge_type},
        {"enum", merge_enum},           {"minimum", merge_min},
        {"exclusiveMinimum", merge_min}, {"minLength", merge_min},
        {"minItems", merge_min},        {"maximum", merge_max},
        {"exclusiveMaximum", merge_max}, {"maxLength", merge_max},
        {"maxItems", merge_max},        {"additionalProperties", merge_schema},
        {"items", merge_schema},        {"anyOf", merge_choices},
        {"oneOf", merge_choices},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].key, key) == 0) return rows[i].fn;
    return NULL;
}

static bool merge_key(merge *m, const char *key, const json_t *y)
{
    const json_t *x = json_object_get(m->out, key);
    merge_fn *rule = rule_of(key);
    if (strcmp(key, "properties") == 0) return true;
    if (!x) return set(m, key, json_incref((json_t *)(uintptr_t)y));
    if (gr_keyword_kind_of(key) == GR_KEYWORD_ANNOTATION || json_equal(x, y)) return true;
    if (rule) return rule(m, key, x, y);
    if (strcmp(key, "const") == 0) return set(m, "enum", json_array());
    return gr_schema_ignore(m->c, m->path, key);
}

static const json_t *merged(gr_schemas *c, const json_t *a, const json_t *b, const gr_path *path)
{
    merge m = {.c = c, .a = a, .b = b, .path = path};
    const char *key;
    json_t *v;
    m.out = gr_schema_keep(c, json_copy((json_t *)(uintptr_t)a));
    if (!m.out || !merge_properties(&m)) return NULL;
    json_object_foreach ((json_t *)(uintptr_t)b, key, v)
        if (!merge_key(&m, key, v)) return NULL;
    return m.out;
}

const json_t *gr_schema_both(gr_schemas *c, const json_t *a, const json_t *b)
{
    if (json_equal(a, b)) return a;
    return gr_schema_keep(c, json_pack("{s:[O, O]}", "allOf", a, b));
}

/* Booleans as objects. */
static const json_t *as_object(gr_schemas *c, const json_t *schema)
{
    if (json_is_object(schema)) return schema;
    return gr_schema_keep(c, json_is_true(schema) ? json_object() : json_pack("{s:[]}", "enum"));
}

static const json_t *and_also(gr_schemas *c, const json_t *so_far, const json_t *more, const gr_path *path)
{
    return so_far ? merged(c, so_far, more, path) : more;
}

const json_t *gr_schema_flat(gr_schemas *c, const json_t *schema, const gr_path *path, size_t depth)
{
    const json_t *out = NULL;
    if (depth == CLO_GRAMMAR_MERGE_DEPTH_MAX) {
        gr_schema_fail(c, path, CLO_ERR_LIMIT, "$ref and allOf within each other, %d deep", CLO_GRAMMAR_MERGE_DEPTH_MAX);
        return NULL;
    }
    if (!gr_schema_check(c, schema, path) || !(schema = as_object(c, schema))) return NULL;
    const json_t *ref = json_object_get(schema, "$ref"), *all = json_object_get(schema, "allOf"), *part;
    if (!ref && !all) return schema;
    if (ref) {
        const gr_path *at = gr_path_key(c, path, "$ref");
        const json_t *target = gr_schema_target(c, (clo_str){json_string_value(ref), json_string_length(ref)}, &at);
        out = target ? gr_schema_flat(c, target, at, depth + 1) : NULL;
        if (!out) return NULL;
    }
    size_t i;
    json_array_foreach ((json_t *)(uintptr_t)all, i, part) {
        const json_t *flat = gr_schema_flat(c, part, gr_path_index(c, path, "allOf", i), depth + 1);
        if (!flat || !(out = and_also(c, out, flat, path))) return NULL;
    }
    json_t *own = gr_schema_keep(c, json_copy((json_t *)(uintptr_t)schema));
    if (!own) return NULL;
    json_object_del(own, "$ref");
    json_object_del(own, "allOf");
    return and_also(c, out, own, path);
}
