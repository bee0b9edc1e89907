#include "text/regex_syntax.h"

#include "text/regex.h"

namespace diptych::text {

namespace {

// Letters in the wide sense (the circled ones are symbols by category), marks, digits, connectors.
constexpr std::string_view kWord =
    R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189})";
constexpr std::string_view kSpace = DIPTYCH_REGEX_SPACE;

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool is_letter_or_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  Result<std::string> run() {
    while (at_ < pattern_.size()) {
      const std::string_view rest = pattern_.substr(at_);
      if (rest[0] == '\\') {
        TRY(escape());
      } else if (in_class_) {
        TRY(class_character(rest));
      } else {
        TRY(character(rest));
      }
    }
    return std::move(out_);
  }

 private:
  tl::unexpected<Error> refuse(std::string_view what) const {
    return unsupported("the regular expression has {} at byte {}, which is not supported", what,
                       at_);
  }
  void copy(size_t size) {
    out_ += pattern_.substr(at_, size);
    at_ += size;
  }
  // A class that stands alone or within brackets.
  Status put_class(std::string_view inside, bool negated) {
    if (in_class_ && negated) return refuse("a negated class inside of brackets");
    if (!in_class_) out_ += negated ? "[^" : "[";
    out_ += inside;
    if (!in_class_) out_ += "]";
    at_ += 2;
    return {};
  }

  Status character(std::string_view rest) {
    if (rest[0] == '[') {
      in_class_ = true;
      copy(rest.substr(1).starts_with('^') ? 2 : 1);
      if (pattern_.substr(at_).starts_with(']')) return refuse("\"]\" as the first of a class");
      return {};
    }
    if (rest.starts_with("{,")) return refuse("\"{,\"");
    if (rest.starts_with("}+")) return refuse("\"}+\"");
    if (rest.starts_with("(*")) return refuse("\"(*\"");
    if (rest[0] == '#') {  // a comment for neither of the two, but keep PCRE2 from seeing one
      out_ += "\\#";
      ++at_;
      return {};
    }
    if (rest.starts_with("(?")) {
      for (const std::string_view group :
           {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?i)"}) {
        // A flag in the middle takes in the alternatives after it here and not there.
        if (rest.starts_with(group) && (group != "(?i)" || at_ == 0)) {
          copy(group.size());
          return {};
        }
      }
      return refuse("a group \"(?\" of an unknown kind");
    }
    copy(1);
    return {};
  }

  Status class_character(std::string_view rest) {
    if (rest[0] == '[') return refuse("\"[\" inside of brackets");
    if (rest.starts_with("&&")) return refuse("\"&&\" inside of brackets");
    if (rest[0] == ']') in_class_ = false;
    copy(1);
    return {};
  }

  Status escape() {
    const std::string_view rest = pattern_.substr(at_);
    if (rest.size() < 2) return refuse("a lone \"\\\"");
    const char c = rest[1];
    switch (c) {
      case 's':
      case 'S':
        return put_class(kSpace, c == 'S');
      case 'w':
      case 'W':
        return put_class(kWord, c == 'W');
      case 'd':
        return put_class(R"(\p{Nd})", false);
      case 'D':
        return put_class(R"(\p{Nd})", true);
      case 'v':
        out_ += R"(\x{B})";
        at_ += 2;
        return {};
      case 'r':
      case 'n':
      case 't':
      case 'f':
        copy(2);
        return {};
      case 'p':
      case 'P': {
        const size_t end = rest.find('}');
        if (rest.size() < 3 || rest[2] != '{' || end == rest.npos) return refuse("\"\\p\"");
        copy(end + 1);
        return {};
      }
      case 'u':
        return code_point(4);
      case 'x':
        if (rest.size() > 2 && rest[2] == '{') {
          const size_t end = rest.find('}');
          if (end == rest.npos) return refuse("\"\\x{\"");
          copy(end + 1);
          return {};
        }
        return code_point(2);
      default:
        if (is_letter_or_digit(c)) return refuse(fmt::format("\"\\{}\"", c));
        copy(2);
        return {};
    }
  }

  Status code_point(size_t digits) {
    const std::string_view number = pattern_.substr(at_ + 2, digits);
    bool good = number.size() == digits;
    for (const char c : number) good = good && is_hex(c);
    if (digits == 2 && good && number[0] > '7') return refuse("\"\\x\" of a byte above 7F");
    if (!good) return refuse("a damaged hexadecimal escape");
    out_ += fmt::format("\\x{{{}}}", number);
    at_ += 2 + digits;
    return {};
  }

  std::string_view pattern_;
  size_t at_ = 0;
  bool in_class_ = false;
  std::string out_;
};

}  // namespace

Result<std::string> pcre2_from_oniguruma(std::string_view pattern) {
  return Translator(pattern).run();
}

}  // namespace diptych::text
