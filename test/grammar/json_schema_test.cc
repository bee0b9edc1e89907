#include "grammar/json_schema.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "base/json.h"
#include "grammar/matching.h"
#include "testing/shared_data.h"

namespace diptych::grammar {
namespace {

struct SchemaCase {
  const char* schema;
  std::vector<std::string> of_it, not_of_it;
};

TEST(JsonSchema, Matches) {
  const SchemaCase cases[] = {
      {R"({"type": "integer"})", {"0", "-7", "123"}, {"", "01", "1.5", "-", "+1"}},
      {R"({"type": "integer", "minimum": 7, "maximum": 1234})",
       {"7", "10", "99", "100", "999", "1000", "1234"},
       {"6", "0", "1235", "07", "-7", "9999"}},
      {R"({"type": "integer", "exclusiveMinimum": -3, "maximum": 2})",
       {"-2", "-1", "0", "2"},
       {"-3", "3", "-20"}},
      {R"({"type": "integer", "minimum": 95})", {"95", "100", "123456"}, {"94", "9"}},
      {R"({"type": "number"})", {"1", "-2.5", "1e3", "0.1E-2"}, {".5", "1.", "NaN", "1e999"}},
      {R"({"type": "number", "minimum": 0, "maximum": 1})",
       {"0", "0.5", "0.999", "1"},
       {"1.5", "-0.1", "2", "1e-1"}},
      {R"({"type": "number", "exclusiveMinimum": 0})", {"0.5", "3", "2.25"}, {"0", "0.0", "-1"}},
      {R"({"type": "number", "minimum": -2, "maximum": -1})",
       {"-1", "-1.5", "-2"},
       {"1", "-2.5", "-0.5"}},
      {R"({"type": ["boolean", "null"]})", {"true", "false", "null"}, {"True", "0"}},
      {R"({"type": "string"})",
       {R"("")", R"("a\n\u00e9\"")", "\"\xC3\xA9\""},
       {"a", "\"\n\"", R"("\q")", R"("\ud800")", "\"\x80\"", "\"a"}},
      {R"({"type": "string", "minLength": 1, "maxLength": 2})",
       {R"("a")", R"("\n\n")", "\"\xE2\x82\xAC\xE2\x82\xAC\""},
       {R"("")", R"("abc")"}},
      {R"({"type": "string", "pattern": "^[A-Z]{2}-\\d+$"})",
       {R"("AB-1")"},
       {R"("A-1")", R"("AB-")", R"("xAB-1")"}},
      {R"({"type": "string", "pattern": "a|\\."})", {R"("xax")", R"(".")"}, {R"("b")"}},
      {R"({"type": "string", "format": "date"})",
       {R"("2024-02-28")", R"("2020-12-31")", R"("2021-04-30")", R"("2024-02-29")",
        R"("2000-02-29")"},
       {R"("2024-13-01")", R"("2021-04-31")", R"("2023-02-29")", R"("1900-02-29")",
        R"("2024-02-30")", R"("2024-01-00")", R"("x")"}},
      {R"({"type": "string", "format": "date-time"})",
       {R"("2030-10-31T23:59:59Z")"},
       {R"("2030-10-32T23:59:59Z")"}},
      {R"({"type": "string", "format": "uuid"})",
       {R"("123e4567-e89b-12d3-a456-426614174000")"},
       {R"("123")"}},
      {R"({"enum": ["a", 1, null, {"x": [1]}]})",
       {R"("a")", "1", "null", R"({"x":[1]})"},
       {"2", R"("b")"}},
      {R"({"const": "x\"y"})", {R"("x\"y")"}, {R"("xy")"}},
      {R"({"enum": ["a", 1], "type": "string"})", {R"("a")"}, {"1"}},
      {R"({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3})",
       {"[1]", "[1, 2,3]", "[ 1 ]", "[\n  1,\n  2\n]"},
       {"[]", "[1,2,3,4]", "[1,]", "[\"a\"]"}},
      {R"({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "null"}], "items": false})",
       {"[]", "[1]", "[1,null]"},
       {"[null]", "[1,null,2]"}},
      {R"({"type": "array", "prefixItems": [{"type": "integer"}], "minItems": 2})",
       {"[1,\"x\"]", "[1,2,3]"},
       {"[]", "[1]"}},
      {R"({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "null"}, "c": {}},
           "required": ["b"]})",
       {R"({"b":null})", R"({"a": 1, "b": null})", R"({"a":1,"b":null,"c":[{}]})",
        "{\n  \"b\": null\n}"},
       {"{}", R"({"a":1})", R"({"b":null,"a":1})", R"({"b":null,"d":1})", R"({"b":null,})"}},
      {R"({"type": "object", "properties": {"a": {}}, "additionalProperties": {"type": "integer"}})",
       {"{}", R"({"a":"x"})", R"({"a":"x","b":1,"aa":2})", R"({"b":1})", R"({"":1})"},
       {R"({"b":"x"})", R"({"b":1,"a":2})", R"({"\u0061":1})"}},
      {R"({"type": "object"})", {"{}", R"({"x": {"y": []}})"}, {"[]", "{x}"}},
      {R"({"type": "object", "properties": {"ab": {}, "abc": {}, "abd": {}, "b": {}, "": {}},
           "required": ["", "ab"], "additionalProperties": {"type": "null"}})",
       {R"({"ab":1,"":2})", R"({"ab":1,"":2,"a":null})", R"({"ab":1,"":2,"abce":null,"bb":null})",
        R"({"ab":1,"abc":2,"":3,"abx":null})"},
       {R"({"ab":1,"":2,"a":1})", R"({"ab":1,"":2,"abce":1})", R"({"abx":null})",
        R"({"ab":1,"":2,"ab":null})", R"({"ab":1,"":2,"abd":null,"ab":null})"}},
      {R"({"type": "object", "additionalProperties": false})", {"{}"}, {R"({"a":1})"}},
      {R"({"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 1}]})",
       {"5", R"("x")"},
       {R"("xy")"}},
      {R"({"oneOf": [{"type": "integer"}, {"type": "string"}]})", {"5", R"("x")"}, {"null"}},
      {R"({"$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}},
           "additionalProperties": false}}, "$ref": "#/$defs/node"})",
       {"{}", R"({"next": {"next": {}}})"},
       {R"({"next": 1})"}},
      {R"({"type": "object", "properties": {"child": {"$ref": "#"}}})",
       {R"({"child":{"child":{}}})"},
       {R"({"child":1})"}},
      {"true", {"1", "[{}]", R"("x")"}, {"x"}},
      {"{}", {"1", "null"}, {""}},
  };
  for (const SchemaCase& row : cases) {
    const auto automaton = json_schema(parse_json(row.schema).value());
    ASSERT_TRUE(automaton) << row.schema << ": " << automaton.error().to_string();
    for (const std::string& text : row.of_it)
      EXPECT_TRUE(matches(*automaton, text)) << row.schema << ": " << text;
    for (const std::string& text : row.not_of_it)
      EXPECT_FALSE(matches(*automaton, text)) << row.schema << ": " << text;
  }
}

