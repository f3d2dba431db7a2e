/* The form that an answer must have: what --schema and --json-mode ask for.
 *
 *   clo_form f = {0};
 *   if (!clo_form_open(&f, model, "person.json", false, &err)) ...
 *   ... clo_matcher_keep(f.mask.matcher, ...) ...
 *   clo_form_close(&f);
 */
#ifndef CLO_CLI_FORM_H
#define CLO_CLI_FORM_H

#include "infer/grammar_source.h"
#include "infer/matcher.h"

#define CLO_FORM_SCHEMA_BYTES_MAX ((size_t)1 << 20)

typedef struct {
    clo_mask mask;             /* without a matcher: any text */
    clo_grammar_source source; /* for receipts */
} clo_form;

/* schema: a file of JSON Schema, or NULL; any_json: any JSON object. Neither: any text. Keywords that are ignored are
 * told on stderr. The model outlives the form. */
CLO_CHECK bool clo_form_open(clo_form *f, const clo_model *m, const char *schema, bool any_json, clo_err *err);
void clo_form_close(clo_form *f);

#endif
