#include "cli/form.h"

#include <stdio.h>

#include "base/file.h"
#include "cli/cli.h"
#include "infer/generate.h"

#define STOP_IDS_MAX 64

static bool compile_file(clo_grammar **out, const char *path, clo_err *err)
{
    clo_arena arena = clo_arena_make(2 * CLO_FORM_SCHEMA_BYTES_MAX);
    clo_grammar_notes notes = {0};
    clo_str text = {0};
    json_t *schema = NULL;
    bool ok = clo_file_read(&text, path, CLO_FORM_SCHEMA_BYTES_MAX, &arena, err) &&
              clo_json_parse(&schema, text, CLO_FORM_SCHEMA_BYTES_MAX, err) &&
              clo_grammar_compile(out, schema, (clo_grammar_opts){0}, &notes, err);
    if (ok && notes.ignored.len > 0) {
        fputs("cloche: not checked in the answer: ", stderr);
        clo_cli_print_escaped(clo_buf_str(&notes.ignored), true);
        fputc('\n', stderr);
    }
    if (!ok) clo_err_context(err, "schema '%s'", path);
    json_decref(schema);
    clo_grammar_notes_free(&notes);
    clo_arena_free(&arena);
    return ok;
}

bool clo_form_open(clo_form *f, const clo_model *m, const char *schema, bool any_json, clo_err *err)
{
    int32_t stop_ids[STOP_IDS_MAX];
    clo_grammar *g = NULL;
    if (!schema && !any_json) return true;
    if (schema && any_json) return clo_fail(err, CLO_ERR_USAGE, "--schema or --json-mode, not both");
    if (!(schema ? compile_file(&g, schema, err) : clo_grammar_json_object(&g, err))) return false;
    bool ok = clo_vocab_trie_open(&f->trie, clo_model_tokenizer(m), clo_gen_vocab(m), err) &&
              clo_matcher_open(&f->matcher, g, f->trie, stop_ids, clo_gen_stop_ids(m, stop_ids, STOP_IDS_MAX), err);
    clo_grammar_close(g);
    return ok;
}

void clo_form_close(clo_form *f)
{
    clo_matcher_close(f->matcher);
    clo_vocab_trie_close(f->trie);
    *f = (clo_form){0};
}
