/* See thinking.h. */
#include "serve/thinking.h"

#include <string.h>

#include "base/check.h"

static const char OPEN[] = "<think>", CLOSE[] = "</think>";

clo_thinking clo_thinking_make(bool begun)
{
    return (clo_thinking){.state = begun ? CLO_THINK_IN : CLO_THINK_BEFORE, .trim = begun};
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static void give(clo_thinking *t, char c, clo_buf *thought, clo_buf *said)
{
    if (t->trim && is_space(c)) return;
    t->trim = false;
    clo_buf_add_char(t->state == CLO_THINK_IN ? thought : said, c);
}

static void give_held(clo_thinking *t, clo_buf *thought, clo_buf *said)
{
    for (size_t i = 0; i < t->n_held; i++) give(t, t->held[i], thought, said);
    t->n_held = 0;
}

/* Before anything was said: white space and the beginning of the opening marker are held. */
static bool hold_before(clo_thinking *t, char c)
{
    size_t n_space = 0;
    t->held[t->n_held++] = c;
    while (n_space < t->n_held && is_space(t->held[n_space])) n_space++;
    size_t n = t->n_held - n_space;
    if (t->n_held == sizeof t->held || n > sizeof OPEN - 1 || memcmp(t->held + n_space, OPEN, n) != 0) return false;
    if (n < sizeof OPEN - 1) return true;
    t->state = CLO_THINK_IN;
    t->trim = true;
    t->n_held = 0;
    return true;
}

/* The longest end of what is held and c that begins the closing marker stays held. */
static void add_inside(clo_thinking *t, char c, clo_buf *thought, clo_buf *said)
{
    t->held[t->n_held++] = c;
    while (t->n_held > 0 && memcmp(t->held, CLOSE, t->n_held) != 0) {
        give(t, t->held[0], thought, said);
        memmove(t->held, t->held + 1, --t->n_held);
    }
    if (t->n_held < sizeof CLOSE - 1) return;
    t->state = CLO_THINK_AFTER;
    t->trim = true;
    t->n_held = 0;
}

void clo_thinking_add(clo_thinking *t, clo_str text, clo_buf *thought, clo_buf *said)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (t->state == CLO_THINK_IN) {
            add_inside(t, c, thought, said);
        } else if (t->state == CLO_THINK_AFTER) {
            give(t, c, thought, said);
        } else if (!hold_before(t, c)) { /* an answer without thoughts */
            t->state = CLO_THINK_AFTER;
            give_held(t, thought, said);
        }
    }
}

void clo_thinking_end(clo_thinking *t, clo_buf *thought, clo_buf *said)
{
    give_held(t, thought, said);
}
