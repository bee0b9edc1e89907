#include "hostile.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace diptych::fuzz {

namespace {

using namespace std::string_view_literals;

constexpr std::string_view kTexts[] = {
    ""sv,
    " "sv,
    "\n"sv,
    "\r\n"sv,
    "\t"sv,
    "\0"sv,
    "a\0b"sv,
    "\x1b]0;PWN\x07"sv,
    "\x1b[31mred\x1b[0m"sv,
    "\x1b[2J"sv,
    "one\nfake line"sv,
    "one\rfake"sv,
    "\x7f"sv,
    "\x08\x08"sv,
    "\xc2\x9b"
    "31m"sv,           // the eight-bit form of an escape
    "\xe2\x80\xae"sv,  // right to left from here
    "\xe2\x80\xa8"sv,  // a line separator
    "\xef\xbb\xbf"sv,  // a byte order mark
    "\xff\xfe"sv,      // not UTF-8, nor are the next five
    "\xc3"sv,
    "\xed\xa0\x80"sv,
    "\xf5\x80\x80\x80"sv,
    "\xc0\xaf"sv,
    "a\x80"sv,
    "e\xcc\x81\xcc\x81\xcc\x81"sv,
    "\xf0\x9f\x98\x80"sv,
    "\xe2\x96\x81"sv,
    "<s>"sv,
    "</s>"sv,
    "<unk>"sv,
    "<0x41>"sv,
    "{{ messages }}"sv,
    "{% for"sv,
    "{}"sv,
    "{0}"sv,
    "%s%n"sv,
    "\\"sv,
    "\""sv,
    "-o"sv,
    "--help"sv,
    "null"sv,
    "true"sv,
    "nan"sv,
    "1e999"sv,
    "forward"sv,
    "weight"sv,
    "(?:a+)+$"sv,
    "a|b"sv,
};

constexpr std::string_view kPaths[] = {
    ""sv,        "."sv,
    ".."sv,      "../x"sv,
    "../../x"sv, "a/../../b"sv,
    "/"sv,       "a/"sv,
    "a//b"sv,    "./a"sv,
    "a\\b"sv,    "C:\\x"sv,
    "a\0b"sv,    "CON"sv,
    "~"sv,       "$HOME"sv,
    "-o"sv,      "/dev/null"sv,
    "*"sv,       "/dev/zero"sv,
    "\x1b[2J"sv, "/proc/self/mem"sv,
    "a\nb"sv,    "\xff"sv,
};

constexpr std::string_view kNumbers[] = {
    "0",
    "1",
    "-1",
    "2",
    "3",
    "7",
    "-0",
    "0.5",
    "1.5",
    "-0.5",
    "1e-320",
    "1e5",
    "65536",
    "16777217",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "-2147483649",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "1e18",
    "1e19",
    "1e38",
    "1e39",
    "1e308",
    "-1e308",
    "1e309",
    "1e999",
    "-1e999",
    "1e-999",
    "NaN",
    "Infinity",
    "-Infinity",
    "00",
    "0x10",
    "1.",
    ".5",
    "1e",
    "+1",
    "1_000",
    "99999999999999999999999999999999999999999999999999",
};

constexpr uint64_t kIntegers[] = {0,
                                  1,
                                  2,
                                  3,
                                  7,
                                  8,
                                  0x7F,
                                  0x80,
                                  0xFF,
                                  0x100,
                                  0x7FFF,
                                  0x8000,
                                  0xFFFF,
                                  0x10000,
                                  0x7FFFFFFF,
                                  0x80000000,
                                  0xFFFFFFFF,
                                  0x100000000,
                                  0x7FFFFFFFFFFFFFFF,
                                  0x8000000000000000,
                                  0xFFFFFFFFFFFFFFC0,
                                  0xFFFFFFFFFFFFFFFF};

std::string repeated(std::string_view text, size_t count) {
  std::string result;
  count = affordable(count, text.size());
  result.reserve(text.size() * count);
  for (size_t i = 0; i < count; ++i) result += text;
  return result;
}

// Mostly hundreds, seldom a million: big values are slow to make and to write.
size_t hostile_length(Random& random) {
  if (random.one_in(60)) return 1000000;
  if (random.one_in(8)) return 70000;
  return 200 + random.below(3000);
}

}  // namespace

size_t affordable(size_t count, size_t size) {
  constexpr size_t kMost = 4 << 20;
  return std::min(count, kMost / std::max<size_t>(size, 1) + 1);
}

std::string hostile_text(Random& random) {
  if (random.one_in(8)) return hostile_path(random);
  if (random.one_in(8)) {
    return repeated(random.pick(kTexts), 1 + hostile_length(random) / 4);
  }
  std::string text(random.pick(kTexts));
  while (random.one_in(3)) text += random.pick(kTexts);
  return text;
}

std::string hostile_path(Random& random) {
  if (random.one_in(8)) return kAbsolutePath;
  if (random.one_in(10)) return repeated(random.one_in(2) ? "a" : "a/", 300);
  return std::string(random.pick(kPaths));
}

std::string hostile_number(Random& random) {
  if (random.one_in(6)) return std::to_string(static_cast<int64_t>(hostile_integer(random)));
  return std::string(random.pick(kNumbers));
}

uint64_t hostile_integer(Random& random) { return random.pick(kIntegers) + random.below(3) - 1; }

std::string hostile_json(Random& random) {
  switch (random.below(12)) {
    case 0:
      return "null";
    case 1:
      return random.one_in(2) ? "true" : "false";
    case 2:
      return "[]";
    case 3:
      return "{}";
    case 4:
      return "[null]";
    case 5:
      return R"({"a":1})";
    case 6: {
      const size_t depth = random.one_in(4) ? 100000 : 40 + random.below(60);
      return random.one_in(2) ? repeated("[", depth) + repeated("]", depth)
                              : repeated(R"({"a":)", depth) + "0" + repeated("}", depth);
    }
    case 7: {
      std::string list = "[";
      const std::string item = hostile_number(random) + ",";
      return list + repeated(item, hostile_length(random)) + "0]";
    }
    case 8:
    case 9:
      return hostile_number(random);
    default:
      return json_quoted(hostile_text(random), random);
  }
}

std::string json_quoted(const std::string& text, Random& random) {
  const bool raw = random.one_in(6);
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (!raw && (byte < 0x20 || byte == 0x7f)) {
      result += fmt::format("\\u{:04x}", byte);
    } else {
      result += c;
    }
  }
  return result + "\"";
}

}  // namespace diptych::fuzz
