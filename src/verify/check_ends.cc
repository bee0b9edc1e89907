#include <algorithm>

#include "verify/check.h"

namespace diptych::verify {

Status check_ends(Subject& subject, Report& report, Progress&) {
  const card::ModelCard& card = subject.card;
  const contract::Description* model = subject.model();
  if (!card.bos && card.eos.empty()) {
    report.does_not_apply("the file names no ids");
    return {};
  }
  const text::Tokenizer* tokenizer = subject.tokenizer.get();
  const auto check = [&](const std::string& place, int64_t id, int64_t expected) {
    if (id < 0 || id >= model->vocab_size) {
      report.find(place,
                  fmt::format("{} is outside of the vocabulary of {}", id, model->vocab_size));
      return;
    }
    if (tokenizer == nullptr || id == expected || id >= tokenizer->vocab_size()) return;
    // Texts cannot hold a token that ends them.
    const std::string_view piece = tokenizer->piece(static_cast<text::TokenId>(id));
    const std::string special = tokenizer->special_name(static_cast<text::TokenId>(id));
    if (piece.empty() || !special.empty()) return;
    report.find(place, fmt::format("{} is the token \"{}\" of texts", id, piece));
  };
  if (card.bos) check("get_bos_id", *card.bos, tokenizer == nullptr ? -1 : tokenizer->bos());
  for (const int64_t id : card.eos) {
    check("get_eos_ids", id, tokenizer == nullptr ? -1 : tokenizer->eos());
  }
  if (tokenizer != nullptr && tokenizer->eos() != text::kNoToken && !card.eos.empty()) {
    const bool ends = std::any_of(card.eos.begin(), card.eos.end(), [&](int64_t id) {
      const auto& stops = tokenizer->stop_ids();
      return id == tokenizer->eos() || std::find(stops.begin(), stops.end(), id) != stops.end();
    });
    if (!ends) {
      report.find("get_eos_ids", fmt::format("none of its ids ends a text for the tokenizer, whose "
                                             "end is {}",
                                             tokenizer->eos()));
    }
  }
  report.note(fmt::format("{} ids", card.eos.size() + (card.bos ? 1 : 0)));
  return {};
}

}  // namespace diptych::verify
