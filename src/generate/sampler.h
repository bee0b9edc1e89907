// Chooses the next token from logits.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace diptych::generate {

struct SamplerOptions {
  double temperature = 0;  // 0: greedy, the lowest index wins ties
  double top_p = 1;        // keep the fewest tokens whose probabilities reach this sum
  int64_t top_k = 0;       // keep the k most probable tokens; 0: all
  uint64_t seed = 0;
};

// The index of the largest logit, the lowest of equals. NaN never wins.
int64_t argmax(std::span<const float> logits);

// Same seed, options and logits: same tokens.
class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options) : options_(options), random_(options.seed) {}
  int64_t sample(std::span<const float> logits);
  bool greedy() const { return options_.temperature <= 0; }

 private:
  SamplerOptions options_;
  std::mt19937_64 random_;
  std::vector<std::pair<float, int64_t>> candidates_;
};

}  // namespace diptych::generate
