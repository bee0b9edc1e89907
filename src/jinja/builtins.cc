// How arguments meet the parameters of builtins.
#include "jinja/builtins.h"

#include <algorithm>

#include "base/in_quotes.h"
#include "jinja/interpreter.h"

namespace diptych::jinja {

namespace {

struct DeclaredParameter {
  std::string_view name;
  bool optional;
};

// The parts of "width,first=,blank=".
std::vector<DeclaredParameter> declared(std::string_view list) {
  std::vector<DeclaredParameter> result;
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    std::string_view name = list.substr(0, comma);
    const bool optional = name.ends_with('=');
    if (optional) name.remove_suffix(1);
    result.push_back({name, optional});
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return result;
}

Status bind(std::string_view parameters, Invocation& call) {
  const std::vector<DeclaredParameter> list = declared(parameters);
  const Items& positional = call.arguments.positional;
  if (positional.size() > list.size()) {
    return invalid_argument("takes {} arguments, not {}", list.size(), positional.size());
  }
  for (size_t i = 0; i < positional.size(); ++i) {
    call.values[i] = positional[i];
    call.given[i] = true;
  }
  for (const auto& [name, value] : call.arguments.named) {
    const auto found =
        std::find_if(list.begin(), list.end(),
                     [&name = name](const auto& parameter) { return parameter.name == name; });
    if (found == list.end()) return invalid_argument("has no parameter {}", in_quotes(name));
    const auto i = static_cast<size_t>(found - list.begin());
    if (call.given[i]) return invalid_argument("has two values for {}", in_quotes(name));
    call.values[i] = value;
    call.given[i] = true;
  }
  for (size_t i = 0; i < list.size(); ++i) {
    if (!call.given[i] && !list[i].optional) {
      return invalid_argument("needs a value for \"{}\"", list[i].name);
    }
  }
  return {};
}

}  // namespace

Result<int64_t> Invocation::integer(size_t i, int64_t otherwise) const {
  if (!has(i) || values[i].is(Kind::None)) return otherwise;
  if (values[i].is_integral()) return values[i].integer();
  return invalid_argument("expected an integer, found a {}", type_name(values[i]));
}

Result<bool> Invocation::boolean(size_t i, bool otherwise) const {
  return has(i) ? truth(values[i]) : otherwise;
}

Result<std::string> Invocation::string(size_t i, std::string_view otherwise) const {
  if (!has(i)) return std::string(otherwise);
  if (values[i].is_string()) return values[i].string();
  return invalid_argument("expected a string, found a {}", type_name(values[i]));
}

Result<Value> Interpreter::call(const Builtin& builtin, const Value& self,
                                const CallArguments& arguments) {
  TRY(step(1 + arguments.positional.size() / 8));
  Invocation invocation{*this, self, arguments, {}, {}};
  if (builtin.parameters != "*") {
    TRY(within(fmt::format("\"{}\"", builtin.name), bind(builtin.parameters, invocation)));
  }
  return builtin.run(invocation);
}

}  // namespace diptych::jinja
