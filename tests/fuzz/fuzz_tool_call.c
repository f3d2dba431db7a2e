/* Bytes as a model's answer with tool calls in it, in every syntax: cut in two ways, the events are the same; the calls'
 * events come in order; and where there is no call, the text is the answer. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "infer/tool_call.h"

/* Events as bytes, pieces joined; the texts beside calls go to *beside. Returns the calls that began. */
static size_t read_all(clo_buf *out, clo_buf *beside, clo_tool_syntax s, const json_t *tools, clo_str text, size_t piece)
{
    clo_tool_reader *r = NULL;
    clo_tool_event e;
    size_t n_begun = 0;
    bool open = false;
    char last = 0;
    if (!clo_tool_reader_open(&r, s, tools, NULL)) abort();
    for (size_t at = 0;; at += piece) {
        bool end = at >= text.len;
        if (end)
            clo_tool_reader_end(r);
        else
            clo_tool_reader_add(r, (clo_str){text.ptr + at, text.len - at < piece ? text.len - at : piece});
        while (clo_tool_reader_take(r, &e)) {
            char kind = "TBAE"[e.kind];
            assert(e.kind == CLO_TOOL_TEXT || e.index + 1 == n_begun + (e.kind == CLO_TOOL_BEGIN));
            assert(e.kind == CLO_TOOL_TEXT || e.kind == CLO_TOOL_BEGIN || open);
            if (e.kind == CLO_TOOL_BEGIN) n_begun++, open = true;
            if (e.kind == CLO_TOOL_END) open = false;
            if (kind != last || kind == 'B' || kind == 'E') clo_buf_add_char(out, kind);
            clo_buf_add(out, e.text);
            if (e.kind == CLO_TOOL_TEXT) clo_buf_add(beside, e.text);
            last = kind;
        }
        if (end) break;
    }
    assert(n_begun == clo_tool_reader_calls(r));
    clo_tool_reader_close(r);
    return n_begun;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clo_str text = {(const char *)data, size};
    json_t *tools = json_pack("[{s:{s:s}}]", "function", "name", "f");
    for (clo_tool_syntax s = CLO_TOOL_SYNTAX_NONE; s <= CLO_TOOL_SYNTAX_APERTUS; s++) {
        clo_buf one = {0}, all = {0}, beside = {0}, again = {0};
        size_t n = read_all(&one, &beside, s, tools, text, 1);
        assert(n == read_all(&all, &again, s, tools, text, size + 1));
        assert(one.len == all.len && (one.len == 0 || memcmp(one.ptr, all.ptr, one.len) == 0));
        assert(n > 0 || (beside.len == size && (size == 0 || memcmp(beside.ptr, data, size) == 0)));
        clo_buf_free(&one);
        clo_buf_free(&all);
        clo_buf_free(&beside);
        clo_buf_free(&again);
    }
    json_decref(tools);
    return 0;
}
