/* See yaml.h. A recursive walk over libyaml's events; what it has made is weighed as it grows. */
#include "hub/yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/utf8.h"

#define DEPTH_MAX 32
#define NODES_MAX 200000                    /* with what aliases stand for */
#define WEIGHT_MAX ((size_t)8 << 20)        /* bytes of all scalars, likewise */
#define ANCHORS_MAX 1000
#define CORE "tag:yaml.org,2002:"

typedef struct {
    char *name;     /* owned */
    json_t *value;  /* owned; NULL while it is being read */
    size_t n_nodes, weight;
} anchor;

typedef struct {
    yaml_parser_t p;
    yaml_event_t e; /* the event in hand */
    bool has_event;
    anchor *anchors; /* owned */
    size_t n_anchors;
    size_t n_nodes, weight; /* made so far */
    int depth;
    clo_err *err;
} reader;

/* --- faults -------------------------------------------------------------------------------------------------------*/

static bool fail_here(reader *r, const char *what)
{
    const yaml_mark_t *m = &r->e.start_mark;
    return clo_fail_at(r->err, m->index, "YAML: line %zu, column %zu: %s", m->line + 1, m->column + 1, what);
}

static bool fail_parser(reader *r)
{
    if (r->p.error == YAML_MEMORY_ERROR) return clo_fail(r->err, CLO_ERR_MEMORY, "YAML: no memory");
    if (r->p.error == YAML_READER_ERROR)
        return clo_fail_at(r->err, r->p.problem_offset, "YAML: byte %zu: %s", r->p.problem_offset,
                           r->p.problem ? r->p.problem : "not UTF-8");
    const yaml_mark_t *m = &r->p.problem_mark;
    return clo_fail_at(r->err, m->index, "YAML: line %zu, column %zu: %s", m->line + 1, m->column + 1,
                       r->p.problem ? r->p.problem : "not well formed");
}

static bool next(reader *r)
{
    if (r->has_event) yaml_event_delete(&r->e);
    r->has_event = yaml_parser_parse(&r->p, &r->e) != 0;
    return r->has_event || fail_parser(r);
}

/* Counts nodes and bytes before they are made. */
static bool weigh(reader *r, size_t n_nodes, size_t weight)
{
    if (n_nodes > NODES_MAX - r->n_nodes || weight > WEIGHT_MAX - r->weight)
        return clo_fail(r->err, CLO_ERR_LIMIT, "YAML: line %zu: more than %d nodes or %zu bytes, aliases resolved",
                        r->e.start_mark.line + 1, NODES_MAX, WEIGHT_MAX);
    r->n_nodes += n_nodes;
    r->weight += weight;
    return true;
}

/* --- scalars ------------------------------------------------------------------------------------------------------*/

static bool is_one_of(clo_str s, const char *const *words)
{
    for (; *words; words++)
        if (clo_str_eq(s, clo_str_from(*words))) return true;
    return false;
}

static size_t count_digits(clo_str s, size_t at)
{
    size_t n = 0;
    while (at + n < s.len && s.ptr[at + n] >= '0' && s.ptr[at + n] <= '9') n++;
    return n;
}

/* [-+]?[0-9]+ | 0o[0-7]+ | 0x[0-9a-fA-F]+, within 64 bits. */
static bool parse_int(int64_t *out, clo_str s)
{
    char text[32], *end;
    size_t sign = s.len > 0 && (s.ptr[0] == '-' || s.ptr[0] == '+');
    bool octal = clo_str_starts_with(s, CLO_STR("0o")), hex = clo_str_starts_with(s, CLO_STR("0x"));
    size_t from = octal || hex ? 2 : 0;
    if (s.len <= from || s.len - from >= sizeof text) return false;
    if (!octal && !hex && (count_digits(s, sign) == 0 || sign + count_digits(s, sign) != s.len)) return false;
    memcpy(text, s.ptr + from, s.len - from);
    text[s.len - from] = 0;
    if ((octal || hex) && strspn(text, octal ? "01234567" : "0123456789abcdefABCDEF") != s.len - from) return false;
    errno = 0;
    long long v = strtoll(text, &end, octal ? 8 : hex ? 16 : 10);
    *out = v;
    return errno == 0 && *end == 0;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?, finite. */
static bool parse_float(double *out, clo_str s)
{
    char text[64], *end;
    size_t at = s.len > 0 && (s.ptr[0] == '-' || s.ptr[0] == '+');
    size_t whole = count_digits(s, at), part = 0;
    if (s.len >= sizeof text) return false;
    at += whole;
    if (at < s.len && s.ptr[at] == '.') {
        part = count_digits(s, at + 1);
        at += 1 + part;
    }
    if (whole + part == 0) return false;
    if (at < s.len && (s.ptr[at] == 'e' || s.ptr[at] == 'E')) {
        at++;
        if (at < s.len && (s.ptr[at] == '-' || s.ptr[at] == '+')) at++;
        size_t n = count_digits(s, at);
        if (n == 0) return false;
        at += n;
    }
    if (at != s.len) return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = 0;
    *out = strtod(text, &end);
    return *end == 0 && *out - *out == 0;
}

static json_t *plain_value(clo_str s)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL}, *const falses[] = {"false", "False", "FALSE", NULL};
    int64_t i;
    double f;
    if (is_one_of(s, nulls)) return json_null();
    if (is_one_of(s, trues)) return json_true();
    if (is_one_of(s, falses)) return json_false();
    if (parse_int(&i, s)) return json_integer((json_int_t)i);
    if (parse_float(&f, s)) return json_real(f);
    return json_stringn(s.ptr, s.len);
}

