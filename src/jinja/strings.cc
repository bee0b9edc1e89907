#include "jinja/strings.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstring>

#include "text/unicode_forms.h"
#include "text/utf8.h"

namespace diptych::jinja {

namespace {

size_t last_size(std::string_view text) {
  size_t size = 1;
  while (size < text.size() && (static_cast<uint8_t>(text[text.size() - size]) & 0xC0) == 0x80) {
    ++size;
  }
  return size;
}

bool contains(std::string_view set, std::string_view character) {
  // Both are whole characters of UTF-8, so a find cannot match across a border.
  return set.find(character) != set.npos;
}

utf8proc_category_t category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}
bool is_upper(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LU; }
bool is_lower(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LL; }
bool is_cased(char32_t c) {
  return is_upper(c) || is_lower(c) || category(c) == UTF8PROC_CATEGORY_LT;
}
bool is_letter(char32_t c) {
  const auto value = category(c);
  return is_cased(c) || value == UTF8PROC_CATEGORY_LM || value == UTF8PROC_CATEGORY_LO;
}
bool is_digit(char32_t c) { return category(c) == UTF8PROC_CATEGORY_ND; }

constexpr char32_t kSharpS = 0xDF, kCapitalIWithDot = 0x130;
constexpr char32_t kSigma = 0x3A3, kFinalSigma = 0x3C2;

void append_upper(char32_t c, std::string& out) {
  if (c == kSharpS) {
    out += "SS";
  } else {
    text::append_utf8(static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))),
                      out);
  }
}
void append_title(char32_t c, std::string& out) {
  if (c == kSharpS) {
    out += "Ss";
  } else {
    text::append_utf8(static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c))),
                      out);
  }
}
void append_lower(char32_t c, std::string& out) {
  if (c == kCapitalIWithDot) {
    out += "i\xCC\x87";
  } else {
    text::append_utf8(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))),
                      out);
  }
}

template <class Visit>
void each(std::string_view text, Visit visit) {
  while (!text.empty()) {
    visit(text::first_character(text));
    text.remove_prefix(first_size(text));
  }
}

template <class Test>
bool all(std::string_view text, Test test) {
  bool good = !text.empty();
  each(text, [&](char32_t c) { good = good && test(c); });
  return good;
}

// Lower case of the character at `at`; a capital sigma at the end of a word has a form of its own.
void append_lower_at(std::string_view text, size_t at, std::string& out) {
  const char32_t c = text::first_character(text.substr(at));
  if (c != kSigma) return append_lower(c, out);
  const std::string_view before = text.substr(0, at);
  const std::string_view after = text.substr(at + first_size(text.substr(at)));
  const bool follows =
      !before.empty() &&
      is_cased(text::first_character(before.substr(before.size() - last_size(before))));
  const bool goes_on = !after.empty() && is_cased(text::first_character(after));
  text::append_utf8(follows && !goes_on ? kFinalSigma : kSigma + 0x20, out);
}

}  // namespace

bool is_space(char32_t c) { return text::is_white_space(c) || (c >= 0x1C && c <= 0x1F); }

