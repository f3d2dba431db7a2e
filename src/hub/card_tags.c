/* See card.h: tags, library and task of a repository. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/utf8.h"
#include "hub/card.h"

typedef struct {
    json_t *list; /* owned */
    json_t *seen; /* owned: an object with the tags as names, so that each comes once */
    bool full;    /* no memory */
} tags;

static void add(tags *t, const char *prefix, clo_str s)
{
    char text[CLO_CARD_TAG_BYTES_MAX + 1];
    size_t n = strlen(prefix);
    if (s.len == 0 || s.len + n > CLO_CARD_TAG_BYTES_MAX || json_array_size(t->list) >= CLO_CARD_TAGS_MAX) return;
    memcpy(text, prefix, n);
    memcpy(text + n, s.ptr, s.len);
    text[n += s.len] = 0;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) return;
    if (json_object_getn(t->seen, text, n) || !clo_utf8_valid((clo_str){text, n})) return;
    if (json_object_setn_new(t->seen, text, n, json_true()) != 0 || json_array_append_new(t->list, json_stringn(text, n)) != 0)
        t->full = true;
}

/* The n-th text of a value that is a text or a list of them; false past the end. *s is empty for what is no text. */
static bool text_at(clo_str *s, const json_t *v, size_t i)
{
    const json_t *one = json_is_array(v) ? json_array_get(v, i) : i == 0 ? v : NULL;
    if (!one) return false;
    *s = json_is_string(one) ? (clo_str){json_string_value(one), json_string_length(one)} : CLO_STR("");
    return true;
}

static void add_all(tags *t, const char *prefix, const json_t *v)
{
    clo_str s;
    for (size_t i = 0; text_at(&s, v, i); i++) add(t, prefix, s);
}

/* --- files --------------------------------------------------------------------------------------------------------*/

static const struct {
    const char *end; /* of a file's name; with '/' in front: the whole name */
    const char *tag;
} formats[] = {
    {".safetensors", "safetensors"}, {".gguf", "gguf"}, {".onnx", "onnx"}, {"/pytorch_model.bin", "pytorch"},
    {"/pytorch_model.bin.index.json", "pytorch"}, {".pt", "pytorch"}, {".pth", "pytorch"}, {"/tf_model.h5", "tf"},
    {"/flax_model.msgpack", "jax"}, {"/openvino_model.xml", "openvino"}, {".mlmodel", "coreml"}, {"/rust_model.ot", "rust"},
};

static bool has_name(clo_str path, const char *end)
{
    clo_str e = clo_str_from(end);
    if (clo_str_ends_with(path, e)) return true;
    return end[0] == '/' && clo_str_eq(path, clo_str_from_off(e, 1));
}

static bool has_file(const clo_tag_source *s, const char *end)
{
    for (size_t i = 0; i < s->n_files; i++)
        if (has_name(s->files[i], end)) return true;
    return false;
}

static void add_formats(tags *t, const clo_tag_source *s)
{
    for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++)
        if (has_file(s, formats[f].end)) add(t, "", clo_str_from(formats[f].tag));
}

/* --- library and task ---------------------------------------------------------------------------------------------*/

static bool is_model(const clo_tag_source *s)
{
    return strcmp(s->type, "model") == 0;
}

clo_str clo_card_library(const clo_tag_source *s)
{
    clo_str given = clo_json_str(s->card, "library_name", CLO_STR(""));
    if (given.len > 0 || !is_model(s)) return given;
    if (has_file(s, "/adapter_config.json")) return CLO_STR("peft");
    if (has_file(s, "/model_index.json")) return CLO_STR("diffusers");
    if (has_file(s, "/modules.json")) return CLO_STR("sentence-transformers");
    bool transformers = json_is_string(json_object_get(s->config, "model_type")) && json_is_array(json_object_get(s->config, "architectures"));
    return transformers ? CLO_STR("transformers") : CLO_STR("");
}

