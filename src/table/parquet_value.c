/* Values of Parquet columns as JSON, and the names of their types. Source: apache/parquet-format, LogicalTypes.md. */
#include <stdio.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "base/half.h"
#include "table/parquet_impl.h"

/* --- dates and times ----------------------------------------------------------------------------------------------*/

/* Days since 1970 as year, month, day (proleptic Gregorian). Source: H. Hinnant, chrono-compatible low-level date algorithms. */
static void add_date(clo_buf *out, int64_t days)
{
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153, month = mp < 10 ? mp + 3 : mp - 9, year = yoe + era * 400 + (month <= 2);
    clo_buf_addf(out, "%04lld-%02lld-%02lld", (long long)year, (long long)month, (long long)(doy - (153 * mp + 2) / 5 + 1));
}

static const int64_t powers[] = {[0] = 1, [3] = 1000, [6] = 1000000, [9] = 1000000000};

/* Parts of a second since midnight; without decimals where they are none. */
static void add_time(clo_buf *out, int64_t v, int unit)
{
    int64_t s = v / powers[unit], part = v % powers[unit];
    clo_buf_addf(out, "%02lld:%02lld:%02lld", (long long)(s / 3600), (long long)(s / 60 % 60), (long long)(s % 60));
    if (part) clo_buf_addf(out, ".%0*lld", unit, (long long)part);
}

static void add_stamp(clo_buf *out, int64_t v, int unit, bool utc)
{
    int64_t day = powers[unit] * 86400, days = v / day, rest = v % day;
    if (rest < 0) {
        rest += day;
        days--;
    }
    add_date(out, days);
    clo_buf_add_char(out, 'T');
    add_time(out, rest, unit);
    if (utc) clo_buf_add_char(out, 'Z');
}

/* Nanoseconds of a day and its Julian number. */
static void add_int96(clo_buf *out, const uint8_t *p)
{
    uint64_t nanos = clo_load_le64(p);
    int64_t days = (int64_t)clo_load_le32(p + 8) - 2440588;
    add_date(out, days);
    clo_buf_add_char(out, 'T');
    add_time(out, (int64_t)(nanos % (86400ull * 1000000000)), 9);
}

/* --- decimals -----------------------------------------------------------------------------------------------------*/

#define DECIMAL_BYTES_MAX 64

/* Big-endian two's complement as decimal digits, `scale` of them behind the point. */
static void add_decimal(clo_buf *out, clo_bytes b, int32_t scale)
{
    uint8_t n[DECIMAL_BYTES_MAX];
    char digits[DECIMAL_BYTES_MAX * 5 / 2 + 2];
    size_t n_digits = 0;
    bool negative = b.len > 0 && b.ptr[0] & 0x80, any = true;
    unsigned carry = negative;
    memcpy(n, b.ptr, b.len);
    for (size_t i = b.len; negative && i-- > 0;) {
        unsigned v = (uint8_t)~n[i] + carry;
        n[i] = (uint8_t)v;
        carry = v >> 8;
    }
    while (any) {
        unsigned rest = 0;
        any = false;
        for (size_t i = 0; i < b.len; i++) {
            unsigned v = rest << 8 | n[i];
            n[i] = (uint8_t)(v / 10);
            rest = v % 10;
            any = any || n[i];
        }
        digits[n_digits++] = (char)('0' + rest);
    }
    if (negative) clo_buf_add_char(out, '-');
    size_t point = scale > 0 && scale < 200 ? (size_t)scale : 0;
    for (size_t i = n_digits > point + 1 ? n_digits : point + 1; i-- > 0;) {
        clo_buf_add_char(out, i < n_digits ? digits[i] : '0');
        if (i == point && point > 0) clo_buf_add_char(out, '.');
    }
}

static void add_int_decimal(clo_buf *out, const pq_node *leaf, uint64_t u)
{
    uint8_t big[8];
    if (leaf->type == PQ_INT32) u = (uint64_t)(int64_t)(int32_t)u;
    for (int i = 0; i < 8; i++) big[i] = (uint8_t)(u >> (56 - 8 * i));
    add_decimal(out, (clo_bytes){big, 8}, leaf->scale);
}

/* --- JSON ---------------------------------------------------------------------------------------------------------*/

static json_t *integer(const pq_node *leaf, uint64_t u)
{
    char text[24];
    bool narrow = leaf->type == PQ_INT32;
    if (leaf->logical != PQ_UINT) return json_integer(narrow ? (int32_t)u : (json_int_t)u);
    if (narrow) return json_integer((uint32_t)u);
    if (u <= INT64_MAX) return json_integer((json_int_t)u);
    snprintf(text, sizeof text, "%llu", (unsigned long long)u); /* JSON's reader has no such numbers */
    return json_string(text);
}

static json_t *binary(clo_bytes b)
{
    return json_pack("{s:I}", "bytes", (json_int_t)b.len);
}

