/* See remote.h: addresses, the API, git. */
#include "hub/remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "hub/pack.h"

#define TEXT_SECONDS_MAX 300 /* of a call with a small reply */
#define INFO_BYTES_MAX ((size_t)64 << 20) /* a repository of 100,000 files has a long list of them */
#define WAIT_S_MAX 60

/* --- addresses ----------------------------------------------------------------------------------------------------*/

bool clo_remote_init(clo_remote *out, const clo_remote_opts *o, clo_err *err)
{
    clo_str ns, name, e = clo_str_from(o->endpoint);
    *out = (clo_remote){.token = o->token, .type = o->type, .stop = o->stop};
    while (e.len && e.ptr[e.len - 1] == '/') e.len--;
    bool web = (e.len > 7 && strncasecmp(e.ptr, "http://", 7) == 0) || (e.len > 8 && strncasecmp(e.ptr, "https://", 8) == 0);
    if (!web || e.len >= CLO_REMOTE_ENDPOINT_MAX || strpbrk(o->endpoint, " \t\r\n?#@"))
        return clo_fail(err, CLO_ERR_USAGE, "'%.200s': the address of a hub is expected: https://huggingface.co", o->endpoint);
    if (o->token && strpbrk(o->token, " \t\r\n")) return clo_fail(err, CLO_ERR_USAGE, "what was given is no token");
    if (!clo_repo_split(&ns, &name, clo_str_from(o->id), err)) return false;
    memcpy(out->endpoint, e.ptr, e.len);
    snprintf(out->id, sizeof out->id, "%s", o->id);
    return true;
}

bool clo_remote_net(clo_net **out, const clo_remote *r, clo_err *err)
{
    return clo_net_open(out, &(clo_net_opts){.origin = r->endpoint, .token = r->token, .stop = r->stop}, err);
}

static void api_url(char out[CLO_REMOTE_URL_MAX], const clo_remote *r)
{
    snprintf(out, CLO_REMOTE_URL_MAX, "%s/api/%ss/%s", r->endpoint, clo_repo_type_name(r->type), r->id);
}

void clo_remote_git_url(char out[CLO_REMOTE_URL_MAX], const clo_remote *r, const char *rest)
{
    const char *folder = r->type == CLO_REPO_DATASET ? "datasets/" : r->type == CLO_REPO_SPACE ? "spaces/" : "";
    snprintf(out, CLO_REMOTE_URL_MAX, "%s/%s%s.git/%.100s", r->endpoint, folder, r->id, rest);
}

