#include "cli/form.h"

#include <stdio.h>

#include "base/file.h"
#include "cli/cli.h"

static void tell_ignored(const clo_grammar_notes *notes)
{
    if (notes->ignored.len == 0) return;
    fputs("cloche: not checked in the answer: ", stderr);
    clo_cli_print_escaped(clo_buf_str(&notes->ignored), true);
    fputc('\n', stderr);
}

static bool compile_file(clo_grammar **out, clo_grammar_source *source, const char *path, clo_err *err)
{
    clo_arena arena = clo_arena_make(2 * CLO_FORM_SCHEMA_BYTES_MAX);
    clo_grammar_notes notes = {0};
    clo_str text = {0};
    json_t *schema = NULL;
    bool ok = clo_file_read(&text, path, CLO_FORM_SCHEMA_BYTES_MAX, &arena, err) &&
              clo_json_parse(&schema, text, CLO_FORM_SCHEMA_BYTES_MAX, err) &&
              clo_grammar_compile(out, schema, (clo_grammar_opts){0}, &notes, err) &&
              clo_grammar_source_of_schema(source, schema, err);
    if (ok) tell_ignored(&notes);
    else clo_err_context(err, "schema '%s'", path);
    json_decref(schema);
    clo_grammar_notes_free(&notes);
    clo_arena_free(&arena);
    return ok;
}

bool clo_form_open(clo_form *f, const clo_model *m, const char *schema, bool any_json, clo_err *err)
{
    clo_grammar *g = NULL;
    if (!schema && !any_json) return true;
    if (schema && any_json) return clo_fail(err, CLO_ERR_USAGE, "--schema or --json-mode, not both");
    bool ok = schema ? compile_file(&g, &f->source, schema, err)
                     : clo_grammar_json_object(&g, err) && clo_grammar_source_of_json(&f->source, err);
    ok = ok && clo_mask_open(&f->mask, m, g, err);
    clo_grammar_close(g);
    return ok;
}

void clo_form_close(clo_form *f)
{
    clo_mask_close(&f->mask);
    clo_grammar_source_free(&f->source);
}
