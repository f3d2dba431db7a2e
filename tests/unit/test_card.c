/* Cards: where the front matter ends, what is an error and what a warning, tags, and HTML that cannot harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/card.h"
#include "tame_html.h"

static json_t *parse(const char *text)
{
    json_t *v = NULL;
    clo_err err = {0};
    if (!clo_json_parse(&v, clo_str_from(text), 100000, &err)) fail_msg("%s: %s", text, err.text);
    return v;
}

static void the_front_matter_is_what_stands_between_two_lines(void **state)
{
    (void)state;
    static const struct {
        const char *text, *yaml, *body; /* yaml NULL: none */
    } rows[] = {
        {"---\na: 1\n---\nbody\n", "a: 1", "body\n"},
        {"---\r\na: 1\r\n---\r\nbody", "a: 1", "body"},
        {"\xef\xbb\xbf---\na: 1\n---\nbody", "a: 1", "body"},
        {"\n\n  ---\na: 1\n---", "a: 1", ""},
        {"---\n---\nbody", "", "body"},
        {"---\na: 1\n--- \nb: 2\n---\nbody", "a: 1\n--- \nb: 2", "body"},
        {"---\na: 1\n----\nb: 2\n---\nbody", "a: 1\n----\nb: 2", "body"},
        {"---\na: 1\n ---\n---\n", "a: 1\n ---", ""},
        {"--- \na: 1\n---\nbody", NULL, "--- \na: 1\n---\nbody"},
        {"---\na: 1\nbody", NULL, "---\na: 1\nbody"},
        {"# Title\n---\na: 1\n---\n", NULL, "# Title\n---\na: 1\n---\n"},
        {"---", NULL, "---"},
        {"", NULL, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        clo_str yaml, body;
        clo_card_split(&yaml, &body, clo_str_from(rows[i].text));
        while (yaml.len > 0 && strchr("\r\n", yaml.ptr[0])) yaml = clo_str_from_off(yaml, 1);
        while (yaml.len > 0 && strchr("\r\n", yaml.ptr[yaml.len - 1])) yaml.len--;
        bool same = rows[i].yaml ? yaml.ptr && clo_str_eq(yaml, clo_str_from(rows[i].yaml)) : !yaml.ptr;
        if (!same || !clo_str_eq(body, clo_str_from(rows[i].body)))
            fail_msg("row %zu: '" CLO_STR_FMT "', '" CLO_STR_FMT "'", i, CLO_STR_ARG(yaml), CLO_STR_ARG(body));
    }
}

/* A word that a message must have; NULL: there must be none of that kind. */
static void expect_fault(const json_t *report, const char *kind, const char *word, const char *text)
{
    const json_t *list = json_object_get(report, kind);
    const char *message = json_string_value(json_object_get(json_array_get(list, 0), "message"));
    if (!word && json_array_size(list) > 0) fail_msg("%s: %s: %s", text, kind, message);
    if (word && (json_array_size(list) != 1 || !strstr(message, word))) fail_msg("%s: %s: %s", text, kind, message ? message : "none");
}

