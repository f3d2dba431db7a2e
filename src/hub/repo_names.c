/* Names of repositories: which are allowed. See repo.h. */
#include "hub/repo.h"

/* First segments of addresses; a namespace of that name could not be reached. Accounts refuse these and more. */
static const char *const reserved[] = {
    "api",    "buckets", "collections",   "datasets", "docs",   "kernels", "login",
    "models", "oauth",   "resolve-cache", "settings", "spaces", "v1",      "v2",
};

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool holds(clo_str s, const char *two)
{
    for (size_t i = 0; i + 1 < s.len; i++)
        if (s.ptr[i] == two[0] && s.ptr[i + 1] == two[1]) return true;
    return false;
}

static bool same_word(clo_str a, const char *b)
{
    size_t n = strlen(b);
    if (a.len != n) return false;
    for (size_t i = 0; i < n; i++) {
        char c = a.ptr[i] >= 'A' && a.ptr[i] <= 'Z' ? (char)(a.ptr[i] | 0x20) : a.ptr[i];
        if (c != b[i]) return false;
    }
    return true;
}

bool clo_repo_check_name(clo_str name, clo_err *err)
{
    if (name.len == 0 || name.len >= CLO_REPO_NAME_MAX)
        return clo_fail(err, CLO_ERR_USAGE, "a name has 1 to %d characters, this one %zu", CLO_REPO_NAME_MAX - 1, name.len);
    for (size_t i = 0; i < name.len; i++)
        if (!is_word(name.ptr[i]) && name.ptr[i] != '-' && name.ptr[i] != '.')
            return clo_fail(err, CLO_ERR_USAGE, "a name has letters, digits, - _ . and no others");
    if (!is_word(name.ptr[0]) || !is_word(name.ptr[name.len - 1]))
        return clo_fail(err, CLO_ERR_USAGE, "'" CLO_STR_FMT "': a name begins and ends with a letter, a digit or _",
                        CLO_STR_ARG(name));
    if (holds(name, "--") || holds(name, ".."))
        return clo_fail(err, CLO_ERR_USAGE, "'" CLO_STR_FMT "': -- and .. cannot stand in a name", CLO_STR_ARG(name));
    if (name.len >= 4 && same_word((clo_str){name.ptr + name.len - 4, 4}, ".git"))
        return clo_fail(err, CLO_ERR_USAGE, "'" CLO_STR_FMT "': a name cannot end in .git", CLO_STR_ARG(name));
    return true;
}

bool clo_repo_check_namespace(clo_str ns, clo_err *err)
{
    if (!clo_repo_check_name(ns, err)) return false;
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (same_word(ns, reserved[i]))
            return clo_fail(err, CLO_ERR_USAGE, "'" CLO_STR_FMT "' is a word of addresses and no name", CLO_STR_ARG(ns));
    return true;
}

bool clo_repo_split(clo_str *ns, clo_str *name, clo_str id, clo_err *err)
{
    size_t at = clo_str_find(id, 0, '/');
    if (at == id.len) return clo_fail(err, CLO_ERR_USAGE, "'" CLO_STR_FMT "' is not namespace/name", CLO_STR_ARG(id));
    *ns = (clo_str){id.ptr, at};
    *name = clo_str_from_off(id, at + 1);
    return clo_repo_check_name(*ns, err) && clo_repo_check_name(*name, err);
}

/* --- what a new repository has ------------------------------------------------------------------------------------*/

#define LFS(pattern) pattern " filter=lfs diff=lfs merge=lfs -text\n"

#define FOR_ALL                                                                                                            \
    LFS("*.7z") LFS("*.arrow") LFS("*.bin") LFS("*.bz2") LFS("*.ckpt") LFS("*.ftz") LFS("*.gz") LFS("*.h5") LFS("*.joblib") \
    LFS("*.lfs.*") LFS("*.mlmodel") LFS("*.model") LFS("*.msgpack") LFS("*.npy") LFS("*.npz") LFS("*.onnx") LFS("*.ot")     \
    LFS("*.parquet") LFS("*.pb") LFS("*.pickle") LFS("*.pkl") LFS("*.pt") LFS("*.pth") LFS("*.rar") LFS("*.safetensors")    \
    LFS("saved_model/**/*") LFS("*.tar.*") LFS("*.tar") LFS("*.tflite") LFS("*.tgz") LFS("*.wasm") LFS("*.xz") LFS("*.zip") \
    LFS("*.zst") LFS("*tfevents*")

#define FOR_DATASETS                                                                                                       \
    LFS("*.lz4") LFS("*.mds") LFS("*.pcm") LFS("*.sam") LFS("*.raw") LFS("*.aac") LFS("*.flac") LFS("*.mp3") LFS("*.ogg")   \
    LFS("*.wav") LFS("*.bmp") LFS("*.gif") LFS("*.png") LFS("*.tiff") LFS("*.jpg") LFS("*.jpeg") LFS("*.webp") LFS("*.mp4") \
    LFS("*.webm")

clo_str clo_repo_attributes(clo_repo_type type)
{
    return type == CLO_REPO_DATASET ? CLO_STR(FOR_ALL FOR_DATASETS) : CLO_STR(FOR_ALL);
}
