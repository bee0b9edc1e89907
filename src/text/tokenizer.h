// Text to token ids and back: what every tokenizer offers, and the functions that open them.
//
// Three kinds of file are read: SentencePiece models (Llama 2; a protobuf message), tiktoken-style
// rank files (Llama 3; lines of "base64 rank") and tokenizer.json (Hugging Face; docs/formats).
// A GGUF's tokenizer is written as one of these first (gguf_tokenizer.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/json.h"

namespace diptych::text {

using TokenId = int32_t;
inline constexpr TokenId kNoToken = -1;
inline constexpr size_t kMaxTextBytes = size_t{1} << 30;  // the libraries count in int

// Whether names of special tokens in a text ("<|eot_id|>") become those tokens. A prompt from
// outside is encoded AsText, or its author could end a turn in another's name.
enum class Specials : uint8_t { AsText, AsTokens };

// What a model's configuration says about the ends of a text; it wins over the tokenizer's file.
struct TokenizerRules {
  std::optional<bool> add_bos;
  std::optional<std::string> bos, eos;  // names of tokens; empty: there is none

  // From a tokenizer_config.json: add_bos_token, bos_token and eos_token (a string, an object with
  // "content", or null). Keys that are missing say nothing.
  static Result<TokenizerRules> read(const Json& tokenizer_config);
};

// Immutable once opened; safe to use from several threads.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // "sentencepiece", "tiktoken" or "tokenizer.json".
  virtual std::string_view kind() const = 0;

  // Ids are 0 … vocab_size() - 1.
  virtual TokenId vocab_size() const = 0;

  // The beginning-of-text token; kNoToken when the vocabulary has none.
  TokenId bos() const { return bos_; }

  // The end-of-text token; kNoToken when the vocabulary has none.
  TokenId eos() const { return eos_; }

  // The ids that end a generation, ascending: eos(), and the tokens known to end a message or a
  // turn (for Llama 3 stop_tokens of upstream's examples/models/llama/tokenizer).
  const std::vector<TokenId>& stop_ids() const { return stop_ids_; }

  // What comes before the ids of a text: bos(), or nothing for models trained without.
  const std::vector<TokenId>& prefix() const { return prefix_; }

  // What a tokenizer.json puts behind the ids of a text that is whole. A prompt is none: its ids
  // are to be continued.
  const std::vector<TokenId>& suffix() const { return suffix_; }

  // The ids of `text`, after prefix() when `with_bos`, without suffix(). Upstream encodes prompts
  // with_bos. Any bytes are accepted: SentencePiece and tokenizer.json see U+FFFD where they are
  // not UTF-8, rank files encode such bytes one by one. Fails on more than kMaxTextBytes.
  Result<std::vector<TokenId>> encode(std::string_view text, bool with_bos,
                                      Specials specials = Specials::AsText) const;

  // The bytes that `id` contributes to a text: any bytes, possibly part of a character. Empty for
  // special (control) tokens and for ids outside the vocabulary. Valid as long as the tokenizer.
  virtual std::string_view piece(TokenId id) const = 0;

  // One space at the very start of a text was put there by the encoder and is not part of it.
  // (StreamDecoder removes it.)
  virtual bool drops_leading_space() const = 0;

  // The special token that is written so, or kNoToken. (Also other added tokens, where there are.)
  virtual TokenId special(std::string_view name) const = 0;

  // How a special token is written ("<s>"); empty for other ids.
  virtual std::string special_name(TokenId id) const = 0;

  // Lets `rules` win over what the file says. Fails when they name an unknown token.
  Status apply(const TokenizerRules& rules);

 protected:
  // What the file says. Stop ids are `eos` and the tokens known to end a turn that exist.
  void set_ends(TokenId bos, TokenId eos, std::vector<TokenId> prefix,
                std::vector<TokenId> suffix = {});

 private:
  // Appends the ids of `text` alone.
  virtual Status encode_text(std::string_view text, Specials specials,
                             std::vector<TokenId>& ids) const = 0;
  void find_stop_ids();

  TokenId bos_ = kNoToken, eos_ = kNoToken;
  std::vector<TokenId> stop_ids_, prefix_, suffix_;
};

// A tokenizer's file and the rules that go with it where it is opened.
struct TokenizerFile {
  std::string bytes;
  TokenizerRules rules;
  std::string source;  // its path, for messages
};
inline constexpr uint64_t kMaxTokenizerBytes = 256 << 20;  // larger files are not read

// Reads a tokenizer file, or from a model's directory its tokenizer.json, else its tokenizer.model,
// with the rules of its tokenizer_config.json where there is one. Nothing is said of the contents.
// NotFound for a directory without; the error names the file.
Result<TokenizerFile> load_tokenizer_file(const std::string& path);

// The same, opened. A file's kind is told by its content.
Result<std::unique_ptr<Tokenizer>> open_tokenizer(const std::string& path);

// A file that was loaded, opened; errors name its source.
Result<std::unique_ptr<Tokenizer>> open_tokenizer(const TokenizerFile& file);

// A file from memory; nothing of `file` is used after the call.
Result<std::unique_ptr<Tokenizer>> read_tokenizer(Bytes file, const TokenizerRules& rules = {});

}  // namespace diptych::text
