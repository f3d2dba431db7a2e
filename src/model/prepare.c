/* Preparing a model: read a checkpoint once, re-lay its weights for the kernels, write the image.
 *
 * Plan, then run: every size is known before a byte is written, the file is allocated whole (so a full disk is an error
 * and not a SIGBUS), tensors are packed one after another by all threads, and pages already done are given back, so the
 * memory in use stays far below the size of the model. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "base/memory.h"
#include "model/gguf.h"
#include "model/model_impl.h"
#include "tensor/pack.h"
#include "tensor/quant.h"

#define ENTRIES_PER_LAYER_MAX CLO_ROLE_COUNT

/* --- the source files ---------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool add_path(clo_source *s, const char *path, clo_arena *keep, clo_err *err)
{
    if (s->n == SOURCE_FILES_MAX) return clo_fail(err, CLO_ERR_LIMIT, "more than %d files", SOURCE_FILES_MAX);
    clo_str copy = clo_arena_copy_str(keep, clo_str_from(path));
    if (!copy.ptr) return clo_arena_full(keep, err);
    s->paths[s->n++] = (char *)(uintptr_t)copy.ptr;
    return true;
}

static bool is_model_file(const char *name)
{
    clo_str s = clo_str_from(name);
    return clo_str_ends_with(s, CLO_STR(".safetensors")) || clo_str_eq(s, CLO_STR("config.json")) ||
           clo_str_eq(s, CLO_STR("generation_config.json")) || clo_str_eq(s, CLO_STR("model.safetensors.index.json")) ||
           clo_str_eq(s, CLO_STR("tokenizer.json")) || clo_str_eq(s, CLO_STR("tokenizer_config.json")) ||
           clo_str_eq(s, CLO_STR("chat_template.jinja")) || clo_str_eq(s, CLO_STR("modules.json")) ||
           clo_str_eq(s, CLO_STR("sentence_bert_config.json"));
}

static bool list_folder(clo_source *s, const char *folder, clo_arena *keep, clo_err *err)
{
    DIR *d = opendir(folder);
    if (!d) return clo_fail_sys(err, errno, "open folder '%s'", folder);
    bool ok = true;
    for (struct dirent *e; ok && (e = readdir(d));) {
        char path[4096];
        if (is_model_file(e->d_name))
            ok = clo_path_join(path, err, "%s/%s", folder, e->d_name) && add_path(s, path, keep, err);
        if (clo_pooling_folder_name(clo_str_from(e->d_name))) {
            ok = ok && clo_path_join(path, err, "%s/%s/config.json", folder, e->d_name);
            if (ok && clo_path_exists(path)) ok = add_path(s, path, keep, err);
        }
    }
    closedir(d);
    if (ok) qsort(s->paths, s->n, sizeof *s->paths, by_name);
    return ok;
}

/* The parts of a split GGUF, found from the name of the first: "...-00001-of-00003.gguf". */
static bool list_gguf(clo_source *s, const char *path, clo_arena *keep, clo_err *err)
{
    clo_str str = clo_str_from(path);
    unsigned i = 0, n = 0;
    int used = 0;
    const char *tail = str.len > 20 ? path + str.len - 20 : "";
    if (sscanf(tail, "-%5u-of-%5u.gguf%n", &i, &n, &used) != 2 || used != 20 || i != 1 || n < 2)
        return add_path(s, path, keep, err);
    for (i = 1; i <= n; i++) {
        char part[4096];
        if (!clo_path_join(part, err, "%.*s-%05u-of-%05u.gguf", (int)(str.len - 20), path, i, n) ||
            !add_path(s, part, keep, err))
            return false;
    }
    return true;
}

