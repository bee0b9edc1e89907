// Tokens that are found in a text before anything else happens to it: the "added_tokens" of a
// tokenizer.json, special ones among them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/hf/normalizer.h"
#include "text/tokenizer.h"

namespace diptych::text::hf {

struct AddedToken {
  TokenId id = kNoToken;
  std::string content;
  bool single_word = false;        // only where no letter or digit touches it
  bool lstrip = false;             // takes the white space before it
  bool rstrip = false;             // takes the white space after it
  bool normalized = false;         // looked for in the normalised text, in its normalised form
  bool special = false;            // has no text
  std::string normalized_content;  // what is looked for
};

// A stretch of a text: a token or what lies between two.
struct Segment {
  size_t begin, end;
  TokenId id = kNoToken;
};

// Immutable once built.
class AddedTokens {
 public:
  // An array of objects, or null.
  static Result<AddedTokens> read(const Json& json, const Normalizer& normalizer);

  const std::vector<AddedToken>& tokens() const { return tokens_; }

  // Cuts `text`, valid UTF-8, at the tokens that are looked for before (or after) normalising; the
  // leftmost and then longest counts. Special ones count only when `with_specials`. The segments
  // are in order and not empty, but may leave out white space that two tokens claim.
  std::vector<Segment> split(std::string_view text, bool normalized, bool with_specials) const;

 private:
  struct Node {  // of a trie over bytes
    std::vector<std::pair<char, uint32_t>> children;
    uint32_t token = UINT32_MAX;  // index into tokens_
  };
  using Trie = std::vector<Node>;

  static void insert(Trie& trie, std::string_view content, uint32_t token);
  const AddedToken* longest_at(const Trie& trie, std::string_view text, size_t* size) const;

  std::vector<AddedToken> tokens_;
  Trie plain_{1}, normalized_{1};
};

}  // namespace diptych::text::hf
