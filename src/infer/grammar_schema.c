/* JSON Schema to a grammar: the subset that docs/structured-output.md names. Every schema becomes a machine; machines
 * are named before they are filled, so a schema may refer to itself and the C stack stays flat. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "infer/grammar_impl.h"

#define VALUES_MAX 200000            /* of one schema, as JSON */
#define COUNT_MAX 1000000000         /* of minLength, maxItems, ... */
#define INTEGER_DEFAULT 999999999999999 /* integers without a bound: what a double holds exactly */

/* --- what a schema may say ----------------------------------------------------------------------------------------*/

typedef enum { ANNOTATION, BUILT } keyword_kind;

typedef struct {
    const char *name;
    keyword_kind kind;
    bool (*fits)(const json_t *value);
    const char *expected;
} keyword;

static bool is_any(const json_t *v)
{
    return v != NULL;
}

static bool is_schema(const json_t *v)
{
    return json_is_object(v) || json_is_boolean(v);
}

static bool is_schemas(const json_t *v)
{
    size_t i;
    json_t *x;
    json_array_foreach (v, i, x)
        if (!is_schema(x)) return false;
    return json_array_size(v) > 0;
}

static bool is_named_schemas(const json_t *v)
{
    const char *key;
    json_t *x;
    json_object_foreach ((json_t *)(uintptr_t)v, key, x)
        if (!is_schema(x)) return false;
    return json_is_object(v);
}

static bool is_strings(const json_t *v)
{
    size_t i;
    json_t *x;
    json_array_foreach (v, i, x)
        if (!json_is_string(x)) return false;
    return json_is_array(v);
}

static bool is_type(const json_t *v)
{
    return json_is_string(v) || (is_strings(v) && json_array_size(v) > 0);
}

static bool is_count(const json_t *v)
{
    double d = json_number_value(v);
    return json_is_number(v) && d >= 0 && d <= COUNT_MAX && d == floor(d);
}

static bool is_number(const json_t *v)
{
    return json_is_number(v);
}

static bool is_string(const json_t *v)
{
    return json_is_string(v);
}

static bool is_list(const json_t *v)
{
    return json_is_array(v);
}

static const keyword keywords[] = {
    {"title", ANNOTATION, is_any, ""},
    {"description", ANNOTATION, is_any, ""},
    {"default", ANNOTATION, is_any, ""},
    {"examples", ANNOTATION, is_any, ""},
    {"deprecated", ANNOTATION, is_any, ""},
    {"readOnly", ANNOTATION, is_any, ""},
    {"writeOnly", ANNOTATION, is_any, ""},
    {"$schema", ANNOTATION, is_any, ""},
    {"$id", ANNOTATION, is_any, ""},
    {"$comment", ANNOTATION, is_any, ""},
    {"$defs", ANNOTATION, is_any, ""},
    {"definitions", ANNOTATION, is_any, ""},
    {"type", BUILT, is_type, "a name or an array of names"},
    {"properties", BUILT, is_named_schemas, "an object of schemas"},
    {"required", BUILT, is_strings, "an array of names"},
    {"additionalProperties", BUILT, is_schema, "a schema"},
    {"items", BUILT, is_schema, "a schema"},
    {"prefixItems", BUILT, is_schemas, "an array of schemas"},
    {"minItems", BUILT, is_count, "a count"},
    {"maxItems", BUILT, is_count, "a count"},
    {"enum", BUILT, is_list, "an array"},
    {"const", BUILT, is_any, ""},
    {"anyOf", BUILT, is_schemas, "an array of schemas"},
    {"oneOf", BUILT, is_schemas, "an array of schemas"},
    {"allOf", BUILT, is_schemas, "an array of schemas"},
    {"$ref", BUILT, is_string, "a text"},
    {"minLength", BUILT, is_count, "a count"},
    {"maxLength", BUILT, is_count, "a count"},
    {"pattern", BUILT, is_string, "a text"},
    {"format", BUILT, is_string, "a text"},
    {"minimum", BUILT, is_number, "a number"},
    {"maximum", BUILT, is_number, "a number"},
    {"exclusiveMinimum", BUILT, is_number, "a number"},
    {"exclusiveMaximum", BUILT, is_number, "a number"},
};

static const keyword *find_keyword(const char *name)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (strcmp(keywords[i].name, name) == 0) return &keywords[i];
    return NULL;
}

bool gr_is_annotation(const char *name)
{
    const keyword *k = find_keyword(name);
    return k && k->kind == ANNOTATION;
}

/* --- paths and faults ---------------------------------------------------------------------------------------------*/

const gr_path *gr_path_key(gr_schemas *c, const gr_path *up, const char *key)
{
    gr_path *p = CLO_NEW(&c->b->arena, gr_path, 1);
    if (!p) return up; /* a shorter path, when memory is gone */
    *p = (gr_path){.up = up, .key = key};
    return p;
}

