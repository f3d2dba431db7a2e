/* What the Xet endpoints share, with each other and with whoever names a Xet file. */
#ifndef CLO_SERVE_HUB_XET_H
#define CLO_SERVE_HUB_XET_H

#include "serve/hub.h"

typedef struct {
    char text[CLO_SIGNED_MAX];
    char url[CLO_HUB_BASE_MAX + 8]; /* where it is shown */
    int64_t expires_s;
    char until[24]; /* the same */
} clo_xet_token;
/* A token for c->repo; who may have it is the caller's to ask. False: replied. */
bool clo_hub_xet_token(clo_xet_token *out, clo_hub_call *c, bool write);

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
