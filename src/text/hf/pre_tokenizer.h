// The pre-tokenizer of a tokenizer.json: cuts a text into the words that the model merges within.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/json_fwd.h"
#include "text/pieces.h"
#include "text/work.h"

namespace diptych::text::hf {

// Immutable once read.
class PreTokenizer {
 public:
  // `json` may be null: a text is one word then. What is unknown is refused by name.
  static Result<PreTokenizer> read(const Json& json);

  Status apply(Pieces& pieces, Work& work) const;

 private:
  struct Split {
    Pattern pattern;
    Behaviour behaviour;
    bool invert = false;
  };
  struct PrefixSpace {};  // a space before every piece that does not begin with one
  struct ByteLevel {};    // bytes become characters
  enum class Scheme : uint8_t { Always, First, Never };
  struct Metaspace {
    std::string replacement;  // a character for spaces, and before pieces that do not begin with it
    Scheme scheme;
  };
  using Step = std::variant<Split, PrefixSpace, ByteLevel, Metaspace>;

  Status add(const Json& json, std::string_view type);
  Status add_split(std::string_view pattern, Behaviour behaviour, bool invert = false);
  Status add_metaspace(const Json& json);

  std::vector<Step> steps_;
};

}  // namespace diptych::text::hf