static void each_field_is_checked_by_its_rule(void **state)
{
    (void)state;
    static const struct {
        const char *type, *yaml, *error, *warning;
    } rows[] = {
        {"model", "license: apache-2.0\nlanguage: [en, de, no, zh-CN, nds, code]\ntags: [a, b]\nbase_model: lab/m\n", NULL, NULL},
        {"model", "license: other\nlicense_name: ours\nlicense_link: LICENSE\n", NULL, NULL},
        {"model", "license: other\n", NULL, "license_name"},
        {"model", "license: asdf\n", NULL, "\"license\": 'asdf'"},
        {"model", "license: 1\n", "\"license\" must be a string or a list of strings", NULL},
        {"model", "license:\n", NULL, NULL},
        {"model", "language: [en, English]\n", NULL, "\"language[1]\": 'English'"},
        {"model", "language: xq\n", NULL, "\"language\": 'xq'"},
        {"model", "language: [en, true]\n", "\"language[1]\" must be a string", NULL},
        {"model", "language: {a: en}\n", "\"language\" must be", NULL},
        {"model", "tags: one\n", "\"tags\" must be a list of strings", NULL},
        {"model", "tags: [1]\n", "\"tags[0]\" must be a string", NULL},
        {"model", "base_model: [lab/m, lab/n]\ndatasets: lab/d\n", NULL, NULL},
        {"model", "base_model: {}\n", "\"base_model\" must be", NULL},
        {"model", "base_model: https://x.test/m\n", NULL, "\"base_model\""},
        {"model", "base_model_relation: cousin\n", NULL, "relation"},
        {"model", "pipeline_tag: text-generation\nlibrary_name: transformers\n", NULL, NULL},
        {"model", "pipeline_tag: dreaming\n", NULL, "\"pipeline_tag\": 'dreaming'"},
        {"model", "model-index: foo\n", "\"model-index\" must be a list", NULL},
        {"model", "model-index:\n- results: []\n", "\"model-index[0].name\"", NULL},
        {"model", "model-index:\n- name: m\n", "\"model-index[0].results\" must be a list", NULL},
        {"model",
         "model-index:\n- name: m\n  results:\n  - task: {type: t}\n    dataset: {name: d, type: d}\n    metrics:\n    - {type: a, "
         "value: 0.5}\n",
         NULL, NULL},
        {"model", "model-index:\n- name: m\n  results:\n  - task: {type: t}\n    dataset: {name: d}\n    metrics: []\n",
         "\"model-index[0].results[0].dataset.type\"", NULL},
        {"model", "model-index:\n- name: m\n  results:\n  - task: {type: t}\n    dataset: {name: d, type: d}\n    metrics: [{type: a}]\n",
         "metrics[0].value", NULL},
        {"model", "model-index: [{name: m, results: [1]}]\n", "\"model-index[0].results[0]\" must be an object", NULL},
        {"model", "a: [1\n", "front matter: YAML", NULL},
        {"model", "a: 1\na: 2\n", "line 3, column 1: a key twice", NULL},
        {"model", "- a\n", "no mapping", NULL},
        {"model", "just words\n", "no mapping", NULL},
        {"model", "# nothing\n", NULL, "empty or missing yaml metadata in repo card"},
        {"model", "size_categories: 5\n", NULL, NULL}, /* a dataset's field */
        {"dataset", "size_categories: [10K<n<100K]\ntask_categories: [text-generation]\nlanguage: en\n", NULL, NULL},
        {"dataset", "size_categories: huge\n", NULL, "\"size_categories\": 'huge'"},
        {"dataset", "task_categories: 5\n", "\"task_categories\" must be", NULL},
        {"dataset", "configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/*.parquet\n", NULL, NULL},
        {"dataset", "configs:\n- config_name: default\n  data_files: [a.csv, b.csv]\n", NULL, NULL},
        {"dataset", "configs: {}\n", "\"configs\" must be a list", NULL},
        {"dataset", "configs: [{data_files: a.csv}]\n", "\"configs[0].config_name\"", NULL},
        {"dataset", "configs: [{config_name: a, data_files: [{split: train}]}]\n", "\"configs[0].data_files[0]\"", NULL},
        {"dataset", "configs: [{config_name: a, data_files: 3}]\n", "\"configs[0].data_files\"", NULL},
        {"dataset", "dataset_info: x\n", "\"dataset_info\"", NULL},
        {"space", "sdk: gradio\nsdk_version: 4.1\npinned: false\n", NULL, NULL},
        {"space", "title: x\n", NULL, "\"sdk\" is missing"},
        {"space", "sdk: fortran\n", NULL, "\"sdk\": 'fortran'"},
        {"space", "sdk: static\npinned: often\n", "\"pinned\" must be true or false", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[1024];
        json_t *report = NULL;
        snprintf(text, sizeof text, "---\n%s---\n# Title\n", rows[i].yaml);
        assert_true(clo_card_check(&report, clo_str_from(text), rows[i].type, NULL));
        expect_fault(report, "errors", rows[i].error, rows[i].yaml);
        expect_fault(report, "warnings", rows[i].warning, rows[i].yaml);
        json_decref(report);
    }
}

static void a_card_without_front_matter_has_the_warning_that_clients_know(void **state)
{
    (void)state;
    json_t *report = NULL, *want = parse("{\"errors\": [], \"warnings\": [{\"message\": \"empty or missing yaml metadata in repo card\"}]}");
    assert_true(clo_card_check(&report, CLO_STR("This is a modelcard without metadata"), "model", NULL));
    assert_true(json_equal(report, want));
    json_decref(report);
    json_decref(want);
}

static void messages_are_ascii_and_not_without_end(void **state)
{
    (void)state;
    clo_buf b = {0};
    json_t *report = NULL;
    clo_buf_addf(&b, "---\nlicense: \"\xc3\xa9\\n");
    for (int i = 0; i < 5000; i++) clo_buf_add_char(&b, 'x');
    clo_buf_addf(&b, "\"\ntags:\n");
    for (int i = 0; i < 5000; i++) clo_buf_addf(&b, "- 1\n");
    clo_buf_addf(&b, "---\n");
    assert_true(clo_card_check(&report, clo_buf_str(&b), "model", NULL));
    assert_int_equal(json_array_size(json_object_get(report, "errors")), 100);
    const char *m = json_string_value(json_object_get(json_array_get(json_object_get(report, "warnings"), 0), "message"));
    assert_true(strlen(m) < 512 && strstr(m, "'???x") && !strchr(m, '\n'));
    json_decref(report);
    clo_buf_free(&b);
}

static void tags_are_those_of_metadata_and_files(void **state)
{
    (void)state;
    static const struct {
        const char *why, *type, *card, *config, *body, *files[4], *want;
    } rows[] = {
        {"a model as the specification shows it", "model",
         "{\"license\": \"apache-2.0\", \"language\": [\"en\"]}",
         "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\"}", "", {"config.json", "model.safetensors"},
         "[\"transformers\", \"safetensors\", \"llama\", \"text-generation\", \"en\", \"license:apache-2.0\"]"},
        {"what the card says goes first", "model",
         "{\"library_name\": \"peft\", \"pipeline_tag\": \"fill-mask\", \"tags\": [\"x\", \"y\", \"x\"], \"datasets\": \"lab/d\"}",
         "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\"}", "", {0},
         "[\"peft\", \"llama\", \"fill-mask\", \"x\", \"y\", \"dataset:lab/d\"]"},
        {"a fine-tuned model", "model", "{\"base_model\": \"lab/m\"}", NULL, "", {"model.safetensors"},
         "[\"safetensors\", \"base_model:lab/m\", \"base_model:finetune:lab/m\"]"},
        {"a quantised one", "model", "{\"base_model\": [\"lab/m\"]}", NULL, "", {"a/m.Q4_0.gguf"},
         "[\"gguf\", \"base_model:lab/m\", \"base_model:quantized:lab/m\"]"},
        {"an adapter", "model", "{\"base_model\": \"lab/m\"}", NULL, "", {"adapter_config.json", "adapter_model.safetensors"},
         "[\"peft\", \"safetensors\", \"base_model:lab/m\", \"base_model:adapter:lab/m\"]"},
        {"a merge", "model", "{\"base_model\": [\"a/b\", \"c/d\"]}", NULL, "", {0},
         "[\"base_model:a/b\", \"base_model:c/d\", \"base_model:merge:a/b\", \"base_model:merge:c/d\"]"},
        {"a relation that is said", "model", "{\"base_model\": \"a/b\", \"base_model_relation\": \"adapter\"}", NULL, "", {0},
         "[\"base_model:a/b\", \"base_model:adapter:a/b\"]"},
        {"other formats", "model", NULL, NULL, "", {"pytorch_model.bin", "onnx/model.onnx", "tf_model.h5", "my_tf_model.h5x"},
         "[\"onnx\", \"pytorch\", \"tf\"]"},
        {"a name that only ends like one", "model", NULL, NULL, "", {"old_pytorch_model.bin"}, "[]"},
        {"papers", "model", NULL, NULL,
         "see https://arxiv.org/abs/2104.09864v2, arXiv:1706.03762, [x](http://arxiv.org/pdf/2307.09288.pdf), ARXIV: 2104.09864; "
         "not arxiv:123.4567, arxiv.org/abs/2104.098, arxiv:2104.098645, arxiv", {0},
         "[\"arxiv:2104.09864\", \"arxiv:1706.03762\", \"arxiv:2307.09288\"]"},
        {"a dataset", "dataset",
         "{\"language\": [\"en\", \"fr\"], \"task_categories\": [\"text-generation\"], \"size_categories\": \"n<1K\", \"license\": \"mit\","
         " \"tags\": [\"t\"]}", NULL, "", {"data/train.parquet", "m.safetensors"},
         "[\"task_categories:text-generation\", \"size_categories:n<1K\", \"language:en\", \"language:fr\", \"t\", \"license:mit\"]"},
        {"a space", "space", "{\"sdk\": \"gradio\", \"tags\": [\"demo\"]}", NULL, "", {0}, "[\"gradio\", \"demo\"]"},
        {"what is no text or no line", "model", "{\"tags\": [1, null, [\"x\"], \"a\\nb\", \"\", \"ok\"], \"license\": {}}", NULL, "", {0}, "[\"ok\"]"},
        {"a config of the wrong types", "model", NULL, "{\"architectures\": \"x\", \"model_type\": 3}", "", {0}, "[]"},
        {"sentences", "model", NULL, "{\"architectures\": [\"BertModel\"], \"model_type\": \"bert\"}", "", {"modules.json"},
         "[\"sentence-transformers\", \"bert\", \"sentence-similarity\"]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        clo_str files[4];
        clo_tag_source s = {.type = rows[i].type, .body = clo_str_from(rows[i].body), .files = files};
        json_t *card = rows[i].card ? parse(rows[i].card) : NULL, *config = rows[i].config ? parse(rows[i].config) : NULL;
        json_t *want = parse(rows[i].want), *got = NULL;
        while (s.n_files < 4 && rows[i].files[s.n_files]) {
            files[s.n_files] = clo_str_from(rows[i].files[s.n_files]);
            s.n_files++;
        }
        s.card = card;
        s.config = config;
        assert_true(clo_card_tags(&got, &s, NULL));
        if (!json_equal(got, want)) fail_msg("%s: %s", rows[i].why, json_dumps(got, 0));
        json_decref(card);
        json_decref(config);
        json_decref(want);
        json_decref(got);
    }
}

static void tags_have_an_end(void **state)
{
    (void)state;
    json_t *list = json_array(), *card = json_object(), *got = NULL;
    char text[600];
    memset(text, 'x', sizeof text);
    text[599] = 0;
    json_array_append_new(list, json_string(text));
    for (int i = 0; i < 3000; i++) json_array_append_new(list, json_sprintf("t%d", i));
    json_object_set_new(card, "tags", list);
    assert_true(clo_card_tags(&got, &(clo_tag_source){.type = "model", .card = card}, NULL));
    assert_int_equal(json_array_size(got), CLO_CARD_TAGS_MAX);
    json_decref(card);
    json_decref(got);
}

static void vocabularies_can_be_walked(void **state)
{
    (void)state;
    for (clo_vocab v = CLO_VOCAB_LICENSES; v <= CLO_VOCAB_SDKS; v++) {
        size_t n = 0;
        for (; clo_vocab_word(v, n); n++) assert_true(clo_vocab_has(v, clo_str_from(clo_vocab_word(v, n))));
        assert_true(n >= 4);
        assert_null(clo_vocab_word(v, n + 5));
        assert_false(clo_vocab_has(v, CLO_STR("")));
    }
}

static void html_of(clo_buf *out, const char *markdown)
{
    clo_err err = {0};
    out->len = 0;
    if (!clo_card_html(out, clo_str_from(markdown), &(clo_card_links){"/lab/m/blob/main/", "/lab/m/resolve/main/"}, &err))
        fail_msg("%s: %s", markdown, err.text);
}

static void markdown_becomes_this_html(void **state)
{
    (void)state;
    static const struct {
        const char *markdown, *html;
    } rows[] = {
        {"# A *b*\n\n1 & 2 < 3", "<h1>A <em>b</em></h1>\n<p>1 &amp; 2 &lt; 3</p>\n"},
        {"|a|b|\n|-|:-:|\n|1|~~2~~|\n",
         "<table>\n<thead>\n<tr>\n<th>a</th>\n<th align=\"center\">b</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>1</td>\n<td align=\"center\">"
         "<del>2</del></td>\n</tr>\n</tbody>\n</table>\n"},
        {"see www.x.test", "<p>see <a href=\"http://www.x.test\">www.x.test</a></p>\n"},
        {"[a](docs/a.md) [b](./b) [c](/c) [d](#d) [e](https://x.test/?a&b) [f](mailto:a@x.test)",
         "<p><a href=\"/lab/m/blob/main/docs/a.md\">a</a> <a href=\"/lab/m/blob/main/b\">b</a> <a href=\"/c\">c</a> <a href=\"#d\">d</a> "
         "<a href=\"https://x.test/?a&amp;b\">e</a> <a href=\"mailto:a@x.test\">f</a></p>\n"},
        {"![the *a*](a.png)", "<p><img src=\"/lab/m/resolve/main/a.png\" alt=\"the a\" /></p>\n"},
        {"![the `a`](https://x.test/a.png)", "<p><a href=\"https://x.test/a.png\">the a</a></p>\n"},
        {"![](https://x.test/a.png)", "<p><a href=\"https://x.test/a.png\">image</a></p>\n"},
        {"[![badge](https://x.test/a.svg)](https://x.test)", "<p><a href=\"https://x.test\">badge</a></p>\n"},
        {"![a ![b](https://x.test/b) [c](d)](https://x.test/a) e", "<p><a href=\"https://x.test/a\">a b c</a> e</p>\n"},
        {"![a ![b](https://x.test/b)](c.png)", "<p><img src=\"/lab/m/resolve/main/c.png\" alt=\"a b\" /></p>\n"},
        {"a <b>c</b> d\n\n<div onclick=x>\ntext\n</div>\n\ne", "<p>a c d</p>\n<p>e</p>\n"},
        {"```python\n<x>\n```", "<pre><code class=\"language-python\">&lt;x&gt;\n</code></pre>\n"},
        {"a\xff" "b", "<p>a\xef\xbf\xbd" "b</p>\n"},
        {"", ""},
    };
    clo_buf html = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        html_of(&html, rows[i].markdown);
        if (!clo_str_eq(clo_buf_str(&html), clo_str_from(rows[i].html))) fail_msg("%s\nbecomes %s", rows[i].markdown, html.ptr);
    }
    clo_buf_free(&html);
}

/* The known ways into a page that shows Markdown. */
static const char *const attacks[] = {
    "<script>alert(1)</script>", "<SCRIPT SRC=//x.test/x.js></SCRIPT>", "a <img src=x onerror=alert(1)> b", "<svg/onload=alert(1)>",
    "<iframe src=\"javascript:alert(1)\"></iframe>", "<a href=\"javascript:alert(1)\">x</a>", "<style>@import 'x'</style>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>", "<!--><img src=x onerror=alert(1)>-->",
    "<?php echo 1 ?>", "<![CDATA[<img src=x onerror=alert(1)>]]>", "<details open ontoggle=alert(1)>", "<base href=//x.test>",
    "<meta http-equiv=refresh content=0>", "<object data=x>", "<form action=x><input name=a autofocus onfocus=alert(1)>",
    "[a](javascript:alert(1))", "[a](JaVaScRiPt:alert(1))", "[a](javascript&colon;alert(1))", "[a](javascript&#58;alert(1))",
    "[a](&#106;avascript:alert(1))", "[a](&#x6A&#x61vascript:alert(1))", "[a](<javascript:alert(1)>)", "[a](<java\tscript:alert(1)>)",
    "[a](<java\nscript:alert(1)>)", "[a](\x01javascript:alert(1))", "[a](&#1;javascript:alert(1))", "[a](&#9;javascript:alert(1))",
    "[a](&Tab;java&NewLine;script:alert(1))", "[a](vbscript:msgbox(1))", "[a](data:text/html;base64,PHNjcmlwdD4=)",
    "[a](data:image/svg+xml,<svg onload=alert(1)>)", "![a](data:image/svg+xml;base64,PHN2Zz4=)", "![a](javascript:alert(1))",
    "![a](data:image/png;base64,AAAA)", "[a](file:///etc/passwd)", "[a](//x.test/)", "[a](\\\\x.test/)", "[a](/\\x.test/)",
    "[a](&#92;&#92;x.test)", "[a](blob:x)", "[a](about:blank)", "[a](http:javascript:alert(1))", "[a](mailto:x\"onclick=alert(1))",
    "[a](http://x.test/\"onmouseover=\"alert(1))", "[a](x \"t\" onclick=alert(1) \")", "[a](x '\"><script>alert(1)</script>')",
    "![\"><script>alert(1)</script>](a.png)", "![a\" onerror=\"alert(1)](a.png)", "![a](a.png \"x\\\" onerror=alert(1)\")",
    "[a]: javascript:alert(1)\n\n[a]", "[a]: <javascript:alert(1)> \"x\"\n\n[b][a]", "<javascript:alert(1)>", "<vbscript:x>",
    "<http://x.test/\"onclick=alert(1)>", "<a@x.test\"onclick=alert(1)>", "javascript:alert(1)", "http://x.test/<script>alert(1)</script>",
    "www.x.test/\"onclick=\"alert(1)", "xmpp:a@x.test", "a@x.test\"><script>alert(1)</script>", "```\"><script>\nx\n```",
    "```x\" onclick=alert(1)\ny\n```", "~~~ &quot;><script>\nx\n~~~", "`<script>alert(1)</script>`", "    <script>alert(1)</script>",
    "|<script>|\n|-|\n|[a](javascript:alert(1))|", "|a|\n|:-\" onclick=alert(1)|\n", "# <script>alert(1)</script>",
    "- <script>alert(1)</script>", "> <script>alert(1)</script>", "~~<script>alert(1)</script>~~", "1\" onclick=x. a",
    "[a](x:y)", "[a](:x)", "[a](?javascript:x)", "[<img src=x onerror=alert(1)>](x)", "![<img src=x onerror=alert(1)>](x)",
    "[a](x \"&quot; onclick=alert(1)\")", "&lt;script&gt;alert(1)&lt;/script&gt;", "\\<script>alert(1)\\</script>",
    "<x-y onfocus=alert(1) tabindex=1>", "<a\nhref=javascript:alert(1)>x</a>", "<img src=x\0onerror=alert(1)>", "\xf0\x9f\x98\x80<script",
    "[a](\xc2\xa0javascript:alert(1))", "[a](\xe2\x80\xa8javascript:alert(1))", "[a](jav\xc0\xaascript:alert(1))",
    "[![a](javascript:alert(1))](javascript:alert(2))", "![![a](javascript:x)](https://x.test/)", "[a](https://x.test)<script>",
};

static void nothing_of_an_attack_is_left(void **state)
{
    (void)state;
    clo_buf html = {0};
    size_t at;
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
        html_of(&html, attacks[i]);
        const char *fault = html_fault(clo_buf_str(&html), &at);
        if (fault) fail_msg("%s\nbecomes %s\n%s at %zu", attacks[i], html.ptr, fault, at);
        if (html.ptr && strcasestr(html.ptr, "href=\"javascript")) fail_msg("%s\nbecomes %s", attacks[i], html.ptr);
    }
    clo_buf_free(&html);
    assert_int_equal(html_fault(CLO_STR("<p><script>x</script></p>"), &at) != NULL, true); /* the judge sees faults */
    assert_non_null(html_fault(CLO_STR("<a href=\"javascript:x\">"), &at));
    assert_non_null(html_fault(CLO_STR("<a href=\"&#x27;\" onclick=\"x\">"), &at));
    assert_non_null(html_fault(CLO_STR("<img src=\"https://x.test/\">"), &at));
    assert_null(html_fault(CLO_STR("<p><a href=\"/x\">a</a><br /></p>"), &at));
}

