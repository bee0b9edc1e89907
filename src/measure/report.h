// Benchmark results for machines; the command line makes tables of them.
#pragma once

#include <string>

#include "base/json_fwd.h"
#include "measure/measure.h"

namespace diptych::measure {

// An array with one object for each row. All have the same keys; what a row does not have is null.
Json to_json(const Report& report);

// A heading and one line for each row, with the keys of the JSON form as columns, but for profiles.
// Samples are separated by blanks, null is an empty cell.
std::string to_csv(const Report& report);

}  // namespace diptych::measure
