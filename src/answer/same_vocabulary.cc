#include "answer/same_vocabulary.h"

#include <algorithm>

#include "base/in_quotes.h"

namespace diptych::answer {

namespace {

// What an id stands for: a text, or the name of a special token.
std::string text_of(const text::Tokenizer& tokenizer, text::TokenId id) {
  const std::string special = tokenizer.special_name(id);
  return special.empty() ? std::string(tokenizer.piece(id)) : special;
}

Status compare(const OpenedModel& model, const OpenedModel& draft) {
  if (model.vocab_size() != draft.vocab_size()) {
    return invalid_argument("a draft needs the vocabulary of the model, {} tokens, found {}",
                            model.vocab_size(), draft.vocab_size());
  }
  const text::Tokenizer *known = model.tokenizer(), *other = draft.tokenizer();
  if (known == nullptr || other == nullptr) return {};
  const text::TokenId count = std::max(known->vocab_size(), other->vocab_size());
  for (text::TokenId id = 0; id < count; ++id) {
    const std::string wanted = text_of(*known, id), found = text_of(*other, id);
    if (wanted == found) continue;
    return invalid_argument(
        "a draft needs the vocabulary of the model, whose token {} is {}, found {}", id,
        in_quotes(wanted), in_quotes(found));
  }
  return {};
}

}  // namespace

Status check_same_vocabulary(const OpenedModel& model, const OpenedModel& draft) {
  return within(draft.path(), compare(model, draft));
}

}  // namespace diptych::answer
