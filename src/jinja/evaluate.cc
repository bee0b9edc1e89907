// Expressions: operators, lookups, slices, calls.
#include <algorithm>
#include <cmath>

#include "base/in_quotes.h"
#include "jinja/interpreter.h"
#include "jinja/strings.h"

namespace diptych::jinja {

namespace {

tl::unexpected<Error> no_operator(std::string_view op, const Value& a, const Value& b) {
  for (const Value* value : {&a, &b}) {
    if (value->is(Kind::Undefined)) {
      return invalid_argument("{}", value->what() != nullptr ? *value->what() : "undefined");
    }
  }
  return invalid_argument("the operator {} does not take a {} and a {}", op, type_name(a),
                          type_name(b));
}

tl::unexpected<Error> too_large() { return unsupported("an integer of more than 64 bits"); }

Result<Value> integers(std::string_view op, int64_t a, int64_t b) {
  int64_t result = 0;
  if (op == "+" && !__builtin_add_overflow(a, b, &result)) return Value::of(result);
  if (op == "-" && !__builtin_sub_overflow(a, b, &result)) return Value::of(result);
  if (op == "*" && !__builtin_mul_overflow(a, b, &result)) return Value::of(result);
  if (op == "//" || op == "%") {
    if (b == 0) return invalid_argument("division by zero");
    if (b == -1) {  // INT64_MIN / -1 does not fit
      if (op == "%") return Value::of(int64_t{0});
      if (a == INT64_MIN) return too_large();
      return Value::of(-a);
    }
    const int64_t remainder = a % b;
    const bool down = remainder != 0 && (remainder < 0) != (b < 0);  // Python rounds downwards
    return Value::of(op == "//" ? a / b - (down ? 1 : 0) : remainder + (down ? b : 0));
  }
  if (op == "**") {
    if (b < 0) return Value::of(std::pow(static_cast<double>(a), static_cast<double>(b)));
    int64_t power = 1;
    for (int64_t i = 0; i < b && power != 0; ++i) {
      if ((a == 1 || a == -1) && b > 2)
        return Value::of(a == 1 || b % 2 == 0 ? int64_t{1} : int64_t{-1});
      if (__builtin_mul_overflow(power, a, &power)) return too_large();
    }
    return Value::of(power);
  }
  return too_large();
}

Result<Value> floats(std::string_view op, double a, double b) {
  if (op == "+") return Value::of(a + b);
  if (op == "-") return Value::of(a - b);
  if (op == "*") return Value::of(a * b);
  if (op == "**") return Value::of(std::pow(a, b));
  if (b == 0) return invalid_argument("division by zero");
  if (op == "/") return Value::of(a / b);
  double remainder = std::fmod(a, b);
  if (remainder != 0 && (remainder < 0) != (b < 0)) remainder += b;
  if (op == "%") return Value::of(remainder);
  return Value::of(std::floor((a - remainder) / b + 0.5));
}

// The indices of a slice of a sequence of `size`, as Python counts them.
struct Range {
  int64_t begin, end, step;
};

Result<Range> resolve(const Value& begin, const Value& end, const Value& step, int64_t size) {
  for (const Value* bound : {&begin, &end, &step}) {
    if (!bound->is(Kind::None) && !bound->is_integral()) {
      return invalid_argument("slices take integers, found a {}", type_name(*bound));
    }
  }
  Range range{0, size, step.is(Kind::None) ? 1 : step.integer()};
  if (range.step == 0) return invalid_argument("a slice with step 0");
  const bool down = range.step < 0;
  const int64_t low = down ? -1 : 0, high = down ? size - 1 : size;
  const auto clamp = [&](const Value& bound, int64_t otherwise) {
    if (bound.is(Kind::None)) return otherwise;
    const int64_t index = bound.integer();
    return std::clamp(index < 0 ? std::max(index, -size - 1) + size : index, low, high);
  };
  range.begin = clamp(begin, down ? high : low);
  range.end = clamp(end, down ? low : high);
  range.step = std::clamp(range.step, -size - 1, size + 1);  // one past all is enough
  return range;
}

}  // namespace

Result<Value> Interpreter::evaluate_node(const Expression& e, Frame& frame) {
  using Node = Expression::Kind;
  const auto child = [&](size_t i) { return evaluate(*e.children[i], frame); };
  switch (e.kind) {
    case Node::Constant:
      return e.value;
    case Node::Name:
      return evaluate_name(e, frame);
    case Node::List:
      return heap_.list(TRY(evaluate_all(e.children, frame)));
    case Node::Tuple:
      return heap_.tuple(TRY(evaluate_all(e.children, frame)));
    case Node::Dict:
      return evaluate_dict(e, frame);
    case Node::Attribute:
      return attribute(TRY(child(0)), e.text);
    case Node::Item:
      return evaluate_item(e, frame);
    case Node::Call:
      return evaluate_call(e, frame);
    case Node::Filter:
    case Node::Test: {
      const Value self = TRY(child(0));
      return call(*e.builtin, self, TRY(evaluate_arguments(e.arguments, frame)));
    }
    case Node::Not:
      return Value::of(!truth(TRY(child(0))));
    case Node::Sign: {
      const Value value = TRY(child(0));
      if (!value.is_number()) return no_operator(e.text, value, value);
      if (e.text == "+") return value.is(Kind::Float) ? value : Value::of(value.integer());
      if (value.is(Kind::Float)) return Value::of(-value.number());
      return integers("-", 0, value.integer());
    }
    case Node::And: {
      const Value left = TRY(child(0));
      return truth(left) ? child(1) : left;
    }
    case Node::Or: {
      const Value left = TRY(child(0));
      return truth(left) ? left : child(1);
    }
    case Node::Compare:
      return evaluate_compare(e, frame);
    case Node::Binary: {
      const Value left = TRY(child(0));
      return binary(e.text, left, TRY(child(1)));
    }
    case Node::Concat:
      return evaluate_concat(e, frame);
    case Node::Conditional:
      if (truth(TRY(child(1)))) return child(0);
      if (e.children[2]) return child(2);
      return heap_.undefined("the conditional expression has no value: it has no \"else\"");
    case Node::Slice:
      break;  // evaluated with its Item
  }
  return fail(ErrorCode::Internal, "an expression out of place");
}

Result<Value> Interpreter::evaluate_name(const Expression& e, Frame& frame) {
  if (const Value* found = TRY(variable(frame, e.text))) return *found;
  if (const Builtin* builtin = find_function(e.text))
    return function({builtin, {}, nullptr, nullptr});
  return missing("{} is undefined", in_quotes(e.text));
}

Result<Items> Interpreter::evaluate_all(const std::vector<ExpressionPtr>& list, Frame& frame) {
  Items items;
  for (const ExpressionPtr& expression : list) {
    items.push_back(TRY(evaluate(*expression, frame)));
  }
  return items;
}

Result<Value> Interpreter::evaluate_dict(const Expression& e, Frame& frame) {
  Entries entries;
  for (size_t i = 0; i + 1 < e.children.size(); i += 2) {
    const Value key = TRY(evaluate(*e.children[i], frame));
    TRY(set_entry(entries, key, TRY(evaluate(*e.children[i + 1], frame)), meter_));
  }
  return heap_.dict(std::move(entries));
}

Result<Value> Interpreter::evaluate_item(const Expression& e, Frame& frame) {
  const Value value = TRY(evaluate(*e.children[0], frame));
  const Expression& index = *e.children[1];
  if (index.kind == Expression::Kind::Slice) return slice(value, index, frame);
  return item(value, TRY(evaluate(index, frame)));
}

Result<CallArguments> Interpreter::evaluate_arguments(const Arguments& arguments, Frame& frame) {
  CallArguments result;
  result.positional = TRY(evaluate_all(arguments.positional, frame));
  for (const auto& [name, expression] : arguments.named) {
    TRY(meter_.bytes(name.size()));
    result.named.emplace_back(name, TRY(evaluate(*expression, frame)));
  }
  if (arguments.star) {
    for (const Value& value : TRY(iterate(TRY(evaluate(*arguments.star, frame))))) {
      result.positional.push_back(value);
    }
  }
  if (arguments.double_star) {
    const Value dict = TRY(evaluate(*arguments.double_star, frame));
    if (!dict.is(Kind::Dict))
      return invalid_argument("\"**\" takes a dict, found a {}", type_name(dict));
    for (const auto& [key, value] : dict.entries()) {
      if (!key.is_string()) return invalid_argument("\"**\" takes a dict with strings for keys");
      heap_.charge(sizeof(std::string) + key.string().size() + sizeof(Value));
      TRY(step(1 + key.string().size() / 64));
      result.named.emplace_back(key.string(), value);
    }
  }
  return result;
}

Result<Value> Interpreter::evaluate_call(const Expression& e, Frame& frame) {
  const Value callee = TRY(evaluate(*e.children[0], frame));
  return call(callee, TRY(evaluate_arguments(e.arguments, frame)));
}

Result<Value> Interpreter::evaluate_compare(const Expression& e, Frame& frame) {
  Value left = TRY(evaluate(*e.children[0], frame));
  for (size_t i = 0; i < e.operators.size(); ++i) {
    const std::string& op = e.operators[i];
    const Value right = TRY(evaluate(*e.children[i + 1], frame));
    bool holds = false;
    if (op == "in" || op == "not in") {
      holds = TRY(contains(right, left)) == (op == "in");
    } else if (op == "==" || op == "!=") {
      holds = TRY(equal(left, right, meter_)) == (op == "==");
    } else {
      if (left.is(Kind::Undefined) || right.is(Kind::Undefined))
        return no_operator(op, left, right);
      const bool nan = (left.is(Kind::Float) && std::isnan(left.number())) ||
                       (right.is(Kind::Float) && std::isnan(right.number()));
      const int order = TRY(compare(left, right, meter_));
      holds = !nan && (op == "<"    ? order < 0
                       : op == "<=" ? order <= 0
                       : op == ">"  ? order > 0
                                    : order >= 0);
    }
    if (!holds) return Value::of(false);
    left = right;
  }
  return Value::of(true);
}

Result<Value> Interpreter::evaluate_concat(const Expression& e, Frame& frame) {
  // All values first: texts that wait for the rest of an expression would not be counted.
  const Items parts = TRY(evaluate_all(e.children, frame));
  std::string text;
  for (const Value& part : parts) {
    const std::string more = TRY(to_text(part, meter_));
    TRY(heap_.check(text.size() + more.size()));
    text += more;
  }
  return heap_.string(std::move(text));
}

Result<Value> Interpreter::add(const Value& a, const Value& b) { return binary("+", a, b); }

// Strings or lists, one after the other.
Result<Value> Interpreter::join(const Value& a, const Value& b) {
  if (a.is_string() && b.is_string()) {
    TRY(heap_.check(a.string().size() + b.string().size()));
    TRY(meter_.bytes(a.string().size() + b.string().size()));
    return heap_.string(a.string() + b.string());
  }
  if (a.is_sequence() && a.kind() == b.kind()) {
    TRY(heap_.check((a.items().size() + b.items().size()) * sizeof(Value)));
    TRY(meter_.items(a.items().size() + b.items().size()));
    Items items = a.items();
    items.insert(items.end(), b.items().begin(), b.items().end());
    return a.is(Kind::List) ? heap_.list(std::move(items)) : heap_.tuple(std::move(items));
  }
  return no_operator("+", a, b);
}

Result<Value> Interpreter::replaced(std::string_view text, std::string_view from,
                                    std::string_view to, int64_t most) {
  TRY(meter_.characters(2 * text.size() + from.size()));  // for counting and for replacing
  const uint64_t limit = most < 0 ? UINT64_MAX : static_cast<uint64_t>(most);
  const uint64_t times =
      std::min<uint64_t>(limit, from.empty() ? length(text) + 1 : count(text, from));
  TRY(meter_.step(times));
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(times, to.size(), &bytes)) bytes = UINT64_MAX / 2;
  TRY(heap_.check(bytes + text.size()));
  TRY(meter_.bytes(bytes));
  return heap_.string(replace(text, from, to, static_cast<size_t>(times)));
}

