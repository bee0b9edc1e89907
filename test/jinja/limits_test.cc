// Time and memory of a template are bounded: everything that looks at values counts what it looks
// at. Each filter, test, method, function and operator, by the tables' own names, is tried on large
// values in a loop without end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <ctime>

#include "base/json.h"
#include "jinja/builtins.h"
#include "jinja/template.h"

namespace diptych::jinja {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

// A two-hundredth of what chat templates get. All of it may take two seconds; here there is room
// for slow machines and sanitizers, and none for work that is not counted.
constexpr uint64_t kSteps = 50'000;
constexpr double kSeconds = 0.2;

double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

uint64_t peak_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss);
}

// Large values of every kind; `twin` of each equals it and is another object.
Json large_values() {
  const std::string text = std::string(1 << 17, 'a') + "b";
  std::string words, mixed;
  for (int i = 0; i < (1 << 15); ++i) words += "a A\n";
  for (int i = 0; i < (1 << 14); ++i) mixed += "\u00e9\u03a3 ";
  Json numbers = Json::array(), strings = Json::array(), nested = Json::array(),
       dict = Json::object();
  for (int i = 0; i < 20'000; ++i) numbers.push_back(i % 977);
  for (int i = 0; i < 2'000; ++i)
    strings.push_back("item number " + std::to_string(i * 7 % 20'011));
  for (int i = 0; i < 500; ++i) nested.push_back({{"k", {i, "v", {1, 2}}}});
  for (int i = 0; i < 4'000; ++i) {
    static_cast<std::vector<Json::object_t::value_type>&>(dict.get_ref<Json::object_t&>())
        .emplace_back("key " + std::to_string(i), i);
  }
  const Json same = Json::array({text, text});
  Json values = {{"text", text},       {"words", words},   {"mixed", mixed}, {"numbers", numbers},
                 {"strings", strings}, {"nested", nested}, {"dict", dict},   {"same", same}};
  Json twins = Json::object();
  for (const auto& [name, value] : values.items()) twins[name + "_twin"] = value;
  values.update(twins);
  return values;
}

const std::vector<std::string> kNames = {"text",    "words",  "mixed", "numbers",
                                         "strings", "nested", "dict",  "same"};

// The expression, again and again until something stops it.
void expect_bounded(const std::string& expression, const Json& values) {
  const std::string source =
      "{% for i in range(1000000) %}{% for j in range(1000000) %}{% set r = " + expression +
      " %}{% endfor %}{% endfor %}";
  const auto parsed = Template::parse(source);
  if (!parsed) return;  // not the way this one is written
  Json used = Json::object();
  for (const auto& [name, value] : values.items()) {
    if (expression.find(name) != expression.npos) used[name] = value;
  }
  const double start = processor_seconds();
  const auto text = parsed->render(
      used, {.steps = kSteps, .output_bytes = 16 << 20, .memory_bytes = size_t{32} << 20});
  const double seconds = processor_seconds() - start;
  EXPECT_LT(seconds, kSeconds) << expression;
  ASSERT_FALSE(text) << expression;
}

// What a filter, test or method may be given besides what it works on.
std::vector<std::string> arguments_for(const std::string& name) {
  return {"",
          "(" + name + "_twin)",
          "('a')",
          "('a', " + name + ")",
          "(" + name + ", " + name + "_twin)",
          "(attribute='k.0')"};
}

class LimitsOf : public ::testing::TestWithParam<std::string> {
 protected:
  static const Json& values() {
    static const Json all = large_values();
    return all;
  }
  std::string with_twin(const std::string& op) const { return name() + op + name() + "_twin"; }
  const std::string& name() const { return GetParam(); }
};

TEST_P(LimitsOf, EveryFilter) {
  for (const BuiltinTable table : {filter_table(), sequence_filter_table()}) {
    for (const Builtin& filter : table) {
      for (const std::string& arguments : arguments_for(name())) {
        expect_bounded(fmt::format("{} | {}{}", name(), filter.name, arguments), values());
      }
      expect_bounded(fmt::format("{} | map('{}')", name(), filter.name), values());
      expect_bounded(fmt::format("{} | map('{}', {}) | list", name(), filter.name, name()),
                     values());
    }
  }
}

TEST_P(LimitsOf, EveryTest) {
  for (const Builtin& test : test_table()) {
    for (const std::string& arguments : arguments_for(name())) {
      expect_bounded(fmt::format("{} is {}{}", name(), test.name, arguments), values());
    }
    expect_bounded(fmt::format("{} | select('{}', {}_twin) | list", name(), test.name, name()),
                   values());
    expect_bounded(fmt::format("{} | reject('{}') | list", name(), test.name), values());
  }
}

TEST_P(LimitsOf, EveryMethodAndFunction) {
  for (const Kind kind : {Kind::String, Kind::Dict, Kind::List, Kind::Loop}) {
    for (const Builtin& method : method_table(kind)) {
      const std::string self = kind == Kind::Loop ? "loop" : name();
      for (const std::string& arguments : arguments_for(name())) {
        expect_bounded(fmt::format("{}.{}{}", self, method.name, arguments), values());
      }
      expect_bounded(fmt::format("'a'.{}({})", method.name, name()), values());
    }
  }
  for (const Builtin& function : function_table()) {
    for (const std::string& arguments : arguments_for(name())) {
      expect_bounded(fmt::format("{}{}", function.name, arguments), values());
    }
    expect_bounded(fmt::format("{}(*{})", function.name, name()), values());
    expect_bounded(fmt::format("{}(**{})", function.name, name()), values());
  }
}

TEST_P(LimitsOf, EveryOperator) {
  for (const std::string_view op : {"+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<",
                                    "<=", ">", ">=", "in", "not in", "and", "or"}) {
    expect_bounded(with_twin(fmt::format(" {} ", op)), values());
    expect_bounded(fmt::format("{} {} 1000", name(), op), values());
    expect_bounded(fmt::format("'a' {} {}", op, name()), values());
    expect_bounded(fmt::format("[{}] {} [{}_twin]", name(), op, name()), values());
  }
  for (const std::string_view suffix :
       {"[1]", "[-1]", "['a']", "[1:]", "[::-1]", "[::7]", ".missing", "[missing]", "[true]"}) {
    expect_bounded(name() + std::string(suffix), values());
  }
  expect_bounded("[" + name() + "][" + name() + "]", values());
  expect_bounded("{'a': 1}[" + name() + "]", values());
  expect_bounded("{" + name() + ": 1, 'a': " + name() + "}", values());
  expect_bounded("not " + name(), values());
  expect_bounded(name() + " if " + name() + " else 1", values());
}

INSTANTIATE_TEST_SUITE_P(Large, LimitsOf, ::testing::ValuesIn(kNames),
                         [](const auto& test) { return test.param; });

// Statements and whole programs.
std::string render_in_time(const std::string& source, const Json& variables = Json::object()) {
  const auto parsed = Template::parse(source);
  if (!parsed) return parsed.error().to_string();
  const double start = processor_seconds();
  const auto text = parsed->render(variables);
  EXPECT_LT(processor_seconds() - start, 6.0) << source.substr(0, 200);
  return text ? *text : text.error().to_string();
}

const auto kStopped = AnyOf(HasSubstr("steps"), HasSubstr("MiB"));

TEST(TemplateLimits, StatementsThatRunForever) {
  const std::string forever = "{% for i in range(1000000) %}{% for j in range(1000000) %}";
  const std::string end = "{% endfor %}{% endfor %}";
  std::string variables;
  for (int i = 0; i < 20'000; ++i) variables += "{% set v" + std::to_string(i) + " = 1 %}";
  const std::string long_name(1 << 20, 'n');
  for (const std::string& source : std::vector<std::string>{
           forever + end,
           forever + "x" + end,
           forever + "{{ i }}" + end,
           variables + forever + "{% set w = v19999 %}" + end,
           forever + "{% set w = " + long_name + " %}" + end,
           forever + "{% set w = missing %}" + end,
           forever + "{% set w = 1e308 % 1e-308 %}" + end,
           forever + "{% set w = strftime_now('%c' * 499) %}" + end,
           forever + "{% set w = 1e308 | round(15) %}" + end,
           "{% macro f(n) %}{{ f(n) }}{% endmacro %}" + forever + "{{ f(1) }}" + end,
           "{% macro f(n) %}{% set x = 'a' * 10000000 %}{{ x }}{{ f(n) }}{% endmacro %}{{ f(1) }}",
           "{% macro f(n) %}{{ 'a' * 10000000 ~ f(n) }}{% endmacro %}{{ f(1) }}",
           "{% macro f(n) %}{% for x in range(1000000) if f(n) %}{% endfor %}{% endmacro %}{{ f(1) "
           "}}",
           "{% macro f() %}{{ f(*range(1000000)) }}{{ varargs }}{% endmacro %}{{ f() }}",
           "{% set n = namespace(x='a') %}" + forever + "{% set n.x = n.x + n.x %}" + end,
           "{% set n = namespace(x=[1]) %}" + forever + "{% set n.x = [n.x, n.x] %}" + end +
               "{{ n.x }}",
           "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% "
           "endfor %}{{ n.x == n.x | list }}{{ n.x | tojson }}",
           "{% set x = range(200000) | list %}" + forever + "{% if x == x | list %}{% endif %}" +
               end,
           "{% set x = 'A' * 8000000 %}" + forever + "{% if x is upper %}{% endif %}" + end,
       }) {
    EXPECT_THAT(render_in_time(source), AnyOf(kStopped, HasSubstr("nest deeper")))
        << source.substr(0, 300);
  }
}

TEST(TemplateLimits, BuiltinsThatCallBuiltinsNestOnlySoDeep) {
  std::string names, value = "1";
  for (int i = 0; i < 2'000; ++i) names += "'map', ";
  const std::string source =
      "{% set n = namespace(x=[1]) %}{% for i in range(5000) %}{% set n.x = "
      "[n.x] %}{% endfor %}{{ n.x | map(" +
      names + "'upper') | list }}";
  EXPECT_THAT(render_in_time(source), HasSubstr("nest deeper"));
}

TEST(TemplateLimits, ReadingIsLinear) {
  const auto seconds = [](const std::string& source) {
    const double start = processor_seconds();
    (void)Template::parse(source);
    return processor_seconds() - start;
  };
  const auto repeat = [](std::string_view part, size_t count) {
    std::string text;
    for (size_t i = 0; i < count; ++i) text += part;
    return text;
  };
  constexpr size_t kMost = 4 << 20;
  for (const std::string_view part : {"{% set x=1 %}",
                                      "{%- set x=1 -%}",
                                      "{{ 1 }}",
                                      "{# c #}",
                                      "{{- 1 -}} ",
                                      "{% raw %}{% endraw %}",
                                      " ",
                                      "{",
                                      "{%",
                                      "{#",
                                      "\n{% set x=1 %}",
                                      "{% if x %}",
                                      "{{ '",
                                      "(",
                                      "[",
                                      "-",
                                      "not ",
                                      "a.",
                                      "a|upper|",
                                      "1 if ",
                                      "1,",
                                      "{1:",
                                      "a~",
                                      "a is ",
                                      "\\",
                                      "\r",
                                      "\xC3\xA9",
                                      "{% elif x %}",
                                      "{% set x %}",
                                      "{% macro m() %}"}) {
    for (const std::string_view open :
         {"", "{{ ", "{% raw %}", "{% set x = ", "{{ [", "{% if x %}"}) {
      const std::string source = std::string(open) + repeat(part, kMost / part.size() / 2);
      EXPECT_LT(seconds(source), 4.0) << open << part;
    }
  }
  EXPECT_LT(peak_kib(), uint64_t{4} << 20);
}

}  // namespace
}  // namespace diptych::jinja
