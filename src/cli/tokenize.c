/* `cloche tokenize`: text to ids and back, as the model sees it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/cli.h"
#include "model/tokenizer.h"

#define INPUT_BYTES_MAX ((size_t)1 << 30)

typedef struct {
    const char *model, *data;
    const char *text; /* NULL: standard input */
    bool special, pieces, bos, no_bos, json, lines, json_lines, decode;
    const char *save;
} options;

static bool open_tokenizer(clo_tok **out, const options *o, clo_map *map, clo_arena *keep, clo_err *err)
{
    char path[4096];
    return clo_cli_model_path(path, o->model, o->data, err) && clo_tok_open_path(out, map, path, keep, err);
}

/* --- output --------------------------------------------------------------------------------------------------------*/

static int print_ids_json(const clo_tok *t, const clo_ids *ids)
{
    json_t *list = json_array(), *pieces = json_array();
    for (size_t i = 0; i < ids->n; i++) {
        clo_str name = clo_tok_name(t, ids->ids[i]);
        json_array_append_new(list, json_integer(ids->ids[i]));
        json_array_append_new(pieces, json_stringn(name.ptr, name.len));
    }
    return clo_cli_print_json(json_pack("{s:o,s:o,s:I}", "ids", list, "tokens", pieces, "count", (json_int_t)ids->n));
}

static void print_ids(const clo_ids *ids)
{
    for (size_t i = 0; i < ids->n; i++) printf("%s%" PRId32, i ? " " : "", ids->ids[i]);
    putchar('\n');
}

static void print_pieces(const clo_tok *t, const clo_ids *ids)
{
    for (size_t i = 0; i < ids->n; i++) {
        printf("%8" PRId32 "  ", ids->ids[i]);
        clo_cli_print_escaped(clo_tok_name(t, ids->ids[i]), false);
        putchar('\n');
    }
}

static bool print_json_text(clo_str s, clo_err *err)
{
    json_t *v = json_stringn(s.ptr, s.len);
    char *line = v ? json_dumps(v, JSON_ENCODE_ANY) : NULL;
    json_decref(v);
    if (!line) return clo_fail(err, CLO_ERR_MEMORY, "line of %zu bytes", s.len);
    puts(line);
    free(line);
    return true;
}

/* --- one text or line ----------------------------------------------------------------------------------------------*/

