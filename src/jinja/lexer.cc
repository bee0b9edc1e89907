#include "jinja/lexer.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/in_quotes.h"
#include "jinja/strings.h"
#include "text/unicode_forms.h"
#include "text/utf8.h"

namespace diptych::jinja {

namespace {

constexpr size_t kMaxTokens = 1'000'000;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<uint8_t>(c) >= 0x80;
}
bool is_name_part(char c) { return is_name_start(c) || is_digit(c); }

// All line ends become "\n", and one at the very end goes.
std::string with_plain_newlines(std::string_view source) {
  std::string text;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      text += source[i];
    } else {
      text += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    }
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {}

  Result<std::vector<Token>> run() {
    while (at_ < source_.size()) {
      const size_t tag = next_tag(at_);
      if (tag == source_.npos) {
        add_text(at_, source_.size());
        at_ = source_.size();
        break;
      }
      TRY(read_tag(tag));
      if (tokens_.size() > kMaxTokens) return unsupported("more than {} tokens", kMaxTokens);
    }
    add(TokenKind::End, source_.size());
    return std::move(tokens_);
  }

 private:
  std::string_view rest(size_t at) const { return std::string_view(source_).substr(at); }
  bool looking_at(size_t at, std::string_view text) const { return rest(at).starts_with(text); }

  // Tokens come in order, so lines are counted once.
  Position position(size_t at) {
    for (; counted_ < at; ++counted_) {
      const char c = source_[counted_];
      if (c == '\n') {
        ++here_.line;
        here_.column = 1;
      } else if ((static_cast<uint8_t>(c) & 0xC0) != 0x80) {
        ++here_.column;
      }
    }
    return here_;
  }

  tl::unexpected<Error> error(size_t at, std::string_view message) {
    const Position where = position(std::max(at, counted_));
    return invalid_data("{}: {}", to_string(where), message);
  }

  Token& add(TokenKind kind, size_t at, std::string text = {}) {
    Token& token = tokens_.emplace_back();
    token.kind = kind;
    token.at = position(at);
    token.text = std::move(text);
    return token;
  }

  void add_text(size_t begin, size_t end) {
    if (begin < end) add(TokenKind::Text, begin, source_.substr(begin, end - begin));
  }

  size_t next_tag(size_t from) const {
    for (size_t at = source_.find('{', from); at != source_.npos; at = source_.find('{', at + 1)) {
      if (looking_at(at, "{%") || looking_at(at, "{{") || looking_at(at, "{#")) return at;
    }
    return source_.npos;
  }

  size_t skip_space(size_t at) const {
    while (at < source_.size() && is_space(text::first_character(rest(at)))) {
      at += text::next_utf8(rest(at)).size;
    }
    return at;
  }

  // The text before a tag at `tag` with the control `sign`: what the tag strips from it is gone.
  void add_text_before(size_t tag, char sign, bool is_variable) {
    size_t end = tag;
    if (sign == '-') {
      end = at_ + strip_right(rest(at_).substr(0, tag - at_)).size();
    } else if (sign != '+' && !is_variable) {
      const size_t newline = rest(at_).substr(0, tag - at_).rfind('\n');
      const bool has_newline = newline != source_.npos;
      const size_t line = at_ + (has_newline ? newline + 1 : 0);
      if ((has_newline || line_starting_) && skip_space(line) >= tag) end = line;
    }
    add_text(at_, end);
  }

  // What ends a block or comment whose closing mark is at `at` ("-%}", "+%}" or "%}"): the place
  // after it and after what it strips, or npos.
  size_t closing(size_t at, std::string_view mark) {
    const char sign = at < source_.size() ? source_[at] : '\0';
    const bool has_sign = (sign == '-' || sign == '+') && looking_at(at + 1, mark);
    if (!has_sign && !looking_at(at, mark)) return source_.npos;
    size_t end = at + mark.size() + (has_sign ? 1 : 0);
    if (has_sign && sign == '-') {
      end = skip_space(end);
    } else if (!has_sign && mark != "}}" && looking_at(end, "\n")) {
      ++end;
    }
    return end;
  }

  void finish_tag(size_t end) {
    line_starting_ = source_[end - 1] == '\n';
    at_ = end;
  }

