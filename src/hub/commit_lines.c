/* See commit_lines.h. */
#include "hub/commit_lines.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"

#define PATH_BYTES_MAX 4096

struct clo_commit_lines {
    clo_op_fn *fn;
    void *ctx;
    clo_buf line;    /* what of a line has come so far */
    uint64_t off;    /* of the line in the body */
    uint64_t n_seen; /* bytes of the body */
    size_t n_lines, n_ops;
    clo_buf header; /* summary, description and parent, one behind the other */
    size_t n_summary, n_description;
    bool has_header, bad;
};

bool clo_commit_lines_open(clo_commit_lines **out, clo_op_fn *fn, void *ctx, clo_err *err)
{
    clo_commit_lines *p = calloc(1, sizeof *p);
    *out = p;
    if (!p) return clo_fail(err, CLO_ERR_MEMORY, "commit");
    *p = (clo_commit_lines){.fn = fn, .ctx = ctx, .line.max = CLO_COMMIT_LINE_MAX + 1, .header.max = (size_t)1 << 20};
    return true;
}

void clo_commit_lines_close(clo_commit_lines *p)
{
    if (!p) return;
    clo_buf_free(&p->line);
    clo_buf_free(&p->header);
    free(p);
}

clo_commit_header clo_commit_lines_header(const clo_commit_lines *p)
{
    clo_str s = clo_buf_str(&p->header);
    size_t both = p->n_summary + p->n_description;
    return (clo_commit_header){
        {s.ptr, p->n_summary}, {s.ptr + p->n_summary, p->n_description}, clo_str_from_off(s, both)};
}

/* --- base64 (RFC 4648) --------------------------------------------------------------------------------------------*/

static int digit64(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Padding may be left out; line ends may stand between. Bits behind the last byte are zero. */
static bool decode64(clo_buf *out, clo_str s, clo_err *err)
{
    uint32_t bits = 0;
    size_t n = 0, n_digits = 0, n_pad = 0;
    char *p = clo_buf_reserve(out, s.len / 4 * 3 + 3);
    if (!p) return clo_buf_ok(out, err);
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        int v = digit64(c);
        if (c == '\n' || c == '\r') continue;
        if (c == '=') {
            n_pad++;
            continue;
        }
        if (v < 0 || n_pad) return clo_fail(err, CLO_ERR_FORMAT, "base64: a wrong character at %zu", i);
        bits = bits << 6 | (uint32_t)v;
        if (++n_digits % 4 == 0) {
            p[n++] = (char)(bits >> 16 & 255);
            p[n++] = (char)(bits >> 8 & 255);
            p[n++] = (char)(bits & 255);
            bits = 0;
        }
    }
    size_t rest = n_digits % 4;
    bool ok = rest != 1 && n_pad <= 2 && (n_pad == 0 || (rest + n_pad) % 4 == 0) &&
              (rest == 2   ? (bits & 15) == 0
               : rest == 3 ? (bits & 3) == 0
                           : true);
    if (!ok) return clo_fail(err, CLO_ERR_FORMAT, "base64: cut or padded wrong");
    if (rest == 2) p[n++] = (char)(bits >> 4);
    if (rest == 3) {
        p[n++] = (char)(bits >> 10 & 255);
        p[n++] = (char)(bits >> 2 & 255);
    }
    out->len += n;
    return true;
}

bool clo_commit_content(clo_buf *out, clo_str content, clo_str encoding, clo_err *err)
{
    if (clo_str_eq(encoding, CLO_STR("base64"))) return decode64(out, content, err);
    if (encoding.len && !clo_str_eq(encoding, CLO_STR("utf-8")) && !clo_str_eq(encoding, CLO_STR("utf8")))
        return clo_fail(err, CLO_ERR_FORMAT, "'encoding' is base64 or utf-8");
    clo_buf_add(out, content);
    return clo_buf_ok(out, err);
}

/* --- lines --------------------------------------------------------------------------------------------------------*/

/* A text member; absent gives "" unless it is needed. */
static bool text_of(clo_str *out, const json_t *v, const char *key, bool needed, size_t max, clo_err *err)
{
    const json_t *t = json_object_get(v, key);
    *out = CLO_STR("");
    if (!t || json_is_null(t)) return !needed || clo_fail(err, CLO_ERR_FORMAT, "'%s' is missing", key);
    if (!json_is_string(t)) return clo_fail(err, CLO_ERR_FORMAT, "'%s' is no text", key);
    *out = (clo_str){json_string_value(t), json_string_length(t)};
    return out->len <= max || clo_fail(err, CLO_ERR_LIMIT, "'%s': %zu bytes, limit %zu", key, out->len, max);
}