const gr_path *gr_path_index(gr_schemas *c, const gr_path *up, const char *key, size_t index)
{
    gr_path *p = CLO_NEW(&c->b->arena, gr_path, 1);
    if (!p) return up;
    *p = (gr_path){.up = gr_path_key(c, up, key), .index = index};
    return p;
}

/* Writes the path from the outside in: "properties.x.anyOf.1". */
static void write_path(clo_buf *out, const gr_path *path, const char *last)
{
    enum { STEPS_MAX = 64 };
    const gr_path *steps[STEPS_MAX];
    size_t n = 0;
    for (; path && n < STEPS_MAX; path = path->up)
        steps[n++] = path;
    while (n-- > 0) {
        if (steps[n]->key && !*steps[n]->key) continue;
        if (out->len > 0 && out->ptr[out->len - 1] != ' ') clo_buf_add_char(out, '.');
        if (steps[n]->key)
            clo_buf_add(out, clo_str_from(steps[n]->key));
        else
            clo_buf_addf(out, "%zu", steps[n]->index);
    }
    if (!last) return;
    if (out->len > 0 && out->ptr[out->len - 1] != ' ') clo_buf_add_char(out, '.');
    clo_buf_add(out, clo_str_from(last));
}

/* Puts the path of the fault into the notes and before the text. */
static bool fail_here(gr_schemas *c, const gr_path *path, const char *last)
{
    clo_buf b = {.max = 4096};
    write_path(&b, path, last);
    clo_str s = clo_buf_str(&b);
    if (c->notes) (void)snprintf(c->notes->path, sizeof c->notes->path, "%s", s.ptr);
    clo_err_context(c->err, "%.200s", s.len ? s.ptr : "the schema");
    clo_buf_free(&b);
    return false;
}

bool gr_schema_fail(gr_schemas *c, const gr_path *path, clo_code code, const char *fmt, ...)
{
    char text[300];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    clo_fail(c->err, code, "%s", text);
    return fail_here(c, path, NULL);
}

bool gr_schema_ignore(gr_schemas *c, const gr_path *path, const char *name)
{
    if (c->opts.strict) {
        clo_fail(c->err, CLO_ERR_UNSUPPORTED, "the keyword is not supported here");
        return fail_here(c, path, name);
    }
    if (!c->notes) return true;
    if (c->notes->ignored.len > 0) clo_buf_add(&c->notes->ignored, CLO_STR(", "));
    write_path(&c->notes->ignored, path, name);
    return true;
}

/* --- what is known of schemas -------------------------------------------------------------------------------------*/