// A string or list, repeated.
Result<Value> Interpreter::multiply(const Value& a, const Value& b) {
  const Value& sequence = a.is_integral() ? b : a;
  const Value& times = a.is_integral() ? a : b;
  if (!times.is_integral() || !(sequence.is_string() || sequence.is_sequence())) {
    return no_operator("*", a, b);
  }
  const auto count = static_cast<uint64_t>(std::max<int64_t>(times.integer(), 0));
  const uint64_t size =
      sequence.is_string() ? sequence.string().size() : sequence.items().size() * sizeof(Value);
  uint64_t total = 0;
  if (__builtin_mul_overflow(count, size, &total)) total = UINT64_MAX;
  TRY(heap_.check(total));
  TRY(meter_.bytes(total));
  if (size == 0) return sequence;
  if (sequence.is_string()) {
    std::string text = count > 0 ? sequence.string() : std::string();
    text.reserve(total);
    // Twice as much each time, so that many short ones cost no more than few long ones.
    while (text.size() < total) text.append(text, 0, std::min(text.size(), total - text.size()));
    return heap_.string(std::move(text));
  }
  const Items& source = sequence.items();
  Items items(static_cast<size_t>(count) * source.size());
  for (size_t i = 0; i < items.size(); ++i) {
    items[i] = i < source.size() ? source[i] : items[i - source.size()];
  }
  return sequence.is(Kind::List) ? heap_.list(std::move(items)) : heap_.tuple(std::move(items));
}

