// What repeated measurements say.
#pragma once

#include <vector>

namespace diptych::measure {

struct Statistics {
  double median = 0;
  double mean = 0;
  double sd = 0;  // of the sample (n - 1); 0 for a single measurement
};

// `samples` must not be empty.
double median(std::vector<double> samples);
Statistics summarise(const std::vector<double>& samples);

}  // namespace diptych::measure
