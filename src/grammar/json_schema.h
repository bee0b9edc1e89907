// JSON schemas as grammars: whatever a grammar matches, validates.
//
// Not everything that validates is matched: members come in the schema's order, members that the
// schema does not name only where additionalProperties asks for them, white space is short, and
// numbers have at most 15 digits on a side. Keywords that a grammar cannot say are refused by name.
// docs/guide/structured.md lists what is known.
#pragma once

#include <memory>

#include "base/error.h"
#include "base/json_fwd.h"
#include "grammar/automaton.h"
#include "grammar/expression.h"

namespace diptych::grammar {

// Errors say where in the schema: "#/properties/age: …".
Result<std::shared_ptr<const Automaton>> json_schema(const Json& schema);

// Any JSON object.
Result<std::shared_ptr<const Automaton>> json_object();

// One of several texts around values of schemas: what calls of functions are.
struct Enclosed {
  std::string before;
  const Json* schema = nullptr;  // null: any object
  std::string after;
};
Result<std::shared_ptr<const Automaton>> one_of_enclosed(const std::vector<Enclosed>& ways);

}  // namespace diptych::grammar