static size_t slot_of(const gr_schemas *c, const json_t *schema)
{
    size_t i = (size_t)(((uintptr_t)schema >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 20) & (c->cap_known - 1);
    while (c->known[i].schema && c->known[i].schema != schema)
        i = (i + 1) & (c->cap_known - 1);
    return i;
}

static bool grow_known(gr_schemas *c)
{
    gr_schemas next = {.cap_known = c->cap_known ? 2 * c->cap_known : 64};
    next.known = (gr_known *)calloc(next.cap_known, sizeof *next.known);
    if (!next.known) return clo_fail(c->err, CLO_ERR_MEMORY, "a schema");
    for (size_t i = 0; i < c->cap_known; i++)
        if (c->known[i].schema) next.known[slot_of(&next, c->known[i].schema)] = c->known[i];
    free(c->known);
    c->known = next.known;
    c->cap_known = next.cap_known;
    return true;
}

gr_known *gr_schema_known(gr_schemas *c, const json_t *schema)
{
    if (2 * c->n_known >= c->cap_known && !grow_known(c)) return NULL;
    gr_known *k = &c->known[slot_of(c, schema)];
    if (!k->schema) {
        *k = (gr_known){.schema = schema, .machine = GR_NONE};
        c->n_known++;
    }
    return k;
}

json_t *gr_schema_keep(gr_schemas *c, json_t *stolen)
{
    gr_known *k = NULL;
    if (!c->made) c->made = json_array();
    if (!stolen || !c->made || json_array_append_new(c->made, stolen) != 0) {
        clo_fail(c->err, CLO_ERR_MEMORY, "a merged schema");
        return NULL;
    }
    if (json_array_size(c->made) > CLO_GRAMMAR_MERGE_MAX) {
        clo_fail(c->err, CLO_ERR_LIMIT, "more than %d merged schemas", CLO_GRAMMAR_MERGE_MAX);
        return NULL;
    }
    if (!(k = gr_schema_known(c, stolen))) return NULL;
    k->checked = true;
    return stolen;
}

bool gr_schema_check(gr_schemas *c, const json_t *schema, const gr_path *path)
{
    const char *name;
    json_t *value;
    if (json_is_boolean(schema)) return true;
    if (!json_is_object(schema))
        return gr_schema_fail(c, path, CLO_ERR_FORMAT, "a schema is an object, true or false");
    gr_known *known = gr_schema_known(c, schema);
    if (!known) return false;
    if (known->checked) return true;
    known->checked = true;
    json_object_foreach ((json_t *)(uintptr_t)schema, name, value) {
        const keyword *k = find_keyword(name);
        if (!k) {
            if (!gr_schema_ignore(c, path, name)) return false;
        } else if (!k->fits(value)) {
            clo_fail(c->err, CLO_ERR_FORMAT, "expected %s", k->expected);
            return fail_here(c, path, name);
        }
    }
    return true;
}

/* The machine of a schema; the schema waits to be written into it. */
static bool machine_of(gr_schemas *c, uint32_t *machine, const json_t *schema, const gr_path *path)
{
    bool shared = json_is_object(schema); /* Jansson has one true for everybody */
    gr_known *k = shared ? gr_schema_known(c, schema) : NULL;
    if (shared && !k) return false;
    if (k && k->machine != GR_NONE) {
        *machine = k->machine;
        return true;
    }
    if (c->n_waiting == c->cap_waiting) {
        size_t cap = c->cap_waiting ? 2 * c->cap_waiting : 64;
        void *p = realloc(c->waiting, cap * sizeof *c->waiting);
        if (!p) return clo_fail(c->err, CLO_ERR_MEMORY, "a schema");
        c->waiting = p;
        c->cap_waiting = cap;
    }
    *machine = gr_machine_new(c->b);
    if (k) k->machine = *machine;
    c->waiting[c->n_waiting++] = (struct gr_waiting){schema, path, *machine};
    return true;
}

/* Reads what a schema accepts. */
static bool call(gr_schemas *c, uint32_t from, const json_t *schema, const gr_path *path, uint32_t to)
{
    uint32_t m;
    if (!machine_of(c, &m, schema, path)) return false;
    gr_call(c->b, from, m, to);
    return true;
}

/* --- types --------------------------------------------------------------------------------------------------------*/

enum { OBJECT = 1, ARRAY = 2, STRING = 4, NUMBER = 8, INTEGER = 16, BOOLEAN = 32, NUL = 64, EVERY = 127 & ~INTEGER };

static unsigned type_bit(const char *name)
{
    static const char *const names[] = {"object", "array", "string", "number", "integer", "boolean", "null"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0) return 1u << i;
    return 0;
}

/* The types that a keyword speaks about. */
static unsigned types_of_keyword(const char *name)
{
    static const struct {
        const char *name;
        unsigned types;
    } rows[] = {
        {"properties", OBJECT},  {"required", OBJECT},  {"additionalProperties", OBJECT}, {"items", ARRAY},
        {"prefixItems", ARRAY},  {"minItems", ARRAY},   {"maxItems", ARRAY},              {"minLength", STRING},
        {"maxLength", STRING},   {"pattern", STRING},   {"format", STRING},               {"minimum", NUMBER},
        {"maximum", NUMBER},     {"exclusiveMinimum", NUMBER}, {"exclusiveMaximum", NUMBER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, name) == 0) return rows[i].types;
    return 0;
}

/* Where a schema names no type, it is that of its keywords: narrower than JSON Schema, which lets the others pass. */
static bool types_of(gr_schemas *c, const json_t *schema, const gr_path *path, unsigned *types)
{
    const json_t *type = json_object_get(schema, "type");
    const char *name;
    json_t *v;
    size_t i;
    *types = 0;
    if (!type) {
        json_object_foreach ((json_t *)(uintptr_t)schema, name, v)
            *types |= types_of_keyword(name);
        if (!*types) *types = EVERY;
        return true;
    }
    if (json_is_string(type)) *types = type_bit(json_string_value(type));
    json_array_foreach (type, i, v) {
        unsigned bit = type_bit(json_string_value(v));
        if (!bit) return gr_schema_fail(c, gr_path_key(c, path, "type"), CLO_ERR_FORMAT, "no type of JSON");
        *types |= bit;
    }
    if (json_is_string(type) && !*types)
        return gr_schema_fail(c, gr_path_key(c, path, "type"), CLO_ERR_FORMAT, "no type of JSON");
    if (*types & NUMBER) *types &= ~(unsigned)INTEGER;
    return true;
}

/* --- objects ------------------------------------------------------------------------------------------------------*/

typedef struct {
    const char *name;
    const json_t *schema;
    const gr_path *path;
    bool required;
} property;

typedef struct {
    property *at; /* in the arena */
    size_t n;
    const json_t *more; /* schema of properties that are not named, or NULL: there are none */
} properties;

static bool is_required(const json_t *required, const char *name)
{
    size_t i;
    json_t *v;
    json_array_foreach (required, i, v)
        if (strcmp(json_string_value(v), name) == 0) return true;
    return false;
}

/* The named properties in order: those of `properties`, then what `required` names beside them. */
static bool list_properties(gr_schemas *c, const json_t *schema, const gr_path *path, properties *out)
{
    const json_t *named = json_object_get(schema, "properties"), *required = json_object_get(schema, "required");
    const json_t *more = json_object_get(schema, "additionalProperties");
    size_t n_max = json_object_size(named) + json_array_size(required), i;
    const gr_path *up = gr_path_key(c, path, "properties");
    const char *name;
    json_t *v;
    if (n_max > CLO_GRAMMAR_PROPERTIES_MAX)
        return gr_schema_fail(c, path, CLO_ERR_LIMIT, "%zu properties, limit %d", n_max, CLO_GRAMMAR_PROPERTIES_MAX);
    *out = (properties){.at = CLO_NEW(&c->b->arena, property, n_max)};
    if (!out->at) return clo_arena_full(&c->b->arena, c->err);
    out->more = more ? (json_is_false(more) ? NULL : more) : json_object_size(named) > 0 ? NULL : json_true();
    json_object_foreach ((json_t *)(uintptr_t)named, name, v) {
        bool must = is_required(required, name);
        if (!json_is_false(v) || must) out->at[out->n++] = (property){name, v, gr_path_key(c, up, name), must};
    }
    json_array_foreach (required, i, v) {
        name = json_string_value(v);
        bool known = json_object_get(named, name) != NULL;
        for (size_t k = 0; k < out->n && !known; k++)
            known = strcmp(out->at[k].name, name) == 0;
        if (known) continue;
        if (json_is_false(more))
            return gr_schema_fail(c, path, CLO_ERR_FORMAT, "'%.100s' is required and not allowed", name);
        out->at[out->n++] = (property){name, more ? more : json_true(), gr_path_key(c, path, "additionalProperties"), true};
    }
    return true;
}

/* A key as it is written, with its quotes and the colon behind it. */
static bool key_text(gr_schemas *c, clo_buf *out, const char *name)
{
    json_t *s = json_string(name);
    char *text = s ? json_dumps(s, JSON_ENCODE_ANY) : NULL;
    if (text) clo_buf_addf(out, "%s: ", text);
    free(text);
    json_decref(s);
    return text && !out->failed ? true : clo_fail(c->err, CLO_ERR_MEMORY, "a key");
}

/* The rest of a key that is no named one, written without escapes, so that no spelling of a named key slips through:
 * `from` has read what the names from..end share in their first `depth` characters. */
static void other_keys(gr_builder *b, uint32_t from, const clo_str *names, size_t n, size_t depth, uint32_t free_rest,
                       uint32_t to)
{
    gr_set taken = {0}, rest;
    bool is_name = false;
    for (size_t i = 0; i < n && !gr_failed(b);) {
        size_t len, end = i;
        if (names[i].len == depth) {
            is_name = true;
            i++;
            continue;
        }
        uint32_t cp = clo_utf8_decode(names[i], depth, &len);
        while (end < n && names[end].len > depth && names[end].len >= depth + len &&
               memcmp(names[end].ptr + depth, names[i].ptr + depth, len) == 0)
            end++;
        gr_set one = {0};
        uint32_t next = gr_state_new(b);
        gr_set_add(b, &one, cp, cp);
        gr_set_add(b, &taken, cp, cp);
        gr_call(b, from, gr_char_machine_of(b, &one), next);
        other_keys(b, next, names + i, end - i, depth + len, free_rest, to);
        i = end;
    }
    if (!is_name) gr_eps(b, from, to);
    gr_set_add(b, &taken, 0, 0x1F);
    gr_set_add(b, &taken, '"', '"');
    gr_set_add(b, &taken, '\\', '\\');
    rest = gr_set_not(b, &taken);
    gr_call(b, from, gr_char_machine_of(b, &rest), free_rest);
}

static int by_bytes(const void *a, const void *b)
{
    return clo_str_cmp(*(const clo_str *)a, *(const clo_str *)b);
}

/* Names that need no escape: others cannot be met. */
static bool is_plain_name(clo_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((uint8_t)s.ptr[i] < 0x20 || s.ptr[i] == '"' || s.ptr[i] == '\\') return false;
    return s.len <= 256 && clo_utf8_valid(s);
}

/* A machine for keys that are not named. */
static uint32_t other_key(gr_builder *b, const properties *p)
{
    uint32_t m = gr_machine_new(b), open = gr_after(b, gr_start(b, m), CLO_STR("\""));
    uint32_t rest = gr_state_new(b), end = gr_state_new(b);
    clo_str *names = CLO_NEW(&b->arena, clo_str, p->n);
    size_t n = 0;
    gr_set taken = {0}, plain;
    if (!names) b->no_memory = true;
    for (size_t i = 0; names && i < p->n; i++)
        if (is_plain_name(clo_str_from(p->at[i].name))) names[n++] = clo_str_from(p->at[i].name);
    if (n > 0) qsort(names, n, sizeof *names, by_bytes);
    gr_set_add(b, &taken, 0, 0x1F);
    gr_set_add(b, &taken, '"', '"');
    gr_set_add(b, &taken, '\\', '\\');
    plain = gr_set_not(b, &taken);
    other_keys(b, open, names, n, 0, rest, end);
    gr_repeat(b, rest, gr_char_machine_of(b, &plain), 0, GR_INF, end);
    gr_text(b, end, CLO_STR("\""), gr_final(b, m));
    return m;
}

/* An object while it is written. Before a property nothing is written yet (`first`, GR_NONE when that cannot be any
 * more), or a comma and a space are (`list`). */
typedef struct {
    gr_schemas *c;
    uint32_t first, list;
    uint32_t close; /* "}" and no more */
} object;

/* A state that both ways lead to. */
static uint32_t next_key(object *o)
{
    uint32_t begin = gr_state_new(o->c->b);
    if (o->first != GR_NONE) gr_eps(o->c->b, o->first, begin);
    gr_eps(o->c->b, o->list, begin);
    return begin;
}

/* Writes q, or passes it over; last: no required property follows. */
static bool write_property(object *o, const property *q, bool last)
{
    gr_builder *b = o->c->b;
    clo_buf key = {.max = 1u << 20};
    uint32_t after = gr_state_new(b), first = gr_state_new(b), list = gr_state_new(b);
    bool ok = key_text(o->c, &key, q->name);
    if (ok) ok = call(o->c, gr_after(b, next_key(o), clo_buf_str(&key)), q->schema, q->path, after);
    clo_buf_free(&key);
    if (!q->required) {
        if (o->first != GR_NONE) gr_eps(b, o->first, first);
        gr_eps(b, o->list, list);
    }
    gr_text(b, after, CLO_STR(", "), list);
    if (last) gr_eps(b, after, o->close);
    o->first = q->required || o->first == GR_NONE ? GR_NONE : first;
    o->list = list;
    return ok;
}

/* Any number of properties that are not named. */
static bool write_others(object *o, const properties *p, const gr_path *path)
{
    gr_builder *b = o->c->b;
    uint32_t after = gr_state_new(b), value = gr_state_new(b), begin = next_key(o);
    gr_call(b, begin, other_key(b, p), value);
    gr_text(b, after, CLO_STR(", "), begin);
    gr_eps(b, after, o->close);
    return call(o->c, gr_after(b, value, CLO_STR(": ")), p->more, gr_path_key(o->c, path, "additionalProperties"), after);
}

static bool write_properties(gr_schemas *c, const properties *p, const gr_path *path, uint32_t from, uint32_t to)
{
    gr_builder *b = c->b;
    object o = {.c = c, .first = gr_after(b, from, CLO_STR("{")), .list = gr_state_new(b), .close = gr_state_new(b)};
    size_t n_must = p->n; /* properties up to the last required one */
    while (n_must > 0 && !p->at[n_must - 1].required)
        n_must--;
    gr_text(b, o.close, CLO_STR("}"), to);
    for (size_t i = 0; i < p->n && !gr_failed(b); i++)
        if (!write_property(&o, &p->at[i], i + 1 >= n_must)) return false;
    if (o.first != GR_NONE) gr_eps(b, o.first, o.close);
    return !p->more || write_others(&o, p, path);
}

static bool write_object(gr_schemas *c, const json_t *schema, const gr_path *path, uint32_t from, uint32_t to)
{
    properties p;
    if (!list_properties(c, schema, path, &p)) return false;
    if (p.n == 0 && p.more && json_is_true(p.more)) {
        gr_call(c->b, from, gr_any_object(c->b), to);
        return true;
    }
    return write_properties(c, &p, path, from, to);
}

/* --- arrays -------------------------------------------------------------------------------------------------------*/

static uint32_t count_of(const json_t *schema, const char *key, uint32_t fallback)
{
    const json_t *v = json_object_get(schema, key);
    return v ? (uint32_t)json_number_value(v) : fallback;
}

/* ", " and an item, as a machine, so that it can be counted. */
static bool next_item(gr_schemas *c, uint32_t *machine, const json_t *items, const gr_path *path)
{
    *machine = gr_machine_new(c->b);
    uint32_t item = gr_after(c->b, gr_start(c->b, *machine), CLO_STR(", "));
    return call(c, item, items, path, gr_final(c->b, *machine));
}

static bool write_array(gr_schemas *c, const json_t *schema, const gr_path *path, uint32_t from, uint32_t to)
{
    gr_builder *b = c->b;
    const json_t *prefix = json_object_get(schema, "prefixItems"), *items = json_object_get(schema, "items");
    size_t n_prefix = json_array_size(prefix), i = 0;
    uint32_t min = count_of(schema, "minItems", 0), max = count_of(schema, "maxItems", GR_INF);
    uint32_t close = gr_state_new(b), at = gr_after(b, from, CLO_STR("[")), m;
    if (!items) items = prefix && min <= n_prefix ? json_false() : json_true();
    gr_text(b, close, CLO_STR("]"), to);
    if (min > max) return true; /* no array fits */
    for (; i < n_prefix && i < max; i++) {
        uint32_t next = gr_state_new(b);
        if (i >= min) gr_eps(b, at, close);
        if (i > 0) at = gr_after(b, at, CLO_STR(", "));
        if (!call(c, at, json_array_get(prefix, i), gr_path_index(c, path, "prefixItems", i), next)) return false;
        at = next;
    }
    if (i >= min) gr_eps(b, at, close);
    if (i == max || json_is_false(items)) return true;
    const gr_path *item_path = gr_path_key(c, path, "items");
    if (i == 0) {
        uint32_t next = gr_state_new(b);
        if (!call(c, at, items, item_path, next)) return false;
        at = next;
        i = 1;
    }
    if (!next_item(c, &m, items, item_path)) return false;
    gr_repeat(b, at, m, min > i ? min - (uint32_t)i : 0, max == GR_INF ? GR_INF : max - (uint32_t)i, close);
    return true;
}

/* --- texts --------------------------------------------------------------------------------------------------------*/

static bool write_string(gr_schemas *c, const json_t *schema, const gr_path *path, uint32_t from, uint32_t to)
{
    gr_builder *b = c->b;
    clo_str format = clo_json_str(schema, "format", CLO_STR("")), pattern = clo_json_str(schema, "pattern", CLO_STR(""));
    uint32_t min = count_of(schema, "minLength", 0), max = count_of(schema, "maxLength", GR_INF);
    uint32_t open = gr_after(b, from, CLO_STR("\"")), end = gr_state_new(b);
    const char *key = json_object_get(schema, "pattern") ? "pattern" : NULL;
    if (json_object_get(schema, "format")) {
        const char *known = gr_format_pattern(format);
        if (!known || key) {
            if (!gr_schema_ignore(c, path, "format")) return false;
        } else {
            key = "format";
            pattern = clo_str_from(known);
        }
    }
    gr_text(b, end, CLO_STR("\""), to);
    if (min > max) return true; /* no text fits */
    if (!key) {
        gr_repeat(b, open, gr_any_character(b), min, max, end);
    } else if (!gr_pattern(b, open, pattern, min, max, end, c->err)) {
        if (c->err && c->err->code == CLO_ERR_UNSUPPORTED && !c->opts.strict) {
            *c->err = (clo_err){0};
            gr_repeat(b, open, gr_any_character(b), min, max, end);
            return gr_schema_ignore(c, path, key);
        }
        return fail_here(c, path, key);
    }
    return true;
}

/* --- numbers ------------------------------------------------------------------------------------------------------*/

/* Bounds as they are given; `out` leaves the end itself out. */
typedef struct {
    bool given, out;
    double value;
    int64_t whole; /* the value, towards the inside of the interval when it is no integer */
    bool exact;    /* the value is an integer that fits */
} bound;

static bound bound_of(const json_t *v, bool upper, bool out)
{
    bound b = {.given = v != NULL, .out = out, .value = json_number_value(v), .exact = true};
    if (json_is_integer(v)) {
        b.whole = json_integer_value(v);
    } else if (v) {
        double d = upper ? floor(b.value) : ceil(b.value);
        b.exact = d == b.value && fabs(d) < 9e18;
        b.whole = d >= 9e18 ? INT64_MAX : d <= -9e18 ? INT64_MIN : (int64_t)d;
        if (!b.exact) b.out = false; /* the end itself is no integer */
    }
    return b;
}

/* The tighter of an end that is in and one that is out. */
static bound tighter(bound in, bound out, bool upper)
{
    if (!in.given || !out.given) return in.given ? in : out;
    bool take_out = upper ? out.value <= in.value : out.value >= in.value;
    return take_out ? out : in;
}

static void ends_of(const json_t *schema, bound *lo, bound *hi)
{
    *lo = tighter(bound_of(json_object_get(schema, "minimum"), false, false),
                  bound_of(json_object_get(schema, "exclusiveMinimum"), false, true), false);
    *hi = tighter(bound_of(json_object_get(schema, "maximum"), true, false),
                  bound_of(json_object_get(schema, "exclusiveMaximum"), true, true), true);
}

static void write_integer(gr_builder *b, const json_t *schema, uint32_t from, uint32_t to)
{
    bound lo, hi;
    ends_of(schema, &lo, &hi);
    if ((lo.out && lo.whole == INT64_MAX) || (hi.out && hi.whole == INT64_MIN)) return;
    int64_t least = lo.given ? lo.whole + lo.out : 0, most = hi.given ? hi.whole - hi.out : 0;
    if (!lo.given) least = hi.given && most < -INTEGER_DEFAULT ? INT64_MIN : -INTEGER_DEFAULT;
    if (!hi.given) most = lo.given && least > INTEGER_DEFAULT ? INT64_MAX : INTEGER_DEFAULT;
    gr_integer(b, from, least, most, to);
}

static bool write_number(gr_schemas *c, const json_t *schema, const gr_path *path, uint32_t from, uint32_t to)
{
    bound lo, hi;
    ends_of(schema, &lo, &hi);
    bool wide = (lo.given && (!lo.exact || lo.whole < -INTEGER_DEFAULT || lo.whole > INTEGER_DEFAULT)) ||
                (hi.given && (!hi.exact || hi.whole < -INTEGER_DEFAULT || hi.whole > INTEGER_DEFAULT));
    if (wide) {
        static const char *const names[] = {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"};
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (json_object_get(schema, names[i]) && !gr_schema_ignore(c, path, names[i])) return false;
        lo.given = hi.given = false;
    }
    if (!lo.given && !hi.given) {
        gr_call(c->b, from, gr_any_number(c->b), to);
        return true;
    }
    gr_number_between(c->b, from, lo.given ? lo.whole : -INTEGER_DEFAULT, lo.given && lo.out,
                      hi.given ? hi.whole : INTEGER_DEFAULT, hi.given && hi.out, to);
    return true;
}

/* --- values -------------------------------------------------------------------------------------------------------*/

static bool has_type(const json_t *v, unsigned types)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return types & OBJECT;
    case JSON_ARRAY:
        return types & ARRAY;
    case JSON_STRING:
        return types & STRING;
    case JSON_INTEGER:
        return types & (NUMBER | INTEGER);
    case JSON_REAL:
        return types & NUMBER || (types & INTEGER && json_real_value(v) == floor(json_real_value(v)));
    case JSON_NULL:
        return types & NUL;
    default:
        return types & BOOLEAN;
    }
}