bool clo_source_identify(clo_source *out, const char *path, clo_arena *keep, clo_err *err)
{
    *out = (clo_source){.paths = CLO_NEW(keep, char *, SOURCE_FILES_MAX)};
    if (!out->paths) return clo_arena_full(keep, err);
    bool dir = clo_path_is_dir(path);
    if (!(dir ? list_folder(out, path, keep, err) : list_gguf(out, path, keep, err))) return false;
    if (out->n == 0) return clo_fail(err, CLO_ERR_NOT_FOUND, "folder '%s' has no model files", path);
    clo_sha256_ctx c;
    clo_sha256_begin(&c);
    for (size_t i = 0; i < out->n; i++) {
        struct stat st;
        char real[4096];
        if (stat(out->paths[i], &st) || !realpath(out->paths[i], real)) {
            (void)clo_sha256_end(&c);
            return clo_fail_sys(err, errno, "open '%s'", out->paths[i]);
        }
        clo_sha256_add(&c, real, strlen(real) + 1);
        const int64_t facts[5] = {(int64_t)st.st_size, (int64_t)st.st_ino, (int64_t)st.st_dev, st.st_mtim.tv_sec,
                                  st.st_mtim.tv_nsec};
        clo_sha256_add(&c, facts, sizeof facts);
    }
    out->id = clo_sha256_end(&c);
    return true;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Digest of the model: as an OMS root, SHA-256 over the SHA-256 digests of its files in bytewise order of their names:
 * weights, config.json and pooling of a folder, every part of a GGUF (docs/formats/receipt.md). */
static bool model_digest(clo_sha256 *out, const clo_source *src, clo_model_opts opts, clo_err *err)
{
    clo_sha256_ctx root;
    clo_sha256_begin(&root);
    bool ok = true;
    for (size_t i = 0; ok && i < src->n; i++) {
        clo_str name = clo_str_from(base_name(src->paths[i]));
        if (!clo_str_ends_with(name, CLO_STR(".safetensors")) && !clo_str_ends_with(name, CLO_STR(".gguf")) &&
            !clo_str_eq(name, CLO_STR("config.json")) && src->n > 1)
            continue;
        clo_map map;
        ok = clo_map_open(&map, src->paths[i], err);
        if (!ok) break;
        clo_sha256_ctx c;
        clo_sha256_begin(&c);
        const size_t step = (size_t)32 << 20;
        for (size_t off = 0; off < map.bytes.len; off += step) {
            clo_sha256_add(&c, map.bytes.ptr + off, clo_min(step, map.bytes.len - off));
            madvise((void *)(uintptr_t)(map.bytes.ptr + off), clo_min(step, map.bytes.len - off), MADV_DONTNEED);
            if (opts.progress) opts.progress(opts.progress_ctx, "digest", off, map.bytes.len);
        }
        clo_sha256 d = clo_sha256_end(&c);
        clo_sha256_add(&root, d.b, sizeof d.b);
        clo_map_close(&map);
    }
    *out = clo_sha256_end(&root);
    return ok;
}

/* --- the tokenizer ------------------------------------------------------------------------------------------------- */

static bool gguf_has_tokenizer(const clo_gguf *g)
{
    clo_str model = clo_gguf_str(g, "tokenizer.ggml.model", (clo_str){0});
    return model.len && !clo_str_eq(model, CLO_STR("none")) && !clo_str_eq(model, CLO_STR("no_vocab"));
}

static clo_sha256 gguf_tokenizer_digest(const clo_gguf *g)
{
    clo_sha256_ctx c;
    clo_sha256_begin(&c);
    for (size_t i = 0; i < g->n_kv; i++) {
        if (!clo_str_starts_with(g->kv[i].key, CLO_STR("tokenizer."))) continue;
        clo_sha256_add(&c, g->kv[i].key.ptr, g->kv[i].key.len);
        clo_sha256_add(&c, g->kv[i].raw.ptr, g->kv[i].raw.len);
    }
    return clo_sha256_end(&c);
}

static bool open_tokenizer(clo_tok **tok, clo_sha256 *digest, const clo_checkpoint *ck, clo_arena *keep, clo_err *err)
{
    *tok = NULL;
    *digest = (clo_sha256){0};
    if (ck->container == CLO_CONTAINER_GGUF) {
        if (!gguf_has_tokenizer(ck->gguf)) return true;
        *digest = gguf_tokenizer_digest(ck->gguf);
        return clo_tok_open_gguf(tok, ck->gguf, err);
    }
    char path[4096];
    clo_str json;
    if (!clo_path_join(path, err, "%s/tokenizer.json", ck->folder)) return false;
    if (!clo_path_exists(path)) return true;
    if (!clo_tok_open_folder(tok, &json, ck->folder, keep, err)) return false;
    *digest = clo_sha256_of(json.ptr, json.len);
    return true;
}

/* --- the plan ------------------------------------------------------------------------------------------------------ */

struct plan {
    const clo_checkpoint *ck;
    const clo_spec *spec;
    struct prep_entry *entries;    /* [n_entries] in the arena */
    const clo_tensor **tensors;    /* [n_entries] what each is made from */
    size_t n_entries;
    uint64_t end;                  /* bytes laid out so far */
    uint64_t divisors_off[2];
};

static bool is_matrix_role(clo_role r)
{
    return r == CLO_ROLE_Q || r == CLO_ROLE_K || r == CLO_ROLE_V || r == CLO_ROLE_O || r == CLO_ROLE_GATE ||
           r == CLO_ROLE_UP || r == CLO_ROLE_DOWN || r == CLO_ROLE_HEAD;
}

static bool plan_entry(struct plan *p, prep_kind kind, clo_role role, uint32_t i_layer, const clo_tensor *t,
                       clo_err *err)
{
    struct prep_entry e = {.kind = kind, .role = role, .i_layer = i_layer, .dtype = t->dtype};
    e.n_rows = t->n_dims > 1 ? t->dims[0] : 1;
    e.n_cols = t->dims[t->n_dims - 1];
    if (kind == PREP_MATRIX) {
        if (!clo_pack_can(t->dtype, e.n_cols))
            return clo_fail(err, CLO_ERR_UNSUPPORTED, "tensor '" CLO_STR_FMT "': matrices of type %s with %llu columns",
                            CLO_STR_ARG(t->name), clo_dtype_info_of(t->dtype)->name, (unsigned long long)e.n_cols);
        e.bytes = clo_pack_bytes(t->dtype, e.n_rows, e.n_cols);
    } else if (kind == PREP_VECTOR) {
        if (!clo_dequantize_can(t->dtype))
            return clo_fail(err, CLO_ERR_UNSUPPORTED, "tensor '" CLO_STR_FMT "': vectors of type %s",
                            CLO_STR_ARG(t->name), clo_dtype_info_of(t->dtype)->name);
        e.dtype = CLO_DTYPE_F32;
        e.bytes = clo_round_up(e.n_cols, 16) * sizeof(float);
    } else {
        if (!clo_dequantize_can(t->dtype))
            return clo_fail(err, CLO_ERR_UNSUPPORTED, "embedding of type %s", clo_dtype_info_of(t->dtype)->name);
        e.bytes = t->bytes;
    }
    if (e.bytes == 0 || e.bytes > PREP_BYTES_MAX - p->end)
        return clo_fail(err, CLO_ERR_LIMIT, "tensor '" CLO_STR_FMT "' is too large", CLO_STR_ARG(t->name));
    e.off = p->end;
    p->end = clo_round_up(p->end + e.bytes, PREP_ALIGN);
    p->tensors[p->n_entries] = t;
    p->entries[p->n_entries++] = e;
    return true;
}

static bool plan_role(struct plan *p, clo_role role, uint32_t i_layer, clo_err *err)
{
    clo_err why = {0};
    const clo_tensor *t = clo_spec_tensor(p->spec, p->ck, role, i_layer, &why);
    if (!t) {
        if (why.code == CLO_OK) return true; /* this family has none */
        if (err) *err = why;
        return false;
    }
    if (role == CLO_ROLE_EMBED || role == CLO_ROLE_POSITIONS || role == CLO_ROLE_TYPES)
        return plan_entry(p, PREP_ROWS, role, 0, t, err);
    return plan_entry(p, is_matrix_role(role) ? PREP_MATRIX : PREP_VECTOR, role, i_layer, t, err);
}

/* Order of the image: embedding rows and what belongs to them, then layers in the order in which a token reads them, the
 * head last. */
static bool plan_all(struct plan *p, clo_err *err)
{
    bool own_rows = !p->spec->tied || p->spec->encoder;
    if (own_rows && !plan_role(p, CLO_ROLE_EMBED, 0, err)) return false;
    for (int role = CLO_ROLE_POSITIONS; role < CLO_ROLE_FINAL_NORM; role++)
        if (!plan_role(p, (clo_role)role, 0, err)) return false;
    for (uint32_t i = 0; i < p->spec->n_layer; i++)
        for (int role = CLO_ROLE_ATTN_NORM; role < CLO_ROLE_COUNT; role++)
            if (!plan_role(p, (clo_role)role, i, err)) return false;
    if (!plan_role(p, CLO_ROLE_FINAL_NORM, 0, err)) return false;
    if (own_rows) return plan_role(p, CLO_ROLE_HEAD, 0, err);
    const clo_tensor *embed = clo_spec_tensor(p->spec, p->ck, CLO_ROLE_EMBED, 0, err);
    return embed && plan_entry(p, PREP_MATRIX, CLO_ROLE_HEAD, 0, embed, err);
}

/* --- filling ------------------------------------------------------------------------------------------------------- */

/* Row r of the half-split order is row h*d + 2i + p of GGUF's interleaved order, with r = h*d + p*(d/2) + i. */
static uint32_t *unpermute_rows(const clo_spec *s, clo_role role, size_t n_rows)
{
    bool qk = role == CLO_ROLE_Q || role == CLO_ROLE_K || role == CLO_ROLE_Q_BIAS || role == CLO_ROLE_K_BIAS;
    if (!s->qk_permuted || !qk) return NULL;
    uint32_t *map = malloc(n_rows * sizeof *map), d = s->head_dim;
    for (uint32_t r = 0; map && r < n_rows; r++) {
        uint32_t in_head = r % d, part = in_head / (d / 2), i = in_head % (d / 2);
        map[r] = r - in_head + 2 * i + part;
    }
    return map;
}

struct fill_job {
    uint8_t *image;
    const struct prep_entry *e;
    const clo_tensor *t;
    const uint32_t *row_of;
};

static void fill_matrix(void *ctx, size_t i_thread, size_t n_threads)
{
    struct fill_job *j = ctx;
    size_t begin, end;
    clo_split(clo_ceil_div(j->e->n_rows, CLO_PANEL_ROWS), 1, i_thread, n_threads, &begin, &end);
    clo_pack_panels(j->image + j->e->off, (clo_dtype)j->e->dtype, j->t->data, j->e->n_rows, j->e->n_cols, j->row_of,
                    begin, end);
}

static bool is_norm(uint32_t role)
{
    return role == CLO_ROLE_FINAL_NORM || role == CLO_ROLE_ATTN_NORM || role == CLO_ROLE_Q_NORM ||
           role == CLO_ROLE_K_NORM || role == CLO_ROLE_POST_ATTN_NORM || role == CLO_ROLE_FFN_NORM ||
           role == CLO_ROLE_POST_FFN_NORM;
}

static bool fill_vector(const struct fill_job *j, const clo_spec *s, clo_err *err)
{
    size_t n = j->e->n_cols;
    float *y = (float *)(void *)(j->image + j->e->off);
    clo_dequantize_row(j->t->dtype, y, j->t->data, n);
    if (s->norm_plus_one && is_norm(j->e->role))
        for (size_t i = 0; i < n; i++) y[i] += 1.0f;
    if (!j->row_of) return true;
    float *copy = malloc(n * sizeof *copy);
    if (!copy) return clo_fail(err, CLO_ERR_MEMORY, "vector: no memory");
    memcpy(copy, y, n * sizeof *copy);
    for (size_t i = 0; i < n; i++) y[i] = copy[j->row_of[i]];
    free(copy);
    return true;
}

void clo_drop_pages(const uint8_t *p, size_t n)
{
    uintptr_t begin = clo_round_up((uintptr_t)p, 4096), end = ((uintptr_t)p + n) & ~(uintptr_t)4095;
    if (begin < end) madvise((void *)begin, end - begin, MADV_DONTNEED);
}

static bool fill_entry(struct plan *p, size_t i, uint8_t *image, bool in_file, clo_pool *pool, clo_err *err)
{
    const struct prep_entry *e = &p->entries[i];
    const clo_tensor *t = p->tensors[i];
    size_t n_rows = e->kind == PREP_VECTOR ? e->n_cols : e->n_rows;
    uint32_t *row_of = unpermute_rows(p->spec, (clo_role)e->role, n_rows);
    struct fill_job job = {image, e, t, row_of};
    bool ok = true;
    if (e->kind == PREP_ROWS)
        memcpy(image + e->off, t->data, e->bytes);
    else if (e->kind == PREP_VECTOR)
        ok = fill_vector(&job, p->spec, err);
    else if (pool)
        clo_pool_run(pool, fill_matrix, &job);
    else
        fill_matrix(&job, 0, 1);
    free(row_of);
    clo_drop_pages(t->data, t->bytes);
    if (in_file) clo_drop_pages(image + e->off, e->bytes);
    return ok;
}

static void fill_divisors(struct plan *p, struct prep_header *h, uint8_t *image)
{
    for (int i = 0; i < 2; i++) {
        if (!p->spec->rope[i].divisors) continue;
        memcpy(image + p->divisors_off[i], p->spec->rope[i].divisors, p->spec->n_rot / 2 * sizeof(float));
        h->divisors_off[i] = p->divisors_off[i];
    }
}

static void seal_header(struct prep_header *h, uint8_t *image)
{
    memset(&h->meta_digest, 0, sizeof h->meta_digest);
    memcpy(image, h, sizeof *h);
    h->meta_digest = clo_sha256_of(image, h->data_off);
    memcpy(image, h, sizeof *h);
}

/* --- the image ----------------------------------------------------------------------------------------------------- */

struct image {
    uint8_t *ptr;
    size_t bytes;
    clo_writer writer;
    bool in_file;
};

static bool image_open(struct image *im, const char *file_path, size_t bytes, clo_err *err)
{
    *im = (struct image){.bytes = bytes, .in_file = file_path != NULL};
    if (!file_path) {
        im->ptr = clo_huge_alloc(bytes);
        return im->ptr || clo_fail(err, CLO_ERR_MEMORY, "no memory for %zu bytes of weights", bytes);
    }
    if (!clo_writer_open(&im->writer, file_path, err)) return false;
    int e = posix_fallocate(im->writer.fd, 0, (off_t)bytes);
    if (e) return clo_fail_sys(err, e, "allocate %zu bytes for '%s'", bytes, file_path);
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, im->writer.fd, 0);
    if (p == MAP_FAILED) return clo_fail_sys(err, errno, "map %zu bytes", bytes);
    im->ptr = p;
    return true;
}

