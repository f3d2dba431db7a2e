#include "model/model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "base/memory.h"
#include "model/model_impl.h"
#include "tensor/pack.h"
#include "tensor/quant.h"

#define SETTLE_SPARE_BYTES ((uint64_t)256 << 20)
#define SETTLE_PIECE_BYTES ((size_t)16 << 20)
#define SETTLE_BYTES_PER_S 1.5e9 /* slower than this, plus the slack, is slow */
#define SETTLE_SLACK_S 0.003

/* --- binding an image ---------------------------------------------------------------------------------------------- */

static bool inside(uint64_t off, uint64_t bytes, size_t len)
{
    return off <= len && bytes <= len - off;
}

static clo_sha256 meta_digest(const struct prep_header *h, const uint8_t *image)
{
    struct prep_header zeroed = *h;
    memset(&zeroed.meta_digest, 0, sizeof zeroed.meta_digest);
    clo_sha256_ctx c;
    clo_sha256_begin(&c);
    clo_sha256_add(&c, &zeroed, sizeof zeroed);
    clo_sha256_add(&c, image + sizeof zeroed, h->data_off - sizeof zeroed);
    return clo_sha256_end(&c);
}

static bool header_check(const struct prep_header *h, clo_bytes image, clo_err *err)
{
    if (image.len < sizeof *h || memcmp(h->magic, PREP_MAGIC, 8) != 0 || h->layout != PREP_LAYOUT ||
        h->spec_bytes != sizeof(clo_spec))
        return clo_fail(err, CLO_ERR_FORMAT, "prepared file of another layout");
    if (h->total_bytes != image.len || h->data_off < sizeof *h || h->data_off > image.len)
        return clo_fail(err, CLO_ERR_FORMAT, "prepared file: %llu bytes declared, %zu there",
                        (unsigned long long)h->total_bytes, image.len);
    clo_sha256 d = meta_digest(h, image.ptr);
    if (!clo_sha256_eq(&d, &h->meta_digest)) return clo_fail(err, CLO_ERR_FORMAT, "prepared file: header is damaged");
    if (h->n_entries > 64u * (CLO_LAYERS_MAX + 1) || !inside(h->spec_off, sizeof(clo_spec), image.len) ||
        !inside(h->entries_off, h->n_entries * sizeof(struct prep_entry), image.len) ||
        !inside(h->tok_off, h->tok_bytes, image.len))
        return clo_fail(err, CLO_ERR_FORMAT, "prepared file: tables lie outside");
    return true;
}

static void bind_matrix(clo_layer *l, const struct prep_entry *e, clo_matrix w)
{
    switch ((clo_role)e->role) {
    case CLO_ROLE_Q: l->q = w; break;
    case CLO_ROLE_K: l->k = w; break;
    case CLO_ROLE_V: l->v = w; break;
    case CLO_ROLE_O: l->o = w; break;
    case CLO_ROLE_GATE: l->gate = w; break;
    case CLO_ROLE_UP: l->up = w; break;
    case CLO_ROLE_DOWN: l->down = w; break;
    default: break;
    }
}

static void bind_vector(clo_layer *l, const struct prep_entry *e, const float *v)
{
    switch ((clo_role)e->role) {
    case CLO_ROLE_Q_BIAS: l->q_bias = v; break;
    case CLO_ROLE_K_BIAS: l->k_bias = v; break;
    case CLO_ROLE_V_BIAS: l->v_bias = v; break;
    case CLO_ROLE_O_BIAS: l->o_bias = v; break;
    case CLO_ROLE_GATE_BIAS: l->gate_bias = v; break;
    case CLO_ROLE_UP_BIAS: l->up_bias = v; break;
    case CLO_ROLE_DOWN_BIAS: l->down_bias = v; break;
    case CLO_ROLE_ATTN_NORM: l->attn_norm = v; break;
    case CLO_ROLE_Q_NORM: l->q_norm = v; break;
    case CLO_ROLE_K_NORM: l->k_norm = v; break;
    case CLO_ROLE_POST_ATTN_NORM: l->post_attn_norm = v; break;
    case CLO_ROLE_FFN_NORM: l->ffn_norm = v; break;
    case CLO_ROLE_POST_FFN_NORM: l->post_ffn_norm = v; break;
    case CLO_ROLE_ATTN_SUM_NORM: l->attn_sum_norm = v; break;
    case CLO_ROLE_ATTN_SUM_NORM_BIAS: l->attn_sum_norm_bias = v; break;
    case CLO_ROLE_FFN_SUM_NORM: l->ffn_sum_norm = v; break;
    case CLO_ROLE_FFN_SUM_NORM_BIAS: l->ffn_sum_norm_bias = v; break;
    default: break;
    }
}

