"""Small templates, each of which uses one construct, and odd ways to write them."""

VARIABLES = {
    "s": "Hello, World", "u": "Straße İ ſ é日本👍 ΟΔΟΣ", "e": "", "w": " \t\n x  y \u3000\u00a0\n", "n": 7, "z": 0, "neg": -3, "f": 2.5,
    "big": 1e20, "tiny": 1.5e-7, "yes": True, "no": False, "nothing": None, "l": [3, 1, 2], "ls": ["b", "A", "c", "a"], "empty": [],
    "d": {"b": 1, "a": [1, {"x": None}], "C": "text", "items": 5}, "q": "it's \"quoted\" \\ \n\t\x01\x7f\u200b\ue000",
    "people": [{"name": "Ann", "age": 30, "tags": ["x"]}, {"name": "bob", "age": 25}, {"name": "Cy", "age": 30, "boss": {"name": "Ann"}}],
    "nested": [[1, 2], [3, [4, 5]], []], "floats": [1.0, 0.1, 100.0, 1e16, 123456789.123, -0.0, 1e-5],
}

EXPRESSIONS = r"""
1 + 2 * 3 - 4 // 3 % 2
2 ** 3 ** 2
-2 ** 2
-n|abs
-7 // 2 ~ ' ' ~ -7 % 3 ~ ' ' ~ 7 % -3
7 / 2
6 / 3
7.5 // 2
-7.5 % 2
1 / 3
n + f
yes + 1
'a' * 3 + 'b'
[1] * 2 + [3]
(1, 2) + (3,)
(1,)
()
[]
{}
{'a': 1, "b": [true, none, 'x'], 3: 4.0}
{'a': 1, 'a': 2}
[1, 2, 3,]
s[0] ~ s[-1] ~ s[1:3] ~ s[::-1] ~ s[-3:] ~ s[:100] ~ s[5:2]
u[4] ~ u[-1] ~ u[::2] ~ u[3:7]
l[0] ~ l[-1]
l[::-1]
l[1:] + l[:1]
l[5]
l['x']
l[-5:5:2]
l[::-2]
nested[1][1][0]
nested.1.1
d.b ~ d['C'] ~ d.a[1].x
d['items']
d.missing
d.missing.more
missing
missing.attribute
missing[0]
missing()
nothing.attribute
nothing['x']
n.attribute
not yes
not missing
yes and 'x'
e or 'fallback'
no or 0 or none
1 if yes else 2
1 if no
(1 if no) is defined
'a' if no else 'b' if no else 'c'
1 < 2 < 3
3 > 2 >= 2 > 1
1 == 1.0 == true
'a' < 'b'
'Z' < 'a'
[1, 2] < [1, 3]
1 < 'a'
none < 1
missing < 1
missing == other_missing
missing == none
none == false
'1' == 1
d == {'C': 'text', 'items': 5, 'a': [1, {'x': none}], 'b': 1}
'ell' in s
'x' not in s
1 in l
'1' in l
'b' in d
5 in d
1 in s
1 in 5
'x' in missing
'x' in nothing
not 'x' in s
s is string and n is number and f is float and yes is boolean
n is integer and yes is integer
yes is number
none is none and nothing is none
missing is none
missing is defined
missing is not defined
d is mapping and l is not mapping
s is iterable and d is iterable and n is not iterable
s is sequence and l is sequence and d is sequence and n is sequence
missing is iterable
l is sameas l
l is sameas [3, 1, 2]
yes is true and no is false and n is true
1 is true
n is odd and not n is even
n is divisibleby 7
n is divisibleby(2)
n is eq 7 and n is ne 8 and n is lt 8 and n is le 7 and n is gt 6 and n is ge 7
n is in [1, 7]
s is upper
'ABC' is upper and 'abc' is lower
range is callable
s is undefined or n is undefined
s is equalto 'Hello, World'
s ~ n ~ f ~ yes ~ nothing ~ l ~ d
f ~ ' ' ~ big ~ ' ' ~ tiny
floats
people
q
[q]
[q, 'plain', "it's", 'say "x"', 'both \' and "']
u|list
s|upper ~ s|lower ~ s|title ~ s|capitalize
u|upper
u|lower
u|title
u|capitalize
'they\'re bill\'s friends-and (foes) [x]'|title
'they\'re bill\'s friends'.title()
w|trim ~ '|'
w.strip() ~ '|' ~ w.lstrip() ~ '|' ~ w.rstrip() ~ '|'
'xxhixx'.strip('x') ~ 'xyhiyx'|trim('yx')
'abc'.lstrip('ba') ~ 'abc'.rstrip('cb')
n|trim
s|length ~ u|length ~ l|length ~ d|length ~ e|length
missing|length
n|length
s|list
d|list
l|first ~ l|last
empty|first
empty|last is defined
s|first ~ s|last
u|last
l|join
l|join(', ')
d|join('-')
people|join(', ', attribute='name')
people|map(attribute='name')|list
people|map(attribute='boss.name')|list
people|map(attribute='boss.name', default='nobody')|join(',')
people|map(attribute='tags.0', default=0)|list
ls|map('upper')|join
l|map('string')|list
[1.7, '3']|map('int')|list
people|selectattr('boss')|list|length
people|selectattr('age', 'equalto', 30)|map(attribute='name')|join
people|selectattr('age', '>', 25)|list|count
people|rejectattr('age', 'eq', 30)|map(attribute='name')|first
people|selectattr('boss', 'defined')|map(attribute='name')|list
people|rejectattr('tags', 'undefined')|list
people|selectattr('name', 'in', ['Ann', 'Cy'])|list|length
l|select('odd')|list
l|reject('greaterthan', 1)|list
[0, 1, '', 'x', none]|select|list
ls|sort
ls|sort(case_sensitive=true)
ls|sort(reverse=true)
people|sort(attribute='age')|map(attribute='name')|list
[1, 'a']|sort
l|sort|reverse|list
s|reverse
l|reverse|list
d|dictsort
d|dictsort(true)
{'a': 2, 'b': 1}|dictsort(by='value')
{'a': 2, 'b': 1}|dictsort(false, 'value', true)
[1, 2, 1, 'a', 'A']|unique|list
l|min ~ l|max ~ l|sum
people|sum(attribute='age')
people|max(attribute='age')
empty|max
missing|default('x')
missing|d
e|default('x')
e|default('x', true)
nothing|default('x')
no|default('x', boolean=true)
s|replace('l', 'L')
s|replace('l', 'L', 1)
s.replace('l', '')
s.replace('o', '0', 1)
s|replace('', '-')
'a\nb\n\nc'|indent
'a\nb\n\nc'|indent(2, true)
'a\nb\n\nc\n'|indent(2, blank=true)
'a\nb'|indent('> ')
'12'|int + 1
' -12 '|int
'x'|int
'x'|int(5)
'3.9'|int
3.9|int
'ff'|int(0, 16)
missing|int
none|int
yes|int
'1_000'|int
'2.5'|float
'x'|float
'x'|float(1.5)
n|float
n|string ~ 1|string
'a'|string|length
2.5|round
3.5|round
2.675|round(2)
2.5|round(0, 'ceil')
2.55|round(1, 'floor')
n|round
1234|round(-2)
neg|abs ~ (-2.5)|abs
'a b  c'|wordcount
d|items|list
missing|items|list
d|tojson
d|tojson(indent=2)
d|tojson(indent=0)
d|tojson(false, 2)
1250|round(-2) ~ ' ' ~ 1350|round(-2) ~ ' ' ~ (-1250)|round(-2)
d|tojson(separators=(',', ':'))
d|tojson(sort_keys=true)
people|tojson
people|tojson(indent=1)
q|tojson
u|tojson
floats|tojson
empty|tojson ~ {}|tojson(indent=2) ~ [[]]|tojson(indent=2)
none|tojson ~ true|tojson ~ 1|tojson ~ big|tojson ~ tiny|tojson
(1, 2)|tojson
{1: 2, none: 3, true: 4}|tojson
missing|tojson
[missing]|tojson
s|safe
d.get('b') ~ d.get('zz') ~ d.get('zz', 3)
d.keys()|list
d.values()|list
d.items()|list
s.upper() ~ s.lower() ~ s.title() ~ s.capitalize()
s.startswith('Hell') ~ s.endswith('ld') ~ s.startswith(('x', 'H'))
s.startswith(1)
s.split(', ')
s.split()
w.split()
'a,b,c'.split(',', 1)
'a,b,c'.rsplit(',', 1)
',a,'.split(',')
'a  b'.split(' ')
'a b c'.split(none, 1)
'a'.split('')
s.partition(', ')
s.rpartition('x')
'a\nb\r\nc\n'.splitlines()
'a\nb'.splitlines(true)
s.find('o') ~ s.rfind('o') ~ s.find('z') ~ s.index('W') ~ u.find('日')
s.index('z')
s.count('l') ~ s.count('') ~ u.count('é')
', '.join(ls)
', '.join(l)
'prefix-x'.removeprefix('prefix-') ~ 'x.txt'.removesuffix('.txt')
'12'.isdigit() ~ 'a1'.isalnum() ~ 'ab'.isalpha() ~ ' '.isspace() ~ ''.isdigit() ~ 'é'.isalpha()
'AB'.isupper() ~ 'ab'.islower() ~ 'aB'.islower()
l.index(1) ~ l.count(2)
l.append(4)
d.update({'x': 1})
d.pop('b')
s.nothing()
range(5)|list
range(2, 8, 3)|list
range(5, 0, -2)|list
range(0)|list
range(3)|join(',')
dict(a=1, b=2)
dict({'x': 1}, y=2)
namespace(a=1).a
namespace(a=1).b
strftime_now('%d %b %Y, %H:%M, %A %%')
raise_exception('no')
"a" 'b' "c"
'\x41\u00e9\U0001F44D\n\t\\\'\"\101\d'
1_000 + 0x1F + 0b101 + 0o17
1.5e3 + 2E-2
1 // 0
1 % 0
1 / 0
'a' + 1
1 + 'a'
'a' - 'b'
[] + ()
-'a'
none + 1
missing + 1
1 + missing
missing ~ 'x'
s.0
people[0].name[0]
people[-1]['boss']['name']
(people|first).name
(s if yes else e)|upper
s|upper|lower|title|length
not n == 7
not n in l
n == 7 and not no or missing.x
(n, s)[1]
[n, s][0]
{'a': {'b': 1}}.a.b
{'a': 1}['a']
'%s' is string
true is boolean and True and not False and None is none
loop is defined
caller is defined
"""