/* Whether a tag is one of the core schema's for this kind of node; NULL is none. */
static bool tag_ok(const yaml_char_t *tag, const char *const *kinds)
{
    const char *t = (const char *)tag;
    if (!t || strcmp(t, "!") == 0) return true;
    return strncmp(t, CORE, strlen(CORE)) == 0 && is_one_of(clo_str_from(t + strlen(CORE)), kinds);
}

static bool read_scalar(json_t **out, reader *r)
{
    static const char *const kinds[] = {"str", "null", "bool", "int", "float", NULL};
    const char *tag = (const char *)r->e.data.scalar.tag;
    clo_str s = {(const char *)r->e.data.scalar.value, r->e.data.scalar.length};
    if (!tag_ok(r->e.data.scalar.tag, kinds)) return fail_here(r, "a tag beyond the core schema");
    if (!weigh(r, 1, s.len)) return false;
    bool plain = r->e.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    bool resolve = tag ? strcmp(tag, "!") != 0 && strcmp(tag, CORE "str") != 0 : plain;
    *out = resolve ? plain_value(s) : json_stringn(s.ptr, s.len);
    return *out || fail_here(r, "a text that is not UTF-8");
}

/* --- anchors ------------------------------------------------------------------------------------------------------*/

static anchor *find_anchor(reader *r, const yaml_char_t *name)
{
    for (size_t i = r->n_anchors; i-- > 0;) /* the last of a name counts */
        if (strcmp(r->anchors[i].name, (const char *)name) == 0) return &r->anchors[i];
    return NULL;
}

static bool open_anchor(size_t *index, reader *r, const yaml_char_t *name)
{
    *index = SIZE_MAX;
    if (!name) return true;
    if (r->n_anchors == ANCHORS_MAX) return clo_fail(r->err, CLO_ERR_LIMIT, "YAML: more than %d anchors", ANCHORS_MAX);
    char *copy = strdup((const char *)name);
    if (!copy) return clo_fail(r->err, CLO_ERR_MEMORY, "YAML: no memory");
    *index = r->n_anchors++;
    r->anchors[*index] = (anchor){.name = copy, .n_nodes = r->n_nodes, .weight = r->weight};
    return true;
}

static void close_anchor(reader *r, size_t index, json_t *value)
{
    if (index == SIZE_MAX) return;
    anchor *a = &r->anchors[index];
    a->n_nodes = r->n_nodes - a->n_nodes;
    a->weight = r->weight - a->weight;
    a->value = json_incref(value);
}

static bool read_alias(json_t **out, reader *r)
{
    const anchor *a = find_anchor(r, r->e.data.alias.anchor);
    if (!a || !a->value) return fail_here(r, a ? "an alias within its own anchor" : "an alias to no anchor");
    if (!weigh(r, a->n_nodes, a->weight)) return false;
    *out = json_incref(a->value);
    return true;
}

/* --- nodes --------------------------------------------------------------------------------------------------------*/

static bool read_node(json_t **out, reader *r);

static bool read_sequence(json_t **out, reader *r)
{
    static const char *const kinds[] = {"seq", NULL};
    json_t *list = NULL, *item;
    if (!tag_ok(r->e.data.sequence_start.tag, kinds)) return fail_here(r, "a tag beyond the core schema");
    if (!weigh(r, 1, 0)) return false;
    bool ok = (list = json_array()) || clo_fail(r->err, CLO_ERR_MEMORY, "YAML: no memory");
    while (ok && (ok = next(r)) && r->e.type != YAML_SEQUENCE_END_EVENT)
        ok = read_node(&item, r) && (json_array_append_new(list, item) == 0 || clo_fail(r->err, CLO_ERR_MEMORY, "YAML: no memory"));
    if (ok) *out = list;
    else json_decref(list);
    return ok;
}

/* The members of a mapping, or of several in a list, where the mapping itself has none of that name. */
static bool merge(json_t *map, const json_t *from, reader *r)
{
    size_t i;
    json_t *one;
    if (json_is_object(from)) return json_object_update_missing(map, (json_t *)from) == 0 || fail_here(r, "'<<' cannot be merged");
    if (!json_is_array(from)) return fail_here(r, "'<<' needs a mapping");
    json_array_foreach (from, i, one)
        if (!json_is_object(one) || json_object_update_missing(map, one) != 0) return fail_here(r, "'<<' needs mappings");
    return true;
}

