/* JSON Schema to a grammar: the subset that docs/structured-output.md names. Every schema becomes a machine; machines
 * are named before they are filled, so a schema may refer to itself and the C stack stays flat. Keywords and faults are in
 * grammar_keyword.c, objects in grammar_object.c, $ref and allOf in grammar_merge.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "infer/grammar_impl.h"

#define VALUES_MAX 200000            /* of one schema, as JSON */
#define INTEGER_DEFAULT 999999999999999 /* integers without a bound: what a double holds exactly */

/* --- machines -----------------------------------------------------------------------------------------------------*/

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

bool gr_schema_call(gr_schemas *c, uint32_t from, const json_t *schema, const gr_path *path, uint32_t to)
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
    return gr_schema_call(c, item, items, path, gr_final(c->b, *machine));
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
        if (!gr_schema_call(c, at, json_array_get(prefix, i), gr_path_index(c, path, "prefixItems", i), next)) return false;
        at = next;
    }
    if (i >= min) gr_eps(b, at, close);
    if (i == max || json_is_false(items)) return true;
    const gr_path *item_path = gr_path_key(c, path, "items");
    if (i == 0) {
        uint32_t next = gr_state_new(b);
        if (!gr_schema_call(c, at, items, item_path, next)) return false;
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
        return gr_schema_told(c, path, key);
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
        bool known = gr_keyword_kind_of(name) != GR_KEYWORD_BUILT;
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
        if (gr_keyword_kind_of(name) != GR_KEYWORD_BUILT || strcmp(name, choice) == 0) continue;
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
        if (!s || !gr_schema_call(c, from, s, gr_path_index(c, path, choice, i), to)) return false;
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
    if (types & OBJECT && !gr_schema_object(c, schema, path, from, to)) return false;
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
        if (gr_keyword_kind_of(name) == GR_KEYWORD_BUILT && strcmp(name, "$ref") != 0) return false;
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
        return target && gr_schema_call(c, from, target, at, to);
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
