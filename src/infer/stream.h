/* Text as it is generated: whole characters only, and nothing that may yet turn out to be a stop string.
 *
 * Bytes of tokens go in; valid UTF-8 comes out. An unfinished character at the end is held back until it is finished or
 * proven wrong (then it is U+FFFD); so is an end of the text that begins a stop string. What is handed out never has to
 * be taken back.
 *
 *   clo_stream s = { .stops = stops, .n_stops = n };
 *   clo_stream_add(&s, piece);  clo_str now = clo_stream_take(&s);  if (s.stopped) ...
 *   clo_stream_end(&s);  now = clo_stream_take(&s);
 *   clo_stream_free(&s);
 */
#ifndef CLO_INFER_STREAM_H
#define CLO_INFER_STREAM_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

typedef struct {
    const clo_str *stops; /* [n_stops] borrowed; empty ones never match */
    size_t n_stops;
    clo_buf text;         /* owned: all text so far, cut before a stop string */
    size_t n_taken;       /* bytes of text handed out */
    size_t n_safe;        /* bytes of text that may be handed out */
    char tail[4];         /* an unfinished character */
    size_t n_tail;
    bool stopped;         /* a stop string came; further bytes are ignored */
    size_t i_stop;        /* which one */
} clo_stream;

void clo_stream_add(clo_stream *s, clo_str bytes);
/* No more bytes will come: everything held back is safe now. */
void clo_stream_end(clo_stream *s);
/* What has become safe since the last call: a view that lives until the next add. */
clo_str clo_stream_take(clo_stream *s);
/* Empties it, keeps memory and stops. */
void clo_stream_reset(clo_stream *s);
void clo_stream_free(clo_stream *s);

#endif
