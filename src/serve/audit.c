/* See audit.h: writing. audit_chain.c has the chain, audit_verify.c checks a whole log. */
#include "serve/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "serve/audit_impl.h"

#define ROTATE_BYTES ((uint64_t)64 << 20)
#define BATCH_BYTES_MAX ((size_t)256 << 20)

struct clo_audit {
    char dir[4096], path[4096];
    uint64_t rotate_bytes;
    int fd;               /* of the current file; -1: none */
    uint64_t read_bytes;  /* of it, up to the last newline, that `chain` has taken */
    bool torn;            /* there is more after that: to be closed by a newline */
    audit_chain chain;
};

/* --- a record as text ---------------------------------------------------------------------------------------------*/

static void set_str(json_t *o, const char *name, clo_str s)
{
    if (s.len == 0) return;
    json_t *v = json_stringn(s.ptr, s.len);
    if (!v) { /* not UTF-8: what is ASCII stays */
        clo_buf b = {.max = CLO_AUDIT_TEXT_MAX};
        for (size_t i = 0; i < s.len; i++) clo_buf_add_char(&b, (unsigned char)s.ptr[i] < 0x80 ? s.ptr[i] : '?');
        v = json_stringn(clo_buf_str(&b).ptr, clo_buf_str(&b).len);
        clo_buf_free(&b);
    }
    json_object_set_new(o, name, v);
}

/* A text of people's, cut where a character begins. */
static void set_text(json_t *o, const char *name, clo_str s)
{
    char cut[64];
    size_t n = s.len;
    if (n > CLO_AUDIT_TEXT_MAX) {
        n = CLO_AUDIT_TEXT_MAX;
        n -= clo_utf8_incomplete_tail((clo_str){s.ptr, n});
        snprintf(cut, sizeof cut, "%s_bytes", name);
        json_object_set_new(o, cut, json_integer((json_int_t)s.len));
    }
    set_str(o, name, (clo_str){s.ptr, n});
}

static void set_digest(json_t *o, const char *name, const clo_sha256 *d)
{
    char hex[65];
    if (!d) return;
    clo_sha256_hex(hex, d);
    json_object_set_new(o, name, json_sprintf("sha256:%s", hex));
}

static void set_time(json_t *o, int64_t at_ms)
{
    time_t s = (time_t)(at_ms / 1000);
    struct tm t = {0};
    char text[64];
    size_t n = gmtime_r(&s, &t) ? strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &t) : 0;
    snprintf(text + n, sizeof text - n, ".%03dZ", (int)(at_ms % 1000));
    json_object_set_new(o, "at", json_string(text));
}

void clo_audit_render(clo_buf *out, const clo_audit_record *r)
{
    json_t *o = json_object();
    set_time(o, r->at_ms);
    set_str(o, "event", clo_str_from(r->event));
    set_str(o, "key", r->key);
    set_str(o, "user", r->user);
    set_str(o, "request", r->request);
    set_str(o, "route", r->route);
    set_str(o, "model", r->model);
    set_digest(o, "model_digest", r->model_digest);
    if (r->counts) {
        json_object_set_new(o, "prompt_tokens", json_integer((json_int_t)r->n_prompt));
        json_object_set_new(o, "cached_tokens", json_integer((json_int_t)r->n_cached));
        json_object_set_new(o, "output_tokens", json_integer((json_int_t)r->n_output));
        json_object_set_new(o, "ms", json_integer((json_int_t)r->ms));
    }
    set_str(o, "finish", r->finish);
    if (r->status) json_object_set_new(o, "status", json_integer(r->status));
    set_digest(o, "receipt", r->receipt);
    set_str(o, "note", r->note);
    set_text(o, "prompt", r->prompt);
    set_text(o, "answer", r->answer);
    char *text = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);
    if (text) clo_buf_add(out, clo_str_from(text));
    else out->failed = true;
    free(text);
    json_decref(o);
}

/* --- the current file ---------------------------------------------------------------------------------------------*/

