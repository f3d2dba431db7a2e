/* Names of models in repositories, and which GGUF file one means. See held_name.h. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "hub/text.h"
#include "model/checkpoint.h"
#include "serve/held_name.h"

/* The quantisation that people get who name none, with llama.cpp and Ollama too. */
#define USUAL "Q4_K_M"

/* --- names --------------------------------------------------------------------------------------------------------*/

static bool copy(char *out, size_t cap, clo_str s)
{
    return s.len > 0 && !memchr(s.ptr, '\0', s.len) && clo_text_copy(out, cap, s);
}

static size_t next_mark(clo_str s, size_t from)
{
    size_t a = clo_str_find(s, from, ':'), b = clo_str_find(s, from, '@');
    return a < b ? a : b;
}

bool clo_held_parse(clo_held_name *out, clo_str text)
{
    clo_str ns, name;
    size_t at = next_mark(text, 0);
    *out = (clo_held_name){0};
    if (text.len >= CLO_HELD_NAME_MAX || !copy(out->id, sizeof out->id, (clo_str){text.ptr, at})) return false;
    if (!clo_repo_split(&ns, &name, clo_str_from(out->id), NULL)) return false;
    while (at < text.len) {
        bool rev = text.ptr[at] == '@';
        size_t end = next_mark(text, at + 1);
        clo_str part = {text.ptr + at + 1, end - at - 1};
        if (rev ? out->rev[0] : out->file[0]) return false; /* twice */
        if (!(rev ? copy(out->rev, sizeof out->rev, part) : copy(out->file, sizeof out->file, part))) return false;
        at = end;
    }
    if (strcmp(out->file, "latest") == 0) out->file[0] = '\0'; /* what Ollama's clients add to a name without a tag */
    return true;
}

bool clo_held_spell(char out[CLO_HELD_NAME_MAX], const clo_held_name *n, const char *id)
{
    int len = snprintf(out, CLO_HELD_NAME_MAX, "%s%s%s%s%s", id, n->file[0] ? ":" : "", n->file, n->rev[0] ? "@" : "", n->rev);
    return len > 0 && len < CLO_HELD_NAME_MAX;
}

/* --- GGUF files ---------------------------------------------------------------------------------------------------*/

/* "dir/x" of "dir/x.gguf" and of "dir/x-00001-of-00003.gguf". */
static clo_str stem_of(const char *path)
{
    size_t len;
    int no, count;
    if (clo_gguf_split_name(path, &len, &no, &count)) return (clo_str){path, len};
    return (clo_str){path, strlen(path) - strlen(".gguf")};
}

static clo_str last_part(clo_str path)
{
    size_t at = path.len;
    while (at > 0 && path.ptr[at - 1] != '/') at--;
    return clo_str_from_off(path, at);
}

bool clo_held_is_gguf(const char *path, const char *want)
{
    size_t len;
    int no, count;
    clo_str s = clo_str_from(path);
    if (!clo_str_ends_with(s, CLO_STR(".gguf"))) return false;
    if (clo_gguf_split_name(path, &len, &no, &count) && no != 1) return false;
    clo_str name = last_part(s);
    if (strcmp(path, want) == 0) return true;
    return name.len > strlen(".gguf") && !clo_str_starts_with(name, CLO_STR("mmproj")) && !strstr(name.ptr, "imatrix");
}

static bool same(clo_str a, clo_str b)
{
    return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

/* Whether the file's name ends in the tag, with a mark before it, or its folder is called so. */
static bool has_tag(const char *path, clo_str tag)
{
    clo_str stem = stem_of(path), name = last_part(stem);
    if (name.len >= tag.len && same(clo_str_from_off(name, name.len - tag.len), tag) &&
        (name.len == tag.len || strchr("-._", name.ptr[name.len - tag.len - 1])))
        return true;
    if (name.len == stem.len) return false;
    return same(last_part((clo_str){stem.ptr, stem.len - name.len - 1}), tag);
}

/* How many have the tag; *out is the last. */
static size_t count_tagged(size_t *out, const char *const *paths, size_t n, clo_str tag)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        if (!has_tag(paths[i], tag)) continue;
        *out = i;
        found++;
    }
    return found;
}

/* "a.gguf, b.gguf", as many as the text of an error has room for. */
static bool fail_listing(clo_err *err, clo_code code, const char *const *paths, size_t n, const char *head)
{
    char list[160] = "";
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(paths[i]) + 2;
        if (used + len + 4 > sizeof list) {
            used += (size_t)snprintf(list + used, sizeof list - used, "%s...", i ? ", " : "");
            break;
        }
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", paths[i]);
    }
    return clo_fail(err, code, "%.90s: %s", head, list);
}

bool clo_held_choose(size_t *out, const char *const *paths, size_t n, const char *id, const char *want, clo_err *err)
{
    char head[CLO_HELD_NAME_MAX + 64];
    for (size_t i = 0; want[0] && i < n; i++)
        if (strcmp(paths[i], want) == 0) {
            *out = i;
            return true;
        }
    if (n == 0) return clo_fail(err, CLO_ERR_NOT_FOUND, "'%.100s' holds no GGUF file, so there is no '%.60s' in it", id, want);
    if (!want[0] && n == 1) {
        *out = 0;
        return true;
    }
    size_t found = count_tagged(out, paths, n, want[0] ? clo_str_from(want) : CLO_STR(USUAL));
    if (found == 1) return true;
    snprintf(head, sizeof head, want[0] ? "'%.50s' holds no '%.20s', but" : "'%.50s': name one of its models", id, want);
    if (want[0] && found > 1) snprintf(head, sizeof head, "'%.20s' fits several files of '%.40s'", want, id);
    return fail_listing(err, want[0] && found == 0 ? CLO_ERR_NOT_FOUND : CLO_ERR_USAGE, paths, n, head);
}
