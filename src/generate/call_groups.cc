#include "generate/call_groups.h"

#include <fmt/format.h>

namespace diptych::generate {

std::vector<CallGroup> grouped(std::span<const PlannedCall> calls,
                               const contract::Description& model) {
  std::vector<CallGroup> groups;
  for (const PlannedCall& call : calls) {
    const std::string_view method = model.functions[call.function].method.name;
    if (groups.empty() || groups.back().method != method || groups.back().tokens != call.rows) {
      groups.push_back({method, call.rows, 0});
    }
    ++groups.back().count;
  }
  return groups;
}

std::string calls_text(std::span<const PlannedCall> calls, const contract::Description& model) {
  std::string text;
  for (const CallGroup& group : grouped(calls, model)) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", group.method, group.tokens);
    if (group.count > 1) text += fmt::format(" x {}", group.count);
  }
  return text;
}

}  // namespace diptych::generate
