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

constexpr uint64_t kStepsOfCall = 4;

uint64_t steps_to_copy(const Value& value) {
  switch (value.kind()) {
    case Kind::String:
      return value.string().size() / 64;
    case Kind::List:
    case Kind::Tuple:
      return value.items().size() / 8;
    case Kind::Dict:
      return value.entries().size() / 4;
    default:
      return 0;
  }
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

const Builtin* find_builtin(BuiltinTable table, std::string_view name) {
  const auto found = std::find_if(table.begin(), table.end(),
                                  [name](const Builtin& builtin) { return builtin.name == name; });
  return found == table.end() ? nullptr : &*found;
}

const Builtin* find_filter(std::string_view name) {
  const Builtin* const found = find_builtin(filter_table(), name);
  return found != nullptr ? found : find_builtin(sequence_filter_table(), name);
}
const Builtin* find_test(std::string_view name) { return find_builtin(test_table(), name); }
const Builtin* find_function(std::string_view name) { return find_builtin(function_table(), name); }
const Builtin* find_method(const Value& self, std::string_view name) {
  return find_builtin(method_table(self.kind()), name);
}

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
  // Whatever a builtin does, it may copy what it is given. What it does beyond, it counts itself.
  uint64_t steps = kStepsOfCall + steps_to_copy(self);
  for (const Value& value : arguments.positional) steps += 1 + steps_to_copy(value);
  for (const auto& [name, value] : arguments.named) steps += 1 + steps_to_copy(value);
  TRY(step(steps));
  if (++depth_ > kMaxDepth) {
    --depth_;
    return unsupported("filters and tests nest deeper than {} levels", kMaxDepth);
  }
  Invocation invocation{*this, self, arguments, {}, {}};
  auto result = [&]() -> Result<Value> {
    if (builtin.parameters != "*") {
      TRY(within([&] { return fmt::format("\"{}\"", builtin.name); },
                 bind(builtin.parameters, invocation)));
    }
    return builtin.run(invocation);
  }();
  --depth_;
  return result;
}

}  // namespace diptych::jinja
