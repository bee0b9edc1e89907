#include "quant/algorithm.h"

#include <array>

#include "quant/grid.h"
#include "quant/mse.h"
#include "quant/rtn.h"

namespace diptych::quant {

namespace {

bool round_to_nearest(const SourceRow& row, int bits, std::span<float> scales, int8_t* codes) {
  const size_t groups = scales.size(), group = row.weights.size() / groups;
  return row.dtype == DType::F16
             ? quantize_groups(row.halves, groups, group, bits, codes, scales.data())
             : quantize_groups(row.weights.data(), groups, group, bits, codes, scales.data());
}

float least_squares_scale(std::span<const float> weights, int bits, DType stored) {
  return mse_scale(weights, {}, bits, stored);
}

// Scales that `scale_of` chooses group by group, and the codes nearest to them.
template <float (*scale_of)(std::span<const float> weights, int bits, DType stored)>
bool by_scale(const SourceRow& row, int bits, std::span<float> scales, int8_t* codes) {
  if (!all_finite(row.weights)) return false;
  const size_t size = row.weights.size() / scales.size();
  for (size_t g = 0; g < scales.size(); ++g) {
    const std::span<const float> group = row.weights.subspan(g * size, size);
    scales[g] = scale_of(group, bits, row.dtype);
    if (codes) nearest_codes(group, scales[g], bits, codes + g * size);
  }
  return true;
}

constexpr std::array<AlgorithmInfo, 3> kAlgorithms = {{
    {Algorithm::Rtn, "rtn", round_to_nearest, Algorithm::Rtn},
    {Algorithm::Mse, "mse", by_scale<least_squares_scale>, Algorithm::Mse},
    {Algorithm::Gptq, "gptq", nullptr, Algorithm::Mse},
}};

}  // namespace

const AlgorithmInfo& info(Algorithm algorithm) {
  return kAlgorithms.at(static_cast<size_t>(algorithm));
}

Result<Algorithm> algorithm_from_name(std::string_view name) {
  std::string known;
  for (const AlgorithmInfo& row : kAlgorithms) {
    if (row.name == name) return row.algorithm;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", row.name);
  }
  return invalid_argument("no quantisation algorithm is named \"{}\"; there are {}", name, known);
}

}  // namespace diptych::quant
