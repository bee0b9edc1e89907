#include "llama/rope.h"

#include <cmath>
#include <numbers>

#include "base/half.h"

namespace diptych::llama {
namespace {

constexpr int64_t kMaxContext = int64_t{1} << 24;  // beyond, fp32 cannot count positions
constexpr uint64_t kMaxTableBytes = uint64_t{1} << 31;

// Slows down the frequencies whose wavelength exceeds the trained context, leaves the fast ones
// alone, and blends in between. All arithmetic in fp32, one rounding per step.
float scaled(float frequency, const RopeParams& rope) {
  const auto factor = static_cast<float>(rope.scale_factor);
  const auto high = static_cast<float>(rope.high_freq_factor);
  const auto low = static_cast<float>(rope.low_freq_factor);
  // Upstream has 8192, Llama 3's, hard-coded, and a low factor of 1.
  const auto trained = static_cast<float>(rope.trained_context);
  // A number over a tensor is the tensor's reciprocal times the number: two roundings.
  const float wavelength = (1.0f / frequency) * static_cast<float>(2 * std::numbers::pi);
  if (wavelength < trained / high) return frequency;
  if (wavelength > trained / low) return frequency / factor;
  const float smooth = (trained / wavelength - low) / (high - low);
  const float slow = (1.0f - smooth) * frequency / factor;
  const float fast = smooth * frequency;
  return slow + fast;
}

void store_as(DType dtype, double value, std::byte* to) {
  const auto single = static_cast<float>(value);
  if (dtype == DType::F16) {
    store(to, float_to_half(single));
  } else {
    store(to, single);
  }
}

// One table, of valid sizes.
Result<contract::RopeTables> table_of(const RopeParams& rope, const Params& params,
                                      const TensorType& type) {
  const int64_t positions = type.shape[0];
  const std::vector<float> frequencies = rope_frequencies(rope, params.head_dim);
  const size_t width = static_cast<size_t>(bit_width(type.dtype)) / 8;
  const uint64_t size = TRY(packed_size(type));
  std::vector<std::byte> cos(size), sin(size);
  size_t at = 0;
  for (int64_t position = 0; position < positions; ++position) {
    for (int64_t column = 0; column < params.rope_dim(); ++column, at += width) {
      // Half-split rotation uses each frequency twice, for channels j and j + d/2.
      const auto index =
          static_cast<size_t>(params.use_hf_rope ? column % std::ssize(frequencies) : column);
      if (index >= frequencies.size()) {
        store_as(type.dtype, 1, &cos[at]);
        store_as(type.dtype, 0, &sin[at]);
        continue;
      }
      const float frequency = frequencies[index];
      const auto angle = static_cast<double>(static_cast<float>(position) * frequency);
      store_as(type.dtype, std::cos(angle) * rope.attention_factor, &cos[at]);
      store_as(type.dtype, std::sin(angle) * rope.attention_factor, &sin[at]);
    }
  }
  contract::RopeTables tables;
  tables.cos = TRY(memory_weight(type, std::move(cos)));
  tables.sin = TRY(memory_weight(type, std::move(sin)));
  return tables;
}

}  // namespace

std::vector<float> rope_frequencies(const RopeParams& rope, int64_t head_dim) {
  const auto theta = static_cast<double>(static_cast<float>(rope.theta));
  const int64_t rotated = rope.rotated(head_dim);
  std::vector<float> frequencies;
  for (int64_t channel = 0; channel < rotated; channel += 2) {
    const float exponent = static_cast<float>(channel) / static_cast<float>(rotated);
    const auto power = static_cast<float>(std::pow(theta, static_cast<double>(exponent)));
    const float frequency = 1.0f / power;
    if (rope.llama3) {
      frequencies.push_back(scaled(frequency, rope));
    } else if (!rope.factors.empty()) {
      frequencies.push_back(frequency / rope.factors.at(frequencies.size()));
    } else {
      frequencies.push_back(frequency / static_cast<float>(rope.linear_factor));
    }
  }
  return frequencies;
}

Result<std::vector<contract::RopeTables>> rope_tables(const Params& params, int64_t max_context_len,
                                                      DType dtype) {
  if (dtype != DType::F16 && dtype != DType::F32) {
    return invalid_argument("RoPE tables are fp16 or fp32, not {}", name(dtype));
  }
  if (max_context_len < 1 || max_context_len > kMaxContext) {
    return invalid_argument("max_context_len: expected 1 to {}, found {}", kMaxContext,
                            max_context_len);
  }
  const TensorType type{dtype, {max_context_len, params.rope_dim()}};
  const uint64_t size = TRY(packed_size(type));
  if (size > kMaxTableBytes) {
    return invalid_argument(
        "max_context_len: {} makes RoPE tables of {} bytes, expected at most {}", max_context_len,
        size, kMaxTableBytes);
  }
  std::vector<contract::RopeTables> tables;
  for (const RopeParams& rope : params.ropes) tables.push_back(TRY(table_of(rope, params, type)));
  return tables;
}

}  // namespace diptych::llama
