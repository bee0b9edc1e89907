#include "generate/sampler.h"

#include <algorithm>
#include <cmath>

namespace diptych::generate {

namespace {

// Most probable first; equals by token, so that the order is defined.
bool likelier(const std::pair<float, int64_t>& a, const std::pair<float, int64_t>& b) {
  return a.first != b.first ? a.first > b.first : a.second < b.second;
}

bool less_likely(const std::pair<float, int64_t>& a, const std::pair<float, int64_t>& b) {
  return likelier(b, a);
}

bool earlier(const std::pair<float, int64_t>& a, const std::pair<float, int64_t>& b) {
  return a.second < b.second;
}

bool likelier_token(const TokenLogprob& a, const TokenLogprob& b) {
  return a.logprob != b.logprob ? a.logprob > b.logprob : a.token < b.token;
}

// Beyond these, values of fp32 logits would leave their range.
constexpr double kLargest = 1e6;
constexpr double kSmallestRepetitionPenalty = 1e-6;

Status expect(std::string_view name, double value, double low, double high) {
  if (value >= low && value <= high) return {};
  return invalid_argument("{} is {}, expected {} to {}", name, value, low, high);
}

}  // namespace

bool SamplerOptions::changes_logits() const {
  const bool penalises = repetition_penalty != 1 || presence_penalty != 0 || frequency_penalty != 0;
  return !logit_bias.empty() || (penalises && repeat_last_n != 0);
}

Status check(const SamplerOptions& options, int64_t vocab_size) {
  TRY(expect("the temperature", options.temperature, 0, kLargest));
  TRY(expect("top-p", options.top_p, 0, 1));
  TRY(expect("min-p", options.min_p, 0, 1));
  TRY(expect("the repetition penalty", options.repetition_penalty, kSmallestRepetitionPenalty,
             kLargest));
  TRY(expect("the presence penalty", options.presence_penalty, -kLargest, kLargest));
  TRY(expect("the frequency penalty", options.frequency_penalty, -kLargest, kLargest));
  if (options.top_k < 0) return invalid_argument("top-k is {}, expected 0 or more", options.top_k);
  if (options.repeat_last_n < -1) {
    return invalid_argument("penalties look at the last {} tokens, expected -1 (all) or more",
                            options.repeat_last_n);
  }
  for (const auto& [token, bias] : options.logit_bias) {
    if (token < 0 || token >= vocab_size) {
      return invalid_argument("logit bias of token {}: outside the vocabulary, expected 0 to {}",
                              token, vocab_size - 1);
    }
    if (bias != -INFINITY && !(std::abs(bias) <= kLargest)) {
      return invalid_argument("logit bias of token {} is {}, expected {} to {} or -inf", token,
                              bias, -kLargest, kLargest);
    }
  }
  return {};
}

int64_t argmax(std::span<const float> logits) {
  size_t best = 0;
  float largest = -INFINITY;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > largest) {
      largest = logits[i];
      best = i;
    }
  }
  return static_cast<int64_t>(best);
}

Result<int64_t> likeliest(std::span<const float> logits) {
  const int64_t best = argmax(logits);
  if (logits[static_cast<size_t>(best)] > -INFINITY) return best;
  return invalid_argument(
      "no token is left to choose from: every one is banned by a bias or has a logit of -inf or "
      "NaN");
}

double Distribution::probability(int64_t token) const {
  const auto found = std::lower_bound(
      weights.begin(), weights.end(), token,
      [](const std::pair<float, int64_t>& row, int64_t id) { return row.second < id; });
  if (found == weights.end() || found->second != token) return 0;
  return static_cast<double>(found->first) / sum;
}

Result<int64_t> Sampler::sample(std::span<const float> logits, std::span<const int64_t> context) {
  const std::optional<int64_t> certain = TRY(narrow(logits, context));
  return certain ? *certain : draw();
}

Result<int64_t> Sampler::sample(std::span<const float> logits, std::span<const int64_t> context,
                                Distribution& from) {
  from = {};
  const std::optional<int64_t> certain = TRY(narrow(logits, context));
  if (certain) return *certain;
  from = {candidates_, sum_of_weights()};
  return draw();
}

Result<Sampler::Verdict> Sampler::verify(std::span<const float> logits,
                                         std::span<const int64_t> context, int64_t draft,
                                         const Distribution& from) {
  const std::optional<int64_t> certain = TRY(narrow(logits, context));
  if (certain || from.weights.empty()) {
    const int64_t token = certain ? *certain : draw();
    return Verdict{token, token == draft};
  }
  const Distribution wanted{candidates_, sum_of_weights()};
  if (uniform() * from.probability(draft) < wanted.probability(draft)) return Verdict{draft, true};
  // Otherwise one of those that the draft does not give often enough, by what is missing.
  for (auto& [weight, token] : candidates_) {
    const double missing = static_cast<double>(weight) / wanted.sum - from.probability(token);
    weight = static_cast<float>(std::max(missing, 0.0));
  }
  if (!(sum_of_weights() > 0)) return Verdict{draft, true};  // equal but for a rounding
  return Verdict{draw(), false};
}