Result<Value> Interpreter::binary(std::string_view op, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    constexpr uint64_t kStepsOfRemainder = 32;  // of floats far apart
    if (op == "%" || op == "//") TRY(step(kStepsOfRemainder));
    if (op == "/") return floats(op, a.number(), b.number());
    if (a.is_integral() && b.is_integral()) return integers(op, a.integer(), b.integer());
    return floats(op, a.number(), b.number());
  }
  if (op == "+") return join(a, b);
  if (op == "*") return multiply(a, b);
  if (op == "%" && a.is_string()) {
    return unsupported("the operator % that formats strings is not supported");
  }
  return no_operator(op, a, b);
}

Result<Value> Interpreter::attribute(const Value& value, std::string_view name) {
  if (const Builtin* method = find_method(value, name)) {
    if (value.is(Kind::Loop) && method->parameters.empty()) return call(*method, value, {});
    return function({method, value, nullptr, nullptr});
  }
  if (is_missing_method(value, name)) {
    return unsupported("the method {}.{} is not supported", type_name(value), name);
  }
  switch (value.kind()) {
    case Kind::Undefined:
      return invalid_argument("{}", value.what() != nullptr ? *value.what() : "undefined");
    case Kind::Dict:
    case Kind::Namespace:
      if (const Value* found = TRY(find_entry(value.entries(), name, meter_))) return *found;
      break;
    default:
      break;
  }
  return missing("a {} has no attribute {}", type_name(value), in_quotes(name));
}

