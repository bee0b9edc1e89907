// Tokens that are found in a text before anything else happens to it, special ones among them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/json_fwd.h"
#include "text/token_id.h"
#include "text/token_search.h"
#include "text/work.h"

namespace diptych::text {

struct AddedToken {
  TokenId id = kNoToken;
  std::string content;
  bool single_word = false;        // only where no letter or digit touches it
  bool lstrip = false;             // takes the white space before it
  bool rstrip = false;             // takes the white space after it
  bool normalized = false;         // looked for in the normalised text, in its normalised form
  bool special = false;            // has no text
  std::string normalized_content;  // what is looked for

  // `json` is an object: "content" and the flags, which may be missing. The id is left out.
  static Result<AddedToken> read(const Json& json);
  Json to_json() const;  // the same

  bool same_flags(const AddedToken& other) const {
    return single_word == other.single_word && lstrip == other.lstrip && rstrip == other.rstrip &&
           normalized == other.normalized && special == other.special;
  }
};

// A stretch of a text: a token or what lies between two.
struct Segment {
  size_t begin, end;
  TokenId id = kNoToken;
};

// Immutable once built.
class AddedTokens {
 public:
  AddedTokens() = default;
  AddedTokens(AddedTokens&&) = default;
  AddedTokens& operator=(AddedTokens&&) = default;
  // Contents are distinct and not empty, and so are ids. Fails when they have too many bytes.
  static Result<AddedTokens> build(std::vector<AddedToken> tokens);

  const std::vector<AddedToken>& tokens() const { return tokens_; }

  // Null when there is none.
  const AddedToken* find(std::string_view content) const;
  const AddedToken* find(TokenId id) const;

  // Cuts `text` at the tokens that are looked for before (or after) normalising; the leftmost and
  // then longest counts. Special ones count only when `with_specials`. The segments are in order
  // and not empty, but may leave out white space that two tokens claim.
  Result<std::vector<Segment>> split(std::string_view text, bool normalized, bool with_specials,
                                     Work& work) const;

 private:
  struct Part {  // the tokens of a pass
    std::vector<uint32_t> tokens;
    TokenSearch search;
  };

  std::vector<AddedToken> tokens_;
  std::unordered_map<std::string_view, uint32_t> by_content_;  // views into tokens_
  std::unordered_map<TokenId, uint32_t> by_id_;
  Part plain_, normalized_;
};

}  // namespace diptych::text
