/* Who calls the hub. See hub.h. */
#include <stdio.h>

#include "hub/session.h"
#include "serve/cookie.h"
#include "serve/hub.h"
#include "serve/server_impl.h"

bool clo_hub_has_session(const clo_hub_call *c)
{
    return c->by_cookie && clo_session_has_name(clo_str_from(c->who.name));
}

bool clo_hub_find_who(clo_hub_call *c)
{
    clo_denial no = {0};
    char authorization[512] = "", cookie[CLO_COOKIE_MAX];
    clo_str given = clo_request_header(c->r, "Authorization");
    if (given.len < sizeof authorization) snprintf(authorization, sizeof authorization, "%.*s", (int)given.len, given.ptr);
    if (!given.ptr && clo_cookie_bearer(cookie, c->r)) {
        c->by_cookie = clo_token_who(&c->who, c->s->keys, cookie, clo_hub_now(), &no) && c->who.account != 0;
        if (!c->by_cookie) c->who = (clo_bearer){0};
        return true;
    }
    if (clo_token_who(&c->who, c->s->keys, given.ptr ? authorization : NULL, clo_hub_now(), &no)) return true;
    clo_hub_deny(c, &no);
    return false;
}
