#include "cli/speculation_options.h"

#include "answer/same_vocabulary.h"
#include "cli/command.h"
#include "generate/draft_model.h"
#include "generate/prompt_lookup.h"

namespace diptych::cli {

void add_speculation_options(Parser& parser, SpeculationArguments& a) {
  auto* lookahead = parser.add_flag(
      "--lookahead", a.lookahead,
      "Draft tokens by lookahead (greedy); needs a file with all logits, as the following do:\n"
      "export --verify_len or --single_method");
  auto* lookup = parser
                     .add_flag("--prompt_lookup", a.prompt_lookup,
                               "Draft what followed the same tokens earlier in prompt and answer")
                     ->excludes(lookahead);
  parser
      .add_option("--draft", a.draft, "Draft by this smaller .pte, which has the same vocabulary")
      ->excludes(lookahead)
      ->excludes(lookup);
  parser.add_option("--ngram_size", a.ngram_size,
                    "Lookahead: n-gram size (default: what the file has rows for, at most 5)");
  parser.add_option("--window_size", a.window_size,
                    "Lookahead: window columns (default: the same, at most 4)");
  parser.add_option("--n_verifications", a.n_verifications,
                    "Lookahead: branches verified per step (default: the same, at most 4)");
}

Result<std::unique_ptr<generate::Drafter>> set_speculation(const SpeculationArguments& a,
                                                           const answer::OpenedModel& model,
                                                           const contract::Description& description,
                                                           answer::OpenOptions open,
                                                           generate::GenerateOptions& options) {
  std::unique_ptr<generate::Drafter> drafter;
  if (a.lookahead) {
    generate::LookaheadOptions sizes = generate::fitting_lookahead(description);
    sizes.ngram_size = a.ngram_size.value_or(sizes.ngram_size);
    sizes.window = a.window_size.value_or(sizes.window);
    sizes.verifications = a.n_verifications.value_or(sizes.verifications);
    options.lookahead = sizes;
  } else if (a.prompt_lookup) {
    drafter = std::make_unique<generate::PromptLookup>();
  } else if (!a.draft.empty()) {
    open.tokenizer = model.tokenizer() != nullptr ? answer::Part::IfThere : answer::Part::Unused;
    open.tokenizer_path.clear();
    open.chat_template = answer::Part::Unused;
    open.chat_template_path.clear();
    const auto draft = TRY(answer::OpenedModel::open(a.draft, open));
    TRY(answer::check_same_vocabulary(model, draft));
    drafter = TRY(generate::DraftModel::create(TRY(draft.new_session()), options.sampler,
                                               model.vocab_size()));
  }
  if (drafter != nullptr) {
    TRY(within(model.path(), generate::Speculation::create(*drafter, description, options.adapt)));
  }
  options.drafter = drafter.get();
  return drafter;
}

}  // namespace diptych::cli
