// A file opened to be compared: its functions, joined, and of a language model what its inputs and
// outputs are for and which layer each operation belongs to.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "compare/method_graph.h"
#include "contract/reader.h"
#include "runtime/program.h"

namespace diptych::compare {

// Layers of operations: of a language model by data flow, whatever the names are.
class Layers {
 public:
  Layers() = default;
  Layers(const mil::Function& function, const contract::Places& places);
  // Nothing outside of all layers.
  std::optional<size_t> of(const mil::Op& op) const;

 private:
  std::unordered_map<const mil::Op*, size_t> layers_;
};

struct Function {
  MethodGraph graph;
  const contract::Function* contract = nullptr;  // of Subject::model; null: no language model's
  Layers layers;

  const mil::Function& function() const { return *graph.function; }
  // What an input or output is for, in words that are the same in every file of the contract ("key
  // cache 3"); without a contract by type and number among those of the type ("fp16[1,4] 0").
  std::vector<std::string> input_roles, output_roles;

  // "method prefill, layer 3, mul 'x'".
  std::string place(const mil::Op& op) const;
};

struct Subject {
  std::string path;
  std::shared_ptr<runtime::Program> program;         // null for a Core ML model
  std::shared_ptr<const void> owner;                 // of what the functions' weights lie in
  std::optional<contract::Description> model;        // of a language model
  std::string why_no_model;                          // why it is none
  std::vector<std::unique_ptr<Function>> functions;  // of a language model by rising tokens

  Function* find(std::string_view name) const;
};

// Opens a .pte, a .mlpackage or a .mlmodel. What passes between calls is fp32, whichever numerics
// functions are then run with. Errors name the file.
Result<Subject> open_subject(const std::string& path, int threads = 0);

// Fills in the roles from the contract, or without one from types.
void set_roles(Function& function, size_t layers);

}  // namespace diptych::compare
