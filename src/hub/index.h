/* What lists and pages know of a repository without reading its files: the card at the head of main, tags, task, library.
 *
 *   repo_cards   a row of each repository, as of a commit
 *   repo_tags    its tags once more, to find repositories by, and "pipeline_tag:TASK", "library:NAME"
 *   repo_sets    which may have a tag, or three letters in their names (index_sets.h)
 *
 * Rows are renewed in the transaction that moves main (refs.h), makes, renames or removes a repository (repo.h), so lists
 * never lag behind. A card that cannot be read is no card: whoever pushed it was told, or used git.
 *
 *   clo_index_facts f = {0};
 *   if (!clo_index_facts_at(&f, g, CLO_REPO_MODEL, &commit, &err)) ...          // of any commit
 *   if (!clo_index_get(&f, &at, &found, db, repo.id, true, &err)) ...           // the row */
#ifndef CLO_HUB_INDEX_H
#define CLO_HUB_INDEX_H

#include "base/json.h"
#include "hub/repo.h"
#include "hub/tree.h"

#define CLO_INDEX_FILES_MAX 2000             /* of a repository that are looked at for tags, in git's order */
#define CLO_INDEX_CONFIG_MAX ((size_t)1 << 20) /* bytes of a config.json that is read */
#define CLO_INDEX_WORD_MAX 128

typedef struct {
    json_t *card;   /* owned: the front matter; NULL: none */
    json_t *tags;   /* owned: an array of texts */
    json_t *config; /* owned: architectures and model_type of config.json; NULL: none */
    char task[CLO_INDEX_WORD_MAX], library[CLO_INDEX_WORD_MAX]; /* "": none */
} clo_index_facts;

void clo_index_facts_free(clo_index_facts *f);
/* From the files of a commit. What is no commit has no facts. */
CLO_CHECK bool clo_index_facts_at(clo_index_facts *out, clo_git *g, clo_repo_type type, const clo_oid *commit, clo_err *err);
/* From the row; *at is the commit that it is of. cards: whether the card is wanted, which may be long. */
CLO_CHECK bool clo_index_get(clo_index_facts *out, clo_oid *at, bool *found, clo_db *db, int64_t repo, bool cards, clo_err *err);

/* These stand in a transaction. update: main of the handle's repository is at `commit` from now on. */
CLO_CHECK bool clo_index_update(clo_git *g, const clo_oid *commit, clo_err *err);
/* The repository goes. */
CLO_CHECK bool clo_index_forget(clo_db *db, int64_t repo, clo_err *err);

/* The tags of a type that some public repository has, an array for each kind, as clients read them:
 * {"license": [{"id": "license:mit", "label": "mit", "type": "license"}], "pipeline_tag": [...], ...}. */
CLO_CHECK bool clo_index_tags_by_type(json_t **out, clo_db *db, clo_repo_type type, clo_err *err);

#endif