/* What the classes of transformers are for, by the end of their names, and what opens them. */
static const struct {
    const char *end, *task, *model, *processor;
} heads[] = {
    {"ForCausalLM", "text-generation", "AutoModelForCausalLM", "AutoTokenizer"},
    {"LMHeadModel", "text-generation", "AutoModelForCausalLM", "AutoTokenizer"},
    {"ForMaskedLM", "fill-mask", "AutoModelForMaskedLM", "AutoTokenizer"},
    {"ForSequenceClassification", "text-classification", "AutoModelForSequenceClassification", "AutoTokenizer"},
    {"ForTokenClassification", "token-classification", "AutoModelForTokenClassification", "AutoTokenizer"},
    {"ForQuestionAnswering", "question-answering", "AutoModelForQuestionAnswering", "AutoTokenizer"},
    {"ForMultipleChoice", "multiple-choice", "AutoModelForMultipleChoice", "AutoTokenizer"},
    {"ForImageClassification", "image-classification", "AutoModelForImageClassification", "AutoImageProcessor"},
    {"ForObjectDetection", "object-detection", "AutoModelForObjectDetection", "AutoImageProcessor"},
    {"ForImageTextToText", "image-text-to-text", "AutoModelForImageTextToText", "AutoProcessor"},
    {"ForSpeechSeq2Seq", "automatic-speech-recognition", "AutoModelForSpeechSeq2Seq", "AutoProcessor"},
    {"ForCTC", "automatic-speech-recognition", "AutoModelForCTC", "AutoProcessor"},
    {"ForAudioClassification", "audio-classification", "AutoModelForAudioClassification", "AutoFeatureExtractor"},
};
#define N_HEADS (sizeof heads / sizeof heads[0])

static size_t head_of(clo_str architecture)
{
    size_t i = 0;
    while (i < N_HEADS && !clo_str_ends_with(architecture, clo_str_from(heads[i].end))) i++;
    return i;
}

void clo_card_classes(const char **model, const char **processor, clo_str architecture)
{
    size_t i = head_of(architecture);
    *model = i < N_HEADS ? heads[i].model : "AutoModel";
    *processor = i < N_HEADS ? heads[i].processor : NULL;
}

clo_str clo_card_task(const clo_tag_source *s)
{
    clo_str given = clo_json_str(s->card, "pipeline_tag", CLO_STR("")), name;
    if (given.len > 0 || !is_model(s)) return given;
    if (clo_str_eq(clo_card_library(s), CLO_STR("sentence-transformers"))) return CLO_STR("sentence-similarity");
    if (!text_at(&name, json_object_get(s->config, "architectures"), 0)) return CLO_STR("");
    size_t i = head_of(name);
    return i < N_HEADS ? clo_str_from(heads[i].task) : CLO_STR("");
}

/* --- base models --------------------------------------------------------------------------------------------------*/

/* How it came from its base: what the card says, else what the files say. */
static const char *relation_of(const clo_tag_source *s)
{
    static const char *const known[] = {"finetune", "quantized", "adapter", "merge"};
    clo_str given = clo_json_str(s->card, "base_model_relation", CLO_STR(""));
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (clo_str_eq(given, clo_str_from(known[i]))) return known[i];
    if (json_array_size(json_object_get(s->card, "base_model")) > 1) return "merge";
    if (has_file(s, "/adapter_config.json") || clo_str_eq(clo_card_library(s), CLO_STR("peft"))) return "adapter";
    if (has_file(s, ".gguf") || json_is_object(json_object_get(s->config, "quantization_config"))) return "quantized";
    return "finetune";
}

static void add_bases(tags *t, const clo_tag_source *s)
{
    char prefix[48];
    const json_t *bases = json_object_get(s->card, "base_model");
    add_all(t, "base_model:", bases);
    snprintf(prefix, sizeof prefix, "base_model:%s:", relation_of(s));
    add_all(t, prefix, bases);
}

