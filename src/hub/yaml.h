/* YAML by libyaml, as a Jansson value, with the limits that bytes from outside need.
 *
 * What a plain scalar means goes by the core schema of YAML 1.2: `no`, `on` and dates are strings, as the hub's own clients
 * in JavaScript read them. Anchors and aliases work, `<<` merges; but an alias counts as all that it stands for, so that a
 * few lines cannot grow into gigabytes (a "billion laughs" text ends with CLO_ERR_LIMIT). Refused besides: a key twice in a
 * mapping, an alias within its own anchor, tags beyond the core schema, a second document, depth over 32.
 *
 * Infinities, NaN and keys that are no strings become the text that was written; an integer beyond 64 bits is a float. */
#ifndef CLO_HUB_YAML_H
#define CLO_HUB_YAML_H

#include "base/json.h"

#define CLO_YAML_BYTES_MAX ((size_t)1 << 20) /* of a text */

/* *out is owned by the caller, and NULL for an empty document. The nodes that an alias shares are shared: the value is for
 * reading. CLO_ERR_FORMAT has the offset in bytes, and line and column in its text. */
CLO_CHECK bool clo_yaml_parse(json_t **out, clo_str text, clo_err *err);

#endif
