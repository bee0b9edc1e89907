#include "exporter/allocate.h"

#include <algorithm>
#include <array>
#include <queue>

namespace diptych::exporter {

namespace {

// (Palettes of 6 bits were tried between the last two: no better byte for byte, and slower to run.)
constexpr std::array kLadder = {quant::kC4w, quant::kB4w, quant::kC8w};

// The squared error of a bell-shaped weight's rounding falls about like this from c4w on, by step
// of the ladder.
constexpr std::array<double, kLadder.size()> kError = {1, 0.37, 0.0036};

// Whether groups divide a matrix.
bool takes(const Weight& matrix, const quant::Format& format) {
  return format.group == 0 || matrix.shape()[1] % format.group == 0;
}

// The step of the ladder that a format is, or its size.
size_t step_of(const quant::Format& format) {
  return static_cast<size_t>(std::find(kLadder.begin(), kLadder.end(), format) - kLadder.begin());
}

// Whether a linear has the format of most, which options give no other.
bool may_rise(const NamedLinear& linear, const Options& options) {
  if (!linear.how || !options.linear || linear.how->format != *options.linear) return false;
  return std::none_of(
      options.quantization.overrides.begin(), options.quantization.overrides.end(),
      [&](const LinearOverride& override) { return fits(override.pattern, linear.tensor); });
}

}  // namespace

uint64_t packed_bytes(const Weight& matrix, const quant::Format& format, DType dtype) {
  const auto width = static_cast<int64_t>(matrix.row_elements());
  const int64_t group = format.group == 0 || width % format.group != 0 ? width : format.group;
  const auto scales =
      static_cast<uint64_t>(width / group) * static_cast<uint64_t>(bit_width(dtype)) / 8;
  return static_cast<uint64_t>(matrix.rows()) *
         (static_cast<uint64_t>(width) * static_cast<uint64_t>(format.bits) / 8 + scales);
}

uint64_t budget_of(const std::vector<NamedLinear>& linears, const Options& options) {
  double bytes = 0;
  for (const NamedLinear& linear : linears) {
    if (!linear.how) continue;
    const auto as_it_is =
        static_cast<double>(packed_bytes(*linear.weight, linear.how->format, options.dtype));
    const double wanted =
        static_cast<double>(linear.weight->elements()) * options.quantization.bits / 8;
    bytes += may_rise(linear, options) ? std::max(wanted, as_it_is) : as_it_is;
  }
  return static_cast<uint64_t>(bytes);
}

void raise_formats(const std::vector<double>& sensitivity, const Options& options, uint64_t bytes,
                   std::vector<NamedLinear>& linears) {
  struct Step {
    double worth;  // a byte
    size_t linear, to;
    bool operator<(const Step& other) const { return worth < other.worth; }
  };
  std::priority_queue<Step> steps;
  uint64_t used = 0;
  const auto size_at = [&](size_t i, size_t step) {
    return packed_bytes(*linears[i].weight, kLadder[step], options.dtype);
  };
  // The step up from `from` that is worth most.
  const auto offer = [&](size_t i, size_t from) {
    Step best{0, i, from};
    for (size_t to = from + 1; to < kLadder.size(); ++to) {
      if (!takes(*linears[i].weight, kLadder[to])) continue;
      const uint64_t more = size_at(i, to) - size_at(i, from);
      const double gained =
          sensitivity[i] / kError[step_of(linears[i].how->format)] * (kError[from] - kError[to]);
      const double worth = gained / static_cast<double>(std::max<uint64_t>(more, 1));
      if (worth > best.worth) best = {worth, i, to};
    }
    if (best.to != from) steps.push(best);
  };
  std::vector<size_t> at(linears.size(), kLadder.size());
  for (size_t i = 0; i < linears.size(); ++i) {
    if (!linears[i].how) continue;
    used += packed_bytes(*linears[i].weight, linears[i].how->format, options.dtype);
    at[i] = step_of(linears[i].how->format);
    if (at[i] < kLadder.size() && may_rise(linears[i], options)) offer(i, at[i]);
  }
  while (!steps.empty()) {
    const Step step = steps.top();
    steps.pop();
    const uint64_t more = size_at(step.linear, step.to) - size_at(step.linear, at[step.linear]);
    if (used + more > bytes) continue;  // a smaller one may still fit
    used += more;
    at[step.linear] = step.to;
    offer(step.linear, step.to);
  }
  for (size_t i = 0; i < linears.size(); ++i) {
    if (at[i] == kLadder.size() || linears[i].how->format == kLadder[at[i]]) continue;
    linears[i].how = quantization(*linears[i].weight, kLadder[at[i]], options);
  }
}

}  // namespace diptych::exporter
