/* Names of models that repositories hold (held.h), and which GGUF file one means.
 *
 *   clo_held_name n;
 *   if (clo_held_parse(&n, CLO_STR("lab/tiny:Q8_0@v1.0"))) ...      // id "lab/tiny", file "Q8_0", rev "v1.0" */
#ifndef CLO_SERVE_HELD_NAME_H
#define CLO_SERVE_HELD_NAME_H

#include "hub/refs.h"
#include "hub/repo.h"

#define CLO_HELD_NAME_MAX 512 /* bytes of a name, with the NUL */

typedef struct {
    char id[CLO_REPO_ID_MAX];     /* ns/name */
    char file[CLO_HELD_NAME_MAX]; /* after ':'; "": not given, or "latest" */
    char rev[CLO_REF_NAME_MAX];   /* after '@'; "": main */
} clo_held_name;

/* False: it can be no such name. */
bool clo_held_parse(clo_held_name *out, clo_str text);
/* As it is parsed, the file first; `id`: the repository's own spelling. False when it does not fit. */
bool clo_held_spell(char out[CLO_HELD_NAME_MAX], const clo_held_name *n, const char *id);

/* Which of the GGUF models of a repository is meant: paths of files, of a split one the first. want: clo_held_name.file.
 * CLO_ERR_NOT_FOUND, and CLO_ERR_USAGE when several fit, name them. */
CLO_CHECK bool clo_held_choose(size_t *out, const char *const *paths, size_t n, const char *id, const char *want, clo_err *err);
/* Whether a file is a model, or the first part of one: not a later part, nor, unless it is wanted by its path, what goes with a model
 * (a projector of images, a matrix of importance). */
bool clo_held_is_gguf(const char *path, const char *want);

#endif
