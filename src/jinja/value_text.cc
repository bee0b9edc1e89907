// How values are written: str(), repr() and JSON.
#include <utf8proc.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "jinja/value.h"
#include "text/unicode_forms.h"
#include "text/utf8.h"

namespace diptych::jinja {

namespace {

bool is_printable(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    case UTF8PROC_CATEGORY_ZS:
      return c == ' ';
    default:
      return true;
  }
}

void append_quoted(std::string_view text, std::string& out) {
  const bool has_single = text.find('\'') != text.npos, has_double = text.find('"') != text.npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  out += quote;
  while (!text.empty()) {
    const char32_t c = text::first_character(text);
    const size_t size = text::next_utf8(text).size;
    if (c == '\\' || c == static_cast<char32_t>(quote)) {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (is_printable(c)) {
      out += text.substr(0, size);
    } else if (c < 0x100) {
      out += fmt::format("\\x{:02x}", static_cast<uint32_t>(c));
    } else if (c < 0x10000) {
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
    } else {
      out += fmt::format("\\U{:08x}", static_cast<uint32_t>(c));
    }
    text.remove_prefix(size);
  }
  out += quote;
}

// Values that share their parts can be larger than memory when written.
constexpr size_t kMaxTextBytes = size_t{64} << 20;

Status check_walk(int depth, size_t size, Meter& meter) {
  TRY(meter.step());
  if (depth > kMaxValueDepth) {
    return unsupported("a value nests deeper than {} levels", kMaxValueDepth);
  }
  if (size > kMaxTextBytes) {
    return unsupported("a value is larger than {} MiB when written", kMaxTextBytes >> 20);
  }
  return {};
}

class ReprWriter {
 public:
  explicit ReprWriter(Meter& meter) : meter_(meter) {}

  Status write(const Value& value, int depth) {
    TRY(check_walk(depth, out.size(), meter_));
    switch (value.kind()) {
      case Kind::Undefined:
        out += "Undefined";
        return {};
      case Kind::String:
        TRY(meter_.characters(value.string().size()));
        append_quoted(value.string(), out);
        return {};
      case Kind::List:
        return items(value, "[", "]", depth);
      case Kind::Tuple:
        return items(value, "(", value.items().size() == 1 ? ",)" : ")", depth);
      case Kind::Dict:
        return entries(value, depth);
      case Kind::Namespace:
      case Kind::Function:
      case Kind::Loop:
        return unsupported("a {} cannot be printed", type_name(value));
      default:
        out += TRY(to_text(value, meter_));
        return {};
    }
  }

  std::string out;

 private:
  Status items(const Value& value, std::string_view open, std::string_view close, int depth) {
    out += open;
    bool first = true;
    for (const Value& item : value.items()) {
      if (!first) out += ", ";
      first = false;
      TRY(write(item, depth + 1));
    }
    out += close;
    return {};
  }

  Status entries(const Value& value, int depth) {
    out += '{';
    bool first = true;
    for (const auto& [key, entry] : value.entries()) {
      if (!first) out += ", ";
      first = false;
      TRY(write(key, depth + 1));
      out += ": ";
      TRY(write(entry, depth + 1));
    }
    out += '}';
    return {};
  }

  Meter& meter_;
};

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, Meter& meter) : style_(style), meter_(meter) {}

  Status write(const Value& value, int depth) {
    TRY(check_walk(depth, out.size(), meter_));
    switch (value.kind()) {
      case Kind::None:
        out += "null";
        return {};
      case Kind::Bool:
        out += value.boolean() ? "true" : "false";
        return {};
      case Kind::Int:
        out += fmt::format("{}", value.integer());
        return {};
      case Kind::Float:
        out += number(value.number());
        return {};
      case Kind::String:
        return string(value.string());
      case Kind::List:
      case Kind::Tuple:
        return items(value.items(), depth);
      case Kind::Dict:
        return entries(value.entries(), depth);
      default:
        return invalid_argument("{} cannot be written as JSON",
                                value.is(Kind::Undefined) ? std::string("an undefined value")
                                                          : fmt::format("a {}", type_name(value)));
    }
  }

  std::string out;

