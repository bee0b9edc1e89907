#include "evaluate/distribution.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "generate/sampler.h"

namespace diptych::evaluate {

double log_sum_exp(std::span<const float> logits) {
  // The largest is NaN when one is, whatever the order.
  float largest = -std::numeric_limits<float>::infinity();
  for (const float logit : logits) largest = logit > largest || std::isnan(logit) ? logit : largest;
  if (!std::isfinite(largest)) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
  return largest + std::log(sum);
}

double negative_log_likelihood(std::span<const float> logits, int64_t token) {
  return log_sum_exp(logits) - logits[static_cast<size_t>(token)];
}

Divergence diverge(std::span<const float> reference, std::span<const float> model) {
  const double reference_sum = log_sum_exp(reference), model_sum = log_sum_exp(model);
  Divergence result;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double log_p = reference[i] - reference_sum, log_q = model[i] - model_sum;
    const double p = std::exp(log_p);
    if (p != 0) result.kl += p * (log_p - log_q);
    const double difference =
        reference[i] == model[i] ? 0 : std::abs(static_cast<double>(reference[i]) - model[i]);
    result.max_difference = std::max(result.max_difference, difference);
    result.sum_of_differences += difference;
  }
  // Rounding may leave a little less than nothing.
  if (result.kl < 0) result.kl = 0;
  result.same_top1 = generate::argmax(reference) == generate::argmax(model);
  return result;
}

}  // namespace diptych::evaluate