/* The shortest decimals that read back as the same value. NULL: no memory. */
static char *value_text(const json_t *v)
{
    for (size_t digits = 15; digits < 17; digits++) {
        char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
        json_t *back = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
        bool same = back && json_equal(back, v);
        json_decref(back);
        if (same) return text;
        free(text);
    }
    return json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
}

static bool write_values(gr_schemas *c, const json_t *schema, const gr_path *path, uint32_t from, uint32_t to)
{
    const json_t *only = json_object_get(schema, "const"), *list = json_object_get(schema, "enum");
    const char *name;
    json_t *v;
    unsigned types;
    uint32_t begin = gr_state_new(c->b);
    if (!types_of(c, schema, path, &types)) return false;
    if (!json_object_get(schema, "type")) types = EVERY;
    json_object_foreach ((json_t *)(uintptr_t)schema, name, v) {
        bool known = gr_is_annotation(name) || !find_keyword(name);
        known = known || strcmp(name, "const") == 0 || strcmp(name, "enum") == 0 || strcmp(name, "type") == 0;
        if (!known && !gr_schema_ignore(c, path, name)) return false;
    }
    size_t n = list ? json_array_size(list) : 1;
    if (n > CLO_GRAMMAR_ENUM_MAX)
        return gr_schema_fail(c, path, CLO_ERR_LIMIT, "an enum of %zu values, limit %d", n, CLO_GRAMMAR_ENUM_MAX);
    gr_eps(c->b, from, begin);
    for (size_t i = 0; i < n && !gr_failed(c->b); i++) {
        const json_t *one = list ? json_array_get(list, i) : only;
        if (!has_type(one, types) || (list && only && !json_equal(one, only))) continue;
        char *text = value_text(one);
        if (!text) return clo_fail(c->err, CLO_ERR_MEMORY, "a value of an enum");
        gr_choice(c->b, begin, clo_str_from(text), to);
        free(text);
    }
    return true;
}

