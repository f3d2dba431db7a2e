/* See remote_git.h. */
#include "hub/remote_git.h"

#include <stdio.h>
#include <stdlib.h>

#ifndef CLO_VERSION
#    define CLO_VERSION "0"
#endif

#define AGENT "agent=cloche/" CLO_VERSION

void clo_remote_refs_free(clo_remote_refs *r)
{
    free(r->rows);
    *r = (clo_remote_refs){0};
}

const clo_ref *clo_remote_refs_find(const clo_remote_refs *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->rows[i].name, name) == 0) return &r->rows[i];
    return NULL;
}

static bool to_buf(void *ctx, clo_bytes bytes, clo_err *err)
{
    clo_buf *b = ctx;
    clo_buf_add(b, clo_str_of(bytes));
    return clo_buf_ok(b, err);
}

static bool bad(clo_err *err, const char *what)
{
    return clo_fail(err, CLO_ERR_FORMAT, "the far git: %s", what);
}

/* What the far side says goes to people: one line, without orders to a terminal. */
static void copy_plain(char *out, size_t cap, clo_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len && n + 1 < cap; i++) out[n++] = (unsigned char)s.ptr[i] < ' ' || s.ptr[i] == 0x7f ? ' ' : s.ptr[i];
    out[n] = '\0';
}

static bool says_error(clo_str line, clo_err *err)
{
    char text[300];
    if (!clo_str_starts_with(line, CLO_STR("ERR "))) return false;
    copy_plain(text, sizeof text, clo_str_from_off(line, 4));
    clo_fail(err, CLO_ERR_USAGE, "the far git says: %s", text);
    return true;
}

/* Cuts "<oid> <name>" with a name of a sound length. */
static bool cut_ref(clo_ref *out, clo_str *rest, clo_str line)
{
    if (line.len < 42 || line.ptr[40] != ' ' || !clo_oid_parse(&out->target, (clo_str){line.ptr, 40})) return false;
    clo_str name = clo_str_from_off(line, 41);
    size_t end = clo_str_find(name, 0, ' ');
    *rest = clo_str_from_off(name, end + 1);
    name.len = end;
    if (name.len == 0 || name.len >= sizeof out->name || memchr(name.ptr, 0, name.len)) return false;
    memcpy(out->name, name.ptr, name.len);
    out->name[name.len] = '\0';
    return true;
}

static bool add_ref(clo_remote_refs *r, const clo_ref *ref, clo_err *err)
{
    if (r->n >= CLO_REMOTE_REFS_MAX) return clo_fail(err, CLO_ERR_LIMIT, "more than %d refs", CLO_REMOTE_REFS_MAX);
    if ((r->n & (r->n - 1)) == 0) { /* a power of two is full */
        clo_ref *more = realloc(r->rows, (r->n ? 2 * r->n : 1) * sizeof *more);
        if (!more) return clo_fail(err, CLO_ERR_MEMORY, "list of refs");
        r->rows = more;
    }
    r->rows[r->n++] = *ref;
    return true;
}

/* --- fetch --------------------------------------------------------------------------------------------------------*/

bool clo_remote_v2_check(clo_bytes in, clo_err *err)
{
    clo_pkt k;
    bool v2 = false, refs = false, fetch = false;
    clo_pkt_result got;
    while ((got = clo_pkt_read(&k, &in, err)) == CLO_PKT_DONE) {
        if (k.kind != CLO_PKT_DATA) continue;
        if (says_error(k.text, err)) return false;
        v2 = v2 || clo_str_eq(k.text, CLO_STR("version 2"));
        refs = refs || clo_str_eq(k.text, CLO_STR("ls-refs")) || clo_str_starts_with(k.text, CLO_STR("ls-refs="));
        fetch = fetch || clo_str_eq(k.text, CLO_STR("fetch")) || clo_str_starts_with(k.text, CLO_STR("fetch="));
        if (clo_str_eq(k.text, CLO_STR("object-format=sha256"))) return bad(err, "its objects have names of SHA-256");
    }
    if (got == CLO_PKT_BAD) return false;
    return (v2 && refs && fetch) || bad(err, "it does not speak protocol 2");
}

