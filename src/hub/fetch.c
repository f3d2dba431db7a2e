/* See fetch.h. A request is read whole into a clo_select; then the answer is sent. */
#include "hub/fetch.h"

#include <stdio.h>
#include <stdlib.h>

#include "hub/pack.h"
#include "hub/refs.h"
#include "hub/revision.h"
#include "hub/select.h"

#define PREFIXES_MAX 1024

/* A request of either protocol. */
typedef struct {
    clo_git *g;
    clo_pkt_out o;
    clo_select s;
    clo_oid last_common;
    clo_oid_map common; /* the haves that both have, in the order of their coming */
    int band_bytes;     /* 0: no side band */
    bool done, multi_ack, no_done;
    bool only_wants; /* protocol 0: the body ends with the wants: the client asks for its shallow commits first */
    /* ls-refs */
    bool peel, symrefs, unborn;
    clo_str prefixes[PREFIXES_MAX];
    size_t n_prefixes;
    bool refused; /* an ERR line was sent */
} request;

/* The client is told, and that is the answer. */
static bool refuse(request *r, const char *text)
{
    if (!r->refused) clo_pkt_line(&r->o, "ERR %s\n", text);
    r->refused = true;
    return false;
}

static bool arg(clo_str *value, clo_str line, const char *name)
{
    clo_str head = clo_str_from(name);
    if (!clo_str_starts_with(line, head)) return false;
    *value = clo_str_from_off(line, head.len);
    return true;
}

static bool number(int64_t *out, clo_str s)
{
    int64_t n = 0;
    if (s.len == 0 || s.len > 18) return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return false;
        n = 10 * n + (s.ptr[i] - '0');
    }
    *out = n;
    return true;
}

/* --- lines of a fetch ---------------------------------------------------------------------------------------------*/

static bool take_want(request *r, clo_str hex)
{
    clo_oid oid;
    clo_err err = {0};
    if (!clo_oid_parse(&oid, hex)) return refuse(r, "a want that is no object id");
    return clo_select_want(&r->s, &oid, &err) || refuse(r, err.text);
}

static bool take_have(request *r, clo_str hex)
{
    clo_oid oid;
    clo_err err = {0};
    bool both = false, is_new;
    if (!clo_oid_parse(&oid, hex)) return refuse(r, "a have that is no object id");
    if (!clo_select_have(&r->s, &oid, &both, &err)) return refuse(r, err.text);
    if (!both) return true;
    r->last_common = oid;
    return clo_oid_map_put(&r->common, &oid, &is_new) != NULL || refuse(r, "no memory");
}

static bool take_shallow(request *r, clo_str hex)
{
    clo_oid oid;
    bool is_new;
    if (!clo_oid_parse(&oid, hex)) return refuse(r, "a shallow that is no object id");
    return clo_oid_map_put(&r->s.client_shallow, &oid, &is_new) != NULL || refuse(r, "no memory");
}

static bool take_not(request *r, clo_str rev)
{
    clo_oid oid;
    bool is_new;
    if (!clo_revision_find(&oid, r->g, rev, NULL)) return refuse(r, "deepen-not: no such ref");
    return clo_oid_map_put(&r->s.without, &oid, &is_new) != NULL || refuse(r, "no memory");
}

/* blob:none, blob:limit=N with k, m or g behind it. */
static bool take_filter(request *r, clo_str spec)
{
    int64_t n = 0;
    clo_str v;
    if (clo_str_eq(spec, CLO_STR("blob:none"))) {
        r->s.has_blob_limit = true;
        return true;
    }
    if (!arg(&v, spec, "blob:limit=") || v.len == 0)
        return refuse(r, "filter: blob:none and blob:limit are known here");
    char unit = v.ptr[v.len - 1];
    unsigned shift = unit == 'k' ? 10 : unit == 'm' ? 20 : unit == 'g' ? 30 : 0;
    if (shift) v.len--;
    if (!number(&n, v) || n >= INT64_MAX >> 31) return refuse(r, "filter: a limit that is no number");
    r->s.has_blob_limit = true;
    r->s.blob_limit = (uint64_t)n << shift;
    return true;
}