/* --- choices ------------------------------------------------------------------------------------------------------*/

/* What stands beside the choice and every branch must fit as well, or NULL. */
static bool beside(gr_schemas *c, const json_t *schema, const char *choice, const json_t **out)
{
    const char *name;
    json_t *v, *own = gr_schema_keep(c, json_object());
    *out = NULL;
    if (!own) return false;
    json_object_foreach ((json_t *)(uintptr_t)schema, name, v) {
        const keyword *k = find_keyword(name);
        if (!k || k->kind == ANNOTATION || strcmp(name, choice) == 0) continue;
        if (json_object_set(own, name, v) != 0) return clo_fail(c->err, CLO_ERR_MEMORY, "a merged schema");
    }
    if (json_object_size(own) > 0) *out = own;
    return true;
}

static bool write_choice(gr_schemas *c, const json_t *schema, const char *choice, const gr_path *path, uint32_t from,
                         uint32_t to)
{
    const json_t *own, *branch;
    size_t i;
    if (!beside(c, schema, choice, &own)) return false;
    json_array_foreach (json_object_get(schema, choice), i, branch) {
        const json_t *s = own ? gr_schema_both(c, own, branch) : branch;
        if (!s || !call(c, from, s, gr_path_index(c, path, choice, i), to)) return false;
    }
    return true;
}

