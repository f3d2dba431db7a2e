/* Objects of a schema: named properties in order, those that may be left out, and keys that are not named. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "infer/grammar_impl.h"

/* --- properties ---------------------------------------------------------------------------------------------------*/

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
    json_array_foreach(required, i, v) if (strcmp(json_string_value(v), name) == 0) return true;
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
    json_object_foreach((json_t *)(uintptr_t)named, name, v)
    {
        bool must = is_required(required, name);
        if (!json_is_false(v) || must) out->at[out->n++] = (property){name, v, gr_path_key(c, up, name), must};
    }
    json_array_foreach(required, i, v)
    {
        name = json_string_value(v);
        bool known = json_object_get(named, name) != NULL;
        for (size_t k = 0; k < out->n && !known; k++)
            known = strcmp(out->at[k].name, name) == 0;
        if (known) continue;
        if (json_is_false(more))
            return gr_schema_fail(c, path, CLO_ERR_FORMAT, "'%.100s' is required and not allowed", name);
        out->at[out->n++] =
            (property){name, more ? more : json_true(), gr_path_key(c, path, "additionalProperties"), true};
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
    if (ok) ok = gr_schema_call(o->c, gr_after(b, next_key(o), clo_buf_str(&key)), q->schema, q->path, after);
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
    return gr_schema_call(o->c, gr_after(b, value, CLO_STR(": ")), p->more,
                          gr_path_key(o->c, path, "additionalProperties"), after);
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

bool gr_schema_object(gr_schemas *c, const json_t *schema, const gr_path *path, uint32_t from, uint32_t to)
{
    properties p;
    if (!list_properties(c, schema, path, &p)) return false;
    if (p.n == 0 && p.more && json_is_true(p.more)) {
        gr_call(c->b, from, gr_any_object(c->b), to);
        return true;
    }
    return write_properties(c, &p, path, from, to);
}