static void image_abandon(struct image *im)
{
    if (im->ptr && im->in_file) munmap(im->ptr, im->bytes);
    if (!im->in_file) clo_huge_free(im->ptr, im->bytes);
    clo_writer_abandon(&im->writer);
}

static bool fill_image(struct plan *p, struct prep_header *h, struct image *im, clo_str tok, clo_model_opts opts,
                       clo_err *err)
{
    memcpy(im->ptr + h->spec_off, p->spec, sizeof *p->spec);
    memcpy(im->ptr + h->entries_off, p->entries, p->n_entries * sizeof *p->entries);
    if (tok.len) memcpy(im->ptr + h->tok_off, tok.ptr, tok.len);
    fill_divisors(p, h, im->ptr);
    uint64_t done = 0;
    for (size_t i = 0; i < p->n_entries; i++) {
        if (!fill_entry(p, i, im->ptr, im->in_file, opts.pool, err)) return false;
        done += p->entries[i].bytes;
        if (opts.progress) opts.progress(opts.progress_ctx, "prepare", done, p->end);
    }
    seal_header(h, im->ptr);
    return true;
}

static bool prepare_checkpoint(clo_model *m, const clo_checkpoint *ck, const clo_source *src, const char *file_path,
                               clo_model_opts opts, clo_arena *arena, clo_err *err)
{
    clo_spec *spec = CLO_NEW(arena, clo_spec, 1);
    clo_tok *tok = NULL;
    clo_buf tok_blob = {0};
    struct image im = {0};
    struct prep_header h = {.layout = PREP_LAYOUT, .spec_bytes = sizeof(clo_spec), .source = src->id};
    bool ok = false;
    memcpy(h.magic, PREP_MAGIC, 8);

    if (!spec) return clo_arena_full(arena, err);
    if (!clo_spec_read(spec, ck, arena, err)) goto done;
    if (!open_tokenizer(&tok, &h.tok_digest, ck, arena, err)) goto done;
    if (tok && !clo_tok_save(tok, &tok_blob, err)) goto done;

    size_t n_max = (size_t)(spec->n_layer + 1) * ENTRIES_PER_LAYER_MAX;
    struct plan p = {.ck = ck, .spec = spec};
    p.entries = CLO_NEW(arena, struct prep_entry, n_max);
    p.tensors = CLO_NEW(arena, const clo_tensor *, n_max);
    if (!p.entries || !p.tensors) {
        clo_arena_full(arena, err);
        goto done;
    }
    h.spec_off = clo_round_up(sizeof h, PREP_ALIGN);
    h.entries_off = clo_round_up(h.spec_off + sizeof *spec, PREP_ALIGN);
    h.tok_off = clo_round_up(h.entries_off + n_max * sizeof *p.entries, PREP_ALIGN);
    h.tok_bytes = tok_blob.len;
    h.data_off = clo_round_up(h.tok_off + h.tok_bytes, 4096);
    p.end = h.data_off;
    for (int i = 0; i < 2; i++) {
        p.divisors_off[i] = p.end;
        if (spec->rope[i].divisors) p.end = clo_round_up(p.end + spec->n_rot / 2 * sizeof(float), PREP_ALIGN);
    }
    if (!plan_all(&p, err)) goto done;
    h.n_entries = p.n_entries;
    h.total_bytes = p.end;
    snprintf(h.family, sizeof h.family, "%s", spec->family);
    if (!model_digest(&h.model_digest, src, opts, err)) goto done;

    if (!image_open(&im, file_path, p.end, err)) goto done;
    if (!fill_image(&p, &h, &im, clo_buf_str(&tok_blob), opts, err)) goto done;
    if (file_path) {
        ok = clo_writer_commit(&im.writer, err);
    } else {
        m->memory = im.ptr;
        m->memory_bytes = im.bytes;
        im.ptr = NULL;
        ok = clo_model_bind(m, (clo_bytes){m->memory, m->memory_bytes}, err);
    }
done:
    image_abandon(&im);
    clo_buf_free(&tok_blob);
    clo_tok_close(tok);
    return ok;
}

bool clo_prepare(clo_model *m, const char *path, const clo_source *src, const char *file_path, clo_model_opts opts,
                 clo_err *err)
{
    clo_checkpoint ck = {0};
    clo_arena arena = {0};
    bool ok = clo_checkpoint_open(&ck, path, err) && prepare_checkpoint(m, &ck, src, file_path, opts, &arena, err);
    clo_arena_free(&arena);
    clo_checkpoint_close(&ck);
    return ok;
}