static uint64_t entry_bytes(const struct prep_entry *e)
{
    size_t row = 0, all = 0;
    if (e->kind == PREP_MATRIX) return clo_pack_bytes((clo_dtype)e->dtype, e->n_rows, e->n_cols);
    if (e->kind == PREP_VECTOR) return clo_round_up(e->n_cols, 16) * sizeof(float);
    if (!clo_dtype_row_bytes((clo_dtype)e->dtype, e->n_cols, &row) || !clo_mul(row, e->n_rows, &all)) return UINT64_MAX;
    return all;
}

static bool check_entry(const clo_model *m, const struct prep_entry *e, clo_err *err)
{
    if (e->dtype >= CLO_DTYPE_COUNT || e->off % PREP_ALIGN || e->bytes != entry_bytes(e) ||
        !inside(e->off, e->bytes, m->prepared.len) || e->i_layer >= clo_max(m->spec.n_layer, 1))
        return clo_fail(err, CLO_ERR_FORMAT, "prepared file: entry of role %u is damaged", e->role);
    return true;
}

/* Points m at an entry's data in an image that begins at base. */
static void bind_entry(clo_model *m, const struct prep_entry *e, const uint8_t *base)
{
    const uint8_t *data = base + e->off;
    clo_layer *l = &m->layers[e->i_layer];
    clo_matrix w = {(clo_dtype)e->dtype, e->n_rows, e->n_cols, data};
    if (e->kind == PREP_ROWS)
        *(e->role == CLO_ROLE_POSITIONS ? &m->positions : e->role == CLO_ROLE_TYPES ? &m->types : &m->embed) = w;
    else if (e->kind == PREP_MATRIX && e->role == CLO_ROLE_HEAD)
        m->head = w;
    else if (e->kind == PREP_MATRIX)
        bind_matrix(l, e, w);
    else if (e->role == CLO_ROLE_FINAL_NORM)
        m->final_norm = (const float *)(const void *)data;
    else if (e->role == CLO_ROLE_EMBED_NORM)
        m->embed_norm = (const float *)(const void *)data;
    else if (e->role == CLO_ROLE_EMBED_NORM_BIAS)
        m->embed_norm_bias = (const float *)(const void *)data;
    else
        bind_vector(l, e, (const float *)(const void *)data);
}

/* Names of families are constants of the program; the image holds a copy. */
static const char *family_constant(const char name[16])
{
    static const char *const known[] = {"llama", "qwen2",  "qwen3",   "olmo", "olmo2",
                                        "olmo3", "gemma3", "smollm3", "bert"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strncmp(known[i], name, 16) == 0) return known[i];
    return "unknown";
}

bool clo_model_bind(clo_model *m, clo_bytes image, clo_err *err)
{
    struct prep_header h;
    memcpy(&h, image.ptr, clo_min(sizeof h, image.len));
    if (!header_check(&h, image, err)) return false;
    m->prepared = image;
    memcpy(&m->spec, image.ptr + h.spec_off, sizeof m->spec);
    m->spec.family = family_constant(h.family);
    for (int i = 0; i < 2; i++) {
        m->spec.rope[i].divisors = NULL;
        if (!h.divisors_off[i]) continue;
        if (!inside(h.divisors_off[i], m->spec.n_rot / 2 * sizeof(float), image.len))
            return clo_fail(err, CLO_ERR_FORMAT, "prepared file: rope divisors lie outside");
        m->spec.rope[i].divisors = (const float *)(const void *)(image.ptr + h.divisors_off[i]);
    }
    m->digest = h.model_digest;
    m->tok_digest = h.tok_digest;
    m->layers = calloc(clo_max(m->spec.n_layer, 1), sizeof *m->layers);
    if (!m->layers) return clo_fail(err, CLO_ERR_MEMORY, "layers: no memory");
    const struct prep_entry *entries = (const void *)(image.ptr + h.entries_off);
    for (uint64_t i = 0; i < h.n_entries; i++) {
        if (!check_entry(m, &entries[i], err)) return false;
        bind_entry(m, &entries[i], image.ptr);
        if (entries[i].kind != PREP_ROWS) m->bytes_per_token += entries[i].bytes;
    }
    bool encoder = m->spec.encoder;
    if (!m->head.data != encoder || ((encoder || !m->spec.tied) && !m->embed.data))
        return clo_fail(err, CLO_ERR_FORMAT, "prepared file: no head or no embedding");
    if ((m->spec.learned_positions && !m->positions.data) || (m->spec.n_types > 0 && !m->types.data) ||
        (m->spec.embed_norm && !(m->embed_norm && m->embed_norm_bias)))
        return clo_fail(err, CLO_ERR_FORMAT, "prepared file: a part of the embedding is missing");
    m->main_dtype = m->layers[0].down.data ? m->layers[0].down.dtype : m->head.dtype;
    clo_bytes tok = {image.ptr + h.tok_off, h.tok_bytes};
    return tok.len == 0 || clo_tok_open_compiled(&m->tok, tok, err);
}

