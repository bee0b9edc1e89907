// What is being done, as Prometheus reads it and as JSON.
#pragma once

#include <string>

#include "base/json_fwd.h"
#include "server/models.h"

namespace diptych::server {

std::string metrics_text(const Models& models);    // of /metrics
Json slots_json(const serve::ServedModel& model);  // of /slots
Json model_json(const serve::ServedModel& model);  // of /v1/models
Json props_json(const Models& models);             // of /props

}  // namespace diptych::server