bool clo_remote_try_again(int *tries, const clo_err *err, const clo_net_reply *reply, const atomic_bool *stop)
{
    if (err->code != CLO_ERR_IO || err->sys != 0 || ++*tries >= CLO_REMOTE_TRIES) return false;
    unsigned wait_s = 1u << (*tries - 1);
    if (reply && reply->retry_after_s > wait_s) wait_s = reply->retry_after_s;
    if (wait_s > WAIT_S_MAX) wait_s = WAIT_S_MAX;
    for (unsigned i = 0; i < 10 * wait_s; i++) {
        if (stop && atomic_load(stop)) return false;
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    return true;
}

/* One call whose reply is small; tried again while that may help. 2xx, else err. */
static bool ask(clo_buf *reply, const clo_remote *r, clo_net *n, clo_net_request *q, clo_err *err)
{
    clo_net_reply got;
    clo_err why = {0};
    int tries = 0;
    q->take = clo_net_to_buf;
    q->ctx = reply;
    q->seconds_max = TEXT_SECONDS_MAX;
    do {
        why = (clo_err){0};
        reply->len = 0;
        bool ok = clo_net_call(&got, n, q, &why);
        if (ok && got.status >= 200 && got.status <= 299) return true;
        if (ok) clo_net_refused(&got, q, &why);
    } while (clo_remote_try_again(&tries, &why, &got, r->stop));
    if (err) *err = why;
    return false;
}

/* --- the API ------------------------------------------------------------------------------------------------------*/

static bool read_info(clo_remote_info *out, clo_remote *r, clo_str text, clo_err *err)
{
    json_t *o = NULL;
    clo_str ns, name;
    if (!clo_json_parse(&o, text, INFO_BYTES_MAX, err)) return false;
    clo_str id = clo_json_str(o, "id", CLO_STR(""));
    const json_t *gated = json_object_get(o, "gated");
    const char *how = json_string_value(gated);
    out->is_private = clo_json_bool(o, "private", false);
    out->gated = how && strcmp(how, "manual") == 0 ? CLO_GATED_MANUAL : how || json_is_true(gated) ? CLO_GATED_AUTO : CLO_GATED_NO;
    bool ok = id.len < sizeof r->id && clo_repo_split(&ns, &name, id, NULL);
    if (ok) snprintf(r->id, sizeof r->id, "%.*s", (int)id.len, id.ptr);
    json_decref(o);
    return ok || clo_fail(err, CLO_ERR_FORMAT, "%s says nothing of a repository of that name", r->endpoint);
}

bool clo_remote_look(clo_remote_info *out, clo_remote *r, clo_net *n, clo_err *err)
{
    char url[CLO_REMOTE_URL_MAX];
    clo_buf text = {.max = INFO_BYTES_MAX};
    *out = (clo_remote_info){0};
    api_url(url, r);
    clo_net_request q = {.url = url, .auth = CLO_NET_BEARER};
    bool ok = ask(&text, r, n, &q, err) && read_info(out, r, clo_buf_str(&text), err);
    clo_buf_free(&text);
    return ok;
}

/* The namespace of whom the token is: the API wants an organisation named and a user not. */
static bool is_mine(bool *out, const clo_remote *r, clo_net *n, clo_str ns, clo_err *err)
{
    char url[CLO_REMOTE_URL_MAX];
    clo_buf text = {.max = 1 << 20};
    json_t *o = NULL;
    snprintf(url, sizeof url, "%s/api/whoami-v2", r->endpoint);
    clo_net_request q = {.url = url, .auth = CLO_NET_BEARER};
    bool ok = ask(&text, r, n, &q, err) && clo_json_parse(&o, clo_buf_str(&text), text.max, err);
    clo_str name = clo_json_str(o, "name", CLO_STR(""));
    *out = ok && name.len == ns.len && strncasecmp(name.ptr, ns.ptr, ns.len) == 0;
    json_decref(o);
    clo_buf_free(&text);
    return ok;
}

bool clo_remote_create(const clo_remote *r, clo_net *n, bool is_private, clo_err *err)
{
    char url[CLO_REMOTE_URL_MAX];
    clo_str ns, name;
    bool mine = false;
    clo_buf text = {.max = 1 << 20};
    if (!clo_repo_split(&ns, &name, clo_str_from(r->id), err) || !is_mine(&mine, r, n, ns, err)) return false;
    json_t *o = json_pack("{s:s%, s:s, s:b}", "name", name.ptr, name.len, "type", clo_repo_type_name(r->type), "private", is_private);
    if (!mine) json_object_set_new(o, "organization", json_stringn(ns.ptr, ns.len));
    char *body = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    if (!body) return clo_fail(err, CLO_ERR_MEMORY, "request");
    snprintf(url, sizeof url, "%s/api/repos/create", r->endpoint);
    clo_net_request q = {.method = "POST", .url = url, .auth = CLO_NET_BEARER, .headers = {"Content-Type: application/json"},
                         .body = clo_bytes_of(clo_str_from(body))};
    bool ok = ask(&text, r, n, &q, err);
    clo_buf_free(&text);
    free(body);
    return ok;
}

/* A list of main's; the caller owns it. */
static bool list_of_main(json_t **out, const clo_remote *r, clo_net *n, const char *what, clo_err *err)
{
    char url[CLO_REMOTE_URL_MAX], list[CLO_REMOTE_URL_MAX + 32];
    clo_buf text = {.max = INFO_BYTES_MAX};
    api_url(url, r);
    snprintf(list, sizeof list, "%s/%s/main?limit=2", url, what);
    clo_net_request q = {.url = list, .auth = CLO_NET_BEARER};
    bool ok = ask(&text, r, n, &q, err) && clo_json_parse(out, clo_buf_str(&text), INFO_BYTES_MAX, err);
    clo_buf_free(&text);
    return ok;
}

bool clo_remote_is_bare(bool *out, const clo_remote *r, clo_net *n, clo_err *err)
{
    json_t *commits = NULL, *files = NULL;
    bool ok = list_of_main(&commits, r, n, "commits", err) && list_of_main(&files, r, n, "tree", err);
    size_t n_files = json_array_size(files);
    *out = ok && json_array_size(commits) == 1 && json_is_array(files) &&
           (n_files == 0 || (n_files == 1 && clo_str_eq(clo_json_str(json_array_get(files, 0), "path", CLO_STR("")), CLO_STR(".gitattributes"))));
    json_decref(commits);
    json_decref(files);
    return ok;
}

/* --- git ----------------------------------------------------------------------------------------------------------*/

static bool get_git(clo_buf *reply, const clo_remote *r, clo_net *n, const char *service, clo_err *err)
{
    char url[CLO_REMOTE_URL_MAX], rest[64];
    snprintf(rest, sizeof rest, "info/refs?service=%s", service);
    clo_remote_git_url(url, r, rest);
    bool fetch = strcmp(service, "git-upload-pack") == 0;
    clo_net_request q = {.url = url, .auth = CLO_NET_BASIC, .headers = {fetch ? "Git-Protocol: version=2" : NULL}};
    return ask(reply, r, n, &q, err);
}

#define FETCH_HEADERS                                                                                                  \
    {"Git-Protocol: version=2", "Content-Type: application/x-git-upload-pack-request", "Accept: application/x-git-upload-pack-result"}

bool clo_remote_refs_get(clo_remote_refs *out, const clo_remote *r, clo_net *n, clo_err *err)
{
    char url[CLO_REMOTE_URL_MAX];
    clo_buf reply = {.max = CLO_REMOTE_REPLY_MAX}, body = {.max = 4096};
    *out = (clo_remote_refs){0};
    clo_remote_git_url(url, r, "git-upload-pack");
    bool ok = get_git(&reply, r, n, "git-upload-pack", err) && clo_remote_v2_check(clo_bytes_of(clo_buf_str(&reply)), err) &&
              clo_remote_refs_ask(&body, err);
    clo_net_request q = {.method = "POST", .url = url, .auth = CLO_NET_BASIC, .headers = FETCH_HEADERS,
                         .body = clo_bytes_of(clo_buf_str(&body))};
    ok = ok && ask(&reply, r, n, &q, err) && clo_remote_refs_parse(out, clo_bytes_of(clo_buf_str(&reply)), err);
    clo_buf_free(&reply);
    clo_buf_free(&body);
    return ok;
}

/* A pack that was cut off is asked for again from its beginning. */
bool clo_remote_fetch(clo_spool *pack, const clo_remote *r, clo_net *n, const clo_oid *wants, size_t n_wants, const clo_oid *haves,
                      size_t n_haves, clo_err *err)
{
    char url[CLO_REMOTE_URL_MAX];
    clo_buf body = {.max = CLO_REMOTE_REPLY_MAX};
    clo_net_reply got = {0};
    clo_err why = {0};
    int tries = 0;
    bool ok = clo_remote_fetch_ask(&body, wants, n_wants, haves, n_haves, &why);
    clo_remote_git_url(url, r, "git-upload-pack");
    while (ok || clo_remote_try_again(&tries, &why, &got, r->stop)) {
        clo_fetch_reader reader = {.pack = pack, .max = CLO_PACK_BYTES_MAX};
        clo_net_request q = {.method = "POST", .url = url, .auth = CLO_NET_BASIC, .headers = FETCH_HEADERS,
                             .body = clo_bytes_of(clo_buf_str(&body)), .take = clo_fetch_reader_add, .ctx = &reader};
        why = (clo_err){0};
        ok = clo_spool_empty(pack, &why) && clo_net_call(&got, n, &q, &why);
        if (ok && got.status != 200) ok = clo_net_refused(&got, &q, &why);
        ok = ok && clo_fetch_reader_end(&reader, &why);
        clo_fetch_reader_free(&reader);
        if (ok) break;
    }
    clo_buf_free(&body);
    if (!ok && err) *err = why;
    return ok;
}

bool clo_remote_push_refs(clo_remote_refs *out, clo_remote_can *can, const clo_remote *r, clo_net *n, clo_err *err)
{
    clo_buf reply = {.max = CLO_REMOTE_REPLY_MAX};
    *out = (clo_remote_refs){0};
    bool ok = get_git(&reply, r, n, "git-receive-pack", err) &&
              clo_remote_advert_parse(out, can, clo_bytes_of(clo_buf_str(&reply)), err);
    clo_buf_free(&reply);
    return ok;
}

/* The commands, then the pack. */
typedef struct {
    clo_str head;
    clo_bytes pack;
} push_body;

static bool give_push(void *ctx, void *buf, size_t cap, size_t *got, clo_err *err)
{
    push_body *b = ctx;
    (void)err;
    if (b->head.len) {
        *got = b->head.len < cap ? b->head.len : cap;
        memcpy(buf, b->head.ptr, *got);
        b->head = clo_str_from_off(b->head, *got);
        return true;
    }
    *got = b->pack.len < cap ? b->pack.len : cap;
    memcpy(buf, b->pack.ptr, *got);
    b->pack = (clo_bytes){b->pack.ptr + *got, b->pack.len - *got};
    return true;
}

/* Not tried again: a push whose reply was lost may have been taken. */
bool clo_remote_push(clo_remote_update *u, size_t n_updates, const clo_remote_can *can, clo_spool *pack, const clo_remote *r,
                     clo_net *n, clo_err *err)
{
    char url[CLO_REMOTE_URL_MAX];
    clo_buf head = {.max = 1 << 20}, reply = {.max = CLO_REMOTE_REPLY_MAX};
    clo_net_reply got;
    push_body b = {0};
    clo_remote_git_url(url, r, "git-receive-pack");
    bool ok = clo_remote_push_ask(&head, u, n_updates, can, err) && clo_spool_map(pack, &b.pack, err);
    b.head = clo_buf_str(&head);
    clo_net_request q = {.method = "POST", .url = url, .auth = CLO_NET_BASIC,
                         .headers = {"Content-Type: application/x-git-receive-pack-request", "Accept: application/x-git-receive-pack-result"},
                         .give = give_push, .give_ctx = &b, .give_bytes = b.head.len + b.pack.len,
                         .take = clo_net_to_buf, .ctx = &reply};
    ok = ok && clo_net_call(&got, n, &q, err);
    if (ok && got.status != 200) ok = clo_net_refused(&got, &q, err);
    ok = ok && clo_remote_report_parse(u, n_updates, can, clo_bytes_of(clo_buf_str(&reply)), err);
    clo_buf_free(&head);
    clo_buf_free(&reply);
    return ok;
}
