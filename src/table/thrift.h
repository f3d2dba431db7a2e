/* Reading Thrift's compact protocol: numbers as varints, fields by the difference of their ids. Source: Apache Thrift,
 * doc/specs/thrift-compact-protocol.md.
 *
 *   clo_thrift t = {.at = bytes, .end = bytes + n};
 *   clo_thrift_field f = {0};
 *   while (clo_thrift_next(&t, &f))
 *       if (f.id == 1 && f.type == CLO_THRIFT_I32) version = clo_thrift_int(&t);
 *       else clo_thrift_skip(&t, f.type, 0);
 *   if (t.bad) ...
 *
 * After the first fault every read gives zero and every struct ends. */
#ifndef CLO_TABLE_THRIFT_H
#define CLO_TABLE_THRIFT_H

#include "base/slice.h"

typedef enum {
    CLO_THRIFT_STOP, CLO_THRIFT_TRUE, CLO_THRIFT_FALSE, CLO_THRIFT_BYTE, CLO_THRIFT_I16, CLO_THRIFT_I32, CLO_THRIFT_I64,
    CLO_THRIFT_DOUBLE, CLO_THRIFT_BINARY, CLO_THRIFT_LIST, CLO_THRIFT_SET, CLO_THRIFT_MAP, CLO_THRIFT_STRUCT,
} clo_thrift_type;

typedef struct {
    const uint8_t *at, *end;
    bool bad;
} clo_thrift;

typedef struct {
    int id;
    clo_thrift_type type;
} clo_thrift_field;

bool clo_thrift_next(clo_thrift *t, clo_thrift_field *f);
uint64_t clo_thrift_varint(clo_thrift *t);
int64_t clo_thrift_int(clo_thrift *t); /* I16, I32, I64 */
clo_str clo_thrift_text(clo_thrift *t);
/* Elements of a list of that type; 0 and bad when it is none, or has more elements than bytes are left. */
size_t clo_thrift_list(clo_thrift *t, clo_thrift_type type);
void clo_thrift_skip(clo_thrift *t, clo_thrift_type type, int depth);

#endif
