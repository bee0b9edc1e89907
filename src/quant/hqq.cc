#include "quant/hqq.h"

#include <limits>

#include "quant/grid-inl.h"
#include "quant/grid.h"

namespace diptych::quant {

namespace {

using lanes::Floats, lanes::kLanes;

// The source's settings.
constexpr double kFirstBeta = 10, kBetaGrowth = 1.01;
constexpr int kIterations = 20;

// One round: the sum of |error| at `scale`, and the closed-form scale for its codes and the errors
// that the proximal step leaves (0 when all codes are).
struct Round {
  double error = 0;
  double next_scale = 0;
};
Round split(std::span<const float> weights, float scale, double beta, int bits) {
  const lanes::Rounder round(scale, bits);
  const Floats strength = lanes::all(static_cast<float>(1 / beta));
  Floats sum{}, products{}, squares{};
  for (size_t i = 0; i < weights.size(); i += kLanes) {
    const Floats w = lanes::load(weights, i);
    const Floats code = round(w);
    const Floats off = w - code * scale;
    const Floats magnitude = lanes::magnitude(off);
    // An error of 0 divides to infinity and shrinks to 0 as it should.
    const Floats shrinkage = strength / lanes::root(lanes::root(magnitude));
    const Floats left = lanes::largest(magnitude - shrinkage, Floats{});
    const Floats error = off < 0 ? -left : left;
    sum += magnitude;
    products += code * (w - error);
    squares += code * code;
  }
  const double below = lanes::sum(squares);
  return {lanes::sum(sum), below > 0 ? lanes::sum(products) / below : 0};
}

}  // namespace

float hqq_scale(std::span<const float> weights, int bits, DType stored) {
  float scale = largest_scale(weights, bits, stored), best = scale;
  double least = std::numeric_limits<double>::infinity(), beta = kFirstBeta;
  for (int i = 0; i < kIterations; ++i, beta *= kBetaGrowth) {
    const Round round = split(weights, scale, beta, bits);
    if (round.error >= least) break;
    least = round.error;
    best = scale;
    if (round.next_scale <= 0) break;
    scale = stored_scale(round.next_scale, stored);
  }
  return best;
}

}  // namespace diptych::quant
