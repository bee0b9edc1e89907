// The nesting of a method's inputs and outputs, as PyTorch's pytree writes it into a program.
// docs/formats/pte.md, section 6.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace diptych::pte {

// Python containers around values. Running a program does not need it; upstream's tools restore
// nested arguments and results with it.
struct TreeSpec {
  using Key = std::variant<std::string, int64_t>;
  enum class Kind : uint8_t { Leaf, Tuple, List, Dict };

  Kind kind = Kind::Leaf;
  std::vector<Key> keys;  // of a Dict, in insertion order; as many as children
  std::vector<TreeSpec> children;

  static TreeSpec leaf() { return {}; }
  static TreeSpec tuple(std::vector<TreeSpec> children);
  static TreeSpec list(std::vector<TreeSpec> children);
  static TreeSpec dict(std::vector<std::pair<Key, TreeSpec>> members);
  // What a method's input spec holds: positional arguments and keyword arguments.
  static TreeSpec arguments(std::vector<TreeSpec> positional);
};

// Returns the text for Method::input_spec or output_spec, exactly as Python's json.dumps writes it.
// Keys must be UTF-8.
std::string to_json(const TreeSpec& spec);

}  // namespace diptych::pte
