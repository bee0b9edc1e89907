#include "evaluate/evaluate.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/clock.h"
#include "evaluate/distribution.h"

namespace diptych::evaluate {

namespace {

// Positions whose reference logits are held at a time when calls give those of one position only.
constexpr int64_t kBlock = 32;

// As many tokens as one call gives logits for.
int64_t positions_per_call(const generate::Session& session) {
  const contract::Function* verify = session.model().verify();
  return verify != nullptr ? verify->method.tokens : 1;
}

// Runs the windows and adds up what comes out.
class Evaluator {
 public:
  // With neither a reference nor its logits nothing is compared.
  Evaluator(generate::Session& model, generate::Session* reference,
            std::span<const std::vector<float>> reference_logits = {})
      : model_(model), reference_(reference), given_(reference_logits), block_(kBlock) {
    block_ = std::max(block_, positions_per_call(model));
    if (reference_ != nullptr) block_ = std::max(block_, positions_per_call(*reference_));
  }

  Status run(std::span<const Window> windows, Progress& progress) {
    for (size_t i = 0; i < windows.size(); ++i) {
      model_.rewind(0);
      if (reference_ != nullptr) reference_->rewind(0);
      const Window& window = windows[i];
      sums_.emplace_back();
      if (!window.lead.empty()) {
        TRY(model_.evaluate(window.lead));
        if (reference_ != nullptr) TRY(reference_->evaluate(window.lead));
      }
      for (size_t at = 0; at < window.inputs.size(); at += static_cast<size_t>(block_)) {
        if (progress.cancelled()) return fail(ErrorCode::Cancelled, "interrupted");
        const size_t count = std::min(window.inputs.size() - at, static_cast<size_t>(block_));
        TRY(within(fmt::format("window {}", i),
                   run_block(i, at, std::span(window.inputs).subspan(at, count),
                             std::span(window.targets).subspan(at, count))));
        progress.advance(count);
      }
    }
    return {};
  }

  Evaluation result() {
    WindowSums all;
    for (const WindowSums& window : sums_) add(all, window);
    const auto count = static_cast<double>(all.positions);
    Evaluation result;
    result.positions = all.positions;
    result.windows = std::move(sums_);
    result.model = {all.nll / count, model_seconds_};
    if (!compares()) return result;
    result.reference = Quality{all.reference_nll / count, reference_seconds_};
    const auto vocab = static_cast<double>(model_.model().vocab_size);
    result.comparison =
        Comparison{all.kl / count, all.max_kl, static_cast<double>(all.same_top1) / count,
                   all.max_logit_difference, all.logit_differences / count / vocab};
    return result;
  }

 private:
  bool compares() const { return reference_ != nullptr || !given_.empty(); }

  Status run_block(size_t window, size_t at, std::span<const int64_t> inputs,
                   std::span<const int64_t> targets) {
    const auto vocab = static_cast<size_t>(model_.model().vocab_size);
    const int64_t first = model_.position();
    const auto likelihood = [&](size_t index, std::span<const float> logits) -> Result<double> {
      const double nll = negative_log_likelihood(logits, targets[index]);
      if (std::isfinite(nll)) return nll;
      return hinted(
          invalid_data(
              "position {}: the logits hold infinities or NaN, expected a probability for token {}",
              first + static_cast<int64_t>(index), targets[index]),
          Advice::WiderNumerics);
    };
    if (reference_ != nullptr) {
      reference_logits_.resize(inputs.size() * vocab);
      TRY(within("reference", each(*reference_, inputs, reference_seconds_,
                                   [&](size_t index, std::span<const float> logits) -> Status {
                                     sums_.back().reference_nll += TRY(likelihood(index, logits));
                                     std::copy(logits.begin(), logits.end(),
                                               reference_logits_.begin() +
                                                   static_cast<std::ptrdiff_t>(index * vocab));
                                     return {};
                                   })));
    }
    std::span<const float> compared = reference_logits_;
    if (!given_.empty()) {
      compared = std::span(given_[window]).subspan(at * vocab, inputs.size() * vocab);
      for (size_t index = 0; index < inputs.size(); ++index) {
        sums_.back().reference_nll +=
            TRY(within("reference", likelihood(index, compared.subspan(index * vocab, vocab))));
      }
    }
    TRY(each(model_, inputs, model_seconds_,
             [&](size_t index, std::span<const float> logits) -> Status {
               sums_.back().nll += TRY(likelihood(index, logits));
               if (compares())
                 add(sums_.back(), diverge(compared.subspan(index * vocab, vocab), logits));
               return {};
             }));
    sums_.back().positions += static_cast<int64_t>(inputs.size());
    return {};
  }

