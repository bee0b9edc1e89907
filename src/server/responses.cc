#include "server/responses.h"

#include "base/json.h"
#include "openai/error.h"

namespace diptych::server {

Response json_response(const Json& json, int status) {
  Response response;
  response.status = status;
  response.body = dump_json(json);
  return response;
}

Response error_response(int status, std::string_view message, std::string_view code) {
  Response response = json_response(openai::error_json(status, message, code), status);
  if (status == 429 || status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

Response error_response(const Error& error) {
  return json_response(openai::error_json(error), openai::status_of(error));
}

}  // namespace diptych::server
