// How a checkpoint names and arranges a model's tensors.
#pragma once

#include <cstdint>

namespace diptych::llama {

// Whose names (and whose configuration) a checkpoint uses. Hugging Face's models whose blocks end
// in norms (HuggingFacePost) call the norm after attention what others call the one before the
// feed-forward layer.
enum class Dialect : uint8_t { Meta, HuggingFace, HuggingFacePost, Gguf };

// How a checkpoint arranges the tensors.
struct Layout {
  Dialect dialect = Dialect::Meta;
  bool fused = false;        // q, k and v are one matrix, gate and up another
  bool halves = false;       // RoPE turns channels (j, j + d/2): q and k are to be brought to pairs
  bool unit_offset = false;  // weights of norms are stored less 1
  bool beside_vision = false;  // there are the tensors of a part that sees as well
  // Whether the output is the embedding: as the checkpoint holds it or not, by its configuration.
  enum class Tied : uint8_t { ByTensors, Yes, No };
  Tied tied = Tied::ByTensors;
};

}  // namespace diptych::llama
