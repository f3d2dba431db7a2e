/* The file goes through once: plan (a type for every tensor), header, then each tensor slice by slice. */
#include "model/requantize.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/thread.h"
#include "model/gguf.h"
#include "tensor/quant.h"

#define SLICE_BYTES (16u << 20) /* of output, at least one row */

typedef struct {
    const clo_requantize_opts *opts;
    clo_checkpoint ck; /* owned */
    clo_mixture_facts facts;
    const clo_tensor **from; /* [n_tensors] owned; in file order, borrowed from ck */
    clo_tensor *to;          /* [n_tensors] owned; the same with new types */
    clo_pool *pool;          /* owned */
    clo_err *thread_err;     /* [n_threads] owned */
    clo_requantize_stats stats;
    uint64_t bytes_done;
} job;

/* --- plan ---------------------------------------------------------------------------------------------------------- */

static int cmp_place(const void *a, const void *b)
{
    const clo_tensor *x = *(const clo_tensor *const *)a, *y = *(const clo_tensor *const *)b;
    if (x->i_file != y->i_file) return x->i_file < y->i_file ? -1 : 1;
    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    return clo_str_cmp(x->name, y->name);
}

static bool plan_tensor(job *j, clo_tensor *to, const clo_tensor *from, clo_err *err)
{
    size_t n_rows = 1, row_bytes, n_cols = (size_t)from->dims[from->n_dims - 1];
    *to = *from;
    if (clo_mixture_applies(from)) {
        clo_dtype wanted = clo_mixture_choose(j->opts->type, &j->facts, j->opts->pure, from);
        to->dtype = clo_quantize_fallback(wanted, n_cols);
        j->stats.n_fallback += to->dtype != wanted;
    }
    if (to->dtype != from->dtype && clo_dtype_info_of(from->dtype)->quantised && !j->opts->allow_requantize) {
        return clo_fail(err, CLO_ERR_USAGE, "tensor '" CLO_STR_FMT "' is %s already: quantising it again loses more",
                        CLO_STR_ARG(from->name), clo_dtype_info_of(from->dtype)->name);
    }
    for (uint32_t d = 0; d + 1 < from->n_dims; d++)
        n_rows *= (size_t)from->dims[d]; /* was checked at parsing */
    if (!clo_dtype_row_bytes(to->dtype, n_cols, &row_bytes) || !clo_mul(row_bytes, n_rows, &to->bytes)) {
        return clo_fail(err, CLO_ERR_LIMIT, "tensor '" CLO_STR_FMT "': too large", CLO_STR_ARG(from->name));
    }

    clo_requantize_stats *s = &j->stats;
    s->n_of_type[to->dtype]++;
    s->n_converted += to->dtype != from->dtype;
    s->bytes_in += from->bytes;
    s->bytes_out += to->bytes;
    s->n_elements += (uint64_t)n_rows * n_cols;
    return true;
}

static bool plan(job *j, clo_err *err)
{
    size_t n = j->ck.n_tensors;
    j->from = (const clo_tensor **)calloc(n + 1, sizeof *j->from);
    j->to = (clo_tensor *)calloc(n + 1, sizeof *j->to);
    if (!j->from || !j->to) return clo_fail(err, CLO_ERR_MEMORY, "no memory for a table of %zu tensors", n);

    j->stats.n_tensors = n;
    j->facts = clo_mixture_facts_of(j->ck.gguf, &j->ck);
    for (size_t i = 0; i < n; i++)
        j->from[i] = &j->ck.tensors[i];
    if (n > 1) qsort(j->from, n, sizeof *j->from, cmp_place);
    for (size_t i = 0; i < n; i++) {
        if (!plan_tensor(j, &j->to[i], j->from[i], err)) return false;
    }
    return true;
}

/* --- data ---------------------------------------------------------------------------------------------------------- */

/* Rows [row, row + n_rows) of one tensor. */
typedef struct {
    const clo_tensor *from;
    clo_dtype to;
    size_t n_cols, from_bytes, to_bytes; /* of a row */
    size_t row, n_rows;
    uint8_t *out;  /* [n_rows * to_bytes] */
    float *values; /* [n_threads * n_cols] */
    clo_err *errs; /* [n_threads] */
} slice;

static void convert_rows(void *ctx, size_t i_thread, size_t n_threads)
{
    const slice *s = (const slice *)ctx;
    float *x = s->values + i_thread * s->n_cols;
    size_t begin, end;
    clo_split(s->n_rows, 1, i_thread, n_threads, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        clo_err *err = &s->errs[i_thread];
        clo_dequantize_row(s->from->dtype, x, s->from->data + (s->row + i) * s->from_bytes, s->n_cols);
        if (!clo_quantize_row(s->to, s->out + i * s->to_bytes, x, s->n_cols, err)) {
            clo_err_context(err, "row %zu", s->row + i);
            return;
        }
    }
}

