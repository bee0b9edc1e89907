// Teacher-forced evaluation: how well a model predicts a text, and how far its predictions are from
// a reference's. Both are Sessions, so file, numerics and number of threads may differ.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "evaluate/windows.h"
#include "generate/session.h"

namespace diptych::evaluate {

// How well one model predicts the targets.
struct Quality {
  double mean_nll = 0;  // nats per position
  double seconds = 0;   // in the model
  double perplexity() const;
};

// The model's distributions q against the reference's p.
struct Comparison {
  double mean_kl = 0, max_kl = 0;  // KL(p||q) in nats
  double top1_agreement = 0;       // fraction of positions
  double max_logit_difference = 0, mean_logit_difference = 0;
};

// Sums over the positions of one window, in the order of its tokens.
struct WindowSums {
  int64_t positions = 0, same_top1 = 0;
  double nll = 0, reference_nll = 0, kl = 0, logit_differences = 0;
  double max_kl = 0, max_logit_difference = 0;
};

struct Evaluation {
  int64_t positions = 0;
  Quality model;
  std::optional<Quality> reference;
  std::optional<Comparison> comparison;
  // The other figures are these, added up in the order of the windows: parts of a text that are
  // evaluated apart give the bits of the whole.
  std::vector<WindowSums> windows;
};

// Evaluates all windows, each from an empty cache. `reference` may be null. Progress counts
// positions. Errors: no position to evaluate, windows longer than a model's context, vocabularies
// that differ, logits that are no distribution, and Cancelled.
Result<Evaluation> evaluate(generate::Session& model, generate::Session* reference,
                            std::span<const Window> windows, Progress& progress);

// The same against logits that the caller has: for each window [inputs, vocab_size], after each of
// its inputs.
Result<Evaluation> evaluate(generate::Session& model,
                            std::span<const std::vector<float>> reference_logits,
                            std::span<const Window> windows, Progress& progress);

}  // namespace diptych::evaluate
