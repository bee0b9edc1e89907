// Reads the contract off a file: which of its methods are a language model's, for what, and where
// their inputs and outputs are.
//
// Types come from the methods' signatures, which cannot lie about themselves. Places of inputs come
// from the constant methods; where a file has none, from the order and the types of the inputs.
// What both say must agree. Output columns of kv_cache_specs are wrong in upstream's files from 11
// layers on and never used: new keys and values are outputs 1+layer and 1+layers+layer.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "contract/model.h"
#include "pte/program.h"

namespace diptych::contract {

// A method of the file and the types that it is bound with (the floats of a file in fp16 may be
// bound as fp32).
struct MethodTypes {
  std::string name;
  std::vector<TensorType> inputs, outputs;
};

struct Function {
  Method method;
  Places places;
};

// The rows of a RoPE table: [max_context, rope_width] of the model's dtype.
struct RopeRows {
  std::vector<std::byte> cos, sin;
};

// A file's model: what its methods share, and the methods.
struct Description : Model {
  int64_t max_context = 0;          // positions that have a RoPE row
  std::vector<RopeRows> ropes;      // by RoPE table
  std::vector<Function> functions;  // at least one; by rising number of tokens

  // Tokens that may be in the caches at a time: as many as layers without a window hold. Layers
  // with one keep the latest of any number.
  int64_t cache_len() const;
  // The function for single tokens and the one for the longest pieces of a prompt, which a file
  // with one method has in one.
  const Function& decode() const { return functions.front(); }
  const Function& prefill() const { return functions.back(); }
  // The function that gives the logits after each of the most tokens; null when all give one.
  const Function* verify() const;
};

// `methods` are those of `file` that role_of() knows. Errors say which part of the contract the
// file breaks.
Result<Description> read(const pte::Program& file, std::span<const MethodTypes> methods);

}  // namespace diptych::contract
