// Rules about shapes and the order of axes.
#include "lint/rule.h"

namespace diptych::lint {

namespace {

constexpr int64_t kMostAxes = 5;
// What padding may waste, and what a rewrite of memory may touch, before it is worth a word.
constexpr uint64_t kSmallWaste = 64 << 10, kSmallRewrite = 1 << 20, kSmallSoftmax = 16 << 20;

uint64_t width_of(const TensorType& type) {
  return static_cast<uint64_t>(type.shape.back()) * static_cast<uint64_t>(bit_width(type.dtype)) /
         8;
}

}  // namespace

void high_ranks(const Subject&, const mil::Function& function, Sites& sites) {
  for (const mil::Op* op : computed(function)) {
    for (const mil::Value* result : op->results) {
      if (result->type.rank() <= kMostAxes) continue;
      sites.push_back(at(*op, bytes_of(*result), to_string(result->type)));
      break;
    }
  }
}

void single_last_axes(const Subject&, const mil::Function& function, Sites& sites) {
  for (const mil::Op* op : computed(function)) {
    const mil::Value& result = *op->results.front();
    if (!is_float(result.type.dtype) || result.type.shape.empty() ||
        result.type.shape.back() != 1) {
      continue;
    }
    const uint64_t padded = padded_bytes(result.type);
    if (padded - std::min(padded, bytes_of(result)) < kSmallWaste) continue;
    sites.push_back(
        at(*op, padded, fmt::format("{} takes {} bytes", to_string(result.type), padded)));
  }
}

void unaligned_ports(const Subject&, const mil::Function& function, Sites& sites) {
  for (const auto* ports : {&function.inputs, &function.outputs}) {
    for (const mil::Value* value : *ports) {
      const TensorType& type = value->type;
      if (!is_float(type.dtype) || type.shape.empty() || width_of(type) % kWidthBytes == 0)
        continue;
      sites.push_back(at(*value, padded_bytes(type),
                         fmt::format("{}: rows of {} bytes", to_string(type), width_of(type))));
    }
  }
}

void transposes_of_the_last_axis(const Subject&, const mil::Function& function, Sites& sites) {
  for (const mil::Op* op : computed(function)) {
    if (op->type != "transpose" || bytes_of(*op->result()) < kSmallRewrite) continue;
    const std::vector<int64_t> perm = ints_of(*op, "perm");
    if (perm.empty()) continue;
    const auto rank = static_cast<int64_t>(perm.size());
    if (perm.back() == rank - 1 || perm.back() == -1) continue;
    sites.push_back(at(*op, bytes_of(*op->result()), to_string(op->result()->type)));
  }
}

void softmax_over_width(const Subject&, const mil::Function& function, Sites& sites) {
  for (const mil::Op* op : computed(function)) {
    if (op->type != "softmax") continue;
    const uint64_t bytes = 2 * bytes_of(*op->result());
    if (bytes < kSmallSoftmax || op->result()->type.rank() != 4) continue;
    const std::vector<int64_t> axis = ints_of(*op, "axis");
    if (!axis.empty() && (axis[0] == 1 || axis[0] == -3)) continue;  // the channels
    sites.push_back(at(*op, bytes, to_string(op->result()->type)));
  }
}

}  // namespace diptych::lint