Result<Value> Interpreter::item(const Value& value, const Value& key) {
  if (value.is(Kind::Undefined)) return attribute(value, "");
  if (value.is(Kind::Dict)) {
    const bool hashable = !key.is(Kind::List) && !key.is(Kind::Dict);
    const Value* found = hashable ? TRY(find_entry(value.entries(), key, meter_)) : nullptr;
    if (found != nullptr) return *found;
  } else if (key.is_integral() && (value.is_sequence() || value.is_string())) {
    const bool is_string = value.is_string();
    if (is_string) TRY(meter_.characters(value.string().size()));
    const auto size =
        static_cast<int64_t>(is_string ? length(value.string()) : value.items().size());
    int64_t index = key.integer();
    if (index < 0) index += size;
    if (index >= 0 && index < size) {
      const auto i = static_cast<size_t>(index);
      if (!is_string) return value.items()[i];
      return heap_.string(std::string(character_at(value.string(), i)));
    }
  }
  if (key.is_string()) return attribute(value, key.string());
  return missing("a {} has no element {}", type_name(value),
                 in_quotes(to_repr(key, meter_).value_or("of this kind")));
}

Result<Value> Interpreter::slice(const Value& value, const Expression& e, Frame& frame) {
  Value bounds[3] = {Value::none(), Value::none(), Value::none()};
  for (size_t i = 0; i < 3; ++i) {
    if (e.children[i]) bounds[i] = TRY(evaluate(*e.children[i], frame));
  }
  if (value.is(Kind::Undefined)) return attribute(value, "");
  if (value.is_string()) {
    TRY(meter_.characters(value.string().size()));
    const auto size = static_cast<int64_t>(length(value.string()));
    const Range range = TRY(resolve(bounds[0], bounds[1], bounds[2], size));
    return heap_.string(every(value.string(), range.begin, range.end, range.step));
  }
  if (!value.is_sequence()) {
    return missing("a {} cannot be sliced", type_name(value));
  }
  const auto size = static_cast<int64_t>(value.items().size());
  const Range range = TRY(resolve(bounds[0], bounds[1], bounds[2], size));
  TRY(meter_.items(value.items().size()));
  Items items;
  for (int64_t i = range.begin; range.step > 0 ? i < range.end : i > range.end; i += range.step) {
    items.push_back(value.items()[static_cast<size_t>(i)]);
  }
  return value.is(Kind::List) ? heap_.list(std::move(items)) : heap_.tuple(std::move(items));
}

