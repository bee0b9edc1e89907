#include "grammar/gbnf.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "base/in_quotes.h"
#include "grammar/source_reader.h"

namespace diptych::grammar {

namespace {

constexpr size_t kMostSource = 1 << 20, kMostGroups = 200, kMostCopies = 10'000;

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

class GbnfParser : SourceReader {
 public:
  explicit GbnfParser(std::string_view source) : SourceReader(source) {}

  Result<std::shared_ptr<const Automaton>> parse() {
    if (source().size() > kMostSource) {
      return invalid_data("{} bytes of grammar, expected at most {}", source().size(), kMostSource);
    }
    for (skip_space(true); !ended(); skip_space(true)) TRY(parse_rule());
    for (size_t i = 0; i < rules_.size(); ++i) {
      if (rules_[i].body == nullptr) {
        return invalid_data("line {}: there is no rule {}", line(used_at_[i]), rules_[i].name);
      }
    }
    const auto root = indices_.find("root");
    if (root == indices_.end()) return invalid_data("there is no rule root");
    return compile(rules_, root->second);
  }

 private:
  size_t line(size_t at) const {
    const std::string_view before = source().substr(0, at);
    return 1 + static_cast<size_t>(std::count(before.begin(), before.end(), '\n'));
  }
  template <class... Args>
  tl::unexpected<Error> wrong(fmt::format_string<Args...> format, Args&&... args) const {
    return invalid_data("line {}: {}", line(at()),
                        fmt::format(format, std::forward<Args>(args)...));
  }
  tl::unexpected<Error> expected(std::string_view what) const {
    return wrong("expected {}, found {}", what,
                 ended() ? std::string("the end") : in_quotes(rest().substr(0, 20)));
  }

  // Over spaces and comments, and over ends of lines as well.
  void skip_space(bool lines) {
    for (;; skip()) {
      if (peek() == '#') go_to(std::min(source().find('\n', at()), source().size()));
      const char c = peek();
      if (ended() || !(c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r')))) return;
    }
  }

  Result<std::string> parse_name() {
    const std::string_view begun = rest();
    while (is_name(peek())) skip();
    const std::string_view name = begun.substr(0, begun.size() - rest().size());
    if (name.empty()) return expected("a rule's name");
    return std::string(name);
  }
  size_t index_of(const std::string& name) {
    const auto [found, is_new] = indices_.try_emplace(name, rules_.size());
    if (is_new) {
      rules_.push_back({name, nullptr});
      used_at_.push_back(at());
    }
    return found->second;
  }

  Status parse_rule() {
    const std::string name = TRY(parse_name());
    const size_t index = index_of(name);
    skip_space(false);
    if (!take("::=")) return expected("::=");
    if (rules_[index].body != nullptr) return wrong("rule {} is there twice", name);
    skip_space(true);
    rules_[index].body = TRY(parse_alternatives(0));
    skip_space(false);
    if (!ended() && peek() != '\n' && peek() != '\r') return expected("the line's end");
    return {};
  }

  Result<Expression> parse_alternatives(size_t depth) {
    if (depth > kMostGroups) return wrong("more than {} groups within one another", kMostGroups);
    std::vector<Expression> alternatives;
    do {
      skip_space(true);
      alternatives.push_back(TRY(parse_sequence(depth)));
      const size_t here = at();
      skip_space(true);  // an alternative may begin the next line
      if (peek() != '|' && depth == 0) go_to(here);
    } while (take("|"));
    return alternatives.size() == 1 ? alternatives[0] : any(std::move(alternatives));
  }

  Result<Expression> parse_sequence(size_t depth) {
    std::vector<Expression> parts;
    for (;;) {
      skip_space(depth > 0);
      const char c = peek();
      if (ended() || c == '|' || c == ')' || c == '\n' || c == '\r') break;
      parts.push_back(TRY(parse_repeated(TRY(parse_item(depth)))));
    }
    return sequence(std::move(parts));
  }

  Result<Expression> parse_item(size_t depth) {
    const char c = peek();
    if (c == '"') return parse_literal();
    if (c == '[') return parse_class();
    if (take(".")) return chars({{0, kLastChar}});
    if (take("(")) {
      const Expression group = TRY(parse_alternatives(depth + 1));
      skip_space(true);
      if (!take(")")) return expected("\")\"");
      return group;
    }
    if (!is_name(c)) return expected("a literal, a class, a group or a rule's name");
    return rule(index_of(TRY(parse_name())));
  }

  Result<Expression> parse_repeated(Expression part) {
    for (;;) {
      if (take("*")) {
        part = repeat(part, 0, kUnlimited);
      } else if (take("+")) {
        part = repeat(part, 1, kUnlimited);
      } else if (take("?")) {
        part = optional(part);
      } else if (take("{")) {
        const size_t least = TRY(parse_number());
        size_t most = least;
        if (take(",")) most = peek() == '}' ? kUnlimited : TRY(parse_number());
        if (!take("}") || most < least) return expected("{m}, {m,} or {m,n}");
        part = repeat(part, least, most);
      } else {
        return part;
      }
    }
  }

  Result<size_t> parse_number() {
    const std::optional<size_t> number = take_number(kMostCopies);
    if (!number) return expected(fmt::format("a number up to {}", kMostCopies));
    return *number;
  }

  // A character of a literal or a class, which may be escaped.
  Result<uint32_t> parse_char() {
    if (ended() || peek() == '\n') return expected("a closing quote or bracket");
    if (peek() != '\\') {
      const std::optional<uint32_t> c = take_char();
      if (!c) return wrong("the grammar is not UTF-8");
      return *c;
    }
    skip();
    const size_t here = at();
    const char kind = peek();
    skip();
    switch (kind) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'x':
        return parse_hex(2);
      case 'u':
        return parse_hex(4);
      case 'U':
        return parse_hex(8);
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
      case '^':
        return static_cast<uint32_t>(kind);
      default:
        go_to(here);
        return expected("one of n, r, t, x, u, U, \\, \", [, ], - and ^ after a backslash");
    }
  }
  Result<uint32_t> parse_hex(size_t digits) {
    const std::string_view text = rest().substr(0, digits);
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc() || end != text.data() + digits || value > kLastChar) {
      return expected(fmt::format("{} hexadecimal digits of a character", digits));
    }
    skip(digits);
    return value;
  }

  Result<Expression> parse_literal() {
    skip();
    std::vector<Expression> parts;
    while (!take("\"")) {
      const uint32_t c = TRY(parse_char());
      parts.push_back(chars({{c, c}}));
    }
    return sequence(std::move(parts));
  }

  Result<Expression> parse_class() {
    skip();
    const bool negated = take("^");
    std::vector<CharRange> ranges;
    while (!take("]")) {
      const uint32_t first = TRY(parse_char());
      uint32_t last = first;
      if (peek() == '-' && !rest().starts_with("-]")) {
        skip();
        last = TRY(parse_char());
      }
      if (last < first) return wrong("a range of characters runs backwards");
      ranges.push_back({first, last});
    }
    if (ranges.empty() && !negated) return wrong("a class without characters");
    return negated ? chars_except(std::move(ranges)) : chars(std::move(ranges));
  }

  std::vector<Rule> rules_;
  std::vector<size_t> used_at_;  // where in the source each was named first
  std::map<std::string, size_t> indices_;
};

}  // namespace

Result<std::shared_ptr<const Automaton>> parse_gbnf(std::string_view source) {
  return GbnfParser(source).parse();
}

}  // namespace diptych::grammar
