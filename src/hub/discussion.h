/* Discussions of a repository, and pull requests: discussions with a branch refs/pr/<number> that is to be merged. Both are
 * numbered together, from 1, and are a list of events: comments, changes of title and status, commits.
 *
 *   clo_discussion d;
 *   clo_discussion_opts o = {.title = CLO_STR("Add a card"), .text = CLO_STR("As asked."), .by = user, .is_pull = true};
 *   if (clo_db_begin(db, &err) && clo_discussion_create(&d, g, &o, now_s, &err) && clo_db_commit(db, &err)) ...
 *   if (!clo_discussion_find(&d, db, repo.id, 1, &err)) ...                                 // CLO_ERR_NOT_FOUND
 *   char event[CLO_EVENT_ID_LEN + 1];
 *   if (!clo_discussion_comment(event, &d, db, user, CLO_STR("Thank you"), now_s, &err)) ...
 *   if (!clo_discussion_merge(event, &d, g, user, &author, now_s, &err)) ...                // CLO_ERR_MISMATCH: conflicts
 *
 * A pull request begins as a draft, which is merged once it was opened. Who may do what is the caller's to know. Functions
 * that change something stand in a transaction of the caller's and keep the struct up to date; a handle g is closed after
 * a rollback. Times are seconds since 1970. */
#ifndef CLO_HUB_DISCUSSION_H
#define CLO_HUB_DISCUSSION_H

#include "base/json.h"
#include "hub/account.h"
#include "hub/author.h"
#include "hub/refs.h"

#define CLO_EVENT_ID_LEN 24          /* hex digits */
#define CLO_DISCUSSION_TITLE_MAX 200 /* characters */
#define CLO_DISCUSSION_TITLE_BYTES (4 * CLO_DISCUSSION_TITLE_MAX + 1)
#define CLO_DISCUSSION_TEXT_MAX 65536      /* bytes of one comment */
#define CLO_DISCUSSION_EVENTS_MAX 5000     /* of one discussion */
#define CLO_DISCUSSION_BYTES_MAX (4 << 20) /* of all texts of one discussion, earlier ones of edited comments too */
#define CLO_PULL_COMMITS_MAX 250           /* of one push that become events; the oldest */
#define CLO_PULL_CONFLICTS_MAX 1000        /* paths that are named */

typedef enum {
    CLO_DISCUSSION_DRAFT,
    CLO_DISCUSSION_OPEN,
    CLO_DISCUSSION_CLOSED,
    CLO_DISCUSSION_MERGED
} clo_discussion_status;

typedef struct {
    int64_t repo, num;
    int64_t author; /* 0: the account is gone */
    char author_name[CLO_ACCOUNT_NAME_MAX];
    char title[CLO_DISCUSSION_TITLE_BYTES];
    clo_discussion_status status;
    bool is_pull;
    int64_t created_s, n_comments;
    char base[CLO_REF_NAME_MAX];       /* of a pull request: the branch that it is for */
    clo_oid merged_from, merge_commit; /* of a merged one: where its branch stood before, and after */
} clo_discussion;

const char *clo_discussion_status_name(clo_discussion_status s); /* "draft", "open", "closed", "merged" */
bool clo_discussion_status_parse(clo_discussion_status *out, clo_str s);

typedef struct {
    clo_str title; /* 1 to 200 characters */
    clo_str text;  /* Markdown of the first comment */
    int64_t by;    /* a user */
    bool is_pull;
    bool is_open;  /* a pull request that is no draft */
    clo_str base;  /* of a pull request, a full name; empty: refs/heads/main */
    clo_str start; /* the revision that refs/pr/N begins at; empty: the base's head */
} clo_discussion_opts;

/* Makes a title of any text: its first line, cut after 200 characters. */
void clo_discussion_title_of(char out[CLO_DISCUSSION_TITLE_BYTES], clo_str text);
/* CLO_ERR_USAGE: title or text do not do; CLO_ERR_LIMIT; CLO_ERR_NOT_FOUND: no such base or start. */
CLO_CHECK bool clo_discussion_create(clo_discussion *out, clo_git *g, const clo_discussion_opts *o, int64_t now_s,
                                     clo_err *err);
