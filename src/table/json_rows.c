/* Rows of JSON: one array of values, or values one after another (JSON Lines and the like). A value is found by its brackets
 * and quotes and parsed only when it lies in the window. Objects give columns, the keys in their order; what is no object
 * is the only column of its row. */
#include <stdlib.h>

#include "table/scan.h"

#define DEPTH_MAX 512

static bool is_space(int ch)
{
    return ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r';
}

static int skip_space(clo_scan *in)
{
    while (is_space(clo_scan_peek(in))) clo_scan_next(in);
    return clo_scan_peek(in);
}

/* Where the next value ends; its bytes go to `text` when that is not NULL. */
static bool pass_value(clo_scan *in, clo_buf *text, clo_err *err)
{
    uint64_t begin = clo_scan_off(in);
    int depth = 0, ch;
    bool quoted = false, escaped = false, any = false;
    while ((ch = clo_scan_peek(in)) != EOF) {
        if (!quoted && depth == 0 && any && (is_space(ch) || ch == ',' || ch == ']' || ch == '}' || ch == '[' || ch == '{')) break;
        clo_scan_next(in);
        if (text) clo_buf_add_char(text, (char)ch);
        if (clo_scan_off(in) - begin > CLO_TABLE_LINE_BYTES_MAX)
            return clo_fail(err, CLO_ERR_LIMIT, "a row of more than %zu bytes at %llu", CLO_TABLE_LINE_BYTES_MAX, (unsigned long long)begin);
        any = true;
        if (escaped) escaped = false;
        else if (quoted && ch == '\\') escaped = true;
        else if (ch == '"') quoted = !quoted;
        else if (!quoted && (ch == '{' || ch == '[')) depth++;
        else if (!quoted && (ch == '}' || ch == ']')) depth--;
        if (depth < 0) return clo_fail_at(err, begin, "a bracket closes that was not opened");
        if (!quoted && depth == 0 && (ch == '}' || ch == ']' || ch == '"')) break;
    }
    if (in->failed) return false;
    return (!quoted && depth == 0 && any) || clo_fail_at(err, begin, "a value ends early");
}

static bool spend(clo_table_budget *b, clo_err *err)
{
    if (b->cells == 0) return clo_fail(err, CLO_ERR_LIMIT, "more than %d values in these rows: ask for fewer", CLO_TABLE_CELLS_MAX);
    b->cells--;
    return true;
}

/* Long texts are cut, wherever they are. */
static bool cut_texts(json_t **v, clo_table_budget *b, int depth, clo_err *err)
{
    json_t *item;
    const char *key;
    size_t i;
    bool ok = spend(b, err) && (depth < DEPTH_MAX || clo_fail(err, CLO_ERR_LIMIT, "values nested more than %d deep", DEPTH_MAX));
    if (json_is_string(*v)) {
        json_t *text = clo_table_text((clo_str){json_string_value(*v), json_string_length(*v)}, b);
        json_decref(*v);
        *v = text;
    }
    json_array_foreach(*v, i, item)
    {
        if (!ok) break;
        json_incref(item);
        ok = cut_texts(&item, b, depth + 1, err);
        json_array_set_new(*v, i, item);
    }
    json_object_foreach(*v, key, item)
    {
        if (!ok) break;
        json_incref(item);
        ok = cut_texts(&item, b, depth + 1, err);
        json_object_set_new(*v, key, item);
    }
    return ok;
}

static bool add_value(json_t *values, clo_str text, uint64_t at, clo_table_budget *b, clo_err *err)
{
    json_error_t why;
    json_t *v = json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (!v) return clo_fail_at(err, at, "row %zu of the window is no JSON: %s", json_array_size(values), why.text);
    bool ok = cut_texts(&v, b, 0, err);
    return (json_array_append_new(values, v) == 0 || clo_fail(err, CLO_ERR_MEMORY, "rows")) && ok;
}

/* --- columns ------------------------------------------------------------------------------------------------------*/

static const char *type_of(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: return "struct";
    case JSON_ARRAY: return "list";
    case JSON_STRING: return "string";
    case JSON_INTEGER: return "int64";
    case JSON_REAL: return "float64";
    case JSON_TRUE:
    case JSON_FALSE: return "bool";
    case JSON_NULL: break;
    }
    return "null";
}

