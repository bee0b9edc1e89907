#include "answer/text_stream.h"

#include <iterator>
#include <utility>

namespace diptych::answer {

namespace {

// Adds the generation of an answer's next part.
void append(generate::Generation& whole, generate::Generation part) {
  whole.tokens.insert(whole.tokens.end(), part.tokens.begin(), part.tokens.end());
  std::move(part.logprobs.begin(), part.logprobs.end(), std::back_inserter(whole.logprobs));
  whole.reason = part.reason;
  whole.prefill_seconds += part.prefill_seconds;
  whole.decode_seconds += part.decode_seconds;
  whole.decode_steps += part.decode_steps;
  whole.speculation += part.speculation;
  whole.prompt_calls = std::move(part.prompt_calls);
}

}  // namespace

TextStream::TextStream(const text::Tokenizer* tokenizer, text::StopTexts stops, OnPiece on_piece)
    : stops_(std::move(stops)), on_piece_(std::move(on_piece)) {
  if (tokenizer != nullptr) decoder_.emplace(*tokenizer);
}

std::string TextStream::begin_after(std::span<const int64_t> prompt) {
  std::string text;
  if (!decoder_) return text;
  for (const int64_t id : prompt) text += decoder_->add(static_cast<text::TokenId>(id));
  return text;
}

Status TextStream::generate(generate::Session& session, std::span<const int64_t> prompt,
                            const generate::GenerateOptions& options, generate::Sampler& sampler) {
  generate::GenerateOptions rest = options;
  rest.max_tokens -= static_cast<int64_t>(answer_.generation.tokens.size());
  append(answer_.generation,
         TRY(generate::generate(session, prompt, rest, sampler,
                                [this](const generate::Token& token) { return add(token); })));
  if (stopped()) answer_.generation.reason = generate::StopReason::StopText;
  return {};
}

bool TextStream::add(const generate::Token& token) {
  std::string text;
  if (decoder_) text = stops_.add(decoder_->add(static_cast<text::TokenId>(token.id)));
  return give_out({token.id, text, token.logprobs}) && !stopped();
}

Answer TextStream::finish() {
  std::string held;
  if (decoder_) held = stops_.add(decoder_->finish());
  held += stops_.finish();
  if (!held.empty()) give_out({std::nullopt, held});
  if (stopped()) answer_.generation.reason = generate::StopReason::StopText;
  return std::move(answer_);
}

bool TextStream::give_out(const Piece& piece) {
  answer_.text += piece.text;
  return on_piece_(piece);
}

}  // namespace diptych::answer