/* Threads take rows in order, so the first error of the lowest thread is the first of the slice. */
static bool convert_slice(job *j, slice *s, clo_err *err)
{
    size_t n_threads = clo_pool_threads(j->pool);
    memset(s->errs, 0, n_threads * sizeof *s->errs);
    clo_pool_run(j->pool, convert_rows, s);
    for (size_t i = 0; i < n_threads; i++) {
        if (s->errs[i].code == CLO_OK) continue;
        if (err) *err = s->errs[i];
        return false;
    }
    return true;
}

static void tell(job *j, size_t n_bytes)
{
    j->bytes_done += n_bytes;
    if (j->opts->progress) j->opts->progress(j->opts->progress_ctx, "quantising", j->bytes_done, j->stats.bytes_out);
}

static bool convert_tensor(job *j, const clo_tensor *from, const clo_tensor *to, clo_writer *out, clo_err *err)
{
    slice s = {.from = from, .to = to->dtype, .n_cols = (size_t)from->dims[from->n_dims - 1], .errs = j->thread_err};
    size_t n_threads = clo_pool_threads(j->pool), n_values;
    if (!clo_dtype_row_bytes(from->dtype, s.n_cols, &s.from_bytes) ||
        !clo_dtype_row_bytes(s.to, s.n_cols, &s.to_bytes) || !clo_mul(s.n_cols, n_threads, &n_values)) {
        return clo_fail(err, CLO_ERR_LIMIT, "rows of %zu are too long", s.n_cols);
    }
    size_t n_rows = to->bytes / s.to_bytes, n_at_once = clo_min(n_rows, clo_max(1, SLICE_BYTES / s.to_bytes));
    s.out = (uint8_t *)malloc(n_at_once * s.to_bytes);
    s.values = (float *)calloc(n_values, sizeof *s.values);
    bool ok = s.out && s.values;
    if (!ok) (void)clo_fail(err, CLO_ERR_MEMORY, "no memory for rows of %zu", s.n_cols);

    while (ok && s.row < n_rows) {
        s.n_rows = clo_min(n_at_once, n_rows - s.row);
        ok = convert_slice(j, &s, err) && clo_writer_put(out, s.out, s.n_rows * s.to_bytes, err);
        s.row += s.n_rows;
        if (ok) tell(j, s.n_rows * s.to_bytes);
    }
    free(s.out);
    free(s.values);
    return ok;
}

static bool write_tensor(void *ctx, size_t i, clo_writer *out, clo_err *err)
{
    job *j = (job *)ctx;
    const clo_tensor *from = j->from[i], *to = &j->to[i];
    if (to->bytes == 0) return true;
    if (to->dtype != from->dtype) return convert_tensor(j, from, to, out, err);
    if (!clo_writer_put(out, from->data, from->bytes, err)) return false;
    tell(j, from->bytes);
    return true;
}

static bool write_file(job *j, const char *path, clo_err *err)
{
    clo_gguf_writer *w = NULL;
    if (!clo_gguf_writer_new(&w, err)) return false;
    for (size_t i = 0; i < j->ck.gguf->n_kv; i++)
        clo_gguf_put_kv(w, &j->ck.gguf->kv[i]);
    clo_gguf_put_u32(w, "general.quantization_version", 2);
    clo_gguf_put_u32(w, "general.file_type", j->opts->type->ftype);
    for (size_t i = 0; i < j->stats.n_tensors; i++)
        clo_gguf_put_tensor(w, &j->to[i]);
    bool ok = clo_gguf_write(w, path, write_tensor, j, err);
    clo_gguf_writer_free(w);
    return ok;
}

bool clo_requantize(const char *in, const char *out, const clo_requantize_opts *opts, clo_requantize_stats *stats,
                    clo_err *err)
{
    job j = {.opts = opts};
    bool ok = false;

    if (!clo_checkpoint_open(&j.ck, in, err)) goto done;
    if (j.ck.container != CLO_CONTAINER_GGUF) {
        (void)clo_fail(err, CLO_ERR_UNSUPPORTED, "'%s' is no GGUF file", in);
        goto done;
    }
    if (!plan(&j, err)) goto done;
    if (!clo_pool_open(&j.pool, opts->n_threads, err)) goto done;
    j.thread_err = (clo_err *)calloc(clo_pool_threads(j.pool), sizeof *j.thread_err);
    if (!j.thread_err) {
        (void)clo_fail(err, CLO_ERR_MEMORY, "no memory for threads");
        goto done;
    }
    ok = write_file(&j, out, err);
    if (stats) *stats = j.stats;
done:
    if (!ok) clo_err_context(err, "quantise '%s'", in);
    clo_pool_close(j.pool);
    free(j.thread_err);
    free(j.to);
    free(j.from);
    clo_checkpoint_close(&j.ck);
    return ok;
}
