#include "grammar/json_rules.h"

namespace diptych::grammar {

namespace {

constexpr size_t kMostIndent = 32;  // so that white space ends

size_t add(std::vector<Rule>& rules, const char* name, Expression body) {
  rules.push_back({name, std::move(body)});
  return rules.size() - 1;
}

}  // namespace

Expression digits(size_t least, size_t most) { return repeat(chars({{'0', '9'}}), least, most); }

Expression comma(const JsonRules& json) { return sequence({text(","), rule(json.space)}); }
Expression opened(const JsonRules& json, char bracket) {
  return sequence({text({&bracket, 1}), rule(json.space)});
}
Expression closed(const JsonRules& json, char bracket) {
  return sequence({rule(json.space), text({&bracket, 1})});
}

JsonRules add_json_rules(std::vector<Rule>& rules) {
  JsonRules json;
  json.space =
      add(rules, "space",
          optional(any({text(" "), sequence({text("\n"), repeat(text(" "), 0, kMostIndent)})})));
  // The quote, the backslash and what must be escaped.
  json.plain =
      add(rules, "plain", chars_except({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}, {0x7F, 0x7F}}));
  const Expression hex = chars({{'0', '9'}, {'a', 'f'}, {'A', 'F'}});
  // No surrogates: one without its other half is no text.
  const Expression four_digits =
      any({sequence({chars({{'0', '9'}, {'a', 'c'}, {'A', 'C'}, {'e', 'f'}, {'E', 'F'}}), hex, hex,
                     hex}),
           sequence({chars({{'d', 'd'}, {'D', 'D'}}), chars({{'0', '7'}}), hex, hex})});
  const Expression escape = sequence({text("\\"), any({chars({{'"', '"'},
                                                              {'\\', '\\'},
                                                              {'/', '/'},
                                                              {'b', 'b'},
                                                              {'f', 'f'},
                                                              {'n', 'n'},
                                                              {'r', 'r'},
                                                              {'t', 't'}}),
                                                       sequence({text("u"), four_digits})})});
  json.character = add(rules, "character", any({rule(json.plain), escape}));
  json.string =
      add(rules, "string",
          sequence({text("\""), repeat(rule(json.character), 0, kUnlimited), text("\"")}));
  const Expression whole =
      any({text("0"), sequence({chars({{'1', '9'}}), digits(0, kMostDigits - 1)})});
  json.integer = add(rules, "integer", sequence({optional(text("-")), whole}));
  const Expression exponent = sequence(
      {chars({{'e', 'e'}, {'E', 'E'}}), optional(chars({{'+', '+'}, {'-', '-'}})), digits(1, 2)});
  json.number =
      add(rules, "number",
          sequence({rule(json.integer), optional(sequence({text("."), digits(1, kMostDigits)})),
                    optional(exponent)}));
  json.boolean = add(rules, "boolean", any({text("true"), text("false")}));
  json.null = add(rules, "null", text("null"));
  // These know one another.
  json.value = add(rules, "value", nullptr);
  json.array = add(rules, "array", nullptr);
  json.object = add(rules, "object", nullptr);
  rules[json.value].body = any({rule(json.object), rule(json.array), rule(json.string),
                                rule(json.number), rule(json.boolean), rule(json.null)});
  rules[json.array].body =
      sequence({opened(json, '['),
                optional(sequence({rule(json.value),
                                   repeat(sequence({comma(json), rule(json.value)}), 0, kUnlimited),
                                   rule(json.space)})),
                text("]")});
  const Expression member =
      sequence({rule(json.string), text(":"), rule(json.space), rule(json.value)});
  rules[json.object].body =
      sequence({opened(json, '{'),
                optional(sequence({member, repeat(sequence({comma(json), member}), 0, kUnlimited),
                                   rule(json.space)})),
                text("}")});
  return json;
}

}  // namespace diptych::grammar
