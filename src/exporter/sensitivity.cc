#include <algorithm>
#include <cmath>

#include "exporter/allocate.h"
#include "exporter/staged_model.h"

namespace diptych::exporter {

namespace {

// How much of the texts is looked at: so many pieces of so many tokens.
constexpr size_t kTexts = 2, kTokens = 128;
// Layers of which it is measured what a change after them does to the answers.
constexpr size_t kProbes = 8;
// Of the answers, one in so many is looked at.
constexpr size_t kAnswerStep = 4;

std::vector<TokenText> parts_of(const std::vector<std::vector<int64_t>>& texts) {
  std::vector<TokenText> parts;
  for (size_t i = 0; i < std::min(kTexts, texts.size()); ++i) {
    TokenText part = texts[i * texts.size() / kTexts];
    part.resize(std::min(part.size(), kTokens));
    parts.push_back(std::move(part));
  }
  return parts;
}

double distance(const std::vector<float>& a, const std::vector<float>& b, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; ++i) {
    const double off = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += off * off;
  }
  return sum;
}

class Sensitivity {
 public:
  Sensitivity(const llama::Params& params, const std::vector<NamedLinear>& linears,
              StagedModel model, Progress& progress)
      : params_(params), linears_(linears), model_(std::move(model)), progress_(progress) {}

  Result<std::vector<double>> run() {
    progress_.begin("measuring sensitivities", 2 * model_.layers());
    TRY(run_original());
    std::vector<double> result(linears_.size());
    const size_t layers = model_.layers();
    const size_t probes = std::min(kProbes, layers);
    std::vector<double> weight(layers);  // KL by squared change of a layer's output, its logarithm
    std::vector<size_t> probed;
    for (size_t i = 0; i < probes; ++i) {
      const size_t layer = probes == 1 ? 0 : i * (layers - 1) / (probes - 1);
      weight[layer] = std::log(TRY(weight_of(layer)));
      probed.push_back(layer);
      progress_.advance(layers / probes);
    }
    for (size_t i = 0; i + 1 < probed.size(); ++i) {
      for (size_t layer = probed[i] + 1; layer < probed[i + 1]; ++layer) {
        const double part =
            static_cast<double>(layer - probed[i]) / static_cast<double>(probed[i + 1] - probed[i]);
        weight[layer] = (1 - part) * weight[probed[i]] + part * weight[probed[i + 1]];
      }
    }
    for (size_t layer = 0; layer < layers; ++layer) {
      for (size_t i : of_layer(layer)) {
        const double change = TRY(change_of_layer(layer, {i}, nullptr));
        result[i] = change * std::exp(weight[layer]);
      }
      progress_.advance(1);
    }
    if (linears_.back().how) result.back() = TRY(head_divergence());
    progress_.finish();
    return result;
  }

 private:
  // Quantised linears of a layer, by index.
  std::vector<size_t> of_layer(size_t layer) const {
    const size_t each = (linears_.size() - 1) / model_.layers();
    std::vector<size_t> indices;
    for (size_t i = layer * each; i < (layer + 1) * each; ++i) {
      if (linears_[i].how) indices.push_back(i);
    }
    return indices;
  }

  // These linears, rounded to nearest.
  passes::LinearChoices choices(const std::vector<size_t>& rounded) const {
    passes::LinearChoices result;
    for (const size_t i : rounded) {
      result[linears_[i].weight.get()] = quant::Quantization{linears_[i].how->format};
    }
    return result;
  }

  Status advance(size_t layer, const std::vector<size_t>& rounded, std::vector<TextState>& states) {
    return model_.advance(layer, choices(rounded), &cache_, states, progress_);
  }

  // The logits of some positions of all texts, for the hidden state after the last layer.
  Result<std::vector<std::vector<float>>> answers(std::vector<TextState> states,
                                                  const std::vector<size_t>& rounded) {
    const Stages last = TRY(model_.stages(model_.layers() - 1, choices(rounded), &cache_));
    TRY(model_.run_final_norm(last, states, progress_));
    TRY(model_.run(last, last.head(), states, progress_));
    const auto vocabulary = static_cast<size_t>(params_.vocab_size);
    std::vector<std::vector<float>> rows;
    for (size_t t = 0; t < states.size(); ++t) {
      const std::vector<float>& logits = states[t].at(last.logits());
      for (size_t at = 0; at < model_.texts()[t].size(); at += kAnswerStep) {
        const auto row = logits.begin() + static_cast<int64_t>(at * vocabulary);
        rows.emplace_back(row, row + static_cast<int64_t>(vocabulary));
      }
    }
    return rows;
  }

