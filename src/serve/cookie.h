/* The cookie by which a page of this server says who is signed in: a token (hub/session.h, or one that its user gave).
 *
 * Scripts cannot read it (HttpOnly), browsers send it to this host alone and not from other sites (SameSite=Strict). Since that does
 * not tell ports or schemes apart, it is looked at only where the request comes from a page of this very server: Sec-Fetch-Site
 * is same-origin, or none for a read (typed into the browser), and Origin, when there is one, is this Host. What changes something
 * must bring one of the two. Everywhere else it is as if the cookie were not there. */
#ifndef CLO_SERVE_COOKIE_H
#define CLO_SERVE_COOKIE_H

#include "serve/http.h"

#define CLO_COOKIE_NAME "cloche_session"
#define CLO_COOKIE_MAX 80 /* bytes of "Bearer TOKEN", with the NUL */

/* As the value of an Authorization header; false: none that counts. */
bool clo_cookie_bearer(char out[CLO_COOKIE_MAX], const clo_request *r);
/* Whether a page of somebody else's sent it. Programs, which say nothing of where they come from, are no page. */
bool clo_cookie_is_foreign(const clo_request *r);
/* text NULL: the browser forgets it. life_s 0: until the browser is closed. */
void clo_cookie_set(clo_request *r, const char *text, int64_t life_s);

#endif
