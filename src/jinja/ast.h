// A parsed template: statements and expressions, as plain trees.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "jinja/lexer.h"
#include "jinja/value.h"

namespace diptych::jinja {

struct Builtin;
struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

// The arguments of a call, a filter or a test, as written.
struct Arguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr star, double_star;  // *list, **dict; may be null
};

struct Expression {
  enum class Kind : uint8_t {
    Constant,     // value; of a string: text
    Name,         // text
    List,         // children
    Tuple,        // children
    Dict,         // children: key, value, key, value, …
    Attribute,    // children[0].text
    Item,         // children[0][children[1]]
    Slice,        // children: begin, end, step, each may be null; only as children[1] of an Item
    Call,         // children[0](arguments)
    Filter,       // children[0] | builtin(arguments); children[0] is null where a block is filtered
    Test,         // children[0] is builtin(arguments)
    Not,          // children[0]
    Sign,         // text ("-" or "+"), children[0]
    And,          // children[0], children[1]
    Or,           // children[0], children[1]
    Compare,      // children[0] operators[0] children[1] operators[1] …
    Binary,       // children[0] text children[1]
    Concat,       // children
    Conditional,  // children[0] if children[1] else children[2], which may be null
  };

  Kind kind = Kind::Constant;
  Position at;
  std::string text;
  Value value;
  std::vector<ExpressionPtr> children;
  std::vector<std::string> operators;
  Arguments arguments;
  const Builtin* builtin = nullptr;
  int depth = 1;  // levels of expressions below and including this one
};

// What is assigned to.
struct Target {
  enum class Kind : uint8_t { Name, Attribute, Tuple };
  Kind kind = Kind::Name;
  Position at;
  std::string name, attribute;
  std::vector<Target> parts;
};

struct Statement;
using Block = std::vector<Statement>;

struct Parameter {
  std::string name;
  ExpressionPtr otherwise;  // the default; may be null
};

// A macro, or the body of a call block.
struct Macro {
  std::string name;
  std::vector<Parameter> parameters;
  Block body;
  // Which of the names that collect other arguments the body uses.
  bool uses_varargs = false, uses_kwargs = false, uses_caller = false;
};

struct Statement {
  enum class Kind : uint8_t {
    Text,       // text
    Output,     // expressions[0]
    If,         // expressions: conditions; bodies: one each, and that of else
    For,        // targets[0] in expressions[0] if expressions[1] (may be null); bodies: loop, else
    Set,        // targets[0] = expressions[0]
    SetBlock,   // targets[0] = bodies[0] | expressions[0] (may be null)
    Macro,      // macro
    CallBlock,  // expressions[0] is a Call; macro is its caller
    Filter,     // bodies[0] | expressions[0]
    With,       // targets = expressions; bodies[0]
    Scope,      // bodies[0]
    Break,
    Continue,
  };

  Kind kind = Kind::Text;
  Position at;
  std::string text;
  std::vector<Target> targets;
  std::vector<ExpressionPtr> expressions;
  std::vector<Block> bodies;
  std::unique_ptr<Macro> macro;
};

}  // namespace diptych::jinja
