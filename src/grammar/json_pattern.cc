#include "grammar/json_pattern.h"

#include <algorithm>
#include <optional>

#include "base/in_quotes.h"
#include "grammar/source_reader.h"

namespace diptych::grammar {

namespace {

constexpr size_t kMostNesting = 100, kMostPatternRepeats = 1000, kMostPattern = 4096;

using Ranges = std::vector<CharRange>;

const Ranges kDigit = {{'0', '9'}};
const Ranges kWord = {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}, {'_', '_'}};
const Ranges kSpace = {{' ', ' '}};  // others must be escaped in strings

class PatternParser : SourceReader {
 public:
  PatternParser(std::string_view pattern, const JsonRules& json)
      : SourceReader(pattern), json_(json) {}

  Result<Expression> parse() {
    if (source().size() > kMostPattern) {
      return unsupported("a pattern of {} bytes", source().size());
    }
    const bool from_start = take("^");
    const Expression body = TRY(parse_alternatives(0));
    if (!ended()) return unknown();
    if (alternatives_ && (from_start || ended_)) {
      return unsupported("pattern {}: ^ or $ beside alternatives; put them into a group",
                         in_quotes(source()));
    }
    const Expression anything = repeat(rule(json_.character), 0, kUnlimited);
    return sequence({text("\""), from_start ? text("") : anything, body,
                     ended_ ? text("") : anything, text("\"")});
  }

 private:
  tl::unexpected<Error> unknown() const {
    return unsupported("pattern {}: what stands at {} is not supported", in_quotes(source()), at());
  }

  Result<Expression> parse_alternatives(size_t depth) {
    if (depth > kMostNesting) return unknown();
    std::vector<Expression> alternatives;
    do {
      alternatives.push_back(TRY(parse_sequence(depth)));
    } while (take("|"));
    if (alternatives.size() == 1) return alternatives[0];
    if (depth == 0) alternatives_ = true;
    return any(std::move(alternatives));
  }

  Result<Expression> parse_sequence(size_t depth) {
    std::vector<Expression> parts;
    while (!ended() && peek() != '|' && peek() != ')') {
      if (depth == 0 && rest() == "$") {
        skip();
        ended_ = true;
        break;
      }
      parts.push_back(TRY(parse_repeated(TRY(parse_item(depth)))));
    }
    return sequence(std::move(parts));
  }

  Result<Expression> parse_item(size_t depth) {
    if (take(".")) return rule(json_.plain);
    if (take("(")) {
      if (peek() == '?' && !take("?:")) return unknown();
      const Expression group = TRY(parse_alternatives(depth + 1));
      if (!take(")")) return unknown();
      return group;
    }
    if (peek() == '[') return parse_class();
    if (peek() == '\\') {
      Ranges ranges;
      TRY(parse_escape(ranges));
      return in_string(ranges);
    }
    if (std::string_view("^$*+?{}").find(peek()) != std::string_view::npos) return unknown();
    const uint32_t c = TRY(parse_char());
    return in_string({{c, c}});
  }

  Result<Expression> parse_repeated(Expression part) {
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
      if (!take("}") || most < least) return unknown();
      part = repeat(part, least, most);
    } else {
      return part;
    }
    take("?");  // how eagerly a repetition matches makes no difference here
    return part;
  }

  Result<size_t> parse_number() {
    const std::optional<size_t> number = take_number(kMostPatternRepeats);
    if (!number) return unknown();
    return *number;
  }

  Result<uint32_t> parse_char() {
    const std::optional<uint32_t> c = take_char();
    if (!c) return unknown();
    return *c;
  }

  // What a backslash means: a kind of characters or one.
  Status parse_escape(Ranges& ranges) {
    const size_t here = at();
    skip();
    const char kind = peek();
    skip();
    const auto add = [&](const Ranges& more) {
      ranges.insert(ranges.end(), more.begin(), more.end());
      return Status();
    };
    // Of ASCII alone: what else is a letter or a digit, validators do not agree upon.
    const auto add_opposite = [&](Ranges of) {
      of.push_back({0x7F, kLastChar});
      return add(chars_except(std::move(of))->ranges);
    };
    switch (kind) {
      case 'd':
        return add(kDigit);
      case 'w':
        return add(kWord);
      case 's':
        return add(kSpace);
      case 'D':
        return add_opposite(kDigit);
      case 'W':
        return add_opposite(kWord);
      case 'S':
        return add_opposite({{0, ' '}});
      default:
        break;
    }
    const bool letter = (kind >= 'a' && kind <= 'z') || (kind >= 'A' && kind <= 'Z') ||
                        (kind >= '0' && kind <= '9');
    if (letter || kind == '\0' || static_cast<uint8_t>(kind) >= 0x80) {
      go_to(here);
      return unknown();
    }
    return add({{static_cast<uint32_t>(kind), static_cast<uint32_t>(kind)}});
  }

  Result<Expression> parse_class() {
    skip();
    const bool negated = take("^");
    Ranges ranges;
    for (bool first = true; first || peek() != ']'; first = false) {
      if (ended() || peek() == ']') return unknown();
      if (peek() == '\\') {
        const size_t before = ranges.size();
        TRY(parse_escape(ranges));
        const bool one = ranges.size() == before + 1 && ranges.back().first == ranges.back().last;
        if (!one) {
          if (negated) ranges.push_back({0x7F, kLastChar});
          continue;
        }
      } else {
        const uint32_t c = TRY(parse_char());
        ranges.push_back({c, c});
      }
      if (peek() != '-' || rest().starts_with("-]")) continue;
      skip();
      if (peek() == '\\') return unknown();
      ranges.back().last = TRY(parse_char());
      if (ranges.back().last < ranges.back().first) return unknown();
    }
    skip();
    return in_string(negated ? chars_except(std::move(ranges))->ranges : ranges);
  }

  // One of these characters as a string writes it: those that must be escaped, only where nothing
  // else is left.
  Result<Expression> in_string(const Ranges& ranges) const {
    std::vector<Expression> ways;
    Ranges plain;
    for (const CharRange& range : ranges) {
      // Around '"', '\\', DEL and the control characters.
      uint32_t first = range.first;
      for (const uint32_t hole : {0x22u, 0x5Cu, 0x7Fu}) {
        if (hole < first || hole > range.last) continue;
        if (hole > first) plain.push_back({first, hole - 1});
        if (hole != 0x7F) ways.push_back(text(hole == 0x22 ? "\\\"" : "\\\\"));
        first = hole + 1;
      }
      if (first <= range.last) plain.push_back({first, range.last});
    }
    std::erase_if(plain, [](const CharRange& range) { return range.last < 0x20; });
    for (CharRange& range : plain) range.first = std::max(range.first, 0x20u);
    if (!plain.empty()) ways.push_back(chars(std::move(plain)));
    if (ways.empty()) return unknown();
    return any(std::move(ways));
  }

  const JsonRules& json_;
  bool ended_ = false, alternatives_ = false;
};

}  // namespace

Result<Expression> json_pattern(std::string_view pattern, const JsonRules& json) {
  return PatternParser(pattern, json).parse();
}

}  // namespace diptych::grammar
