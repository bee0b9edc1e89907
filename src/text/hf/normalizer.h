// The normaliser of a tokenizer.json: what happens to a text before it is cut into words.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/json_fwd.h"
#include "text/pieces.h"
#include "text/unicode_forms.h"
#include "text/work.h"

namespace diptych::text::hf {

// Immutable once read.
class Normalizer {
 public:
  // `json` may be null: nothing is changed then. What is unknown is refused by name.
  static Result<Normalizer> read(const Json& json);

  // `text` is valid UTF-8, and so is the result.
  Result<std::string> apply(std::string text, Work& work) const;

 private:
  struct Prepend {
    std::string text;  // put before texts that are not empty
  };
  struct Replace {
    Pattern pattern;
    std::string content;
  };
  struct Strip {
    bool left, right;
  };
  struct Lowercase {};
  struct ByteLevel {};
  using Step = std::variant<NormalForm, Prepend, Replace, Strip, Lowercase, ByteLevel>;

  static Result<Step> read_step(const Json& json, std::string_view type);
  static Result<std::string> apply_step(const Step& step, std::string text, Work& work);

  std::vector<Step> steps_;
};

}  // namespace diptych::text::hf