static bool take_depth(request *r, clo_str text)
{
    int64_t n = 0;
    if (!number(&n, text) || n < 1) return refuse(r, "deepen: a depth is 1 or more");
    r->s.depth = n >= 0x7fffffff ? UINT32_MAX - 1 : (size_t)n;
    return true;
}

/* What both protocols have. *known: whether the line was one of them. */
static bool take_line(request *r, clo_str line, bool *known)
{
    clo_str v;
    int64_t n;
    *known = true;
    if (arg(&v, line, "have ")) return take_have(r, v);
    if (arg(&v, line, "shallow ")) return take_shallow(r, v);
    if (arg(&v, line, "deepen-since ")) {
        if (!number(&n, v) || n < 1) return refuse(r, "deepen-since: no time");
        r->s.since_s = n;
        return true;
    }
    if (arg(&v, line, "deepen-not ")) return take_not(r, v);
    if (arg(&v, line, "deepen ")) return take_depth(r, v);
    if (arg(&v, line, "filter ")) return take_filter(r, v);
    *known = false;
    return true;
}

/* --- the answer ---------------------------------------------------------------------------------------------------*/

static void send_oids(request *r, const char *word, const clo_oid_map *m)
{
    char hex[CLO_OID_HEX];
    for (size_t i = 0; i < m->n; i++) {
        clo_oid_hex(hex, &m->keys[i]);
        clo_pkt_line(&r->o, "%s %s", word, hex);
    }
}

static bool send_pack(request *r, clo_err *err)
{
    if (!clo_pack_write(&r->o, r->band_bytes ? 1 : 0, r->g, r->s.objects.keys, r->s.objects.n, err)) {
        clo_str why = err ? clo_str_from(err->text) : CLO_STR("the store cannot be read");
        if (r->band_bytes) clo_pkt_band(&r->o, 3, clo_bytes_of(why));
        return false;
    }
    if (r->band_bytes) clo_pkt_flush(&r->o);
    return true;
}

static bool send_shallow(request *r)
{
    send_oids(r, "shallow", &r->s.shallow);
    send_oids(r, "unshallow", &r->s.unshallow);
    return true;
}

/* --- protocol 2 ---------------------------------------------------------------------------------------------------*/

static bool answer_fetch(request *r, clo_err *err)
{
    bool deepens = clo_select_deepens(&r->s);
    if (r->s.wants.n == 0) return refuse(r, "nothing is wanted");
    if (!r->done) {
        clo_pkt_line(&r->o, "acknowledgments\n");
        if (r->common.n == 0) clo_pkt_line(&r->o, "NAK\n");
        send_oids(r, "ACK", &r->common);
        if (r->common.n == 0) {
            clo_pkt_flush(&r->o);
            return true;
        }
        clo_pkt_line(&r->o, "ready\n");
        clo_pkt_delim(&r->o);
    }
    if (!clo_select_run(&r->s, err)) return false;
    if (deepens) {
        clo_pkt_line(&r->o, "shallow-info\n");
        send_shallow(r);
        clo_pkt_delim(&r->o);
    }
    clo_pkt_line(&r->o, "packfile\n");
    return send_pack(r, err);
}

static bool is_asked(const request *r, const char *name)
{
    for (size_t i = 0; i < r->n_prefixes; i++)
        if (clo_str_starts_with(clo_str_from(name), r->prefixes[i])) return true;
    return r->n_prefixes == 0;
}

static bool list_ref(void *ctx, const clo_ref *ref, clo_err *err)
{
    request *r = ctx;
    char hex[CLO_OID_HEX], peeled[CLO_OID_HEX];
    clo_oid commit;
    clo_git_kind kind = CLO_GIT_COMMIT;
    uint64_t size;
    if (!is_asked(r, ref->name)) return true;
    clo_oid_hex(hex, &ref->target);
    if (r->peel && !clo_git_head(&kind, &size, r->g, &ref->target, err)) return false;
    if (kind == CLO_GIT_TAG && clo_revision_peel(&commit, r->g, &ref->target, NULL)) {
        clo_oid_hex(peeled, &commit);
        clo_pkt_line(&r->o, "%s %s peeled:%s\n", hex, ref->name, peeled);
    } else {
        clo_pkt_line(&r->o, "%s %s\n", hex, ref->name);
    }
    return true;
}

