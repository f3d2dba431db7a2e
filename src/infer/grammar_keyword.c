/* The keywords of JSON Schema: which are built, what their values must be, and where in a schema a fault lies. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "infer/grammar_impl.h"

#define COUNT_MAX 1000000000 /* of minLength, maxItems, ... */

/* --- what a schema may say ----------------------------------------------------------------------------------------*/

typedef struct {
    const char *name;
    gr_keyword_kind kind;
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
    json_array_foreach(v, i, x) if (!is_schema(x)) return false;
    return json_array_size(v) > 0;
}

static bool is_named_schemas(const json_t *v)
{
    const char *key;
    json_t *x;
    json_object_foreach((json_t *)(uintptr_t)v, key, x) if (!is_schema(x)) return false;
    return json_is_object(v);
}

static bool is_strings(const json_t *v)
{
    size_t i;
    json_t *x;
    json_array_foreach(v, i, x) if (!json_is_string(x)) return false;
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
    {"title", GR_KEYWORD_ANNOTATION, is_any, ""},
    {"description", GR_KEYWORD_ANNOTATION, is_any, ""},
    {"default", GR_KEYWORD_ANNOTATION, is_any, ""},
    {"examples", GR_KEYWORD_ANNOTATION, is_any, ""},
    {"deprecated", GR_KEYWORD_ANNOTATION, is_any, ""},
    {"readOnly", GR_KEYWORD_ANNOTATION, is_any, ""},
    {"writeOnly", GR_KEYWORD_ANNOTATION, is_any, ""},
    {"$schema", GR_KEYWORD_ANNOTATION, is_any, ""},
    {"$id", GR_KEYWORD_ANNOTATION, is_any, ""},
    {"$comment", GR_KEYWORD_ANNOTATION, is_any, ""},
    {"$defs", GR_KEYWORD_ANNOTATION, is_any, ""},
    {"definitions", GR_KEYWORD_ANNOTATION, is_any, ""},
    {"type", GR_KEYWORD_BUILT, is_type, "a name or an array of names"},
    {"properties", GR_KEYWORD_BUILT, is_named_schemas, "an object of schemas"},
    {"required", GR_KEYWORD_BUILT, is_strings, "an array of names"},
    {"additionalProperties", GR_KEYWORD_BUILT, is_schema, "a schema"},
    {"items", GR_KEYWORD_BUILT, is_schema, "a schema"},
    {"prefixItems", GR_KEYWORD_BUILT, is_schemas, "an array of schemas"},
    {"minItems", GR_KEYWORD_BUILT, is_count, "a count"},
    {"maxItems", GR_KEYWORD_BUILT, is_count, "a count"},
    {"enum", GR_KEYWORD_BUILT, is_list, "an array"},
    {"const", GR_KEYWORD_BUILT, is_any, ""},
    {"anyOf", GR_KEYWORD_BUILT, is_schemas, "an array of schemas"},
    {"oneOf", GR_KEYWORD_BUILT, is_schemas, "an array of schemas"},
    {"allOf", GR_KEYWORD_BUILT, is_schemas, "an array of schemas"},
    {"$ref", GR_KEYWORD_BUILT, is_string, "a text"},
    {"minLength", GR_KEYWORD_BUILT, is_count, "a count"},
    {"maxLength", GR_KEYWORD_BUILT, is_count, "a count"},
    {"pattern", GR_KEYWORD_BUILT, is_string, "a text"},
    {"format", GR_KEYWORD_BUILT, is_string, "a text"},
    {"minimum", GR_KEYWORD_BUILT, is_number, "a number"},
    {"maximum", GR_KEYWORD_BUILT, is_number, "a number"},
    {"exclusiveMinimum", GR_KEYWORD_BUILT, is_number, "a number"},
    {"exclusiveMaximum", GR_KEYWORD_BUILT, is_number, "a number"},
};

static const keyword *find_keyword(const char *name)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (strcmp(keywords[i].name, name) == 0) return &keywords[i];
    return NULL;
}

gr_keyword_kind gr_keyword_kind_of(const char *name)
{
    const keyword *k = find_keyword(name);
    return k ? k->kind : GR_KEYWORD_UNKNOWN;
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

bool gr_schema_told(gr_schemas *c, const gr_path *path, const char *last)
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
    return gr_schema_told(c, path, NULL);
}

bool gr_schema_ignore(gr_schemas *c, const gr_path *path, const char *name)
{
    if (c->opts.strict) {
        clo_fail(c->err, CLO_ERR_UNSUPPORTED, "the keyword is not supported here");
        return gr_schema_told(c, path, name);
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
    if (!json_is_object(schema)) return gr_schema_fail(c, path, CLO_ERR_FORMAT, "a schema is an object, true or false");
    gr_known *known = gr_schema_known(c, schema);
    if (!known) return false;
    if (known->checked) return true;
    known->checked = true;
    json_object_foreach((json_t *)(uintptr_t)schema, name, value)
    {
        const keyword *k = find_keyword(name);
        if (!k) {
            if (!gr_schema_ignore(c, path, name)) return false;
        } else if (!k->fits(value)) {
            clo_fail(c->err, CLO_ERR_FORMAT, "expected %s", k->expected);
            return gr_schema_told(c, path, name);
        }
    }
    return true;
}
