"""Template snippets for the differential test. VARS are their variables; each snippet must render as Jinja renders it,
fail as Jinja fails, or be refused as unsupported."""
VARS = {
    "x": 3, "y": -7, "f": 2.5, "g": -0.1, "z": 0, "big": 9007199254740993, "s": "Hello, World", "e": "", "u": "Grüße 日本 🙂é",
    "q": "it's \"q\"", "n": None, "t": True, "b": False, "l": [3, 1, 2], "ls": ["b", "A", "c", "a"], "d": {"a": 1, "b": [1, 2], "items": "I", "c d": None},
    "deep": {"k": {"z": {"w": [1, {"v": "V"}]}}}, "msgs": [{"role": "user", "content": "hi", "n": 2}, {"role": "assistant", "content": "yo", "n": 1}, {"role": "user", "content": None}],
    "mix": [1, 2.0, "x", None, True, [1], {"a": 1}], "sp": "  \t a  b \n c \u00a0", "lines": "one\ntwo\r\nthree\n\nfive\x0bsix\u2028seven", "nested": [[1, [2, 3]], [4]],
    "tree": [{"v": 1, "c": [{"v": 2, "c": []}, {"v": 3, "c": [{"v": 4, "c": []}]}]}, {"v": 5, "c": []}], "ctrl": "a\x00b\x1f\x7f\u0085\u200b\ufeff\U000e0001",
    "bools": [True, False, None], "floats": [0.1, 1e16, 1e15, 1.5e-5, 0.0001, -0.0, 1e22, 123456789.125, 5e-324, 1.7976931348623157e308, 2.0**-44, 9007199254740992.0, 1e21, 100.0],
}

