#include "infer/tool_syntax.h"

#include <string.h>

static const tool_syntax rows[] = {
    [CLO_TOOL_SYNTAX_NONE] = {.name = "none"},
    [CLO_TOOL_SYNTAX_HERMES] = {.name = "hermes",
                                .signs = {"<tool_call>", "arguments"},
                                .not_sign = "<function=",
                                .open = "<tool_call>",
                                .close = "</tool_call>",
                                .args = "arguments",
                                .parallel = true},
    [CLO_TOOL_SYNTAX_LLAMA3] = {.name = "llama3",
                                .signs = {"{\"name\": function name, \"parameters\": ", "<|start_header_id|>"},
                                .open = "",
                                .close = "",
                                .args = "parameters"},
    [CLO_TOOL_SYNTAX_MISTRAL] = {.name = "mistral",
                                 .signs = {"[TOOL_CALLS]", "[AVAILABLE_TOOLS]"},
                                 .not_sign = "[ARGS]",
                                 .open = "[TOOL_CALLS]",
                                 .close = "",
                                 .args = "arguments",
                                 .special = true,
                                 .list = true,
                                 .parallel = true},
    [CLO_TOOL_SYNTAX_GRANITE] = {.name = "granite",
                                 .signs = {"<|tool_call|>", "JSON list"},
                                 .open = "<|tool_call|>",
                                 .close = "",
                                 .args = "arguments",
                                 .special = true,
                                 .list = true,
                                 .parallel = true},
    [CLO_TOOL_SYNTAX_APERTUS] = {.name = "apertus",
                                 .signs = {"<|tools_prefix|>", "<|tools_suffix|>"},
                                 .open = "<|tools_prefix|>",
                                 .close = "<|tools_suffix|>",
                                 .special = true,
                                 .list = true,
                                 .parallel = true},
};
enum { N_ROWS = sizeof rows / sizeof *rows };

const tool_syntax *clo_tool_syntax_row(clo_tool_syntax s)
{
    return &rows[(size_t)s < N_ROWS ? s : CLO_TOOL_SYNTAX_NONE];
}

static bool holds(clo_str text, const char *what)
{
    return text.len > 0 && memmem(text.ptr, text.len, what, strlen(what)) != NULL;
}

clo_tool_syntax clo_tool_syntax_of(clo_str template_text)
{
    for (size_t i = 1; i < N_ROWS; i++) {
        bool here = holds(template_text, rows[i].signs[0]) && holds(template_text, rows[i].signs[1]);
        if (here && !(rows[i].not_sign && holds(template_text, rows[i].not_sign))) return (clo_tool_syntax)i;
    }
    return CLO_TOOL_SYNTAX_NONE;
}

const char *clo_tool_syntax_name(clo_tool_syntax s)
{
    return clo_tool_syntax_row(s)->name;
}

bool clo_tool_syntax_shows_special(clo_tool_syntax s)
{
    return clo_tool_syntax_row(s)->special;
}

bool clo_tool_syntax_is_parallel(clo_tool_syntax s)
{
    return clo_tool_syntax_row(s)->parallel;
}
