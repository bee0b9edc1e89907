// Methods of strings, dicts and lists, and the attributes of "loop".
#include <algorithm>
#include <array>
#include <span>

#include "base/in_quotes.h"
#include "jinja/interpreter.h"
#include "jinja/strings.h"

namespace diptych::jinja {

namespace {

std::string_view text_of(const Invocation& call) { return call.self.string(); }

Value make(const Invocation& call, std::string_view text) {
  return call.interpreter.heap().string(std::string(text));
}

// The parts that `split(on_part)` gives, as a list, which ends where memory does.
template <class Split>
Result<Items> parts_of(const Invocation& call, Split split) {
  Items items;
  Status status;
  split([&](std::string_view part) {
    items.push_back(make(call, part));
    status = call.interpreter.step();
    return status.has_value();
  });
  TRY(std::move(status));
  return items;
}

enum class Side : uint8_t { Left, Right, Both };

template <Side side>
Result<Value> strip(const Invocation& call) {
  std::string_view text = text_of(call);
  TRY(call.interpreter.meter().characters(text.size()));
  if (!call.has(0) || call[0].is(Kind::None)) {
    if (side != Side::Right) text = strip_left(text);
    if (side != Side::Left) text = strip_right(text);
    return make(call, text);
  }
  const std::string set = TRY(call.string(0, ""));
  TRY(call.interpreter.step(text.size() * (set.size() / 64)));
  if (side != Side::Right) text = strip_left(text, set);
  if (side != Side::Left) text = strip_right(text, set);
  return make(call, text);
}

template <std::string (*change)(std::string_view)>
Result<Value> changed(const Invocation& call) {
  TRY(call.interpreter.meter().characters(text_of(call).size()));
  return make(call, change(text_of(call)));
}

template <bool (*test)(std::string_view)>
Result<Value> tested(const Invocation& call) {
  TRY(call.interpreter.meter().characters(text_of(call).size()));
  return Value::of(test(text_of(call)));
}

// The argument is a string or a tuple of them.
template <bool at_end>
Result<Value> has_affix(const Invocation& call) {
  const auto holds = [&](const Value& affix) -> Result<bool> {
    if (!affix.is_string()) {
      return invalid_argument("expected a string or a tuple of strings, found a {}",
                              type_name(affix));
    }
    const size_t compared = std::min(text_of(call).size(), affix.string().size());
    TRY(call.interpreter.step(1 + compared / 64));
    return at_end ? text_of(call).ends_with(affix.string())
                  : text_of(call).starts_with(affix.string());
  };
  if (!call[0].is(Kind::Tuple)) return Value::of(TRY(holds(call[0])));
  for (const Value& affix : call[0].items()) {
    if (TRY(holds(affix))) return Value::of(true);
  }
  return Value::of(false);
}

// How often at most, from an optional count; negative means always.
Result<size_t> at_most(const Invocation& call, size_t parameter) {
  const int64_t count = TRY(call.integer(parameter, -1));
  return count < 0 ? SIZE_MAX : static_cast<size_t>(count);
}

template <bool from_right>
Result<Value> split(const Invocation& call) {
  std::string_view text = text_of(call);
  const size_t most = TRY(at_most(call, 1));
  if (!call.has(0) || call[0].is(Kind::None)) {
    if (from_right && most != SIZE_MAX) return unsupported("rsplit at white space, with a limit");
    TRY(call.interpreter.meter().characters(text.size()));
    return call.interpreter.heap().list(
        TRY(parts_of(call, [&](const OnPart& on_part) { split_space(text, most, on_part); })));
  }
  std::string separator = TRY(call.string(0, ""));
  if (separator.empty()) return invalid_argument("an empty separator");
  TRY(call.interpreter.meter().characters(text.size() + separator.size()));
  const auto at_separators = [&](const OnPart& on_part) {
    for (size_t done = 0; done < most; ++done) {
      const size_t found = find(text, separator);
      if (found == text.npos) break;
      if (!on_part(text.substr(0, found))) return;
      text.remove_prefix(found + separator.size());
    }
    on_part(text);
  };
  if (!from_right) {
    return call.interpreter.heap().list(TRY(parts_of(call, at_separators)));
  }
  // From the right is from the left of the text written backwards.
  const std::string backwards(text.rbegin(), text.rend());
  std::reverse(separator.begin(), separator.end());
  text = backwards;
  Items items = TRY(parts_of(call, [&](const OnPart& on_part) {
    at_separators(
        [&](std::string_view part) { return on_part(std::string(part.rbegin(), part.rend())); });
  }));
  std::reverse(items.begin(), items.end());
  return call.interpreter.heap().list(std::move(items));
}

template <bool from_right>
Result<Value> partition(const Invocation& call) {
  const std::string_view text = text_of(call);
  const std::string separator = TRY(call.string(0, ""));
  if (separator.empty()) return invalid_argument("an empty separator");
  TRY(call.interpreter.meter().characters(text.size() + separator.size()));
  const size_t found = from_right ? find_last(text, separator) : find(text, separator);
  Items items;
  if (found != text.npos) {
    items = {make(call, text.substr(0, found)), make(call, separator),
             make(call, text.substr(found + separator.size()))};
  } else if (from_right) {
    items = {make(call, ""), make(call, ""), make(call, text)};
  } else {
    items = {make(call, text), make(call, ""), make(call, "")};
  }
  return call.interpreter.heap().tuple(std::move(items));
}

Result<Value> splitlines(const Invocation& call) {
  TRY(call.interpreter.meter().characters(text_of(call).size()));
  const bool keep_ends = TRY(call.boolean(0, false));
  return call.interpreter.heap().list(TRY(parts_of(
      call, [&](const OnPart& on_part) { split_lines(text_of(call), keep_ends, on_part); })));
}

Result<Value> replaced(const Invocation& call) {
  const std::string from = TRY(call.string(0, "")), to = TRY(call.string(1, ""));
  return call.interpreter.replaced(text_of(call), from, to, TRY(call.integer(2, -1)));
}

template <bool from_right, bool must_exist>
Result<Value> found(const Invocation& call) {
  const std::string needle = TRY(call.string(0, ""));
  const std::string_view text = text_of(call);
  TRY(call.interpreter.meter().characters(text.size() + needle.size()));
  const size_t at = from_right ? find_last(text, needle) : find(text, needle);
  if (at != text.npos) return Value::of(static_cast<int64_t>(length(text.substr(0, at))));
  if (must_exist) return invalid_argument("the string does not have {}", in_quotes(needle));
  return Value::of(int64_t{-1});
}

Result<Value> counted(const Invocation& call) {
  const std::string needle = TRY(call.string(0, ""));
  const std::string_view text = text_of(call);
  TRY(call.interpreter.meter().characters(text.size() + needle.size()));
  if (needle.empty()) return Value::of(static_cast<int64_t>(length(text)) + 1);
  return Value::of(static_cast<int64_t>(count(text, needle)));
}

Result<Value> joined_by(const Invocation& call) {
  std::string text;
  bool first = true;
  for (const Value& item : TRY(call.interpreter.iterate(call[0]))) {
    if (!item.is_string()) {
      return invalid_argument("join takes strings, found a {}", type_name(item));
    }
    TRY(call.interpreter.heap().check(text.size() + text_of(call).size() + item.string().size()));
    TRY(call.interpreter.step(1 + (text_of(call).size() + item.string().size()) / 64));
    if (!first) text += text_of(call);
    text += item.string();
    first = false;
  }
  return make(call, text);
}

template <bool at_end>
Result<Value> without_affix(const Invocation& call) {
  const std::string affix = TRY(call.string(0, ""));
  std::string_view text = text_of(call);
  if (at_end && text.ends_with(affix)) text.remove_suffix(affix.size());
  if (!at_end && text.starts_with(affix)) text.remove_prefix(affix.size());
  return make(call, text);
}

Result<Value> get(const Invocation& call) {
  const Value* value = TRY(find_entry(call.self.entries(), call[0], call.interpreter.meter()));
  if (value != nullptr) return *value;
  return call.has(1) ? call[1] : Value::none();
}

Result<Value> keys(const Invocation& call) {
  return call.interpreter.heap().list(TRY(call.interpreter.iterate(call.self)));
}

Result<Value> values(const Invocation& call) {
  Items items;
  for (const auto& entry : call.self.entries()) items.push_back(entry.second);
  return call.interpreter.heap().list(std::move(items));
}

Result<Value> entries_of(const Invocation& call) {
  Items pairs;
  for (const auto& [key, value] : call.self.entries()) {
    TRY(call.interpreter.step());
    pairs.push_back(call.interpreter.heap().tuple({key, value}));
  }
  return call.interpreter.heap().list(std::move(pairs));
}

Result<Value> index_of(const Invocation& call) {
  const Items& list = call.self.items();
  for (size_t i = 0; i < list.size(); ++i) {
    if (TRY(equal(list[i], call[0], call.interpreter.meter())))
      return Value::of(static_cast<int64_t>(i));
  }
  return invalid_argument("the list does not have the value");
}

Result<Value> count_of(const Invocation& call) {
  int64_t count = 0;
  for (const Value& item : call.self.items()) {
    if (TRY(equal(item, call[0], call.interpreter.meter()))) ++count;
  }
  return Value::of(count);
}

constexpr std::array kStringMethods = {
    Builtin{"strip", "chars=", strip<Side::Both>},
    Builtin{"lstrip", "chars=", strip<Side::Left>},
    Builtin{"rstrip", "chars=", strip<Side::Right>},
    Builtin{"upper", "", changed<upper>},
    Builtin{"lower", "", changed<lower>},
    Builtin{"title", "", changed<title>},
    Builtin{"capitalize", "", changed<capitalize>},
    Builtin{"startswith", "prefix", has_affix<false>},
    Builtin{"endswith", "suffix", has_affix<true>},
    Builtin{"removeprefix", "prefix", without_affix<false>},
    Builtin{"removesuffix", "suffix", without_affix<true>},
    Builtin{"split", "sep=,maxsplit=", split<false>},
    Builtin{"rsplit", "sep=,maxsplit=", split<true>},
    Builtin{"partition", "sep", partition<false>},
    Builtin{"rpartition", "sep", partition<true>},
    Builtin{"splitlines", "keepends=", splitlines},
    Builtin{"replace", "old,new,count=", replaced},
    Builtin{"find", "sub", found<false, false>},
    Builtin{"rfind", "sub", found<true, false>},
    Builtin{"index", "sub", found<false, true>},
    Builtin{"rindex", "sub", found<true, true>},
    Builtin{"count", "sub", counted},
    Builtin{"join", "iterable", joined_by},
    Builtin{"isdigit", "", tested<all_digits>},
    Builtin{"isdecimal", "", tested<all_digits>},
    Builtin{"isalpha", "", tested<all_letters>},
    Builtin{"isalnum", "", tested<all_letters_or_digits>},
    Builtin{"isspace", "", tested<all_space>},
    Builtin{"isupper", "", tested<is_cased_upper>},
    Builtin{"islower", "", tested<is_cased_lower>},
};

constexpr std::array kDictMethods = {
    Builtin{"get", "key,default=", get},
    Builtin{"keys", "", keys},
    Builtin{"values", "", values},
    Builtin{"items", "", entries_of},
};

constexpr std::array kListMethods = {
    Builtin{"index", "value", index_of},
    Builtin{"count", "value", count_of},
};

Value integer(size_t value) { return Value::of(static_cast<int64_t>(value)); }

// A neighbour of the current item.
template <bool next>
Result<Value> neighbour(const Invocation& call) {
  const Loop& loop = call.self.loop();
  const size_t i = next ? loop.index + 1 : loop.index - 1;  // of 0: far beyond the end
  if (i < loop.items->size()) return (*loop.items)[i];
  return call.interpreter.heap().undefined(next ? "there is no next item"
                                                : "there is no previous item");
}

Result<Value> cycle(const Invocation& call) {
  const Items& choices = call.arguments.positional;
  if (choices.empty()) return invalid_argument("cycle needs values");
  return choices[call.self.loop().index % choices.size()];
}

Result<Value> has_changed(const Invocation& call) {
  Loop& loop = call.self.loop();
  const Items& now = call.arguments.positional;
  bool same = loop.has_changed_values && loop.changed_values.size() == now.size();
  for (size_t i = 0; same && i < now.size(); ++i) {
    same = TRY(equal(loop.changed_values[i], now[i], call.interpreter.meter()));
  }
  loop.changed_values = now;
  loop.has_changed_values = true;
  return Value::of(!same);
}

// Without parameters: values, not functions.
constexpr std::array kLoopAttributes = {
    Builtin{"index", "",
            [](const Invocation& c) -> Result<Value> { return integer(c.self.loop().index + 1); }},
    Builtin{"index0", "",
            [](const Invocation& c) -> Result<Value> { return integer(c.self.loop().index); }},
    Builtin{"revindex", "",
            [](const Invocation& c) -> Result<Value> {
              return integer(c.self.loop().items->size() - c.self.loop().index);
            }},
    Builtin{"revindex0", "",
            [](const Invocation& c) -> Result<Value> {
              return integer(c.self.loop().items->size() - c.self.loop().index - 1);
            }},
    Builtin{
        "first", "",
        [](const Invocation& c) -> Result<Value> { return Value::of(c.self.loop().index == 0); }},
    Builtin{"last", "",
            [](const Invocation& c) -> Result<Value> {
              return Value::of(c.self.loop().index + 1 == c.self.loop().items->size());
            }},
    Builtin{
        "length", "",
        [](const Invocation& c) -> Result<Value> { return integer(c.self.loop().items->size()); }},
    Builtin{"depth", "", [](const Invocation&) -> Result<Value> { return integer(1); }},
    Builtin{"depth0", "", [](const Invocation&) -> Result<Value> { return integer(0); }},
    Builtin{"previtem", "", neighbour<false>},
    Builtin{"nextitem", "", neighbour<true>},
    Builtin{"cycle", "*", cycle},
    Builtin{"changed", "*", has_changed},
};

// What else Python's types have.
constexpr std::string_view kMissingStringMethods[] = {
    "casefold",  "center",       "encode",    "expandtabs",  "format",  "format_map",
    "isascii",   "isidentifier", "isnumeric", "isprintable", "istitle", "ljust",
    "maketrans", "rjust",        "swapcase",  "translate",   "zfill"};
constexpr std::string_view kMissingDictMethods[] = {"clear",   "copy",       "fromkeys", "pop",
                                                    "popitem", "setdefault", "update"};
constexpr std::string_view kMissingListMethods[] = {
    "append", "clear", "copy", "extend", "insert", "pop", "remove", "reverse", "sort"};

}  // namespace

BuiltinTable method_table(Kind kind) {
  switch (kind) {
    case Kind::String:
      return kStringMethods;
    case Kind::Dict:
      return kDictMethods;
    case Kind::List:
    case Kind::Tuple:
      return kListMethods;
    case Kind::Loop:
      return kLoopAttributes;
    default:
      return {};
  }
}

bool is_missing_method(const Value& self, std::string_view name) {
  const auto among = [name](std::span<const std::string_view> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  switch (self.kind()) {
    case Kind::String:
      return among(kMissingStringMethods);
    case Kind::Dict:
      return among(kMissingDictMethods);
    case Kind::List:
      return among(kMissingListMethods);
    default:
      return false;
  }
}

}  // namespace diptych::jinja
