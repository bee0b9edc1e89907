#include "answer/opened_model.h"

#include "answer/sampling.h"
#include "base/file.h"
#include "card/card_of_model.h"
#include "jinja/chat_template.h"

namespace diptych::answer {

OpenedModel::OpenedModel() = default;
OpenedModel::OpenedModel(OpenedModel&&) noexcept = default;
OpenedModel& OpenedModel::operator=(OpenedModel&&) noexcept = default;
OpenedModel::~OpenedModel() = default;

Result<OpenedModel> OpenedModel::open(const std::string& path, const OpenOptions& options) {
  OpenedModel model;
  model.path_ = path;
  model.program_ = TRY(runtime::Program::open(path, {options.numerics, options.threads}));
  const contract::Description description = TRY(within(path, generate::describe(*model.program_)));
  model.vocab_size_ = description.vocab_size;
  model.max_context_ = description.max_context;
  model.card_ = TRY(within(path, card::read_card(model.program_->container())));
  model.sampling_ = sampling_defaults(model.card_.generation);
  TRY(model.open_chat_template(options));
  TRY(model.open_tokenizer(options));
  model.stop_ids_.insert(model.card_.eos.begin(), model.card_.eos.end());
  if (model.tokenizer_) {
    const std::vector<text::TokenId>& ids = model.tokenizer_->stop_ids();
    model.stop_ids_.insert(ids.begin(), ids.end());
  }
  return model;
}

Status OpenedModel::open_chat_template(const OpenOptions& options) {
  if (options.chat_template == Part::Unused) return {};
  const std::string& named = options.chat_template_path;
  const auto parse = [this](const std::string& file, const std::string& text) -> Status {
    auto parsed = TRY(within(file, jinja::ChatTemplate::parse(text)));
    chat_template_ = std::make_unique<const jinja::ChatTemplate>(std::move(parsed));
    return {};
  };
  if (!named.empty()) {
    TRY(parse(named, TRY(read_text_file(named))));
  } else if (!card_.chat_template.empty()) {
    TRY(parse(path_, card_.chat_template));
  } else if (options.chat_template == Part::Needed) {
    return within<void>(
        path_, hinted(not_found("the file carries no chat template"), Advice::NameChatTemplate));
  }
  return {};
}

Status OpenedModel::open_tokenizer(const OpenOptions& options) {
  if (options.tokenizer == Part::Unused) return {};
  const std::string& named = options.tokenizer_path;
  if (!named.empty()) {
    tokenizer_ = TRY(card::open_tokenizer(named));
    const std::string surplus = card::surplus_of(*tokenizer_, vocab_size_);
    if (!surplus.empty()) notes_.push_back(named + ": " + surplus);
  } else if (card_.has_tokenizer()) {
    tokenizer_ = TRY(within(path_, card::open_tokenizer(card_)));
  } else if (options.tokenizer == Part::Needed) {
    return within<void>(path_,
                        hinted(not_found("the file carries no tokenizer"), Advice::NameTokenizer));
  }
  if (tokenizer_) tokenizer_->limit_ids(vocab_size_);
  return {};
}

std::vector<std::string> OpenedModel::adapters() const { return generate::adapters(*program_); }

Result<std::unique_ptr<generate::Session>> OpenedModel::new_session(
    std::string_view adapter) const {
  return within(path_, generate::Session::create(program_, adapter));
}

Result<std::vector<int64_t>> OpenedModel::encode(const std::string& text, bool with_bos,
                                                 text::Specials specials) const {
  if (!tokenizer_->check_may_fit(text.size(), max_context_)) {
    return invalid_argument("the prompt is {} bytes long, more than {} tokens of context can hold",
                            text.size(), max_context_);
  }
  const auto ids = TRY(tokenizer_->encode(text, with_bos, specials));
  return std::vector<int64_t>(ids.begin(), ids.end());
}

}  // namespace diptych::answer
