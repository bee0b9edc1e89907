#include "engine/fuse/fuse.h"
#include "engine/fuse/match.h"

namespace diptych::engine {

namespace {

// rsqrt's own epsilon unless a file says another.
constexpr double kDefaultEpsilon = 1e-12;

struct Norm {
  mil::Value* x = nullptr;
  double epsilon = 0;
  bool relative = false;
};

// The y of `y * y`, or null.
mil::Value* squared(const mil::Value* value) {
  if (const mil::Op* op = made_by(value, "square")) return op->operand("x");
  const mil::Op* op = made_by(value, "mul");
  return op != nullptr && op->operand("x") == op->operand("y") ? op->operand("x") : nullptr;
}

// The y of `mean(y^2)` along the last axis, or null.
mil::Value* mean_square(const mil::Value* value) {
  const mil::Op* mean = made_by(value, "reduce_mean");
  if (mean == nullptr) return nullptr;
  const auto keep = mil::bool_param(*mean, "keep_dims", false);
  mil::Value* y = squared(mean->operand("x"));
  return y != nullptr && keep && *keep && along_last_axis(*mean, "axes", *y) ? y : nullptr;
}

// The y of `mean(y^2) + epsilon`, or null.
mil::Value* mean_square_plus(const mil::Value* value, double* epsilon) {
  const mil::Op* add = made_by(value, "add");
  mil::Value* found = nullptr;
  if (add == nullptr) return nullptr;
  either_way(*add, [&](mil::Value* a, mil::Value* b) {
    const auto constant = number(b);
    mil::Value* y = mean_square(a);
    if (y == nullptr || !constant) return false;
    *epsilon = *constant;
    found = y;
    return true;
  });
  return found;
}

// x * rsqrt(mean(x^2) + epsilon): what upstream's RMSNorm is.
std::optional<Norm> plain_norm(const mil::Value* value) {
  const mil::Op* mul = made_by(value, "mul");
  std::optional<Norm> norm;
  if (mul == nullptr) return norm;
  either_way(*mul, [&](mil::Value* x, mil::Value* factor) {
    const mil::Op* rsqrt = made_by(factor, "rsqrt");
    if (rsqrt == nullptr) return false;
    const auto inner = mil::float_param(*rsqrt, "epsilon", kDefaultEpsilon);
    double epsilon = 0;
    if (!inner || mean_square_plus(rsqrt->operand("x"), &epsilon) != x) return false;
    norm = Norm{x, epsilon + *inner, false};
    return true;
  });
  return norm;
}

// The x of max|x| along the last axis, or null.
mil::Value* largest_of(const mil::Value* value) {
  const mil::Op* max = made_by(value, "reduce_max");
  if (max == nullptr) return nullptr;
  const mil::Op* abs = made_by(max->operand("x"), "abs");
  mil::Value* x = abs == nullptr ? nullptr : abs->operand("x");
  return x != nullptr && along_last_axis(*max, "axes", *x) ? x : nullptr;
}

// The r of (r / d)^2, a number; d is `divisor`.
std::optional<double> squared_share(const mil::Value* value, const mil::Value* divisor) {
  const mil::Op* share = made_by(squared(value), "real_div");
  if (share == nullptr || share->operand("y") != divisor) return std::nullopt;
  return number(share->operand("x"));
}

// x * (rsqrt(mean((x / d)^2) + (r / d)^2) / d) with d = max|x| + c: the form whose values in
// between fit fp16, of epsilon r^2. d cancels out.
std::optional<Norm> divided_norm(const mil::Value* value) {
  const mil::Op* mul = made_by(value, "mul");
  std::optional<Norm> norm;
  if (mul == nullptr) return norm;
  either_way(*mul, [&](mil::Value* x, mil::Value* factor) {
    const mil::Op* division = made_by(factor, "real_div");
    if (division == nullptr) return false;
    const mil::Value* d = division->operand("y");
    const mil::Op *divisor = made_by(d, "add"), *rsqrt = made_by(division->operand("x"), "rsqrt");
    if (divisor == nullptr || rsqrt == nullptr) return false;
    // Beside a mean of squares of which the largest is about 1.
    const auto inner = mil::float_param(*rsqrt, "epsilon", kDefaultEpsilon);
    const mil::Op* sum = made_by(rsqrt->operand("x"), "add");
    if (!inner || *inner > kDefaultEpsilon || sum == nullptr) return false;
    const bool by_largest = either_way(*divisor, [&](mil::Value* largest, mil::Value* least) {
      return largest_of(largest) == x && number(least).value_or(-1) >= 0;
    });
    return by_largest && either_way(*sum, [&](mil::Value* mean, mil::Value* epsilon) {
             const mil::Op* small = made_by(mean_square(mean), "real_div");
             const auto root = squared_share(epsilon, d);
             if (small == nullptr || !root || small->operand("x") != x ||
                 small->operand("y") != d) {
               return false;
             }
             norm = Norm{x, *root * *root, false};
             return true;
           });
  });
  return norm;
}

// x / (sqrt(mean((x / m)^2) + epsilon) * m) with m = max|x|: coremltools' form, which does not
// overflow in fp16.
std::optional<Norm> scaled_norm(const mil::Value* value) {
  const mil::Op* division = made_by(value, "real_div");
  if (division == nullptr) return std::nullopt;
  mil::Value* x = division->operand("x");
  const mil::Op* product = made_by(division->operand("y"), "mul");
  std::optional<Norm> norm;
  if (product == nullptr) return norm;
  either_way(*product, [&](mil::Value* root_value, mil::Value* max_value) {
    const mil::Op* root = made_by(root_value, "sqrt");
    if (root == nullptr || largest_of(max_value) != x) return false;
    double epsilon = 0;
    const mil::Op* scaled = made_by(mean_square_plus(root->operand("x"), &epsilon), "real_div");
    if (scaled == nullptr || scaled->operand("x") != x || scaled->operand("y") != max_value) {
      return false;
    }
    norm = Norm{x, epsilon, true};
    return true;
  });
  return norm;
}

void make_norm(mil::Function& function, mil::Op& op, const Norm& norm, mil::Value* weight) {
  const std::string& name = op.result()->name;
  std::vector<mil::Operand> operands{{"x", {norm.x}}};
  if (weight != nullptr) operands.push_back({"weight", {weight}});
  operands.push_back({"epsilon",
                      {function.add_constant(name + "_epsilon",
                                             constant_floats(DType::F32, {}, {norm.epsilon}))}});
  if (norm.relative) {
    operands.push_back(
        {"relative_epsilon",
         {function.add_constant(name + "_relative_epsilon", constant_ints(DType::Bool, {}, {1}))}});
  }
  rewrite(op, "cpu.rms_norm", std::move(operands));
}

}  // namespace

Status fuse_norms(mil::Function& function) {
  const auto norm_of = [](const mil::Value* value) {
    for (const auto form : {plain_norm, divided_norm, scaled_norm}) {
      if (const auto norm = form(value)) return norm;
    }
    return std::optional<Norm>();
  };
  // With a weight first, so that what is left afterwards has none.
  for (const auto& op : function.ops) {
    if (op->type != "mul") continue;
    either_way(*op, [&](mil::Value* normalised, mil::Value* weight) {
      const auto norm = norm_of(normalised);
      if (!norm || weight->type.shape != Shape{norm->x->type.shape.back()}) return false;
      make_norm(function, *op, *norm, weight);
      return true;
    });
  }
  function.remove_dead();
  for (const auto& op : function.ops) {
    if (const auto norm = norm_of(op->result())) make_norm(function, *op, *norm, nullptr);
  }
  return {};
}

}  // namespace diptych::engine
