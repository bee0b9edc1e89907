// Filters that look into lists and dicts.
#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/in_quotes.h"
#include "jinja/interpreter.h"
#include "jinja/strings.h"

namespace diptych::jinja {

namespace {

// "author.name" or "0.name" of a value; an integer is an index. `otherwise`, where given, takes the
// place of every part that is not there.
Result<Value> look_up(const Invocation& call, Value value, const Value& path,
                      const std::optional<Value>& otherwise = std::nullopt) {
  const auto part = [&](const Value& key) -> Status {
    value = TRY(call.interpreter.item(value, key));
    if (value.is(Kind::Undefined) && otherwise) value = *otherwise;
    return {};
  };
  if (path.is_integral()) {
    TRY(part(path));
    return value;
  }
  if (!path.is_string()) {
    return invalid_argument("an attribute is a string, found a {}", type_name(path));
  }
  std::string_view rest = path.string();
  while (true) {
    TRY(call.interpreter.step());
    const std::string_view name = rest.substr(0, rest.find('.'));
    int64_t index = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), index);
    const bool is_index = !name.empty() && parsed.ptr == name.data() + name.size();
    TRY(part(is_index ? Value::of(index) : call.interpreter.heap().string(std::string(name))));
    if (name.size() == rest.size()) return value;
    rest.remove_prefix(name.size() + 1);
  }
}

// What sorting and such look at: an attribute, letters in one case.
Result<Value> key_of(const Invocation& call, const Value& item, const Value* attribute,
                     bool case_sensitive) {
  const bool has_attribute = attribute != nullptr && !attribute->is(Kind::None);
  const Value value = has_attribute ? TRY(look_up(call, item, *attribute)) : item;
  if (case_sensitive || !value.is_string()) return value;
  TRY(call.interpreter.step(1 + value.string().size() / 8));
  return call.interpreter.heap().string(lower(value.string()));
}

const Value* given(const Invocation& call, size_t i) { return call.has(i) ? &call[i] : nullptr; }

Result<Value> first(const Invocation& call) {
  if (call.self.is_string() && !call.self.string().empty()) {
    return call.interpreter.item(call.self, Value::of(int64_t{0}));
  }
  const Items items = TRY(call.interpreter.iterate(call.self));
  return items.empty() ? call.interpreter.heap().undefined("the sequence has no first item")
                       : items[0];
}

Result<Value> last(const Invocation& call) {
  if (call.self.is_string() && !call.self.string().empty()) {
    return call.interpreter.item(call.self, Value::of(int64_t{-1}));
  }
  const Items items = TRY(call.interpreter.iterate(call.self));
  return items.empty() ? call.interpreter.heap().undefined("the sequence has no last item")
                       : items.back();
}

Result<Value> as_list(const Invocation& call) {
  return call.interpreter.heap().list(TRY(call.interpreter.iterate(call.self)));
}

Result<Value> reversed(const Invocation& call) {
  if (call.self.is_string()) {
    const std::string& text = call.self.string();
    TRY(call.interpreter.meter().characters(text.size()));
    return call.interpreter.heap().string(
        every(text, static_cast<int64_t>(length(text)) - 1, -1, -1));
  }
  Items items = TRY(call.interpreter.iterate(call.self));
  std::reverse(items.begin(), items.end());
  return call.interpreter.heap().list(std::move(items));
}

Result<Value> joined(const Invocation& call) {
  const std::string separator =
      call.has(0) ? TRY(to_text(call[0], call.interpreter.meter())) : std::string();
  std::string text;
  bool first = true;
  for (const Value& item : TRY(call.interpreter.iterate(call.self))) {
    const bool has_attribute = call.has(1) && !call[1].is(Kind::None);
    const Value value = has_attribute ? TRY(look_up(call, item, call[1])) : item;
    const std::string more = TRY(to_text(value, call.interpreter.meter()));
    TRY(call.interpreter.step(1 + (separator.size() + more.size()) / 64));
    TRY(call.interpreter.heap().check(text.size() + separator.size() + more.size()));
    if (!first) text += separator;
    text += more;
    first = false;
  }
  return call.interpreter.heap().string(std::move(text));
}