static void large_and_deep_texts_end_at_a_limit(void **state)
{
    (void)state;
    static const struct {
        const char *unit, *closing;
    } rows[] = {{"![", "](https://x.test)"}, {"[", "](a)"}, {"> ", "a"}, {"- ", "a\n"}, {"a|", "\n-|"}, {"|a\n|-\n", ""},
                {"www.", "a_"}, {"a@", "."}, {"- ", ""}, {"> - ", "\n"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        clo_buf b = {0}, html = {0};
        size_t n = 30000 / (strlen(rows[i].unit) + strlen(rows[i].closing)), at;
        for (size_t k = 0; k < n; k++) clo_buf_addf(&b, "%s", rows[i].unit);
        for (size_t k = 0; k < n; k++) clo_buf_addf(&b, "%s", rows[i].closing);
        clo_err err = {0};
        if (clo_card_html(&html, clo_buf_str(&b), NULL, &err)) assert_null(html_fault(clo_buf_str(&html), &at));
        else assert_int_equal(err.code, CLO_ERR_LIMIT);
        clo_buf_free(&b);
        clo_buf_free(&html);
    }
    /* A wide head and many short rows: 6,000 columns by 6,000 rows would be 36 million cells. */
    clo_buf b = {0}, html = {0};
    for (int i = 0; i < 6000; i++) clo_buf_addf(&b, "a|");
    clo_buf_addf(&b, "\n");
    for (int i = 0; i < 6000; i++) clo_buf_addf(&b, "-|");
    for (int i = 0; i < 6000; i++) clo_buf_addf(&b, "\nb|");
    assert_true(clo_card_html(&html, clo_buf_str(&b), NULL, NULL));
    assert_null(strstr(html.ptr, "<table"));
    html.len = 0;
    while (b.len <= CLO_CARD_HTML_BODY_MAX) clo_buf_addf(&b, "more text ");
    clo_err err = {0};
    assert_false(clo_card_html(&html, clo_buf_str(&b), NULL, &err));
    assert_int_equal(err.code, CLO_ERR_LIMIT);
    clo_buf_free(&b);
    clo_buf_free(&html);
}

static void *render_many(void *unused)
{
    clo_buf html = {0};
    (void)unused;
    for (int i = 0; i < 50; i++) {
        html_of(&html, "|a|\n|-|\n|~~b~~ www.x.test|");
        if (!strstr(html.ptr, "<td><del>b</del> <a href=\"http://www.x.test\">www.x.test</a></td>")) abort();
    }
    clo_buf_free(&html);
    return NULL;
}

static void several_threads_may_render_at_once(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, render_many, NULL), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_front_matter_is_what_stands_between_two_lines),
        cmocka_unit_test(each_field_is_checked_by_its_rule),
        cmocka_unit_test(a_card_without_front_matter_has_the_warning_that_clients_know),
        cmocka_unit_test(messages_are_ascii_and_not_without_end),
        cmocka_unit_test(tags_are_those_of_metadata_and_files),
        cmocka_unit_test(tags_have_an_end),
        cmocka_unit_test(vocabularies_can_be_walked),
        cmocka_unit_test(markdown_becomes_this_html),
        cmocka_unit_test(nothing_of_an_attack_is_left),
        cmocka_unit_test(large_and_deep_texts_end_at_a_limit),
        cmocka_unit_test(several_threads_may_render_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
