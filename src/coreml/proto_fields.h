// Fields of protobuf messages as the readers of proto.h's messages meet them. Private to
// src/coreml.
#pragma once

#include <protozero/pbf_reader.hpp>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "coreml/proto.h"

namespace diptych::coreml::proto {

using protozero::pbf_reader;
using Wire = protozero::pbf_wire_type;

// A field with its encoding, for a switch over pbf_reader::tag_and_type. A known field in another
// encoding is skipped like an unknown one.
constexpr uint32_t number(uint32_t field) { return protozero::tag_and_type(field, Wire::varint); }
constexpr uint32_t nested(uint32_t field) {
  return protozero::tag_and_type(field, Wire::length_delimited);
}
constexpr uint32_t fixed32(uint32_t field) { return protozero::tag_and_type(field, Wire::fixed32); }
constexpr uint32_t fixed64(uint32_t field) { return protozero::tag_and_type(field, Wire::fixed64); }

inline std::string_view text(pbf_reader& in) {
  const protozero::data_view view = in.get_view();
  return {view.data(), view.size()};
}

// A bool: get_bool() looks at its byte before it has seen that there is one.
inline bool flag(pbf_reader& in) { return in.get_uint64() != 0; }

template <class T>
void append(std::vector<T>& list, const auto& range) {
  for (const auto value : range) list.push_back(static_cast<T>(value));
}

// An entry of a map, whose values are texts or messages with a read() of their own; of two with the
// same key the later wins.
template <class T>
void read_entry(pbf_reader in, Map<T>& map) {
  std::string_view key;
  T value{};
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(kKey):
        key = text(in);
        break;
      case nested(kValue):
        if constexpr (std::is_same_v<T, std::string_view>) {
          value = text(in);
        } else {
          read(in.get_message(), value);
        }
        break;
      default:
        in.skip();
    }
  }
  map[key] = std::move(value);
}

}  // namespace diptych::coreml::proto
