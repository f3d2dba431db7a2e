/* The web pages: the files of web/, inside the program.
 *
 * /chat is the page that talks with the models (index.html). The hub's pages are one shell (hub.html), whatever their address: it
 * tells nothing of what is there, and its scripts ask the same routes as every other client. Their Content-Security-Policy lets
 * them load and ask from this server alone, and run no script or style but these files; the hub's shell also takes no text for
 * markup but what its one policy of Trusted Types lets pass (web/hub/html.js). */
#ifndef CLO_SERVE_WEB_H
#define CLO_SERVE_WEB_H

#include "serve/http.h"
#include "serve/server.h"

/* GET /: a browser gets the hub's first page, or is sent to /chat while the hub has nothing; programs get the text that Ollama's
 * clients look for. */
void clo_web_root(clo_server *s, clo_request *r, clo_str rest);
void clo_web_chat(clo_server *s, clo_request *r, clo_str rest);
void clo_web_old_chat(clo_server *s, clo_request *r, clo_str rest); /* /ui, where it was before: sent on */
void clo_web_shell(clo_server *s, clo_request *r, clo_str rest);
void clo_web_file(clo_server *s, clo_request *r, clo_str name);

/* Whether an address is one of the hub's pages, and whether a browser asks: for others it is none. */
bool clo_web_is_page(const clo_request *r);
bool clo_web_wants_page(const clo_request *r);

#endif