STATEMENTS = [
    "{% for x in l %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }} {% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }}{{ loop.previtem is defined }}{{ loop.nextitem is defined }} {% endfor %}",
    "{% for x in l %}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 1) }}{% endfor %}",
    "{% for x in l if x > 1 %}{{ x }}/{{ loop.length }} {% else %}none{% endfor %}",
    "{% for x in l if x > 9 %}{{ x }}{% else %}none {{ loop is defined }}{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k in d %}{{ k }}{% endfor %}{% for c in u %}{{ c }}.{% endfor %}",
    "{% for (a, b) in [(1, 2), [3, 4]] %}{{ a }}{{ b }}{% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}",
    "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for x in 5 %}{% endfor %}", "{% for x in none %}{% endfor %}", "{% for x in missing %}x{% else %}empty{% endfor %}",
    "{% for x in 1, 2, 3 %}{{ x }}{% endfor %}", "{% for x in range(10) %}{% if x == 5 %}{% break %}{% elif x % 2 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in l %}{% for y in ls %}{% if y == 'A' %}{% continue %}{% endif %}{{ loop.index }}{{ x }}{{ y }}{% endfor %}{{ loop.index }} {% endfor %}",
    "{% set x = 1 %}{% for y in l %}{% set x = x + y %}{{ x }}{% endfor %}{{ x }}",
    "{% set ns = namespace(x=1) %}{% for y in l %}{% set ns.x = ns.x + y %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns.b }}{% set ns.c = [1] %}{{ ns.c }}",
    "{% set d.x = 1 %}{{ d.x }}", "{% set missing.x = 1 %}",
    "{% if yes %}{% set x = 5 %}{% endif %}{{ x }}", "{% if no %}{% set x = 5 %}{% endif %}{{ x }}|",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a, b = l %}", "{% set t = 1, 2 %}{{ t }}", "{% set a = b = 1 %}",
    "{% set x %}a {{ n }} b{% endset %}{{ x }}{{ x|length }}", "{% set x | upper | replace('A', 'x') %}a{{ s }}{% endset %}{{ x }}",
    "{% filter upper %}a{{ s }}{% endfilter %}", "{% filter trim | indent(2) %} a\nb {% endfilter %}", "{% filter replace('a', 'b') %}aaa{% endfilter %}",
    "{% with %}{% set x = 1 %}{{ x }}{% endwith %}{{ x }}", "{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{% set a = 1 %}{% with a = 2, b = a %}{{ a }}{{ b }}{% endwith %}",
    "{% macro m(a, b=2, c='x') %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(1, c=5) }}{{ m(a=0, b=m(1)) }}{{ m() }}",
    "{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}{{ m(1) }}{{ m(none) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 'x', k=2) }}{{ m(*l, **dict(z=1)) }}",
    "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}",
    "{% macro f(n) %}{{ 1 if n < 2 else n * (f(n - 1) | int) }}{% endmacro %}{{ f(10) }}",
    "{% set x = 1 %}{% macro m() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ m() }}",
    "{% macro m() %}{{ later }}{% endmacro %}{% set later = 3 %}{{ m() }}",
    "{% macro m() %}{% set x = 9 %}{{ x }}{% endmacro %}{{ m() }}{{ x }}",
    "{% for x in l %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}",
    "{% macro m(t) %}<{{ t }}>{{ caller() }}</{{ t }}>{% endmacro %}{% call m('b') %}bold {{ n }}{% endcall %}",
    "{% macro m() %}{% for x in l %}{{ caller(x, y=2) }}{% endfor %}{% endmacro %}{% call(x, y) m() %}({{ x }}{{ y }}){% endcall %}",
    "{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}", "{% call n() %}{% endcall %}",
    "{% generation %}a{{ n }}{% set inner = 1 %}{% endgeneration %}{{ inner }}", "a{%- generation -%} b {%- endgeneration -%} c",
    "{% raw %}{{ n }} {% if %} {# x #}{% endraw %}", "a {%- raw -%} b {{ x }} {%- endraw -%} c", "{% raw %}\n x\n  {% endraw %}\ny", "{% raw -%}\n x {%+ endraw +%}\ny",
    "a{# comment #}b", "a {#- comment -#} b", "a\n  {# c #}\nb", "{#\n{{ n }}\n#}x", "{# a #}\n{# b #}\nx", "{#-#}x", "{# {% raw %} #}x",
    "x\n{% if yes %}\ny\n{% endif %}\nz\n", "  {% if yes %}  y  {% endif %}  \n", "a\n   {%+ if yes %}b{% endif %}\n", "a\n   {%- if yes -%}   b   {%- endif -%}   c",
    "a {% if yes +%}\nb{% endif %}", "{{ n }}\n{{ n }}", "{{ n -}}\n\n  x", "x  \n {{- n }}", "{{- n -}} \n {{- n -}}", "\n\n{{ n }}\n\n", "{% set x = 1 %}\n\n  {% set y = 2 %}\n{{ x }}{{ y }}\n",
    "a\r\n{% if yes %}\r\nb\r\n{% endif %}\r\nc\rd\r\n", "  {{ n }}", "\t{% if yes %}\tx{% endif %}\t\n\t{% if yes %}y{% endif %}",
    "x {% if yes %}\n  {% if yes %}\n    y\n  {% endif %}\n{% endif %}\n z", "{%if yes%}x{%endif%}{{n}}{{-n-}}", "{% if yes %}\u00a0\n\u2003{%- endif %}x",
    "a\n\u3000{% if yes %}b{% endif %}", "a\n  b {% if yes %}c{% endif %}", "{% if yes %}{% endif %}\n\n{% if yes %}{% endif %}\nx",
    "{% if no %}a{% elif n == 7 %}b{% else %}c{% endif %}", "{% if no %}a{% elif no %}b{% else %}c{% endif %}", "{% if (n) %}x{% endif %}", "{% if n, 1 %}x{% endif %}",
    "{{ n, s }}", "{{ (n) }}", "{{ n if yes }}{{ n if no }}", "{{ 'a' 'b' ~ 'c' }}", "{{ '}}' }}{{ \"%}\" }}{{ '{{' }}", "{{ {'a': {'b': 1}} }}", "{{ {'a': 1}['a'] }}",
    "{{ }}", "{{ n", "{% if yes %}", "{% endif %}", "{% for x in l %}", "{% unknown %}", "{{ n | unknown }}", "{{ n is unknown }}", "{{ 1 + }}", "{{ (1 }}", "{{ [1 }}", "{{ a b }}",
    "{% if %}x{% endif %}", "{% set 1 = 2 %}", "{{ 'abc }}", "{# x", "{% raw %}x", "{{ n }} }} %} #}", "{ { n } }", "{{ n }}{", "{", "{{", "{%", "{%- -%}", "{{ ' }}", "{{ \"\\", "}}",
    "{% break %}", "{% for x in l %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}", "{% else %}", "{% for x in l %}{% else %}{% else %}{% endfor %}",
    "{{ m(1 }}", "{{ f(a=1, 2) }}", "{{ f(**d, *l) }}", "{{ n is is string }}", "{{ n is string is true }}", "{{ not }}", "{{ n ! }}", "{{ n $ 1 }}", "{{ 1.}}", "{{ .5 }}", "{{ 1__0 }}", "{{ 012 }}", "{{ n.5 }}",
    "{{ loop }}", "{{ namespace() is mapping }}", "{{ [1, 2][:] }}{{ 'abc'[1:] }}{{ 'abc'[:-1] }}{{ 'abc'[::] }}", "{{ l[1:2, 3] }}", "{{ l[x:=1] }}",
    "{{ 'a' if n else }}", "{{ n.__class__ }}", "{{ n['__class__'] }}", "{{ ''.__class__.__mro__ }}", "{{ d.__len__ }}", "{{ l.__class__() }}",
    "{%- set x = namespace(found=false) -%}\n{%- for m in people -%}\n{%- if m.age == 25 -%}{%- set x.found = true -%}{%- endif -%}\n{%- endfor -%}\n{{ 'yes' if x.found else 'no' }}",
    "{% for p in people %}{{ p.name }}{{ ': ' + p.boss.name if p.boss is defined else '' }}{{ '\\n' if not loop.last }}{% endfor %}",
    "{% for group in [people, []] %}{% for p in group %}{{ p.name }}{% else %}(empty){% endfor %};{% endfor %}",
    "{%- for p in people | sort(attribute='name') | list -%}{{ loop.index ~ '. ' ~ p.name }}\n{% endfor -%}",
    "{{ people | map(attribute='name') | map('lower') | select('ne', 'bob') | join(' & ') }}",
    "{{- s if s is defined and s is not none else 'x' -}}", "{% set s = s|trim %}{{ s }}", "{% set messages = [1] + l %}{{ messages }}", "{{ l | tojson | replace('3', '4') }}",
    "{{ ('a' ~ n) * 2 }}{{ 'ab' * 0 }}{{ 'ab' * -1 }}{{ 2 * 'x' }}", "{{ 'x' if d.get('zz') else d.get('b') }}", "{{ d['a'][1]['x'] is none }}",
    "{% for i in range(3) %}{% for j in range(3) %}{{ loop.index if i == j else '.' }}{% endfor %}\n{% endfor %}", "{% set outer = loop %}{{ outer }}",
    "{% for x in [1, 2] %}{% set outer = loop %}{% for y in [1, 2] %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}",
    "{{ '<&>' }}", "{{ 'new\nline' }}",
]


def groups():
    expressions = EXPRESSIONS.strip("\n").split("\n")
    yield "expressions", [("{{ " + text + " }}", VARIABLES) for text in expressions]
    yield "expressions in if", [("{% if " + text + " %}yes{% else %}no{% endif %}", VARIABLES) for text in expressions]
    yield "statements", [(text, VARIABLES) for text in STATEMENTS]
