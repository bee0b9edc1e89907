#include "openai/error.h"

#include "base/json.h"

namespace diptych::openai {

namespace {

std::string_view type_of(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    default:
      return status < 500 ? "invalid_request_error" : "server_error";
  }
}

Json error_object(int status, std::string_view message, const Json& param, std::string_view code) {
  Json error = {{"message", message}, {"type", type_of(status)}, {"param", param}};
  error["code"] = code.empty() ? Json() : Json(code);
  return {{"error", std::move(error)}};
}

}  // namespace

int status_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::InvalidArgument:
    case ErrorCode::InvalidData:
    case ErrorCode::Unsupported:
      return 400;
    case ErrorCode::NotFound:
      return 404;
    default:
      return 500;
  }
}

Json error_json(const Error& error) {
  const int status = status_of(error);
  const Json param = error.context.empty() || status >= 500 ? Json() : Json(error.context);
  std::string_view code;
  if (error.code == ErrorCode::NotFound) code = "model_not_found";
  if (error.hint.advice == Advice::LongerContext) code = "context_length_exceeded";
  if (error.code == ErrorCode::Unsupported) code = "unsupported_parameter";
  return error_object(status, error.to_string(), param, code);
}

Json error_json(int status, std::string_view message, std::string_view code) {
  return error_object(status, message, Json(), code);
}

}  // namespace diptych::openai
