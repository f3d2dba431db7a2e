/* See reconstruction.h. */
#include "hub/reconstruction.h"

#include <stdlib.h>

#include "hub/terms.h"

static bool no_memory(clo_err *err)
{
    return clo_fail(err, CLO_ERR_MEMORY, "reconstruction");
}

static json_t *chunks_json(const clo_stretch *s)
{
    return json_pack("{s:I, s:I}", "start", (json_int_t)s->start, "end", (json_int_t)s->end);
}

static json_t *bytes_json(const clo_stretch *s)
{
    return json_pack("{s:I, s:I}", "start", (json_int_t)s->off, "end", (json_int_t)s->off + s->stored_bytes - 1);
}

static bool add_term(json_t *terms, const clo_stretch *s, clo_err *err)
{
    char hex[65];
    clo_xet_hash_text(hex, &s->xorb);
    json_t *t =
        json_pack("{s:s, s:I, s:o}", "hash", hex, "unpacked_length", (json_int_t)s->raw_bytes, "range", chunks_json(s));
    return (t && json_array_append_new(terms, t) == 0) || no_memory(err);
}

/* --- what is to be fetched ----------------------------------------------------------------------------------------*/

static int by_xorb_and_start(const void *a, const void *b)
{
    const clo_stretch *x = (const clo_stretch *)a, *y = (const clo_stretch *)b;
    int order = memcmp(x->xorb.b, y->xorb.b, sizeof x->xorb.b);
    return order ? order : (x->start > y->start) - (x->start < y->start);
}

/* Stretches of one xorb that meet or overlap become one. Their number afterwards. */
static size_t merge(clo_stretch *s, size_t n)
{
    size_t k = 0;
    qsort(s, n, sizeof *s, by_xorb_and_start);
    for (size_t i = 0; i < n; i++) {
        clo_stretch *last = k ? &s[k - 1] : NULL;
        if (!last || !clo_xet_hash_eq(&last->xorb, &s[i].xorb) || s[i].start > last->end) {
            s[k++] = s[i];
        } else if (s[i].end > last->end) {
            last->end = s[i].end;
            last->stored_bytes = s[i].off + s[i].stored_bytes - last->off;
        }
    }
    return k;
}

static json_t *fetch_json(const clo_stretch *s, const char *url, clo_reconstruction_version version)
{
    if (version == CLO_RECONSTRUCTION_V1)
        return json_pack("{s:o, s:s, s:o}", "range", chunks_json(s), "url", url, "url_range", bytes_json(s));
    return json_pack("{s:s, s:[{s:o, s:o}]}", "url", url, "ranges", "chunks", chunks_json(s), "bytes", bytes_json(s));
}

static bool add_fetch(json_t *fetch, const clo_stretch *s, clo_reconstruction_version version, clo_xorb_url *url_of,
                      void *ctx, clo_err *err)
{
    char hex[65], url[CLO_XORB_URL_MAX];
    clo_xet_hash_text(hex, &s->xorb);
    if (!url_of(url, ctx, &s->xorb, s->off, (uint64_t)s->off + s->stored_bytes - 1, err)) return false;
    json_t *list = json_object_get(fetch, hex), *one = fetch_json(s, url, version);
    if (!list) {
        list = json_array();
        if (!list || json_object_set_new(fetch, hex, list) != 0) {
            json_decref(one);
            return no_memory(err);
        }
    }
    return (one && json_array_append_new(list, one) == 0) || no_memory(err);
}

/* --- the answer ---------------------------------------------------------------------------------------------------*/

static bool answer(json_t **out, clo_cutting *c, clo_reconstruction_version version, clo_xorb_url *url, void *ctx,
                   clo_err *err)
{
    json_t *terms = json_array(), *fetch = json_object();
    bool ok = (terms && fetch) || no_memory(err);
    for (size_t i = 0; ok && i < c->n; i++)
        ok = add_term(terms, &c->s[i], err);
    size_t n = ok ? merge(c->s, c->n) : 0;
    for (size_t i = 0; i < n && ok; i++)
        ok = add_fetch(fetch, &c->s[i], version, url, ctx, err);
    const char *name = version == CLO_RECONSTRUCTION_V1 ? "fetch_info" : "xorbs";
    if (ok) {
        *out =
            json_pack("{s:I, s:O, s:O}", "offset_into_first_range", (json_int_t)c->skip, "terms", terms, name, fetch);
        ok = *out || no_memory(err);
    }
    json_decref(terms);
    json_decref(fetch);
    return ok;
}

bool clo_reconstruct(json_t **out, const clo_files *f, const clo_xet_hash *xet, uint64_t first, uint64_t end,
                     clo_reconstruction_version version, clo_xorb_url *url, void *ctx, clo_err *err)
{
    clo_terms terms = {0};
    clo_cutting c = {0};
    *out = NULL;
    bool ok = clo_terms_get(&terms, f, xet, err);
    if (ok && end > terms.size) end = terms.size;
    if (ok && first >= end && terms.size > 0)
        ok = clo_fail(err, CLO_ERR_USAGE, "bytes from %llu of a file of %llu", (unsigned long long)first,
                      (unsigned long long)terms.size);
    ok = ok && clo_terms_cut(&c, f, &terms, first, end > first ? end - first : 0, err) &&
         answer(out, &c, version, url, ctx, err);
    clo_terms_free(&terms);
    clo_cutting_free(&c);
    return ok;
}
