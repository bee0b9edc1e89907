#include "exporter/rotations.h"

#include <algorithm>

namespace diptych::exporter {

namespace {

bool keeps_codes(const Options& options) {
  const auto keeps = [](const std::optional<quant::Format>& format) {
    return format && format->kind == quant::Kind::Kept;
  };
  const auto& overrides = options.quantization.overrides;
  return keeps(options.linear) || keeps(options.embedding) ||
         std::any_of(overrides.begin(), overrides.end(),
                     [&](const LinearOverride& row) { return keeps(row.format); });
}

// Why nothing of a model can be rotated; empty if something can.
std::string_view obstacle(const llama::LlamaWeights& weights, const Options& options) {
  if (!weights.adapters.empty()) {
    return "weights cannot be rotated beside adapters as methods of their own; merge the adapter";
  }
  if (keeps_codes(options)) return "weights cannot be both rotated and kept as a GGUF has them";
  return {};
}

}  // namespace

Result<llama::Rotations> rotations_of(const llama::Params& params,
                                      const llama::LlamaWeights& weights, const Options& options) {
  const std::string_view reason = obstacle(weights, options);
  const llama::Rotations possible = llama::possible_rotations(params);
  if (!options.rotations) {
    if (!reason.empty()) return llama::Rotations{};
    // Where the stream is rotated, heads rotated besides gain nothing more (docs/quantization.md).
    return llama::Rotations{possible.stream, possible.heads && !possible.stream};
  }
  const llama::Rotations wanted = *options.rotations;
  if (wanted.any() && !reason.empty()) return invalid_argument("{}", reason);
  if (wanted.stream && !llama::has_rotatable_norms(params)) {
    return invalid_argument(
        "the values between this model's blocks cannot be rotated: its blocks normalise what they "
        "add; the values of its heads can");
  }
  if ((wanted.stream && !possible.stream) || (wanted.heads && !possible.heads)) {
    return invalid_argument(
        "widths of {} and {} cannot be rotated: an odd factor of more than {} is too large",
        params.dim, params.head_dim, llama::kMostOddFactor);
  }
  return wanted;
}

}  // namespace diptych::exporter