static bool parse_ids(clo_ids *out, clo_str s, clo_err *err)
{
    for (size_t i = 0; i < s.len;) {
        if (strchr(" \t\r\n,[]", s.ptr[i])) {
            i++;
            continue;
        }
        int64_t v = 0;
        size_t from = i;
        for (; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9' && v <= INT32_MAX; i++) v = v * 10 + (s.ptr[i] - '0');
        if (i == from || v > INT32_MAX) return clo_fail(err, CLO_ERR_USAGE, "not a list of ids at byte %zu", from);
        if (!clo_ids_push(out, (int32_t)v, err)) return false;
    }
    return true;
}

static bool encode_one(const clo_tok *t, const options *o, clo_str text, clo_ids *ids, clo_err *err)
{
    json_t *v = NULL;
    if (o->json_lines) {
        if (!clo_json_parse(&v, text, INPUT_BYTES_MAX, err)) return false;
        if (!json_is_string(v)) {
            json_decref(v);
            return clo_fail(err, CLO_ERR_USAGE, "a line is not a JSON string");
        }
        text = (clo_str){json_string_value(v), json_string_length(v)};
    }
    clo_tok_opts opts = {.add_special = o->bos && !o->no_bos, .parse_special = o->special};
    bool ok = clo_tok_encode(t, ids, text, opts, err);
    json_decref(v);
    return ok;
}

static bool one(const clo_tok *t, const options *o, clo_str text, clo_err *err)
{
    clo_ids ids = {0};
    clo_buf out = {0};
    bool ok = false;
    if (o->decode) {
        ok = parse_ids(&ids, text, err) && clo_tok_decode(t, &out, ids.ids, ids.n, o->special, err);
        clo_str s = clo_buf_str(&out);
        if (ok && (o->json_lines || o->json)) ok = print_json_text(s, err);
        else if (ok) printf("%.*s\n", (int)s.len, s.ptr);
    } else if ((ok = encode_one(t, o, text, &ids, err))) {
        if (o->json) print_ids_json(t, &ids);
        else if (o->pieces) print_pieces(t, &ids);
        else print_ids(&ids);
    }
    clo_ids_free(&ids);
    clo_buf_free(&out);
    return ok;
}

static bool all(const clo_tok *t, const options *o, clo_str in, clo_err *err)
{
    if (!o->lines && !o->json_lines) return one(t, o, in, err);
    for (size_t at = 0, n = 1; at < in.len; n++) {
        size_t end = clo_str_find(in, at, '\n');
        if (!one(t, o, (clo_str){in.ptr + at, end - at}, err)) {
            clo_err_context(err, "line %zu", n);
            return false;
        }
        at = end + 1;
    }
    return true;
}

static bool work(const options *o, clo_err *err)
{
    clo_arena keep = clo_arena_make((size_t)2 << 30);
    clo_map map = {0};
    clo_tok *t = NULL;
    clo_str in = {o->text, o->text ? strlen(o->text) : 0};
    bool ok = false;

    if (!open_tokenizer(&t, o, &map, &keep, err)) goto done;
    if (o->save) {
        clo_buf blob = {.max = (size_t)4 << 30};
        ok = clo_tok_save(t, &blob, err) && clo_file_write_atomic(o->save, clo_bytes_of(clo_buf_str(&blob)), err);
        clo_buf_free(&blob);
        goto done;
    }
    if (!o->text && !clo_stdin_read(&in, INPUT_BYTES_MAX, &keep, err)) goto done;
    ok = all(t, o, in, err);
done:
    clo_tok_close(t);
    clo_map_close(&map);
    clo_arena_free(&keep);
    return ok;
}

int clo_cmd_tokenize(int argc, char **argv)
{
    options o = {0};
    const clo_opt opts[] = {
        {"special", NULL, CLO_OPT_FLAG, &o.special, NULL, "read special tokens in the text; show them when decoding"},
        {"pieces", NULL, CLO_OPT_FLAG, &o.pieces, NULL, "one token a line, with its text"},
        {"bos", NULL, CLO_OPT_FLAG, &o.bos, NULL, "add what the model expects around a text"},
        {"no-bos", NULL, CLO_OPT_FLAG, &o.no_bos, NULL, "add nothing (the default)"},
        {"decode", "d", CLO_OPT_FLAG, &o.decode, NULL, "ids to text"},
        {"lines", NULL, CLO_OPT_FLAG, &o.lines, NULL, "each input line by itself, one output line each"},
        {"json-lines", NULL, CLO_OPT_FLAG, &o.json_lines, NULL, "the same; texts are JSON strings, in and out"},
        {"json", NULL, CLO_OPT_FLAG, &o.json, NULL, "print one JSON object"},
        {"save", NULL, CLO_OPT_STR, &o.save, "FILE", "write the compiled tokenizer and stop"},
        {"data", NULL, CLO_OPT_STR, &o.data, "DIR", "the data folder"},
    };
    const clo_cli_spec spec = {
        "tokenize MODEL [TEXT]",
        "Shows the token ids of a text, or with --decode the text of ids. MODEL may also be a tokenizer.json, a GGUF "
        "file with a vocabulary alone, or a compiled tokenizer. Without TEXT, standard input is read.",
        "  cloche tokenize SmolLM2.gguf \"Hello world\"\n  cloche tokenize tokenizer.json --pieces < poem.txt\n"
        "  cloche tokenize tokenizer.json --decode \"9906 1917\"\n",
        opts, CLO_COUNT(opts), 1, 2};
    clo_cli_args args;
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    o.model = args.args[0];
    o.text = args.n_args > 1 ? args.args[1] : NULL;
    clo_err err = {0};
    if (!work(&o, &err)) return clo_cli_fail(&err, NULL);
    return CLO_EXIT_OK;
}