  Status read_tag(size_t tag) {
    const char kind = source_[tag + 1];
    char sign = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    if (sign != '-' && sign != '+') sign = '\0';
    const size_t inside = tag + 2 + (sign != '\0' ? 1 : 0);
    add_text_before(tag, sign, kind == '{');
    if (kind == '#') return read_comment(tag, inside);
    if (kind == '%') {
      if (const size_t raw = raw_begin(inside); raw != source_.npos) return read_raw(tag, raw);
    }
    add(kind == '{' ? TokenKind::VariableBegin : TokenKind::BlockBegin, tag);
    return read_inside(tag, inside, kind == '{');
  }

  Status read_comment(size_t tag, size_t inside) {
    size_t mark = source_.find("#}", inside);
    if (mark == source_.npos) return error(tag, "the comment does not end");
    const bool has_sign = mark > inside && (source_[mark - 1] == '-' || source_[mark - 1] == '+');
    finish_tag(closing(has_sign ? mark - 1 : mark, "#}"));
    return {};
  }

  // Past "raw %}", when that stands here.
  size_t raw_begin(size_t inside) {
    size_t at = skip_space(inside);
    if (!looking_at(at, "raw")) return source_.npos;
    at = skip_space(at + 3);
    if (looking_at(at, "-%}")) return skip_space(at + 3);
    return looking_at(at, "%}") ? at + 2 : source_.npos;
  }

  Status read_raw(size_t tag, size_t begin) {
    at_ = begin;
    line_starting_ = false;
    for (size_t mark = source_.find("{%", begin); mark != source_.npos;
         mark = source_.find("{%", mark + 1)) {
      char sign = mark + 2 < source_.size() ? source_[mark + 2] : '\0';
      if (sign != '-' && sign != '+') sign = '\0';
      const size_t name = skip_space(mark + 2 + (sign != '\0' ? 1 : 0));
      if (!looking_at(name, "endraw")) continue;
      const size_t end = closing(skip_space(name + 6), "%}");
      if (end == source_.npos) continue;
      add_text_before(mark, sign, false);
      finish_tag(end);
      return {};
    }
    return error(tag, "the raw block does not end");
  }

  Status read_inside(size_t tag, size_t at, bool is_variable) {
    const std::string_view mark = is_variable ? "}}" : "%}";
    std::string open;  // brackets that wait for their partners
    while (true) {
      at = skip_space(at);
      if (at >= source_.size()) {
        return error(tag, is_variable ? "\"{{\" has no \"}}\"" : "\"{%\" has no \"%}\"");
      }
      if (open.empty() && !(is_variable && source_[at] == '+')) {
        if (const size_t end = closing(at, mark); end != source_.npos) {
          add(is_variable ? TokenKind::VariableEnd : TokenKind::BlockEnd, at);
          finish_tag(end);
          return {};
        }
      }
      at = TRY(read_token(at, open));
      if (tokens_.size() > kMaxTokens) return unsupported("more than {} tokens", kMaxTokens);
    }
  }

  // Returns where the token ends.
  Result<size_t> read_token(size_t at, std::string& open) {
    const char c = source_[at];
    if (is_digit(c)) return read_number(at);
    if (is_name_start(c)) {
      size_t end = at;
      while (end < source_.size() && is_name_part(source_[end])) ++end;
      add(TokenKind::Name, at, source_.substr(at, end - at));
      return end;
    }
    if (c == '"' || c == '\'') return read_string(at);
    constexpr std::array<std::string_view, 6> kLong = {"//", "**", "==", "!=", ">=", "<="};
    constexpr std::string_view kShort = "+-/*%~[](){}=<>.:|,;";
    std::string_view text = rest(at).substr(0, 2);
    if (std::find(kLong.begin(), kLong.end(), text) == kLong.end()) text = text.substr(0, 1);
    if (text.size() == 1 && kShort.find(text[0]) == kShort.npos) {
      return error(at, fmt::format("unexpected character {}",
                                   in_quotes(rest(at).substr(0, text::next_utf8(rest(at)).size))));
    }
    if (text == "(" || text == "[" || text == "{") {
      open += text[0] == '(' ? ')' : text[0] == '[' ? ']' : '}';
    } else if (text == ")" || text == "]" || text == "}") {
      if (open.empty() || open.back() != text[0]) {
        return error(at, fmt::format("unexpected \"{}\"", text));
      }
      open.pop_back();
    }
    add(TokenKind::Operator, at, std::string(text));
    return at + text.size();
  }