Result<Value> items(const Invocation& call) {
  if (call.self.is(Kind::Undefined)) return call.interpreter.heap().list({});
  if (!call.self.is(Kind::Dict))
    return invalid_argument("items takes a dict, found a {}", type_name(call.self));
  Items pairs;
  for (const auto& [key, value] : call.self.entries()) {
    TRY(call.interpreter.step());
    pairs.push_back(call.interpreter.heap().tuple({key, value}));
  }
  return call.interpreter.heap().list(std::move(pairs));
}

// The filter or test that map, select and reject apply, and its arguments.
struct Applied {
  const Builtin* builtin = nullptr;
  CallArguments arguments;
};

Result<Applied> applied(const Invocation& call, size_t first,
                        const Builtin* (*find)(std::string_view), std::string_view what) {
  const Items& positional = call.arguments.positional;
  if (!positional[first].is_string()) return invalid_argument("expected the name of a {}", what);
  Applied result;
  result.builtin = find(positional[first].string());
  if (result.builtin == nullptr) {
    return unsupported("the {} {} is not supported", what, in_quotes(positional[first].string()));
  }
  result.arguments.positional.assign(positional.begin() + static_cast<long>(first) + 1,
                                     positional.end());
  result.arguments.named = call.arguments.named;
  return result;
}

Result<Value> map(const Invocation& call) {
  const CallArguments& arguments = call.arguments;
  std::optional<Value> attribute, otherwise;
  for (const auto& [name, value] : arguments.named) {
    if (name == "attribute") attribute = value;
    if (name == "default") otherwise = value;
  }
  Items results;
  if (!arguments.positional.empty()) {
    const Applied filter = TRY(applied(call, 0, find_filter, "filter"));
    for (const Value& item : TRY(call.interpreter.iterate(call.self))) {
      results.push_back(TRY(call.interpreter.call(*filter.builtin, item, filter.arguments)));
    }
  } else if (attribute) {
    for (const Value& item : TRY(call.interpreter.iterate(call.self))) {
      results.push_back(TRY(look_up(call, item, *attribute, otherwise)));
    }
  } else {
    return invalid_argument("map needs the name of a filter or an attribute");
  }
  return call.interpreter.heap().list(std::move(results));
}

// select, reject, selectattr, rejectattr.
template <bool with_attribute, bool wanted>
Result<Value> selected(const Invocation& call) {
  const Items& positional = call.arguments.positional;
  constexpr size_t kTest = with_attribute ? 1 : 0;
  if (positional.size() < kTest) return invalid_argument("needs the name of an attribute");
  const bool has_test = positional.size() > kTest;
  const Applied test = has_test ? TRY(applied(call, kTest, find_test, "test")) : Applied();
  Items results;
  for (const Value& item : TRY(call.interpreter.iterate(call.self))) {
    const Value value = with_attribute ? TRY(look_up(call, item, positional[0])) : item;
    const bool holds = has_test
                           ? truth(TRY(call.interpreter.call(*test.builtin, value, test.arguments)))
                           : truth(value);
    TRY(call.interpreter.step());
    if (holds == wanted) results.push_back(item);
  }
  return call.interpreter.heap().list(std::move(results));
}

// Items with the keys that they are ordered by, in order.
struct Keyed {
  Value key, item;
};

Status sort_by_key(const Invocation& call, std::vector<Keyed>& list, bool reverse) {
  std::optional<Error> error;
  const auto less = [&](const Keyed& a, const Keyed& b) {
    if (error) return false;
    const auto order =
        compare(reverse ? b.key : a.key, reverse ? a.key : b.key, call.interpreter.meter());
    if (!order) error = order.error();
    return order && *order < 0;
  };
  // Without an order among all of them the result is not used, so any will do.
  std::stable_sort(list.begin(), list.end(), less);
  if (error) return tl::unexpected(*error);
  return {};
}