bool clo_remote_refs_ask(clo_buf *out, clo_err *err)
{
    clo_pkt_out o = {.fn = to_buf, .ctx = out};
    clo_pkt_line(&o, "command=ls-refs\n");
    clo_pkt_line(&o, AGENT "\n");
    clo_pkt_line(&o, "object-format=sha1\n");
    clo_pkt_delim(&o);
    clo_pkt_line(&o, "ref-prefix refs/heads/\n");
    clo_pkt_line(&o, "ref-prefix refs/tags/\n");
    clo_pkt_flush(&o);
    return clo_pkt_ok(&o, err);
}

bool clo_remote_refs_parse(clo_remote_refs *out, clo_bytes in, clo_err *err)
{
    clo_pkt k;
    clo_ref ref;
    clo_str rest;
    bool ended = false, ok = true;
    clo_pkt_result got = CLO_PKT_MORE;
    *out = (clo_remote_refs){0};
    while (ok && !ended && (got = clo_pkt_read(&k, &in, err)) == CLO_PKT_DONE) {
        ended = k.kind == CLO_PKT_FLUSH;
        if (k.kind != CLO_PKT_DATA) continue;
        if (says_error(k.text, err)) ok = false;
        else ok = cut_ref(&ref, &rest, k.text) ? true : bad(err, "a line that names no ref");
        if (ok && clo_ref_name_ok(clo_str_from(ref.name))) ok = add_ref(out, &ref, err); /* HEAD and the like are not asked for */
    }
    if (ok && got != CLO_PKT_BAD && !ended) ok = clo_fail(err, CLO_ERR_IO, "a list of refs that ends early");
    if (ok && got != CLO_PKT_BAD) return true;
    clo_remote_refs_free(out);
    return false;
}

bool clo_remote_fetch_ask(clo_buf *out, const clo_oid *wants, size_t n_wants, const clo_oid *haves, size_t n_haves, clo_err *err)
{
    clo_pkt_out o = {.fn = to_buf, .ctx = out};
    char hex[CLO_OID_HEX];
    clo_pkt_line(&o, "command=fetch\n");
    clo_pkt_line(&o, AGENT "\n");
    clo_pkt_line(&o, "object-format=sha1\n");
    clo_pkt_delim(&o);
    clo_pkt_line(&o, "ofs-delta\n");
    clo_pkt_line(&o, "no-progress\n");
    if (n_haves) clo_pkt_line(&o, "thin-pack\n");
    for (size_t i = 0; i < n_wants; i++) {
        clo_oid_hex(hex, &wants[i]);
        clo_pkt_line(&o, "want %s\n", hex);
    }
    for (size_t i = 0; i < n_haves; i++) {
        clo_oid_hex(hex, &haves[i]);
        clo_pkt_line(&o, "have %s\n", hex);
    }
    clo_pkt_line(&o, "done\n");
    clo_pkt_flush(&o);
    return clo_pkt_ok(&o, err);
}

/* A line of the pack: band 1 is the pack, 2 what a terminal shows, 3 the last words. */
static bool take_band(clo_fetch_reader *r, clo_str line, clo_err *err)
{
    char text[300];
    if (line.len == 0) return bad(err, "an empty line in its pack");
    clo_str data = clo_str_from_off(line, 1);
    if (line.ptr[0] == 2) return true;
    if (line.ptr[0] == 3) {
        copy_plain(text, sizeof text, data);
        return clo_fail(err, CLO_ERR_USAGE, "the far git says: %s", text);
    }
    if (line.ptr[0] != 1) return bad(err, "a line of an unknown band");
    if (data.len > r->max - r->pack->n)
        return clo_fail(err, CLO_ERR_LIMIT, "a pack of more than %llu bytes", (unsigned long long)r->max);
    return clo_spool_add(r->pack, clo_bytes_of(data), err);
}

