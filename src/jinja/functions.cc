// Functions that every template can call.
#include <algorithm>
#include <array>

#include "base/in_quotes.h"
#include "jinja/interpreter.h"

namespace diptych::jinja {

namespace {

constexpr int64_t kMaxRange = 1'000'000;

Result<Value> range(const Invocation& call) {
  if (!call.has(0)) return invalid_argument("range needs an end");
  const int64_t first = TRY(call.integer(0, 0));
  const int64_t begin = call.has(1) ? first : 0,
                end = call.has(1) ? TRY(call.integer(1, 0)) : first;
  const int64_t step = TRY(call.integer(2, 1));
  if (step == 0) return invalid_argument("range with step 0");
  Items items;
  for (int64_t i = begin; step > 0 ? i < end : i > end;) {
    if (items.size() >= kMaxRange) return unsupported("a range of more than {} numbers", kMaxRange);
    items.push_back(Value::of(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  TRY(call.interpreter.step(items.size() / 8));
  return call.interpreter.heap().list(std::move(items));
}

// The entries of keyword arguments, after those of a dict where one is given.
Result<Entries> entries(const Invocation& call) {
  Entries result;
  for (const Value& value : call.arguments.positional) {
    if (!value.is(Kind::Dict) && !value.is(Kind::Namespace)) {
      return unsupported("dict() and namespace() take a dict and names, found a {}",
                         type_name(value));
    }
    for (const auto& [key, entry] : value.entries()) {
      TRY(set_entry(result, key, entry, call.interpreter.meter()));
    }
  }
  for (const auto& [name, value] : call.arguments.named) {
    TRY(set_entry(result, call.interpreter.heap().string(name), value, call.interpreter.meter()));
  }
  return result;
}

Result<Value> make_dict(const Invocation& call) {
  return call.interpreter.heap().dict(TRY(entries(call)));
}

Result<Value> make_namespace(const Invocation& call) {
  return call.interpreter.heap().name_space(TRY(entries(call)));
}

Result<Value> raise(const Invocation& call) {
  return invalid_argument("the template refuses: {}",
                          in_quotes(TRY(to_text(call[0], call.interpreter.meter()))));
}

Result<Value> now(const Invocation& call) {
  const std::string format = TRY(call.string(0, ""));
  constexpr size_t kMaxFormat = 1000;
  if (format.size() > kMaxFormat)
    return unsupported("a time format of more than {} bytes", kMaxFormat);
  TRY(call.interpreter.step(kMaxFormat / 64 + format.size() * 4));  // "%c" is a long text
  if (format.empty()) return call.interpreter.heap().string("");
  std::string text(16 * kMaxFormat, '\0');
  // A format may rightly give nothing, which strftime cannot tell from a failure.
  text.resize(std::strftime(text.data(), text.size(), format.c_str(), &call.interpreter.now()));
  return call.interpreter.heap().string(std::move(text));
}

constexpr std::array kFunctions = {
    Builtin{"range", "start=,stop=,step=", range}, Builtin{"dict", "*", make_dict},
    Builtin{"namespace", "*", make_namespace},     Builtin{"raise_exception", "message", raise},
    Builtin{"strftime_now", "format", now},
};

}  // namespace

BuiltinTable function_table() { return kFunctions; }

}  // namespace diptych::jinja
