// The clock by which we measure how long something takes.
#pragma once

#include <chrono>

namespace diptych {

using Clock = std::chrono::steady_clock;

inline double to_seconds(Clock::duration time) {
  return std::chrono::duration<double>(time).count();
}
inline double seconds_since(Clock::time_point start) { return to_seconds(Clock::now() - start); }

}  // namespace diptych