static bool take_line(clo_fetch_reader *r, const clo_pkt *k, clo_err *err)
{
    if (r->ended) return bad(err, "lines after its end");
    if (k->kind == CLO_PKT_FLUSH || k->kind == CLO_PKT_END) r->ended = true;
    else if (k->kind == CLO_PKT_DATA && r->in_pack) return take_band(r, k->raw, err);
    else if (k->kind == CLO_PKT_DATA && says_error(k->text, err)) return false;
    else if (k->kind == CLO_PKT_DATA && clo_str_eq(k->text, CLO_STR("packfile"))) r->in_pack = true;
    return true;
}

static bool read_lines(clo_fetch_reader *r, clo_bytes *in, clo_err *err)
{
    clo_pkt k;
    clo_pkt_result got;
    while ((got = clo_pkt_read(&k, in, err)) == CLO_PKT_DONE)
        if (!take_line(r, &k, err)) return false;
    return got == CLO_PKT_MORE;
}

bool clo_fetch_reader_add(void *reader, clo_bytes piece, clo_err *err)
{
    clo_fetch_reader *r = reader;
    r->rest.max = 4 * (size_t)CLO_PKT_MAX;
    while (piece.len) {
        size_t n = piece.len < CLO_PKT_MAX ? piece.len : CLO_PKT_MAX;
        clo_buf_add(&r->rest, (clo_str){(const char *)piece.ptr, n});
        if (!clo_buf_ok(&r->rest, err)) return false;
        clo_bytes in = clo_bytes_of(clo_buf_str(&r->rest));
        if (!read_lines(r, &in, err)) return false;
        memmove(r->rest.ptr, in.ptr, in.len);
        r->rest.len = in.len;
        piece = (clo_bytes){piece.ptr + n, piece.len - n};
    }
    return true;
}

bool clo_fetch_reader_end(clo_fetch_reader *r, clo_err *err)
{
    if (r->ended && r->in_pack && r->rest.len == 0) return true;
    return clo_fail(err, CLO_ERR_IO, "the far git's reply ends early");
}

void clo_fetch_reader_free(clo_fetch_reader *r)
{
    clo_buf_free(&r->rest);
}

/* --- push ---------------------------------------------------------------------------------------------------------*/

/* The first line of refs has a NUL and capabilities behind it. */
static void cut_words(clo_remote_can *can, clo_str *line)
{
    size_t nul = clo_str_find(*line, 0, '\0');
    if (nul == line->len) return;
    clo_str words = clo_str_from_off(*line, nul + 1);
    *can = (clo_remote_can){clo_pkt_has_word(words, "report-status"), clo_pkt_has_word(words, "side-band-64k"), clo_pkt_has_word(words, "atomic")};
    line->len = nul;
}

bool clo_remote_advert_parse(clo_remote_refs *out, clo_remote_can *can, clo_bytes in, clo_err *err)
{
    clo_pkt k;
    clo_ref ref;
    clo_str rest;
    size_t n_flush = 0;
    bool ok = true;
    clo_pkt_result got = CLO_PKT_MORE;
    *out = (clo_remote_refs){0};
    *can = (clo_remote_can){0};
    while (ok && n_flush < 2 && (got = clo_pkt_read(&k, &in, err)) == CLO_PKT_DONE) {
        if (k.kind == CLO_PKT_FLUSH) n_flush++;
        if (k.kind != CLO_PKT_DATA || clo_str_starts_with(k.text, CLO_STR("# service="))) continue;
        if (says_error(k.text, err)) ok = false;
        else cut_words(can, &k.text);
        if (ok && !cut_ref(&ref, &rest, k.text)) ok = bad(err, "a line that names no ref");
        if (ok && clo_ref_name_ok(clo_str_from(ref.name))) ok = add_ref(out, &ref, err);
    }
    if (ok && got != CLO_PKT_BAD && n_flush < 2) ok = clo_fail(err, CLO_ERR_IO, "a list of refs that ends early");
    if (ok && got != CLO_PKT_BAD && !can->report) ok = bad(err, "it does not report what it took");
    if (ok && got != CLO_PKT_BAD) return true;
    clo_remote_refs_free(out);
    return false;
}

