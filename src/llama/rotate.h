// Rotations of a model's hidden values: folded into the weights, they change no result, and weights
// and values without outlying channels are quantised with less error.
// Source of the method: Ashkboos et al., "QuaRot" (2024); Liu et al., "SpinQuant" (2024).
#pragma once

#include <string_view>

#include "base/error.h"
#include "llama/params.h"
#include "llama/weights.h"

namespace diptych::llama {

// What is rotated, each by R of its width (tensor/rotation.h).
struct Rotations {
  bool stream = false;  // what is passed from block to block, [D]
  bool heads = false;   // the values of each head, [d]

  bool any() const { return stream || heads; }
  bool operator==(const Rotations&) const = default;
};
// What they are called: none, heads, stream, all.
std::string_view name(const Rotations& rotations);
// Errors: an unknown name, with the known.
Result<Rotations> rotations_from_name(std::string_view name);

// Whether norms commute with rotations of the stream: those of what blocks take do once their gains
// are in the linears after them; those of what blocks add have no linear to take their gains.
bool has_rotatable_norms(const Params& params);
// What a model can have: norms as above, and widths without a large odd factor, which counts
// squared in time and memory.
inline constexpr int64_t kMostOddFactor = 1024;
Rotations possible_rotations(const Params& params);

// Folds rotations, which must be possible, into the weights, lazily: nothing is read. Where the
// stream is rotated, all norms of it then have gains of one. An untied head takes over the
// gain of the last norm; a tied one stays the embedding, and the gain becomes `rotated_gain`.
// Adapters stay as they are, so there must be none.
LlamaWeights rotate(const Params& params, LlamaWeights weights, Rotations rotations);
// prepare() of rotated weights. Refuses rotations that are not possible.
Result<PreparedWeights> prepare_rotated(const Params& params, LlamaWeights weights,
                                        Rotations rotations, DType dtype);

}  // namespace diptych::llama
