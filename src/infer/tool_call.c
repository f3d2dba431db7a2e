/* Reading tool calls out of an answer as it comes. See tool_call.h.
 *
 * Outside a call the reader looks for the mark that opens one and holds back what may begin it. Inside, it follows the
 * JSON object of the call by its outermost keys: the name is decoded, the arguments are handed on as they are written.
 * Until a name is known everything is kept, so that what turns out to be no call is text after all. */
#include "infer/tool_call.h"

#include <stdlib.h>
#include <string.h>

#include "infer/tool_syntax.h"

#define EVENTS_MAX (1u << 20)

typedef enum {
    IN_TEXT,    /* outside */
    IN_HEAD,    /* behind the mark: white space, '[' of a list, '{' */
    IN_KEY,     /* before or inside a key, or before '}' */
    IN_COLON,   /* behind a key */
    IN_VALUE,   /* before or inside a value */
    IN_COMMA,   /* behind a value: ',' or '}' */
    IN_TAIL,    /* behind a call: white space, ',' and ']' of a list, the closing mark, another opening mark */
} state;

typedef struct {
    clo_tool_event_kind kind;
    size_t index, from, len; /* text: bytes of out */
} event;

struct clo_tool_reader {
    const tool_syntax *syn;
    const json_t *tools; /* borrowed */
    state at;
    clo_buf out;    /* owned: the texts of the events */
    event *events;  /* owned [cap_events] */
    size_t n_events, cap_events, n_taken;
    clo_buf held;   /* owned: text that may yet be a mark; inside a call without a name, everything since its mark */
    clo_buf token;  /* owned: the key, or a value that is not handed on */
    clo_buf name;   /* owned: of the call; empty: not known yet */
    clo_buf early;  /* owned: arguments that came before the name */
    size_t n_calls; /* begun */
    unsigned depth; /* brackets open inside a value */
    bool in_string, escaped; /* inside a string of the key or value */
    bool began_value, is_args, is_name, has_args, in_list;
    bool closed; /* the closing mark of the last call came */
    bool any_text;  /* text that is not white space was handed out, or a call */
    bool failed;
};

/* --- life ---------------------------------------------------------------------------------------------------------*/

bool clo_tool_reader_open(clo_tool_reader **out, clo_tool_syntax s, const json_t *tools, clo_err *err)
{
    clo_tool_reader *r = (clo_tool_reader *)calloc(1, sizeof *r);
    *out = r;
    if (!r) return clo_fail(err, CLO_ERR_MEMORY, "a reader of tool calls");
    r->syn = clo_tool_syntax_row(s);
    r->tools = tools;
    r->out.max = r->held.max = r->token.max = r->name.max = r->early.max = CLO_TOOL_CALL_BYTES_MAX;
    return true;
}

void clo_tool_reader_close(clo_tool_reader *r)
{
    if (!r) return;
    clo_buf_free(&r->out);
    clo_buf_free(&r->held);
    clo_buf_free(&r->token);
    clo_buf_free(&r->name);
    clo_buf_free(&r->early);
    free(r->events);
    free(r);
}

size_t clo_tool_reader_calls(const clo_tool_reader *r)
{
    return r->n_calls;
}

bool clo_tool_reader_ok(const clo_tool_reader *r, clo_err *err)
{
    bool failed = r->failed || r->out.failed || r->held.failed || r->token.failed || r->name.failed || r->early.failed;
    return !failed || clo_fail(err, CLO_ERR_LIMIT, "tool calls of more than %u bytes, or no memory", CLO_TOOL_CALL_BYTES_MAX);
}

/* --- events -------------------------------------------------------------------------------------------------------*/

/* Texts that follow each other become one event. */
static void tell(clo_tool_reader *r, clo_tool_event_kind kind, size_t index, clo_str text)
{
    size_t from = r->out.len;
    event *last = r->n_events > r->n_taken ? &r->events[r->n_events - 1] : NULL;
    bool joins = kind == CLO_TOOL_TEXT || kind == CLO_TOOL_ARGS;
    if (joins && text.len == 0) return;
    clo_buf_add(&r->out, text);
    if (joins && last && last->kind == kind && last->index == index && last->from + last->len == from) {
        last->len += text.len;
        return;
    }
    if (r->n_events == r->cap_events) {
        size_t cap = r->cap_events ? 2 * r->cap_events : 16;
        event *p = cap <= EVENTS_MAX ? (event *)realloc(r->events, cap * sizeof *p) : NULL;
        if (!p) {
            r->failed = true;
            return;
        }
        r->events = p;
        r->cap_events = cap;
    }
    r->events[r->n_events++] = (event){kind, index, from, text.len};
}

