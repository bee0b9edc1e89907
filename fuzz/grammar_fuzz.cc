// Grammars and schemas from outside: compiled, then followed through the bytes of the input itself.
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/json.h"
#include "grammar/gbnf.h"
#include "grammar/json_schema.h"
#include "grammar/matcher.h"
#include "seeds.h"

using namespace diptych;

namespace {

void follow(const Result<std::shared_ptr<const grammar::Automaton>>& automaton,
            std::string_view text) {
  if (!automaton) return;
  constexpr size_t kMostBytes = 200;
  grammar::Matcher matcher(*automaton);
  grammar::Matcher::Config at = matcher.start();
  for (const char c : text.substr(0, kMostBytes)) {
    const grammar::Matcher::Config next = matcher.step(at, static_cast<uint8_t>(c));
    at = next == grammar::Matcher::kDead ? matcher.start() : next;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  follow(grammar::parse_gbnf(text), text);
  const Result<Json> schema = parse_json(text);
  if (schema) follow(grammar::json_schema(*schema), text);
  return 0;
}

std::vector<std::vector<std::byte>> fuzz_seeds() {
  std::vector<std::vector<std::byte>> seeds;
  for (
      const std::string_view text :
      {R"(root ::= "a" [b-d^]* (x | "\u00e9"){1,3} # end
x ::= root? "\n" .)",
       R"({"type": "object", "properties": {"a": {"type": "integer", "minimum": -3, "maximum": 20},
            "b": {"$ref": "#/$defs/c"}}, "required": ["a"], "additionalProperties": {"type": "null"},
            "$defs": {"c": {"anyOf": [{"type": "array", "items": {"$ref": "#"}, "minItems": 1},
            {"enum": ["x", 1]}, {"type": "string", "pattern": "^[a-z\\d]+(x|y)?$"}]}}})",
       R"({"oneOf": [{"type": "string", "maxLength": 5}, {"type": "number", "exclusiveMinimum": 0}]})"}) {
    const Bytes bytes = as_bytes(text);
    seeds.emplace_back(bytes.begin(), bytes.end());
  }
  return seeds;
}