 private:
  static std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
    return float_text(value);
  }

  Status string(std::string_view text) {
    TRY(meter_.characters(text.size()));
    out += '"';
    for (const char c : text) {
      switch (c) {
        case '"':
          out += "\\\"";
          break;
        case '\\':
          out += "\\\\";
          break;
        case '\n':
          out += "\\n";
          break;
        case '\r':
          out += "\\r";
          break;
        case '\t':
          out += "\\t";
          break;
        case '\f':
          out += "\\f";
          break;
        case '\b':
          out += "\\b";
          break;
        default:
          if (static_cast<uint8_t>(c) < 0x20) {
            out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
          } else {
            out += c;
          }
      }
    }
    out += '"';
    return {};
  }

  // Between items and around them.
  Status separate(std::string_view separator, int depth) {
    out += separator;
    const size_t spaces =
        style_.indent < 0 ? 0 : static_cast<size_t>(style_.indent) * static_cast<size_t>(depth);
    if (style_.indent >= 0) out += '\n';
    out.append(spaces, ' ');
    return meter_.bytes(separator.size() + spaces);
  }

  Status items(const Items& items, int depth) {
    if (items.empty()) {
      out += "[]";
      return {};
    }
    out += '[';
    for (size_t i = 0; i < items.size(); ++i) {
      TRY(separate(i > 0 ? style_.item_separator : std::string_view(), depth + 1));
      TRY(write(items[i], depth + 1));
    }
    TRY(separate({}, depth));
    out += ']';
    return {};
  }

  // An entry with the text of its key, which is the key's own where that is a string.
  struct Named {
    std::string text;
    const std::pair<Value, Value>* entry;

    std::string_view name() const {
      return entry->first.is_string() ? std::string_view(entry->first.string()) : text;
    }
  };

  Status entries(const Entries& entries, int depth) {
    if (entries.empty()) {
      out += "{}";
      return {};
    }
    TRY(meter_.step(entries.size()));
    std::vector<Named> named;
    for (const auto& entry : entries) named.push_back({TRY(key_text(entry.first)), &entry});
    if (style_.sort_keys) TRY(sort(named));
    out += '{';
    for (size_t i = 0; i < named.size(); ++i) {
      TRY(separate(i > 0 ? style_.item_separator : std::string_view(), depth + 1));
      TRY(string(named[i].name()));
      out += style_.key_separator;
      TRY(meter_.bytes(style_.key_separator.size()));
      TRY(write(named[i].entry->second, depth + 1));
    }
    TRY(separate({}, depth));
    out += '}';
    return {};
  }

  Status sort(std::vector<Named>& named) {
    Status enough;
    std::stable_sort(named.begin(), named.end(), [&](const Named& a, const Named& b) {
      if (enough) enough = meter_.step(1 + std::min(a.name().size(), b.name().size()) / 64);
      return enough && a.name() < b.name();
    });
    return enough;
  }

  static Result<std::string> key_text(const Value& key) {
    if (key.is_string()) return std::string();
    if (key.is(Kind::None)) return std::string("null");
    if (key.is(Kind::Bool)) return std::string(key.boolean() ? "true" : "false");
    if (key.is(Kind::Int)) return fmt::format("{}", key.integer());
    if (key.is(Kind::Float)) return number(key.number());
    return invalid_argument("a {} cannot be a key of JSON", type_name(key));
  }

  const JsonStyle& style_;
  Meter& meter_;
};

}  // namespace

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[40];
  const auto shortest =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  const std::string scientific(buffer, shortest.ptr);  // [-]d[.ddd]e±dd
  const int exponent = std::atoi(scientific.c_str() + scientific.find('e') + 1);
  if (exponent < -4 || exponent >= 16) return scientific;
  const auto fixed = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
  std::string text(buffer, fixed.ptr);
  if (text.find('.') == text.npos) text += ".0";
  return text;
}

Result<std::string> to_text(const Value& value, Meter& meter) {
  switch (value.kind()) {
    case Kind::Undefined:
      return std::string();
    case Kind::None:
      return std::string("None");
    case Kind::Bool:
      return std::string(value.boolean() ? "True" : "False");
    case Kind::Int:
      return fmt::format("{}", value.integer());
    case Kind::Float:
      return float_text(value.number());
    case Kind::String:
      TRY(meter.bytes(value.string().size()));
      return value.string();
    default:
      return to_repr(value, meter);
  }
}

Result<std::string> to_repr(const Value& value, Meter& meter) {
  ReprWriter writer(meter);
  TRY(writer.write(value, 0));
  return std::move(writer.out);
}

Result<std::string> to_json(const Value& value, const JsonStyle& style, Meter& meter) {
  JsonWriter writer(style, meter);
  TRY(writer.write(value, 0));
  return std::move(writer.out);
}

}  // namespace diptych::jinja
