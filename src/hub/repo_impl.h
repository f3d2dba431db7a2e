/* What the files that read rows of repositories share. */
#ifndef CLO_HUB_REPO_IMPL_H
#define CLO_HUB_REPO_IMPL_H

#include "hub/repo.h"

/* Of repos r and accounts a, its namespace. */
#define CLO_REPO_COLUMNS                                                                                                    \
    "SELECT r.id, r.namespace, r.type, r.gated, r.private, r.disabled, r.created, r.modified, r.downloads, r.likes, r.oid," \
    " a.name, r.name, r.maker, r.no_discussions "

CLO_CHECK bool clo_repo_read_row(clo_repo *out, clo_stmt *q, clo_err *err);

#endif
