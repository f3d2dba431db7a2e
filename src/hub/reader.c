/* See reader.h. */
#include "hub/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "hub/files_impl.h"
#include "hub/terms.h"

/* Stored bytes that are read at once; a chunk with its header always fits. */
#define STEP ((size_t)1 << 20)

struct clo_reader {
    char *data_dir; /* owned copy */
    uint64_t left;  /* bytes still to be given */
    int fd;         /* of the whole file, or of the stretch's xorb; -1: none */
    uint64_t off;   /* whole: of the next byte */
    bool whole;
    clo_cutting cut;  /* owned */
    size_t i_stretch; /* the stretch of it that is read */
    uint64_t skip;    /* bytes of the next chunk that come before what was asked for */
    uint32_t done;    /* stored bytes of the stretch that were taken into `in` */
    uint8_t *in;      /* owned, STEP bytes */
    size_t in_at, in_len;
    uint8_t *raw; /* owned, a chunk that was decoded and is not yet given */
    size_t raw_at, raw_len;
    clo_chunk_decoder *decoder; /* owned */
};

/* --- opening ------------------------------------------------------------------------------------------------------*/

static clo_reader *new_reader(const clo_files *f, uint64_t n, clo_err *err)
{
    clo_reader *r = (clo_reader *)calloc(1, sizeof *r);
    if (r) {
        r->fd = -1;
        r->left = n;
        r->data_dir = strdup(f->data_dir);
        if (r->data_dir) return r;
        free(r);
    }
    clo_fail(err, CLO_ERR_MEMORY, "reader");
    return NULL;
}

static bool open_whole(clo_reader *r, const clo_files *f, const clo_file_info *info, uint64_t off, clo_err *err)
{
    char path[4096], hex[65];
    struct stat st;
    clo_sha256_hex(hex, &info->sha256);
    if (!clo_files_path(path, f, "lfs", hex, err)) return false;
    r->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r->fd < 0 && errno == ENOENT) return clo_fail(err, CLO_ERR_DAMAGED, "'%s' is gone from the data folder", path);
    if (r->fd < 0 || fstat(r->fd, &st)) return clo_fail_sys(err, errno, "open '%s'", path);
    if ((uint64_t)st.st_size != info->size)
        return clo_fail(err, CLO_ERR_DAMAGED, "'%s' is damaged: %llu bytes came in, %lld are there", path,
                        (unsigned long long)info->size, (long long)st.st_size);
    r->whole = true;
    r->off = off;
    return true;
}

/* One of chunks, whose stretches are still to be found. */
static bool new_chunk_reader(clo_reader **out, const clo_files *f, uint64_t n, clo_err *err)
{
    clo_reader *r = new_reader(f, n, err);
    *out = r;
    if (!r) return false;
    r->in = (uint8_t *)malloc(STEP);
    r->raw = (uint8_t *)malloc(CLO_CHUNK_RAW_MAX);
    return (r->in && r->raw) ? clo_chunk_decoder_open(&r->decoder, err) : clo_fail(err, CLO_ERR_MEMORY, "reader");
}

static bool or_close(clo_reader **out, bool ok)
{
    if (ok) return true;
    clo_reader_close(*out);
    *out = NULL;
    return false;
}

bool clo_reader_open_terms(clo_reader **out, const clo_files *f, const clo_terms *terms, uint64_t off, uint64_t n,
                           clo_err *err)
{
    bool ok = new_chunk_reader(out, f, n, err) && clo_terms_cut(&(*out)->cut, f, terms, off, n, err);
    if (ok) (*out)->skip = (*out)->cut.skip;
    return or_close(out, ok);
}

bool clo_reader_open_xorb(clo_reader **out, const clo_files *f, const clo_xet_hash *xorb, uint64_t raw_bytes, clo_err *err)
{
    uint64_t stored = 0;
    if (!or_close(out, new_chunk_reader(out, f, raw_bytes, err) && clo_files_open_xorb(&(*out)->fd, &stored, f, xorb, err))) return false;
    clo_cutting *cut = &(*out)->cut;
    cut->s = (clo_stretch *)calloc(1, sizeof *cut->s);
    if (cut->s) cut->s[cut->n++] = (clo_stretch){.xorb = *xorb, .stored_bytes = (uint32_t)stored, .raw_bytes = raw_bytes};
    return or_close(out, cut->s ? stored <= CLO_XORB_BYTES_MAX || clo_fail(err, CLO_ERR_DAMAGED, "a xorb of more than %zu bytes", CLO_XORB_BYTES_MAX)
                                : clo_fail(err, CLO_ERR_MEMORY, "reader"));
}

static bool open_xet(clo_reader **out, const clo_files *f, const clo_file_info *info, uint64_t off, uint64_t n,
                     clo_err *err)
{
    clo_terms terms = {0};
    bool ok = clo_terms_get(&terms, f, &info->xet, err) && clo_reader_open_terms(out, f, &terms, off, n, err);
    clo_terms_free(&terms);
    return ok;
}

bool clo_reader_open(clo_reader **out, const clo_files *f, const clo_sha256 *sha256, uint64_t off, uint64_t n,
                     clo_err *err)
{
    clo_file_info info;
    bool found;
    char hex[65];
    *out = NULL;
    clo_sha256_hex(hex, sha256);
    if (!clo_files_find(&info, &found, f, sha256, err)) return false;
    if (!found) return clo_fail(err, CLO_ERR_NOT_FOUND, "no file with sha256 %s is here", hex);
    if (off > info.size || n > info.size - off)
        return clo_fail(err, CLO_ERR_USAGE, "bytes %llu to %llu of a file of %llu", (unsigned long long)off,
                        (unsigned long long)(off + n), (unsigned long long)info.size);
    if (!info.whole) return open_xet(out, f, &info, off, n, err);
    clo_reader *r = new_reader(f, n, err);
    if (!r) return false;
    clo_err why = {0};
    if (open_whole(r, f, &info, off, &why)) {
        *out = r;
        return true;
    }
    clo_reader_close(r);
    if (info.has_xet) return open_xet(out, f, &info, off, n, err); /* the sweep may just have taken the whole form */
    if (err) *err = why;
    return false;
}

