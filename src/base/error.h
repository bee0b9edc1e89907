// The one error idiom of diptych: fallible functions return Result<T>.
//
// No exception crosses our APIs and no data, however damaged, aborts the process. An error is one
// line that says where, what was expected, what was found and what to do; a list may follow it.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/hint.h"

namespace diptych {

enum class ErrorCode : uint8_t {
  InvalidData,      // a file or message is damaged or contradicts itself
  Unsupported,      // well formed, but outside what diptych implements
  NotFound,         // a file, method, tensor or key does not exist
  InvalidArgument,  // the caller asked for something impossible
  Io,               // the operating system refused
  Usage,            // the command line was used wrongly: its help is the answer
  Cancelled,        // the user interrupted
  Internal,         // a bug of ours
};

// Why a call failed. `context` grows leftwards as the error rises ("model.pte: segment 3"), so that
// each layer says only what it knows.
struct Error {
  ErrorCode code = ErrorCode::Internal;
  std::string context;
  std::string message;
  std::vector<std::string> items;   // a list that belongs to the message; any length
  Setting setting = Setting::None;  // what the message is about; to_string() leaves it out,
  Hint hint = {};                   // and this, for front ends to word

  // "context: message", then one indented line per item, at most 20 and "and N more". Each is one
  // line that a terminal can show, whatever a file put into it, and of bounded length.
  std::string to_string() const;

  // Prepends `where` to the context, unless the error names that place, or one inside of it, first
  // ("dir" adds nothing to "dir/config.json: …").
  Error within(std::string_view where) &&;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

// An error whose message is `format` with `args` put in.
tl::unexpected<Error> fail_with(ErrorCode code, fmt::string_view format, fmt::format_args args);
template <class... Args>
tl::unexpected<Error> fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return fail_with(code, format, fmt::make_format_args(args...));
}

// Shorthands for the commonest codes; the text says what was expected and what was found.
template <class... Args>
tl::unexpected<Error> invalid_data(fmt::format_string<Args...> format, Args&&... args) {
  return fail_with(ErrorCode::InvalidData, format, fmt::make_format_args(args...));
}
template <class... Args>
tl::unexpected<Error> unsupported(fmt::format_string<Args...> format, Args&&... args) {
  return fail_with(ErrorCode::Unsupported, format, fmt::make_format_args(args...));
}
template <class... Args>
tl::unexpected<Error> invalid_argument(fmt::format_string<Args...> format, Args&&... args) {
  return fail_with(ErrorCode::InvalidArgument, format, fmt::make_format_args(args...));
}
template <class... Args>
tl::unexpected<Error> not_found(fmt::format_string<Args...> format, Args&&... args) {
  return fail_with(ErrorCode::NotFound, format, fmt::make_format_args(args...));
}

// The same error with a hint for the front end.
tl::unexpected<Error> hinted(tl::unexpected<Error> error, Hint hint);
inline tl::unexpected<Error> hinted(tl::unexpected<Error> error, Advice advice) {
  return hinted(std::move(error), Hint{advice});
}
// The same error, which is about a setting.
tl::unexpected<Error> about(Setting setting, tl::unexpected<Error> error);

// The same result, its error (if any) placed within `where`.
template <class T>
Result<T> within(std::string_view where, Result<T> result) {
  if (!result) return tl::unexpected(std::move(result.error()).within(where));
  return result;
}
// The same for a text that takes time to make: `where()` is called when there is an error.
template <class Where, class T>
requires std::is_invocable_v<Where> Result<T> within(const Where& where, Result<T> result) {
  if (!result) return tl::unexpected(std::move(result.error()).within(where()));
  return result;
}

namespace detail {
template <class T>
T take(Result<T>&& result) {
  return std::move(*result);
}
inline void take(Status&&) {}
}  // namespace detail

// The value of a Result<T> expression, or an early return of its error from the enclosing function:
//   auto file = TRY(MappedFile::open(path));
// Not within braces after what owns memory: GCC 12 forgets to destroy that when it returns there.
#define TRY(...) DIPTYCH_TRY_IMPL(__COUNTER__, __VA_ARGS__)
#define DIPTYCH_TRY_IMPL(id, ...) DIPTYCH_TRY_NAMED(id, __VA_ARGS__)
#define DIPTYCH_TRY_NAMED(id, ...)                                     \
  __extension__({                                                      \
    auto diptych_result_##id = (__VA_ARGS__);                          \
    if (!diptych_result_##id) [[unlikely]]                             \
      return ::tl::unexpected(std::move(diptych_result_##id).error()); \
    ::diptych::detail::take(std::move(diptych_result_##id));           \
  })

}  // namespace diptych
