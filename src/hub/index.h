/* What lists and pages know of a repository without reading its files: the card at the head of main, tags, task, library.
 *
 *   repo_cards   a row of each repository, as of a commit
 *   repo_tags    its tags once more, to find repositories by, and "pipeline_tag:TASK", "library:NAME"
 *   tags         how many public repositories have each; triggers of the database count, whatever changes a row
 *   repo_sets    which may have a tag, or three letters in their names (index_sets.h)
 *
 * Rows are renewed in the transaction that moves main (refs.h), makes, renames or removes a repository (repo.h), so lists
 * never lag behind. A card that cannot be read is no card: whoever pushed it was told, or used git.
 *
 *   clo_index_facts f = {0};
 *   if (!clo_index_facts_at(&f, g, CLO_REPO_MODEL, &commit, &err)) ...          // of any commit
 *   if (!clo_index_read(&row, &found, db, repo.id, true, &err)) ...             // of main */
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

/* The row as it is stored: texts of JSON that were written here, not parsed again. They live until row_end. */
typedef struct {
    clo_oid at;                        /* the commit that it is of */
    clo_str card, tags, config;        /* ptr NULL: none */
    clo_str task, library;             /* empty: none */
    clo_stmt q;
} clo_index_row;

/* cards: whether the card is wanted, which may be long. */
CLO_CHECK bool clo_index_read(clo_index_row *out, bool *found, clo_db *db, int64_t repo, bool cards, clo_err *err);
/* Accepts the zeroed struct. */
void clo_index_row_end(clo_index_row *r);

/* These stand in a transaction. update: main of the handle's repository is at `commit` from now on. */
CLO_CHECK bool clo_index_update(clo_git *g, const clo_oid *commit, clo_err *err);
/* The repository goes. */
CLO_CHECK bool clo_index_forget(clo_db *db, int64_t repo, clo_err *err);

/* The tags of a type that some public repository has. Each has a kind, which clients group them by. */
typedef enum {
    CLO_TAG_LICENSE,
    CLO_TAG_LANGUAGE,
    CLO_TAG_TASK,
    CLO_TAG_LIBRARY,
    CLO_TAG_DATASET,
    CLO_TAG_OTHER,
    CLO_TAG_REGION, /* more of datasets follow */
    CLO_TAG_KINDS = CLO_TAG_REGION + 8
} clo_tag_kind;
const char *clo_tag_kind_name(clo_tag_kind k);

typedef struct {
    clo_tag_kind kind;
    clo_str id, label; /* "license:mit", "mit" */
} clo_tag;
typedef bool clo_tag_fn(void *ctx, const clo_tag *t, clo_err *err);
/* In the order of their bytes. */
CLO_CHECK bool clo_index_each_tag(clo_db *db, clo_repo_type type, clo_tag_fn *fn, void *ctx, clo_err *err);

#endif
