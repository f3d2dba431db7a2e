/* What statements that show repositories to somebody share. */
#ifndef CLO_HUB_LIST_IMPL_H
#define CLO_HUB_LIST_IMPL_H

#include "hub/list.h"

/* Whether the viewer may see repository r; parameters 3 to 5 are clo_list_bind_viewer's. */
#define CLO_LIST_SEEN                                                                                                      \
    "(?4 OR (r.disabled = 0 AND (r.private = 0 OR r.id = ?5 OR r.namespace = ?3 OR r.namespace IN (SELECT org FROM members" \
    " WHERE user = ?3))))"

CLO_CHECK bool clo_list_bind_viewer(clo_stmt *q, const clo_viewer *v, clo_err *err);

#endif