bool clo_tool_reader_take(clo_tool_reader *r, clo_tool_event *out)
{
    if (r->n_taken == r->n_events) return false;
    const event *e = &r->events[r->n_taken++];
    if (r->out.failed) return false;
    *out = (clo_tool_event){e->kind, e->index, {clo_buf_str(&r->out).ptr + e->from, e->len}};
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool all_space(clo_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_space(s.ptr[i])) return false;
    return true;
}

static void text_out(clo_tool_reader *r, clo_str s)
{
    if (!all_space(s)) r->any_text = true;
    tell(r, CLO_TOOL_TEXT, 0, s);
}

/* --- a call -------------------------------------------------------------------------------------------------------*/

static bool is_tool(const clo_tool_reader *r, clo_str name)
{
    size_t i;
    json_t *tool;
    if (*r->syn->open) return true; /* the mark says that it is a call */
    json_array_foreach (r->tools, i, tool)
        if (clo_str_eq(clo_json_str(json_object_get(tool, "function"), "name", CLO_STR("")), name)) return true;
    return false;
}

static void begin_call(clo_tool_reader *r)
{
    r->name.len = r->early.len = r->token.len = 0;
    r->depth = 0;
    r->in_string = r->escaped = r->began_value = r->has_args = r->closed = false;
}

/* What was held was no call. */
static void no_call(clo_tool_reader *r)
{
    text_out(r, clo_buf_str(&r->held));
    r->held.len = 0;
    r->in_list = false;
    r->at = IN_TEXT;
}

/* A broken call: text when nothing is known of it, else it just ends. */
static void break_call(clo_tool_reader *r)
{
    if (r->name.len == 0 || r->held.len > 0) {
        no_call(r);
        return;
    }
    r->at = IN_TAIL;
}