static bool write_types(gr_schemas *c, const json_t *schema, const gr_path *path, uint32_t from, uint32_t to)
{
    unsigned types;
    if (!types_of(c, schema, path, &types)) return false;
    if (types == EVERY && !json_object_get(schema, "type")) {
        gr_call(c->b, from, gr_any_value(c->b), to);
        return true;
    }
    if (types & OBJECT && !write_object(c, schema, path, from, to)) return false;
    if (types & ARRAY && !write_array(c, schema, path, from, to)) return false;
    if (types & STRING && !write_string(c, schema, path, from, to)) return false;
    if (types & NUMBER && !write_number(c, schema, path, from, to)) return false;
    if (types & INTEGER) write_integer(c->b, schema, from, to);
    if (types & BOOLEAN) gr_text(c->b, from, CLO_STR("true"), to);
    if (types & BOOLEAN) gr_text(c->b, from, CLO_STR("false"), to);
    if (types & NUL) gr_text(c->b, from, CLO_STR("null"), to);
    return true;
}

/* A reference and nothing beside it. */
static bool is_reference(const json_t *schema)
{
    const char *name;
    json_t *v;
    json_object_foreach ((json_t *)(uintptr_t)schema, name, v) {
        const keyword *k = find_keyword(name);
        if (k && k->kind == BUILT && strcmp(name, "$ref") != 0) return false;
    }
    return json_object_get(schema, "$ref") != NULL;
}

