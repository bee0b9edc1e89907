// Decodes the types and values of a program. Private to src/coreml.
#pragma once

#include "coreml/proto_fields.h"

namespace diptych::coreml::proto {

// The alternative T of a oneof, made the current one.
template <class T, class Oneof>
T& select(Oneof& oneof) {
  if (T* current = std::get_if<T>(&oneof)) return *current;
  return oneof.template emplace<T>();
}

// Both add what a message says to `out`; they throw protozero::exception where it is none.
void read(pbf_reader in, NamedValueType& out);
void read(pbf_reader in, Value& out);

}  // namespace diptych::coreml::proto