/* The text of a JSON string, appended; false when it is none. */
static bool decode_string(clo_buf *out, clo_str json)
{
    json_t *v = json_loadb(json.ptr, json.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    bool ok = json_is_string(v);
    if (ok) clo_buf_add(out, (clo_str){json_string_value(v), json_string_length(v)});
    json_decref(v);
    return ok;
}

static void name_known(clo_tool_reader *r, clo_str json)
{
    r->name.len = 0;
    bool ok = decode_string(&r->name, json) && r->name.len > 0 && is_tool(r, clo_buf_str(&r->name));
    if (!ok) {
        r->name.len = 0;
        no_call(r);
        return;
    }
    r->any_text = true;
    r->held.len = 0;
    tell(r, CLO_TOOL_BEGIN, r->n_calls++, clo_buf_str(&r->name));
    tell(r, CLO_TOOL_ARGS, r->n_calls - 1, clo_buf_str(&r->early));
}

static void key_known(clo_tool_reader *r)
{
    clo_buf key = {.max = r->token.max};
    r->at = IN_COLON;
    if (!decode_string(&key, clo_buf_str(&r->token))) {
        clo_buf_free(&key);
        break_call(r);
        return;
    }
    clo_str k = clo_buf_str(&key);
    r->is_name = r->syn->args && r->name.len == 0 && clo_str_eq(k, CLO_STR("name"));
    r->is_args = !r->has_args && (!r->syn->args || clo_str_eq(k, clo_str_from(r->syn->args)) ||
                                  clo_str_eq(k, CLO_STR("arguments")) || clo_str_eq(k, CLO_STR("parameters")));
    clo_buf_free(&key);
    if (!r->syn->args && r->name.len == 0) name_known(r, clo_buf_str(&r->token));
}

static void end_call(clo_tool_reader *r)
{
    if (r->name.len == 0) {
        no_call(r);
        return;
    }
    if (!r->has_args) tell(r, CLO_TOOL_ARGS, r->n_calls - 1, CLO_STR("{}"));
    tell(r, CLO_TOOL_END, r->n_calls - 1, CLO_STR(""));
    r->at = IN_TAIL;
}

/* Arguments in a string, as some models write them, are what the string says. */
static void args_of_string(clo_tool_reader *r)
{
    clo_buf text = {.max = r->token.max};
    if (!decode_string(&text, clo_buf_str(&r->token))) r->failed = true;
    if (r->name.len > 0)
        tell(r, CLO_TOOL_ARGS, r->n_calls - 1, clo_buf_str(&text));
    else
        clo_buf_add(&r->early, clo_buf_str(&text));
    clo_buf_free(&text);
}

static void value_known(clo_tool_reader *r)
{
    r->at = IN_COMMA;
    r->began_value = false;
    if (r->is_args) {
        r->has_args = true;
        if (r->token.len > 0) args_of_string(r);
    } else if (r->is_name) {
        name_known(r, clo_buf_str(&r->token));
    }
    r->is_name = r->is_args = false;
}

/* A byte of the value: it goes on where it belongs. */
static void value_byte(clo_tool_reader *r, char c)
{
    bool whole = r->is_args && (r->depth > 0 || c == '}' || c == ']') && r->token.len == 0;
    if (!whole)
        clo_buf_add_char(&r->token, c);
    else if (r->name.len > 0)
        tell(r, CLO_TOOL_ARGS, r->n_calls - 1, (clo_str){&c, 1});
    else
        clo_buf_add_char(&r->early, c);
}

/* Follows the strings of a key or value; true: c belongs to a string. */
static bool string_byte(clo_tool_reader *r, char c)
{
    if (!r->in_string) {
        if (c != '"') return false;
        r->in_string = true;
        return true;
    }
    if (r->escaped)
        r->escaped = false;
    else if (c == '\\')
        r->escaped = true;
    else if (c == '"')
        r->in_string = false;
    return true;
}

/* False: c is not part of the value, which ended before it. */
static bool in_value(clo_tool_reader *r, char c)
{
    if (!r->began_value) {
        if (is_space(c)) return true;
        r->token.len = 0;
        r->began_value = true;
    }
    if (string_byte(r, c)) {
        value_byte(r, c);
        if (!r->in_string && r->depth == 0) value_known(r);
        return true;
    }
    if (c == '{' || c == '[') {
        r->depth++;
        value_byte(r, c);
        return true;
    }
    if ((c == '}' || c == ']') && r->depth > 0) {
        r->depth--;
        value_byte(r, c);
        if (r->depth == 0) value_known(r);
        return true;
    }
    if (r->depth == 0 && (c == ',' || c == '}' || c == ']' || is_space(c))) { /* the end of a number or a word */
        r->is_args = false; /* arguments are no number and no word */
        if (r->name.len == 0 && r->held.len > 0) r->held.len--; /* c is looked at again */
        value_known(r);
        return false;
    }
    value_byte(r, c);
    return true;
}

/* A byte inside a call. False: look at it again, the state has changed. */
static bool in_call(clo_tool_reader *r, char c)
{
    switch (r->at) {
    case IN_KEY:
        if (string_byte(r, c)) {
            clo_buf_add_char(&r->token, c);
            if (!r->in_string) key_known(r);
        } else if (c == '}' && r->token.len == 0) {
            end_call(r);
        } else if (!is_space(c)) {
            break_call(r);
        }
        return true;
    case IN_COLON:
        if (c == ':')
            r->at = IN_VALUE;
        else if (!is_space(c))
            break_call(r);
        return true;
    case IN_VALUE:
        return in_value(r, c);
    default: /* IN_COMMA */
        if (c == ',') {
            r->at = IN_KEY;
            r->token.len = 0;
        } else if (c == '}') {
            end_call(r);
        } else if (!is_space(c)) {
            break_call(r);
        }
        return true;
    }
}

/* --- around calls -------------------------------------------------------------------------------------------------*/

static void open_call(clo_tool_reader *r)
{
    begin_call(r);
    r->at = IN_KEY;
}

/* Bytes at the end of s that begin `mark`, white space before them not counted. */
static size_t mark_tail(clo_str s, clo_str mark)
{
    for (size_t n = s.len < mark.len ? s.len : mark.len; n > 0; n--)
        if (memcmp(s.ptr + s.len - n, mark.ptr, n) == 0) return n;
    return 0;
}

/* Takes the first n bytes from held. */
static void drop_held(clo_tool_reader *r, size_t n)
{
    r->held.len -= n;
    memmove(r->held.ptr, r->held.ptr + n, r->held.len);
}

/* Outside: whatever cannot begin a call goes out. White space is held while a call may follow it. */
static void in_text(clo_tool_reader *r, char c)
{
    clo_str open = clo_str_from(r->syn->open ? r->syn->open : "");
    clo_buf_add_char(&r->held, c);
    clo_str held = clo_buf_str(&r->held);
    if (!r->syn->open || (open.len == 0 && (r->any_text || (c != '{' && !is_space(c))))) {
        text_out(r, held);
        r->held.len = 0;
    } else if (open.len == 0) {
        if (c == '{') open_call(r);
    } else {
        size_t n = mark_tail(held, open);
        if (n == open.len) {
            clo_str before = {held.ptr, held.len - n};
            while (before.len > 0 && is_space(before.ptr[before.len - 1]))
                before.len--;
            text_out(r, before);
            drop_held(r, before.len);
            r->at = IN_HEAD;
            return;
        }
        size_t keep = held.len - n;
        while (keep > 0 && is_space(held.ptr[keep - 1]))
            keep--;
        if (keep > 0) text_out(r, (clo_str){held.ptr, keep});
        drop_held(r, keep);
    }
}

/* Behind the mark: the first brace opens the call. False: c is looked at again. */
static bool in_head(clo_tool_reader *r, char c)
{
    bool opens = c == '{' && (r->in_list || !r->syn->list), lists = c == '[' && r->syn->list && !r->in_list;
    if (!opens && !lists && !is_space(c)) {
        no_call(r);
        return false;
    }
    clo_buf_add_char(&r->held, c);
    if (lists) r->in_list = true;
    if (opens) open_call(r);
    return true;
}

/* Behind a call: what belongs to the syntax is swallowed; anything else is text. */
static bool in_tail(clo_tool_reader *r, char c)
{
    clo_str close = clo_str_from(r->syn->close);
    if (r->held.len == 0) {
        if (is_space(c)) return true;
        if (r->in_list && (c == ',' || c == ']')) {
            r->at = c == ',' ? IN_HEAD : IN_TAIL;
            r->in_list = c == ',';
            return true;
        }
        if (r->closed || close.len == 0 || c != close.ptr[0]) {
            r->at = IN_TEXT;
            r->in_list = false;
            return false;
        }
    }
    clo_buf_add_char(&r->held, c);
    clo_str held = clo_buf_str(&r->held);
    if (!r->closed && clo_str_eq(held, close)) {
        r->held.len = 0;
        r->closed = true;
        r->in_list = false;
    } else if (!clo_str_starts_with(close, held)) { /* another mark, or text */
        clo_buf again = r->held;
        r->held = (clo_buf){.max = again.max};
        r->at = IN_TEXT;
        r->in_list = false;
        for (size_t i = 0; i < again.len; i++)
            in_text(r, again.ptr[i]);
        clo_buf_free(&again);
    }
    return true;
}

static void add_byte(clo_tool_reader *r, char c)
{
    bool done = false;
    while (!done) {
        switch (r->at) {
        case IN_TEXT:
            in_text(r, c);
            done = true;
            break;
        case IN_HEAD:
            done = in_head(r, c);
            break;
        case IN_TAIL:
            done = in_tail(r, c);
            break;
        default:
            if (r->name.len == 0) clo_buf_add_char(&r->held, c);
            done = in_call(r, c);
        }
    }
}

void clo_tool_reader_add(clo_tool_reader *r, clo_str text)
{
    if (r->n_taken == r->n_events) {
        r->out.len = 0;
        r->n_events = r->n_taken = 0;
    }
    for (size_t i = 0; i < text.len; i++)
        add_byte(r, text.ptr[i]);
}

void clo_tool_reader_end(clo_tool_reader *r)
{
    clo_str held = clo_buf_str(&r->held);
    if (r->n_taken == r->n_events) {
        r->out.len = 0;
        r->n_events = r->n_taken = 0;
    }
    if (r->at != IN_TAIL && !(r->n_calls > 0 && all_space(held))) text_out(r, held);
    r->held.len = 0;
    r->at = IN_TEXT;
}
