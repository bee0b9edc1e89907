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
#include "base/json_fwd.h"
#include "text/added_tokens.h"
#include "text/token_id.h"

namespace diptych::text {

inline constexpr size_t kMaxTextBytes = 64 << 20;  // of a text; SentencePiece takes fewer at once

// Whether names of special tokens in a text ("<|eot_id|>") become those tokens. A prompt from
// outside is encoded AsText, or its author could end a turn in another's name.
enum class Specials : uint8_t { AsText, AsTokens };

// What the files beside a tokenizer say about it; it wins over the tokenizer's file.
struct TokenizerRules {
  std::optional<bool> add_bos;
  std::optional<std::string> bos, eos;  // names of tokens; empty: there is none

  // Tokens besides those of the file, in the order in which they get ids. One whose content the
  // vocabulary has keeps the id that it has there, the others follow the last id. An id that one is
  // given here only makes it another token than the added one with another id: its flags count.
  struct Added {
    AddedToken token;
    bool changes_flags = false;  // of a token that is an added one already
    bool is_named = false;   // as BOS, EOS, …: then it is special, but where it is one already
    bool is_listed = false;  // among tokens without names of their own
  };
  std::vector<Added> added;

  // For SentencePiece, of Hugging Face's tokenizers: user-defined pieces are added tokens, and the
  // space before a text stands only at its start (false) or also behind every added token (true).
  // Missing: as the library and Meta's code do it, which is another way where a text begins with a
  // space.
  std::optional<bool> legacy;
  std::optional<bool> add_prefix_space;  // false: no space before a text

  // From the objects of the files tokenizer_config.json, special_tokens_map.json and
  // added_tokens.json; each may be null. They are merged as the package transformers does it:
  // "added_tokens_decoder" of the first makes the other two void; else the second wins. Keys that
  // are missing say nothing.
  static Result<TokenizerRules> of_files(const Json& tokenizer_config,
                                         const Json& special_tokens_map, const Json& added_tokens);

  // From the first alone.
  static Result<TokenizerRules> read(const Json& tokenizer_config);

  // A tokenizer_config.json that says the same of a tokenizer's rules(), or of what such a file
  // said; {} when there is nothing to say.
  Json to_json() const;
};

// Immutable once opened; safe to use from several threads.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // "sentencepiece", "tiktoken" or "tokenizer.json".
  virtual std::string_view kind() const = 0;

  // Ids are 0 … vocab_size() - 1.
  TokenId vocab_size() const { return static_cast<TokenId>(pieces_.size()); }

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
  // not UTF-8, rank files encode such bytes one by one. Fails on more than kMaxTextBytes, where
  // Work says that the text takes too much, and on tokens that limit_ids() leaves out.
  Result<std::vector<TokenId>> encode(std::string_view text, bool with_bos,
                                      Specials specials = Specials::AsText) const;

  // Fails when a text of `bytes` cannot be `max_tokens` long or shorter, whatever it holds: where
  // the length of a text is limited this is asked before it is encoded. White space that a
  // tokenizer drops counts; texts of kAlwaysTried bytes may always fit.
  Status check_may_fit(size_t bytes, int64_t max_tokens) const;
  static constexpr size_t kAlwaysTried = 64 << 10;

  // From here on encode() fails on texts with tokens from `count` on, which a model with so many
  // does not know.
  void limit_ids(int64_t count) { id_limit_ = count; }

  // The bytes that `id` contributes to a text: any bytes, possibly part of a character. Empty for
  // special (control) tokens and for ids outside the vocabulary. Valid as long as the tokenizer.
  std::string_view piece(TokenId id) const {
    return id < 0 || id >= vocab_size() ? std::string_view() : pieces_[static_cast<size_t>(id)];
  }

  // One space at the very start of a text was put there by the encoder and is not part of it.
  // (StreamDecoder removes it.)
  bool drops_leading_space() const { return drops_leading_space_; }

  // The special token that is written so, or kNoToken. (Also other added tokens, where there are.)
  TokenId special(std::string_view name) const;

  // How a special token is written ("<s>"); empty for other ids.
  std::string special_name(TokenId id) const;

  // Lets `rules` win over what the file says. Fails when they contradict themselves.
  Status apply(const TokenizerRules& rules);

  // What apply() was told that made a difference, without the rest: the same tokenizer file with
  // these rules gives the same tokenizer.
  const TokenizerRules& rules() const { return rules_; }

 protected:
  // What the file says. Stop ids are `eos` and the tokens known to end a turn that exist.
  void set_ends(TokenId bos, TokenId eos, std::vector<TokenId> prefix,
                std::vector<TokenId> suffix = {});

  // The added tokens from now on, with their ids; pieces_ grows where it has to.
  Status set_added(std::vector<AddedToken> tokens);

  std::vector<std::string> pieces_;  // by id
  AddedTokens added_;
  bool drops_leading_space_ = false;
  TokenizerRules rules_;  // that made a difference

 private:
  // Appends the ids of a normalised stretch between added tokens; `at_start` of the text. Never
  // empty.
  virtual Status encode_stretch(std::string_view text, bool at_start, Work& work,
                                std::vector<TokenId>& ids) const = 0;
  // The token of the vocabulary, which need not be an added one.
  virtual TokenId vocabulary_id(std::string_view token) const = 0;
  // Whether texts are made valid UTF-8 first, U+FFFD for what is not.
  virtual bool replaces_invalid() const { return true; }
  // Whether texts are changed before they are cut into tokens.
  virtual Result<std::string> normalize(std::string text, Work&) const { return text; }
  virtual bool normalizes() const { return false; }
  // What piece() of an added token is: nothing for special ones.
  virtual Result<std::string> text_of(const AddedToken& token) const = 0;
  // Takes what of the rules only this kind knows, before the rest is applied.
  virtual Status apply_own(const TokenizerRules&) { return {}; }

  Status add(const std::vector<TokenizerRules::Added>& wanted);
  Status check_ids(const std::vector<TokenId>& ids) const;
  void find_stop_ids();

  TokenId bos_ = kNoToken, eos_ = kNoToken;
  std::vector<TokenId> stop_ids_, prefix_, suffix_;
  size_t longest_piece_ = 1;
  int64_t id_limit_ = INT64_MAX;
};

// A tokenizer's file and the rules that go with it where it is opened.
struct TokenizerFile {
  std::string bytes;
  TokenizerRules rules;
  std::string source;  // its path, for messages
};
inline constexpr uint64_t kMaxTokenizerBytes = 256 << 20;  // larger files are not read

// Reads a tokenizer file, or from a model's directory its tokenizer.json, else its tokenizer.model,
// with the rules of the files beside it where there are such. Nothing is said of the contents.
// NotFound for a directory without; the error names the file.
Result<TokenizerFile> load_tokenizer_file(const std::string& path);

// The same, opened. A file's kind is told by its content.
Result<std::unique_ptr<Tokenizer>> open_tokenizer(const std::string& path);

// A file that was loaded, opened; errors name its source.
Result<std::unique_ptr<Tokenizer>> open_tokenizer(const TokenizerFile& file);

// A file from memory; nothing of `file` is used after the call.
Result<std::unique_ptr<Tokenizer>> read_tokenizer(Bytes file, const TokenizerRules& rules = {});

}  // namespace diptych::text
