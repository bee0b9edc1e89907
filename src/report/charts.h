// The figures of a page. Private to src/report.
#pragma once

#include <string>

#include "report/report.h"

namespace diptych::report {

std::string bytes_by_tensor(const Contents& contents);
std::string sharing_between_functions(const Contents& contents);
std::string formats_by_layer(const Contents& contents);
std::string operations(const Contents& contents);
std::string memory_over_a_step(const compare::Function& function);
std::string roofline(const TimedStep& step);
// Checks with their outcomes, and what is wrong.
std::string checks(const verify::Verification& verification);
// How far weights are from the source's, a cell for each, or nothing where there are none.
std::string errors_by_layer(const std::vector<verify::WeightError>& weights);

}  // namespace diptych::report
