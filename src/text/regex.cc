#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace diptych::text {

namespace {

// What tokenizers use needs next to no backtracking, so this is far above what any text needs.
constexpr uint32_t kHeapLimitKiB = 64 << 10;
constexpr size_t kMaxPatternBytes = 1 << 16;

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

// The library's own count leaves out the characters that one part goes over. It tells us of every
// part before it tries it, and how far into the text it is.
struct Counter {
  Work& work;
  size_t at;
};

int count_part(pcre2_callout_block* block, void* data) {
  auto& counter = *static_cast<Counter*>(data);
  const size_t at = block->current_position;
  const size_t distance = at > counter.at ? at - counter.at : counter.at - at;
  counter.at = at;
  return counter.work.spend(1 + distance) ? 0 : PCRE2_ERROR_CALLOUT;
}

PCRE2_SPTR units(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

}  // namespace

struct Regex::Compiled {
  std::unique_ptr<pcre2_code, Free<pcre2_code_free>> code;
};

Result<Regex> Regex::compile(std::string_view pattern) {
  if (pattern.size() > kMaxPatternBytes) {
    return unsupported("a regular expression of {} bytes, at most {} are possible", pattern.size(),
                       kMaxPatternBytes);
  }
  const std::unique_ptr<pcre2_compile_context, Free<pcre2_compile_context_free>> context(
      pcre2_compile_context_create(nullptr));
  auto compiled = std::make_shared<Compiled>();
  if (!context) return fail(ErrorCode::Internal, "PCRE2: out of memory");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE at = 0;
  constexpr uint32_t kOptions =
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT;
  compiled->code.reset(
      pcre2_compile(units(pattern), pattern.size(), kOptions, &error, &at, context.get()));
  if (!compiled->code) {
    return invalid_data("the regular expression is wrong at byte {}: {}", at, message_of(error));
  }
  // Where there is no JIT the matcher interprets; the result is the same.
  pcre2_jit_compile(compiled->code.get(), PCRE2_JIT_COMPLETE);
  return Regex(std::move(compiled));
}

Result<std::optional<Match>> Regex::run(std::string_view text, size_t from, uint32_t options,
                                        Work& work) const {
  // One per thread: a text has as many matches as words.
  thread_local const std::unique_ptr<pcre2_match_data, Free<pcre2_match_data_free>> data(
      pcre2_match_data_create(1, nullptr));
  thread_local const std::unique_ptr<pcre2_match_context, Free<pcre2_match_context_free>> limits(
      pcre2_match_context_create(nullptr));
  if (!data || !limits) return fail(ErrorCode::Internal, "PCRE2: out of memory");
  Counter counter{work, from};
  pcre2_set_callout(limits.get(), count_part, &counter);
  pcre2_set_match_limit(limits.get(), UINT32_MAX);
  pcre2_set_heap_limit(limits.get(), kHeapLimitKiB);
  // The text is valid already; checking it again for every word would be quadratic.
  options |= PCRE2_NO_UTF_CHECK;
  const auto match = [&](uint32_t more) {
    return pcre2_match(compiled_->code.get(), units(text), text.size(), from, options | more,
                       data.get(), limits.get());
  };
  int found = match(0);
  if (found == PCRE2_ERROR_JIT_STACKLIMIT) found = match(PCRE2_NO_JIT);
  if (found == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (found == PCRE2_ERROR_CALLOUT) return Work::exhausted();
  if (found < 0) {
    return unsupported("the regular expression cannot be run at byte {} of the text: {}", from,
                       message_of(found));
  }
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data.get());
  // "\K" in a lookaround can turn the bounds round.
  if (bounds[0] > bounds[1] || bounds[0] < from) {
    return unsupported("the regular expression gives a match that ends before it begins");
  }
  return Match{bounds[0], bounds[1]};
}

Result<std::optional<Match>> Regex::find(std::string_view text, size_t from, Work& work) const {
  return run(text, from, 0, work);
}

Result<std::optional<size_t>> Regex::match_at(std::string_view text, size_t from,
                                              Work& work) const {
  const auto match = TRY(run(text, from, PCRE2_ANCHORED, work));
  if (!match) return std::nullopt;
  return match->end;
}

}  // namespace diptych::text
