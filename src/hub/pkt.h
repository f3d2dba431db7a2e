/* pkt-lines: git's framing. Four hex digits of length, themselves counted, then bytes; 0000 is a flush, 0001 a
 * delimiter, 0002 the end of a response. Source: git's protocol-common and protocol-v2.
 *
 *   clo_pkt p;
 *   while (clo_pkt_read(&p, &body, &err) == CLO_PKT_DONE) ...
 *
 *   clo_pkt_out o = {.fn = send, .ctx = connection};
 *   clo_pkt_line(&o, "ACK %s\n", hex);
 *   clo_pkt_flush(&o);
 *   if (!clo_pkt_ok(&o, &err)) ... */
#ifndef CLO_HUB_PKT_H
#define CLO_HUB_PKT_H

#include "base/err.h"
#include "base/slice.h"

#define CLO_PKT_MAX 65520 /* bytes of a line, the length among them */

typedef enum {
    CLO_PKT_DATA,
    CLO_PKT_FLUSH,
    CLO_PKT_DELIM,
    CLO_PKT_END,
} clo_pkt_kind;

typedef struct {
    clo_pkt_kind kind;
    clo_str text; /* DATA: a view into the input, without a newline at its end */
    clo_str raw;  /* the same with it, for lines that are no text */
} clo_pkt;

typedef enum {
    CLO_PKT_DONE, /* a line was read, *in stands behind it */
    CLO_PKT_MORE, /* the input ends within a line, or is empty */
    CLO_PKT_BAD,
} clo_pkt_result;

clo_pkt_result clo_pkt_read(clo_pkt *out, clo_bytes *in, clo_err *err);
/* Whether a list of capabilities, blanks between them, has this one. */
bool clo_pkt_has_word(clo_str list, const char *word);

/* Takes bytes of an answer as they come; false ends it with its error. */
typedef bool clo_out_fn(void *ctx, clo_bytes bytes, clo_err *err);

/* A writer that remembers its first failure. */
typedef struct {
    clo_out_fn *fn;
    void *ctx;
    bool failed;
    clo_err err;
} clo_pkt_out;

void clo_pkt_line(clo_pkt_out *o, const char *fmt, ...) CLO_PRINTF(2, 3); /* at most 4,000 bytes */
void clo_pkt_flush(clo_pkt_out *o);
void clo_pkt_delim(clo_pkt_out *o);
/* Bytes in a side band (1 data, 2 progress, 3 fatal), cut into lines; band 0: as they are. */
void clo_pkt_band(clo_pkt_out *o, int band, clo_bytes bytes);
CLO_CHECK bool clo_pkt_ok(const clo_pkt_out *o, clo_err *err);

#endif
