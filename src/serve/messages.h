/* Messages of a conversation, as clients write them, to the one form that chat templates read.
 *
 * Roles: system, developer (= system), user, assistant, tool, function (= tool), in any case. Content: text, or parts of
 * which text is joined by newlines; other parts are refused by name. A call's arguments become an object where they are the
 * text of one; a tool's answer gets the name of the function that it answers. */
#ifndef CLO_SERVE_MESSAGES_H
#define CLO_SERVE_MESSAGES_H

#include "base/json.h"
#include "infer/tool_call.h"
#include "serve/api_error.h"

#define CLO_MESSAGES_MAX 16384

/* *out is owned. At least one message. */
bool clo_messages_read(json_t **out, const json_t *messages, clo_api_error *e);
/* True when the last one is the assistant's: the answer goes on from it. */
bool clo_messages_go_on(const json_t *messages);

/* Checks a list of tools: {"type":"function","function":{"name","description","parameters"}}. */
bool clo_tools_check(const json_t *tools, clo_api_error *e);

#endif
