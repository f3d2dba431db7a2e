/* The hub over HTTP: what every one of its handlers is given, and how it replies.
 *
 * A route of the hub (hub_routes.c) has a pattern, the right that it needs, and a handler:
 *
 *   {"GET", "/api/{T}/{ns}/{name}/tree/{rev}", CLO_MAY_SEE, tree}
 *
 * {T} stands for models, datasets or spaces; {R} for datasets/, spaces/ or nothing; {ns} and {name} for a repository's id ({git}
 * for a name that may end in .git), {rev} for a revision, {x} for one more part, a star at the end for all the rest. Parts
 * are taken as they came and decoded one by one: a %2F inside is no border.
 *
 * Before a handler runs it is known who asks, which repository it is (a name from before a move is redirected), and that the right is
 * given (hub/access.h). A handler replies once, through the functions below. Each call has a connection to the database
 * of its own, from a pool. */
#ifndef CLO_SERVE_HUB_H
#define CLO_SERVE_HUB_H

#include "base/json.h"
#include "hub/access.h"
#include "hub/commit.h"
#include "hub/files.h"
#include "hub/list.h"
#include "hub/repo.h"
#include "hub/token.h"
#include "serve/api_error.h"
#include "serve/http.h"
#include "serve/hub_sign.h"
#include "serve/server.h"

#define CLO_HUB_BASE_MAX 300

typedef struct clo_hub clo_hub; /* the server's pool of connections */
CLO_CHECK bool clo_hub_open(clo_hub **out, const char *data_dir, clo_err *err);
void clo_hub_close(clo_hub *h);
/* A connection of the pool, for work that is no call of the hub's. give accepts NULL. */
CLO_CHECK bool clo_hub_take_db(clo_db **out, clo_hub *h, clo_err *err);
void clo_hub_give_db(clo_hub *h, clo_db *db);
/* Whether there is a repository. */
bool clo_hub_in_use(clo_hub *h);

typedef struct {
    clo_repo_type type;
    bool has_repo;               /* the pattern names a repository */
    clo_str ns, name, rev, x, rest;
    clo_str id;                  /* "ns/name" as it stands in the path, not decoded */
} clo_hub_args;

typedef struct clo_hub_call clo_hub_call;
typedef struct clo_hub_route clo_hub_route;
struct clo_hub_call {
    clo_server *s;
    clo_request *r;
    const clo_hub_route *route;
    int64_t state;               /* of a route that is kept: the database's, before anything was read */
    clo_db *db;                  /* this call's alone */
    clo_files files;             /* over db */
    clo_git *git;                /* opened by clo_hub_git */
    clo_bearer who;              /* account 0: anonymous */
    clo_hub_args a;
    clo_repo repo;               /* when a.has_repo */
    clo_access_caller caller;    /* as the repository sees who asks */
    clo_access_repo seen;
    bool lfs;                    /* of the route */
    bool by_cookie;              /* who it is was told by a page's cookie (cookie.h) */
    char base[CLO_HUB_BASE_MAX]; /* "http://host:port", as the client calls this server */
    void *data;                  /* the handler's own, from begin to run; free with free_data */
    void (*free_data)(void *data);
    void (*work)(clo_hub_call *c), (*then)(clo_hub_call *c); /* of clo_hub_aside */
};

typedef void clo_hub_run(clo_hub_call *c);
struct clo_hub_route {
    const char *method, *pattern; /* GET is HEAD too; "*": any */
    int action;                  /* clo_action, or CLO_HUB_OPEN: the handler asks itself, CLO_HUB_KNOWN: any valid token, CLO_HUB_SIGNED */
    clo_hub_run *run;
    clo_hub_run *begin;          /* for a body that comes in pieces: calls clo_hub_sink, or replies; NULL: none */
    bool any_coding;             /* the handler knows Content-Encoding */
    bool lfs;                    /* errors are told as git-lfs reads them */
    bool kept;                   /* a small answer that anybody may have is kept (hub_kept.h) */
};
#define CLO_HUB_OPEN (-1)
#define CLO_HUB_KNOWN (-2)
#define CLO_HUB_SIGNED (-3) /* no account is looked for: what the handler was given is signed (hub_sign.h) */

const clo_hub_route *clo_hub_routes(size_t *n);
/* True when the pattern fits a path as it came; parts are decoded into the request's arena. */
bool clo_hub_match(clo_hub_args *out, const char *pattern, clo_request *r);

