/* Which addresses are pages. See web.h. */
#include <string.h>

#include "hub/account.h"
#include "hub/collection.h"
#include "hub/repo.h"
#include "serve/web.h"

static bool is_one_of(clo_str s, const char *const *words)
{
    while (*words && !clo_str_eq(s, clo_str_from(*words))) words++;
    return *words != NULL;
}

/* Takes the next part of a path; empty at the end. */
static clo_str next(clo_str *path)
{
    clo_str part = {path->ptr, clo_str_find(*path, 0, '/')};
    *path = clo_str_from_off(*path, part.len < path->len ? part.len + 1 : part.len);
    return part;
}

/* Names never need to be escaped, so that they are compared as they came. What is below is for the page to read. */
bool clo_web_is_page(const clo_request *r)
{
    static const char *const alone[] = {"models", "datasets", "spaces", "login", "new", "settings", NULL};
    static const char *const kinds[] = {"datasets", "spaces", NULL};
    static const char *const views[] = {"", "tree", "blob", "commits", "commit", "discussions", "settings", "upload", NULL};
    clo_str path = clo_request_target(r);
    if (path.len < 2 || path.ptr[0] != '/') return false;
    path = clo_str_from_off(path, 1);
    clo_str first = next(&path);
    if (path.len == 0) return is_one_of(first, alone) || clo_account_name_check(first, NULL);
    if (clo_str_eq(first, CLO_STR("collections"))) {
        clo_str ns = next(&path), slug = next(&path);
        return clo_account_name_check(ns, NULL) && clo_account_name_fits(slug, CLO_COLLECTION_SLUG_MAX) && path.len == 0;
    }
    if (is_one_of(first, kinds)) first = next(&path);
    clo_str name = next(&path), view = next(&path);
    if (clo_str_eq(view, CLO_STR("commit")) && clo_str_ends_with(path, CLO_STR(".diff"))) return false; /* the text of what it changed */
    return clo_account_name_check(first, NULL) && clo_account_name_fits(name, CLO_REPO_NAME_MAX - 1) && is_one_of(view, views);
}

/* Only browsers ask for text/html by name. */
bool clo_web_wants_page(const clo_request *r)
{
    const clo_str html = CLO_STR("text/html");
    clo_str accept = clo_request_header(r, "Accept"), method = clo_request_method(r);
    if (!clo_str_eq(method, CLO_STR("GET")) && !clo_str_eq(method, CLO_STR("HEAD"))) return false;
    for (size_t i = 0; accept.len >= html.len && i <= accept.len - html.len; i++)
        if (memcmp(accept.ptr + i, html.ptr, html.len) == 0) return true;
    return false;
}
