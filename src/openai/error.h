// Errors as OpenAI's interface words them. The context of an Error that a request causes is the
// parameter that is at fault ("messages[1].content").
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json_fwd.h"

namespace diptych::openai {

// 400 for what the client did wrong, 404 for what does not exist, else 500.
int status_of(const Error& error);

// The body {"error": {"message", "type", "param", "code"}}.
Json error_json(const Error& error);
// The same for errors that are about no parameter; `type` follows from the status.
Json error_json(int status, std::string_view message, std::string_view code = {});

// An error about a parameter.
template <class... Args>
tl::unexpected<Error> wrong_parameter(std::string param, fmt::format_string<Args...> format,
                                      Args&&... args) {
  auto error = invalid_argument(format, std::forward<Args>(args)...);
  error.value().context = std::move(param);
  return error;
}

// The same result; its error, if any, is about `param` and says all that it said before.
template <class T>
Result<T> about_parameter(std::string_view param, Result<T> result) {
  if (result) return result;
  Error error = std::move(result.error());
  if (!error.context.empty()) error.message = error.context + ": " + error.message;
  error.context = param;
  error.code = ErrorCode::InvalidArgument;
  return tl::unexpected(std::move(error));
}

}  // namespace diptych::openai
