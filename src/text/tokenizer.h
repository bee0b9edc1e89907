// Text to token ids and back: what every tokenizer offers, and the one function that opens them.
//
// Two kinds of file are read: SentencePiece models (Llama 2; a protobuf message) and tiktoken-style
// rank files (Llama 3; lines of "base64 rank").
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace diptych::text {

using TokenId = int32_t;
inline constexpr TokenId kNoToken = -1;
inline constexpr size_t kMaxTextBytes = size_t{1} << 30;  // the libraries count in int

// Whether names of special tokens in a text ("<|eot_id|>") become those tokens. A prompt from
// outside is encoded AsText, or its author could end a turn in another's name.
enum class Specials : uint8_t { AsText, AsTokens };

// Immutable; safe to use from several threads.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // "sentencepiece" or "tiktoken".
  virtual std::string_view kind() const = 0;

  // Ids are 0 … vocab_size() - 1.
  virtual TokenId vocab_size() const = 0;

  // The beginning-of-text token; kNoToken when the vocabulary has none.
  virtual TokenId bos() const = 0;

  // The end-of-text token; kNoToken when the vocabulary has none.
  virtual TokenId eos() const = 0;

  // The ids that end a generation, ascending: eos(), and for Llama 3 the end of a message and of a
  // turn (stop_tokens of upstream's examples/models/llama/tokenizer).
  virtual const std::vector<TokenId>& stop_ids() const = 0;

  // The ids of `text`, after bos() when `with_bos` and there is one; no EOS is added. Upstream
  // encodes prompts with_bos. Any bytes are accepted: SentencePiece sees U+FFFD where they are not
  // UTF-8, byte-pair vocabularies encode such bytes one by one. Fails on more than kMaxTextBytes.
  virtual Result<std::vector<TokenId>> encode(std::string_view text, bool with_bos,
                                              Specials specials = Specials::AsText) const = 0;

  // The bytes that `id` contributes to a text: any bytes, possibly part of a character. Empty for
  // special (control) tokens and for ids outside the vocabulary. Valid as long as the tokenizer.
  virtual std::string_view piece(TokenId id) const = 0;

  // SentencePiece: one space at the very start of a text was put there by the encoder and is not
  // part of it. (StreamDecoder removes it.)
  virtual bool drops_leading_space() const = 0;

 protected:
  // Refuses texts above kMaxTextBytes.
  static Status check_size(std::string_view text);
};

// Opens a tokenizer file; its kind is told by its content. The error names the file.
Result<std::unique_ptr<Tokenizer>> open_tokenizer(const std::string& path);

// The same from memory; nothing of `file` is used after the call.
Result<std::unique_ptr<Tokenizer>> read_tokenizer(Bytes file);

}  // namespace diptych::text
