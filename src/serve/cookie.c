/* See cookie.h. */
#include "serve/cookie.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Whether an Origin names this host; the scheme may be that of a proxy before us. */
static bool is_own(const clo_request *r, clo_str origin)
{
    clo_str host = clo_request_header(r, "Host");
    const clo_str http = CLO_STR("http://"), https = CLO_STR("https://");
    if (clo_str_starts_with(origin, http)) origin = clo_str_from_off(origin, http.len);
    else if (clo_str_starts_with(origin, https)) origin = clo_str_from_off(origin, https.len);
    else return false;
    return origin.len > 0 && origin.len == host.len && strncasecmp(origin.ptr, host.ptr, host.len) == 0;
}

bool clo_cookie_is_foreign(const clo_request *r)
{
    clo_str origin = clo_request_header(r, "Origin"), site = clo_request_header(r, "Sec-Fetch-Site");
    if (origin.len > 0 && !is_own(r, origin)) return true;
    return site.len > 0 && !clo_str_eq(site, CLO_STR("same-origin")) && !clo_str_eq(site, CLO_STR("none"));
}

static bool only_reads(const clo_request *r)
{
    clo_str method = clo_request_method(r);
    return clo_str_eq(method, CLO_STR("GET")) || clo_str_eq(method, CLO_STR("HEAD"));
}

static bool is_from_own_page(const clo_request *r)
{
    if (clo_cookie_is_foreign(r)) return false;
    return only_reads(r) || clo_request_header(r, "Origin").len > 0 ||
           clo_str_eq(clo_request_header(r, "Sec-Fetch-Site"), CLO_STR("same-origin"));
}

/* The value of our cookie in "a=b; c=d". */
static clo_str find(clo_str cookies)
{
    const clo_str name = CLO_STR(CLO_COOKIE_NAME "=");
    while (cookies.len > 0) {
        while (cookies.len > 0 && cookies.ptr[0] == ' ') cookies = clo_str_from_off(cookies, 1);
        clo_str pair = {cookies.ptr, clo_str_find(cookies, 0, ';')};
        if (clo_str_starts_with(pair, name)) return clo_str_from_off(pair, name.len);
        cookies = pair.len < cookies.len ? clo_str_from_off(cookies, pair.len + 1) : (clo_str){0};
    }
    return (clo_str){0};
}

bool clo_cookie_bearer(char out[CLO_COOKIE_MAX], const clo_request *r)
{
    clo_str text = find(clo_request_header(r, "Cookie"));
    if (text.len == 0 || text.len + strlen("Bearer ") >= CLO_COOKIE_MAX || !is_from_own_page(r)) return false;
    snprintf(out, CLO_COOKIE_MAX, "Bearer %.*s", (int)text.len, text.ptr);
    return true;
}

/* Behind a proxy that ends TLS it is the proxy that says so. */
static bool is_tls(const clo_request *r)
{
    return strncmp(clo_http_url(clo_request_server(r)), "https:", 6) == 0 ||
           clo_str_starts_with(clo_request_header(r, "Origin"), CLO_STR("https://"));
}

void clo_cookie_set(clo_request *r, const char *text, int64_t life_s)
{
    char line[256], age[40] = "";
    if (!text || life_s > 0) snprintf(age, sizeof age, "; Max-Age=%lld", (long long)(text ? life_s : 0));
    snprintf(line, sizeof line, CLO_COOKIE_NAME "=%s; Path=/; HttpOnly; SameSite=Strict%s%s", text ? text : "", age, is_tls(r) ? "; Secure" : "");
    clo_reply_header(r, "Set-Cookie", line);
}
