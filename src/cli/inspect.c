/* cloche inspect: what lies in a model's files. Keys and tensors as a list, or one tensor's numbers as a NumPy array.
 * Nothing is run and no architecture needs to be known. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/file.h"
#include "base/utf8.h"
#include "cli/cli.h"
#include "model/checkpoint.h"
#include "model/gguf.h"
#include "tensor/quant.h"

#define SHOWN_ELEMENTS 6u /* of an array */
#define SHOWN_BYTES 100u  /* of a text, without --json */
#define JSON_TEXT_BYTES 65536u

/* --- one key ------------------------------------------------------------------------------------------------------- */

static clo_str text_of(const clo_gguf_kv *kv)
{
    return (clo_str){(const char *)kv->raw.ptr + 8, kv->raw.len - 8};
}

/* {"key", "type", "value"} or {"key", "type", "elements", "n", "first"}. */
static json_t *json_kv(const clo_gguf_kv *kv)
{
    json_t *o = json_object(), *v = clo_gguf_json(kv, JSON_TEXT_BYTES);
    json_object_set_new(o, "key", clo_json_text(kv->key));
    json_object_set_new(o, "type", json_string(clo_gguf_type_name(kv->type)));
    if (kv->type != CLO_GGUF_ARRAY) {
        json_object_set_new(o, "value", v);
    } else {
        json_object_update(o, v);
        json_decref(v);
    }
    return o;
}

static json_t *json_tensor(const clo_tensor *t)
{
    json_t *o = json_object(), *shape = json_array();
    for (uint32_t d = 0; d < t->n_dims; d++)
        json_array_append_new(shape, json_integer((json_int_t)t->dims[d]));
    json_object_set_new(o, "name", clo_json_text(t->name));
    json_object_set_new(o, "type", json_string(clo_dtype_info_of(t->dtype)->name));
    json_object_set_new(o, "shape", shape);
    json_object_set_new(o, "bytes", json_integer((json_int_t)t->bytes));
    json_object_set_new(o, "file", json_integer(t->i_file));
    return o;
}

static json_t *json_all(const clo_checkpoint *ck)
{
    json_t *o = json_object(), *keys = json_array(), *tensors = json_array(), *files = json_array();
    for (size_t i = 0; i < ck->n_files; i++)
        json_array_append_new(files, json_string(ck->paths[i]));
    for (size_t i = 0; ck->gguf && i < ck->gguf->n_kv; i++)
        json_array_append_new(keys, json_kv(&ck->gguf->kv[i]));
    for (size_t i = 0; i < ck->n_tensors; i++)
        json_array_append_new(tensors, json_tensor(&ck->tensors[i]));
    json_object_set_new(o, "container", json_string(ck->container == CLO_CONTAINER_GGUF ? "gguf" : "safetensors"));
    json_object_set_new(o, "files", files);
    json_object_set_new(o, "keys", keys);
    json_object_set_new(o, "tensors", tensors);
    return o;
}

/* --- for people ---------------------------------------------------------------------------------------------------- */

/* Quoted, on one line, cut at a whole character. */
static void print_text(clo_str s)
{
    bool cut = s.len > SHOWN_BYTES;
    s.len = clo_min(s.len, SHOWN_BYTES);
    if (cut) s.len -= clo_utf8_incomplete_tail(s);
    putchar('"');
    for (size_t at = 0, end; at < s.len; at = end + 1) {
        end = clo_str_find(s, at, '\n');
        clo_cli_print_escaped((clo_str){s.ptr + at, end - at}, false);
        if (end < s.len) fputs("\\n", stdout);
    }
    fputs(cut ? "...\"" : "\"", stdout);
}

static void print_number(const clo_gguf_kv *kv, clo_gguf_type t, uint64_t i)
{
    const clo_gguf_kv one = {.type = CLO_GGUF_ARRAY, .elem = t, .n = kv->n, .raw = kv->raw};
    if (t == CLO_GGUF_F32 || t == CLO_GGUF_F64)
        printf("%.9g", clo_gguf_array_num(&one, i));
    else if (t == CLO_GGUF_BOOL)
        fputs(clo_gguf_array_int(&one, i) ? "true" : "false", stdout);
    else if (t == CLO_GGUF_U64)
        printf("%llu", (unsigned long long)clo_gguf_array_int(&one, i));
    else
        printf("%lld", (long long)clo_gguf_array_int(&one, i));
}

