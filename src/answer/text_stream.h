// The text of one answer, piece by piece, from the tokens that a model generates: what a terminal
// prints, a conversation keeps and a server sends is the same.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "generate/generator.h"
#include "text/stop_texts.h"
#include "text/stream_decoder.h"

namespace diptych::answer {

// A token, and the text that can be shown now that it has come: valid UTF-8 without any part of a
// stop text, often empty, since bytes of an incomplete character and what may begin a stop text are
// held back. The last piece may be such text alone.
struct Piece {
  std::optional<int64_t> token;
  std::string_view text;
  const generate::TokenLogprobs* logprobs = nullptr;  // of the token, where they were asked for
};

struct Answer {
  std::string text;                 // of all pieces
  generate::Generation generation;  // tokens, log probabilities, times; reason: why it ended
};

class TextStream {
 public:
  // Called with each piece, which is valid during the call; false cancels the answer.
  using OnPiece = std::function<bool(const Piece& piece)>;

  // `tokenizer` must outlive the stream; without one pieces have no text, and there must be no stop
  // texts.
  TextStream(const text::Tokenizer* tokenizer, text::StopTexts stops, OnPiece on_piece);
  TextStream(const TextStream&) = delete;
  TextStream& operator=(const TextStream&) = delete;

  // The answer's text goes on after these tokens: no leading space is dropped. Returns their text,
  // without the bytes of an incomplete character at its end, with which the answer begins.
  std::string begin_after(std::span<const int64_t> prompt);

  // Evaluates `prompt` after what the session holds and generates, as generate::generate() does.
  // Called again, it adds to the answer (after the session was rewound, for example), of which
  // options.max_tokens counts all tokens. On an error the answer is what it was, except for the
  // pieces that were given out.
  Status generate(generate::Session& session, std::span<const int64_t> prompt,
                  const generate::GenerateOptions& options, generate::Sampler& sampler);

  // Takes a token of the answer. Returns false when the answer ends with it: a stop text is
  // complete, or the piece was answered with false.
  bool add(const generate::Token& token);

  // A stop text is complete.
  bool stopped() const { return stops_.stopped(); }

  const generate::Generation& generation() const { return answer_.generation; }

  // Gives out what is held back and returns the answer. The stream is used up.
  Answer finish();

 private:
  bool give_out(const Piece& piece);

  std::optional<text::StreamDecoder> decoder_;
  text::StopTexts stops_;
  OnPiece on_piece_;
  Answer answer_;
};

}  // namespace diptych::answer