EXPRS = """
x
y
f
g
big
s
u
q
n
t
b
l
ls
d
deep
mix
nested
floats
ctrl
[ctrl]
[q, "it's", 'a"b', "\\n\\t\\\\"]
[u, "\\xa0", "\\u200b"]
()
(1,)
(1, 2)
1, 2
[]
{}
{'a': 1, 2: 'b', none: 3, true: 4, 1.5: 5}
{1: 'a', true: 'b', 1.0: 'c'}
{'a': 1, 'a': 2}
undefinedname
undefinedname.foo
undefinedname['foo']
d.nope
d.nope.nope
d['nope']['nope']
l[10]
l[10].x
l['x'].y
s.nope
s.nope.y
n.foo
n.foo.bar
n['foo']
x.foo.bar
[undefinedname]
[undefinedname, d.nope]
undefinedname + 1
undefinedname ~ 'a'
undefinedname == undefinedname2
undefinedname == none
undefinedname != 1
undefinedname < 1
not undefinedname
undefinedname and 1
undefinedname or 'alt'
undefinedname()
d.nope()
undefinedname.x.y
1 + 2 * 3
(1 + 2) * 3
7 // 2
-7 // 2
7 // -2
-7 % 3
7 % -3
-7.5 // 2
-7.5 % 2
7.5 % -2
0.0 % -3
5 % 2.5
1 / 2
4 / 2
-4 / 3
2 ** 10
2 ** -1
-2 ** 2
2 ** 3 ** 2
2.0 ** 0.5
(-8) ** 2
0 ** 0
1 // 0
1 / 0
1 % 0
1.0 / 0
9223372036854775807
9223372036854775807 + 1
9223372036854775808
-9223372036854775807 - 1
-9223372036854775807 - 2
9223372036854775807 * 2
big + 0.0
big / 1
big == 9007199254740992.0
big > 9007199254740992.0
1 == 1.0
1 == true
0 == false
'1' == 1
1 < 2 < 3
1 < 3 < 2
3 > 2 > 1 == true
1 in l
4 in l
4 not in l
'a' in d
'ell' in s
'' in s
1 in s
n in bools
none in l
'x' in n
'x' in undefinedname
undefinedname in l
undefinedname in s
l == [3, 1, 2]
l != [3, 1]
d == {'a': 1, 'b': [1, 2], 'items': 'I', 'c d': none}
[1, 2] < [1, 3]
[1, 2] < [1, 2, 0]
(1, 2) < (2,)
'a' < 'b'
'Z' < 'a'
'a' < 1
1 < 'a'
none < 1
[1] < 'a'
l + [4]
l + 'a'
l + (1,)
s + 1
1 + s
s + s
s ~ 1 ~ none ~ 2.0 ~ l
s * 2
2 * s
s * -1
l * 2
[0] * 3
s - 1
-s
-l
-x
+x
- -x
+f
+true
-true
true + true
true * 3
not x
not not x
x and s
z and s
z or s
e or n
n or e
e and n
x if t else y
x if b else y
x if b
(x if b) is undefined
x if b else y if t else f
1 if 0 else 2 if 0 else 3
s[0]
s[-1]
s[100]
s[1:3]
s[:3]
s[3:]
s[-3:]
s[:-3]
s[::-1]
s[::2]
s[5:1]
s[5:1:-1]
s[1:100]
s[-100:3]
s[::0]
s['a']
s[none:2]
s['a':2]
u[0]
u[3]
u[6:9]
u[::-1]
u|length
u|list
l[0]
l[-1]
l[1:]
l[:-1]
l[::-1]
l[5:]
l[::2]
l[-2:]
l[1.0]
l[true]
l.0
l.1
nested[0][1][0]
nested.0.1.1
d[1:]
n[1:]
undefinedname[1:]
x[1:]
d.a
d['a']
d.b[1]
d.items
d['items']
d.items()
d.items()|list
d.keys()|list
d.values()|list
d.keys()
d.items()|length
d.get('a')
d.get('zz')
d.get('zz', 'dflt')
d.get('zz', default=1)
d.get()
d['c d']
d.__class__
s.__class__
s.__class__.__mro__
l.append(1)
l.append
d.update({'z': 1})
d.pop('a')
l.sort()
l.index(2)
l.index(9)
l.count(1)
l.copy()
d.copy()
(1, 2, 1).count(1)
s.upper()
s.lower()
s.title()
s.capitalize()
s.swapcase()
u.upper()
u.lower()
u.capitalize()
'straße'.upper()
'ΑΣ'.lower()
'éCOLE'.capitalize()
'ÀÉ Ö'.lower()
'жук'.upper()
u.title()
'they\\'re bill\\'s x1y'.title()
sp.strip()
[sp.strip(), sp.lstrip(), sp.rstrip()]
'xxhixx'.strip('x')
'xyhiyx'.strip('xy')
'xyhiyx'.lstrip('yx')
'xyhiyx'.rstrip('yx')
'日本x日'.strip('日')
'abc'.strip('')
'abc'.strip(none)
'abc'.strip(1)
'a,b,,c'.split(',')
'a,b,,c'.split(',', 1)
'a,b,,c'.split(',', 0)
'a,b,,c'.split(',', -1)
'a,b,,c'.split(',', maxsplit=2)
'a,b,,c'.split(sep=',')
'a,b,,c'.rsplit(',', 1)
'a,b,,c'.rsplit(',')
sp.split()
sp.split(none, 1)
'  a b  c '.split(none, 1)
'  a b  c '.split(none, 0)
' a b  c '.rsplit(none, 1)
' a b  c '.rsplit()
''.split()
''.split(',')
'abc'.split('')
lines.splitlines()
lines.splitlines(true)
''.splitlines()
'a\\n'.splitlines()
'a-b-c'.partition('-')
'a-b-c'.rpartition('-')
'abc'.partition('-')
'abc'.rpartition('-')
s.startswith('Hell')
s.startswith(('x', 'He'))
s.startswith('ell', 1)
s.startswith(1)
s.endswith('ld')
s.endswith(('x', 'ld'))
s.startswith('')
s.find('o')
s.find('zz')
s.rfind('o')
u.find('本')
s.index('zz')
s.count('l')
s.count('')
'aaa'.count('aa')
s.replace('l', 'L')
s.replace('l', 'L', 1)
s.replace('', '-')
'éa'.replace('', '-')
''.replace('', '-')
''.replace('', '-', 0)
'abc'.replace('', '-', 2)
s.replace('zz', '')
'abcabc'.removeprefix('abc')
'abcabc'.removesuffix('bc')
'-'.join(ls)
'-'.join(l)
'-'.join('abc')
''.join([])
','.join(d)
'abc'.isalpha()
'123'.isdigit()
'a1'.isalnum()
' '.isspace()
''.isspace()
'ABC'.isupper()
'abc1'.islower()
'1'.isupper()
'abc'.center(10)
'abc'.zfill(5)
'{} {}'.format(1, 2)
'abc'.encode()
'%s' % 1
'%d-%s' % (1, 'a')
s|upper
s|lower
s|capitalize
s|title
'hello wORLD-foo (bar) {baz'|title
n|upper
x|upper
undefinedname|upper
u|upper
s|length
l|length
d|length
n|length
x|length
undefinedname|length
''|length
l|count
sp|trim
'xxaxx'|trim('x')
'xxaxx'|trim(chars='x')
n|trim
x|trim
undefinedname|trim
l|join
l|join(', ')
ls|join('-')
mix|join('|')
n|join
undefinedname|join(',')
s|join('.')
d|join(',')
msgs|join(',', attribute='role')
l|join(1)
l|first
l|last
''|first
[]|first
[]|last
[]|first|default('x')
s|first
s|last
d|first
d|last
undefinedname|first
undefinedname|last
l|reverse
l|reverse|list
s|reverse
d|reverse|list
undefinedname|reverse
x|reverse
l|list
s|list
d|list
n|list
x|list
undefinedname|list
range(5)|list
range(1, 10, 3)|list
range(5, 0, -2)|list
range(0)
range(3)
range(1, 3)
range(1, 9, 2)
range(2)|length
range(100001)
range('a')
range()
range(1, 2, 0)
range(5)[2]
range(5)[1:3]
3 in range(5)
n|default('x')
n|default('x', true)
undefinedname|default('x')
undefinedname|default
undefinedname|d(1)
e|default('x', boolean=true)
e|default(default_value='x')
d.nope|default('x')
d.nope.nope|default('x')
n|string
x|string
f|string
l|string
undefinedname|string
n|string + 'a'
x|string|length
x|int
f|int
'12'|int
' 12 '|int
'-3'|int
'1_000'|int
'12.9'|int
'abc'|int
'abc'|int(7)
'abc'|int(default=-1)
''|int
n|int
l|int
'0x1f'|int
'0x1f'|int(0, 16)
undefinedname|int
true|int
-3.9|int
'1e3'|int
'inf'|int
'99999999999999999999'|int
1e300|int
x|float
'1.5'|float
'abc'|float
'abc'|float(1.0)
' 2 '|float
'1e-7'|float
'nan'|float
'-inf'|float
'infinity'|float
'1_0.5'|float
'0x10'|float
n|float
undefinedname|float
3|abs
y|abs
g|abs
s|abs
2.5|round
3.5|round
-2.5|round
2.675|round(2)
1.005|round(2)
3|round
3|round(1)
2.1|round(0, 'ceil')
2.19|round(1, 'floor')
-2.5|round(0, 'ceil')
-0.4|round
1234.5|round(-2)
s|round
s|replace('l', 'L')
s|replace('l', 'L', 1)
s|replace('l', 1)
x|replace('3', '4')
n|replace('None', 'x')
s|safe
s|safe|upper
(s|safe) + 'x'
s|safe ~ '<'
'<b>'|e
'<b>'|escape
ls|sort
ls|sort(true)
ls|sort(case_sensitive=true)
ls|sort(reverse=true)
l|sort
mix|sort
msgs|sort(attribute='role')|map(attribute='content')|list
d|dictsort
{'b': 1, 'A': 2}|dictsort
{'b': 1, 'A': 2}|dictsort(true)
{'b': 1, 'A': 2}|dictsort(false, 'value')
{'b': 1, 'A': 2}|dictsort(by='value', reverse=true)
s|dictsort
ls|unique|list
['a', 'A', 'b', 'a']|unique|list
['a', 'A', 'b', 'a']|unique(true)|list
[1, 1.0, true, 2]|unique|list
[[1], [1]]|unique|list
l|min
l|max
ls|min
ls|max
[]|max
l|sum
[]|sum
[0.1, 0.2]|sum
msgs[:2]|sum(attribute='n')
l|sum(start=10)
ls|sum
msgs|map(attribute='role')|list
msgs|map(attribute='role')|join(',')
msgs|map(attribute='zz')|list
msgs|map(attribute='n', default=9)|list
msgs|map(attribute='content.x')|list
ls|map('upper')|list
ls|map('upper')|join
ls|map('replace', 'a', 'X')|list
ls|map('default', 'x')|list
ls|map('nosuch')|list
ls|map|list
l|map('string')|join('+')
n|map('upper')|list
x|map('upper')|list
undefinedname|map('upper')|list
nested|map('first')|list
nested|map(attribute=0)|list
nested|map(attribute='1.0')|list
l|select|list
bools|select|list
l|select('odd')|list
l|select('greaterthan', 1)|list
l|select('in', [1, 2])|list
l|select('>', 1)|list
l|reject('odd')|list
bools|reject|list
bools|reject('none')|list
msgs|selectattr('role', 'equalto', 'user')|list|length
msgs|selectattr('role', '==', 'user')|map(attribute='content')|list
msgs|selectattr('content')|list|length
msgs|selectattr('n', 'defined')|list|length
msgs|selectattr('role', 'in', ['user'])|list|length
msgs|rejectattr('role', 'eq', 'user')|list
msgs|rejectattr('content', 'none')|list|length
msgs|selectattr('role', 'nosuch')|list
msgs|selectattr|list
msgs|selectattr('role', 'equalto', 'user')
msgs|selectattr('role', 'equalto', 'user')|length
msgs|selectattr('role', 'equalto', 'user')|first
msgs|selectattr('role', 'equalto', 'zz')|first is defined
(msgs|selectattr('role', 'equalto', 'zz')) is defined
(l|select) is iterable
(l|select) is sequence
d|items|list
undefinedname|items|list
n|items|list
l|items|list
'a\\nb\\n\\nc'|indent
'a\\nb\\n\\nc'|indent(2)
'a\\nb\\n\\nc'|indent(2, true)
'a\\nb\\n\\nc'|indent(2, true, true)
'a\\nb'|indent('> ')
'a\\nb'|indent(width=1, first=true)
'a'|indent
'a\\n'|indent
''|indent
x|indent
d|attr('a')
d|attr('items')
s|attr('upper')
'abc'|batch(2)|list
'abc def'|wordcount
'abc'|truncate(2)
d|pprint
'%s'|format(1)
'a b'|urlencode
[1,2,3]|random
s|nosuch
x|tojson
f|tojson
s|tojson
u|tojson
q|tojson
n|tojson
t|tojson
l|tojson
d|tojson
deep|tojson
mix|tojson
floats|tojson
ctrl|tojson
u|tojson(ensure_ascii=true)
ctrl|tojson(ensure_ascii=true)
d|tojson(indent=2)
deep|tojson(indent=4)
mix|tojson(indent=1)
[]|tojson(indent=2)
{}|tojson(indent=2)
[[]]|tojson(indent=0)
d|tojson(indent='\\t')
d|tojson(indent=none)
d|tojson(none, 2)
d|tojson(separators=(',', ':'))
d|tojson(separators=[',', ': '], indent=2)
{'b': 1, 'a': {'d': 1, 'c': 2}}|tojson(sort_keys=true)
{1: 2, none: 3, true: 4, 1.5: 6}|tojson
{1: 2, 'a': 3}|tojson(sort_keys=true)
{(1, 2): 3}|tojson
(1, 2)|tojson
undefinedname|tojson
[undefinedname]|tojson
d.items()|tojson
range(3)|tojson
'</script>&\\''|tojson
'inf'|float|tojson
d|tojson(bogus=1)
x is defined
undefinedname is defined
d.nope is defined
d.nope.nope is defined
d.items is defined
l.append is defined
undefinedname is undefined
n is none
n is not none
x is none
s is string
x is string
d is mapping
l is mapping
l is sequence
s is sequence
d is sequence
n is sequence
x is sequence
undefinedname is sequence
l is iterable
s is iterable
x is iterable
d is iterable
undefinedname is iterable
n is iterable
(1, 2) is sequence
range(2) is sequence
d.items() is sequence
x is number
f is number
t is number
s is number
x is integer
t is integer
f is integer
f is float
x is float
t is boolean
x is boolean
t is true
b is false
x is true
1 is true
x is odd
x is even
f is odd
s is odd
x is divisibleby 3
x is divisibleby(2)
x is eq 3
x is equalto(3)
x is ne 3
x is gt 2
x is lt 2
x is ge 3
x is le 3
x is in [1, 3]
x is not in [1, 3]
x is in(l)
x is sameas x
n is sameas none
t is sameas true
t is sameas false
s is lower
s is upper
'ABC' is upper
s is callable
range is callable
undefinedname is callable
'upper' is filter
'nosuch' is filter
'odd' is test
x is nosuch
x is defined and y is defined
not x is defined
x is not defined
x is defined == true
x is odd if t else 'no'
x is string or t
s|length > 5
s|length + 1
-x|abs
(-x)|abs
-l|length
'a' ~ 'b'|upper
'a' + 'b'|upper
x + y|abs * 2
not l|length
l|length == 3 and s
'a' 'b' "c"
'a\\'b'
"a\\x41\\u00e9\\U0001F642\\101\\q\\
z"
'\\8'
'\\400'
'tab\\there'
1_000
0x1F
0b101
0o17
00
1e3
1.5e-3
1_0.2_5
1E5
2e
1.
.5
1.real
x.real
f.is_integer()
namespace(a=1).a
namespace(a=1)['a']
namespace({'a': 2}, b=3).b
namespace(a=1).zz
namespace(_a=1)
namespace(a=1)
dict(a=1, b=2)
dict({'x': 1}, y=2)
dict([('a', 1), ('b', 2)])
dict(d, a=5)
dict(1)
dict()
dict
namespace
range
raise_exception('boom: ' ~ x)
raise_exception('multi\\nline')
raise_exception(undefinedname)
raise_exception(5)
strftime_now('%Y-%m-%d')
strftime_now('%d %b %Y %H:%M:%S %A %B %a %j %I %p %y %%')
strftime_now('%-d/%-m')
strftime_now('')
strftime_now('plain')
strftime_now('%f')
strftime_now('%Z')
strftime_now('é %Y')
lipsum()
cycler(1, 2)
joiner(',')
self
caller()
loop
loop.index
x(1)
s()
s.upper
s.upper is defined
[*l]
range(*[1, 4])|list
dict(**{'a': 1})
d.get(*['a'])
l|join(*['-'])
deep.k.z.w[1].v
deep['k']['z'].w.1['v']
msgs[0].content
msgs[-1]['content']
msgs[0]['role'] == 'user'
(msgs|last).content
msgs|map(attribute='content')|select('string')|list
[1, 2,]
{'a': 1,}
(1, 2,)
[x, y][0]
{'k': x}['k']
{'k': x}.k
('a', 'b')[1]
'abc'[1]
'%c'
'}}'
'{{'
{'a': {'b': 1}}
{'a': {'b': {}}}
x|string ~ y|string
x ~ y
x ~ -y
1 ~ 2 + 3
s|default('a')|upper|lower|length
s.split(',')[1].strip().split('o')|length
s.split(', ')|map('length')|list
s.split()|join('|')|lower|replace('o', '0')
l|map('string')|map('length')|sum
floats|map('string')|list
floats|map('tojson')|list
floats|map('int')|list
[1, [2, (3, {'a': none})]]|string
'a' < 'b' < 'c'
1 if x else
foo bar
x +
)
(x
[x
{x
x.
x|
x is
x ! y
x = 1
x; y
'unclosed
a.b.c.d
é
not
in
if
for
x not y
x is not
x if
d.a.b.c
1 2
'a' b
loop.cycle('a')
self.x
x|default(undefinedname.foo)
{'a': 1} + {'b': 2}
[] or {} or ()
[[]] and 1
'' ~ ''
none ~ true
none + 1
true and false or none
none is none is none
[none, true, 1.0, 'a']
1.0
100000000000000000.0
1e100
123456789012345678
0.1 + 0.2
1 - 0.9
3.0
3.0 * 2
7.0 // 2
2 * 3.5
10 / 5
10 / 4
1e400
-1e400
1e-400
2 ** 63
2 ** 62
3 ** 40
10 ** 18
10 ** 19
5.0 ** -3
(-8.0) ** (1 / 3)
(2 ** 53 + 1) * 1.0
x // f
x % f
y % x
y // x
y % -x
-5 // -2
-5 % -2
5.5 // -2
-0.0
0 * -1.0
-0.0 // 1
""".strip("\n").replace("\\\nz", "\x01z").split("\n")
EXPRS = [e.replace("\x01", "\\\n") for e in EXPRS]

