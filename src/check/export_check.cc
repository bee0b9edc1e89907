#include "check/export_check.h"

#include <algorithm>

#include "answer/opened_model.h"
#include "evaluate/windows.h"
#include "exporter/sample_texts.h"
#include "exporter/staged_model.h"

namespace diptych::check {

namespace {

// Positions of a window: so many logits of the source are in memory.
constexpr int64_t kWindow = 256;

// Divergences up to which a file is what the word says.
struct Grade {
  double most_kl;
  std::string_view words;
};
constexpr Grade kGrades[] = {
    {0.02, "hard to tell from the unquantised model"},
    {0.1, "close to the unquantised model"},
    {0.3, "worse than the unquantised model in places"},
};
constexpr std::string_view kPoor = "poor";

answer::OpenOptions open_options(engine::Numerics numerics, const CheckOptions& options) {
  answer::OpenOptions open;
  open.numerics = numerics;
  open.threads = options.threads;
  open.chat_template = answer::Part::Unused;
  return open;
}

// The logits after each input of the windows, by the source.
Result<std::vector<std::vector<float>>> source_logits(const exporter::Model& source,
                                                      std::span<const evaluate::Window> windows,
                                                      const CheckOptions& options,
                                                      Progress& progress) {
  const llama::PreparedWeights weights =
      TRY(llama::prepare(source.params, source.weights, options.dtype));
  std::vector<exporter::TokenText> texts;
  for (const evaluate::Window& window : windows) {
    texts.push_back(window.lead);
    texts.back().insert(texts.back().end(), window.inputs.begin(), window.inputs.end());
  }
  ThreadPool pool(options.threads);
  auto model = TRY(exporter::StagedModel::create(source.params, weights, std::move(texts), pool));
  auto logits = TRY(exporter::logits_of(model, progress));
  for (size_t i = 0; i < windows.size(); ++i) {
    const size_t lead = windows[i].lead.size() * static_cast<size_t>(source.params.vocab_size);
    logits[i].erase(logits[i].begin(), logits[i].begin() + static_cast<int64_t>(lead));
  }
  return logits;
}

Status run_typed(const std::string& file, std::span<const evaluate::Window> windows,
                 const CheckOptions& options, ExportCheck& result) {
  const auto model =
      TRY(answer::OpenedModel::open(file, open_options(engine::Numerics::Typed, options)));
  const auto session = TRY(model.new_session());
  std::span<const int64_t> inputs = windows.front().inputs;
  inputs =
      inputs.first(std::min<size_t>(inputs.size(), static_cast<size_t>(options.typed_positions)));
  TRY(session->evaluate(inputs));
  result.overflows = session->overflows();
  result.typed_positions = static_cast<int64_t>(inputs.size());
  return {};
}

}  // namespace

std::string_view verdict(double mean_kl) {
  for (const Grade& grade : kGrades) {
    if (mean_kl <= grade.most_kl) return grade.words;
  }
  return kPoor;
}

bool is_poor(double mean_kl) { return !(mean_kl <= kGrades[1].most_kl); }

Result<ExportCheck> check_export(exporter::Model source, const std::string& file,
                                 const CheckOptions& options, Progress& progress) {
  const auto model =
      TRY(answer::OpenedModel::open(file, open_options(engine::Numerics::Fast, options)));
  if (model.tokenizer() == nullptr) return not_found("the file carries no tokenizer to check with");
  const auto& ids_before = model.tokenizer()->prefix();
  const std::vector<int64_t> prefix(ids_before.begin(), ids_before.end());
  exporter::TextTokens cut;
  cut.window = INT64_MAX;
  cut.most_tokens = static_cast<size_t>(options.positions);
  cut.chat_template = &model.card().chat_template;
  auto text = TRY(exporter::token_windows(exporter::held_out_sample(), *model.tokenizer(), cut));
  std::vector<int64_t> ids = text.empty() ? std::vector<int64_t>() : std::move(text.front());
  ids.erase(ids.begin(), ids.begin() + static_cast<int64_t>(std::min(prefix.size(), ids.size())));
  const std::vector<evaluate::Window> windows = evaluate::make_windows(
      ids, prefix, std::min(kWindow, model.max_context()), options.positions);
  if (windows.empty()) return invalid_argument("the context is too short for a check");

  source.params = llama::for_context(std::move(source.params), model.max_context());
  ExportCheck result;
  const auto logits = TRY(source_logits(source, windows, options, progress));
  const auto session = TRY(model.new_session());
  result.evaluation = TRY(evaluate::evaluate(*session, logits, windows, progress));
  if (options.typed_positions > 0) TRY(run_typed(file, windows, options, result));
  return result;
}

}  // namespace diptych::check
