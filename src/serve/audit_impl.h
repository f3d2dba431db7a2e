/* The chain of the audit log, as audit.c writes it and audit_verify.c checks it. */
#ifndef CLO_SERVE_AUDIT_IMPL_H
#define CLO_SERVE_AUDIT_IMPL_H

#include "serve/audit.h"

#define AUDIT_FILE "audit.log"
#define AUDIT_OLD_PREFIX "audit-"

/* The last line so far. */
typedef struct {
    uint64_t seq;      /* 0: none */
    clo_sha256 digest; /* zeros: none */
    bool known;        /* false: the first good line says where the chain stands */
    uint64_t n_torn;   /* lines that are not ours: torn by a crash */
} audit_chain;

/* Whether a line begins as ours do: {"seq":N,"prev":"<hex>", */
bool audit_line_is_ours(uint64_t *seq, clo_sha256 *prev, clo_str line);
/* Takes the next line (without its newline). CLO_ERR_MISMATCH when number or digest do not follow. */
CLO_CHECK bool audit_chain_add(audit_chain *c, clo_str line, clo_err *err);
/* Takes all complete lines of bytes; *n_used (may be NULL): up to the last newline. `visit` (may be NULL) sees each
 * (without its newline) once the chain has taken it; false ends it, with err set. */
CLO_CHECK bool audit_chain_add_all(audit_chain *c, clo_bytes bytes, size_t *n_used,
                                   bool (*visit)(void *ctx, const audit_chain *c, clo_str line, clo_err *err), void *ctx,
                                   clo_err *err);

/* Names of the rotated files in order, at most AUDIT_FILES_MAX; freed with audit_free_names. */
#define AUDIT_FILES_MAX 100000
CLO_CHECK bool audit_old_names(char ***names, size_t *n, const char *data_dir, clo_err *err);
void audit_free_names(char **names, size_t n);

#endif