/* What is written out as text; false when the column's type and its meaning do not fit, and it is shown as it is stored. */
static bool as_text(clo_buf *out, const pq_node *leaf, const pq_value *v)
{
    bool int32 = leaf->type == PQ_INT32, int64 = leaf->type == PQ_INT64;
    int64_t i = int32 ? (int32_t)v->u : (int64_t)v->u;
    bool times = (leaf->unit == 3 || leaf->unit == 6 || leaf->unit == 9) && (int32 || int64);
    if (leaf->type == PQ_INT96) add_int96(out, v->b.ptr);
    else if (leaf->logical == PQ_DATE && int32) add_date(out, i);
    else if (leaf->logical == PQ_TIME && times && i >= 0) add_time(out, i, leaf->unit);
    else if (leaf->logical == PQ_TIMESTAMP && times) add_stamp(out, i, leaf->unit, leaf->utc);
    else if (leaf->logical == PQ_DECIMAL && (int32 || int64)) add_int_decimal(out, leaf, v->u);
    else if (leaf->logical == PQ_DECIMAL && v->b.ptr && v->b.len > 0 && v->b.len <= DECIMAL_BYTES_MAX) add_decimal(out, v->b, leaf->scale);
    else if (leaf->logical == PQ_UUID && leaf->type == PQ_FIXED && v->b.len == 16)
        for (size_t k = 0; k < 16; k++) clo_buf_addf(out, k == 4 || k == 6 || k == 8 || k == 10 ? "-%02x" : "%02x", v->b.ptr[k]);
    else return false;
    return true;
}

json_t *pq_json(const pq_node *leaf, const pq_value *v, clo_table_budget *b)
{
    clo_buf text = {.max = 4096};
    float f;
    double d;
    if (as_text(&text, leaf, v)) {
        json_t *out = json_stringn(clo_buf_str(&text).ptr, text.len);
        clo_buf_free(&text);
        return out;
    }
    switch (leaf->type) {
    case PQ_BOOL: return json_boolean(v->u != 0);
    case PQ_INT32:
    case PQ_INT64: return integer(leaf, v->u);
    case PQ_FLOAT: {
        uint32_t u = (uint32_t)v->u;
        memcpy(&f, &u, 4);
        return clo_table_number((double)f);
    }
    case PQ_DOUBLE: memcpy(&d, &v->u, 8); return clo_table_number(d);
    case PQ_FIXED:
        if (leaf->logical == PQ_FLOAT16 && v->b.len == 2) return clo_table_number((double)clo_f16_to_f32(clo_load_le16(v->b.ptr)));
        return binary(v->b);
    default: return leaf->logical == PQ_STRING ? clo_table_text(clo_str_of(v->b), b) : binary(v->b);
    }
}

/* --- types --------------------------------------------------------------------------------------------------------*/

const pq_node *pq_list_element(const pq_node *n, const pq_node **repeated)
{
    if (n->type != PQ_GROUP || (n->logical != PQ_LIST && n->logical != PQ_MAP) || n->n_children != 1 || n->repetition == PQ_REPEATED) return NULL;
    const pq_node *r = n->children[0];
    if (r->repetition != PQ_REPEATED) return NULL;
    *repeated = r;
    /* Two levels, as old writers had it: what repeats is the element. */
    if (r->type != PQ_GROUP || r->n_children != 1 || clo_str_eq(r->name, CLO_STR("array")) || clo_str_ends_with(r->name, CLO_STR("_tuple"))) return r;
    return r->children[0];
}

static const char *leaf_name(const pq_node *n)
{
    static const char *const plain[] = {"bool", "int32", "int64", "timestamp", "float32", "float64", "binary", "binary"};
    static const char *const ints[] = {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"};
    size_t at = n->bits == 8 ? 0 : n->bits == 16 ? 1 : n->bits == 32 ? 2 : 3;
    switch (n->logical) {
    case PQ_STRING: return "string";
    case PQ_DECIMAL: return "decimal";
    case PQ_DATE: return "date";
    case PQ_TIME: return "time";
    case PQ_TIMESTAMP: return "timestamp";
    case PQ_INT: return ints[at];
    case PQ_UINT: return ints[4 + at];
    case PQ_UUID: return "uuid";
    case PQ_FLOAT16: return "float16";
    case PQ_UNKNOWN: return "null";
    default: return plain[n->type];
    }
}

static void add_type(clo_buf *out, const pq_node *n, bool inside);

static void add_fields(clo_buf *out, const pq_node *n)
{
    clo_buf_add(out, CLO_STR("struct<"));
    for (size_t i = 0; i < n->n_children; i++) {
        if (i) clo_buf_add(out, CLO_STR(", "));
        clo_buf_add(out, n->children[i]->name);
        clo_buf_add(out, CLO_STR(": "));
        add_type(out, n->children[i], false);
    }
    clo_buf_add_char(out, '>');
}

/* inside: the list that n repeats for was named. */
static void add_type(clo_buf *out, const pq_node *n, bool inside)
{
    const pq_node *repeated, *element = pq_list_element(n, &repeated);
    bool list = element || (n->repetition == PQ_REPEATED && !inside);
    if (list) clo_buf_add(out, CLO_STR("list<"));
    if (element) add_type(out, element, element == repeated);
    else if (n->type == PQ_GROUP) add_fields(out, n);
    else clo_buf_add(out, clo_str_from(leaf_name(n)));
    if (list) clo_buf_add_char(out, '>');
}

void pq_type_name(clo_buf *out, const pq_node *n)
{
    add_type(out, n, false);
}