CLO_CHECK bool clo_discussion_find(clo_discussion *out, clo_db *db, int64_t repo, int64_t num, clo_err *err);
/* The pull request of refs/pr/N; CLO_ERR_NOT_FOUND "Invalid rev id: ..." when there is none. */
CLO_CHECK bool clo_discussion_of_ref(clo_discussion *out, clo_db *db, int64_t repo, clo_str ref, clo_err *err);

typedef struct {
    bool discussions, pulls; /* which; neither: both */
    bool open, closed;       /* drafts count as open, merged ones as closed; neither: both */
    clo_str author;          /* a name; empty: all */
    size_t skip, limit;
} clo_discussion_filter;

typedef bool clo_discussion_fn(void *ctx, const clo_discussion *d, clo_err *err);
/* Newest first. *n: how many fit the filter; *n_closed: how many are closed or merged, the other filters kept. */
CLO_CHECK bool clo_discussion_each(int64_t *n, int64_t *n_closed, clo_db *db, int64_t repo,
                                   const clo_discussion_filter *f, clo_discussion_fn *fn, void *ctx, clo_err *err);

/* --- changes; each gives the id of its event -----------------------------------------------------------------------*/

CLO_CHECK bool clo_discussion_comment(char id[CLO_EVENT_ID_LEN + 1], clo_discussion *d, clo_db *db, int64_t by,
                                      clo_str text, int64_t now_s, clo_err *err);
CLO_CHECK bool clo_discussion_rename(char id[CLO_EVENT_ID_LEN + 1], clo_discussion *d, clo_db *db, int64_t by,
                                     clo_str title, int64_t now_s, clo_err *err);
/* Opens (a draft, too) or closes. CLO_ERR_USAGE when it is so already, and of what is merged. */
CLO_CHECK bool clo_discussion_set_status(char id[CLO_EVENT_ID_LEN + 1], clo_discussion *d, clo_db *db, int64_t by,
                                         clo_discussion_status status, int64_t now_s, clo_err *err);
/* Merges an open pull request. CLO_ERR_USAGE when it is not open, CLO_ERR_MISMATCH that names paths when there are conflicts. */
CLO_CHECK bool clo_discussion_merge(char id[CLO_EVENT_ID_LEN + 1], clo_discussion *d, clo_git *g, int64_t by,
                                    const clo_author *author, int64_t now_s, clo_err *err);
/* refs/pr/N goes from `old` to `now`: its new commits become events. CLO_ERR_DENIED once it is merged. */
CLO_CHECK bool clo_discussion_add_commits(const clo_discussion *d, clo_git *g, int64_t by, const clo_oid *old,
                                          const clo_oid *now, int64_t now_s, clo_err *err);

/* Who wrote a comment (0: the account is gone). CLO_ERR_NOT_FOUND when the discussion has no such comment. */
CLO_CHECK bool clo_comment_author(int64_t *author, clo_db *db, const clo_discussion *d, clo_str id, clo_err *err);
/* The earlier text stays in its history. CLO_ERR_USAGE when it is hidden. */
CLO_CHECK bool clo_comment_edit(clo_db *db, const clo_discussion *d, clo_str id, int64_t by, clo_str text,
                                int64_t now_s, clo_err *err);
/* For good: its text and its earlier ones are removed. */
CLO_CHECK bool clo_comment_hide(clo_db *db, const clo_discussion *d, clo_str id, int64_t by, int64_t now_s,
                                clo_err *err);

/* --- as clients read them (discussion_json.c) ----------------------------------------------------------------------*/

/* {"id", "type", "createdAt", "author", "data"}; comments as HTML by hub/card.h. */
CLO_CHECK bool clo_discussion_event(json_t **out, clo_db *db, const clo_discussion *d, clo_str id, clo_err *err);
/* An array of all, oldest first. */
CLO_CHECK bool clo_discussion_events(json_t **out, clo_db *db, const clo_discussion *d, clo_err *err);
/* {"num", "title", "status", "author", "createdAt", "isPullRequest", "repo", "numComments", "pinned"} */
CLO_CHECK bool clo_discussion_json(json_t **out, const clo_discussion *d, const char *repo_name, const char *repo_type,
                                   clo_err *err);
/* Adds "changes" and "filesWithConflicts" of a pull request, and "diff" when asked for. */
CLO_CHECK bool clo_discussion_add_changes(json_t *out, clo_git *g, const clo_discussion *d, bool diff, clo_err *err);

#endif