  Result<size_t> read_number(size_t at) {
    size_t end = at;
    int base = 10;
    const auto digits = [&](auto is_one) {
      while (end < source_.size() && (is_one(source_[end]) || source_[end] == '_')) ++end;
    };
    const auto is_hex = [](char c) {
      return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    };
    const char mark = end + 1 < source_.size() && source_[end] == '0'
                          ? static_cast<char>(source_[end + 1] | 0x20)
                          : '\0';
    bool is_float = false;
    if (mark == 'x' || mark == 'o' || mark == 'b') {
      base = mark == 'x' ? 16 : mark == 'o' ? 8 : 2;
      end += 2;
      digits(is_hex);
    } else {
      digits(is_digit);
      const bool after_dot = at > 0 && source_[at - 1] == '.';
      if (!after_dot && end + 1 < source_.size() && source_[end] == '.' &&
          is_digit(source_[end + 1])) {
        is_float = true;
        ++end;
        digits(is_digit);
      }
      if (!after_dot && end < source_.size() && (source_[end] | 0x20) == 'e') {
        size_t exponent = end + 1;
        if (exponent < source_.size() && (source_[exponent] == '+' || source_[exponent] == '-')) {
          ++exponent;
        }
        if (exponent < source_.size() && is_digit(source_[exponent])) {
          is_float = true;
          end = exponent;
          digits(is_digit);
        }
      }
    }
    std::string text = source_.substr(at, end - at);
    const bool zeros =
        base == 10 && !is_float && text[0] == '0' && text.find_first_not_of("0_") != text.npos;
    if (zeros || text.find("__") != text.npos || text.ends_with('_')) {
      return error(at, fmt::format("the number {} cannot be used", in_quotes(text)));
    }
    std::erase(text, '_');
    Token& token = add(is_float ? TokenKind::Float : TokenKind::Integer, at, text);
    const char* const last = text.data() + text.size();
    const char* const first = text.data() + (base == 10 ? 0 : 2);
    const auto parsed = is_float ? std::from_chars(first, last, token.number)
                                 : std::from_chars(first, last, token.integer, base);
    if (parsed.ec != std::errc() || parsed.ptr != last) {
      return error(at, fmt::format("the number {} cannot be used", in_quotes(text)));
    }
    return end;
  }

  Result<size_t> read_string(size_t at) {
    const char quote = source_[at];
    std::string value;
    for (size_t i = at + 1; i < source_.size(); ++i) {
      if (source_[i] == quote) {
        add(TokenKind::String, at, std::move(value));
        return i + 1;
      }
      if (source_[i] != '\\') {
        value += source_[i];
        continue;
      }
      i = TRY(read_escape(i, value));
    }
    return error(at, "the string does not end");
  }

  // Python's escapes; `at` is the backslash. Returns the last place that was read.
  Result<size_t> read_escape(size_t at, std::string& value) {
    if (at + 1 >= source_.size()) return error(at, "the string does not end");
    const char c = source_[at + 1];
    constexpr std::string_view kNames = "abfnrtv\\'\"";
    constexpr std::string_view kValues = "\a\b\f\n\r\t\v\\'\"";
    if (const size_t known = kNames.find(c); known != kNames.npos) {
      value += kValues[known];
      return at + 1;
    }
    if (c == '\n') return at + 1;  // the line goes on
    if (c >= '0' && c <= '7') {
      uint32_t code = 0;
      size_t end = at + 1;
      while (end < at + 4 && end < source_.size() && source_[end] >= '0' && source_[end] <= '7') {
        code = code * 8 + static_cast<uint32_t>(source_[end++] - '0');
      }
      text::append_utf8(code, value);
      return end - 1;
    }
    const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits == 0) {
      if (c == 'N') return error(at, "names of characters (\\N) are not supported");
      value += '\\';  // as Python does: an unknown escape is two characters
      return at;
    }
    uint32_t code = 0;
    const std::string_view hex = rest(at + 2).substr(0, digits);
    const auto parsed = std::from_chars(hex.data(), hex.data() + hex.size(), code, 16);
    const bool good = hex.size() == digits && parsed.ptr == hex.data() + hex.size() &&
                      code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
    if (!good) return error(at, "a damaged escape in a string");
    text::append_utf8(code, value);
    return at + 1 + digits;
  }

  std::string source_;
  size_t at_ = 0;
  bool line_starting_ = true;
  size_t counted_ = 0;
  Position here_{1, 1};
  std::vector<Token> tokens_;
};

}  // namespace

std::string to_string(const Position& at) {
  return fmt::format("line {}, column {}", at.line, at.column);
}

Result<std::vector<Token>> tokenize(std::string_view source) {
  return Lexer(with_plain_newlines(source)).run();
}

}  // namespace diptych::jinja