Result<Value> sorted(const Invocation& call) {
  const bool reverse = TRY(call.boolean(0, false)), case_sensitive = TRY(call.boolean(1, false));
  std::vector<Keyed> list;
  for (const Value& item : TRY(call.interpreter.iterate(call.self))) {
    list.push_back({TRY(key_of(call, item, given(call, 2), case_sensitive)), item});
  }
  TRY(sort_by_key(call, list, reverse));
  Items results;
  for (const Keyed& entry : list) results.push_back(entry.item);
  return call.interpreter.heap().list(std::move(results));
}

Result<Value> dict_sorted(const Invocation& call) {
  if (!call.self.is(Kind::Dict))
    return invalid_argument("dictsort takes a dict, found a {}", type_name(call.self));
  const bool case_sensitive = TRY(call.boolean(0, false)), reverse = TRY(call.boolean(2, false));
  const std::string by = TRY(call.string(1, "key"));
  if (by != "key" && by != "value") return invalid_argument("sorts by \"key\" or \"value\"");
  std::vector<Keyed> list;
  for (const auto& [key, value] : call.self.entries()) {
    TRY(call.interpreter.step());
    list.push_back({TRY(key_of(call, by == "key" ? key : value, nullptr, case_sensitive)),
                    call.interpreter.heap().tuple({key, value})});
  }
  TRY(sort_by_key(call, list, reverse));
  Items results;
  for (const Keyed& entry : list) results.push_back(entry.item);
  return call.interpreter.heap().list(std::move(results));
}

Result<Value> unique(const Invocation& call) {
  const bool case_sensitive = TRY(call.boolean(0, false));
  Items results, seen;
  for (const Value& item : TRY(call.interpreter.iterate(call.self))) {
    const Value key = TRY(key_of(call, item, given(call, 1), case_sensitive));
    bool known = false;
    for (size_t i = 0; !known && i < seen.size(); ++i) {
      known = TRY(equal(seen[i], key, call.interpreter.meter()));
    }
    if (known) continue;
    seen.push_back(key);
    results.push_back(item);
  }
  return call.interpreter.heap().list(std::move(results));
}

template <bool largest>
Result<Value> extreme(const Invocation& call) {
  const bool case_sensitive = TRY(call.boolean(0, false));
  Value best = call.interpreter.heap().undefined("the sequence is empty"), best_key;
  bool any = false;
  for (const Value& item : TRY(call.interpreter.iterate(call.self))) {
    const Value key = TRY(key_of(call, item, given(call, 1), case_sensitive));
    TRY(call.interpreter.step());
    const int order = any ? TRY(compare(key, best_key, call.interpreter.meter())) : 0;
    if (any && (largest ? order <= 0 : order >= 0)) continue;
    best = item;
    best_key = key;
    any = true;
  }
  return best;
}

Result<Value> sum(const Invocation& call) {
  Value total = call.has(1) ? call[1] : Value::of(int64_t{0});
  for (const Value& item : TRY(call.interpreter.iterate(call.self))) {
    TRY(call.interpreter.step());
    const bool has_attribute = call.has(0) && !call[0].is(Kind::None);
    total =
        TRY(call.interpreter.add(total, has_attribute ? TRY(look_up(call, item, call[0])) : item));
  }
  return total;
}

constexpr std::array kFilters = {
    Builtin{"first", "", first},
    Builtin{"last", "", last},
    Builtin{"list", "", as_list},
    Builtin{"reverse", "", reversed},
    Builtin{"join", "d=,attribute=", joined},
    Builtin{"items", "", items},
    Builtin{"map", "*", map},
    Builtin{"select", "*", selected<false, true>},
    Builtin{"reject", "*", selected<false, false>},
    Builtin{"selectattr", "*", selected<true, true>},
    Builtin{"rejectattr", "*", selected<true, false>},
    Builtin{"sort", "reverse=,case_sensitive=,attribute=", sorted},
    Builtin{"dictsort", "case_sensitive=,by=,reverse=", dict_sorted},
    Builtin{"unique", "case_sensitive=,attribute=", unique},
    Builtin{"min", "case_sensitive=,attribute=", extreme<false>},
    Builtin{"max", "case_sensitive=,attribute=", extreme<true>},
    Builtin{"sum", "attribute=,start=", sum},
};

}  // namespace

BuiltinTable sequence_filter_table() { return kFilters; }

}  // namespace diptych::jinja
