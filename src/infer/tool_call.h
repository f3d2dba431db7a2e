/* Tool calls: how a model writes them, a grammar that makes it write them well, and a reader of what it wrote.
 *
 * A family of models writes calls in one of a few syntaxes. Which one, its chat template shows; where it shows none that
 * is known here, there are no tools.
 *
 *   clo_tool_syntax syn = clo_tool_syntax_of(clo_tok_template(tok, true));
 *   if (syn == CLO_TOOL_SYNTAX_NONE) ...                                  // the model cannot be given tools
 *   clo_tool_choice choice = { .syntax = syn, .tools = tools, .must = true, .parallel = true };
 *   if (!clo_tool_grammar(&g, &choice, &notes, &err)) ...                  // g NULL: nothing is asked of the text
 *
 *   clo_tool_reader *r = NULL;
 *   if (!clo_tool_reader_open(&r, syn, tools, &err)) ...
 *   clo_tool_reader_add(r, text);                                          // as it is generated; at last clo_tool_reader_end
 *   while (clo_tool_reader_take(r, &event)) ...
 *   clo_tool_reader_close(r);
 *
 * Tools are OpenAI's array: [{"type": "function", "function": {"name", "description", "parameters", "strict"}}]. */
#ifndef CLO_INFER_TOOL_CALL_H
#define CLO_INFER_TOOL_CALL_H

#include "infer/grammar.h"

#define CLO_TOOLS_MAX 128
#define CLO_TOOL_NAME_MAX 64              /* bytes: [A-Za-z0-9_-] */
#define CLO_TOOL_CALL_BYTES_MAX (1u << 24) /* of one answer's calls */

typedef enum {
    CLO_TOOL_SYNTAX_NONE,    /* none that is known */
    CLO_TOOL_SYNTAX_HERMES,  /* <tool_call>\n{"name": "f", "arguments": {}}\n</tool_call> for each (Hermes, Qwen, SmolLM3) */
    CLO_TOOL_SYNTAX_LLAMA3,  /* {"name": "f", "parameters": {}} and nothing else (Llama 3.1, 3.2) */
    CLO_TOOL_SYNTAX_MISTRAL, /* [TOOL_CALLS][{"name": "f", "arguments": {}}, ...] (Mistral Nemo) */
    CLO_TOOL_SYNTAX_GRANITE, /* <|tool_call|>[{"name": "f", "arguments": {}}, ...] (Granite 3) */
    CLO_TOOL_SYNTAX_APERTUS, /* <|tools_prefix|>[{"f": {}}, ...]<|tools_suffix|> (Apertus) */
} clo_tool_syntax;

/* The syntax that a chat template's text shows. */
clo_tool_syntax clo_tool_syntax_of(clo_str template_text);
/* "hermes", "llama3", ...; "none". */
const char *clo_tool_syntax_name(clo_tool_syntax s);
/* The marks of the syntax are control tokens: the reader needs text in which those are shown (show_special). */
bool clo_tool_syntax_shows_special(clo_tool_syntax s);
/* One answer may hold several calls. */
bool clo_tool_syntax_is_parallel(clo_tool_syntax s);

/* --- grammar ------------------------------------------------------------------------------------------------------*/

typedef struct {
    clo_tool_syntax syntax;
    const json_t *tools; /* borrowed */
    const char *only;    /* the tool that must be called, or NULL */
    bool must;           /* a call must come; else text or calls, whose arguments are held to strict tools' schemas */
    bool parallel;       /* more than one call may come, where the syntax knows how */
    clo_str after;       /* free text that ends with this mark comes first ("</think>"), and newlines; empty: none */
} clo_tool_choice;

/* *out is NULL when nothing is asked of the text: no call must come and no tool is strict. CLO_ERR_FORMAT for what are no
 * tools, CLO_ERR_NOT_FOUND when none is named `only`, CLO_ERR_UNSUPPORTED for CLO_TOOL_SYNTAX_NONE, and for a schema as
 * clo_grammar_compile: keywords that are not built are refused where the tool is strict. Paths begin "0.parameters". */
CLO_CHECK bool clo_tool_grammar(clo_grammar **out, const clo_tool_choice *c, clo_grammar_notes *notes, clo_err *err);

/* --- reading ------------------------------------------------------------------------------------------------------*/

typedef enum {
    CLO_TOOL_TEXT,  /* text beside the calls */
    CLO_TOOL_BEGIN, /* a call begins: text is the tool's name */
    CLO_TOOL_ARGS,  /* a piece of its arguments, as JSON text */
    CLO_TOOL_END,   /* the call is whole */
} clo_tool_event_kind;

typedef struct {
    clo_tool_event_kind kind;
    size_t index; /* of the call, from 0 */
    clo_str text; /* lives until the next add, end or close */
} clo_tool_event;

typedef struct clo_tool_reader clo_tool_reader;

/* What is no call is text, byte for byte, white space around calls left out. Where the syntax has no mark (Llama 3), only
 * what names one of `tools` (borrowed until close) is a call; elsewhere tools may be NULL. */
CLO_CHECK bool clo_tool_reader_open(clo_tool_reader **out, clo_tool_syntax s, const json_t *tools, clo_err *err);
void clo_tool_reader_close(clo_tool_reader *r);
void clo_tool_reader_add(clo_tool_reader *r, clo_str text);
/* No more text will come. */
void clo_tool_reader_end(clo_tool_reader *r);
bool clo_tool_reader_take(clo_tool_reader *r, clo_tool_event *out);
/* Calls that have begun. */
size_t clo_tool_reader_calls(const clo_tool_reader *r);
/* False when memory is gone or the answer is too long: what came since then is lost. */
CLO_CHECK bool clo_tool_reader_ok(const clo_tool_reader *r, clo_err *err);

#endif
