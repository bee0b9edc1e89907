// POST /v1/responses in its plain text form: a text or messages in, one text out, no tools and no
// memory of earlier responses.
#pragma once

#include "base/error.h"
#include "base/json_fwd.h"
#include "openai/exchange.h"
#include "serve/served_model.h"

namespace diptych::openai {

Result<Exchange> read_response_request(const Json& request, const serve::ServedModel& model);

}  // namespace diptych::openai