/* Brings the chain up to the end of the file that fd is. */
static bool catch_up(clo_audit *a, clo_err *err)
{
    struct stat st;
    clo_map m = {0};
    size_t n = 0;
    char self[64];
    if (fstat(a->fd, &st)) return clo_fail_sys(err, errno, "stat '%s'", a->path);
    if ((uint64_t)st.st_size == a->read_bytes) {
        a->torn = false;
        return true;
    }
    snprintf(self, sizeof self, "/proc/self/fd/%d", a->fd);
    if (!clo_map_open(&m, self, err)) return false;
    bool ok = m.bytes.len >= a->read_bytes ||
              clo_fail(err, CLO_ERR_DAMAGED, "'%s' has become shorter", a->path);
    if (ok) {
        clo_bytes rest = {m.bytes.ptr + a->read_bytes, m.bytes.len - a->read_bytes};
        ok = audit_chain_add_all(&a->chain, rest, &n, NULL, NULL, err);
        a->read_bytes += n;
        a->torn = n < rest.len;
    }
    clo_map_close(&m);
    return ok;
}

/* The chain as of the end of the newest rotated file. */
static bool read_newest_old(clo_audit *a, clo_err *err)
{
    char **names = NULL, path[4096];
    size_t n = 0;
    clo_map m = {0};
    if (!audit_old_names(&names, &n, a->dir, err)) return false;
    bool ok = true;
    a->chain = (audit_chain){.known = n == 0};
    if (n > 0) {
        ok = clo_path_join(path, err, "%s/%s", a->dir, names[n - 1]) && clo_map_open(&m, path, err) &&
             audit_chain_add_all(&a->chain, m.bytes, NULL, NULL, NULL, err);
        clo_map_close(&m);
    }
    audit_free_names(names, n);
    return ok;
}

/* Whether the file begins with a line that says where the chain stands. */
static bool begins_well(int fd)
{
    char head[256];
    uint64_t seq;
    clo_sha256 prev;
    ssize_t n = pread(fd, head, sizeof head - 1, 0);
    if (n <= 0) return false;
    head[n] = '}'; /* stands for the rest of the line */
    return audit_line_is_ours(&seq, &prev, (clo_str){head, (size_t)n + 1});
}

/* Reads the state from the files, for a file just opened and locked. */
static bool read_state(clo_audit *a, clo_err *err)
{
    a->read_bytes = 0;
    a->chain = (audit_chain){0};
    if (!begins_well(a->fd) && !read_newest_old(a, err)) return false;
    return catch_up(a, err);
}

