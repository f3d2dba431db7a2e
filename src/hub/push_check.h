/* The look at objects that came in a push. */
#ifndef CLO_HUB_PUSH_CHECK_H
#define CLO_HUB_PUSH_CHECK_H

#include "hub/oid_map.h"
#include "hub/push.h"

/* Every one of the objects, which are staged in g: well formed, by our rules, and what it leads to is there. */
CLO_CHECK bool clo_push_check(clo_git *g, const clo_oid_map *names, const clo_push_opts *o, clo_err *err);

#endif
