// Values of a template: Python's, as far as chat templates see them.
//
// A value is two words and is copied freely; what it points to lives in the Heap of one rendering,
// which frees everything at its end. So values may share and even contain each other (through
// namespaces), and a rendering's memory can be counted and limited.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json_fwd.h"
#include "jinja/meter.h"

namespace diptych::jinja {

enum class Kind : uint8_t {
  Undefined,  // the result of looking up what is not there
  None,
  Bool,
  Int,
  Float,
  String,  // valid UTF-8
  List,
  Tuple,
  Dict,
  Namespace,  // what namespace() makes: attributes that can be set
  Function,   // a macro, a method with its object, a global function
  Loop,       // the variable "loop"
};

struct Function;
struct Loop;
class Value;

using Items = std::vector<Value>;
using Entries = std::vector<std::pair<Value, Value>>;  // keys are distinct, in order of insertion

class Value {
 public:
  Value() : int_(0) {}  // undefined, without a name
  static Value none() { return Value(Kind::None); }
  static Value of(bool value) {
    Value v(Kind::Bool);
    v.bool_ = value;
    return v;
  }
  static Value of(int64_t value) {
    Value v(Kind::Int);
    v.int_ = value;
    return v;
  }
  static Value of(double value) {
    Value v(Kind::Float);
    v.float_ = value;
    return v;
  }
  // `text` says what was looked for: "'x' is undefined".
  static Value undefined(const std::string* text) {
    Value v(Kind::Undefined);
    v.string_ = text;
    return v;
  }
  static Value of(const std::string* string) {
    Value v(Kind::String);
    v.string_ = string;
    return v;
  }
  static Value of(Items* items, bool tuple) {
    Value v(tuple ? Kind::Tuple : Kind::List);
    v.items_ = items;
    return v;
  }
  static Value of(Entries* entries, bool is_namespace) {
    Value v(is_namespace ? Kind::Namespace : Kind::Dict);
    v.entries_ = entries;
    return v;
  }
  static Value of(const Function* function) {
    Value v(Kind::Function);
    v.function_ = function;
    return v;
  }
  static Value of(Loop* loop) {
    Value v(Kind::Loop);
    v.loop_ = loop;
    return v;
  }

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_string() const { return kind_ == Kind::String; }
  bool is_sequence() const { return kind_ == Kind::List || kind_ == Kind::Tuple; }
  bool is_integral() const { return kind_ == Kind::Int || kind_ == Kind::Bool; }
  bool is_number() const { return is_integral() || kind_ == Kind::Float; }

  // Each for its kind only.
  bool boolean() const { return bool_; }
  int64_t integer() const { return kind_ == Kind::Bool ? bool_ : int_; }
  double number() const { return kind_ == Kind::Float ? float_ : static_cast<double>(integer()); }
  const std::string& string() const { return *string_; }
  const Items& items() const { return *items_; }
  Entries& entries() const { return *entries_; }  // of a Dict or Namespace
  const Function& function() const { return *function_; }
  Loop& loop() const { return *loop_; }
  const std::string* what() const { return string_; }  // of an Undefined; may be null
  const void* identity() const { return string_; }     // of what lives in the heap

 private:
  explicit Value(Kind kind) : kind_(kind), int_(0) {}
  Kind kind_ = Kind::Undefined;
  union {
    bool bool_;
    int64_t int_;
    double float_;
    const std::string* string_;
    Items* items_;
    Entries* entries_;
    const Function* function_;
    Loop* loop_;
  };
};

// How far a value may nest where it is walked.
inline constexpr int kMaxValueDepth = 200;

class Heap {
 public:
  explicit Heap(size_t limit) : limit_(limit) {}
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  Value string(std::string text);
  Value list(Items items) { return Value::of(keep(std::move(items)), false); }
  Value tuple(Items items) { return Value::of(keep(std::move(items)), true); }
  Value dict(Entries entries) { return Value::of(keep(std::move(entries)), false); }
  Value name_space(Entries entries) { return Value::of(keep(std::move(entries)), true); }
  Value undefined(std::string what);
  Value from_json(const Json& json);

  // Counts memory that is kept elsewhere.
  void charge(size_t bytes) { used_ += bytes; }
  bool exhausted() const { return used_ > limit_; }
  // Fails when `bytes` more would be too much; called before large results are made.
  Status check(uint64_t bytes) const;

 private:
  Items* keep(Items items);
  Entries* keep(Entries entries);

  size_t limit_, used_ = 0;
  std::deque<std::string> strings_;
  std::deque<Items> lists_;
  std::deque<Entries> dicts_;
};

// Python's name of the type, for messages: "str", "int", …
std::string_view type_name(const Value& value);

bool truth(const Value& value);

// What follows counts the elements that it looks at, and fails when there are too many: values that
// share their parts can be far larger than memory when walked.

// Python's ==; fails on values that nest too deeply.
Result<bool> equal(const Value& a, const Value& b, Meter& meter);

// Python's order: negative, 0 or positive; fails on types that have none.
Result<int> compare(const Value& a, const Value& b, Meter& meter);

// The entry of a dict or namespace, or null.
Result<const Value*> find_entry(const Entries& entries, const Value& key, Meter& meter);
Result<const Value*> find_entry(const Entries& entries, std::string_view key, Meter& meter);

// Adds an entry or changes its value.
Status set_entry(Entries& entries, const Value& key, const Value& value, Meter& meter);

// str(): what a template prints.
Result<std::string> to_text(const Value& value, Meter& meter);

// repr(): how values look inside of printed lists and dicts.
Result<std::string> to_repr(const Value& value, Meter& meter);

// Python's repr of a float: the shortest digits that read back the same.
std::string float_text(double value);

struct JsonStyle {
  int indent = -1;  // less than 0: one line
  std::string item_separator = ", ", key_separator = ": ";
  bool sort_keys = false;
};

// json.dumps(ensure_ascii=False).
Result<std::string> to_json(const Value& value, const JsonStyle& style, Meter& meter);

}  // namespace diptych::jinja
