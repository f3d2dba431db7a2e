/* Thinking: the part of an answer between <think> and </think>, which clients get apart from the rest.
 *
 * Text goes in as it comes, cut anywhere; what is known to be thought or said comes out. An end that may yet turn out to be a
 * marker is held back. White space right after a marker belongs to neither. */
#ifndef CLO_SERVE_THINKING_H
#define CLO_SERVE_THINKING_H

#include "base/buf.h"
#include "base/slice.h"

typedef struct {
    enum { CLO_THINK_BEFORE, CLO_THINK_IN, CLO_THINK_AFTER } state;
    bool trim;         /* white space is dropped until something else comes */
    char held[64];     /* [n_held] bytes that may be part of a marker */
    size_t n_held;
} clo_thinking;

/* begun: the prompt has opened it already. */
clo_thinking clo_thinking_make(bool begun);
void clo_thinking_add(clo_thinking *t, clo_str text, clo_buf *thought, clo_buf *said);
/* No more text will come. */
void clo_thinking_end(clo_thinking *t, clo_buf *thought, clo_buf *said);

#endif
