/* The web page at /ui/: the files of web/, inside the program.
 *
 * It asks the same routes as every other client. Its Content-Security-Policy lets it load and ask from this server alone,
 * and run no script or style but these files. */
#ifndef CLO_SERVE_WEB_H
#define CLO_SERVE_WEB_H

#include "serve/http.h"
#include "serve/server.h"

/* GET /: a browser is sent to /ui/; programs get the text that Ollama's clients look for. */
void clo_web_root(clo_server *s, clo_request *r, clo_str rest);
void clo_web_index(clo_server *s, clo_request *r, clo_str rest);
void clo_web_file(clo_server *s, clo_request *r, clo_str name);

#endif
