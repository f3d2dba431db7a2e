/* Advertisement of refs. See fetch.h and push.h. */
#include <stdio.h>

#include "hub/fetch.h"
#include "hub/push.h"
#include "hub/refs.h"
#include "hub/revision.h"

#ifndef CLO_VERSION
#    define CLO_VERSION "0"
#endif

#define SHARED "object-format=sha1 agent=cloche/" CLO_VERSION

int clo_git_protocol(clo_str header)
{
    int version = 0;
    for (size_t at = 0; at < header.len;) {
        size_t end = clo_str_find(header, at, ':');
        clo_str part = {header.ptr + at, end - at};
        if (clo_str_eq(part, CLO_STR("version=2"))) version = 2;
        if (clo_str_eq(part, CLO_STR("version=1")) && version < 1) version = 1;
        at = end + 1;
    }
    return version;
}

typedef struct {
    clo_pkt_out *o;
    clo_git *g;
    const char *capabilities; /* of the first line; NULL once it was sent */
    bool peel;
} advert;

static void send_line(advert *a, const clo_oid *oid, const char *name)
{
    char hex[CLO_OID_HEX];
    clo_oid_hex(hex, oid);
    if (a->capabilities) clo_pkt_line(a->o, "%s %s%c%s\n", hex, name, 0, a->capabilities);
    else clo_pkt_line(a->o, "%s %s\n", hex, name);
    a->capabilities = NULL;
}

static bool send_ref(void *ctx, const clo_ref *ref, clo_err *err)
{
    advert *a = ctx;
    clo_oid commit;
    clo_git_kind kind;
    uint64_t size;
    char peeled[CLO_REF_NAME_MAX + 4];
    send_line(a, &ref->target, ref->name);
    if (!a->peel || !clo_str_starts_with(clo_str_from(ref->name), CLO_STR("refs/tags/"))) return true;
    if (!clo_git_head(&kind, &size, a->g, &ref->target, err)) return false;
    if (kind != CLO_GIT_TAG || !clo_revision_peel(&commit, a->g, &ref->target, NULL)) return true;
    snprintf(peeled, sizeof peeled, "%s^{}", ref->name);
    send_line(a, &commit, peeled);
    return true;
}

bool clo_refs_advertise(clo_pkt_out *o, clo_git *g, bool with_head, const char *capabilities, clo_err *err)
{
    advert a = {o, g, capabilities, with_head};
    clo_oid head, none = {{0}};
    bool found = false;
    if (with_head && !clo_ref_get(&head, &found, g, CLO_STR("refs/heads/main"), err)) return false;
    if (found) send_line(&a, &head, "HEAD");
    if (!clo_ref_each(g, CLO_STR("refs/"), send_ref, &a, err)) return false;
    if (a.capabilities) send_line(&a, &none, "capabilities^{}");
    clo_pkt_flush(o);
    return true;
}

static bool advertise(clo_git *g, const char *service, int protocol, bool with_head, const char *capabilities,
                      clo_out_fn *fn, void *ctx, clo_err *err)
{
    clo_pkt_out o = {.fn = fn, .ctx = ctx};
    clo_pkt_line(&o, "# service=%s\n", service);
    clo_pkt_flush(&o);
    if (protocol == 1) clo_pkt_line(&o, "version 1\n");
    return clo_refs_advertise(&o, g, with_head, capabilities, err) && clo_pkt_ok(&o, err);
}

bool clo_fetch_advertise(clo_git *g, int protocol, clo_out_fn *fn, void *ctx, clo_err *err)
{
    clo_pkt_out o = {.fn = fn, .ctx = ctx};
    if (protocol != 2)
        return advertise(
            g, "git-upload-pack", protocol, true,
            "multi_ack_detailed no-done side-band side-band-64k ofs-delta shallow deepen-since deepen-not deepen-relative"
            " no-progress include-tag filter allow-tip-sha1-in-want allow-reachable-sha1-in-want"
            " symref=HEAD:refs/heads/main " SHARED,
            fn, ctx, err);
    clo_pkt_line(&o, "version 2\n");
    clo_pkt_line(&o, "agent=cloche/" CLO_VERSION "\n");
    clo_pkt_line(&o, "ls-refs=unborn\n");
    clo_pkt_line(&o, "fetch=shallow filter\n");
    clo_pkt_line(&o, "object-format=sha1\n");
    clo_pkt_flush(&o);
    return clo_pkt_ok(&o, err);
}

bool clo_push_advertise(clo_git *g, clo_out_fn *fn, void *ctx, clo_err *err)
{
    return advertise(g, "git-receive-pack", 0, false,
                     "report-status delete-refs ofs-delta atomic quiet side-band-64k " SHARED, fn, ctx, err);
}
