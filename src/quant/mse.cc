#include "quant/mse.h"

#include "quant/grid.h"

namespace diptych::quant {

namespace {

// Fractions of the largest magnitude that are tried as the end of the grid. Below a third, four
// bits of a bell-shaped group gain nothing.
constexpr double kSmallest = 0.34, kStep = 0.03;
constexpr int kMostRefinements = 8;

}  // namespace

float mse_scale(std::span<const float> weights, std::span<const float> importance, int bits,
                DType stored) {
  const float largest = largest_scale(weights, bits, stored);
  float best = largest;
  Fit best_fit = fit(weights, importance, best, bits);
  const auto improves = [&](double scale) {
    const float tried = stored_scale(scale, stored);
    const Fit found = fit(weights, importance, tried, bits);
    if (found.error >= best_fit.error) return false;
    best = tried;
    best_fit = found;
    return true;
  };
  for (double fraction = 1 - kStep; fraction >= kSmallest; fraction -= kStep) {
    improves(fraction * static_cast<double>(largest));
  }
  for (int i = 0; i < kMostRefinements && improves(best_fit.best_scale()); ++i) {
  }
  return best;
}

}  // namespace diptych::quant