static bool take_header(clo_commit_lines *p, const json_t *v, clo_err *err)
{
    clo_str summary, description, parent;
    if (p->n_lines > 1) return clo_fail(err, CLO_ERR_FORMAT, "the header is the first line");
    if (!text_of(&summary, v, "summary", true, CLO_COMMIT_SUMMARY_MAX, err) ||
        !text_of(&description, v, "description", false, CLO_COMMIT_DESCRIPTION_MAX, err) ||
        !text_of(&parent, v, "parentCommit", false, 40, err))
        return false;
    if (summary.len == 0) return clo_fail(err, CLO_ERR_FORMAT, "'summary' is empty");
    for (size_t i = 0; i < parent.len; i++)
        if (!memchr("0123456789abcdefABCDEF", parent.ptr[i], 22))
            return clo_fail(err, CLO_ERR_FORMAT, "'parentCommit' is no commit id");
    if (parent.len > 0 && parent.len < 5) return clo_fail(err, CLO_ERR_FORMAT, "'parentCommit' has less than 5 digits");
    clo_buf_add(&p->header, summary);
    clo_buf_add(&p->header, description);
    clo_buf_add(&p->header, parent);
    p->n_summary = summary.len;
    p->n_description = description.len;
    p->has_header = true;
    return clo_buf_ok(&p->header, err);
}

static bool give(clo_commit_lines *p, const clo_op *op, clo_err *err)
{
    if (++p->n_ops > CLO_COMMIT_OPS_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "more than %d operations in a commit", CLO_COMMIT_OPS_MAX);
    return p->fn(p->ctx, op, err);
}

static bool take_file(clo_commit_lines *p, const json_t *v, clo_err *err)
{
    clo_op op = {.kind = CLO_OP_FILE};
    clo_str content, encoding;
    clo_buf bytes = {.max = CLO_COMMIT_LINE_MAX};
    if (!text_of(&op.path, v, "path", true, PATH_BYTES_MAX, err) ||
        !text_of(&op.from, v, "oldPath", false, PATH_BYTES_MAX, err) ||
        !text_of(&content, v, "content", true, CLO_COMMIT_LINE_MAX, err) ||
        !text_of(&encoding, v, "encoding", false, 16, err))
        return false;
    bool ok = clo_commit_content(&bytes, content, encoding, err);
    op.content = clo_bytes_of(clo_buf_str(&bytes));
    ok = ok && give(p, &op, err);
    clo_buf_free(&bytes);
    return ok;
}

static bool take_lfs(clo_commit_lines *p, const json_t *v, clo_err *err)
{
    clo_op op = {.kind = CLO_OP_LFS, .size = -1};
    clo_str algo, oid;
    const json_t *size = json_object_get(v, "size");
    if (!text_of(&op.path, v, "path", true, PATH_BYTES_MAX, err) ||
        !text_of(&op.from, v, "oldPath", false, PATH_BYTES_MAX, err) || !text_of(&algo, v, "algo", false, 16, err) ||
        !text_of(&oid, v, "oid", true, 128, err))
        return false;
    if (algo.len && !clo_str_eq(algo, CLO_STR("sha256"))) return clo_fail(err, CLO_ERR_FORMAT, "'algo' is sha256");
    if (!clo_sha256_parse(&op.sha256, oid.ptr, oid.len))
        return clo_fail(err, CLO_ERR_FORMAT, "'oid' has 64 hex digits");
    if (size && !json_is_null(size)) {
        if (!json_is_integer(size) || json_integer_value(size) < 0)
            return clo_fail(err, CLO_ERR_FORMAT, "'size' is a whole number");
        op.size = json_integer_value(size);
    }
    return give(p, &op, err);
}

static bool take_delete(clo_commit_lines *p, clo_op_kind kind, const json_t *v, clo_err *err)
{
    clo_op op = {.kind = kind};
    return text_of(&op.path, v, "path", true, PATH_BYTES_MAX, err) && give(p, &op, err);
}

static bool take_copy(clo_commit_lines *p, const json_t *v, clo_err *err)
{
    clo_op op = {.kind = CLO_OP_COPY};
    return text_of(&op.path, v, "path", true, PATH_BYTES_MAX, err) &&
           text_of(&op.from, v, "srcPath", true, PATH_BYTES_MAX, err) &&
           text_of(&op.from_rev, v, "srcRevision", false, 256, err) && give(p, &op, err);
}

