/* See refs.h. */
#include "hub/refs.h"

#include <ctype.h>
#include <git2.h>
#include <stdio.h>

#include "base/utf8.h"
#include "hub/index.h"

/* What follows refs/heads/ or refs/tags/; empty for others. */
static clo_str short_name(clo_str name)
{
    static const char *const folders[] = {"refs/heads/", "refs/tags/"};
    for (size_t i = 0; i < 2; i++)
        if (clo_str_starts_with(name, clo_str_from(folders[i]))) return clo_str_from_off(name, strlen(folders[i]));
    return (clo_str){0};
}

bool clo_ref_reads_as_id(clo_str name)
{
    clo_str s = short_name(name);
    size_t n = 0;
    while (n < s.len && isxdigit((unsigned char)s.ptr[n])) n++;
    return s.len == 40 && n == 40;
}

bool clo_ref_name_ok(clo_str name)
{
    char text[CLO_REF_NAME_MAX];
    int valid = 0;
    clo_str called = short_name(name);
    if (name.len >= sizeof text || !clo_str_starts_with(name, CLO_STR("refs/")) || memchr(name.ptr, 0, name.len) || !clo_utf8_valid(name))
        return false;
    if (clo_str_starts_with(called, CLO_STR("-")) || clo_str_eq(called, CLO_STR("HEAD")) || clo_str_starts_with(called, CLO_STR("refs/")))
        return false;
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    return git_reference_name_is_valid(&valid, text) == 0 && valid;
}

static bool open_for(clo_stmt *q, clo_git *g, const char *sql, clo_str name, clo_err *err)
{
    return clo_stmt_open(q, clo_git_store(g), sql, err) && clo_stmt_int(q, 1, clo_git_repo(g), err) &&
           clo_stmt_text(q, 2, name, err);
}

static bool take_oid(clo_oid *out, clo_bytes b, clo_str name, clo_err *err)
{
    if (b.len != CLO_OID_BYTES)
        return clo_fail(err, CLO_ERR_DAMAGED, "ref '" CLO_STR_FMT "': a target of %zu bytes", CLO_STR_ARG(name), b.len);
    memcpy(out->b, b.ptr, CLO_OID_BYTES);
    return true;
}

bool clo_ref_get(clo_oid *out, bool *found, clo_git *g, clo_str name, clo_err *err)
{
    clo_stmt q = {0};
    *found = false;
    bool ok = open_for(&q, g, "SELECT target FROM refs WHERE repo = ?1 AND name = ?2", name, err) &&
              clo_stmt_step(&q, found, err) && (!*found || take_oid(out, clo_stmt_get_blob(&q, 0), name, err));
    clo_stmt_close(&q);
    return ok;
}

/* A ref whose name is a folder of another's, or the other way round, could not stand beside it in a clone. */
static bool fits_in(clo_git *g, clo_str name, clo_err *err)
{
    clo_stmt q = {0};
    char inside[CLO_REF_NAME_MAX + 1], after[CLO_REF_NAME_MAX + 1];
    bool row = false, ok = true;
    snprintf(inside, sizeof inside, "%.*s/", (int)name.len, name.ptr);
    snprintf(after, sizeof after, "%.*s0", (int)name.len, name.ptr); /* '0' follows '/' */
    ok = open_for(&q, g, "SELECT 1 FROM refs WHERE repo = ?1 AND name >= ?2 AND name < ?3 LIMIT 1",
                  clo_str_from(inside), err) &&
         clo_stmt_text(&q, 3, clo_str_from(after), err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    for (size_t end = clo_str_find(name, 5, '/'); ok && !row && end < name.len;
         end = clo_str_find(name, end + 1, '/')) {
        clo_oid at;
        ok = clo_ref_get(&at, &row, g, (clo_str){name.ptr, end}, err);
    }
    if (!ok || !row) return ok;
    return clo_fail(err, CLO_ERR_DENIED, "Reference " CLO_STR_FMT " would stand in the way of another",
                    CLO_STR_ARG(name));
}

/* In the transaction of the change: *found and whether the ref is what it must be. */
static bool compare(bool *found, clo_git *g, clo_str name, const clo_oid *old, clo_err *err)
{
    clo_oid now = {{0}};
    char a[CLO_OID_HEX], b[CLO_OID_HEX];
    if (!clo_db_writing(clo_git_store(g))) return clo_fail(err, CLO_ERR_USAGE, "refs are changed in a transaction");
    if (!clo_ref_get(&now, found, g, name, err)) return false;
    if (!old || clo_oid_eq(&now, old)) return true;
    clo_oid_hex(a, &now);
    clo_oid_hex(b, old);
    return clo_fail(err, CLO_ERR_MISMATCH, "ref '" CLO_STR_FMT "' is at %s, not at %s", CLO_STR_ARG(name), a, b);
}

bool clo_ref_set(clo_git *g, clo_str name, const clo_oid *target, const clo_oid *old, clo_err *err)
{
    clo_stmt q = {0};
    bool row, found = false;
    if (!clo_ref_name_ok(name))
        return clo_fail(err, CLO_ERR_USAGE, "'" CLO_STR_FMT "' is no name for a ref", CLO_STR_ARG(name));
    if (!compare(&found, g, name, old, err) || (!found && !fits_in(g, name, err))) return false;
    bool ok =
        open_for(&q, g,
                 "INSERT INTO refs (repo, name, target) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET target = ?3",
                 name, err) &&
        clo_stmt_blob(&q, 3, (clo_bytes){target->b, CLO_OID_BYTES}, err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok && (!clo_str_eq(name, CLO_STR("refs/heads/main")) || clo_index_update(g, target, err));
}

bool clo_ref_delete(clo_git *g, clo_str name, const clo_oid *old, clo_err *err)
{
    clo_stmt q = {0};
    bool row, found = false;
    if (!compare(&found, g, name, old, err)) return false;
    if (!found) return clo_fail(err, CLO_ERR_NOT_FOUND, "no ref '" CLO_STR_FMT "'", CLO_STR_ARG(name));
    bool ok =
        open_for(&q, g, "DELETE FROM refs WHERE repo = ?1 AND name = ?2", name, err) && clo_stmt_step(&q, &row, err);
    clo_stmt_close(&q);
    return ok;
}

bool clo_ref_each(clo_git *g, clo_str prefix, clo_ref_fn *fn, void *ctx, clo_err *err)
{
    clo_stmt q = {0};
    clo_ref r;
    bool row = false;
    bool ok =
        open_for(&q, g, "SELECT name, target FROM refs WHERE repo = ?1 AND name >= ?2 ORDER BY name", prefix, err);
    while (ok && (ok = clo_stmt_step(&q, &row, err)) && row) {
        clo_str name = clo_stmt_get_str(&q, 0);
        if (!clo_str_starts_with(name, prefix)) break;
        if (name.len >= sizeof r.name) {
            ok = clo_fail(err, CLO_ERR_DAMAGED, "a ref with a name of %zu bytes", name.len);
            break;
        }
        memcpy(r.name, name.ptr, name.len);
        r.name[name.len] = '\0';
        ok = take_oid(&r.target, clo_stmt_get_blob(&q, 1), name, err) && fn(ctx, &r, err);
    }
    clo_stmt_close(&q);
    return ok;
}
