// Rules about convolutions and pools.
#include <algorithm>

#include "lint/rule.h"

namespace diptych::lint {

namespace {

constexpr int64_t kLargestKernel = 7, kLargestDilation = 3;

bool divides_into_twos_and_threes(int64_t number) {
  for (const int64_t factor : {2, 3}) {
    while (number > 1 && number % factor == 0) number /= factor;
  }
  return number == 1;
}

// Axes of one pixel have no say.
bool is_good_stride(const std::vector<int64_t>& strides) {
  if (!std::all_of(strides.begin(), strides.end(), divides_into_twos_and_threes)) return false;
  const auto [least, most] = std::minmax_element(strides.begin(), strides.end());
  return strides.empty() || *least == *most || *least <= 2;
}

std::string listed(const std::vector<int64_t>& numbers) { return to_string(Shape(numbers)); }

bool is_pool(const mil::Op& op) {
  return op.type == "avg_pool" || op.type == "max_pool" || op.type == "l2_pool";
}

}  // namespace

void odd_strides(const Subject&, const mil::Function& function, Sites& sites) {
  for (const mil::Op* op : computed(function)) {
    if (op->type != "conv") continue;
    const std::vector<int64_t> strides = ints_of(*op, "strides");
    if (is_good_stride(strides)) continue;
    sites.push_back(at(*op, bytes_of(*op->result()), "strides " + listed(strides)));
  }
}

void large_kernels(const Subject&, const mil::Function& function, Sites& sites) {
  for (const mil::Op* op : computed(function)) {
    if (op->type != "conv") continue;
    const mil::Value* weight = op->operand("weight");
    if (weight == nullptr || weight->type.rank() < 3) continue;
    const Shape& shape = weight->type.shape;
    if (*std::max_element(shape.begin() + 2, shape.end()) <= kLargestKernel) continue;
    sites.push_back(at(*op, bytes_of(*weight), to_string(weight->type)));
  }
}

void wide_dilations(const Subject&, const mil::Function& function, Sites& sites) {
  for (const mil::Op* op : computed(function)) {
    if (op->type != "conv") continue;
    const std::vector<int64_t> dilations = ints_of(*op, "dilations");
    if (dilations.empty() ||
        *std::max_element(dilations.begin(), dilations.end()) <= kLargestDilation) {
      continue;
    }
    sites.push_back(at(*op, bytes_of(*op->result()), "dilations " + listed(dilations)));
  }
}

void odd_pool_strides(const Subject&, const mil::Function& function, Sites& sites) {
  for (const mil::Op* op : computed(function)) {
    if (!is_pool(*op)) continue;
    const std::vector<int64_t> strides = ints_of(*op, "strides");
    if (std::all_of(strides.begin(), strides.end(),
                    [](int64_t stride) { return stride == 1 || stride == 2 || stride == 4; })) {
      continue;
    }
    sites.push_back(at(*op, bytes_of(*op->result()), "strides " + listed(strides)));
  }
}

void convolutions_in_a_row(const Subject&, const mil::Function& function, Sites& sites) {
  for (const mil::Op* op : computed(function)) {
    if (op->type != "conv") continue;
    const mil::Value* x = op->operand("x");
    if (x == nullptr || x->producer == nullptr || x->producer->type != "conv") continue;
    if (uses(function, *x) != 1) continue;
    sites.push_back(at(*op, bytes_of(*x), fmt::format("after conv '{}'", x->name)));
  }
}

}  // namespace diptych::lint