static bool answer_ls_refs(request *r, clo_err *err)
{
    clo_oid head;
    char hex[CLO_OID_HEX];
    bool found = false;
    if (!clo_ref_get(&head, &found, r->g, CLO_STR("refs/heads/main"), err)) return false;
    if (is_asked(r, "HEAD") && (found || r->unborn)) {
        const char *target = r->symrefs || !found ? " symref-target:refs/heads/main" : "";
        clo_oid_hex(hex, &head);
        clo_pkt_line(&r->o, "%s HEAD%s\n", found ? hex : "unborn", target);
    }
    if (!clo_ref_each(r->g, CLO_STR("refs/"), list_ref, r, err)) return false;
    clo_pkt_flush(&r->o);
    return true;
}

static bool take_v2(request *r, bool is_fetch, clo_str line)
{
    clo_str v;
    bool known = false;
    if (!is_fetch) {
        if (clo_str_eq(line, CLO_STR("peel"))) r->peel = true;
        else if (clo_str_eq(line, CLO_STR("symrefs"))) r->symrefs = true;
        else if (clo_str_eq(line, CLO_STR("unborn"))) r->unborn = true;
        else if (arg(&v, line, "ref-prefix ")) {
            /* So many prefixes ask for nearly all: all is a right answer, too. */
            if (r->n_prefixes < PREFIXES_MAX) r->prefixes[r->n_prefixes++] = v;
            else r->prefixes[0] = CLO_STR("");
        } else return refuse(r, "ls-refs: an unknown argument");
        return true;
    }
    if (arg(&v, line, "want ")) return take_want(r, v);
    if (clo_str_eq(line, CLO_STR("done"))) r->done = true;
    else if (clo_str_eq(line, CLO_STR("include-tag"))) r->s.include_tags = true;
    else if (clo_str_eq(line, CLO_STR("deepen-relative"))) r->s.depth_relative = true;
    else if (clo_str_eq(line, CLO_STR("thin-pack")) || clo_str_eq(line, CLO_STR("no-progress")) ||
             clo_str_eq(line, CLO_STR("ofs-delta")))
        return true;
    else if (!take_line(r, line, &known)) return false;
    else if (!known) return refuse(r, "fetch: an unknown argument");
    return true;
}

static bool answer_v2(request *r, clo_bytes body, clo_err *err)
{
    clo_pkt p;
    clo_str command = {0}, v;
    bool in_args = false;
    r->band_bytes = 65520;
    for (;;) {
        clo_pkt_result got = clo_pkt_read(&p, &body, NULL);
        if (got != CLO_PKT_DONE) return refuse(r, "a request that is cut or no pkt-lines");
        if (p.kind == CLO_PKT_FLUSH) break;
        if (p.kind == CLO_PKT_END) return refuse(r, "a request with an end mark");
        if (p.kind == CLO_PKT_DELIM) {
            in_args = true;
            continue;
        }
        bool is_fetch = clo_str_eq(command, CLO_STR("fetch"));
        if (in_args) {
            if (!take_v2(r, is_fetch, p.text)) return false;
        } else if (arg(&v, p.text, "command=")) {
            if (!clo_str_eq(v, CLO_STR("fetch")) && !clo_str_eq(v, CLO_STR("ls-refs")))
                return refuse(r, "an unknown command");
            command = v;
        } else if (arg(&v, p.text, "object-format=") && !clo_str_eq(v, CLO_STR("sha1"))) {
            return refuse(r, "objects are named by SHA-1 here");
        }
    }
    if (command.len == 0) return refuse(r, "a request without a command");
    return clo_str_eq(command, CLO_STR("fetch")) ? answer_fetch(r, err) : answer_ls_refs(r, err);
}

/* --- protocols 0 and 1 --------------------------------------------------------------------------------------------*/