static void print_kv(const clo_gguf_kv *kv)
{
    clo_cli_print_escaped(kv->key, false);
    fputs(" = ", stdout);
    if (kv->type == CLO_GGUF_STR) {
        print_text(text_of(kv));
    } else if (kv->type != CLO_GGUF_ARRAY) {
        print_number(kv, kv->type, 0);
    } else {
        clo_gguf_kv head = *kv;
        clo_str some[SHOWN_ELEMENTS];
        head.n = kv->n < SHOWN_ELEMENTS ? kv->n : SHOWN_ELEMENTS;
        if (kv->elem == CLO_GGUF_STR) clo_gguf_array_strs(&head, some);
        printf("%s[%llu]", clo_gguf_type_name(kv->elem), (unsigned long long)kv->n);
        for (uint64_t i = 0; i < head.n; i++) {
            putchar(' ');
            if (kv->elem == CLO_GGUF_STR)
                print_text(some[i]);
            else
                print_number(kv, kv->elem, i);
        }
        if (kv->n > head.n) fputs(" ...", stdout);
    }
    putchar('\n');
}

static void print_tensor(const clo_tensor *t)
{
    char size[24];
    printf("%-7s %10s  ", clo_dtype_info_of(t->dtype)->name, clo_cli_bytes(size, t->bytes));
    clo_cli_print_escaped(t->name, false);
    fputs(" [", stdout);
    for (uint32_t d = 0; d < t->n_dims; d++)
        printf(d ? ", %llu" : "%llu", (unsigned long long)t->dims[d]);
    fputs("]\n", stdout);
}

static void print_all(const clo_checkpoint *ck)
{
    uint64_t total = 0;
    char size[24];
    for (size_t i = 0; ck->gguf && i < ck->gguf->n_kv; i++)
        print_kv(&ck->gguf->kv[i]);
    if (ck->gguf && ck->gguf->n_kv) putchar('\n');
    for (size_t i = 0; i < ck->n_tensors; i++) {
        print_tensor(&ck->tensors[i]);
        total += ck->tensors[i].bytes;
    }
    printf("%zu tensors, %s, in %zu file%s\n", ck->n_tensors, clo_cli_bytes(size, total), ck->n_files,
           ck->n_files == 1 ? "" : "s");
}

/* --- one tensor ---------------------------------------------------------------------------------------------------- */

/* Header of a .npy file: version 1.0, a Python dict padded with spaces, 192 bytes in all. */
static bool put_npy_header(clo_writer *w, const clo_tensor *t, clo_err *err)
{
    char h[193] = {0}, shape[160] = "";
    size_t n = 0;
    for (uint32_t d = 0; d < t->n_dims && n < sizeof shape; d++) {
        n += (size_t)snprintf(shape + n, sizeof shape - n, "%llu,", (unsigned long long)t->dims[d]);
    }
    memcpy(h, "\x93NUMPY\x01\x00\xb6\x00", 10);
    int len = snprintf(h + 10, sizeof h - 10, "{'descr':'<f4','fortran_order':False,'shape':(%s)}", shape);
    if (n >= sizeof shape || len < 0 || (size_t)len > 192 - 11)
        return clo_fail(err, CLO_ERR_LIMIT, "shape is too long");
    memset(h + 10 + len, ' ', 192 - 10 - (size_t)len);
    h[191] = '\n';
    return clo_writer_put(w, h, 192, err);
}

