/* See pack.h: writing. */
#include <openssl/evp.h>

#include "hub/git_impl.h"
#include "hub/pack.h"

#define PIECE_BYTES ((size_t)32 << 10) /* small objects are sent together */

typedef struct {
    clo_pkt_out *out;
    int band;
    EVP_MD_CTX *sha; /* owned */
    clo_buf piece;
} writer;

static void push(writer *w)
{
    clo_pkt_band(w->out, w->band, clo_bytes_of(clo_buf_str(&w->piece)));
    w->piece.len = 0;
}

static bool add(writer *w, const void *p, size_t n)
{
    if (w->piece.len + n > PIECE_BYTES) push(w);
    if (n > PIECE_BYTES) clo_pkt_band(w->out, w->band, (clo_bytes){p, n});
    else clo_buf_add(&w->piece, (clo_str){p, n});
    return EVP_DigestUpdate(w->sha, p, n) == 1 && !w->piece.failed && !w->out->failed;
}

static size_t spell_head(uint8_t out[12], clo_git_kind kind, uint64_t size)
{
    size_t n = 0;
    uint8_t byte = (uint8_t)((unsigned)kind << 4 | (size & 15));
    for (size >>= 4; size; size >>= 7) {
        out[n++] = byte | 0x80;
        byte = size & 0x7f;
    }
    out[n++] = byte;
    return n;
}

static bool add_object(writer *w, clo_git *g, const clo_oid *oid, clo_err *err)
{
    clo_git_row row;
    uint8_t head[12];
    if (!clo_git_row_get(&row, g, oid, err)) return false;
    size_t n = spell_head(head, row.kind, row.size);
    bool ok = add(w, head, n) && add(w, row.deflated.ptr, row.deflated.len);
    clo_git_row_done(g);
    return ok;
}

bool clo_pack_write(clo_pkt_out *out, int band, clo_git *g, const clo_oid *oids, size_t n, clo_err *err)
{
    writer w = {.out = out, .band = band, .sha = EVP_MD_CTX_new(), .piece = {.max = 2 * PIECE_BYTES}};
    uint8_t head[12] = {'P',       'A', 'C', 'K', 0, 0, 0, 2, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
                        (uint8_t)n};
    uint8_t sum[EVP_MAX_MD_SIZE];
    clo_err own = {0};
    if (!err) err = &own;
    bool ok = w.sha && EVP_DigestInit_ex(w.sha, EVP_sha1(), NULL) == 1 && add(&w, head, sizeof head);
    for (size_t i = 0; ok && i < n; i++) ok = add_object(&w, g, &oids[i], err);
    ok = ok && EVP_DigestFinal_ex(w.sha, sum, NULL) == 1;
    if (ok) {
        clo_buf_add(&w.piece, (clo_str){(const char *)sum, CLO_OID_BYTES});
        push(&w);
    }
    EVP_MD_CTX_free(w.sha);
    clo_buf_free(&w.piece);
    if (!clo_pkt_ok(out, err)) return false;
    return ok || err->code != CLO_OK ? ok : clo_fail(err, CLO_ERR_MEMORY, "pack");
}
