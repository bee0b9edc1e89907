#include "text/pre_tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <string>

namespace diptych::text {

namespace {

// White space as Unicode defines it, for \s: PCRE2 also counts U+180E, which tiktoken does not.
#define WHITE_SPACE \
  R"(\x{9}-\x{D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})"

// Llama 3's words (Meta's and upstream's tokenizer), one kind a line; the order decides.
// Possessive where giving back could not help.
constexpr std::string_view kWords =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d))"                     // an English ending
    R"(|[^\r\n\p{L}\p{N}]?\p{L}++)"                       // letters, after at most one other sign
    R"(|\p{N}{1,3})"                                      // up to three digits
    R"(| ?[^)" WHITE_SPACE R"(\p{L}\p{N}]++[\r\n]*+)"     // punctuation
    R"(|[)" WHITE_SPACE R"(]*[\r\n]++)"                   // white space up to the end of a line
    R"(|[)" WHITE_SPACE R"(]+(?![^)" WHITE_SPACE R"(]))"  // white space but the last before a word
    R"(|[)" WHITE_SPACE R"(]++)";

#undef WHITE_SPACE

// Without limits a match on hostile text could take memory without end. The words above need no
// backtracking to speak of, so both are far above what any text uses.
constexpr uint32_t kMatchLimit = 100'000'000;
constexpr uint32_t kHeapLimitKiB = 64 << 10;

std::string message_of(int code) {
  PCRE2_UCHAR buffer[256];
  if (pcre2_get_error_message(code, buffer, sizeof buffer) < 0)
    return fmt::format("error {}", code);
  return reinterpret_cast<const char*>(buffer);
}

template <auto free>
struct Free {
  template <class T>
  void operator()(T* pointer) const {
    free(pointer);
  }
};

}  // namespace

struct PreTokenizer::Pattern {
  std::unique_ptr<pcre2_code, Free<pcre2_code_free>> code;
  std::unique_ptr<pcre2_match_context, Free<pcre2_match_context_free>> limits;
};

Result<PreTokenizer> PreTokenizer::create() {
  auto pattern = std::make_shared<Pattern>();
  int error = 0;
  PCRE2_SIZE at = 0;
  pattern->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(kWords.data()), kWords.size(),
                                    PCRE2_UTF | PCRE2_UCP, &error, &at, nullptr));
  if (!pattern->code) {
    return fail(ErrorCode::Internal, "PCRE2 cannot compile the pattern of words: {} at {}",
                message_of(error), at);
  }
  // Where there is no JIT the matcher interprets; the result is the same.
  pcre2_jit_compile(pattern->code.get(), PCRE2_JIT_COMPLETE);
  pattern->limits.reset(pcre2_match_context_create(nullptr));
  if (!pattern->limits) return fail(ErrorCode::Internal, "PCRE2: out of memory");
  pcre2_set_match_limit(pattern->limits.get(), kMatchLimit);
  pcre2_set_heap_limit(pattern->limits.get(), kHeapLimitKiB);
  return PreTokenizer(std::move(pattern));
}

Status PreTokenizer::split(std::string_view text, std::vector<std::string_view>& words) const {
  const std::unique_ptr<pcre2_match_data, Free<pcre2_match_data_free>> match(
      pcre2_match_data_create(1, nullptr));
  if (!match) return fail(ErrorCode::Internal, "PCRE2: out of memory");
  size_t at = 0;
  while (at < text.size()) {
    // The text is valid already; checking it again for every word would be quadratic.
    const int found =
        pcre2_match(pattern_->code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                    at, PCRE2_NO_UTF_CHECK | PCRE2_ANCHORED, match.get(), pattern_->limits.get());
    const size_t end = found > 0 ? pcre2_get_ovector_pointer(match.get())[1] : at;
    if (end <= at) {
      return fail(ErrorCode::Internal, "cannot cut the text into words at byte {}: {}", at,
                  message_of(found));
    }
    words.push_back(text.substr(at, end - at));
    at = end;
  }
  return {};
}

}  // namespace diptych::text
