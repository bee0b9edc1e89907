#include "llama/param_reader.h"

namespace diptych::llama {

void check_relations(const Params& params, ParamReader& reader) {
  if (params.n_heads % params.n_kv_heads != 0) {
    reader.problem(fmt::format("n_heads: {} is not a multiple of n_kv_heads {}", params.n_heads,
                               params.n_kv_heads));
  }
  if (params.head_dim < 1) {
    reader.problem(
        fmt::format("head_dim: dim {} is less than n_heads {}", params.dim, params.n_heads));
  } else if (params.head_dim % 2 != 0) {
    reader.problem(
        fmt::format("head_dim: {} is odd, RoPE rotates pairs of channels", params.head_dim));
  }
  for (const RopeParams& rope : params.ropes) {
    if (rope.rotated(params.head_dim) != params.rotated()) {
      reader.problem(fmt::format(
          "partial_rotary_factor: one table of RoPE turns {} channels of a head and another {}, "
          "expected the same number",
          params.rotated(), rope.rotated(params.head_dim)));
    }
    if (rope.llama3 && rope.high_freq_factor <= rope.low_freq_factor) {
      reader.problem(
          fmt::format("high_freq_factor: expected more than {} (the low factor), found {}",
                      rope.low_freq_factor, rope.high_freq_factor));
    }
    if (rope.llama3 && params.use_hf_rope) {
      reader.problem("use_scaled_rope: contradicts use_hf_rope, whose tables are never scaled");
    }
  }
  if (params.q_dim() > kMaxInner) {
    reader.problem(fmt::format("head_dim: n_heads * head_dim is {}, expected at most {}",
                               params.q_dim(), kMaxInner));
  }
}

}  // namespace diptych::llama
