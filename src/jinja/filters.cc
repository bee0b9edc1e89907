// What stands behind "|": filters of one value. sequence_filters.cc has those that look into lists.

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/in_quotes.h"
#include "jinja/interpreter.h"
#include "jinja/strings.h"

namespace diptych::jinja {

namespace {

// Filters of text take any value and write it first. The work is counted.
Result<std::string> text_of(const Invocation& call) {
  std::string text = TRY(to_text(call.self, call.interpreter.meter()));
  TRY(call.interpreter.meter().characters(text.size()));
  return text;
}

Value make(const Invocation& call, std::string text) {
  return call.interpreter.heap().string(std::move(text));
}

template <std::string (*change)(std::string_view)>
Result<Value> changed(const Invocation& call) {
  return make(call, change(TRY(text_of(call))));
}

Result<Value> trim(const Invocation& call) {
  const std::string text = TRY(text_of(call));
  if (!call.has(0) || call[0].is(Kind::None)) {
    return make(call, std::string(strip_right(strip_left(text))));
  }
  const std::string set = TRY(call.string(0, ""));
  TRY(call.interpreter.step(text.size() * (set.size() / 64)));
  return make(call, std::string(strip_right(strip_left(text, set), set)));
}

Result<Value> as_string(const Invocation& call) {
  return call.self.is_string() ? call.self : make(call, TRY(text_of(call)));
}

// The order of parameters is that of transformers, not of Jinja.
Result<Value> tojson(const Invocation& call) {
  if (TRY(call.boolean(0, false))) return unsupported("tojson with ensure_ascii");
  JsonStyle style;
  if (call.has(1) && call[1].is_integral()) {
    const int64_t indent = call[1].integer();
    if (indent > 64) return unsupported("an indent of {}, at most 64", indent);
    style.indent = static_cast<int>(std::max<int64_t>(indent, 0));
    style.item_separator = ",";
  } else if (call.has(1) && !call[1].is(Kind::None)) {
    return unsupported("tojson with an indent that is a {}", type_name(call[1]));
  }
  if (call.has(2) && !call[2].is(Kind::None)) {
    const Items separators = TRY(call.interpreter.iterate(call[2]));
    if (separators.size() != 2 || !separators[0].is_string() || !separators[1].is_string()) {
      return invalid_argument("\"separators\" are two strings");
    }
    style.item_separator = separators[0].string();
    style.key_separator = separators[1].string();
  }
  style.sort_keys = TRY(call.boolean(3, false));
  return make(call, TRY(to_json(call.self, style, call.interpreter.meter())));
}

Result<Value> otherwise(const Invocation& call) {
  const bool replace =
      call.self.is(Kind::Undefined) || (TRY(call.boolean(1, false)) && !truth(call.self));
  if (!replace) return call.self;
  return call.has(0) ? call[0] : make(call, "");
}

Result<Value> replaced(const Invocation& call) {
  const std::string text = TRY(text_of(call));
  const std::string from = TRY(to_text(call[0], call.interpreter.meter()));
  const std::string to = TRY(to_text(call[1], call.interpreter.meter()));
  return call.interpreter.replaced(text, from, to, TRY(call.integer(2, -1)));
}

// Lines after the first get the indent; empty ones only when asked for.
Result<Value> indent(const Invocation& call) {
  const std::string text = TRY(text_of(call));
  std::string by(4, ' ');
  if (call.has(0) && call[0].is_string()) {
    by = call[0].string();
  } else if (call.has(0)) {
    const int64_t width = TRY(call.integer(0, 4));
    if (width > 1000) return unsupported("an indent of {}, at most 1000", width);
    by.assign(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
  }
  const bool first = TRY(call.boolean(1, false)), blank = TRY(call.boolean(2, false));
  const std::string with_end = text + "\n";  // so that a last empty line counts
  std::string out;
  bool is_first = true;
  Status status;
  split_lines(with_end, false, [&](std::string_view line) {
    if (!is_first) out += '\n';
    if (is_first ? first : blank || !line.empty()) out += by;
    out += line;
    is_first = false;
    status = call.interpreter.step(1 + by.size() / 64);
    if (status) status = call.interpreter.heap().check(out.size());
    return status.has_value();
  });
  TRY(std::move(status));
  return make(call, std::move(out));
}

// What Python's int() takes: an integer, or the whole part of a float, with spaces around.
Result<Value> as_integer(const Invocation& call) {
  if (call.self.is(Kind::Undefined)) return call.interpreter.attribute(call.self, "");
  const Value otherwise = call.has(0) ? call[0] : Value::of(int64_t{0});
  const int64_t base = TRY(call.integer(1, 10));
  if (call.self.is_string()) TRY(call.interpreter.meter().characters(call.self.string().size()));
  const auto from_float = [&](double value) {
    return value >= -0x1p63 && value < 0x1p63 ? Value::of(static_cast<int64_t>(value)) : otherwise;
  };
  if (call.self.is_integral()) return Value::of(call.self.integer());
  if (call.self.is(Kind::Float)) return from_float(call.self.number());
  if (!call.self.is_string() || base < 2 || base > 36) return otherwise;
  std::string text(strip_right(strip_left(call.self.string())));
  std::erase(text, '_');
  const char* const first = text.data() + (text.starts_with('+') ? 1 : 0);
  const char* const last = text.data() + text.size();
  int64_t integer = 0;
  const auto whole = std::from_chars(first, last, integer, static_cast<int>(base));
  if (whole.ec == std::errc() && whole.ptr == last) return Value::of(integer);
  double number = 0;
  const auto part = std::from_chars(first, last, number);
  return base == 10 && part.ec == std::errc() && part.ptr == last ? from_float(number) : otherwise;
}

Result<Value> as_float(const Invocation& call) {
  if (call.self.is(Kind::Undefined)) return call.interpreter.attribute(call.self, "");
  if (call.self.is_number()) return Value::of(call.self.number());
  if (call.self.is_string()) {
    TRY(call.interpreter.meter().characters(call.self.string().size()));
    std::string text(strip_right(strip_left(call.self.string())));
    std::erase(text, '_');
    const char* const first = text.data() + (text.starts_with('+') ? 1 : 0);
    const char* const last = text.data() + text.size();
    double number = 0;
    const auto parsed = std::from_chars(first, last, number);
    if (parsed.ec == std::errc() && parsed.ptr == last) return Value::of(number);
  }
  return call.has(0) ? call[0] : Value::of(0.0);
}

Result<Value> absolute(const Invocation& call) {
  if (call.self.is(Kind::Float)) return Value::of(std::fabs(call.self.number()));
  if (!call.self.is_integral() || call.self.integer() == INT64_MIN) {
    return invalid_argument("a {} has no absolute value", type_name(call.self));
  }
  return Value::of(std::abs(call.self.integer()));
}

// To a power of ten, halves to the even side.
int64_t round_integer(int64_t value, int64_t precision) {
  if (precision >= 0) return value;
  int64_t unit = 1;
  for (int64_t i = precision; i < 0; ++i) unit *= 10;
  const int64_t remainder = value % unit, whole = value - remainder;
  const int64_t away = remainder < 0 ? -unit : unit, size = std::abs(remainder);
  const bool up = size * 2 > unit || (size * 2 == unit && whole / unit % 2 != 0);
  return up && whole <= INT64_MAX - unit && whole >= INT64_MIN + unit ? whole + away : whole;
}

Result<Value> rounded(const Invocation& call) {
  if (!call.self.is_number()) return invalid_argument("cannot round a {}", type_name(call.self));
  const int64_t precision = TRY(call.integer(0, 0));
  const std::string method = TRY(call.string(1, "common"));
  if (precision < -15 || precision > 15) return unsupported("a precision of {}", precision);
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double value = call.self.number();
  if (method == "ceil") return Value::of(std::ceil(value * scale) / scale);
  if (method == "floor") return Value::of(std::floor(value * scale) / scale);
  if (method != "common") return invalid_argument("the method {} of rounding", in_quotes(method));
  if (call.self.is_integral()) return Value::of(round_integer(call.self.integer(), precision));
  if (precision <= 0) return Value::of(std::nearbyint(value * scale) / scale);
  if (!(std::fabs(value) < 0x1p53)) return Value::of(value);  // has no decimals
  // By decimal digits, as Python does: 2.675 is less than it looks.
  constexpr uint64_t kStepsOfDigits = 16;
  TRY(call.interpreter.step(kStepsOfDigits));
  const std::string text = fmt::format("{:.{}f}", value, precision);
  return Value::of(std::strtod(text.c_str(), nullptr));
}

Result<Value> size_of(const Invocation& call) {
  const Value& self = call.self;
  if (self.is(Kind::Undefined)) return Value::of(int64_t{0});
  if (self.is_string()) {
    return Value::of(static_cast<int64_t>(length(self.string())));
  }
  if (self.is_sequence()) return Value::of(static_cast<int64_t>(self.items().size()));
  if (self.is(Kind::Dict)) return Value::of(static_cast<int64_t>(self.entries().size()));
  return invalid_argument("a {} has no length", type_name(self));
}

Result<Value> word_count(const Invocation& call) {
  int64_t words = 0;
  split_space(TRY(text_of(call)), SIZE_MAX, [&](std::string_view) { return ++words > 0; });
  return Value::of(words);
}

Result<Value> attribute_of(const Invocation& call) {
  return call.interpreter.attribute(call.self, TRY(call.string(0, "")));
}

constexpr std::array kFilters = {
    Builtin{"trim", "chars=", trim},
    Builtin{"upper", "", changed<upper>},
    Builtin{"lower", "", changed<lower>},
    Builtin{"title", "", changed<title_words>},
    Builtin{"capitalize", "", changed<capitalize>},
    Builtin{"string", "", as_string},
    Builtin{"safe", "", as_string},  // nothing is escaped here
    Builtin{"tojson", "ensure_ascii=,indent=,separators=,sort_keys=", tojson},
    Builtin{"default", "default_value=,boolean=", otherwise},
    Builtin{"d", "default_value=,boolean=", otherwise},
    Builtin{"replace", "old,new,count=", replaced},
    Builtin{"indent", "width=,first=,blank=", indent},
    Builtin{"int", "default=,base=", as_integer},
    Builtin{"float", "default=", as_float},
    Builtin{"abs", "", absolute},
    Builtin{"round", "precision=,method=", rounded},
    Builtin{"length", "", size_of},
    Builtin{"count", "", size_of},
    Builtin{"wordcount", "", word_count},
    Builtin{"attr", "name", attribute_of},
};

}  // namespace

BuiltinTable filter_table() { return kFilters; }

}  // namespace diptych::jinja
