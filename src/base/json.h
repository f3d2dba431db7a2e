/* JSON by Jansson, with the limits that bytes from outside need. Trees are Jansson's own (json_t); this header only
 * adds strict loading: size and depth limits, duplicate keys refused, errors with the byte offset.
 */
#ifndef CLO_BASE_JSON_H
#define CLO_BASE_JSON_H

#include <jansson.h>

#include "base/err.h"
#include "base/slice.h"

/* Parses one JSON value that fills `text` up to white space. On success *out is owned by the caller (json_decref). */
CLO_CHECK bool clo_json_parse(json_t **out, clo_str text, size_t max_bytes, clo_err *err);

/* A string of any bytes: what is no UTF-8 becomes U+FFFD. NULL when memory is gone. */
json_t *clo_json_text(clo_str s);

/* Member of an object as text / integer / number / bool, or the fallback when it is absent, null or of another type. */
clo_str clo_json_str(const json_t *obj, const char *key, clo_str fallback);
int64_t clo_json_int(const json_t *obj, const char *key, int64_t fallback);
double clo_json_num(const json_t *obj, const char *key, double fallback);
bool clo_json_bool(const json_t *obj, const char *key, bool fallback);

#endif
