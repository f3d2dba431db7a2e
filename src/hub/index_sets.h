/* Which sets (id_set.h) a repository is in: one for each of its tags, and one for each three letters of its ns/name, in lower case, after which
 * stand two blanks, so that its last two letters begin a set's name too. */
#ifndef CLO_HUB_INDEX_SETS_H
#define CLO_HUB_INDEX_SETS_H

#include "hub/id_set.h"

/* In a transaction. */
CLO_CHECK bool clo_index_put_tag(clo_db *db, clo_repo_type type, int64_t repo, clo_str tag, clo_err *err);
CLO_CHECK bool clo_index_put_name(clo_db *db, int64_t repo, clo_err *err);
/* Leaves those that may have the tag; those in whose names the text may stand: a text of one letter says nothing. */
CLO_CHECK bool clo_index_and_tag(clo_id_set *s, clo_db *db, clo_repo_type type, clo_str tag, clo_err *err);
CLO_CHECK bool clo_index_and_text(clo_id_set *s, clo_db *db, clo_repo_type type, clo_str text, clo_err *err);

/* Makes all sets from the tables where that was not done: in data that an earlier program made. A transaction of its own. */
CLO_CHECK bool clo_index_build_sets(clo_db *db, clo_err *err);

#endif
