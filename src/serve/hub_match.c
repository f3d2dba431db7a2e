/* Patterns of the hub's routes. See hub.h. */
#include "serve/hub.h"

#include <string.h>

/* The next part of a path and what comes after its slash; false at the end. */
static bool next_part(clo_str *part, clo_str *left)
{
    if (left->len == 0) return false;
    size_t n = clo_str_find(*left, 0, '/');
    *part = (clo_str){left->ptr, n};
    *left = clo_str_from_off(*left, n + 1);
    return true;
}

static bool take_type(clo_hub_args *out, clo_str part)
{
    for (int t = 0; t < CLO_REPO_TYPES; t++)
        if (clo_str_eq(part, clo_str_from(clo_hub_type_plural((clo_repo_type)t)))) {
            out->type = (clo_repo_type)t;
            return true;
        }
    return false;
}

static bool decode(clo_str *out, clo_request *r, clo_str part)
{
    *out = clo_request_unescape(r, part);
    return out->ptr && !memchr(out->ptr, '\0', out->len);
}

/* Whether one part of a pattern takes one part of a path. */
static bool take(clo_hub_args *out, clo_request *r, clo_str want, clo_str part)
{
    if (clo_str_eq(want, CLO_STR("{T}"))) return take_type(out, part);
    if (part.len == 0) return false;
    if (clo_str_eq(want, CLO_STR("{ns}"))) {
        out->id = part;
        return decode(&out->ns, r, part);
    }
    if (clo_str_eq(want, CLO_STR("{rev}"))) return decode(&out->rev, r, part);
    if (clo_str_eq(want, CLO_STR("{x}"))) return decode(&out->x, r, part);
    if (clo_str_eq(want, CLO_STR("{name}")) || clo_str_eq(want, CLO_STR("{git}"))) {
        out->has_repo = true;
        if (!decode(&out->name, r, part)) return false;
        if (want.ptr[1] == 'g' && clo_str_ends_with(part, CLO_STR(".git"))) {
            out->name.len -= 4;
            part.len -= 4;
        }
        out->id.len = (size_t)(part.ptr + part.len - out->id.ptr);
        return out->name.len > 0;
    }
    return clo_str_eq(want, part);
}

bool clo_hub_match(clo_hub_args *out, const char *pattern, clo_request *r)
{
    clo_str path = clo_request_target(r), want = clo_str_from(pattern), a, b;
    *out = (clo_hub_args){0};
    if (path.len == 0 || path.ptr[0] != '/') return false;
    path = clo_str_from_off(path, 1);
    want = clo_str_from_off(want, 1);
    if (path.len > 0 && path.ptr[path.len - 1] == '/') path.len--;
    while (next_part(&a, &want)) {
        if (clo_str_eq(a, CLO_STR("{R}"))) {
            clo_str rest = path;
            if (next_part(&b, &rest) && take_type(out, b)) {
                if (out->type == CLO_REPO_MODEL) return false;
                path = rest;
            }
            continue;
        }
        if (clo_str_eq(a, CLO_STR("*"))) return path.len > 0 && decode(&out->rest, r, path);
        if (!next_part(&b, &path) || !take(out, r, a, b)) return false;
    }
    return path.len == 0;
}
