#include "text/stream_decoder.h"

#include "text/utf8.h"

namespace diptych::text {

std::string StreamDecoder::add(TokenId id) {
  std::string_view piece = tokenizer_.piece(id);
  if (piece.empty()) return {};
  if (at_start_ && tokenizer_.drops_leading_space() && piece[0] == ' ') piece.remove_prefix(1);
  at_start_ = false;
  pending_ += piece;

  std::string text;
  std::string_view rest = pending_;
  while (!rest.empty()) {
    const Utf8Step step = next_utf8(rest);
    if (step.state == Utf8State::Truncated) break;
    text += step.state == Utf8State::Complete ? rest.substr(0, step.size) : kReplacementCharacter;
    rest.remove_prefix(step.size);
  }
  pending_ = std::string(rest);
  return text;
}

std::string StreamDecoder::finish() {
  const bool incomplete = !pending_.empty();
  pending_.clear();
  at_start_ = true;
  return incomplete ? std::string(kReplacementCharacter) : std::string();
}

std::string decode(const Tokenizer& tokenizer, std::span<const TokenId> ids) {
  StreamDecoder decoder(tokenizer);
  std::string text;
  for (const TokenId id : ids) text += decoder.add(id);
  return text + decoder.finish();
}

}  // namespace diptych::text
