#include "measure/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace diptych::measure {

double median(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  const size_t middle = samples.size() / 2;
  return samples.size() % 2 == 1 ? samples[middle] : (samples[middle - 1] + samples[middle]) / 2;
}

Statistics summarise(const std::vector<double>& samples) {
  const auto count = static_cast<double>(samples.size());
  Statistics result;
  result.median = median(samples);
  result.mean = std::accumulate(samples.begin(), samples.end(), 0.0) / count;
  double squares = 0;
  for (const double sample : samples) {
    squares += (sample - result.mean) * (sample - result.mean);
  }
  result.sd = samples.size() > 1 ? std::sqrt(squares / (count - 1)) : 0;
  return result;
}

}  // namespace diptych::measure