/* --- papers -------------------------------------------------------------------------------------------------------*/

static bool is_digit(clo_str s, size_t at)
{
    return at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9';
}

/* Bytes of an arXiv number at `at` (since 2007: YYMM.NNNN or YYMM.NNNNN), 0 when there is none. */
static size_t arxiv_number(clo_str s, size_t at)
{
    size_t n = 0;
    while (n < 4 && is_digit(s, at + n)) n++;
    if (n != 4 || at + n >= s.len || s.ptr[at + n] != '.') return 0;
    for (n = 5; n < 10 && is_digit(s, at + n);) n++;
    return n >= 9 && !is_digit(s, at + n) ? n : 0;
}

static size_t skip_word(clo_str s, size_t at, const char *word)
{
    size_t n = strlen(word);
    return s.len - at >= n && strncasecmp(s.ptr + at, word, n) == 0 ? at + n : at;
}

/* Those after "arxiv:", "arxiv.org/abs/", "arxiv.org/pdf/"; a version after them is not theirs. */
static void add_papers(tags *t, clo_str s)
{
    for (size_t at = 0; at < s.len; at++) {
        if (s.ptr[at] != 'a' && s.ptr[at] != 'A') continue;
        size_t after = skip_word(s, at, "arxiv");
        if (after == at) continue;
        size_t begin = skip_word(s, after, ".org/abs/");
        if (begin == after) begin = skip_word(s, after, ".org/pdf/");
        if (begin == after) begin = skip_word(s, after, ":");
        if (begin == after) continue;
        while (begin < s.len && s.ptr[begin] == ' ') begin++;
        size_t n = arxiv_number(s, begin);
        if (n) add(t, "arxiv:", (clo_str){s.ptr + begin, n});
        at = begin - 1;
    }
}

/* --- all ----------------------------------------------------------------------------------------------------------*/

static void add_model(tags *t, const clo_tag_source *s)
{
    add(t, "", clo_card_library(s));
    add_formats(t, s);
    add(t, "", clo_json_str(s->config, "model_type", CLO_STR("")));
    add(t, "", clo_card_task(s));
    add_all(t, "", json_object_get(s->card, "tags"));
    add_all(t, "", json_object_get(s->card, "language"));
    add_all(t, "dataset:", json_object_get(s->card, "datasets"));
    add_papers(t, s->body);
    add_bases(t, s);
}

static void add_dataset(tags *t, const clo_tag_source *s)
{
    static const char *const categories[] = {"task_categories", "task_ids",       "annotations_creators", "language_creators",
                                             "multilinguality", "source_datasets", "size_categories"};
    char prefix[48];
    for (size_t i = 0; i < sizeof categories / sizeof categories[0]; i++) {
        snprintf(prefix, sizeof prefix, "%s:", categories[i]);
        add_all(t, prefix, json_object_get(s->card, categories[i]));
    }
    add_all(t, "language:", json_object_get(s->card, "language"));
    add_all(t, "", json_object_get(s->card, "tags"));
    add_papers(t, s->body);
}

static void add_space(tags *t, const clo_tag_source *s)
{
    add(t, "", clo_json_str(s->card, "sdk", CLO_STR("")));
    add_all(t, "", json_object_get(s->card, "tags"));
}

bool clo_card_tags(json_t **out, const clo_tag_source *s, clo_err *err)
{
    tags t = {.list = json_array(), .seen = json_object()};
    t.full = !t.list || !t.seen;
    if (!t.full) {
        if (is_model(s)) add_model(&t, s);
        else if (strcmp(s->type, "dataset") == 0) add_dataset(&t, s);
        else add_space(&t, s);
        add_all(&t, "license:", json_object_get(s->card, "license"));
    }
    json_decref(t.seen);
    if (!t.full) {
        *out = t.list;
        return true;
    }
    json_decref(t.list);
    return clo_fail(err, CLO_ERR_MEMORY, "tags of a card");
}
