// Byte-pair encoding by a list of merges: the BPE model of tokenizer.json.
//
// A word begins as one token per character. The adjacent pair whose merge stands first in the list
// (leftmost on ties) becomes one token, until no pair is in the list. Unlike byte_pair_encoder.h,
// where the vocabulary is the list, a pair merges only when it is listed, whatever it spells.
#pragma once

#include <utility>

#include "text/vocabulary.h"

namespace diptych::text {

struct BpeOptions {
  bool byte_fallback = false;  // characters without a token become tokens <0x00> … <0xFF>
  bool ignore_merges = false;  // a word that is a token is that token, merges or not
  bool fuse_unknown = false;   // neighbouring unknown characters are one unknown token
  TokenId unknown = kNoToken;  // for characters without a token; none: they vanish
};

// Immutable once built.
class BpeModel {
 public:
  // Merges in their order, each a pair of tokens whose concatenation is a token too; of those that
  // come again the last counts. Fails naming the merge that lacks a token.
  static Result<BpeModel> build(
      Vocabulary vocabulary,
      const std::vector<std::pair<std::string_view, std::string_view>>& merges,
      const BpeOptions& options);

  const Vocabulary& vocabulary() const { return vocabulary_; }

  // Appends the ids of `word`, valid UTF-8. n log n in its length, whatever it holds.
  void encode(std::string_view word, std::vector<TokenId>& ids) const;

 private:
  struct Merge {
    uint64_t pair = kNoPair;  // left id << 32 | right id
    uint32_t rank = 0;
    TokenId result = kNoToken;
  };
  static constexpr uint64_t kNoPair = ~uint64_t{0};

  BpeModel(Vocabulary vocabulary, const BpeOptions& options)
      : vocabulary_(std::move(vocabulary)), options_(options) {}
  Merge& slot_of(uint64_t pair);
  const Merge* find(TokenId left, TokenId right) const;  // null when they do not merge
  void start(std::string_view word, std::vector<TokenId>& ids) const;  // one token per character

  Vocabulary vocabulary_;
  BpeOptions options_;
  TokenId bytes_[256] = {};    // of <0x00> … <0xFF>
  std::vector<Merge> merges_;  // open addressing, a power of two, at most half full
};

}  // namespace diptych::text
