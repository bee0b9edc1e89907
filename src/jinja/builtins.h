// The filters, tests, methods and functions that templates may use: tables of names.
#pragma once

#include <array>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/value.h"

namespace diptych::jinja {

class Interpreter;

// Evaluated arguments.
struct CallArguments {
  Items positional;
  std::vector<std::pair<std::string, Value>> named;
};

inline constexpr size_t kMostParameters = 6;

// One call of a builtin.
struct Invocation {
  Interpreter& interpreter;
  Value self;                                 // what is filtered, tested, or whose method it is
  const CallArguments& arguments;             // for builtins without declared parameters
  std::array<Value, kMostParameters> values;  // by declared parameter
  std::array<bool, kMostParameters> given = {};

  bool has(size_t i) const { return given[i]; }
  const Value& operator[](size_t i) const { return values[i]; }

  // The value of a parameter, of a kind, or what it is when it is not given.
  Result<int64_t> integer(size_t i, int64_t otherwise) const;
  Result<bool> boolean(size_t i, bool otherwise) const;
  Result<std::string> string(size_t i, std::string_view otherwise) const;
};

struct Builtin {
  std::string_view name;
  // Parameters in order, "width,first=,blank="; "=" marks those that may be missing. "*" takes
  // anything as it is.
  std::string_view parameters;
  Result<Value> (*run)(const Invocation& call);
};

// The tables of names. Every entry must count what it does with large values, beyond copying what
// it is given (jinja/meter.h); test/jinja/limits_test.cc tries all of them.
using BuiltinTable = std::span<const Builtin>;
BuiltinTable filter_table();           // of one value
BuiltinTable sequence_filter_table();  // that look into lists
BuiltinTable test_table();
BuiltinTable function_table();
BuiltinTable method_table(Kind kind);  // of a String, Dict, List, Tuple or Loop; empty for others

// Null when there is none of this name.
const Builtin* find_builtin(BuiltinTable table, std::string_view name);

// The same in all tables of a kind. Tests give a Bool.
const Builtin* find_filter(std::string_view name);
const Builtin* find_test(std::string_view name);
const Builtin* find_function(std::string_view name);
// A method of a string, dict, loop …, by the kind of `self`.
const Builtin* find_method(const Value& self, std::string_view name);
// True for methods that Python has and templates might use, but that are not supported.
bool is_missing_method(const Value& self, std::string_view name);

// What is called when a value is: a macro with the frame it was made in, or a builtin.
struct Macro;
struct Frame;
struct Function {
  const Builtin* builtin = nullptr;
  Value self;
  const Macro* macro = nullptr;
  Frame* frame = nullptr;
};

// The variable "loop".
struct Loop {
  const Items* items = nullptr;
  size_t index = 0;  // from 0
  bool has_changed_values = false;
  Items changed_values;  // of the last call of changed()
};

}  // namespace diptych::jinja