size_t length(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

size_t first_size(std::string_view text) { return text::next_utf8(text).size; }

std::string_view character_at(std::string_view text, size_t index) {
  for (; !text.empty() && index > 0; --index) text.remove_prefix(first_size(text));
  return text.empty() ? text : text.substr(0, first_size(text));
}

std::string every(std::string_view text, int64_t begin, int64_t end, int64_t step) {
  std::string out;
  if (step > 0) {
    for (int64_t i = 0; i < end && !text.empty(); ++i) {
      const size_t size = first_size(text);
      if (i >= begin && (i - begin) % step == 0) out += text.substr(0, size);
      text.remove_prefix(size);
    }
    return out;
  }
  for (auto i = static_cast<int64_t>(length(text)) - 1; i > end && !text.empty(); --i) {
    const size_t size = last_size(text);
    if (i <= begin && (i - begin) % step == 0) out += text.substr(text.size() - size);
    text.remove_suffix(size);
  }
  return out;
}

// The C library's search takes linear time for any needle, which that of std::string does not.
size_t find(std::string_view text, std::string_view needle, size_t from) {
  if (from > text.size()) return text.npos;
  const void* const found =
      memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  if (found == nullptr) return text.npos;
  return static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

size_t find_last(std::string_view text, std::string_view needle) {
  const std::string backwards(text.rbegin(), text.rend());
  const size_t found = find(backwards, std::string(needle.rbegin(), needle.rend()));
  return found == text.npos ? found : text.size() - needle.size() - found;
}

std::string_view strip_left(std::string_view text) {
  while (!text.empty() && is_space(text::first_character(text))) {
    text.remove_prefix(first_size(text));
  }
  return text;
}

std::string_view strip_right(std::string_view text) {
  while (!text.empty()) {
    const size_t size = last_size(text);
    if (!is_space(text::first_character(text.substr(text.size() - size)))) break;
    text.remove_suffix(size);
  }
  return text;
}

std::string_view strip_left(std::string_view text, std::string_view set) {
  while (!text.empty() && contains(set, text.substr(0, first_size(text)))) {
    text.remove_prefix(first_size(text));
  }
  return text;
}

std::string_view strip_right(std::string_view text, std::string_view set) {
  while (!text.empty()) {
    const size_t size = last_size(text);
    if (!contains(set, text.substr(text.size() - size))) break;
    text.remove_suffix(size);
  }
  return text;
}

std::string upper(std::string_view text) {
  std::string out;
  each(text, [&](char32_t c) { append_upper(c, out); });
  return out;
}

std::string lower(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size(); at += first_size(text.substr(at))) {
    append_lower_at(text, at, out);
  }
  return out;
}

std::string capitalize(std::string_view text) {
  if (text.empty()) return {};
  std::string out;
  append_title(text::first_character(text), out);
  for (size_t at = first_size(text); at < text.size(); at += first_size(text.substr(at))) {
    append_lower_at(text, at, out);
  }
  return out;
}

std::string title(std::string_view text) {
  std::string out;
  bool inside = false;
  for (size_t at = 0; at < text.size(); at += first_size(text.substr(at))) {
    const char32_t c = text::first_character(text.substr(at));
    if (inside) {
      append_lower_at(text, at, out);
    } else {
      append_title(c, out);
    }
    inside = is_cased(c);
  }
  return out;
}

std::string title_words(std::string_view text) {
  const auto is_border = [](char32_t c) {
    return is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
  };
  std::string out;
  while (!text.empty()) {
    size_t size = 0;
    const bool border = is_border(text::first_character(text));
    while (size < text.size() && is_border(text::first_character(text.substr(size))) == border) {
      size += first_size(text.substr(size));
    }
    const std::string_view word = text.substr(0, size);
    const size_t first = first_size(word);
    out += upper(word.substr(0, first));
    out += lower(word.substr(first));
    text.remove_prefix(size);
  }
  return out;
}

bool is_cased_upper(std::string_view text) {
  bool any = false, other = false;
  each(text, [&](char32_t c) {
    any = any || is_upper(c);
    other = other || (is_cased(c) && !is_upper(c));
  });
  return any && !other;
}

bool is_cased_lower(std::string_view text) {
  bool any = false, other = false;
  each(text, [&](char32_t c) {
    any = any || is_lower(c);
    other = other || (is_cased(c) && !is_lower(c));
  });
  return any && !other;
}

bool all_digits(std::string_view text) { return all(text, is_digit); }
bool all_letters(std::string_view text) { return all(text, is_letter); }
bool all_letters_or_digits(std::string_view text) {
  return all(text, [](char32_t c) {
    return is_letter(c) || is_digit(c) || category(c) == UTF8PROC_CATEGORY_NO ||
           category(c) == UTF8PROC_CATEGORY_NL;
  });
}
bool all_space(std::string_view text) { return all(text, is_space); }

size_t count(std::string_view text, std::string_view needle) {
  size_t result = 0;
  for (size_t at = find(text, needle); at != text.npos; at = find(text, needle, at)) {
    ++result;
    at += needle.size();
  }
  return result;
}

std::string replace(std::string_view text, std::string_view from, std::string_view to,
                    size_t most) {
  std::string out;
  size_t at = 0;
  if (from.empty()) {  // between all characters
    for (size_t i = 0;; ++i) {
      if (i < most) out += to;
      if (text.empty()) return out;
      const size_t size = first_size(text);
      out += text.substr(0, size);
      text.remove_prefix(size);
    }
  }
  for (size_t done = 0; done < most; ++done) {
    const size_t found = find(text, from, at);
    if (found == text.npos) break;
    out += text.substr(at, found - at);
    out += to;
    at = found + from.size();
  }
  return out.append(text.substr(at));
}

void split_space(std::string_view text, size_t most, const OnPart& on_part) {
  text = strip_left(text);
  for (size_t done = 0; !text.empty(); ++done) {
    if (done == most) {
      on_part(strip_right(text));
      return;
    }
    size_t size = 0;
    while (size < text.size() && !is_space(text::first_character(text.substr(size)))) {
      size += first_size(text.substr(size));
    }
    if (!on_part(text.substr(0, size))) return;
    text = strip_left(text.substr(size));
  }
}

void split_lines(std::string_view text, bool keep_ends, const OnPart& on_part) {
  const auto ends_line = [](char32_t c) {
    return (c >= '\n' && c <= '\r') || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
  };
  size_t start = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t size = first_size(text.substr(at));
    if (!ends_line(text::first_character(text.substr(at)))) {
      at += size;
      continue;
    }
    const size_t end = at + (text.substr(at).starts_with("\r\n") ? 2 : size);
    if (!on_part(text.substr(start, (keep_ends ? end : at) - start))) return;
    start = at = end;
  }
  if (start < text.size()) on_part(text.substr(start));
}

}  // namespace diptych::jinja
