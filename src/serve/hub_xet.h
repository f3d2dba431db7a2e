/* What the Xet endpoints share, with each other and with whoever names a Xet file. */
#ifndef CLO_SERVE_HUB_XET_H
#define CLO_SERVE_HUB_XET_H

#include "serve/hub.h"

/* The repository of the request's Xet token becomes c->repo. False: replied (401: a new token is needed, 403: it is one for
 * reading). */
bool clo_hub_xet_scope(clo_hub_call *c, bool write);
/* fields: "row-id" of a repository, as signed; it becomes c->repo. False: replied. */
bool clo_hub_signed_repo(clo_hub_call *c, clo_str fields);
/* A hash in an address. False: replied (400). */
bool clo_hub_xet_hash(clo_xet_hash *out, clo_hub_call *c, clo_str text);
/* Headers by which clients fetch a file of c->repo by Xet. */
void clo_hub_xet_headers(clo_hub_call *c, const clo_file_info *info, const char *commit);

#endif
