// The name of the JSON value for headers that only pass it on; base/json.h has the rest.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace diptych {

using Json = nlohmann::ordered_json;

}  // namespace diptych
