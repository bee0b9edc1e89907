// What templates can do and what stops them. That the text equals Jinja2's is shown by
// test/conformance/text_templates.py.
#include "jinja/template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "jinja/chat_template.h"
#include "testing/shared_data.h"

namespace diptych::jinja {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// The output, or the error.
std::string render(std::string_view source, const Json& variables = Json::object(),
                   const Limits& limits = {}) {
  const auto parsed = Template::parse(source);
  if (!parsed) return parsed.error().to_string();
  std::tm now = {};
  now.tm_year = 124;  // 26 July 2024
  now.tm_mon = 6;
  now.tm_mday = 26;
  const auto text = parsed->render(variables, limits, &now);
  return text ? *text : text.error().to_string();
}

TEST(Template, ControlsWhiteSpaceAsChatTemplatesExpect) {
  EXPECT_EQ(render("a\n{% if true %}\nb\n{% endif %}\nc\n"), "a\nb\nc");
  EXPECT_EQ(render("a\n   {%- if true -%}   b   {%- endif -%}   c"), "abc");
  EXPECT_EQ(render("a\n  {% if true %}b{% endif %}"), "a\nb");
  EXPECT_EQ(render("a\n  {%+ if true %}b{% endif %}"), "a\n  b");
  EXPECT_EQ(render("a {{ 1 }}\n{{- 2 -}} \n 3"), "a 123");
  EXPECT_EQ(render("a{# no #}b\n{# no #}\nc"), "ab\nc");
  EXPECT_EQ(render("{% raw %}{{ x }}{% endraw %}\r\n"), "{{ x }}");
}

TEST(Template, LoopsAndScopes) {
  EXPECT_EQ(render("{% for x in [1, 2, 3] if x != 2 %}{{ loop.index }}:{{ x }}{{ ',' if not "
                   "loop.last }}{% else %}none{% endfor %}"),
            "1:1,2:3");
  EXPECT_EQ(render("{% set x = 0 %}{% for y in [1, 2] %}{% set x = x + y %}{% endfor %}{{ x }}"),
            "0");
  EXPECT_EQ(render("{% set n = namespace(x=0) %}{% for y in [1, 2] %}{% set n.x = n.x + y %}{% "
                   "endfor %}{{ n.x }}"),
            "3");
  EXPECT_EQ(render("{% macro f(a, b=2) %}[{{ a }}{{ b }}]{% endmacro %}{{ f(1) ~ f(3, b=4) }}"),
            "[12][34]");
  EXPECT_EQ(render("{% for x in range(9) %}{% if x == 2 %}{% continue %}{% elif x == 4 %}{% break "
                   "%}{% endif %}{{ x }}{% endfor %}"),
            "013");
}

TEST(Template, ValuesArePythons) {
  EXPECT_EQ(render("{{ [1, 2.0, 'it\\'s', none, true] }}"), "[1, 2.0, \"it's\", None, True]");
  EXPECT_EQ(render("{{ {'b': 1, 'a': [2]} | tojson }}"), "{\"b\": 1, \"a\": [2]}");
  EXPECT_EQ(render("{{ x | tojson(indent=2) }}", {{"x", {{"a", {1}}}}}),
            "{\n  \"a\": [\n    1\n  ]\n}");
  EXPECT_EQ(render("{{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** -1 }}"), "-4 2 3.5 0.5");
  EXPECT_EQ(render("{{ s[1:] ~ s[::-1] ~ s | length }}", {{"s", "日本é"}}), "本éé本日3");
  EXPECT_EQ(render("{{ strftime_now('%d %b %Y') }}"), "26 Jul 2024");
}

TEST(Template, UndefinedIsEmptyUntilItIsUsed) {
  EXPECT_EQ(render("[{{ missing }}{{ missing is defined }}]"), "[False]");
  EXPECT_EQ(render("\n {{ missing.more }}"), "line 2, column 12: \"missing\" is undefined");
  EXPECT_EQ(render("{{ 1 + missing }}"), "line 1, column 6: \"missing\" is undefined");
}

TEST(Template, RefusesByNameLineAndColumn) {
  EXPECT_EQ(render("a\n{% include 'x' %}"),
            "line 2, column 4: the statement \"include\" is not supported");
  EXPECT_EQ(render("{{ x | frob }}"), "line 1, column 8: the filter \"frob\" is not supported");
  EXPECT_EQ(render("{{ x is frob }}"), "line 1, column 9: the test \"frob\" is not supported");
  EXPECT_EQ(render("{{ 'x'.center(3) }}"),
            "line 1, column 7: the method str.center is not supported");
  EXPECT_EQ(render("{{ [].append(1) }}"),
            "line 1, column 6: the method list.append is not supported");
  EXPECT_EQ(render("{% if x %}"),
            "line 1, column 11: expected \"{% endif %}\", found the end of the template");
  EXPECT_EQ(render("{{ 'x }}"), "line 1, column 4: the string does not end");
  EXPECT_EQ(render("é{{ $ }}"), "line 1, column 5: unexpected character \"$\"");
  EXPECT_EQ(render("{{ raise_exception('no such role') }}"),
            "line 1, column 4: the template refuses: \"no such role\"");
  EXPECT_THAT(render("{% macro f() %}\n{{ 1 // 0 }}{% endmacro %}{{ f() }}"),
              HasSubstr("line 2, column 6: division by zero"));
}

TEST(Template, StopsWhatRunsForEver) {
  const Limits limits{.steps = 100'000, .output_bytes = 10'000, .memory_bytes = 64 << 20};
  const auto run = [&](std::string_view source) { return render(source, Json::object(), limits); };
  EXPECT_THAT(run("{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}"),
              HasSubstr("100000 steps"));
  EXPECT_THAT(run("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), HasSubstr("nest deeper"));
  EXPECT_THAT(run("{% for a in range(9999) %}{{ a }} text{% endfor %}"),
              HasSubstr("writes more than"));
  EXPECT_THAT(run("{{ 'a' * 1000000000000 }}"), HasSubstr("MiB of memory"));
  EXPECT_THAT(run("{{ [0] * 1000000000000 }}"), HasSubstr("MiB of memory"));
  EXPECT_THAT(run("{{ range(100000000) }}"), HasSubstr("range of more than"));
  EXPECT_THAT(
      run("{% set n = namespace(x='ab') %}{% for a in range(60) %}{% set n.x = n.x ~ n.x %}{% "
          "endfor %}"),
      HasSubstr("more than"));
  EXPECT_THAT(
      run("{% set n = namespace(x=[]) %}{% for a in range(60) %}{% set n.x = [n.x, n.x] %}{% "
          "endfor %}{{ n.x | tojson | length }}"),
      HasSubstr("steps"));
  EXPECT_THAT(run("{% set n = namespace(x=[]) %}{% for a in range(500) %}{% set n.x = [n.x] %}{% "
                  "endfor %}{{ n.x }}"),
              HasSubstr("nests deeper"));
  EXPECT_THAT(run("{% set n = namespace() %}{% set n.n = n %}{{ n == n }}"), HasSubstr("True"));
}

TEST(Template, RefusesNestingBeforeItRuns) {
  const auto nested = [](std::string_view open, std::string_view close, int times) {
    std::string text;
    for (int i = 0; i < times; ++i) text += open;
    text += "1";
    for (int i = 0; i < times; ++i) text += close;
    return text;
  };
  EXPECT_THAT(render("{{ " + nested("(", ")", 10000) + " }}"), HasSubstr("nest deeper"));
  EXPECT_THAT(render("{{ " + nested("[", "]", 10000) + " }}"), HasSubstr("nest deeper"));
  EXPECT_THAT(render("{{ " + nested("not ", "", 10000) + " }}"), HasSubstr("nest deeper"));
  EXPECT_THAT(render("{{ " + nested("- ", "", 10000) + " }}"), HasSubstr("nest deeper"));
  EXPECT_THAT(render("{{ " + nested("1 + ", "", 10000) + " }}"), HasSubstr("links"));
  EXPECT_THAT(render("{{ " + nested("1 if 1 else ", "", 10000) + " }}"), HasSubstr("links"));
  EXPECT_THAT(render("{{ 1" + nested("", "|abs", 10000) + " }}"), HasSubstr("links"));
  EXPECT_THAT(render(nested("{% if 1 %}", "{% endif %}", 10000)), HasSubstr("nest deeper"));
  EXPECT_EQ(render("{{ " + nested("(", ")", 50) + " }}"), "1");
}

TEST(ChatTemplate, GivesTheVariablesThatTemplatesExpect) {
  const auto parsed = ChatTemplate::parse(
      "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{{ tools is "
      "none }}{% if "
      "add_generation_prompt %}<assistant>{% endif %}{{ mood }}{{ eos_token is defined }}");
  ASSERT_OK(parsed);
  Chat chat;
  chat.messages = Json::array({{{"role", "user"}, {"content", "hi"}}});
  chat.add_generation_prompt = true;
  chat.bos = "<s>";
  chat.extra["mood"] = "good";
  EXPECT_EQ(parsed->render(chat).value(), "<s><user>hiTrue<assistant>goodFalse");
  EXPECT_THAT(ChatTemplate::parse("{% frob %}").error().to_string(),
              StartsWith("chat template: line 1"));
}

}  // namespace
}  // namespace diptych::jinja
