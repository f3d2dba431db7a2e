/* What the files of discussions share. See discussion.h. */
#ifndef CLO_HUB_DISCUSSION_IMPL_H
#define CLO_HUB_DISCUSSION_IMPL_H

#include "hub/discussion.h"

/* kind: "comment", "status-change", "commit", "title-change"; `other` may be empty. CLO_ERR_LIMIT when the discussion is full. */
CLO_CHECK bool clo_discussion_add_event(char id[CLO_EVENT_ID_LEN + 1], clo_db *db, const clo_discussion *d,
                                        const char *kind, int64_t by, clo_str text, clo_str other, int64_t now_s,
                                        clo_err *err);
/* Any status, unasked. */
CLO_CHECK bool clo_discussion_put_status(char id[CLO_EVENT_ID_LEN + 1], clo_discussion *d, clo_db *db, int64_t by,
                                         clo_discussion_status status, int64_t now_s, clo_err *err);
/* refs/pr/<num>, at `start` or at the base's head. */
CLO_CHECK bool clo_pull_begin(const clo_discussion *d, clo_git *g, clo_str start, clo_err *err);
/* "refs/pr/7" */
void clo_pull_ref(char out[CLO_REF_NAME_MAX], const clo_discussion *d);

#endif
