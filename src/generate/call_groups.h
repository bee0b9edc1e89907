// The calls of an evaluation as people read them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "contract/reader.h"
#include "generate/planner.h"

namespace diptych::generate {

// Calls that are the same, one after another.
struct CallGroup {
  std::string_view method;  // of the description
  int64_t tokens = 0;       // of each
  int64_t count = 0;
};

std::vector<CallGroup> grouped(std::span<const PlannedCall> calls,
                               const contract::Description& model);

// "prefill 64 x 2, verify 6"
std::string calls_text(std::span<const PlannedCall> calls, const contract::Description& model);

}  // namespace diptych::generate
