// The options of `run`, `chat` and `bench` that say who drafts tokens for the model to verify.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "answer/opened_model.h"
#include "base/error.h"
#include "cli/parser.h"
#include "generate/drafter.h"
#include "generate/generator.h"

namespace diptych::cli {

struct SpeculationArguments {
  bool lookahead = false, prompt_lookup = false;
  std::string draft;                                                // a path
  std::optional<int64_t> ngram_size, window_size, n_verifications;  // of lookahead

  bool any() const { return lookahead || prompt_lookup || !draft.empty(); }
};

// `arguments` must outlive the parser.
void add_speculation_options(Parser& parser, SpeculationArguments& arguments);

// Sets options.lookahead or options.drafter; options.sampler is set. Returns the drafter, which
// must outlive the generations. The draft's model is opened as `open` says. Errors: a draft of
// another vocabulary, a file that cannot verify.
Result<std::unique_ptr<generate::Drafter>> set_speculation(const SpeculationArguments& arguments,
                                                           const answer::OpenedModel& model,
                                                           const contract::Description& description,
                                                           answer::OpenOptions open,
                                                           generate::GenerateOptions& options);

}  // namespace diptych::cli