static bool write_schema(gr_schemas *c, const json_t *schema, const gr_path *path, uint32_t from, uint32_t to)
{
    if (!gr_schema_check(c, schema, path)) return false;
    if (json_is_boolean(schema)) {
        if (json_is_true(schema)) gr_call(c->b, from, gr_any_value(c->b), to);
        return true;
    }
    if (is_reference(schema)) {
        const json_t *ref = json_object_get(schema, "$ref");
        const gr_path *at = gr_path_key(c, path, "$ref");
        const json_t *target = gr_schema_target(c, (clo_str){json_string_value(ref), json_string_length(ref)}, &at);
        return target && call(c, from, target, at, to);
    }
    if (!(schema = gr_schema_flat(c, schema, path, 0))) return false;
    if (json_object_get(schema, "enum") || json_object_get(schema, "const"))
        return write_values(c, schema, path, from, to);
    if (json_object_get(schema, "anyOf")) return write_choice(c, schema, "anyOf", path, from, to);
    if (json_object_get(schema, "oneOf")) return write_choice(c, schema, "oneOf", path, from, to);
    return write_types(c, schema, path, from, to);
}

/* --- whole schemas ------------------------------------------------------------------------------------------------*/

/* Adds the values inside v to *n, until there are too many. */
static void count_values(const json_t *v, size_t *n)
{
    const char *key;
    json_t *x;
    size_t i;
    if (++*n > VALUES_MAX) return;
    json_array_foreach (v, i, x)
        count_values(x, n);
    json_object_foreach ((json_t *)(uintptr_t)v, key, x)
        count_values(x, n);
}

