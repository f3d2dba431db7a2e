/* Tests: what follows `is`. */
#include "model/template_impl.h"

#define TEST(name) static bool t_##name(tpl_run *r, tv v, tv arg, bool *out)
#define TEST_OF(name, condition)                                                                                       \
    TEST(name)                                                                                                         \
    {                                                                                                                  \
        (void)r, (void)arg;                                                                                            \
        *out = (condition);                                                                                            \
        return true;                                                                                                   \
    }

TEST_OF(defined, v.kind != TV_UNDEF)
TEST_OF(undefined, v.kind == TV_UNDEF)
TEST_OF(none, v.kind == TV_NONE)
TEST_OF(boolean, v.kind == TV_BOOL)
TEST_OF(yes, v.kind == TV_BOOL && v.b)
TEST_OF(no, v.kind == TV_BOOL && !v.b)
TEST_OF(integer, v.kind == TV_INT)
TEST_OF(float, v.kind == TV_FLOAT)
TEST_OF(number, v.kind == TV_INT || v.kind == TV_FLOAT || v.kind == TV_BOOL)
TEST_OF(string, v.kind == TV_STR)
TEST_OF(mapping, v.kind == TV_DICT)
TEST_OF(escaped, v.kind == TV_STR && v.s->markup)
TEST_OF(callable, v.kind >= TV_MACRO || v.kind == TV_LOOP || v.kind == TV_UNDEF)
/* len() and [] both work; an undefined value has both. */
TEST_OF(sequence, v.kind == TV_UNDEF || v.kind == TV_STR || v.kind == TV_LIST || v.kind == TV_TUPLE ||
                      v.kind == TV_RANGE || v.kind == TV_DICT)
TEST_OF(iterable, tpl_is_iterable(v))

static bool modulo(tpl_run *r, tv v, tv by, int64_t want, bool *out)
{
    tv m;
    return tpl_binary(r, '%', v, by, &m) && tpl_eq(r, m, tv_int(want), 0, out);
}

TEST(odd)
{
    (void)arg;
    return modulo(r, v, tv_int(2), 1, out);
}
TEST(even)
{
    (void)arg;
    return modulo(r, v, tv_int(2), 0, out);
}
TEST(divisibleby)
{
    return modulo(r, v, arg, 0, out);
}

static bool case_is(tpl_run *r, tv v, bool upper, bool *out)
{
    const tpl_str *s;
    return tpl_to_str(r, v, &s) && tpl_all_case(r, s, upper, out);
}

TEST(lower)
{
    (void)arg;
    return case_is(r, v, false, out);
}
TEST(upper)
{
    (void)arg;
    return case_is(r, v, true, out);
}

#define TEST_CMP(name, op)                                                                                             \
    TEST(name)                                                                                                         \
    {                                                                                                                  \
        return tpl_compare(r, op, v, arg, out);                                                                        \
    }
TEST_CMP(eq, TPL_OP2('=', '='))
TEST_CMP(ne, TPL_OP2('!', '='))
TEST_CMP(lt, '<')
TEST_CMP(le, TPL_OP2('<', '='))
TEST_CMP(gt, '>')
TEST_CMP(ge, TPL_OP2('>', '='))
TEST_CMP(in, TPL_OP_IN)

/* Identity: certain for none and booleans, certain not to hold between kinds; else Python's own business. */
TEST(sameas)
{
    if (v.kind != arg.kind) *out = false;
    else if (v.kind == TV_NONE) *out = true;
    else if (v.kind == TV_BOOL) *out = v.b == arg.b;
    else return tpl_fail(r, CLO_ERR_UNSUPPORTED, "the test 'sameas' on %s", tpl_type_name(v));
    return true;
}

TEST(filter)
{
    bool known;
    (void)arg;
    if (v.kind != TV_STR) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "the test 'filter' on %s", tpl_type_name(v));
    *out = tpl_find_filter(tpl_bytes(v.s), &known) != NULL || known;
    return true;
}

TEST(test)
{
    bool known;
    (void)arg;
    if (v.kind != TV_STR) return tpl_fail(r, CLO_ERR_UNSUPPORTED, "the test 'test' on %s", tpl_type_name(v));
    *out = tpl_find_test(tpl_bytes(v.s), &known) != NULL || known;
    return true;
}

const tpl_test *tpl_find_test(clo_str name, bool *known)
{
    static const tpl_test rows[] = {
        {"defined", 0, t_defined},   {"undefined", 0, t_undefined}, {"none", 0, t_none},
        {"boolean", 0, t_boolean},   {"true", 0, t_yes},           {"false", 0, t_no},
        {"integer", 0, t_integer},   {"float", 0, t_float},         {"number", 0, t_number},
        {"string", 0, t_string},     {"mapping", 0, t_mapping},     {"escaped", 0, t_escaped},
        {"callable", 0, t_callable}, {"sequence", 0, t_sequence},   {"iterable", 0, t_iterable},
        {"odd", 0, t_odd},           {"even", 0, t_even},           {"divisibleby", 1, t_divisibleby},
        {"lower", 0, t_lower},       {"upper", 0, t_upper},         {"eq", 1, t_eq},
        {"equalto", 1, t_eq},        {"==", 1, t_eq},               {"ne", 1, t_ne},
        {"!=", 1, t_ne},             {"lt", 1, t_lt},               {"lessthan", 1, t_lt},
        {"<", 1, t_lt},              {"le", 1, t_le},               {"<=", 1, t_le},
        {"gt", 1, t_gt},             {"greaterthan", 1, t_gt},      {">", 1, t_gt},
        {"ge", 1, t_ge},             {">=", 1, t_ge},               {"in", 1, t_in},
        {"sameas", 1, t_sameas},     {"filter", 0, t_filter},       {"test", 0, t_test},
    };
    *known = false;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (clo_str_eq(name, clo_str_from(rows[i].name))) return &rows[i];
    return NULL;
}

bool tpl_apply_test(tpl_run *r, const tpl_test *t, tv v, const tpl_args *a, bool *out)
{
    tv arg = tv_none();
    if (a->n_pos != t->n_args || a->n_kw)
        return tpl_fail(r, TPL_TYPE_ERROR, "the test '%s' takes %u argument(s)", t->name, t->n_args);
    if (t->n_args) arg = a->pos[0];
    return t->fn(r, v, arg, out);
}
