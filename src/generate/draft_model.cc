#include "generate/draft_model.h"

#include <algorithm>

namespace diptych::generate {

namespace {

// What the draft draws must not depend on what the model draws.
constexpr uint64_t kOtherSeed = 0x9e3779b97f4a7c15U;

}  // namespace

Result<std::unique_ptr<DraftModel>> DraftModel::create(std::unique_ptr<Session> session,
                                                       const SamplerOptions& options,
                                                       int64_t vocab_size) {
  if (session->model().vocab_size != vocab_size) {
    return invalid_argument("a draft needs the vocabulary of the model, {} tokens, found {}",
                            vocab_size, session->model().vocab_size);
  }
  SamplerOptions own = options;
  own.seed ^= kOtherSeed;
  return std::unique_ptr<DraftModel>(new DraftModel(std::move(session), own));
}

Status DraftModel::begin(std::span<const int64_t> context) {
  session_->rewind(session_->held_of(context));
  const auto position = static_cast<size_t>(session_->position());
  if (context.size() <= position) return {};
  if (context.size() > static_cast<size_t>(session_->model().max_context)) return {};
  TRY(session_->evaluate(context.subspan(position)));
  return {};
}

Result<Draft> DraftModel::propose(std::span<const int64_t> context, int64_t most) {
  Draft draft;
  context_ = context.size();
  // The last of the draft need not be evaluated.
  const int64_t room = session_->model().max_context - static_cast<int64_t>(context.size()) + 1;
  most = std::min(most, room);
  if (most < 1) return draft;
  std::span<const float> logits =
      TRY(session_->evaluate(context.subspan(static_cast<size_t>(session_->position()))));
  for (;;) {
    Distribution from;
    const int64_t token = TRY(sampler_.sample(logits, session_->tokens(), from));
    draft.tokens.push_back(token);
    draft.from.push_back(std::move(from));
    if (static_cast<int64_t>(draft.tokens.size()) == most) return draft;
    logits = TRY(session_->evaluate(std::span(&token, 1)));
  }
}

void DraftModel::accept(size_t count) {
  session_->rewind(std::min(session_->position(), static_cast<int64_t>(context_ + count)));
}

// The tokens that came without a draft are evaluated with the first.
double DraftModel::seconds(int64_t context, int64_t tokens) const {
  return session_->evaluating_seconds(std::max<int64_t>(context - session_->position(), 1)) +
         static_cast<double>(tokens - 1) * session_->decoding_seconds();
}

}  // namespace diptych::generate
