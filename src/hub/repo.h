/* Repositories: rows with a name, a type and settings; their git objects stand in git_db.h.
 *
 *   clo_repo r;
 *   clo_repo_opts o = {.type = CLO_REPO_MODEL, .owner = account_id, .name = CLO_STR("m"), .author = {"alice",
 * "a@x.test"}};
 *   if (!clo_db_begin(db, &err)) ...
 *   if (!clo_repo_create(&r, db, &o, now_s, &err)) clo_db_rollback(db); else if (!clo_db_commit(db, &err)) ...
 *   if (!clo_repo_find(&r, &moved, db, CLO_REPO_MODEL, CLO_STR("Lab/M"), &err)) ...     // CLO_ERR_NOT_FOUND
 *
 * Names are looked up without regard to case and kept as they were given. Who may do what is the caller's to know.
 * Functions that change something stand in a transaction of the caller's. */
#ifndef CLO_HUB_REPO_H
#define CLO_HUB_REPO_H

#include "base/err.h"
#include "base/slice.h"
#include "hub/author.h"
#include "hub/oid.h"
#include "store/db.h"

#define CLO_REPO_NAME_MAX 97 /* bytes, with the NUL, of each half of an id */
#define CLO_REPO_ID_MAX (2 * CLO_REPO_NAME_MAX)

typedef enum {
    CLO_REPO_MODEL,
    CLO_REPO_DATASET,
    CLO_REPO_SPACE,
    CLO_REPO_TYPES,
} clo_repo_type;

typedef enum {
    CLO_GATED_NO,
    CLO_GATED_AUTO,
    CLO_GATED_MANUAL,
} clo_gated;

typedef struct {
    int64_t id;    /* its row */
    int64_t owner; /* row of the account that is its namespace */
    int64_t maker; /* row of the account that made it; 0: not known */
    clo_repo_type type;
    clo_gated gated;
    bool is_private, disabled;
    bool no_discussions; /* new discussions and pull requests are refused */
    int64_t created_s, modified_s, downloads, likes;
    char oid[25]; /* 24 hex digits: what the API calls _id */
    char ns[CLO_REPO_NAME_MAX], name[CLO_REPO_NAME_MAX];
    char full[CLO_REPO_ID_MAX]; /* ns/name */
} clo_repo;

/* "model", "dataset", "space"; the parse also takes the plural. */
const char *clo_repo_type_name(clo_repo_type t);
bool clo_repo_type_parse(clo_repo_type *out, clo_str s);
const char *clo_gated_name(clo_gated g); /* "no", "auto", "manual" */
/* For the audit log: "model lab/m", or "model lab/m, before lab/old". */
#define CLO_REPO_WORDS_MAX (2 * CLO_REPO_ID_MAX + 32)
void clo_repo_words(char out[CLO_REPO_WORDS_MAX], const clo_repo *r, const char *before);

/* One half of an id: 1 to 96 letters, digits, - _ . of ASCII; begins and ends with a letter, a digit or _; no "--", no
 * "..", no ".git" at its end. CLO_ERR_USAGE says which rule. */
CLO_CHECK bool clo_repo_check_name(clo_str name, clo_err *err);
/* The same for the first half, which may not be a word that addresses use (api, datasets, ...). */
CLO_CHECK bool clo_repo_check_namespace(clo_str ns, clo_err *err);
/* Cuts "ns/name"; CLO_ERR_USAGE when it is not two names. */
CLO_CHECK bool clo_repo_split(clo_str *ns, clo_str *name, clo_str id, clo_err *err);

/* A file of the first commit, beside .gitattributes (which it may replace). */
typedef struct {
    clo_str path;
    clo_bytes bytes;
} clo_repo_file;

typedef struct {
    clo_repo_type type;
    int64_t owner; /* row in accounts */
    int64_t maker; /* likewise; 0: nobody in particular */
    clo_str name;
    bool is_private;
    clo_author author; /* of the first commit */
    const clo_repo_file *files;
    size_t n_files;
} clo_repo_opts;

/* A row and the branch main with one commit, `initial commit`. CLO_ERR_DENIED "you already created this model repo"
 * when the name is taken; CLO_ERR_NOT_FOUND when there is no such account. A redirect that had the name ends. */
CLO_CHECK bool clo_repo_create(clo_repo *out, clo_db *db, const clo_repo_opts *o, int64_t now_s, clo_err *err);
/* A row without commits, for what comes from elsewhere in the same transaction; o->author and o->files are not looked at. */
CLO_CHECK bool clo_repo_create_empty(clo_repo *out, clo_db *db, const clo_repo_opts *o, int64_t now_s, clo_err *err);
/* A new repository with the objects, branches and tags of another; o->type is the other's, o->files are not looked at. */
CLO_CHECK bool clo_repo_duplicate(clo_repo *out, clo_db *db, const clo_repo *from, const clo_repo_opts *o, int64_t now_s,
                                  clo_err *err);
/* All rows that name it: refs, requests, likes, redirects, and what it holds of git objects and large files, which clo_git_sweep
 * and clo_files_sweep take later where no other repository has them. */
CLO_CHECK bool clo_repo_delete(clo_db *db, int64_t repo, clo_err *err);
/* Another name, another namespace, or both. The old id leads to it until somebody takes the old id. CLO_ERR_DENIED
 * "A model repository called ns/name already exists". */
CLO_CHECK bool clo_repo_move(clo_repo *r, clo_db *db, int64_t new_owner, clo_str new_name, int64_t now_s, clo_err *err);

/* By id "ns/name"; *moved tells that the id is an old one and out->full is the one to redirect to. CLO_ERR_NOT_FOUND. */
CLO_CHECK bool clo_repo_find(clo_repo *out, bool *moved, clo_db *db, clo_repo_type type, clo_str id, clo_err *err);
CLO_CHECK bool clo_repo_get(clo_repo *out, clo_db *db, int64_t repo, clo_err *err);
CLO_CHECK bool clo_repo_of_oid(clo_repo *out, bool *found, clo_db *db, const char *oid, clo_err *err);

/* Writes is_private, gated, disabled and no_discussions of r. */
CLO_CHECK bool clo_repo_set(clo_db *db, const clo_repo *r, clo_err *err);
/* Something in it changed at this time. */
CLO_CHECK bool clo_repo_touch(clo_db *db, int64_t repo, int64_t now_s, clo_err *err);

typedef struct {
    clo_repo_type type; /* CLO_REPO_TYPES: all */
    int64_t owner;      /* 0: all */
    clo_str search;     /* a part of the id, in any case; empty: all */
    int64_t after;      /* rows with a greater id than this; 0: from the first */
    size_t limit;       /* 0: no limit */
} clo_repo_filter;

/* Calls fn for each, in the order of making. */
typedef bool clo_repo_fn(void *ctx, const clo_repo *r, clo_err *err);
CLO_CHECK bool clo_repo_each(clo_db *db, const clo_repo_filter *f, clo_repo_fn *fn, void *ctx, clo_err *err);

/* The .gitattributes of a new repository. */
clo_str clo_repo_attributes(clo_repo_type type);

#endif
