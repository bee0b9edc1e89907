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

struct Variant;

struct Function {
  MethodGraph graph;
  // Of a language model: its place in the variant's description, and the variant; else null.
  const contract::Function* contract = nullptr;
  const Variant* variant = nullptr;
  Layers layers;

  const mil::Function& function() const { return *graph.function; }
  // What an input or output is for, in words that are the same in every file of the contract ("key
  // cache 3"); without a contract by type and number among those of the type ("fp16[1,4] 0").
  std::vector<std::string> input_roles, output_roles;

  // "method prefill, layer 3, mul 'x'".
  std::string place(const mil::Op& op) const;
};

// A language model as its own functions compute it, or as those of an adapter do.
struct Variant {
  std::string adapter;  // empty: the model's own
  contract::Description model;
  std::vector<Function*> functions;  // by rising tokens, at least one
};

struct Subject {
  std::string path;
  std::shared_ptr<runtime::Program> program;         // null for a Core ML model
  std::shared_ptr<const void> owner;                 // of what the functions' weights lie in
  std::vector<std::unique_ptr<Variant>> variants;    // of a language model; its own first
  std::string why_no_model;                          // why it is none
  std::vector<Error> broken_adapters;                // why functions of adapters are in no variant
  std::vector<std::unique_ptr<Function>> functions;  // those of the variants, then all others

  // Null where the file is no language model.
  const contract::Description* model() const {
    return variants.empty() ? nullptr : &variants.front()->model;
  }
  Function* find(std::string_view name) const;
};

// Opens a .pte, a .mlpackage or a .mlmodel. What passes between calls is fp32, whichever numerics
// functions are then run with. Errors name the file.
Result<Subject> open_subject(const std::string& path, int threads = 0);

// Fills in the roles from the contract, or without one from types.
void set_roles(Function& function);

}  // namespace diptych::compare
