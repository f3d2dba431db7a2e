/* The rules for paths of a commit. See commit.h. */
#include "base/utf8.h"
#include "hub/commit.h"
#include "hub/tree.h"

#define PART_MAX 255 /* bytes */
#define DEPTH_MAX 128

/* Characters that HFS+ leaves out of a name: with them ".g<nothing>it" is ".git" there. */
static bool is_ignorable(uint32_t cp)
{
    return (cp >= 0x200c && cp <= 0x200f) || (cp >= 0x202a && cp <= 0x202e) || (cp >= 0x206a && cp <= 0x206f) ||
           cp == 0xfeff;
}

/* ".git" as Linux, Windows (dots and spaces at the end, a stream after a colon, the short name) or macOS read it. */
static bool is_dot_git(clo_str part)
{
    char low[8];
    size_t n = 0;
    for (size_t i = 0, len; i < part.len; i += len) {
        uint32_t cp = clo_utf8_decode(part, i, &len);
        if (is_ignorable(cp)) continue;
        if (cp == ':') break;
        if (n == sizeof low) {
            if (cp != '.' && cp != ' ') return false;
            continue;
        }
        low[n++] = (char)(cp >= 'A' && cp <= 'Z' ? cp + 32 : cp < 0x80 ? cp : 1);
    }
    while (n > 0 && (low[n - 1] == '.' || low[n - 1] == ' ')) n--;
    clo_str s = {low, n};
    return clo_str_eq(s, CLO_STR(".git")) || clo_str_eq(s, CLO_STR("git~1"));
}

static bool check_part(clo_str part, clo_err *err)
{
    if (part.len == 0) return clo_fail(err, CLO_ERR_USAGE, "a part is empty");
    if (part.len > PART_MAX) return clo_fail(err, CLO_ERR_USAGE, "a part of %zu bytes, limit %d", part.len, PART_MAX);
    if (clo_str_eq(part, CLO_STR(".")) || clo_str_eq(part, CLO_STR("..")))
        return clo_fail(err, CLO_ERR_USAGE, ". and .. are no parts");
    return !is_dot_git(part) || clo_fail(err, CLO_ERR_USAGE, "a part is git's own name");
}

bool clo_path_check(clo_str path, clo_err *err)
{
    size_t depth = 0;
    bool ok = path.len > 0 || clo_fail(err, CLO_ERR_USAGE, "it is empty");
    if (ok && path.len >= CLO_PATH_MAX)
        ok = clo_fail(err, CLO_ERR_USAGE, "%zu bytes, limit %d", path.len, CLO_PATH_MAX - 1);
    if (ok && !clo_utf8_valid(path)) ok = clo_fail(err, CLO_ERR_USAGE, "it is not UTF-8");
    for (size_t i = 0; ok && i < path.len; i++) {
        unsigned char c = (unsigned char)path.ptr[i];
        if (c == '\\') ok = clo_fail(err, CLO_ERR_USAGE, "a backslash");
        else if (c < 0x20 || c == 0x7f) ok = clo_fail(err, CLO_ERR_USAGE, "a control character");
    }
    for (size_t at = 0; ok && at <= path.len;) {
        size_t end = clo_str_find(path, at, '/');
        ok = ++depth <= DEPTH_MAX || clo_fail(err, CLO_ERR_USAGE, "more than %d folders", DEPTH_MAX);
        ok = ok && check_part((clo_str){path.ptr + at, end - at}, err);
        at = end + 1;
    }
    if (!ok)
        clo_err_context(err, "invalid path '%.*s'", (int)(path.len < 200 ? path.len : 200), path.ptr ? path.ptr : "");
    return ok;
}
