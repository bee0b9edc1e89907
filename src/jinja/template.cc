#include "jinja/template.h"

#include "base/json.h"
#include "base/own_stack.h"
#include "jinja/parser.h"
#include "text/utf8.h"

namespace diptych::jinja {

namespace {

constexpr size_t kMaxSourceBytes = 4 << 20;

std::tm local_time() {
  const std::time_t seconds = std::time(nullptr);
  std::tm result = {};
  localtime_r(&seconds, &result);
  return result;
}

}  // namespace

Result<Template> Template::parse(std::string_view source) {
  if (source.size() > kMaxSourceBytes) {
    return unsupported("a template of {} bytes, at most {} are possible", source.size(),
                       kMaxSourceBytes);
  }
  const std::string valid = text::replace_invalid_utf8(source);
  Result<Block> block;
  TRY(on_own_stack([&] { block = jinja::parse(valid); }));
  return Template(std::make_shared<const Block>(TRY(std::move(block))));
}

Result<std::string> Template::render(const Json& variables, const Limits& limits,
                                     const std::tm* now) const {
  if (!variables.is_object()) return invalid_argument("the variables are no object");
  Heap heap(limits.memory_bytes);
  const Value globals = heap.from_json(variables);
  Interpreter interpreter(heap, limits, now != nullptr ? *now : local_time());
  Result<std::string> text;
  TRY(on_own_stack([&] { text = interpreter.run(*block_, globals.entries()); }));
  return text;
}

}  // namespace diptych::jinja