/* Rows of the last dimension, dequantised one by one. */
static bool put_rows(clo_writer *w, const clo_tensor *t, clo_err *err)
{
    size_t n_cols = t->n_dims ? (size_t)t->dims[t->n_dims - 1] : 1, n_rows = 1, row_bytes = 0;
    for (uint32_t d = 0; d + 1 < t->n_dims; d++)
        n_rows *= (size_t)t->dims[d]; /* the parser checked the product */
    if (!clo_dtype_row_bytes(t->dtype, n_cols, &row_bytes))
        return clo_fail(err, CLO_ERR_FORMAT, "row is no whole block");
    if (n_cols == 0) return true;
    float *row = calloc(n_cols, sizeof *row);
    if (!row) return clo_fail(err, CLO_ERR_MEMORY, "no memory for a row of %zu", n_cols);
    bool ok = true;
    for (size_t r = 0; ok && r < n_rows; r++) {
        clo_dequantize_row(t->dtype, row, t->data + r * row_bytes, n_cols);
        ok = clo_writer_put(w, row, n_cols * sizeof *row, err);
    }
    free(row);
    return ok;
}

static bool write_tensor(const clo_checkpoint *ck, const char *name, const char *path, clo_err *err)
{
    clo_writer w;
    const clo_tensor *t = clo_checkpoint_find(ck, clo_str_from(name));
    if (!t) return clo_fail(err, CLO_ERR_NOT_FOUND, "no tensor '%s': without --tensor all are listed", name);
    if (!clo_dequantize_can(t->dtype)) {
        return clo_fail(err, CLO_ERR_UNSUPPORTED, "tensor '%s' has type %s, which is not read as floats", name,
                        clo_dtype_info_of(t->dtype)->name);
    }
    if (!clo_writer_open(&w, path, err)) return false;
    bool ok = put_npy_header(&w, t, err) && put_rows(&w, t, err) && clo_writer_commit(&w, err);
    if (!ok) clo_writer_abandon(&w);
    return ok;
}

static bool show_tensor(const clo_checkpoint *ck, const char *name, bool json, clo_err *err)
{
    const clo_tensor *t = clo_checkpoint_find(ck, clo_str_from(name));
    if (!t) return clo_fail(err, CLO_ERR_NOT_FOUND, "no tensor '%s': without --tensor all are listed", name);
    if (json) return clo_cli_print_json(json_tensor(t)) == 0;
    print_tensor(t);
    return true;
}

static bool work(const char *model, const char *data, const char *tensor, const char *out, bool json, clo_err *err)
{
    clo_checkpoint ck = {0};
    char path[4096];
    bool ok = true;
    if (!clo_cli_model_path(path, model, data, err) || !clo_checkpoint_open(&ck, path, err)) return false;
    if (tensor && out)
        ok = write_tensor(&ck, tensor, out, err);
    else if (tensor)
        ok = show_tensor(&ck, tensor, json, err);
    else if (json)
        ok = clo_cli_print_json(json_all(&ck)) == 0;
    else
        print_all(&ck);
    clo_checkpoint_close(&ck);
    return ok;
}

int clo_cmd_inspect(int argc, char **argv)
{
    const char *tensor = NULL, *out = NULL, *data = NULL;
    bool json = false;
    const clo_opt opts[] = {
        {"tensor", NULL, CLO_OPT_STR, &tensor, "NAME", "this tensor only"},
        {"out", "o", CLO_OPT_STR, &out, "FILE", "write the tensor as float32 in NumPy's .npy format"},
        {"data", NULL, CLO_OPT_STR, &data, "DIR", "data folder (default: $CLOCHE_DATA)"},
        {"json", NULL, CLO_OPT_FLAG, &json, NULL, "print one JSON object"},
    };
    const clo_cli_spec spec = {
        "inspect MODEL [--tensor NAME [--out FILE]]",
        "Lists the keys and tensors of a GGUF file or of the safetensors files of a folder, or writes one tensor,\n"
        "dequantised, to a file. The model is not run; a file that is damaged is refused and says where.",
        "  cloche inspect SmolLM2.gguf\n"
        "  cloche inspect SmolLM2.gguf --tensor blk.0.attn_q.weight --out q.npy\n",
        opts,
        CLO_COUNT(opts),
        1,
        1};
    clo_cli_args args;
    clo_err err = {0};
    int rc = 0;
    if (!clo_cli_parse(&args, &spec, argc, argv, &rc)) return rc;
    if (out && !tensor) return clo_cli_fail_usage("--out needs --tensor NAME: which one to write");
    if (!work(args.args[0], data, tensor, out, json, &err)) return clo_cli_fail(&err, NULL);
    return CLO_EXIT_OK;
}