/* A key and its value; the value of "<<" goes to *merged. */
static bool read_member(json_t *map, json_t **merged, reader *r)
{
    json_t *value = NULL;
    if (r->e.type != YAML_SCALAR_EVENT) return fail_here(r, "a key that is no scalar");
    if (r->e.data.scalar.anchor) return fail_here(r, "an anchor at a key");
    clo_str s = {(const char *)r->e.data.scalar.value, r->e.data.scalar.length};
    bool is_merge = clo_str_eq(s, CLO_STR("<<")) && r->e.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (!weigh(r, 1, s.len)) return false;
    if (memchr(s.ptr, 0, s.len) || !clo_utf8_valid(s)) return fail_here(r, "a key with a NUL, or that is not UTF-8");
    if (is_merge ? *merged != NULL : json_object_getn(map, s.ptr, s.len) != NULL) return fail_here(r, "a key twice in a mapping");
    char *key = strndup(s.ptr, s.len);
    bool ok = (key || clo_fail(r->err, CLO_ERR_MEMORY, "YAML: no memory")) && next(r) && read_node(&value, r);
    if (ok && is_merge) *merged = value;
    else if (ok) ok = json_object_set_new(map, key, value) == 0 || clo_fail(r->err, CLO_ERR_MEMORY, "YAML: no memory");
    free(key);
    return ok;
}

static bool read_mapping(json_t **out, reader *r)
{
    static const char *const kinds[] = {"map", NULL};
    json_t *map = NULL, *merged = NULL;
    if (!tag_ok(r->e.data.mapping_start.tag, kinds)) return fail_here(r, "a tag beyond the core schema");
    if (!weigh(r, 1, 0)) return false;
    bool ok = (map = json_object()) || clo_fail(r->err, CLO_ERR_MEMORY, "YAML: no memory");
    while (ok && (ok = next(r)) && r->e.type != YAML_MAPPING_END_EVENT) ok = read_member(map, &merged, r);
    if (ok && merged) ok = merge(map, merged, r);
    json_decref(merged);
    if (ok) *out = map;
    else json_decref(map);
    return ok;
}

static const yaml_char_t *anchor_of(const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT: return e->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT: return e->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT: return e->data.mapping_start.anchor;
    default: return NULL;
    }
}

/* The node that begins with the event in hand. */
static bool read_node(json_t **out, reader *r)
{
    size_t at;
    bool ok;
    if (r->depth == DEPTH_MAX) return clo_fail(r->err, CLO_ERR_LIMIT, "YAML: line %zu: deeper than %d", r->e.start_mark.line + 1, DEPTH_MAX);
    if (!open_anchor(&at, r, anchor_of(&r->e))) return false;
    r->depth++;
    switch (r->e.type) {
    case YAML_SCALAR_EVENT: ok = read_scalar(out, r); break;
    case YAML_SEQUENCE_START_EVENT: ok = read_sequence(out, r); break;
    case YAML_MAPPING_START_EVENT: ok = read_mapping(out, r); break;
    case YAML_ALIAS_EVENT: ok = read_alias(out, r); break;
    default: ok = fail_here(r, "a value is expected"); break;
    }
    r->depth--;
    if (ok) close_anchor(r, at, *out);
    return ok;
}

static bool read_document(json_t **out, reader *r)
{
    if (!next(r) || !next(r)) return false; /* the stream's start, a document's or the stream's end */
    if (r->e.type == YAML_STREAM_END_EVENT) return true;
    if (!next(r) || !read_node(out, r) || !next(r) || !next(r)) return false;
    return r->e.type == YAML_STREAM_END_EVENT || fail_here(r, "a second document");
}

bool clo_yaml_parse(json_t **out, clo_str text, clo_err *err)
{
    reader r = {.err = err};
    *out = NULL;
    if (text.len > CLO_YAML_BYTES_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "YAML of %zu bytes, limit %zu", text.len, CLO_YAML_BYTES_MAX);
    r.anchors = calloc(ANCHORS_MAX, sizeof *r.anchors);
    if (!r.anchors) return clo_fail(err, CLO_ERR_MEMORY, "YAML: no memory");
    if (!yaml_parser_initialize(&r.p)) {
        free(r.anchors);
        return clo_fail(err, CLO_ERR_MEMORY, "YAML: no memory");
    }
    yaml_parser_set_encoding(&r.p, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.p, (const unsigned char *)(text.ptr ? text.ptr : ""), text.len);
    bool ok = read_document(out, &r);
    if (!ok) {
        json_decref(*out);
        *out = NULL;
    }
    if (r.has_event) yaml_event_delete(&r.e);
    for (size_t i = 0; i < r.n_anchors; i++) {
        free(r.anchors[i].name);
        json_decref(r.anchors[i].value);
    }
    free(r.anchors);
    yaml_parser_delete(&r.p);
    return ok;
}