  // Session::evaluate_each(), its time less that of `visit` added to `seconds`.
  template <class Visit>
  static Status each(generate::Session& session, std::span<const int64_t> tokens, double& seconds,
                     Visit visit) {
    auto since = Clock::now();
    return session.evaluate_each(tokens, [&](size_t index, std::span<const float> logits) {
      seconds += seconds_since(since);
      Status status = visit(index, logits);
      since = Clock::now();
      return status;
    });
  }

  static void add(WindowSums& sums, const Divergence& divergence) {
    sums.kl += divergence.kl;
    sums.max_kl = std::max(sums.max_kl, divergence.kl);
    sums.same_top1 += divergence.same_top1 ? 1 : 0;
    sums.max_logit_difference = std::max(sums.max_logit_difference, divergence.max_difference);
    sums.logit_differences += divergence.sum_of_differences;
  }

  static void add(WindowSums& sums, const WindowSums& window) {
    sums.positions += window.positions;
    sums.nll += window.nll;
    sums.reference_nll += window.reference_nll;
    sums.kl += window.kl;
    sums.max_kl = std::max(sums.max_kl, window.max_kl);
    sums.same_top1 += window.same_top1;
    sums.max_logit_difference = std::max(sums.max_logit_difference, window.max_logit_difference);
    sums.logit_differences += window.logit_differences;
  }

  generate::Session& model_;
  generate::Session* reference_;               // or null
  std::span<const std::vector<float>> given_;  // by window, or none
  int64_t block_;
  std::vector<float> reference_logits_;  // [block_, vocab_size]
  std::vector<WindowSums> sums_;
  double model_seconds_ = 0, reference_seconds_ = 0;
};

Status check_windows(const contract::Description& model, std::span<const Window> windows) {
  for (const Window& window : windows) {
    const auto length = static_cast<int64_t>(window.lead.size() + window.inputs.size());
    if (length > model.max_context) {
      return invalid_argument("windows of {} positions do not fit the model's context of {}",
                              length, model.max_context);
    }
    for (const int64_t token : window.targets) {
      if (token < 0 || token >= model.vocab_size) {
        return invalid_argument("token {} is outside the vocabulary, expected 0 to {}", token,
                                model.vocab_size - 1);
      }
    }
  }
  return {};
}

Result<Evaluation> run(Evaluator evaluator, std::span<const Window> windows, Progress& progress) {
  uint64_t positions = 0;
  for (const Window& window : windows) positions += window.targets.size();
  if (positions == 0) {
    return invalid_argument(
        "no position to evaluate: expected a text of at least one token after "
        "its beginning");
  }
  progress.begin("evaluating", positions);
  TRY(evaluator.run(windows, progress));
  progress.finish();
  return evaluator.result();
}

}  // namespace

double Quality::perplexity() const { return std::exp(mean_nll); }

Result<Evaluation> evaluate(generate::Session& model, generate::Session* reference,
                            std::span<const Window> windows, Progress& progress) {
  TRY(check_windows(model.model(), windows));
  if (reference != nullptr) {
    TRY(within("reference", check_windows(reference->model(), windows)));
    if (reference->model().vocab_size != model.model().vocab_size) {
      return invalid_argument("the vocabularies differ: {} tokens, the reference has {}",
                              model.model().vocab_size, reference->model().vocab_size);
    }
  }
  return run(Evaluator(model, reference), windows, progress);
}

Result<Evaluation> evaluate(generate::Session& model,
                            std::span<const std::vector<float>> reference_logits,
                            std::span<const Window> windows, Progress& progress) {
  TRY(check_windows(model.model(), windows));
  for (size_t i = 0; i < windows.size(); ++i) {
    const size_t needed = windows[i].inputs.size() * static_cast<size_t>(model.model().vocab_size);
    if (i < reference_logits.size() && reference_logits[i].size() >= needed) continue;
    return invalid_argument("window {}: expected {} logits of the reference", i, needed);
  }
  return run(Evaluator(model, nullptr, reference_logits), windows, progress);
}

}  // namespace diptych::evaluate