bool gr_schema_machine(uint32_t *machine, gr_schemas *c, const json_t *root, const char *where)
{
    size_t n = 0;
    gr_path *top = CLO_NEW(&c->b->arena, gr_path, 1);
    if (!top) return clo_arena_full(&c->b->arena, c->err);
    *top = (gr_path){.key = where, .absolute = true};
    count_values(root, &n);
    if (n > VALUES_MAX) return gr_schema_fail(c, top, CLO_ERR_LIMIT, "a schema of more than %d values", VALUES_MAX);
    c->root = root;
    if (!machine_of(c, machine, root, top)) return false;
    while (c->n_waiting > 0 && !gr_failed(c->b)) {
        struct gr_waiting w = c->waiting[--c->n_waiting];
        if (!write_schema(c, w.schema, w.path, gr_start(c->b, w.machine), gr_final(c->b, w.machine))) return false;
    }
    return true;
}

void gr_schemas_free(gr_schemas *c)
{
    json_decref(c->made);
    free(c->known);
    free(c->waiting);
    *c = (gr_schemas){0};
}

bool clo_grammar_compile(clo_grammar **out, const json_t *schema, clo_grammar_opts opts, clo_grammar_notes *notes,
                         clo_err *err)
{
    gr_builder b;
    clo_err why = {0};
    gr_schemas c = {.b = &b, .opts = opts, .notes = notes, .err = &why};
    uint32_t m;
    *out = NULL;
    gr_begin(&b);
    bool ok = gr_schema_machine(&m, &c, schema, "");
    gr_schemas_free(&c);
    if (ok) {
        gr_call(&b, gr_start(&b, 0), m, gr_final(&b, 0));
        ok = gr_finish(out, &b, &why);
    } else {
        gr_abandon(&b);
    }
    if (!ok && err) *err = why;
    return ok;
}