/* --- life cycle ------------------------------------------------------------------------------------------------------ */

static void unbind(clo_model *m)
{
    clo_tok_close(m->tok);
    free(m->layers);
    m->tok = NULL;
    m->layers = NULL;
    m->bytes_per_token = 0;
    m->embed = m->head = m->positions = m->types = (clo_matrix){0};
    m->final_norm = m->embed_norm = m->embed_norm_bias = NULL;
}

/* Maps a prepared file made earlier from the same source. False, silently, when there is none that fits. */
static bool open_prepared(clo_model *m, const char *file, const clo_source *src)
{
    if (!clo_map_open(&m->map, file, NULL)) return false;
    struct prep_header h = {0};
    memcpy(&h, m->map.bytes.ptr, clo_min(sizeof h, m->map.bytes.len));
    if (clo_sha256_eq(&h.source, &src->id) && clo_model_bind(m, m->map.bytes, NULL)) {
        madvise((void *)(uintptr_t)m->map.bytes.ptr, m->map.bytes.len, MADV_WILLNEED);
        return true;
    }
    unbind(m);
    clo_map_close(&m->map);
    return false;
}

static bool prepared_path(char file[4096], const char *data_dir, const clo_source *src, clo_err *err)
{
    char hex[65];
    clo_sha256_hex(hex, &src->id);
    return clo_path_join(file, err, "%s/prepared/%.32s.clo", data_dir, hex);
}

static bool open_in(clo_model *m, const char *path, const clo_source *src, clo_model_opts opts, clo_err *err)
{
    char folder[4096], file[4096];
    if (!clo_path_join(folder, err, "%s/prepared", opts.data_dir) || !prepared_path(file, opts.data_dir, src, err))
        return false;
    if (open_prepared(m, file, src)) return true;
    if (!clo_mkdir_p(folder, err) || !clo_prepare(m, path, src, file, opts, err)) return false;
    unbind(m);
    clo_map_close(&m->map);
    return clo_map_open(&m->map, file, err) && clo_model_bind(m, m->map.bytes, err);
}

static bool cannot_write(const clo_err *err)
{
    return err->code == CLO_ERR_IO && (err->sys == EROFS || err->sys == EACCES || err->sys == EPERM);
}

bool clo_model_open(clo_model **out, const char *path, clo_model_opts opts, clo_err *err)
{
    *out = NULL;
    clo_model *m = calloc(1, sizeof *m);
    clo_arena arena = {0};
    clo_source src;
    bool ok = false;
    if (!m) return clo_fail(err, CLO_ERR_MEMORY, "model: no memory");
    if (!clo_source_identify(&src, path, &arena, err)) goto done;
    ok = opts.data_dir ? open_in(m, path, &src, opts, err) : clo_prepare(m, path, &src, NULL, opts, err);
done:
    clo_arena_free(&arena);
    if (ok) {
        *out = m;
        return true;
    }
    clo_model_close(m);
    if (opts.data_dir && opts.not_kept && err && cannot_write(err)) {
        *opts.not_kept = true;
        opts.data_dir = NULL;
        *err = (clo_err){0};
        return clo_model_open(out, path, opts, err);
    }
    clo_err_context(err, "open model '%s'", path);
    return false;
}

void clo_model_forget(const char *path, const char *data_dir)
{
    char file[4096];
    clo_arena arena = {0};
    clo_source src;
    if (clo_source_identify(&src, path, &arena, NULL) && prepared_path(file, data_dir, &src, NULL)) unlink(file);
    clo_arena_free(&arena);
}

void clo_model_close(clo_model *m)
{
    if (!m) return;
    unbind(m);
    clo_map_close(&m->map);
    clo_huge_free(m->memory, m->memory_bytes);
    clo_huge_free(m->settled, m->prepared.len);
    free(m);
}

/* --- settling ----------------------------------------------------------------------------------------------------------- */

