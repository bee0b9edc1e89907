// Steps on a time line, in the Trace Event Format that chrome://tracing and Perfetto show: complete
// events ("ph": "X") with times in microseconds; a thread for each track.
#pragma once

#include <string>
#include <vector>

#include "measure/profile.h"

namespace diptych::measure {

class Trace {
 public:
  // The events as a track of their own under this name; an event for each call of a function spans
  // those of its steps. The executables must still be there.
  void add(const std::string& track, const std::vector<Profiler::Event>& events);

  // The whole file.
  std::string json() const;

 private:
  void begin_event();
  std::string events_;
  int tracks_ = 0;
};

}  // namespace diptych::measure