static bool take_first_want(request *r, clo_str rest)
{
    clo_str words = clo_str_from_off(rest, 40);
    if (rest.len > 40) rest.len = 40;
    if (r->s.wants.n == 0) {
        r->band_bytes = clo_pkt_has_word(words, "side-band-64k") ? 65520 : clo_pkt_has_word(words, "side-band") ? 1000 : 0;
        r->multi_ack = clo_pkt_has_word(words, "multi_ack_detailed");
        r->no_done = clo_pkt_has_word(words, "no-done");
        r->s.include_tags = clo_pkt_has_word(words, "include-tag");
        r->s.depth_relative = clo_pkt_has_word(words, "deepen-relative");
        if (clo_pkt_has_word(words, "multi_ack")) return refuse(r, "multi_ack is not offered here");
    }
    return take_want(r, rest);
}

/* Wants up to a flush, then haves with flushes between, then done, or the end of the body. */
static bool read_v0(request *r, clo_bytes body)
{
    clo_pkt p;
    clo_str v;
    bool known, in_haves = false;
    while (body.len && !r->done) {
        if (clo_pkt_read(&p, &body, NULL) != CLO_PKT_DONE) return refuse(r, "a request that is cut or no pkt-lines");
        if (p.kind == CLO_PKT_FLUSH) {
            r->only_wants = !in_haves && body.len == 0;
            in_haves = true;
            continue;
        }
        if (p.kind != CLO_PKT_DATA) return refuse(r, "a mark of protocol 2");
        if (!in_haves && arg(&v, p.text, "want ")) {
            if (!take_first_want(r, v)) return false;
        } else if (in_haves && clo_str_eq(p.text, CLO_STR("done"))) {
            r->done = true;
        } else {
            if (!take_line(r, p.text, &known)) return false;
            if (!known) return refuse(r, "an unknown line");
        }
    }
    return true;
}

static bool answer_v0(request *r, clo_bytes body, clo_err *err)
{
    char hex[CLO_OID_HEX];
    if (!read_v0(r, body)) return false;
    if (r->s.wants.n == 0) return true; /* the client has all: an empty answer */
    bool deepens = clo_select_deepens(&r->s);
    bool pack = r->done || (r->multi_ack && r->no_done && r->common.n > 0);
    if ((pack || deepens) && !clo_select_run(&r->s, err)) return false;
    if (deepens) {
        send_shallow(r);
        clo_pkt_flush(&r->o);
    }
    if (r->only_wants) return true;
    clo_oid_hex(hex, &r->last_common);
    for (size_t i = 0; r->multi_ack && i < r->common.n; i++) {
        char each[CLO_OID_HEX];
        clo_oid_hex(each, &r->common.keys[i]);
        clo_pkt_line(&r->o, "ACK %s common\n", each);
    }
    if (r->multi_ack && !r->done && r->common.n) clo_pkt_line(&r->o, "ACK %s ready\n", hex);
    if (!pack) {
        if (!r->multi_ack && r->common.n) clo_pkt_line(&r->o, "ACK %s\n", hex);
        else clo_pkt_line(&r->o, "NAK\n");
        return true;
    }
    if (!r->done) clo_pkt_line(&r->o, "NAK\n");
    if (r->common.n) clo_pkt_line(&r->o, "ACK %s\n", hex);
    else clo_pkt_line(&r->o, "NAK\n");
    return send_pack(r, err);
}

bool clo_fetch_answer(clo_git *g, int protocol, clo_bytes body, clo_out_fn *fn, void *ctx, clo_err *err)
{
    clo_err own = {0};
    if (!err) err = &own;
    if (body.len > CLO_FETCH_BODY_MAX)
        return clo_fail(err, CLO_ERR_LIMIT, "a request of %zu bytes, limit %zu", body.len, CLO_FETCH_BODY_MAX);
    request *r = calloc(1, sizeof *r);
    if (!r) return clo_fail(err, CLO_ERR_MEMORY, "request");
    r->g = r->s.g = g;
    r->o = (clo_pkt_out){.fn = fn, .ctx = ctx};
    bool ok = protocol == 2 ? answer_v2(r, body, err) : answer_v0(r, body, err);
    ok = (ok || r->refused) && clo_pkt_ok(&r->o, err);
    clo_select_free(&r->s);
    clo_oid_map_free(&r->common);
    free(r);
    return ok;
}
