/* See stream.h. */
#include "infer/stream.h"

#include "base/check.h"
#include "base/utf8.h"

/* Appends bytes as valid UTF-8; an unfinished end goes to s->tail unless `last`. */
static void add_clean(clo_stream *s, clo_str in, bool last)
{
    size_t keep = last ? 0 : clo_utf8_incomplete_tail(in);
    size_t end = in.len - keep, off = 0, begin = 0;
    clo_str whole = {in.ptr, end};
    while (off < end) {
        size_t n = 1;
        if (clo_utf8_decode(whole, off, &n) == CLO_UTF8_BAD) {
            clo_buf_add(&s->text, (clo_str){in.ptr + begin, off - begin});
            clo_buf_add_utf8(&s->text, 0xFFFD);
            begin = off + n;
        }
        off += n;
    }
    clo_buf_add(&s->text, (clo_str){in.ptr + begin, end - begin});
    memcpy(s->tail, in.ptr + end, keep);
    s->n_tail = keep;
}

/* The earliest stop string that begins at or after `from`; text.len when there is none. */
static size_t find_stop(clo_stream *s, size_t from)
{
    clo_str text = clo_buf_str(&s->text);
    for (size_t at = from; at < text.len; at++) {
        for (size_t i = 0; i < s->n_stops; i++) {
            if (s->stops[i].len == 0 || !clo_str_starts_with(clo_str_from_off(text, at), s->stops[i])) continue;
            s->i_stop = i;
            return at;
        }
    }
    return text.len;
}

/* Bytes at the end of the text that begin a stop string. */
static size_t held_for_stops(const clo_stream *s)
{
    clo_str text = clo_buf_str(&s->text);
    size_t most = 0;
    for (size_t i = 0; i < s->n_stops; i++) {
        clo_str stop = s->stops[i];
        size_t n = stop.len > 0 ? clo_min(stop.len - 1, text.len) : 0;
        while (n > most && memcmp(text.ptr + text.len - n, stop.ptr, n) != 0) n--;
        most = clo_max(most, n);
    }
    return most;
}

static void settle(clo_stream *s, bool last)
{
    size_t at = find_stop(s, s->n_safe);
    if (at < s->text.len) {
        s->stopped = true;
        s->text.len = at;
        s->text.ptr[at] = '\0';
    }
    size_t held = s->stopped || last ? 0 : held_for_stops(s);
    s->n_safe = clo_max(s->n_safe, s->text.len - held);
}

void clo_stream_add(clo_stream *s, clo_str bytes)
{
    if (s->stopped) return;
    while (s->n_tail > 0 && bytes.len > 0) { /* finish the character first, byte by byte */
        char joined[4 + 1];
        size_t n = s->n_tail;
        memcpy(joined, s->tail, n);
        joined[n++] = bytes.ptr[0];
        bytes = clo_str_from_off(bytes, 1);
        add_clean(s, (clo_str){joined, n}, false);
    }
    if (bytes.len > 0) add_clean(s, bytes, false);
    settle(s, false);
}

void clo_stream_end(clo_stream *s)
{
    if (s->stopped) return;
    char tail[4];
    size_t n = s->n_tail;
    memcpy(tail, s->tail, n);
    if (n > 0) add_clean(s, (clo_str){tail, n}, true);
    settle(s, true);
}

clo_str clo_stream_take(clo_stream *s)
{
    clo_str out = {clo_buf_str(&s->text).ptr + s->n_taken, s->n_safe - s->n_taken};
    s->n_taken = s->n_safe;
    return out;
}

void clo_stream_reset(clo_stream *s)
{
    s->text.len = 0;
    s->text.failed = false;
    s->n_taken = s->n_safe = s->n_tail = s->i_stop = 0;
    s->stopped = false;
}

void clo_stream_free(clo_stream *s)
{
    clo_buf_free(&s->text);
    *s = (clo_stream){0};
}
