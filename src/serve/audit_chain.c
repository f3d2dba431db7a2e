/* See audit_impl.h: the chain through lines and files. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/audit_impl.h"

#define SEQ_DIGITS_MAX 19

bool audit_line_is_ours(uint64_t *seq, clo_sha256 *prev, clo_str line)
{
    static const char begin[] = "{\"seq\":", middle[] = ",\"prev\":\"";
    uint64_t n = 0;
    size_t i = strlen(begin), digits = 0;
    if (!clo_str_starts_with(line, CLO_STR("{\"seq\":"))) return false;
    for (; i < line.len && line.ptr[i] >= '0' && line.ptr[i] <= '9' && digits < SEQ_DIGITS_MAX; i++, digits++)
        n = 10 * n + (uint64_t)(line.ptr[i] - '0');
    if (digits == 0 || n == 0 || !clo_str_starts_with(clo_str_from_off(line, i), CLO_STR(",\"prev\":\""))) return false;
    i += strlen(middle);
    if (line.len - i < 64 + 2 || !clo_sha256_parse(prev, line.ptr + i, 64)) return false;
    *seq = n;
    return line.ptr[i + 64] == '"' && line.ptr[i + 65] == ',' && line.ptr[line.len - 1] == '}';
}

bool audit_chain_add(audit_chain *c, clo_str line, clo_err *err)
{
    uint64_t seq = 0;
    clo_sha256 prev = {{0}};
    bool ours = audit_line_is_ours(&seq, &prev, line);
    if (ours && !c->known) { /* torn lines before it are covered by it */
        if (c->seq == 0) c->digest = prev;
        c->seq = seq - 1;
        c->known = true;
    }
    if (ours && seq != c->seq + 1)
        return clo_fail(err, CLO_ERR_MISMATCH, "line %llu follows line %llu", (unsigned long long)seq,
                        (unsigned long long)c->seq);
    if (ours && !clo_sha256_eq(&prev, &c->digest))
        return clo_fail(err, CLO_ERR_MISMATCH, "line %llu does not follow the line before it, which was changed",
                        (unsigned long long)seq);
    if (!ours) c->n_torn++;
    c->seq++;
    c->digest = clo_sha256_of(line.ptr, line.len);
    return true;
}

bool audit_chain_add_all(audit_chain *c, clo_bytes bytes, size_t *n_used,
                         bool (*visit)(void *ctx, const audit_chain *c, clo_str line, clo_err *err), void *ctx, clo_err *err)
{
    clo_str s = clo_str_of(bytes);
    size_t at = 0;
    for (;;) {
        size_t end = clo_str_find(s, at, '\n');
        if (end >= s.len) break;
        const clo_str line = {s.ptr + at, end - at};
        if (!audit_chain_add(c, line, err)) return false;
        if (visit && !visit(ctx, c, line, err)) return false;
        at = end + 1;
    }
    if (n_used) *n_used = at;
    return true;
}

/* audit-<12 digits>.log */
static int is_old(const struct dirent *e)
{
    static const char suffix[] = ".log";
    size_t n = strlen(AUDIT_OLD_PREFIX);
    return strncmp(e->d_name, AUDIT_OLD_PREFIX, n) == 0 && strspn(e->d_name + n, "0123456789") == 12 &&
           strcmp(e->d_name + n + 12, suffix) == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

bool audit_old_names(char ***names, size_t *n, const char *data_dir, clo_err *err)
{
    struct dirent **entries = NULL;
    int k = scandir(data_dir, &entries, is_old, by_name);
    *names = NULL;
    *n = 0;
    if (k < 0) return errno == ENOENT || clo_fail_sys(err, errno, "list '%s'", data_dir);
    bool ok = k <= AUDIT_FILES_MAX || clo_fail(err, CLO_ERR_LIMIT, "%d files of audit logs in '%s'", k, data_dir);
    ok = ok && ((*names = calloc((size_t)k + 1, sizeof **names)) || clo_fail(err, CLO_ERR_MEMORY, "audit logs"));
    for (int i = 0; i < k; i++) {
        if (ok && !((*names)[(*n)++] = strdup(entries[i]->d_name))) ok = clo_fail(err, CLO_ERR_MEMORY, "audit logs");
        free(entries[i]);
    }
    free(entries);
    if (ok) return true;
    audit_free_names(*names, *n);
    *names = NULL;
    *n = 0;
    return false;
}

void audit_free_names(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++) free(names[i]);
    free(names);
}