TEMPLATES = [
    "a\n", "a\n\n", "a\r\nb\rc\n", "", "\n", "\n\n", "{{ 'a' }}\n", "  {{ x }}  \n  y",
    "{% if t %}\nA\n{% endif %}\nB", "  {% if t %}  \nA\n  {% endif %}  \nB", "x  {% if t %}A{% endif %}  y",
    "\t {%- if t -%}  \n A \n {%- endif -%} \n B", "  {%+ if t %}A{%+ endif %}B", "  {% if t +%}\nA{% endif +%}\nB",
    "a {#- c -#} b", "a\n  {# c #}\nb", "a {# c #} b", "{# c\n\n #}\n\nb", "{#- -#}", "{##}x", "{# a {# b #} c #}",
    "a  {{- x -}}  b", "a\n {{- x }}\n b", "a {{ x -}}\n\n b", "a\u00a0\u2003{%- if t %}b{% endif -%}\u3000 c",
    "\u2003{% if t %}b{% endif %}", "a\n\u00a0{% if t %}b{% endif %}", "{{ x }}{% if t %} {% endif %}{{ y }}",
    "{% raw %}{{ x }} {% if %}{% endraw %}", "  {% raw %}\n a {{ x }}\n  {% endraw %}\nb", "{%- raw -%}  a  {%- endraw -%}  b", "{% raw %} x", "a {% raw -%} {{ y {%- endraw %} b",
    "{% set a = 1 %}{{ a }}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a, b = [1] %}", "{% set a, b = [1, 2, 3] %}", "{% set a, b = 5 %}", "{% set a = 1, 2 %}{{ a }}",
    "{% set (a, b) = 'xy' %}{{ a }}-{{ b }}", "{% set a, b = d %}", "{% set a.b = 1 %}", "{% set x.y = 1 %}", "{% set 1 = 2 %}", "{% set a[0] = 2 %}", "{% set a %}b{{ x }}{% endset %}[{{ a }}]",
    "{% set a | upper %}b{{ x }}{% endset %}[{{ a }}]", "{% set a | replace('b', 'c') | upper %}b{{ x }}{% endset %}[{{ a }}]", "{% set a %}{% set q = 1 %}{{ q }}{% endset %}{{ a }}{{ q }}",
    "{% set ns = namespace(i=0) %}{% for m in l %}{% set ns.i = ns.i + m %}{% endfor %}{{ ns.i }}", "{% set ns = namespace() %}{% set ns.a = 1 %}{{ ns.a }}{{ ns.b }}", "{% set ns = namespace(a=1) %}{% set ns._b = 1 %}", "{% set nope.a = 1 %}", "{% set d.a = 1 %}",
    "{% set ns = namespace(l=[]) %}{% for i in l %}{% set ns.l = ns.l + [i] %}{% endfor %}{{ ns.l }}", "{% set ns = namespace(a=1) %}{% set ns.a, q = 2, 3 %}{{ ns.a }}{{ q }}",
    "{% set a = 1 %}{% for i in l %}{{ a }}{% set a = i %}{{ a }};{% endfor %}{{ a }}", "{% for i in l %}{% if loop.first %}{% set v = 1 %}{% endif %}{{ v }};{% endfor %}", "{% if t %}{% set v = 1 %}{% endif %}{{ v }}", "{% if b %}{% set v = 1 %}{% else %}{% set v = 2 %}{% endif %}{{ v }}",
    "{% if b %}{% set x = 9 %}{% endif %}{{ x }}", "{% for i in l %}{% if b %}{% set x = 9 %}{% endif %}{{ x }}{% endfor %}",
    "{% for i in l %}{{ i }}{% endfor %}", "{% for i in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }};{% endfor %}",
    "{% for i in l %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }};{% endfor %}", "{% for i in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }};{% endfor %}", "{% for i in l %}{{ loop.previtem.x }}{% endfor %}",
    "{% for i in l %}{{ loop.cycle('a', 'b') }}{% endfor %}", "{% for i in [1, 1, 2, 2, 1] %}{{ loop.changed(i) }}{% endfor %}", "{% for i in l %}{{ loop.depth }}{{ loop.depth0 }}{% endfor %}", "{% for i in l %}{{ loop.nope }}{% endfor %}", "{% for i in l %}{{ loop }}{% endfor %}",
    "{% for i in l %}{{ loop.nope.x }}{% endfor %}", "{% for i in l %}{{ loop['index'] }}{% endfor %}",
    "{% for a, b in d.items() %}{{ a }}={{ b }};{% endfor %}", "{% for a, b in d|dictsort %}{{ a }}={{ b }};{% endfor %}", "{% for a in d %}{{ a }};{% endfor %}", "{% for a, b in l %}{% endfor %}", "{% for (a, b) in [(1, 2), [3, 4]] %}{{ a + b }};{% endfor %}", "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for c in u %}{{ c }}|{% endfor %}", "{% for c in undefinedname %}x{% else %}none{% endfor %}", "{% for c in n %}x{% endfor %}", "{% for c in 5 %}x{% endfor %}", "{% for c in d.nope.x %}x{% endfor %}", "{% for c in [] %}x{% else %}{{ c }}{{ x }}{% endfor %}",
    "{% for i in l if i > 1 %}{{ i }}{{ loop.index }}{{ loop.last }}{{ loop.length }};{% endfor %}", "{% for i in l if i > 5 %}{{ i }}{% else %}E{% endfor %}", "{% for i in l if i != 1 %}{{ loop.nextitem }}{{ loop.previtem }};{% endfor %}", "{% for m in msgs if m.role == 'user' %}{{ m.content }}{{ loop.revindex }}{% endfor %}",
    "{% set ns = namespace(k=0) %}{% for i in [1, 2, 3, 4] if i != ns.k %}{% set ns.k = i + 1 %}{{ i }}{% endfor %}", "{% set ns = namespace(k=0) %}{% for i in [1, 2, 3, 4] if i != ns.k %}{% set ns.k = i + 1 %}{{ i }}{{ loop.last }}{% endfor %}", "{% set ns = namespace(k=0) %}{% for i in [1, 2, 3, 4] if i != ns.k %}{% set ns.k = i + 1 %}{{ i }}{{ loop.length }}{% endfor %}",
    "{% for i in l %}{% if i == 1 %}{% break %}{% endif %}{{ i }}{% endfor %}", "{% for i in l %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{{ loop.index }}{% endfor %}", "{% for i in l %}{% break %}{% else %}E{% endfor %}", "{% for i in l %}{% continue %}{% else %}E{% endfor %}", "{% for i in l %}{% if loop.last %}{% break %}{% endif %}{% else %}E{% endfor %}", "{% break %}", "{% if t %}{% continue %}{% endif %}",
    "{% for i in l %}{% for j in l %}{% if j == 1 %}{% break %}{% endif %}{{ i }}{{ j }}{{ loop.index }} {% endfor %}{{ loop.index }};{% endfor %}", "{% for i in l %}{% set o = loop %}{% for j in 'ab' %}{{ o.index }}{{ loop.index }} {% endfor %}{% endfor %}", "{% for i in l %}{% for j in loop.cycle([1], [2, 3]) %}{{ j }}{% endfor %};{% endfor %}", "{% for loop in l %}{% endfor %}",
    "{% for n in tree recursive %}{{ n.v }}({{ loop(n.c) }}){{ loop.depth }}{% endfor %}", "{% for n in tree recursive %}{{ loop.depth0 }}{{ n.v }}{% if n.c %}[{{ loop(n.c) }}]{% endif %}{% else %}-{% endfor %}", "{% for i in l %}{{ loop([1]) }}{% endfor %}",
    "{% set g = l|select %}{% for i in g %}{{ i }}{% endfor %}|{% for i in g %}{{ i }}{% else %}E{% endfor %}", "{% set g = l|map('string') %}{{ g|list }}{{ g|list }}", "{% set g = l|select %}{% for i in g %}{{ i }}{% break %}{% endfor %}|{{ g|list }}", "{% set g = l|select %}{% for i in g %}{{ i }}{{ loop.last }}{% break %}{% endfor %}|{{ g|list }}", "{% set g = l|select %}{{ g|first }}{{ g|first }}{{ 2 in g }}{{ g|list }}", "{% for i in l|select %}{{ loop.length }}{{ loop.index }}{{ loop.revindex }} {% endfor %}", "{% set g = d|items %}{% for k, v in g %}{{ k }}{% endfor %}{{ g|list }}", "{% set g = l|reverse %}{{ g|list }}{{ g|list }}",
    "{% if x == 3 %}a{% elif x == 4 %}b{% else %}c{% endif %}", "{% if z %}a{% elif e %}b{% elif t %}d{% else %}c{% endif %}", "{% if undefinedname %}a{% else %}c{% endif %}", "{% if x is defined and x > 2 or undefinedname.foo %}a{% endif %}", "{% if %}{% endif %}", "{% if x %}", "{% endif %}", "{% if x %}{% else %}{% elif y %}{% endif %}", "{% for x %}{% endfor %}", "{% for x in %}{% endfor %}", "{% nosuch %}", "{% %}", "{{ }}", "{{", "{% if x", "{{ x", "{# x", "{{ x }", "{% if x %}{% endfor %}", "}}", "%}", "{", "{ {", "#}", "{{ '}}' }}", "{{ {'a': {'b': 1}} }}", "{{ {'a': {'b': 1}}}}",
    "{% if x: %}a{% endif %}", "{% for i in l: %}{{ i }}{% endfor %}", "{% if x, y %}a{% endif %}", "{% for i in 1, 2, 3 %}{{ i }}{% endfor %}", "{% for i in l if t else [] %}{% endfor %}", "{% for i in (l if t else []) %}{{ i }}{% endfor %}",
    "{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(b=5, a=4) }}{{ m() }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(c=2) }}", "{% macro m(a) %}{{ a.x }}{% endmacro %}{{ m() }}", "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}", "{% macro m(a=1, b) %}{% endmacro %}", "{% macro m(a, a) %}{% endmacro %}", "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, k=3) }}", "{% macro m(a) %}{{ a }}{{ varargs|list }}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(n) %}{{ n }}{% if n > 0 %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(3) }}", "{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(3) }}", "{% macro m() %}{{ x }}{% set x = 5 %}{{ x }}{% endmacro %}{{ m() }}{{ x }}", "{% set v = 1 %}{% macro m() %}{{ v }}{% endmacro %}{% set v = 2 %}{{ m() }}", "{% macro m() %}{{ v }}{% endmacro %}{% set v = 2 %}{{ m() }}", "{% macro m() -%}  a  {%- endmacro %}[{{ m() }}]", "{% macro m() %}a{% endmacro %}{{ m()|upper ~ m() }}{{ m() + 'x' }}{{ m() is string }}", "{{ m() }}{% macro m() %}{% endmacro %}", "{% macro m() %}a{% endmacro %}{{ m }}", "{% macro m() %}a{% endmacro %}{{ m.name }}", "{% for i in l %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}{{ m is defined }}", "{% macro m() %}{{ i }}{% endmacro %}{% for i in l %}{{ m() }}{% endfor %}",
    "{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}in{{ x }}{% endcall %}", "{% macro m() %}[{{ caller(1, 2) }}]{% endmacro %}{% call(a, b) m() %}{{ a }}{{ b }}{% endcall %}", "{% macro m() %}x{% endmacro %}{% call m() %}in{% endcall %}", "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}", "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}", "{% macro m(a) %}{% if caller %}{{ caller() }}{% endif %}{{ a }}{% endmacro %}{{ m(1) }}{% call m(2) %}c{% endcall %}", "{% call nope() %}{% endcall %}", "{% call x %}{% endcall %}", "{% macro m() %}{% for i in l %}{{ caller(i) }}{% endfor %}{% endmacro %}{% call(i) m() %}<{{ i }}{{ x }}>{% endcall %}",
    "{% filter upper %}abc{{ s }}{% endfilter %}", "{% filter replace('a', 'b')|upper %}aac{% endfilter %}", "{% filter trim %}  a  {% endfilter %}|", "{% filter nosuch %}{% endfilter %}", "{% filter length %}abc{% endfilter %}", "{% filter indent(2) %}a\nb{% endfilter %}",
    "{% generation %}abc{{ x }}{% endgeneration %}", "  {% generation %}\nabc\n  {% endgeneration %}\nd", "{% generation %}{% set v = 1 %}{{ v }}{% endgeneration %}{{ v }}", "{% for i in l %}{% generation %}{{ loop.index }}{% endgeneration %}{% endfor %}", "{% for i in l %}{% generation %}{% break %}{% endgeneration %}{% endfor %}", "{% generation x %}{% endgeneration %}",
    "{% with a = 1 %}{{ a }}{% endwith %}{{ a }}", "{% with a = 1, b = x %}{{ a }}{{ b }}{% endwith %}", "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q }}", "{% with x = 1, b = x %}{{ b }}{% endwith %}", "{% print x, y %}", "{% print %}", "{% do x %}", "{% include 'a' %}", "{% import 'a' as b %}", "{% extends 'a' %}", "{% block b %}x{% endblock %}", "{% autoescape true %}{{ s }}{% endautoescape %}", "{% from 'a' import b %}", "{% trans %}x{% endtrans %}",
    "{% set x = x + 1 %}{{ x }}", "{% set d = dict(d, z=1) %}{{ d.z }}{{ d.a }}", "{% set l = l + [9] %}{{ l[-1] }}", "{{ x }}{% set x = 7 %}{{ x }}", "{% set loop = 5 %}{{ loop }}{% for i in [1] %}{{ loop.index }}{% endfor %}{{ loop }}", "{% for i in [1] %}{% set loop = 3 %}{{ loop }}{% endfor %}", "{% set range = 3 %}{{ range }}", "{% set true = 3 %}", "{{ True }}{{ None }}{{ False }}{{ none }}{{ true }}",
    "{%- set a = 'x' -%}\n\n{{- a -}}\n\n{%- if a %}  {{ a }}  {%- endif %}\n", "line1\n{%- for i in l %}\n  - {{ i }}\n{%- endfor %}\nend", "{% for i in l -%}\n  {{ i }}\n{% endfor %}", "{% for i in l %}\n{{ i }}{% if not loop.last %},{% endif %}\n\n{% endfor %}x", "a{% if t %}\n\n{% endif %}b", "{% if t %}{{ x }}\n{% endif %}\n\n{{ y }}\n", "\n\n  {% if t %}\n    indented\n  {% endif %}\n  tail", "{%if t%}tight{%endif%}", "{%-if t-%} tight {%-endif-%}", "{{x}}{{-x-}}", "{{ -x }}{{- -x }}", "{% if t %}a{% endif %}\n{% if t %}b{% endif %}\n{% if t %}c{% endif %}\n", "{{ 'a' }}\n{{ 'b' }}\n", "{{ x\n}}\n", "{%\nif t\n%}\na{% endif %}", "{{ [\n1,\n2\n] }}", "a \n {#- x #} \n b", "a{#+ x +#}\nb", "  {#+ x #}b", "{# x -#}\n\n\n b",
    "{{ msgs|map(attribute='role')|unique|list|join('/') }}{% for m in msgs %}{{ '<' + m['role'] + '>' }}{{ m.content or '' }}{% endfor %}", "{% for m in msgs[::-1] %}{{ m.role[0] }}{{ loop.index0 }}{% endfor %}", "{% for m in msgs[1:] %}{% if loop.first and m.role == 'assistant' %}F{% endif %}{{ m.content is none }}{% endfor %}", "{% if msgs[0]['role'] != 'system' %}{{ raise_exception('no system in ' ~ msgs|length) }}{% endif %}", "{{ '<|' ~ msgs[0].role ~ '|>\n' }}{{ '\\n' }}", "{% set content = msgs[0].content if msgs[0].content is string else msgs[0].content|tojson %}{{ content }}",
    "{{ caller }}", "{% macro m(caller) %}{% endmacro %}", "{% macro m(x, kwargs) %}{{ kwargs }}{% endmacro %}{{ m(1, 2) }}", "{% set caller = 1 %}{{ caller }}", "{{ varargs }}", "{% macro outer() %}{% macro inner() %}{{ x }}{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}", "{% set f = 1 %}{% macro f() %}m{% endmacro %}{{ f() }}",
    "{% set ns = namespace(m=none) %}{% for i in l %}{% macro m() %}{{ i }}{% endmacro %}{% set ns.m = m %}{% endfor %}{{ ns.m() }}", "{% for k in 'ab' %}{% for v in l if v > 1 %}{{ k }}{{ v }}{{ loop.length }} {% endfor %}{% endfor %}", "{% for i in l if loop.index %}{% endfor %}", "{% for i in range(3) %}{{ i }}{% endfor %}", "{% for i in range(3)|reverse %}{{ i }}{% endfor %}", "{% for i in 'abc'|reverse %}{{ i }}{% endfor %}", "{% for x in l %}{{ x }}{% endfor %}{{ x }}", "{% for i in d.values() %}{{ loop.length }}{% endfor %}",
]
