// Chooses the next token from logits.
//
// In this order: logit biases, penalties, temperature, top-k, top-p, min-p, the draw. Biases and
// penalties also change what greedy decoding takes. Everything is IEEE arithmetic in a fixed order
// and the generator is one that the C++ standard defines to the bit, so that the same logits and
// the same seed give the same tokens on every machine.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "base/error.h"

namespace diptych::generate {

// Names and meanings are those of Hugging Face's generation (repetition penalty, warpers) and of
// OpenAI's interface and llama.cpp (presence and frequency penalty).
struct SamplerOptions {
  double temperature = 0;  // 0: greedy, the lowest index wins ties
  double top_p = 1;        // keep the fewest tokens whose probabilities reach this sum
  int64_t top_k = 0;       // keep the k most probable tokens; 0: all
  uint64_t seed = 0;
  double min_p = 0;  // keep tokens at least this probable, relative to the likeliest one

  // Penalties look at the last `repeat_last_n` tokens of prompt and answer; -1: all, 0: none.
  // For a token that occurs there n > 0 times: a logit above 0 is divided by repetition_penalty,
  // others are multiplied by it; then presence_penalty + n * frequency_penalty is subtracted.
  double repetition_penalty = 1;
  double presence_penalty = 0;
  double frequency_penalty = 0;
  int64_t repeat_last_n = -1;

  std::map<int64_t, double> logit_bias;  // by token: added to its logit; -inf bans it

  bool changes_logits() const;
};

// Fails when a value is out of its range or a biased token is outside the vocabulary.
Status check(const SamplerOptions& options, int64_t vocab_size);

// The index of the largest logit, the lowest of equals. NaN never wins.
int64_t argmax(std::span<const float> logits);

// The same. Errors: every logit is -inf or NaN, so there is no token to choose.
Result<int64_t> likeliest(std::span<const float> logits);

// What a sampler draws from.
struct Distribution {
  std::vector<std::pair<float, int64_t>> weights;  // weight, token; by rising token
  double sum = 0;                                  // of the weights

  double probability(int64_t token) const;
};

// Same seed, options and logits: same tokens.
class Sampler {
 public:
  // The options have passed check().
  explicit Sampler(SamplerOptions options) : options_(std::move(options)), random_(options_.seed) {}

  // Chooses the token after `context`, the tokens of prompt and answer so far, which only penalties
  // look at. A banned token is never chosen. Errors: no token is left to choose. Allocates nothing
  // after the first call.
  Result<int64_t> sample(std::span<const float> logits, std::span<const int64_t> context = {});

  // The same; leaves what was drawn from in `from`, which is empty where nothing was drawn.
  Result<int64_t> sample(std::span<const float> logits, std::span<const int64_t> context,
                         Distribution& from);

  // Chooses as sample() does, so that the token has the same distribution, and whenever possible
  // `draft`. That was drawn from `from`, or is certain where `from` is empty: then the token is the
  // one that sample() would choose. (Leviathan et al., "Fast Inference from Transformers via
  // Speculative Decoding", 2023; Chen et al., "Accelerating Large Language Model Decoding with
  // Speculative Sampling", 2023.)
  struct Verdict {
    int64_t token = 0;
    bool accepted = false;  // it is the draft
  };
  Result<Verdict> verify(std::span<const float> logits, std::span<const int64_t> context,
                         int64_t draft, const Distribution& from);

  const SamplerOptions& options() const { return options_; }

  // True when the sampler always takes the token with the model's largest logit.
  bool plain() const { return options_.temperature <= 0 && !options_.changes_logits(); }

 private:
  std::span<const float> changed(std::span<const float> logits, std::span<const int64_t> context);
  void penalise(std::span<const int64_t> recent);
  Result<std::optional<int64_t>> narrow(std::span<const float> logits,
                                        std::span<const int64_t> context);
  double sum_of_weights() const;
  double uniform();
  int64_t draw();

  SamplerOptions options_;
  std::mt19937_64 random_;
  std::vector<std::pair<float, int64_t>> candidates_;  // weight, token
  std::vector<float> changed_;                         // logits after biases and penalties
  std::vector<int32_t> counts_;                        // by token; zero between calls
};

// A token and its log probability.
struct TokenLogprob {
  int64_t token = 0;
  double logprob = 0;  // natural logarithm of its probability
};

struct TokenLogprobs {
  double chosen = 0;               // of the chosen token
  std::vector<TokenLogprob> best;  // the likeliest first, equally likely ones by token
};

// Log probabilities of `chosen` and of the `n` likeliest tokens: logarithms of softmax(logits), of
// logits that no sampler has changed.
TokenLogprobs logprobs(std::span<const float> logits, int64_t chosen, int64_t n);

}  // namespace diptych::generate
