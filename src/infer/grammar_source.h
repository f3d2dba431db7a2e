/* The source of a grammar: what an answer was held to, as a text that can be stored, and compiled again to the same masks.
 *
 * A receipt holds it (docs/formats/receipt.md). The text is JSON without white space, members in the order in which they
 * came (that of properties is the order of the answer), reals with 17 digits: one spelling for one source.
 *
 *   clo_grammar_source src = {0};
 *   if (!clo_grammar_source_of_schema(&src, schema, &err)) ...        // or _of_json, _of_tools
 *   if (!clo_grammar_source_compile(&g, &src, &err)) ...              // the same grammar
 *   clo_grammar_source_free(&src);
 */
#ifndef CLO_INFER_GRAMMAR_SOURCE_H
#define CLO_INFER_GRAMMAR_SOURCE_H

#include "base/digest.h"
#include "infer/tool_call.h"

#define CLO_GRAMMAR_SOURCE_BYTES_MAX ((size_t)16 << 20)

typedef enum {
    CLO_GRAMMAR_SOURCE_NONE,   /* any text */
    CLO_GRAMMAR_SOURCE_JSON,   /* any JSON object; text: {} */
    CLO_GRAMMAR_SOURCE_SCHEMA, /* text: the schema */
    CLO_GRAMMAR_SOURCE_TOOLS,  /* text: {"syntax","only","must","parallel","after","tools"} as clo_tool_choice */
} clo_grammar_source_kind;

/* The zeroed struct is valid: NONE. */
typedef struct {
    clo_grammar_source_kind kind;
    clo_buf text; /* owned */
} clo_grammar_source;

void clo_grammar_source_free(clo_grammar_source *s);

/* What is given is borrowed for the call. CLO_ERR_LIMIT when the text is too long. */
CLO_CHECK bool clo_grammar_source_of_json(clo_grammar_source *out, clo_err *err);
CLO_CHECK bool clo_grammar_source_of_schema(clo_grammar_source *out, const json_t *schema, clo_err *err);
CLO_CHECK bool clo_grammar_source_of_tools(clo_grammar_source *out, const clo_tool_choice *c, clo_err *err);
CLO_CHECK bool clo_grammar_source_copy(clo_grammar_source *out, const clo_grammar_source *from, clo_err *err);

/* "json", "schema", "tools"; "none". */
const char *clo_grammar_source_kind_name(clo_grammar_source_kind kind);
/* A stored one. CLO_ERR_FORMAT for a kind that is none, and for a text that is not JSON in its one spelling. */
CLO_CHECK bool clo_grammar_source_read(clo_grammar_source *out, clo_str kind, clo_str text, clo_err *err);
/* SHA-256 of the text. */
clo_sha256 clo_grammar_source_digest(const clo_grammar_source *s);

/* Errors as clo_grammar_compile and clo_tool_grammar (nothing is refused for being ignored: it compiled once), and
 * CLO_ERR_FORMAT for a source of NONE, or tools that ask nothing of the text. */
CLO_CHECK bool clo_grammar_source_compile(clo_grammar **out, const clo_grammar_source *s, clo_err *err);

#endif
