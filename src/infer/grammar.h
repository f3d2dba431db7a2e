/* Grammars: what an answer may say, as an automaton over bytes.
 *
 * A grammar is compiled from a JSON Schema and accepts exactly one spelling of white space: one space after ':' and ',',
 * none elsewhere, no newlines; properties stand in the order of the schema. Every text that it accepts is JSON that fits
 * the schema (docs/structured-output.md names what is built); a schema may refer to itself. matcher.h turns a grammar
 * into the tokens that may come next.
 *
 *   clo_grammar *g = NULL;
 *   clo_grammar_notes notes = {0};
 *   if (!clo_grammar_compile(&g, schema, (clo_grammar_opts){.strict = true}, &notes, &err)) ... notes.path ...
 *   clo_grammar_notes_free(&notes);
 *   clo_grammar_close(g);
 *
 * A grammar is immutable once compiled; any thread may use it. */
#ifndef CLO_INFER_GRAMMAR_H
#define CLO_INFER_GRAMMAR_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/slice.h"

/* What a schema means, as fingerprints and receipts name it: another one where the same schema gives other masks. */
#define CLO_GRAMMAR_VERSION "g1"

#define CLO_GRAMMAR_STATES_MAX (1u << 18)  /* of the automaton; edges: four times as many */
#define CLO_GRAMMAR_MERGE_DEPTH_MAX 64     /* of $ref and allOf within each other */
#define CLO_GRAMMAR_NEST_MAX 100           /* machines within each other while a text is read: one or two a level of JSON */
#define CLO_GRAMMAR_PROPERTIES_MAX 1000    /* of one object */
#define CLO_GRAMMAR_ENUM_MAX 10000         /* values of one enum */
#define CLO_GRAMMAR_PATTERN_BYTES_MAX 4096 /* of one pattern */
#define CLO_GRAMMAR_MERGE_MAX 4000         /* schemas made by merging allOf, anyOf and $ref with what stands beside them */

typedef struct clo_grammar clo_grammar;

typedef struct {
    bool strict; /* a keyword that is not built is refused; else it is ignored, and noted */
} clo_grammar_opts;

/* What compiling has to say beside yes and no. The zeroed struct is valid. */
typedef struct {
    char path[256];  /* of the fault: "properties.x.pattern"; empty: the whole schema */
    clo_buf ignored; /* owned: paths of ignored keywords, ", " between them; empty: none */
} clo_grammar_notes;
void clo_grammar_notes_free(clo_grammar_notes *n);

/* The schema is borrowed for the call; notes may be NULL. CLO_ERR_UNSUPPORTED for what is not built (when strict, any
 * such keyword), CLO_ERR_FORMAT for what is no schema or what no text fits, CLO_ERR_LIMIT beyond a limit above. The
 * text of the error begins with the path. */
CLO_CHECK bool clo_grammar_compile(clo_grammar **out, const json_t *schema, clo_grammar_opts opts,
                                   clo_grammar_notes *notes, clo_err *err);
/* Any JSON object. */
CLO_CHECK bool clo_grammar_json_object(clo_grammar **out, clo_err *err);

/* The same grammar, to be closed once more: for matchers that outlive whoever compiled it. Any thread. */
clo_grammar *clo_grammar_share(clo_grammar *g);
void clo_grammar_close(clo_grammar *g);

#endif
