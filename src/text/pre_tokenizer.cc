#include "text/pre_tokenizer.h"

namespace diptych::text {

namespace {

// Llama 3's words (Meta's and upstream's tokenizer), one kind a line; the order decides.
// Possessive where giving back could not help.
constexpr std::string_view kWords =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d))"  // an English ending
    R"(|[^\r\n\p{L}\p{N}]?\p{L}++)"    // letters, after at most one other sign
    R"(|\p{N}{1,3})"                   // up to three digits
    R"(| ?[^)" DIPTYCH_REGEX_SPACE R"(\p{L}\p{N}]++[\r\n]*+)"  // punctuation
    R"(|[)" DIPTYCH_REGEX_SPACE R"(]*[\r\n]++)"  // white space up to the end of a line
    R"(|[)" DIPTYCH_REGEX_SPACE R"(]+(?![^)" DIPTYCH_REGEX_SPACE
    R"(]))"  // white space but the last before a word
    R"(|[)" DIPTYCH_REGEX_SPACE R"(]++)";

}  // namespace

Result<PreTokenizer> PreTokenizer::create() { return PreTokenizer(TRY(Regex::compile(kWords))); }

Status PreTokenizer::split(std::string_view text, Work& work,
                           std::vector<std::string_view>& words) const {
  for (size_t at = 0; at < text.size();) {
    const auto end = TRY(words_.match_at(text, at, work));
    if (!end || *end == at) {
      return fail(ErrorCode::Internal, "cannot cut the text into words at byte {}", at);
    }
    words.push_back(text.substr(at, *end - at));
    at = *end;
  }
  return {};
}

}  // namespace diptych::text