static bool take_value(clo_commit_lines *p, clo_str key, const json_t *v, clo_err *err)
{
    if (!json_is_object(v)) return clo_fail(err, CLO_ERR_FORMAT, "'value' is no object");
    if (clo_str_eq(key, CLO_STR("header"))) return take_header(p, v, err);
    if (!p->has_header) return clo_fail(err, CLO_ERR_FORMAT, "the header is the first line");
    if (clo_str_eq(key, CLO_STR("file"))) return take_file(p, v, err);
    if (clo_str_eq(key, CLO_STR("lfsFile"))) return take_lfs(p, v, err);
    if (clo_str_eq(key, CLO_STR("deletedFile"))) return take_delete(p, CLO_OP_DELETE_FILE, v, err);
    if (clo_str_eq(key, CLO_STR("deletedFolder"))) return take_delete(p, CLO_OP_DELETE_FOLDER, v, err);
    if (clo_str_eq(key, CLO_STR("copyFile"))) return take_copy(p, v, err);
    return clo_fail(err, CLO_ERR_FORMAT, "no operation '%.*s'", (int)(key.len < 40 ? key.len : 40), key.ptr);
}

static bool is_blank(clo_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] != ' ' && s.ptr[i] != '\t' && s.ptr[i] != '\r') return false;
    return true;
}

static bool take_line(clo_commit_lines *p, clo_str line, clo_err *err)
{
    json_t *v = NULL;
    if (is_blank(line)) return true;
    p->n_lines++;
    bool ok = clo_json_parse(&v, line, CLO_COMMIT_LINE_MAX, err);
    if (ok)
        ok = json_is_object(v) ? take_value(p, clo_json_str(v, "key", CLO_STR("")), json_object_get(v, "value"), err)
                               : clo_fail(err, CLO_ERR_FORMAT, "the line is no object");
    json_decref(v);
    if (ok) return true;
    if (err && err->code == CLO_ERR_FORMAT) err->at = p->off;
    clo_err_context(err, "line %zu of the commit", p->n_lines);
    return false;
}

/* The line is what was kept and the rest of it; most pieces hold whole lines, which are read where they lie. */
static bool end_line(clo_commit_lines *p, clo_str rest, clo_err *err)
{
    if (p->line.len == 0) return take_line(p, rest, err);
    clo_buf_add(&p->line, rest);
    if (p->line.failed) return clo_fail(err, CLO_ERR_LIMIT, "a line of more than %zu bytes", CLO_COMMIT_LINE_MAX);
    bool ok = take_line(p, clo_buf_str(&p->line), err);
    p->line.len = 0;
    return ok;
}

static bool add_piece(clo_commit_lines *p, clo_str s, clo_err *err)
{
    for (size_t at = 0; at < s.len;) {
        size_t end = clo_str_find(s, at, '\n');
        clo_str part = {s.ptr + at, end - at};
        if (part.len + p->line.len > CLO_COMMIT_LINE_MAX)
            return clo_fail(err, CLO_ERR_LIMIT, "a line of more than %zu bytes", CLO_COMMIT_LINE_MAX);
        if (end == s.len) {
            clo_buf_add(&p->line, part);
            return clo_buf_ok(&p->line, err);
        }
        size_t whole = p->line.len + part.len;
        if (!end_line(p, part, err)) return false;
        p->off += whole + 1;
        at = end + 1;
    }
    return true;
}

bool clo_commit_lines_add(clo_commit_lines *p, clo_bytes piece, clo_err *err)
{
    if (p->bad) return clo_fail(err, CLO_ERR_USAGE, "the commit was refused already");
    p->n_seen += piece.len;
    bool ok = p->n_seen <= CLO_COMMIT_BODY_MAX
                  ? add_piece(p, clo_str_of(piece), err)
                  : clo_fail(err, CLO_ERR_LIMIT, "a commit of more than %zu bytes", CLO_COMMIT_BODY_MAX);
    p->bad = !ok;
    return ok;
}

bool clo_commit_lines_end(clo_commit_lines *p, clo_err *err)
{
    if (p->bad) return clo_fail(err, CLO_ERR_USAGE, "the commit was refused already");
    bool ok =
        end_line(p, CLO_STR(""), err) && (p->has_header || clo_fail(err, CLO_ERR_FORMAT, "a commit has a header"));
    p->bad = !ok;
    return ok;
}
