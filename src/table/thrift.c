/* See thrift.h. */
#include "table/thrift.h"

#define DEPTH_MAX 32

static uint64_t fault(clo_thrift *t)
{
    t->bad = true;
    t->at = t->end;
    return 0;
}

static uint8_t byte(clo_thrift *t)
{
    return t->at < t->end ? *t->at++ : (uint8_t)fault(t);
}

uint64_t clo_thrift_varint(clo_thrift *t)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b = byte(t);
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) return t->bad ? 0 : v;
    }
    return fault(t);
}

int64_t clo_thrift_int(clo_thrift *t)
{
    uint64_t v = clo_thrift_varint(t);
    return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}

bool clo_thrift_next(clo_thrift *t, clo_thrift_field *f)
{
    uint8_t head = byte(t);
    if (t->bad || (head & 15) == CLO_THRIFT_STOP) return false;
    f->type = (clo_thrift_type)(head & 15);
    int64_t id = head >> 4 ? f->id + (head >> 4) : clo_thrift_int(t);
    if (f->type > CLO_THRIFT_STRUCT || id < 0 || id > 32767) fault(t);
    f->id = (int)(t->bad ? 0 : id);
    return !t->bad;
}

clo_str clo_thrift_text(clo_thrift *t)
{
    uint64_t n = clo_thrift_varint(t);
    if (n > (uint64_t)(t->end - t->at)) fault(t);
    if (t->bad) return (clo_str){"", 0};
    clo_str s = {(const char *)t->at, (size_t)n};
    t->at += n;
    return s;
}

static size_t list_head(clo_thrift *t, clo_thrift_type *type)
{
    uint8_t head = byte(t);
    uint64_t n = head >> 4 == 15 ? clo_thrift_varint(t) : head >> 4;
    *type = (clo_thrift_type)(head & 15);
    if (n > (uint64_t)(t->end - t->at)) fault(t);
    return t->bad ? 0 : (size_t)n;
}

size_t clo_thrift_list(clo_thrift *t, clo_thrift_type type)
{
    clo_thrift_type found;
    size_t n = list_head(t, &found);
    if (n > 0 && found != type) return (size_t)fault(t);
    return n;
}

static void skip_map(clo_thrift *t, int depth)
{
    uint64_t n = clo_thrift_varint(t);
    if (n == 0 || t->bad) return;
    uint8_t types = byte(t);
    if (n > (uint64_t)(t->end - t->at)) fault(t);
    for (uint64_t i = 0; i < n && !t->bad; i++) {
        clo_thrift_skip(t, (clo_thrift_type)(types >> 4), depth + 1);
        clo_thrift_skip(t, (clo_thrift_type)(types & 15), depth + 1);
    }
}

/* An element of a list is a byte where a field's bool is in its head. */
static void skip_list(clo_thrift *t, int depth)
{
    clo_thrift_type type;
    size_t n = list_head(t, &type);
    for (size_t i = 0; i < n && !t->bad; i++)
        if (type == CLO_THRIFT_TRUE || type == CLO_THRIFT_FALSE) byte(t);
        else clo_thrift_skip(t, type, depth + 1);
}

void clo_thrift_skip(clo_thrift *t, clo_thrift_type type, int depth)
{
    clo_thrift_field f = {0};
    if (depth > DEPTH_MAX) fault(t);
    switch (type) {
    case CLO_THRIFT_TRUE:
    case CLO_THRIFT_FALSE: return;
    case CLO_THRIFT_BYTE: byte(t); return;
    case CLO_THRIFT_I16:
    case CLO_THRIFT_I32:
    case CLO_THRIFT_I64: clo_thrift_varint(t); return;
    case CLO_THRIFT_DOUBLE:
        if (t->end - t->at < 8) fault(t);
        else t->at += 8;
        return;
    case CLO_THRIFT_BINARY: clo_thrift_text(t); return;
    case CLO_THRIFT_LIST:
    case CLO_THRIFT_SET: skip_list(t, depth); return;
    case CLO_THRIFT_MAP: skip_map(t, depth); return;
    case CLO_THRIFT_STRUCT:
        while (clo_thrift_next(t, &f)) clo_thrift_skip(t, f.type, depth + 1);
        return;
    case CLO_THRIFT_STOP: break;
    }
    fault(t);
}
