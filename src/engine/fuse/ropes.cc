#include <array>
#include <unordered_set>

#include "engine/fuse/fuse.h"
#include "engine/fuse/match.h"

namespace diptych::engine {

namespace {

// The x of which a value is every `stride`th element of the last axis from `begin` on, `count` of
// them, and all of the other axes; or null.
mil::Value* slice_of(const mil::Value* value, int64_t begin, int64_t stride, int64_t count) {
  const mil::Op* op = made_by(value, "slice_by_index");
  if (op == nullptr) return nullptr;
  mil::Value* x = op->operand("x");
  const auto axes = mil::resolve_slice(*op);
  if (!axes) return nullptr;
  for (size_t i = 0; i < axes->size(); ++i) {
    const mil::SliceAxis& axis = (*axes)[i];
    if (axis.squeeze) return nullptr;
    const bool last = i + 1 == axes->size();
    if (last ? axis.begin != begin || axis.stride != stride || axis.count != count
             : axis.begin != 0 || axis.stride != 1 || axis.count != x->type.shape[i]) {
      return nullptr;
    }
  }
  return x;
}

// Whether the elements of a value are a table [rows, width], behind reshapes: the table.
mil::Value* table(mil::Value* value, int64_t rows, int64_t width) {
  mil::Value* from = behind_reshapes(value);
  const auto is_table = [&](const mil::Value& v) {
    const auto elements = element_count(v.type.shape);
    return v.type.rank() >= 2 && v.type.shape.back() == width && v.type.shape.end()[-2] == rows &&
           elements && static_cast<int64_t>(*elements) == rows * width;
  };
  if (is_table(*from)) return from;
  return is_table(*value) ? value : nullptr;
}

struct Product {
  mil::Value *x, *factor;
};

// The factors of a product in both orders.
std::array<Product, 2> products(const mil::Op& op) {
  mil::Value *x = op.operand("x"), *y = op.operand("y");
  return {{{x, y}, {y, x}}};
}

void make_rope(mil::Function& function, mil::Op& op, mil::Value* x, mil::Value* cos,
               mil::Value* sin, bool interleaved) {
  mil::Value* flag = function.add_constant(op.result()->name + "_interleaved",
                                           constant_ints(DType::Bool, {}, {interleaved}));
  rewrite(op, "cpu.rope", {{"x", {x}}, {"cos", {cos}}, {"sin", {sin}}, {"interleaved", {flag}}});
}

// stack([e*cos - o*sin, e*sin + o*cos], -1) of the even and odd elements of x. The stack becomes
// the rope: its elements are those of x's shape, and only reshapes may look at them.
bool fuse_interleaved(mil::Function& function, mil::Op& stack) {
  const auto& values = stack.operand_list("values");
  mil::Value* result = stack.result();
  if (values.size() != 2 || !along_last_axis(stack, "axis", *result)) return false;
  const mil::Op *sub = made_by(values[0], "sub"), *add = made_by(values[1], "add");
  if (sub == nullptr || add == nullptr) return false;
  const mil::Op* even_cos = made_by(sub->operand("x"), "mul");
  const mil::Op* odd_sin = made_by(sub->operand("y"), "mul");
  if (even_cos == nullptr || odd_sin == nullptr) return false;
  const int64_t half = values[0]->type.shape.back();
  const int64_t rows = values[0]->type.rank() >= 2 ? values[0]->type.shape.end()[-2] : 0;
  for (const Product& ec : products(*even_cos)) {
    for (const Product& os : products(*odd_sin)) {
      mil::Value* x = slice_of(ec.x, 0, 2, half);
      if (x == nullptr || x != slice_of(os.x, 1, 2, half)) continue;
      const bool sums = either_way(*add, [&](mil::Value* a, mil::Value* b) {
        const auto is = [](const mil::Value* product, const mil::Value* p, const mil::Value* q) {
          const mil::Op* mul = made_by(product, "mul");
          return mul != nullptr &&
                 either_way(*mul, [&](mil::Value* m, mil::Value* n) { return m == p && n == q; });
        };
        return is(a, ec.x, os.factor) && is(b, os.x, ec.factor);
      });
      mil::Value *cos = table(ec.factor, rows, half), *sin = table(os.factor, rows, half);
      if (!sums || cos == nullptr || sin == nullptr) continue;
      make_rope(function, stack, x, cos, sin, true);
      result->type = x->type;
      return true;
    }
  }
  return false;
}

// x*cos + rotated*sin, where rotated = concat([-second half, first half]).
bool fuse_halves(mil::Function& function, mil::Op& add) {
  return either_way(add, [&](mil::Value* straight, mil::Value* turned) {
    const mil::Op *x_cos = made_by(straight, "mul"), *turned_sin = made_by(turned, "mul");
    if (x_cos == nullptr || turned_sin == nullptr) return false;
    for (const Product& xc : products(*x_cos)) {
      mil::Value* x = xc.x;
      if (x->type != add.result()->type || x->type.rank() < 2) continue;
      const int64_t width = x->type.shape.back(), half = width / 2;
      for (const Product& ts : products(*turned_sin)) {
        const mil::Op* concat = made_by(ts.x, "concat");
        if (concat == nullptr || !along_last_axis(*concat, "axis", *ts.x)) continue;
        const auto& parts = concat->operand_list("values");
        const mil::Op* negated = parts.size() == 2 ? made_by(parts[0], "mul") : nullptr;
        if (negated == nullptr || slice_of(parts[1], 0, 1, half) != x) continue;
        const bool minus = either_way(*negated, [&](mil::Value* a, mil::Value* b) {
          return number(b) == -1.0 && slice_of(a, half, 1, half) == x;
        });
        mil::Value* cos = table(xc.factor, x->type.shape.end()[-2], width);
        mil::Value* sin = table(ts.factor, x->type.shape.end()[-2], width);
        if (!minus || width % 2 != 0 || cos == nullptr || sin == nullptr) continue;
        make_rope(function, add, x, cos, sin, false);
        return true;
      }
    }
    return false;
  });
}

}  // namespace

Status fuse_ropes(mil::Function& function) {
  // Values that something other than a reshape looks at.
  std::unordered_set<const mil::Value*> seen(function.outputs.begin(), function.outputs.end());
  for (const auto& op : function.ops) {
    if (op->type == "reshape") continue;
    for (const mil::Operand& operand : op->operands) {
      seen.insert(operand.values.begin(), operand.values.end());
    }
  }
  for (const auto& op : function.ops) {
    if (op->type == "stack" && !seen.contains(op->result())) fuse_interleaved(function, *op);
    if (op->type == "add") fuse_halves(function, *op);
  }
  return {};
}

}  // namespace diptych::engine
