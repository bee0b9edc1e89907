// What a runner needs to know about a static-attention Llama in a .pte, derived from the file
// alone.
//
// Source of the conventions: ExecuTorch's examples/apple/coreml/llama (exporter and runners).
// Everything structural comes from the methods' signatures, which cannot lie about themselves; the
// metadata methods add the RoPE tables and are checked against the signature. Output columns of
// upstream's kv_cache_specs are wrong from 11 layers on and are never used: new keys and values are
// outputs 1+layer and 1+layers+layer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/program.h"

namespace diptych::generate {

// One method that evaluates `tokens` positions against a cache of `cache_len` slots.
struct FunctionDescription {
  std::string method;        // "forward", "prefill"
  int64_t tokens = 0;        // T: positions per call
  int64_t cache_len = 0;     // C: cache slots
  bool full_logits = false;  // logits [1,T,V] or [T,V], else of one position: [1,1,V] or [1,V]

  // Indices of the method's inputs and outputs.
  size_t tokens_input = 0, mask_input = 0, cos_input = 0, sin_input = 0;
  std::optional<size_t> last_position_input;
  std::vector<size_t> key_inputs, value_inputs;    // by layer: [1, kv_heads, C, head_dim]
  std::vector<size_t> key_outputs, value_outputs;  // by layer: [1, kv_heads, T, head_dim]
  size_t logits_output = 0;
};

struct ModelDescription {
  int64_t vocab_size = 0;
  int64_t layers = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t max_context = 0;   // positions that have a RoPE row
  int64_t rope_width = 0;    // columns of the RoPE tables
  DType dtype = DType::F16;  // of masks, RoPE rows, caches and logits as they are bound
  std::vector<std::byte> cos_table, sin_table;  // [max_context, rope_width] of dtype
  std::vector<FunctionDescription> functions;   // by falling T

  // The function for prompts (largest T) and the one for single tokens (smallest T); the same one
  // in a single-method file.
  const FunctionDescription& prefill() const { return functions.front(); }
  const FunctionDescription& decode() const { return functions.back(); }
};

// Errors say which convention the file breaks.
Result<ModelDescription> describe(const runtime::Program& program);

}  // namespace diptych::generate
