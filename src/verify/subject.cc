#include <algorithm>

#include "base/file.h"
#include "compare/calls.h"
#include "exporter/sample_texts.h"
#include "verify/check.h"

namespace diptych::verify {

namespace {

// Tokens that functions are run on: as many as take a prompt into the cache and go on from there.
constexpr size_t kMostTokens = 48;

Status open_tokenizer(Subject& subject) {
  subject.card = TRY(card::read_card(subject.opened.program->container()));
  if (!subject.card.has_tokenizer()) return {};
  auto tokenizer = card::open_tokenizer(subject.card);
  if (tokenizer) {
    subject.tokenizer = std::move(*tokenizer);
  } else {
    subject.tokenizer_error = tokenizer.error();
  }
  return {};
}

// The first tokens of a text where there is a tokenizer, else ids spread over the vocabulary.
Status choose_tokens(Subject& subject, const std::string& text) {
  const contract::Description& model = *subject.model();
  const size_t most = std::min<size_t>(static_cast<size_t>(model.cache_len()), kMostTokens);
  if (subject.tokenizer != nullptr) {
    const std::string_view sample =
        text.empty() ? exporter::held_out_sample() : std::string_view(text);
    const auto ids = subject.tokenizer->encode(sample.substr(0, 4000), true);
    if (ids) {
      for (const auto id : *ids) {
        if (id >= 0 && id < model.vocab_size) subject.tokens.push_back(id);
      }
      subject.tokens.resize(std::min(subject.tokens.size(), most));
      subject.tokens_are_text = subject.tokens.size() > 1;
    }
  }
  if (!subject.tokens_are_text) {
    subject.tokens = compare::made_up_tokens(model.vocab_size, static_cast<int64_t>(most));
  }
  return {};
}

Status open_file(Subject& subject) {
  subject.inspection = TRY(tools::inspect(subject.path));
  subject.opened = TRY(compare::open_subject(subject.path, subject.options->threads));
  if (subject.opened.program != nullptr) TRY(open_tokenizer(subject));
  return {};
}

}  // namespace

Result<std::unique_ptr<Subject>> open_subject(const std::string& path, const Options& options,
                                              std::optional<Error>& broken) {
  auto subject = std::make_unique<Subject>();
  subject->path = path;
  subject->options = &options;
  subject->pool = std::make_unique<ThreadPool>(options.threads);
  std::string text;
  if (!options.text.empty()) text = TRY(read_text_file(options.text, text::kMaxTextBytes));
  if (!options.source.empty()) {
    exporter::Options as_exported;
    as_exported.adapters = options.adapters;
    subject->source.emplace(TRY(exporter::open_model(options.source, options.params, as_exported)));
  }
  if (const Status opened = open_file(*subject); !opened) {
    // What is wrong with the file is a finding; all else is an error of the call.
    const ErrorCode code = opened.error().code;
    if (code != ErrorCode::InvalidData && code != ErrorCode::Unsupported) {
      return tl::unexpected(opened.error());
    }
    broken = opened.error();
    return subject;
  }
  if (subject->model() != nullptr) TRY(choose_tokens(*subject, text));
  return subject;
}

}  // namespace diptych::verify