  Status run_original() {
    const Stages first = TRY(model_.stages(0, {}, nullptr));
    std::vector<TextState> states(model_.texts().size());
    TRY(model_.run(first, 0, states, progress_));
    hidden_.push_back(states);
    for (size_t layer = 0; layer < model_.layers(); ++layer) {
      TRY(advance(layer, {}, states));
      hidden_.push_back(states);
    }
    answers_ = TRY(answers(states, {}));
    return {};
  }

  // The mean KL divergence of `rows` from the original's answers.
  double divergence(const std::vector<std::vector<float>>& rows) const {
    double sum = 0;
    for (size_t r = 0; r < rows.size(); ++r) {
      const auto normaliser = [](const std::vector<float>& row) {
        const auto largest = static_cast<double>(*std::max_element(row.begin(), row.end()));
        double total = 0;
        for (const float x : row) total += std::exp(static_cast<double>(x) - largest);
        return largest + std::log(total);
      };
      const double p_norm = normaliser(answers_[r]), q_norm = normaliser(rows[r]);
      for (size_t i = 0; i < rows[r].size(); ++i) {
        const double p = static_cast<double>(answers_[r][i]) - p_norm;
        const double q = static_cast<double>(rows[r][i]) - q_norm;
        sum += std::exp(p) * (p - q);
      }
    }
    return sum / static_cast<double>(std::max<size_t>(rows.size(), 1));
  }

  // The squared change of a layer's output when some of its linears are rounded; the output itself
  // goes to `after`, unless that is null.
  Result<double> change_of_layer(size_t layer, const std::vector<size_t>& rounded,
                                 std::vector<TextState>* after) {
    std::vector<TextState> states = hidden_[layer];
    TRY(advance(layer, rounded, states));
    double change = 0;
    for (size_t t = 0; t < states.size(); ++t) {
      const auto& [value, hidden] = *states[t].begin();
      change += distance(hidden, hidden_[layer + 1][t].at(value),
                         model_.texts()[t].size() * static_cast<size_t>(params_.dim));
    }
    if (after != nullptr) *after = std::move(states);
    return change;
  }

  // What a squared change of a layer's output does to the answers.
  Result<double> weight_of(size_t layer) {
    std::vector<TextState> states;
    std::vector<size_t> rounded = of_layer(layer);
    const double change = TRY(change_of_layer(layer, rounded, &states));
    for (size_t next = layer + 1; next < model_.layers(); ++next) TRY(advance(next, {}, states));
    const double moved = divergence(TRY(answers(std::move(states), {})));
    // Where nothing changes, any positive number will do.
    return change > 0 && moved > 0 ? moved / change : 1e-9;
  }

  Result<double> head_divergence() {
    return divergence(TRY(answers(hidden_.back(), {linears_.size() - 1})));
  }

  const llama::Params& params_;
  const std::vector<NamedLinear>& linears_;
  StagedModel model_;
  Progress& progress_;
  quant::Cache cache_;
  std::vector<std::vector<TextState>> hidden_;  // before each layer, and after the last; by text
  std::vector<std::vector<float>> answers_;
};

}  // namespace

Result<std::vector<double>> sensitivities(const llama::Params& params,
                                          const llama::PreparedWeights& weights,
                                          const std::vector<NamedLinear>& linears,
                                          const std::vector<std::vector<int64_t>>& texts,
                                          int threads, Progress& progress) {
  ThreadPool pool(threads);
  StagedModel model =
      TRY(within("calibration", StagedModel::create(params, weights, parts_of(texts), pool)));
  return within("sensitivities", Sensitivity(params, linears, std::move(model), progress).run());
}

}  // namespace diptych::exporter
