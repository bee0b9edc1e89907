// The tensors of a checkpoint brought to their places in a model.
// Source: executorch/examples/models/llama (llama_transformer.py, static_attention.py) and the
// renaming in examples/apple/coreml/llama/export_static_llm_coreml.py.
#pragma once

#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "llama/inventory.h"
#include "llama/params.h"
#include "tensor/weight.h"

namespace diptych::llama {

// One tensor that a checkpoint of these parameters holds.
struct ExpectedTensor {
  std::vector<std::string> names;  // the dialect's, then others that upstream's loader takes
  Shape shape;
  bool optional = false;  // output.weight: absent when tied to the embedding
};
std::vector<ExpectedTensor> expected_tensors(const Params& params, const Layout& layout = {});

// Factors of RoPE's frequencies in GGUF files (describe_gguf() reads them).
inline constexpr std::string_view kRopeFactorsTensor = "rope_freqs.weight";
// LongRoPE's, of short and of long contexts.
inline constexpr std::string_view kRopeShortTensor = "rope_factors_short.weight";
inline constexpr std::string_view kRopeLongTensor = "rope_factors_long.weight";

// Assigns a checkpoint's tensors to their places. One error lists all that are missing, surplus,
// given twice, of the wrong shape or not of a float type. Names may have prefixes that trainers and
// compilers put before them ("module.", "_orig_mod.", …) and may lack "model.". `rope.freqs` and
// its like, which can be computed, are ignored. An output.weight that is absent, or holds what
// tok_embeddings.weight holds, becomes the same object. Whatever the checkpoint's layout, the
// result is in Meta's: tensors that differ from it become views.
Result<LlamaWeights> collect(const Params& params,
                             std::span<const std::pair<std::string, WeightRef>> tensors,
                             const Layout& layout = {});

// Weights in the dtype that a model computes in, together with the zero biases of its linears.
// Every method of a model is built from one of these and so shares its weights by construction.
struct PreparedWeights {
  DType dtype = DType::F16;
  LlamaWeights tensors;
  std::map<int64_t, WeightRef> zero_biases;  // by width
};

// Casts all weights (lazily: nothing is read) to F16 or F32, those of adapters as well. Reading
// values that are not finite then fails (tensor/finite_cast.h).
Result<PreparedWeights> prepare(const Params& params, LlamaWeights weights, DType dtype);

}  // namespace diptych::llama
