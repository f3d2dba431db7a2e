/* Specs of models that make vectors: BERT's configuration, and what sentence-transformers writes beside a model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/spec_impl.h"

/* all-MiniLM-L6-v2's, but for what nobody reads. */
#define BERT                                                                                                           \
    "\"model_type\":\"bert\",\"hidden_act\":\"gelu\",\"hidden_size\":384,\"intermediate_size\":1536,"                  \
    "\"layer_norm_eps\":1e-12,\"max_position_embeddings\":512,\"num_attention_heads\":12,\"num_hidden_layers\":6,"     \
    "\"vocab_size\":30522"
#define MEAN "\"pooling_mode_mean_tokens\":true"

static bool read_config(clo_spec *s, const char *config, clo_err *err)
{
    const clo_family *f = NULL;
    return clo_spec_from_config(s, &f, clo_str_from(config), CLO_STR(""), err);
}

static clo_spec bert(void)
{
    clo_spec s;
    clo_err err = {0};
    if (!read_config(&s, "{" BERT ",\"position_embedding_type\":\"absolute\",\"type_vocab_size\":2}", &err))
        fail_msg("%s", err.text);
    return s;
}

static void bert_reads_as_published(void **state)
{
    (void)state;
    clo_spec s = bert();
    assert_string_equal(s.family, "bert");
    assert_true(s.encoder && s.embed_norm && s.sum_norm && s.norm_bias && s.learned_positions && !s.gated);
    assert_true(s.qkv_bias && s.o_bias && s.mlp_bias && !s.pre_attn_norm && !s.post_attn_norm && !s.tied);
    assert_int_equal(s.norm, CLO_NORM_LAYER);
    assert_true(s.norm_eps == 1e-12f && s.attn_scale == 0.17677669f);
    assert_int_equal(s.act, CLO_ACT_GELU);
    assert_int_equal(s.head_dim, 32);
    assert_int_equal(s.n_kv_head, 12);
    assert_int_equal(s.n_types, 2);
    assert_int_equal(s.n_text, 512);
    assert_int_equal(s.layer_rope[0], 0);
    assert_false(s.shortens);
}

