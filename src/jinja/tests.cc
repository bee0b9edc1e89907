// What stands behind "is".
#include <algorithm>
#include <array>

#include "jinja/interpreter.h"
#include "jinja/strings.h"

namespace diptych::jinja {

namespace {

template <Kind... kinds>
Result<Value> is_kind(const Invocation& call) {
  return Value::of((call.self.is(kinds) || ...));
}

Result<Value> is_defined(const Invocation& call) {
  return Value::of(!call.self.is(Kind::Undefined));
}
Result<Value> is_number(const Invocation& call) { return Value::of(call.self.is_number()); }
Result<Value> is_true(const Invocation& call) {
  return Value::of(call.self.is(Kind::Bool) && call.self.boolean());
}
Result<Value> is_false(const Invocation& call) {
  return Value::of(call.self.is(Kind::Bool) && !call.self.boolean());
}
Result<Value> is_in(const Invocation& call) {
  return Value::of(TRY(call.interpreter.contains(call[0], call.self)));
}
Result<Value> is_equal(const Invocation& call) {
  return Value::of(TRY(equal(call.self, call[0], call.interpreter.meter())));
}
Result<Value> is_not_equal(const Invocation& call) {
  return Value::of(!TRY(equal(call.self, call[0], call.interpreter.meter())));
}
Result<int> order(const Invocation& call) {
  return compare(call.self, call[0], call.interpreter.meter());
}
Result<Value> is_less(const Invocation& call) { return Value::of(TRY(order(call)) < 0); }
Result<Value> is_at_most(const Invocation& call) { return Value::of(TRY(order(call)) <= 0); }
Result<Value> is_greater(const Invocation& call) { return Value::of(TRY(order(call)) > 0); }
Result<Value> is_at_least(const Invocation& call) { return Value::of(TRY(order(call)) >= 0); }

Result<int64_t> remainder(const Value& value, int64_t divisor) {
  if (!value.is_integral())
    return invalid_argument("expected an integer, found a {}", type_name(value));
  if (divisor == 0) return invalid_argument("division by zero");
  return divisor == -1 ? 0 : value.integer() % divisor;
}
Result<Value> is_even(const Invocation& call) {
  return Value::of(TRY(remainder(call.self, 2)) == 0);
}
Result<Value> is_odd(const Invocation& call) {
  return Value::of(TRY(remainder(call.self, 2)) != 0);
}
Result<Value> is_divisible(const Invocation& call) {
  return Value::of(TRY(remainder(call.self, TRY(call.integer(0, 1)))) == 0);
}

Result<std::string> tested_text(const Invocation& call) {
  std::string text = TRY(to_text(call.self, call.interpreter.meter()));
  TRY(call.interpreter.meter().characters(text.size()));
  return text;
}
Result<Value> is_lower(const Invocation& call) {
  return Value::of(is_cased_lower(TRY(tested_text(call))));
}
Result<Value> is_upper(const Invocation& call) {
  return Value::of(is_cased_upper(TRY(tested_text(call))));
}

Result<Value> is_same(const Invocation& call) {
  const Value& a = call.self;
  const Value& b = call[0];
  if (a.kind() != b.kind()) return Value::of(false);
  if (a.is(Kind::List) || a.is(Kind::Dict) || a.is(Kind::Namespace) || a.is(Kind::Function)) {
    return Value::of(a.identity() == b.identity());
  }
  return Value::of(TRY(equal(a, b, call.interpreter.meter())));
}

constexpr std::array kTests = {
    Builtin{"defined", "", is_defined},
    Builtin{"undefined", "", is_kind<Kind::Undefined>},
    Builtin{"none", "", is_kind<Kind::None>},
    Builtin{"boolean", "", is_kind<Kind::Bool>},
    Builtin{"true", "", is_true},
    Builtin{"false", "", is_false},
    Builtin{"integer", "", is_kind<Kind::Int>},
    Builtin{"float", "", is_kind<Kind::Float>},
    Builtin{"number", "", is_number},
    Builtin{"string", "", is_kind<Kind::String>},
    Builtin{"mapping", "", is_kind<Kind::Dict>},
    Builtin{"sequence", "",
            is_kind<Kind::Undefined, Kind::String, Kind::List, Kind::Tuple, Kind::Dict>},
    Builtin{
        "iterable", "",
        is_kind<Kind::Undefined, Kind::String, Kind::List, Kind::Tuple, Kind::Dict, Kind::Loop>},
    Builtin{"callable", "", is_kind<Kind::Function, Kind::Undefined>},
    Builtin{"sameas", "other", is_same},
    Builtin{"in", "seq", is_in},
    Builtin{"==", "other", is_equal},
    Builtin{"eq", "other", is_equal},
    Builtin{"equalto", "other", is_equal},
    Builtin{"!=", "other", is_not_equal},
    Builtin{"ne", "other", is_not_equal},
    Builtin{"<", "other", is_less},
    Builtin{"lt", "other", is_less},
    Builtin{"lessthan", "other", is_less},
    Builtin{"<=", "other", is_at_most},
    Builtin{"le", "other", is_at_most},
    Builtin{">", "other", is_greater},
    Builtin{"gt", "other", is_greater},
    Builtin{"greaterthan", "other", is_greater},
    Builtin{">=", "other", is_at_least},
    Builtin{"ge", "other", is_at_least},
    Builtin{"even", "", is_even},
    Builtin{"odd", "", is_odd},
    Builtin{"divisibleby", "num", is_divisible},
    Builtin{"lower", "", is_lower},
    Builtin{"upper", "", is_upper},
};

}  // namespace

BuiltinTable test_table() { return kTests; }

}  // namespace diptych::jinja