bool clo_remote_push_ask(clo_buf *out, const clo_remote_update *u, size_t n, const clo_remote_can *can, clo_err *err)
{
    clo_pkt_out o = {.fn = to_buf, .ctx = out};
    char old[CLO_OID_HEX], now[CLO_OID_HEX];
    for (size_t i = 0; i < n; i++) {
        clo_oid_hex(old, &u[i].old);
        clo_oid_hex(now, &u[i].now);
        if (i > 0) clo_pkt_line(&o, "%s %s %s\n", old, now, u[i].name);
        else
            clo_pkt_line(&o, "%s %s %s%c report-status%s%s " AGENT "\n", old, now, u[i].name, 0, can->band ? " side-band-64k" : "",
                         can->atomic ? " atomic" : "");
    }
    clo_pkt_flush(&o);
    return clo_pkt_ok(&o, err);
}

/* "ok NAME", "ng NAME why" */
static void take_verdict(clo_remote_update *u, size_t n, clo_str line)
{
    bool good = clo_str_starts_with(line, CLO_STR("ok "));
    if (!good && !clo_str_starts_with(line, CLO_STR("ng "))) return;
    clo_str name = clo_str_from_off(line, 3);
    size_t end = clo_str_find(name, 0, ' ');
    for (size_t i = 0; i < n; i++) {
        if (!clo_str_eq(clo_str_from(u[i].name), (clo_str){name.ptr, end})) continue;
        u[i].ok = good;
        if (!good) copy_plain(u[i].why, sizeof u[i].why, clo_str_from_off(name, end + 1));
    }
}

static bool read_report(clo_remote_update *u, size_t n, clo_bytes in, const char *heard, clo_err *err)
{
    clo_pkt k;
    clo_pkt_result got;
    char text[200];
    bool unpacked = false;
    while ((got = clo_pkt_read(&k, &in, err)) == CLO_PKT_DONE && k.kind != CLO_PKT_FLUSH) {
        if (k.kind != CLO_PKT_DATA) continue;
        if (says_error(k.text, err)) return false;
        if (clo_str_eq(k.text, CLO_STR("unpack ok"))) unpacked = true;
        else if (clo_str_starts_with(k.text, CLO_STR("unpack "))) {
            copy_plain(text, sizeof text, clo_str_from_off(k.text, 7));
            return clo_fail(err, CLO_ERR_DENIED, "the far git took nothing: %s%s%s", text, heard[0] ? "; " : "", heard);
        } else take_verdict(u, n, k.text);
    }
    if (got == CLO_PKT_BAD) return false;
    return unpacked || clo_fail(err, CLO_ERR_IO, "the far git does not say whether it took the push%s%s", heard[0] ? ": " : "", heard);
}

bool clo_remote_report_parse(clo_remote_update *u, size_t n, const clo_remote_can *can, clo_bytes in, clo_err *err)
{
    clo_buf report = {.max = CLO_REMOTE_REPLY_MAX}, heard = {.max = 4096};
    char text[200];
    clo_pkt k;
    clo_pkt_result got = CLO_PKT_DONE;
    if (!can->band) return read_report(u, n, in, "", err);
    while (in.len && (got = clo_pkt_read(&k, &in, err)) == CLO_PKT_DONE && k.kind != CLO_PKT_FLUSH) {
        if (k.kind != CLO_PKT_DATA || k.raw.len == 0) continue;
        clo_str data = clo_str_from_off(k.raw, 1);
        if (k.raw.ptr[0] == 1) clo_buf_add(&report, data);
        else if (heard.len + data.len < heard.max) clo_buf_add(&heard, data);
    }
    copy_plain(text, sizeof text, clo_buf_str(&heard));
    bool ok = got != CLO_PKT_BAD && clo_buf_ok(&report, err) && read_report(u, n, clo_bytes_of(clo_buf_str(&report)), text, err);
    clo_buf_free(&report);
    clo_buf_free(&heard);
    return ok;
}
