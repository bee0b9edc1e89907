// Responses in JSON, errors as OpenAI's interface words them among them.
#pragma once

#include <string_view>

#include "base/error.h"
#include "base/json_fwd.h"
#include "server/http.h"

namespace diptych::server {

Response json_response(const Json& json, int status = 200);

// An error that is about no parameter. Who is told to come later (429, 503) may do so in a second.
Response error_response(int status, std::string_view message, std::string_view code = {});
Response error_response(const Error& error);

}  // namespace diptych::server
