// Rules about element types and numbers.
#include <cmath>
#include <limits>

#include "lint/rule.h"

namespace diptych::lint {

namespace {

constexpr double kLargestHalf = 65504;
// The row of a constant that is read to judge it is at most this long.
constexpr uint64_t kMostElements = 1 << 16, kFewElements = 16;

bool is_fp32(const mil::Value& value) { return value.type.dtype == DType::F32; }

bool has_halves(const mil::Function& function) {
  for (const mil::Op* op : computed(function)) {
    for (const mil::Value* result : op->results) {
      if (result->type.dtype == DType::F16) return true;
    }
  }
  return false;
}

bool is_elementwise(const mil::Op& op) {
  for (const std::string_view type :
       {"add", "sub", "mul", "real_div", "pow", "maximum", "minimum"}) {
    if (op.type == type) return true;
  }
  return false;
}

// Calls `visit(value, elements)` for the float constants that are small enough to read and that
// operations compute with: not those that weights are made of.
template <class Visit>
void small_constants(const Subject& subject, const mil::Function& function, const Visit& visit) {
  const uint64_t most = subject.read_constants ? kMostElements : kFewElements;
  for (const mil::Op* op : computed(function)) {
    for (const mil::Operand& operand : op->operands) {
      for (const mil::Value* value : operand.values) {
        if (!value->is_constant() || value->weight == nullptr || !is_float(value->type.dtype) ||
            value->weight->elements() > most) {
          continue;
        }
        if (const auto elements = read_floats(*value->weight)) visit(*op, *value, *elements);
      }
    }
  }
}

}  // namespace

void fp32_results(const Subject&, const mil::Function& function, Sites& sites) {
  for (const mil::Op* op : computed(function)) {
    if (op->type == "cast") continue;
    const mil::Value& result = *op->results.front();
    if (is_fp32(result)) sites.push_back(at(*op, bytes_of(result), to_string(result.type)));
  }
}

void fp32_literals(const Subject&, const mil::Function& function, Sites& sites) {
  if (!has_halves(function)) return;
  for (const mil::Op* op : computed(function)) {
    if (!is_elementwise(*op)) continue;
    const mil::Value *x = op->operand("x"), *y = op->operand("y");
    for (const auto& [literal, other] : {std::pair(x, y), std::pair(y, x)}) {
      if (literal == nullptr || other == nullptr || !literal->is_constant() || !is_fp32(*literal) ||
          literal->weight->elements() != 1) {
        continue;
      }
      if (other->producer != nullptr && other->producer->type == "cast") {
        sites.push_back(at(*op, bytes_of(*op->result()), "a number in fp32 widens what it meets"));
      }
    }
  }
}

void casts_there_and_back(const Subject&, const mil::Function& function, Sites& sites) {
  for (const mil::Op* op : computed(function)) {
    if (op->type != "cast") continue;
    const mil::Value* x = op->operand("x");
    if (x == nullptr || x->producer == nullptr || x->producer->type != "cast") continue;
    const mil::Value* origin = x->producer->operand("x");
    if (origin == nullptr || !is_float(origin->type.dtype) || !is_float(x->type.dtype)) continue;
    if (origin->type == op->result()->type) {
      sites.push_back(at(*op, bytes_of(*x) + bytes_of(*op->result()),
                         fmt::format("{} and back", to_string(x->type))));
    }
  }
}

void integers_between(const Subject&, const mil::Function& function, Sites& sites) {
  if (!has_projections(function)) return;
  for (const mil::Op* op : computed(function)) {
    const mil::Value& result = *op->results.front();
    if (result.type.dtype != DType::Int32 || op->type == "cast" || op->type == "shape") continue;
    sites.push_back(at(*op, bytes_of(result), to_string(result.type)));
  }
}

void infinite_constants(const Subject& subject, const mil::Function& function, Sites& sites) {
  small_constants(
      subject, function, [&](const mil::Op& op, const mil::Value& value, const auto& elements) {
        for (const float element : elements) {
          if (!std::isinf(element)) continue;
          sites.push_back(at(op, bytes_of(value), fmt::format("{} in '{}'", element, value.name)));
          return;
        }
      });
}

void constants_beyond_fp16(const Subject& subject, const mil::Function& function, Sites& sites) {
  small_constants(
      subject, function, [&](const mil::Op& op, const mil::Value& value, const auto& elements) {
        if (value.type.dtype != DType::F32) return;
        for (const float element : elements) {
          if (!std::isfinite(element) || std::fabs(element) <= kLargestHalf) continue;
          sites.push_back(at(op, bytes_of(value), fmt::format("{} in '{}'", element, value.name)));
          return;
        }
      });
}

// mul(x, x), its mean over an axis: in fp16 the square of 256 is infinite.
void plain_norms(const Subject&, const mil::Function& function, Sites& sites) {
  for (const mil::Op* op : computed(function)) {
    if (op->type != "reduce_mean" && op->type != "reduce_sum") continue;
    const mil::Value* x = op->operand("x");
    if (x == nullptr || x->type.dtype != DType::F16 || x->producer == nullptr) continue;
    const mil::Op& square = *x->producer;
    const bool squares = square.type == "square" ||
                         (square.type == "mul" && square.operand("x") == square.operand("y"));
    if (!squares) continue;
    const mil::Value* root = square.operand("x");
    // What was divided by its largest magnitude first stays small.
    if (root == nullptr || (root->producer != nullptr && root->producer->type == "real_div"))
      continue;
    sites.push_back(at(square, bytes_of(*x), to_string(x->type)));
  }
}

void infinite_masks(const Subject& subject, const Package* package, Sites& sites) {
  if (package != nullptr || !subject.hidden || !std::isinf(*subject.hidden)) return;
  sites.push_back({nullptr, "masks", 0, "runners hide columns by -inf"});
}

}  // namespace diptych::lint
