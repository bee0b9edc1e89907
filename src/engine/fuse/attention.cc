#include "engine/fuse/fuse.h"
#include "engine/fuse/match.h"

namespace diptych::engine {

namespace {

// The number of elements of all axes but the last two.
int64_t matrices(const mil::Value& value) {
  int64_t count = 1;
  for (size_t i = 0; i + 2 < value.type.shape.size(); ++i) count *= value.type.shape[i];
  return count;
}

struct Columns {
  mil::Value *cache = nullptr, *fresh = nullptr;
};

// The two parts of a concat along the columns, [1, g, c, d] and [1, g, n, d], behind reshapes.
std::optional<Columns> columns(mil::Value* value) {
  mil::Value* joined = behind_reshapes(value);
  const mil::Op* concat = made_by(joined, "concat");
  if (concat == nullptr || joined->type.rank() != 4 || joined->type.shape[0] != 1) {
    return std::nullopt;
  }
  const auto axis = mil::int_param(*concat, "axis");
  const auto& parts = concat->operand_list("values");
  if (!axis || (*axis != 2 && *axis != -2) || parts.size() != 2) return std::nullopt;
  return Columns{parts[0], parts[1]};
}

struct Scores {
  mil::Value *q = nullptr, *mask = nullptr;
  Columns k;
  double scale = 1;
  std::optional<double> cap;
};

// The x of `x * factor`, where there is a factor; else the value itself.
mil::Value* take_scale(mil::Value* scaled, double* scale) {
  const mil::Op* mul = made_by(scaled, "mul");
  if (mul == nullptr) return scaled;
  either_way(*mul, [&](mil::Value* x, mil::Value* y) {
    const auto constant = number(y);
    if (constant) {
      *scale *= *constant;
      scaled = x;
    }
    return constant.has_value();
  });
  return scaled;
}

// q . k^T * scale + mask, with the scale before or after the product of q and k, or nowhere; or,
// with a cap c, c * tanh(q . k^T * scale / c) + mask.
std::optional<Scores> scores(mil::Value* value) {
  const mil::Op* add = made_by(behind_reshapes(value), "add");
  std::optional<Scores> found;
  if (add == nullptr) return found;
  either_way(*add, [&](mil::Value* product, mil::Value* mask) {
    Scores candidate;
    candidate.mask = mask;
    mil::Value* inner = behind_reshapes(take_scale(behind_reshapes(product), &candidate.scale));
    if (const mil::Op* tanh = made_by(inner, "tanh"); tanh != nullptr && candidate.scale > 0) {
      candidate.cap = candidate.scale;
      inner = behind_reshapes(take_scale(behind_reshapes(tanh->operand("x")), &candidate.scale));
    }
    const mil::Op* matmul = made_by(inner, "matmul");
    if (matmul == nullptr) return false;
    const auto transpose_x = mil::bool_param(*matmul, "transpose_x", false);
    const auto transpose_y = mil::bool_param(*matmul, "transpose_y", false);
    if (!transpose_x || *transpose_x || !transpose_y || !*transpose_y) return false;
    candidate.q = take_scale(matmul->operand("x"), &candidate.scale);
    const auto k = columns(matmul->operand("y"));
    if (!k) return false;
    candidate.k = *k;
    found = candidate;
    return true;
  });
  return found;
}

// Whether the results of a transpose are [1, t, h, d] of [1, h, t, d].
bool swaps_heads_and_rows(const mil::Op& transpose) {
  const auto perm = mil::ints_param(transpose, "perm");
  return perm && *perm == std::vector<int64_t>{0, 2, 1, 3};
}

bool fuse(mil::Function& function, mil::Op& root) {
  mil::Op* transpose = made_by(root.operand("x"), "transpose");
  if (transpose == nullptr || !swaps_heads_and_rows(*transpose)) return false;
  const mil::Value& heads = *transpose->operand("x");  // [1, h, t, d]
  if (heads.type.rank() != 4 || heads.type.shape[0] != 1) return false;
  const mil::Op* weighted = made_by(behind_reshapes(transpose->operand("x")), "matmul");
  if (weighted == nullptr) return false;
  const auto transpose_x = mil::bool_param(*weighted, "transpose_x", false);
  const auto transpose_y = mil::bool_param(*weighted, "transpose_y", false);
  if (!transpose_x || *transpose_x || !transpose_y || *transpose_y) return false;
  const auto v = columns(weighted->operand("y"));
  const mil::Op* softmax = made_by(behind_reshapes(weighted->operand("x")), "softmax");
  if (!v || softmax == nullptr || !along_last_axis(*softmax, "axis", *softmax->result())) {
    return false;
  }
  const auto found = scores(softmax->operand("x"));
  if (!found) return false;
  // In every shape on the way heads come first, then rows, then columns or the head's elements, and
  // a head of keys serves consecutive heads of queries.
  const Shape& cache = v->cache->type.shape;
  const int64_t rows = heads.type.shape[2], count = heads.type.shape[1], dim = heads.type.shape[3];
  const mil::Value& q = *found->q;
  if (q.type.rank() < 3 || q.type.shape.back() != dim || q.type.shape.end()[-2] != rows ||
      matrices(q) != count || cache[1] < 1 || count % cache[1] != 0 ||
      found->k.cache->type.shape != cache || found->k.fresh->type.shape != v->fresh->type.shape) {
    return false;
  }
  const int64_t all = cache[2] + v->fresh->type.shape[2];
  const Shape& mask = found->mask->type.shape;
  if (mask.size() < 2 || mask.back() != all || mask.end()[-2] != rows ||
      matrices(*found->mask) != 1) {
    return false;
  }
  if (root.result()->type.shape != Shape{1, rows, count * dim}) return false;
  mil::Value* scale = function.add_constant(root.result()->name + "_scale",
                                            constant_floats(DType::F32, {}, {found->scale}));
  std::vector<mil::Operand> operands = {{"q", {found->q}},       {"k_cache", {found->k.cache}},
                                        {"k", {found->k.fresh}}, {"v_cache", {v->cache}},
                                        {"v", {v->fresh}},       {"mask", {found->mask}},
                                        {"scale", {scale}}};
  if (found->cap) {
    operands.push_back({"cap",
                        {function.add_constant(root.result()->name + "_cap",
                                               constant_floats(DType::F32, {}, {*found->cap}))}});
  }
  rewrite(root, "cpu.attention", std::move(operands));
  return true;
}

}  // namespace

Status fuse_attention(mil::Function& function) {
  for (const auto& op : function.ops) {
    if (op->type == "reshape") fuse(function, *op);
  }
  return {};
}

}  // namespace diptych::engine