static const char *join(const char *type, const json_t *v)
{
    const char *now = type_of(v);
    if (strcmp(now, "null") == 0 || strcmp(type, now) == 0) return type;
    if (strcmp(type, "null") == 0) return now;
    bool numbers = (strcmp(type, "int64") == 0 || strcmp(type, "float64") == 0) && (strcmp(now, "int64") == 0 || strcmp(now, "float64") == 0);
    return numbers ? "float64" : "mixed";
}

static void make_columns(clo_table_page *out, const json_t *values, clo_table_budget *b)
{
    json_t *types = json_object(), *v, *cell, *row;
    const char *key, *type = "null";
    size_t i;
    bool objects = json_array_size(values) > 0;
    json_array_foreach(values, i, v) objects = objects && json_is_object(v);
    json_array_foreach(values, i, v)
    {
        if (!objects) type = join(type, v);
        json_object_foreach(v, key, cell)
        {
            const char *before = json_string_value(json_object_get(types, key));
            if (!objects) break;
            if (before || json_object_size(types) < CLO_TABLE_COLUMNS_MAX) json_object_set_new(types, key, json_string(join(before ? before : "null", cell)));
            else b->truncated = true;
        }
    }
    if (!objects && json_array_size(values) > 0) json_array_append_new(out->columns, json_pack("{s:s, s:s}", "name", "value", "type", type));
    json_object_foreach(types, key, cell) json_array_append_new(out->columns, json_pack("{s:s, s:O}", "name", key, "type", cell));
    json_array_foreach(values, i, v)
    {
        row = json_array();
        if (!objects) json_array_append(row, v);
        json_object_foreach(types, key, cell)
        {
            json_t *found = json_object_get(v, key);
            json_array_append_new(row, found ? json_incref(found) : json_null());
        }
        json_array_append_new(out->rows, row);
    }
    json_decref(types);
}

/* --- the whole ----------------------------------------------------------------------------------------------------*/

/* What stands between values, up to the next. *more is false at the end. */
static bool next_value(clo_scan *in, bool array, uint64_t i, bool *more, clo_err *err)
{
    int ch = skip_space(in);
    *more = ch != EOF;
    if (!array) return !in->failed;
    if (ch == ']') {
        clo_scan_next(in);
        *more = false;
        return skip_space(in) == EOF ? !in->failed : clo_fail_at(err, clo_scan_off(in), "something follows the array");
    }
    if (ch == EOF) return in->failed ? false : clo_fail_at(err, clo_scan_off(in), "the array ends early");
    if (i == 0) return true;
    if (ch != ',') return clo_fail_at(err, clo_scan_off(in), "a comma is expected between values");
    clo_scan_next(in);
    skip_space(in);
    return !in->failed;
}

static bool collect(json_t *values, clo_scan *in, int64_t *total, uint64_t offset, uint64_t limit, clo_table_budget *b, clo_err *err)
{
    clo_buf text = {.max = CLO_TABLE_LINE_BYTES_MAX + 1};
    bool ok = true, more = true, array = skip_space(in) == '[';
    uint64_t i = 0;
    if (array) clo_scan_next(in);
    for (; ok; i++) {
        ok = next_value(in, array, i, &more, err);
        if (!ok || !more || i == offset + limit) break;
        uint64_t at = clo_scan_off(in);
        text.len = 0;
        ok = pass_value(in, i >= offset ? &text : NULL, err) && (i < offset || add_value(values, clo_buf_str(&text), at, b, err));
    }
    if (ok && !more) *total = (int64_t)i;
    clo_buf_free(&text);
    return ok && !in->failed;
}

bool clo_json_rows_read(clo_table_page *out, const clo_table_source *s, uint64_t offset, uint64_t limit, clo_err *err)
{
    clo_table_budget b = {CLO_TABLE_CELLS_MAX, CLO_TABLE_SHOWN_BYTES_MAX, false};
    clo_scan *in = clo_scan_open(s, err);
    if (!in) return false;
    json_t *values = json_array();
    out->columns = json_array();
    out->rows = json_array();
    if (offset > INT64_MAX / 2) offset = INT64_MAX / 2;
    bool ok = collect(values, in, &out->total, offset, limit, &b, err);
    if (ok) make_columns(out, values, &b);
    out->truncated = b.truncated;
    json_decref(values);
    free(in);
    return ok;
}
