// A text on its way to the model, cut into pieces: what pre-tokenizers of tokenizer.json work on.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/regex.h"
#include "text/token_search.h"
#include "text/work.h"

namespace diptych::text {

// What a text is cut at: a literal string or a regular expression.
class Pattern {
 public:
  static Pattern literal(std::string_view text);
  static Pattern regex(Regex regex);

  // The first match in text[from …). An empty one is possible with an expression.
  Result<std::optional<Match>> find(std::string_view text, size_t from, Work& work) const;

 private:
  TokenSearch literal_;
  std::optional<Regex> regex_;
};

// What becomes of the matches: dropped, pieces of their own, joined with neighbours of their kind,
// or part of the piece before or after them.
enum class Behaviour : uint8_t {
  Removed,
  Isolated,
  Contiguous,
  MergedWithPrevious,
  MergedWithNext
};

struct Pieces {
  std::string text;           // valid UTF-8
  std::vector<Match> ranges;  // not empty, ascending, disjoint
  bool at_start = false;      // the first piece begins where the user's text begins

  std::string_view piece(const Match& range) const {
    return std::string_view(text).substr(range.begin, range.end - range.begin);
  }

  // The whole of `text` as one piece, or none when it is empty.
  static Pieces whole(std::string text, bool at_start);

  // Cuts every piece. `invert`: what lies between the matches is taken for the matches.
  Status split(const Pattern& pattern, Behaviour behaviour, bool invert, Work& work);

  // Replaces every piece by what `change(piece, is_first, out)` appends to `out`.
  template <class Change>
  void rewrite(Change change) {
    std::string out;
    out.reserve(text.size());
    bool is_first = true;
    for (Match& range : ranges) {
      const size_t begin = out.size();
      change(piece(range), is_first, out);
      range = {begin, out.size()};
      is_first = false;
    }
    text = std::move(out);
    std::erase_if(ranges, [](const Match& range) { return range.begin == range.end; });
  }
};

// `text` with every match replaced by `content`.
Result<std::string> replace_all(std::string_view text, const Pattern& pattern,
                                std::string_view content, Work& work);

}  // namespace diptych::text