// Sets candidates_, by token, to what may be drawn; returns the token where it is certain.
Result<std::optional<int64_t>> Sampler::narrow(std::span<const float> logits,
                                               std::span<const int64_t> context) {
  logits = changed(logits, context);
  const int64_t best = TRY(likeliest(logits));
  const float largest = logits[static_cast<size_t>(best)];
  if (options_.temperature <= 0 || !std::isfinite(largest)) return std::optional(best);

  // Weights relative to the likeliest token's, which is 1: neither overflows. Rounded to float, so
  // that the last bit of a library's exp() does not matter.
  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!(logits[i] > -INFINITY)) continue;
    const double weight = std::exp((static_cast<double>(logits[i]) - static_cast<double>(largest)) /
                                   options_.temperature);
    candidates_.emplace_back(static_cast<float>(weight), static_cast<int64_t>(i));
  }
  // Sums are taken in the order of the tokens, so that they are defined; the likeliest are taken
  // off a heap, as most often few are needed.
  if (options_.top_k > 0 && static_cast<size_t>(options_.top_k) < candidates_.size()) {
    const auto end = candidates_.begin() + options_.top_k;
    std::nth_element(candidates_.begin(), end - 1, candidates_.end(), likelier);
    candidates_.erase(end, candidates_.end());
    std::sort(candidates_.begin(), candidates_.end(), earlier);
  }
  if (options_.top_p < 1) {
    const double wanted = options_.top_p * sum_of_weights();
    double sum = 0;
    std::make_heap(candidates_.begin(), candidates_.end(), less_likely);
    auto end = candidates_.end();
    while (end != candidates_.begin() && (sum == 0 || sum < wanted)) {
      std::pop_heap(candidates_.begin(), end, less_likely);
      sum += static_cast<double>((--end)->first);
    }
    candidates_.erase(candidates_.begin(), end);
    std::sort(candidates_.begin(), candidates_.end(), earlier);
  }
  if (options_.min_p > 0) {
    std::erase_if(candidates_, [&](const auto& candidate) {
      return static_cast<double>(candidate.first) < options_.min_p;
    });
  }
  return std::optional<int64_t>();
}

// Biases and penalties; `logits` themselves when there are none.
std::span<const float> Sampler::changed(std::span<const float> logits,
                                        std::span<const int64_t> context) {
  if (!options_.changes_logits()) return logits;
  changed_.assign(logits.begin(), logits.end());
  for (const auto& [token, bias] : options_.logit_bias) {
    changed_[static_cast<size_t>(token)] += static_cast<float>(bias);
  }
  const auto window = static_cast<size_t>(options_.repeat_last_n);
  const bool all = options_.repeat_last_n < 0 || window >= context.size();
  penalise(all ? context : context.last(window));
  return changed_;
}

void Sampler::penalise(std::span<const int64_t> recent) {
  counts_.resize(changed_.size());
  for (const int64_t token : recent) ++counts_[static_cast<size_t>(token)];
  for (const int64_t token : recent) {
    int32_t& count = counts_[static_cast<size_t>(token)];
    if (count == 0) continue;  // done at an earlier occurrence
    float& logit = changed_[static_cast<size_t>(token)];
    auto value = static_cast<double>(logit);
    value = value > 0 ? value / options_.repetition_penalty : value * options_.repetition_penalty;
    value -= options_.presence_penalty + count * options_.frequency_penalty;
    logit = static_cast<float>(value);
    count = 0;
  }
}

double Sampler::sum_of_weights() const {
  double sum = 0;
  for (const auto& candidate : candidates_) sum += static_cast<double>(candidate.first);
  return sum;
}

// Of 53 random bits, so that a choice does not depend on a library's distribution.
double Sampler::uniform() { return static_cast<double>(random_() >> 11) * 0x1p-53; }

// One of candidates_, which are in the order of their tokens before.
int64_t Sampler::draw() {
  double point = uniform() * sum_of_weights();
  std::make_heap(candidates_.begin(), candidates_.end(), less_likely);
  for (auto end = candidates_.end();; --end) {
    std::pop_heap(candidates_.begin(), end, less_likely);
    const auto& [weight, token] = *(end - 1);
    point -= static_cast<double>(weight);
    if (point < 0 || end - 1 == candidates_.begin()) return token;
  }
}

TokenLogprobs logprobs(std::span<const float> logits, int64_t chosen, int64_t n) {
  const auto largest = static_cast<double>(logits[static_cast<size_t>(argmax(logits))]);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
  const double log_sum = largest + std::log(sum);
  const auto logprob = [&](size_t i) { return static_cast<double>(logits[i]) - log_sum; };

  TokenLogprobs result;
  result.chosen = logprob(static_cast<size_t>(chosen));
  const auto keep = static_cast<size_t>(std::min<int64_t>(n, static_cast<int64_t>(logits.size())));
  if (keep == 0) return result;
  // The best so far as a heap, the worst of them in front.
  for (size_t i = 0; i < logits.size(); ++i) {
    const TokenLogprob entry{static_cast<int64_t>(i), logprob(i)};
    if (result.best.size() == keep) {
      if (!likelier_token(entry, result.best.front())) continue;
      std::pop_heap(result.best.begin(), result.best.end(), likelier_token);
      result.best.pop_back();
    }
    result.best.push_back(entry);
    std::push_heap(result.best.begin(), result.best.end(), likelier_token);
  }
  std::sort(result.best.begin(), result.best.end(), likelier_token);
  return result;
}

}  // namespace diptych::generate