TEST(JsonSchema, IntegersBetweenBoundsAreExact) {
  for (const auto& [low, high] :
       std::vector<std::pair<int, int>>{{0, 0}, {-13, 27}, {8, 112}, {-205, -99}, {19, 20}}) {
    const Json schema = {{"type", "integer"}, {"minimum", low}, {"maximum", high}};
    const auto automaton = json_schema(schema).value();
    for (int n = -300; n <= 300; ++n) {
      EXPECT_EQ(matches(automaton, std::to_string(n)), n >= low && n <= high)
          << n << " in " << low << " " << high;
    }
  }
}

// As readers compare: what is written becomes the nearest double.
TEST(JsonSchema, NumbersBetweenBoundsAreExact) {
  struct Bounds {
    double low, high;
    bool exclusive = false;
  };
  for (const Bounds& bounds : std::vector<Bounds>{{0.5, 0.75},
                                                  {0.5, 0.75, true},
                                                  {1.2, 1.8},
                                                  {-1.8, -1.2},
                                                  {-1.8, -1.2, true},
                                                  {-0.25, 1.5},
                                                  {0, 1, true},
                                                  {-1, 0, true},
                                                  {2.5, 3},
                                                  {2.98, 12.004},
                                                  {0.1, 0.1},
                                                  {0.1 + 0.2, 0.7, true}}) {
    const auto& [low, high, exclusive] = bounds;
    const Json schema = {{"type", "number"},
                         {exclusive ? "exclusiveMinimum" : "minimum", low},
                         {exclusive ? "exclusiveMaximum" : "maximum", high}};
    const auto automaton = json_schema(schema);
    ASSERT_TRUE(automaton) << schema << ": " << automaton.error().to_string();
    const auto check = [&](const std::string& text) {
      const double read = std::strtod(text.c_str(), nullptr);
      const bool inside = exclusive ? low < read && read < high : low <= read && read <= high;
      EXPECT_EQ(matches(*automaton, text), inside) << text << " in " << schema;
    };
    for (int n = -2500; n <= 13000; ++n) {
      const std::string text = fmt::format("{}", n / 1000.0);
      check(text);
      check(text + (text.find('.') == std::string::npos ? ".000" : "000"));
    }
    for (const double bound : {low, high}) {
      for (const double step : {-1e-14, -1e-15, 1e-15, 1e-14}) {
        if (std::abs(bound) < 1) check(fmt::format("{:.15f}", bound + step));
      }
    }
  }
}