bool clo_reader_plain(const clo_reader *r, int *fd, uint64_t *off)
{
    if (!r->whole) return false;
    *fd = r->fd;
    *off = r->off;
    return true;
}

void clo_reader_close(clo_reader *r)
{
    if (!r) return;
    if (r->fd >= 0) close(r->fd);
    clo_chunk_decoder_close(r->decoder);
    clo_cutting_free(&r->cut);
    free(r->in);
    free(r->raw);
    free(r->data_dir);
    free(r);
}

/* --- reading ------------------------------------------------------------------------------------------------------*/

static bool read_at(int fd, void *buf, size_t n, uint64_t off, clo_err *err)
{
    uint8_t *p = (uint8_t *)buf;
    while (n) {
        ssize_t k = pread(fd, p, n, (off_t)off);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return clo_fail_sys(err, errno, "read a stored file");
        if (k == 0) return clo_fail(err, CLO_ERR_DAMAGED, "a stored file ends at %llu", (unsigned long long)off);
        p += k;
        off += (uint64_t)k;
        n -= (size_t)k;
    }
    return true;
}

static bool next_stretch(clo_reader *r, clo_err *err)
{
    uint64_t bytes;
    clo_files f = {.data_dir = r->data_dir};
    if (r->fd >= 0) close(r->fd);
    r->fd = -1;
    r->done = 0;
    r->in_at = r->in_len = 0;
    if (r->i_stretch == r->cut.n) return clo_fail(err, CLO_ERR_DAMAGED, "the stretches of a file end early");
    if (clo_files_open_xorb(&r->fd, &bytes, &f, &r->cut.s[r->i_stretch].xorb, err)) return true;
    if (err && err->code == CLO_ERR_NOT_FOUND) err->code = CLO_ERR_DAMAGED;
    return false;
}

/* A chunk with its header stands whole at r->in + r->in_at. */
static bool fill(clo_reader *r, size_t need, clo_err *err)
{
    const clo_stretch *p = &r->cut.s[r->i_stretch];
    size_t have = r->in_len - r->in_at, more = clo_min(STEP - have, p->stored_bytes - r->done);
    if (have >= need) return true;
    if (have + more < need) return clo_fail(err, CLO_ERR_DAMAGED, "a chunk is cut off at %u", p->off + r->done);
    memmove(r->in, r->in + r->in_at, have);
    r->in_at = 0;
    r->in_len = have;
    if (!read_at(r->fd, r->in + have, more, (uint64_t)p->off + r->done, err)) return false;
    r->done += (uint32_t)more;
    r->in_len += more;
    return true;
}

/* The next chunk's header, with its bytes behind it in r->in. */
static bool next_chunk(clo_xorb_chunk *c, clo_reader *r, clo_err *err)
{
    while (r->fd < 0 || (r->in_at == r->in_len && r->done == r->cut.s[r->i_stretch].stored_bytes)) {
        if (r->fd >= 0) r->i_stretch++;
        if (!next_stretch(r, err)) return false;
    }
    if (!fill(r, CLO_CHUNK_HEADER, err)) return false;
    if (!clo_chunk_header(c, (clo_bytes){r->in + r->in_at, CLO_CHUNK_HEADER}, err) || !fill(r, c->stored_len, err)) {
        if (err && err->code != CLO_ERR_IO) err->code = CLO_ERR_DAMAGED;
        return false;
    }
    return true;
}

/* Decodes the next chunk into `to` of `cap` bytes when it fits whole and nothing of it is skipped, else into r->raw. */
static bool take_chunk(clo_reader *r, uint8_t *to, size_t cap, size_t *got, clo_err *err)
{
    clo_xorb_chunk c;
    *got = 0;
    if (!next_chunk(&c, r, err)) return false;
    bool direct = r->skip == 0 && c.raw_len <= cap && c.raw_len <= r->left;
    clo_bytes stored = {r->in + r->in_at + CLO_CHUNK_HEADER, c.stored_len - CLO_CHUNK_HEADER};
    r->in_at += c.stored_len;
    if (r->skip >= c.raw_len) {
        r->skip -= c.raw_len;
        return true;
    }
    if (!clo_chunk_decode(r->decoder, direct ? to : r->raw, c.raw_len, c.scheme, stored, err)) {
        if (err) err->code = CLO_ERR_DAMAGED;
        return false;
    }
    if (direct) {
        *got = c.raw_len;
    } else {
        r->raw_at = (size_t)r->skip;
        r->raw_len = c.raw_len;
        r->skip = 0;
    }
    return true;
}

bool clo_reader_read(clo_reader *r, void *buf, size_t cap, size_t *got, clo_err *err)
{
    uint8_t *to = (uint8_t *)buf;
    size_t want = r->left < cap ? (size_t)r->left : cap, n = 0;
    *got = 0;
    if (r->whole) {
        if (!read_at(r->fd, to, want, r->off, err)) return false;
        r->off += want;
        n = want;
        r->left -= n;
    }
    while (n < want && !r->whole) {
        size_t k = clo_min(r->raw_len - r->raw_at, want - n);
        if (k) {
            memcpy(to + n, r->raw + r->raw_at, k);
            r->raw_at += k;
        } else if (!take_chunk(r, to + n, want - n, &k, err)) {
            return false;
        }
        n += k;
        r->left -= k;
    }
    *got = n;
    return true;
}
