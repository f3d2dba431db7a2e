/* Tokenizers from where they lie. See tokenizer.h. */
#include <string.h>

#include "model/gguf.h"
#include "model/tok_json.h"
#include "model/tokenizer.h"

#define CONFIG_BYTES_MAX ((size_t)16 << 20)
#define TOKENIZER_BYTES_MAX ((size_t)256 << 20)

/* *json is the text of the file at path; what belongs to it lies in the same folder. */
static bool open_json_file(clo_tok **out, clo_str *json, const char *path, clo_arena *keep, clo_err *err)
{
    char folder[4096];
    clo_str config, jinja;
    const char *slash = strrchr(path, '/');
    return clo_path_join(folder, err, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".") &&
           clo_file_read(json, path, TOKENIZER_BYTES_MAX, keep, err) &&
           clo_file_read_beside(&config, folder, "tokenizer_config.json", CONFIG_BYTES_MAX, keep, err) &&
           clo_file_read_beside(&jinja, folder, "chat_template.jinja", CONFIG_BYTES_MAX, keep, err) &&
           clo_tokj_open(out, *json, config, jinja, err);
}

bool clo_tok_open_folder(clo_tok **out, clo_str *json, const char *folder, clo_arena *keep, clo_err *err)
{
    char path[4096];
    return clo_path_join(path, err, "%s/tokenizer.json", folder) && open_json_file(out, json, path, keep, err);
}

bool clo_tok_open_path(clo_tok **out, clo_map *map, const char *path, clo_arena *keep, clo_err *err)
{
    clo_str json;
    clo_gguf g;
    if (clo_path_is_dir(path)) return clo_tok_open_folder(out, &json, path, keep, err);
    if (clo_str_ends_with(clo_str_from(path), CLO_STR(".json"))) return open_json_file(out, &json, path, keep, err);
    if (!clo_map_open(map, path, err)) return false;
    if (map->bytes.len >= 8 && memcmp(map->bytes.ptr, "CLOTOK\r\n", 8) == 0)
        return clo_tok_open_compiled(out, map->bytes, err);
    return clo_gguf_parse(&g, map->bytes, keep, err) && clo_tok_open_gguf(out, &g, err);
}
