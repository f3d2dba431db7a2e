/* JSON written piece by piece into a buffer, for what is sent often; trees are for the rest (base/json.h). */
#ifndef CLO_SERVE_JSON_OUT_H
#define CLO_SERVE_JSON_OUT_H

#include <jansson.h>

#include "base/buf.h"
#include "serve/http.h"

/* "text" with its quotes. Bytes that are not UTF-8 become U+FFFD. */
void clo_json_add_str(clo_buf *out, clo_str text);
/* `"key":"text"`; the key is written as it is. */
void clo_json_add_pair(clo_buf *out, const char *key, clo_str text);
/* The shortest decimal that reads back as the same double; finite. */
void clo_json_add_num(clo_buf *out, double v);
/* A natural logarithm of a probability; minus infinity, which JSON cannot say, is -9999.0. */
void clo_json_add_logprob(clo_buf *out, double v);
void clo_json_add_int(clo_buf *out, int64_t v);
/* A tree on one line; drops the reference. NULL makes the buffer fail. */
void clo_json_add_tree(clo_buf *out, json_t *stolen);

#define CLO_TYPE_JSON "application/json"
#define CLO_TYPE_TEXT "text/plain; charset=utf-8"
#define CLO_TYPE_EVENTS "text/event-stream; charset=utf-8"
#define CLO_TYPE_LINES "application/x-ndjson"
/* Replies with a tree; drops the reference. */
void clo_reply_json(clo_request *r, unsigned status, json_t *stolen);

/* 2026-11-23T01:00:02.000000+00:00: what Python's fromisoformat reads, before 3.11 too. */
#define CLO_TIME_BYTES 40
const char *clo_json_time(char out[CLO_TIME_BYTES], int64_t unix_us);
int64_t clo_unix_us(void);

#endif