Result<Items> Interpreter::iterate(const Value& value) {
  switch (value.kind()) {
    case Kind::Undefined:
      return Items();
    case Kind::List:
    case Kind::Tuple:
      TRY(charge_items(value.items().size()));
      return value.items();
    case Kind::Dict: {
      TRY(charge_items(value.entries().size()));
      Items keys;
      for (const auto& entry : value.entries()) keys.push_back(entry.first);
      return keys;
    }
    case Kind::String: {
      std::string_view text = value.string();
      const size_t size = length(text);
      TRY(step(size));
      TRY(charge_items(size));
      TRY(heap_.check(size * sizeof(std::string)));
      Items characters;
      for (; !text.empty(); text.remove_prefix(first_size(text))) {
        characters.push_back(heap_.string(std::string(text.substr(0, first_size(text)))));
      }
      return characters;
    }
    default:
      return invalid_argument("a {} is nothing to loop over", type_name(value));
  }
}

Status Interpreter::charge_items(size_t count) {
  TRY(meter_.items(count));
  TRY(heap_.check(count * sizeof(Value)));
  heap_.charge(count * sizeof(Value));
  return {};
}

Result<bool> Interpreter::contains(const Value& haystack, const Value& needle) {
  if (haystack.is_string()) {
    if (!needle.is_string()) return no_operator("in", needle, haystack);
    TRY(meter_.characters(haystack.string().size() + needle.string().size()));
    return find(haystack.string(), needle.string()) != std::string::npos;
  }
  if (haystack.is(Kind::Dict)) {
    return TRY(find_entry(haystack.entries(), needle, meter_)) != nullptr;
  }
  if (haystack.is(Kind::Undefined)) return false;
  if (!haystack.is_sequence()) {
    return invalid_argument("a {} is nothing to loop over", type_name(haystack));
  }
  for (const Value& item : haystack.items()) {
    if (TRY(equal(item, needle, meter_))) return true;
  }
  return false;
}

}  // namespace diptych::jinja
