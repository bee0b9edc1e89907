#include "llama/rotate.h"

#include <algorithm>

#include "tensor/diagonal.h"
#include "tensor/rotation.h"

namespace diptych::llama {

namespace {

struct NamedRotations {
  std::string_view name;
  Rotations rotations;
};
constexpr NamedRotations kNamedRotations[] = {{"none", {false, false}},
                                              {"heads", {false, true}},
                                              {"stream", {true, false}},
                                              {"all", {true, true}}};

// Puts the gain of a norm into the linears that take its result.
void fold_gain(WeightRef& gain, std::initializer_list<WeightRef*> linears) {
  for (WeightRef* linear : linears) *linear = times_diagonal(std::move(*linear), gain);
  gain = constant_floats(DType::F32, gain->shape(), std::vector<double>(gain->elements(), 1.0));
}

}  // namespace

std::string_view name(const Rotations& rotations) {
  return std::ranges::find(kNamedRotations, rotations, &NamedRotations::rotations)->name;
}

Result<Rotations> rotations_from_name(std::string_view name) {
  std::string known;
  for (const NamedRotations& row : kNamedRotations) {
    if (row.name == name) return row.rotations;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", row.name);
  }
  return invalid_argument("expected one of {}, found \"{}\"", known, name);
}

bool has_rotatable_norms(const Params& params) { return params.pre_norms && !params.post_norms; }

Rotations possible_rotations(const Params& params) {
  return {has_rotatable_norms(params) && odd_part(params.dim) <= kMostOddFactor,
          odd_part(params.head_dim) <= kMostOddFactor};
}

LlamaWeights rotate(const Params& params, LlamaWeights weights, Rotations rotations) {
  const int64_t stream = rotations.stream ? params.dim : 0;
  const int64_t head = rotations.heads ? params.head_dim : 0;
  const auto memory = new_rotation_memory();
  const auto turn = [&](WeightRef& weight, int64_t rows, int64_t columns) {
    if (!weight || (rows == 0 && columns == 0)) return;
    weight = rotated(std::move(weight), {rows, columns}, memory);
  };
  for (LayerWeights& layer : weights.layers) {
    if (rotations.stream) {
      fold_gain(layer.attention_norm, {&layer.wq, &layer.wk, &layer.wv});
      fold_gain(layer.ffn_norm, {&layer.w1, &layer.w3});
    }
    for (WeightRef* taking : {&layer.wq, &layer.wk, &layer.w1, &layer.w3}) turn(*taking, 0, stream);
    turn(layer.wv, head, stream);
    turn(layer.bv, head, 0);
    turn(layer.wo, stream, head);
    for (WeightRef* adding : {&layer.bo, &layer.w2, &layer.b2}) turn(*adding, stream, 0);
  }
  if (!rotations.stream) return weights;
  const bool tied = weights.tied();
  if (tied) {
    weights.rotated_gain = diagonal_matrix(weights.norm);
    turn(weights.rotated_gain, stream, stream);
    fold_gain(weights.norm, {});
  } else {
    fold_gain(weights.norm, {&weights.output});
    turn(weights.output, 0, stream);
  }
  turn(weights.tok_embeddings, 0, stream);
  if (tied) weights.output = weights.tok_embeddings;
  return weights;
}

Result<PreparedWeights> prepare_rotated(const Params& params, LlamaWeights weights,
                                        Rotations rotations, DType dtype) {
  const Rotations possible = possible_rotations(params);
  if ((rotations.stream && !possible.stream) || (rotations.heads && !possible.heads)) {
    return invalid_argument("a model of these parameters has no rotation \"{}\"", name(rotations));
  }
  if (rotations.any()) weights = rotate(params, std::move(weights), rotations);
  return prepare(params, std::move(weights), dtype);
}

}  // namespace diptych::llama