static void other_encoders_are_refused_by_name(void **state)
{
    static const struct {
        const char *why, *config;
        clo_code want;
        const char *says;
    } rows[] = {
        {"relative positions", "{" BERT ",\"position_embedding_type\":\"relative_key\"}", CLO_ERR_UNSUPPORTED, "relative_key"},
        {"a decoder", "{" BERT ",\"is_decoder\":true}", CLO_ERR_UNSUPPORTED, "is_decoder"},
        {"tanh without a gate", "{" BERT ",\"hidden_act\":\"gelu_new\"}", CLO_ERR_FORMAT, "uplicate"},
        {"another activation", "{\"hidden_activation\":\"gelu_new\"," BERT "}", CLO_ERR_UNSUPPORTED, "without a gate"},
        {"erf with a gate",
         "{\"model_type\":\"llama\",\"hidden_act\":\"gelu\",\"hidden_size\":64,\"intermediate_size\":96,"
         "\"max_position_embeddings\":128,\"num_attention_heads\":4,\"num_hidden_layers\":2,\"vocab_size\":100}",
         CLO_ERR_UNSUPPORTED, "with a gate"},
        {"too many types", "{" BERT ",\"type_vocab_size\":5000}", CLO_ERR_LIMIT, "token types"},
        {"lengths beyond the vector", "{" BERT ",\"matryoshka_dimensions\":[385]}", CLO_ERR_FORMAT, "matryoshka"},
        {"lengths that are none", "{" BERT ",\"matryoshka_dimensions\":\"64\"}", CLO_ERR_FORMAT, "matryoshka"},
        {"more lengths than there is room for",
         "{" BERT ",\"matryoshka_dimensions\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}", CLO_ERR_FORMAT, "up to 16"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clo_spec s;
        clo_err err = {0};
        if (read_config(&s, rows[i].config, &err)) fail_msg("%s: was read", rows[i].why);
        if (err.code != rows[i].want || !strstr(err.text, rows[i].says))
            fail_msg("%s: code %d, '%s'", rows[i].why, err.code, err.text);
    }
}

static void lengths_are_read(void **state)
{
    clo_spec s;
    (void)state;
    assert_true(read_config(&s, "{" BERT ",\"matryoshka_dimensions\":[64,128,384]}", NULL));
    assert_true(s.shortens && s.n_lengths == 3 && s.lengths[1] == 128);
    assert_true(read_config(&s, "{" BERT ",\"is_matryoshka\":true}", NULL));
    assert_true(s.shortens && s.n_lengths == 0);
}

static void the_folder_of_the_pooling_is_found(void **state)
{
    static const struct {
        const char *why, *modules, *want, *says; /* says: why it is refused */
    } rows[] = {
        {"as sentence-transformers writes it",
         "[{\"idx\":0,\"path\":\"\",\"type\":\"sentence_transformers.models.Transformer\"},"
         "{\"idx\":1,\"path\":\"1_Pooling\",\"type\":\"sentence_transformers.models.Pooling\"},"
         "{\"idx\":2,\"path\":\"2_Normalize\",\"type\":\"sentence_transformers.models.Normalize\"}]",
         "1_Pooling", NULL},
        {"none", "[{\"path\":\"\",\"type\":\"a.Transformer\"}]", "", NULL},
        {"no list", "{}", NULL, "a list"},
        {"no JSON", "[", NULL, "modules.json"},
        {"a dense layer", "[{\"path\":\"2_Dense\",\"type\":\"a.b.Dense\"}]", NULL, "'Dense'"},
        {"no object", "[1]", NULL, "''"},
        {"two", "[{\"path\":\"1_Pooling\",\"type\":\"Pooling\"},{\"path\":\"2_Pooling\",\"type\":\"Pooling\"}]", NULL,
         "one pooling"},
        {"outside", "[{\"path\":\"../1_Pooling\",\"type\":\"Pooling\"}]", NULL, "one pooling"},
        {"a path", "[{\"path\":\"1/1_Pooling\",\"type\":\"Pooling\"}]", NULL, "one pooling"},
        {"a long name", "[{\"path\":\"1111_Pooling\",\"type\":\"Pooling\"}]", NULL, "one pooling"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[CLO_POOLING_FOLDER_MAX];
        clo_err err = {0};
        bool ok = clo_spec_pooling_folder(out, clo_str_from(rows[i].modules), &err);
        if (ok != !rows[i].says || (ok && strcmp(out, rows[i].want) != 0) || (!ok && !strstr(err.text, rows[i].says)))
            fail_msg("%s: '%s', '%s'", rows[i].why, ok ? out : "", err.text);
    }
    assert_true(clo_pooling_folder_name(CLO_STR("12_Pooling")));
    assert_false(clo_pooling_folder_name(CLO_STR("_Pooling")));
    assert_false(clo_pooling_folder_name(CLO_STR("x_Pooling")));
}

static void pooling_and_length_are_read(void **state)
{
    static const struct {
        const char *why, *pooling, *sentence, *tokenizer;
        clo_pool_kind want; /* NONE: refused */
        uint32_t n_text;
        const char *says;
    } rows[] = {
        {"nothing said", "", "", "", CLO_POOL_MEAN, 512, NULL},
        {"as published", "{" MEAN ",\"word_embedding_dimension\":384,\"pooling_mode_cls_token\":false}",
         "{\"max_seq_length\":256,\"do_lower_case\":false}", "{\"do_lower_case\":true}", CLO_POOL_MEAN, 256, NULL},
        {"the first token", "{\"pooling_mode_cls_token\":true}", "", "", CLO_POOL_FIRST, 512, NULL},
        {"the last token", "{\"pooling_mode_lasttoken\":true}", "{\"max_seq_length\":null}", "", CLO_POOL_LAST, 512, NULL},
        {"in one word", "{\"pooling_mode\":\"lasttoken\"}", "{\"max_seq_length\":9999}", "", CLO_POOL_LAST, 512, NULL},
        {"lower case twice", "{" MEAN "}", "{\"do_lower_case\":true}", "{\"do_lower_case\":true}", CLO_POOL_MEAN, 512, NULL},
        {"lower case by an encoder's habit", "{" MEAN "}", "{\"do_lower_case\":true}", "", CLO_POOL_MEAN, 512, NULL},
        {"lower case before a tokenizer that keeps it", "{" MEAN "}", "{\"do_lower_case\":true}", "{\"do_lower_case\":false}",
         CLO_POOL_NONE, 0, "do_lower_case"},
        {"the largest", "{\"pooling_mode_max_tokens\":true}", "", "", CLO_POOL_NONE, 0, "'max'"},
        {"two at once", "{" MEAN ",\"pooling_mode_cls_token\":true}", "", "", CLO_POOL_NONE, 0, "at once"},
        {"none of them", "{}", "", "", CLO_POOL_NONE, 0, "mean, cls, lasttoken"},
        {"another word", "{\"pooling_mode\":\"median\"}", "", "", CLO_POOL_NONE, 0, "mean, cls, lasttoken"},
        {"another width", "{" MEAN ",\"word_embedding_dimension\":768}", "", "", CLO_POOL_NONE, 0, "768"},
        {"no object", "[]", "", "", CLO_POOL_NONE, 0, "not an object"},
        {"no JSON", "{" MEAN, "", "", CLO_POOL_NONE, 0, "pooling"},
        {"no length", "{" MEAN "}", "{\"max_seq_length\":0}", "", CLO_POOL_NONE, 0, "max_seq_length"},
        {"a length in quotes", "{" MEAN "}", "{\"max_seq_length\":\"256\"}", "", CLO_POOL_NONE, 0, "max_seq_length"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clo_spec s = bert();
        clo_err err = {0};
        const clo_pooling_texts t = {clo_str_from(rows[i].pooling), clo_str_from(rows[i].sentence),
                                     clo_str_from(rows[i].tokenizer)};
        bool ok = clo_spec_pooling_from_texts(&s, &t, &err);
        if (ok != (rows[i].want != CLO_POOL_NONE)) fail_msg("%s: %s", rows[i].why, err.text);
        if (ok && (s.pooling != rows[i].want || s.n_text != rows[i].n_text)) fail_msg("%s: %u", rows[i].why, s.n_text);
        if (!ok && !strstr(err.text, rows[i].says)) fail_msg("%s: %s", rows[i].why, err.text);
    }
    clo_spec s = bert();
    s.encoder = false; /* a decoder makes no vectors unless its files say how */
    assert_true(clo_spec_pooling_from_texts(&s, &(clo_pooling_texts){0}, NULL));
    assert_int_equal(s.pooling, CLO_POOL_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bert_reads_as_published),
        cmocka_unit_test(other_encoders_are_refused_by_name),
        cmocka_unit_test(lengths_are_read),
        cmocka_unit_test(the_folder_of_the_pooling_is_found),
        cmocka_unit_test(pooling_and_length_are_read),
    };
    return cmocka_run_group_tests_name("pooling", tests, NULL, NULL);
}