/* The router's side. Before a route is looked for: true when the reply was ready. */
bool clo_hub_reply_kept(clo_server *s, clo_request *r);
/* begin: when its headers are here; it may reply. */
void clo_hub_begin(clo_server *s, clo_request *r, const clo_hub_route *route);
void clo_hub_run_route(clo_server *s, clo_request *r, const clo_hub_route *route);

/* --- for handlers -------------------------------------------------------------------------------------------------*/

/* Sets who: by the token of the header; without one by the page's cookie, where one that is no longer valid is none. False:
 * replied. Every call's, before its handler. */
bool clo_hub_find_who(clo_hub_call *c);

/* In begin: the body goes to `take`; false refuses it, run is called and tells why. */
void clo_hub_sink(clo_hub_call *c, bool (*take)(void *data, clo_str bytes));

/* In run, of a route that has begin: `work` is done on a thread beside the server's workers, so that it may take its time;
 * then `then` replies. */
void clo_hub_aside(clo_hub_call *c, clo_hub_run *work, clo_hub_run *then);

/* Sets repo, caller and seen for a repository "ns/name". One that is not there is no error: access.h says what it is. *moved:
 * the id is from before a rename. */
CLO_CHECK bool clo_hub_look_at(clo_hub_call *c, bool *moved, clo_repo_type type, clo_str id, clo_err *err);
/* The repository's git objects; NULL: replied. */
clo_git *clo_hub_git(clo_hub_call *c);
/* The commit of a.rev; false: replied (404 RevisionNotFound). */
bool clo_hub_commit(clo_oid *out, clo_hub_call *c);
/* Whether one more right is given; false: replied. */
bool clo_hub_may(clo_hub_call *c, clo_action action);
/* A body that is a JSON object; false: replied. Owned by the caller. */
bool clo_hub_body(json_t **out, clo_hub_call *c);
/* A parameter of the query; empty when it is not there. */
clo_str clo_hub_param(clo_hub_call *c, const char *name);
bool clo_hub_flag(clo_hub_call *c, const char *name); /* true, True, 1 */
/* A number within [min, max]; fallback when it is not there or none. */
int64_t clo_hub_number(clo_hub_call *c, const char *name, int64_t min, int64_t max, int64_t fallback);
/* Whether a user is signed in by name and password, in a browser: not by a token, however good. */
bool clo_hub_has_session(const clo_hub_call *c);
struct clo_weights_cache *clo_hub_weights_cache(const clo_hub_call *c); /* hub_weights.h */
const clo_sign_key *clo_hub_sign_key(const clo_hub_call *c);
int64_t clo_hub_now(void); /* seconds since 1970 */
/* The line of the audit log of a change that is done, by who asks. Waits for the disk. */
CLO_CHECK bool clo_hub_note(clo_hub_call *c, const char *event, const char *text, clo_err *err);
clo_author clo_hub_author(const clo_hub_call *c);

/* BASE/[datasets/]ns/name */
void clo_hub_repo_url(clo_buf *out, const clo_hub_call *c, const clo_repo *r);
const char *clo_hub_type_plural(clo_repo_type t); /* "models" */
/* `Link: <BASE/path?query with cursor>; rel="next"` */
void clo_hub_link_next(clo_hub_call *c, clo_str cursor);
/* What an earlier page gave to clo_hub_link_next; empty on the first. */
clo_str clo_hub_cursor(clo_hub_call *c);

/* The same for lists in an order of (key, id): a place "key:id". Not set on the first page. False: replied. */
void clo_hub_link_place(clo_hub_call *c, int64_t key, int64_t id);
bool clo_hub_take_place(clo_list_place *out, clo_hub_call *c);

void clo_hub_json(clo_hub_call *c, unsigned status, json_t *stolen);
void clo_hub_json_text(clo_hub_call *c, unsigned status, clo_buf *stolen); /* written already */
void clo_hub_lfs_json(clo_hub_call *c, unsigned status, json_t *stolen); /* as application/vnd.git-lfs+json */
void clo_hub_deny(clo_hub_call *c, const clo_denial *no);
/* Replies with an error and returns false. code may be NULL. */
bool clo_hub_fail(clo_hub_call *c, int status, const char *code, const char *fmt, ...) CLO_PRINTF(4, 5);
/* The status that fits an error of the rooms below; returns false. */
bool clo_hub_fail_err(clo_hub_call *c, const clo_err *err);
/* Rolls back, then as above. */
bool clo_hub_undo(clo_hub_call *c, const clo_err *err);

#endif