struct copy_job {
    uint8_t *to;
    const uint8_t *from;
    size_t n;
};

static void copy_part(void *ctx, size_t i_thread, size_t n_threads)
{
    struct copy_job *j = ctx;
    size_t begin, end;
    clo_split(j->n, 4096, i_thread, n_threads, &begin, &end);
    memcpy(j->to + begin, j->from + begin, end - begin);
}

/* True when there is something to move and memory to move it to. */
static bool settle_begin(clo_model *m, uint64_t n_entries)
{
    uint64_t need = m->prepared.len + m->prepared.len / 4 + SETTLE_SPARE_BYTES;
    if (m->map.mapped && clo_memory_available() >= need) m->settled = clo_huge_alloc(m->prepared.len);
    if (!m->settled) m->settle_entry = n_entries;
    return m->settled;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Piece by piece, so that no more than a piece is held twice. A kernel short of huge pages, or a guest whose memory the
 * host has yet to find, may take long to give them: then the next entry waits, so that settling never costs more than a
 * tenth of the time. */
static void settle_entry(clo_model *m, const struct prep_entry *e, clo_pool *pool)
{
    double begin = seconds();
    for (size_t off = 0, n; off < e->bytes; off += n) {
        n = clo_min(SETTLE_PIECE_BYTES, e->bytes - off);
        struct copy_job j = {m->settled + e->off + off, m->prepared.ptr + e->off + off, n};
        clo_pool_run(pool, copy_part, &j);
        clo_drop_pages(j.from, n);
    }
    bind_entry(m, e, m->settled);
    double end = seconds(), took = end - begin;
    if (took > SETTLE_SLACK_S + (double)e->bytes / SETTLE_BYTES_PER_S) m->settle_not_before = end + 10 * took;
}

bool clo_model_settle(clo_model *m, clo_pool *pool, size_t budget_bytes)
{
    const struct prep_header *h = (const void *)m->prepared.ptr;
    const struct prep_entry *entries = (const void *)(m->prepared.ptr + h->entries_off);
    if (m->settle_entry >= h->n_entries || (!m->settled && !settle_begin(m, h->n_entries))) return false;
    for (size_t moved = 0; m->settle_entry < h->n_entries && moved < budget_bytes; m->settle_entry++) {
        const struct prep_entry *e = &entries[m->settle_entry];
        if (e->kind == PREP_ROWS) continue; /* looked up row by row, never streamed */
        if (seconds() < m->settle_not_before) return true;
        settle_entry(m, e, pool);
        moved += e->bytes;
    }
    return m->settle_entry < h->n_entries;
}

/* --- reading ----------------------------------------------------------------------------------------------------------- */

const clo_spec *clo_model_spec(const clo_model *m)
{
    return &m->spec;
}

const clo_tok *clo_model_tokenizer(const clo_model *m)
{
    return m->tok;
}

clo_sha256 clo_model_digest(const clo_model *m)
{
    return m->digest;
}

clo_sha256 clo_model_tokenizer_digest(const clo_model *m)
{
    return m->tok_digest;
}

uint64_t clo_model_bytes_per_token(const clo_model *m)
{
    return m->bytes_per_token;
}

uint64_t clo_model_bytes(const clo_model *m)
{
    return m->prepared.len;
}

clo_dtype clo_model_main_dtype(const clo_model *m)
{
    return m->main_dtype;
}

const clo_layer *clo_model_layer(const clo_model *m, uint32_t i)
{
    return &m->layers[i];
}

const clo_matrix *clo_model_head(const clo_model *m)
{
    return &m->head;
}

const float *clo_model_final_norm(const clo_model *m)
{
    return m->final_norm;
}

static void look_up(const clo_matrix *table, float *y, size_t i)
{
    size_t row_bytes = 0;
    if (!clo_dtype_row_bytes(table->dtype, table->n_cols, &row_bytes)) abort(); /* checked at binding */
    clo_dequantize_row(table->dtype, y, table->data + i * row_bytes, table->n_cols);
}

void clo_model_embed(const clo_model *m, float *y, int32_t id)
{
    if (m->embed.data) look_up(&m->embed, y, (size_t)id);
    else clo_packed_row(y, &m->head, (size_t)id);
}

void clo_model_position(const clo_model *m, float *y, size_t i)
{
    look_up(&m->positions, y, i);
}

void clo_model_type(const clo_model *m, float *y)
{
    look_up(&m->types, y, 0);
}

const float *clo_model_embed_norm(const clo_model *m, const float **bias)
{
    *bias = m->embed_norm_bias;
    return m->embed_norm;
}
