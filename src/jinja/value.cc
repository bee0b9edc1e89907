#include "jinja/value.h"

#include <algorithm>
#include <cmath>

#include "base/json.h"

namespace diptych::jinja {

namespace {

tl::unexpected<Error> too_deep() {
  return unsupported("a value nests deeper than {} levels", kMaxValueDepth);
}

template <class T>
int order(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

int order_numbers(const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) return order(a.integer(), b.integer());
  return order(a.number(), b.number());
}

// How far a comparison has come.
struct Walk {
  int depth;
  Meter& meter;

  Walk deeper() const { return {depth + 1, meter}; }
};

Result<bool> equal_at(const Value& a, const Value& b, Walk walk);

Result<bool> equal_entries(const Entries& a, const Entries& b, Walk walk) {
  if (a.size() != b.size()) return false;
  for (const auto& [key, value] : a) {
    const Value* other = TRY(find_entry(b, key, walk.meter));
    if (other == nullptr || !TRY(equal_at(value, *other, walk))) return false;
  }
  return true;
}

Result<bool> equal_at(const Value& a, const Value& b, Walk walk) {
  if (walk.depth > kMaxValueDepth) return too_deep();
  TRY(walk.meter.step());
  if (a.is_number() && b.is_number()) {
    return a.is_integral() && b.is_integral() ? a.integer() == b.integer()
                                              : a.number() == b.number();
  }
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::Undefined:
    case Kind::None:
      return true;
    case Kind::String:
      if (a.string().size() != b.string().size()) return false;
      TRY(walk.meter.bytes(a.string().size()));
      return a.string() == b.string();
    case Kind::List:
    case Kind::Tuple: {
      if (a.items().size() != b.items().size()) return false;
      for (size_t i = 0; i < a.items().size(); ++i) {
        if (!TRY(equal_at(a.items()[i], b.items()[i], walk.deeper()))) return false;
      }
      return true;
    }
    case Kind::Dict:
      return equal_entries(a.entries(), b.entries(), walk.deeper());
    default:
      return a.identity() == b.identity();
  }
}

Result<int> compare_at(const Value& a, const Value& b, Walk walk) {
  if (walk.depth > kMaxValueDepth) return too_deep();
  TRY(walk.meter.step());
  if (a.is_number() && b.is_number()) return order_numbers(a, b);
  if (a.is_string() && b.is_string()) {  // UTF-8 sorts as its characters do
    TRY(walk.meter.bytes(std::min(a.string().size(), b.string().size())));
    return order(a.string(), b.string());
  }
  if (a.is_sequence() && a.kind() == b.kind()) {
    const size_t common = std::min(a.items().size(), b.items().size());
    for (size_t i = 0; i < common; ++i) {
      if (TRY(equal_at(a.items()[i], b.items()[i], walk.deeper()))) continue;
      return compare_at(a.items()[i], b.items()[i], walk.deeper());
    }
    return order(a.items().size(), b.items().size());
  }
  return invalid_argument("a {} and a {} have no order", type_name(a), type_name(b));
}

}  // namespace

Value Heap::string(std::string text) {
  used_ += sizeof(std::string) + text.size();
  return Value::of(&strings_.emplace_back(std::move(text)));
}

Value Heap::undefined(std::string what) {
  used_ += sizeof(std::string) + what.size();
  return Value::undefined(&strings_.emplace_back(std::move(what)));
}

Items* Heap::keep(Items items) {
  used_ += sizeof(Items) + items.size() * sizeof(Value);
  return &lists_.emplace_back(std::move(items));
}

Entries* Heap::keep(Entries entries) {
  used_ += sizeof(Entries) + entries.size() * sizeof(Entries::value_type);
  return &dicts_.emplace_back(std::move(entries));
}

Status Heap::check(uint64_t bytes) const {
  if (used_ <= limit_ && bytes <= limit_ - used_) return {};
  return unsupported("the template needs more than {} MiB of memory", limit_ >> 20);
}

Value Heap::from_json(const Json& json) {
  switch (json.type()) {
    case Json::value_t::boolean:
      return Value::of(json.get<bool>());
    case Json::value_t::number_integer:
      return Value::of(json.get<int64_t>());
    case Json::value_t::number_unsigned:
      if (json.get<uint64_t>() <= INT64_MAX) return Value::of(json.get<int64_t>());
      return Value::of(json.get<double>());
    case Json::value_t::number_float:
      return Value::of(json.get<double>());
    case Json::value_t::string:
      return string(json.get<std::string>());
    case Json::value_t::array: {
      Items items;
      for (const Json& item : json) items.push_back(from_json(item));
      return list(std::move(items));
    }
    case Json::value_t::object: {
      Entries entries;
      for (const auto& [key, value] : json.items()) {
        entries.emplace_back(string(key), from_json(value));
      }
      return dict(std::move(entries));
    }
    default:
      return Value::none();
  }
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::Undefined:
      return "undefined";
    case Kind::None:
      return "None";
    case Kind::Bool:
      return "bool";
    case Kind::Int:
      return "int";
    case Kind::Float:
      return "float";
    case Kind::String:
      return "str";
    case Kind::List:
      return "list";
    case Kind::Tuple:
      return "tuple";
    case Kind::Dict:
      return "dict";
    case Kind::Namespace:
      return "namespace";
    case Kind::Function:
      return "function";
    case Kind::Loop:
      return "loop";
  }
  return "value";
}

bool truth(const Value& value) {
  switch (value.kind()) {
    case Kind::Undefined:
    case Kind::None:
      return false;
    case Kind::Bool:
    case Kind::Int:
      return value.integer() != 0;
    case Kind::Float:
      return value.number() != 0;
    case Kind::String:
      return !value.string().empty();
    case Kind::List:
    case Kind::Tuple:
      return !value.items().empty();
    case Kind::Dict:
      return !value.entries().empty();
    default:
      return true;
  }
}

Result<bool> equal(const Value& a, const Value& b, Meter& meter) {
  return equal_at(a, b, {0, meter});
}

Result<int> compare(const Value& a, const Value& b, Meter& meter) {
  return compare_at(a, b, {0, meter});
}

Result<const Value*> find_entry(const Entries& entries, std::string_view key, Meter& meter) {
  TRY(meter.items(entries.size() * (1 + key.size() / 64)));
  for (const auto& [name, value] : entries) {
    if (name.is_string() && name.string() == key) return &value;
  }
  return nullptr;
}

Result<const Value*> find_entry(const Entries& entries, const Value& key, Meter& meter) {
  if (key.is_string()) return find_entry(entries, std::string_view(key.string()), meter);
  if (key.is(Kind::List) || key.is(Kind::Dict)) {
    return invalid_argument("a {} cannot be a key", type_name(key));
  }
  for (const auto& [name, value] : entries) {
    if (TRY(equal(name, key, meter))) return &value;
  }
  return nullptr;
}

Status set_entry(Entries& entries, const Value& key, const Value& value, Meter& meter) {
  if (const Value* found = TRY(find_entry(entries, key, meter))) {
    *const_cast<Value*>(found) = value;  // an element of `entries`, which is ours to change
  } else {
    entries.emplace_back(key, value);
  }
  return {};
}

}  // namespace diptych::jinja