/* Opens the current file and locks it; again when another process rotated it in between. */
static bool open_locked(clo_audit *a, clo_err *err)
{
    struct stat here, there;
    for (;;) {
        int fd = open(a->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
        if (fd < 0) return clo_fail_sys(err, errno, "open '%s'", a->path);
        clo_file_give_to_owner(fd, a->dir);
        while (flock(fd, LOCK_EX) && errno == EINTR) {}
        if (fstat(fd, &here) == 0 && stat(a->path, &there) == 0 && here.st_ino == there.st_ino) {
            a->fd = fd;
            return true;
        }
        close(fd);
    }
}

static bool sync_dir(const clo_audit *a, clo_err *err)
{
    int fd = open(a->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (!ok) clo_fail_sys(err, errno, "sync folder '%s'", a->dir);
    if (fd >= 0) close(fd);
    return ok;
}

/* Locks the current file and brings the state up to it. */
static bool lock_current(clo_audit *a, clo_err *err)
{
    struct stat here, there;
    if (a->fd >= 0) {
        while (flock(a->fd, LOCK_EX) && errno == EINTR) {}
        if (fstat(a->fd, &here) == 0 && stat(a->path, &there) == 0 && here.st_ino == there.st_ino)
            return catch_up(a, err);
        close(a->fd);
        a->fd = -1;
    }
    return open_locked(a, err) && sync_dir(a, err) && read_state(a, err);
}

/* Names the full file after its first line and begins another, which stays locked. */
static bool rotate(clo_audit *a, clo_err *err)
{
    char head[256] = {0}, old[4096];
    uint64_t first = 0;
    clo_sha256 prev;
    ssize_t n = pread(a->fd, head, sizeof head - 2, 0);
    if (n > 0) head[n] = '}';
    if (n <= 0 || !audit_line_is_ours(&first, &prev, (clo_str){head, (size_t)n + 1})) return true; /* a torn beginning */
    if (!clo_path_join(old, err, "%s/" AUDIT_OLD_PREFIX "%012llu.log", a->dir, (unsigned long long)first)) return false;
    if (rename(a->path, old)) return clo_fail_sys(err, errno, "rename '%s'", a->path);
    close(a->fd);
    a->fd = -1;
    a->read_bytes = 0;
    return open_locked(a, err) && sync_dir(a, err) && read_state(a, err);
}

/* --- the log ------------------------------------------------------------------------------------------------------*/

static void unlock(clo_audit *a)
{
    if (a->fd >= 0) flock(a->fd, LOCK_UN);
}

bool clo_audit_open(clo_audit **out, const char *data_dir, uint64_t rotate_bytes, clo_err *err)
{
    clo_audit *a = calloc(1, sizeof *a);
    *out = NULL;
    if (!a) return clo_fail(err, CLO_ERR_MEMORY, "audit log");
    a->fd = -1;
    a->rotate_bytes = rotate_bytes ? rotate_bytes : ROTATE_BYTES;
    bool ok = clo_mkdir_p(data_dir, err) && clo_path_join(a->dir, err, "%s", data_dir) &&
              clo_path_join(a->path, err, "%s/" AUDIT_FILE, data_dir) && lock_current(a, err);
    unlock(a);
    if (ok) {
        *out = a;
        return true;
    }
    if (err && err->code == CLO_ERR_MISMATCH) err->code = CLO_ERR_DAMAGED;
    clo_err_context(err, "audit log '%s'", a->path);
    clo_audit_close(a);
    return false;
}

void clo_audit_close(clo_audit *a)
{
    if (!a) return;
    if (a->fd >= 0) close(a->fd);
    free(a);
}

/* The lines to append, and the chain as it is then. */
static bool write_lines(clo_buf *out, audit_chain *c, const clo_str *rendered, size_t n, clo_err *err)
{
    for (size_t i = 0; i < n; i++) {
        char hex[65];
        clo_sha256_hex(hex, &c->digest);
        size_t begin = out->len;
        clo_buf_addf(out, "{\"seq\":%llu,\"prev\":\"%s\",", (unsigned long long)c->seq + 1, hex);
        clo_buf_add(out, clo_str_from_off(rendered[i], 1));
        if (!clo_buf_ok(out, err)) return false;
        if (!audit_chain_add(c, (clo_str){out->ptr + begin, out->len - begin}, err)) return false;
        clo_buf_add_char(out, '\n');
    }
    return clo_buf_ok(out, err);
}

static bool write_all(int fd, clo_str s, clo_err *err)
{
    while (s.len) {
        ssize_t k = write(fd, s.ptr, s.len);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return clo_fail_sys(err, errno, "write");
        s = clo_str_from_off(s, (size_t)k);
    }
    return true;
}

static bool append_locked(clo_audit *a, const clo_str *rendered, size_t n, clo_err *err)
{
    clo_buf text = {.max = BATCH_BYTES_MAX};
    if (a->read_bytes >= a->rotate_bytes && !rotate(a, err)) return false;
    if (a->torn) {
        if (!write_all(a->fd, CLO_STR("\n"), err) || !catch_up(a, err)) return false;
    }
    audit_chain c = a->chain;
    bool ok = write_lines(&text, &c, rendered, n, err) && write_all(a->fd, clo_buf_str(&text), err) &&
              (fdatasync(a->fd) == 0 || clo_fail_sys(err, errno, "sync"));
    if (ok) { /* else the next append reads what is there */
        a->chain = c;
        a->read_bytes += text.len;
    }
    clo_buf_free(&text);
    return ok;
}

bool clo_audit_append(clo_audit *a, const clo_str *rendered, size_t n, clo_err *err)
{
    bool ok = lock_current(a, err) && append_locked(a, rendered, n, err);
    unlock(a);
    if (!ok) clo_err_context(err, "audit log '%s'", a->path);
    return ok;
}

bool clo_audit_store_head(const clo_audit *a, clo_db *db, clo_err *err)
{
    clo_stmt q = {0};
    bool row;
    bool ok = clo_stmt_open(&q, db,
                            "INSERT INTO audit_head (one, seq, digest) VALUES (1, ?1, ?2)"
                            " ON CONFLICT DO UPDATE SET seq = ?1, digest = ?2 WHERE seq < ?1",
                            err) &&
              clo_stmt_int(&q, 1, (int64_t)a->chain.seq, err) &&
              clo_stmt_blob(&q, 2, (clo_bytes){a->chain.digest.b, sizeof a->chain.digest.b}, err) &&
              clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}
