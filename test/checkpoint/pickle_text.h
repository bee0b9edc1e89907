// Pickles written by hand, opcode by opcode, for tests of what reads them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace diptych::testing {

template <class T>
std::string little_endian(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof(T));
}

// The pieces one after another. (GCC 12 warns wrongly of "literal" + std::string.)
template <class... Pieces>
std::string joined(const Pieces&... pieces) {
  std::string out;
  (out.append(std::string_view(pieces)), ...);
  return out;
}

inline std::string pickle_text(std::string_view value) {
  return joined("X", little_endian(static_cast<uint32_t>(value.size())), value);
}
inline std::string pickle_int(int64_t value) { return joined("\x8a\x08", little_endian(value)); }
inline std::string pickle_tuple(const std::vector<int64_t>& numbers) {
  std::string out = "(";
  for (const int64_t number : numbers) out += pickle_int(number);
  out += "t";
  return out;
}

// A view of storage `key`, which has `elements` elements of class torch.<storage_class>.
inline std::string pickle_tensor(std::string_view storage_class, std::string_view key,
                                 int64_t elements, int64_t offset,
                                 const std::vector<int64_t>& shape,
                                 const std::vector<int64_t>& stride) {
  return joined("ctorch._utils\n_rebuild_tensor_v2\n((", pickle_text("storage"), "ctorch\n",
                storage_class, "\n", pickle_text(key), pickle_text("cpu"), pickle_int(elements),
                "tQ", pickle_int(offset), pickle_tuple(shape), pickle_tuple(stride),
                "\x89"
                "ccollections\nOrderedDict\n)RtR");
}

// A whole pickle of a dict; `items` are keys and values in turn.
inline std::string pickle_dict(std::string_view items) { return joined("\x80\x02}(", items, "u."); }

}  // namespace diptych::testing
