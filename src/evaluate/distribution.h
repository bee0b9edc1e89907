// The mathematics of an evaluation: what logits say about a token, and how far two distributions
// are apart. All in double from fp32 logits, in nats.
#pragma once

#include <cstdint>
#include <span>

namespace diptych::evaluate {

// log(sum(exp(logits))), without overflow. NaN when a logit is NaN or +inf, or all are -inf: no
// distribution then. Logits must not be empty.
double log_sum_exp(std::span<const float> logits);

// -log of the probability of `token`. +inf when its logit is -inf.
double negative_log_likelihood(std::span<const float> logits, int64_t token);

// How a model's distribution q differs from a reference's p at one position.
struct Divergence {
  double kl = 0;              // KL(p||q), never negative; +inf where q excludes what p does not
  bool same_top1 = false;     // the most probable token, the lowest of equals
  double max_difference = 0;  // |logit of p - logit of q|; two of -inf do not differ
  double sum_of_differences = 0;
};

// Both of one length. Where one of them is no distribution, kl is NaN.
Divergence diverge(std::span<const float> reference, std::span<const float> model);

}  // namespace diptych::evaluate