TEST(JsonSchema, BoundsOutOfReachAreRefused) {
  for (const char* schema :
       {R"({"type": "integer", "minimum": 1000000000000000})",
        R"({"type": "integer", "minimum": 9007199254740993, "maximum": 9007199254740995})",
        R"({"type": "integer", "maximum": -1e15})", R"({"type": "number", "minimum": 1e20})",
        R"({"type": "number", "maximum": -1e16})", R"({"type": "number", "minimum": 1e300})",
        R"({"type": "number", "exclusiveMinimum": 1e-17, "maximum": 2e-16})",
        R"({"type": "number", "exclusiveMinimum": 999999999999999})"}) {
    const auto automaton = json_schema(parse_json(schema).value());
    ASSERT_FALSE(automaton) << schema;
    EXPECT_THAT(automaton.error().to_string(), ::testing::HasSubstr("no number of at most 15"));
  }
  const auto all = json_schema(parse_json(R"({"minimum": -1e300, "maximum": 1e300,
      "type": "number"})")
                                   .value());
  ASSERT_TRUE(all);
  EXPECT_TRUE(matches(*all, "-999999999999999"));
  EXPECT_TRUE(matches(*all, "123456.789"));
}

TEST(JsonSchema, UnknownKeywordsAreRefusedByName) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"properties": {"a": {"type": "array", "uniqueItems": true}}})",
       "#/properties/a: the keyword \"uniqueItems\""},
      {R"({"not": {}})", "#: the keyword \"not\""},
      {R"({"type": "number", "multipleOf": 2})", "\"multipleOf\""},
      {R"({"patternProperties": {}})", "\"patternProperties\""},
      {R"({"type": "string", "format": "email"})", "\"format\" \"email\""},
      {R"x({"type": "string", "pattern": "(?=a)"})x", "what stands at 1"},
      {R"({"type": "string", "pattern": "a", "maxLength": 2})", "\"pattern\" beside lengths"},
      {R"({"anyOf": [{}], "type": "string"})", "\"type\" beside \"anyOf\""},
      {R"({"allOf": [{}, {}]})", "allOf"},
      {R"({"oneOf": [{"type": "integer"}, {"type": "number"}]})", "oneOf"},
      {R"({"$ref": "http://x"})", "only references within"},
      {R"({"$ref": "#/$defs/a"})", "leads nowhere"},
      {R"({"$ref": "#"})", "left recursion"},
      {R"({"type": "integer", "minimum": 5, "maximum": 4})", "no number"},
      {R"({"type": "text"})", "expected the name of a type"},
      {R"(false)", "nothing validates"},
      {R"(7)", "expected a schema"},
      {R"({"type": "string", "maxLength": 99999999})", "of more than"},
  };
  for (const auto& [schema, message] : cases) {
    const auto automaton = json_schema(parse_json(schema).value());
    ASSERT_FALSE(automaton) << schema;
    EXPECT_THAT(automaton.error().to_string(), ::testing::HasSubstr(message)) << schema;
  }
}

TEST(JsonSchema, EnclosedValuesAreCalls) {
  const Json schema =
      parse_json(
          R"({"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]})")
          .value();
  const auto automaton = one_of_enclosed({{"<a>", &schema, "</a>"}, {"<b>", nullptr, "</b>"}});
  ASSERT_OK(automaton);
  EXPECT_TRUE(matches(*automaton, "<a>{\"x\":1}</a>"));
  EXPECT_TRUE(matches(*automaton, "<b>{}</b>"));
  EXPECT_FALSE(matches(*automaton, "<a>{}</a>"));
}

}  // namespace
}  // namespace diptych::grammar
