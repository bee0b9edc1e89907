// How a rule looks for what breaks it. Private to src/lint.
//
// To add a rule: its function in the file of its kind, a row in rules.cc, a program that breaks it
// and one that does not in test/lint/rules_test.cc, a line in docs/guide/lint.md.
#pragma once

#include <string>
#include <vector>

#include "lint/lint.h"

namespace diptych::lint {

// What the Neural Engine fills the last axis up to.
inline constexpr uint64_t kWidthBytes = 64;

// One place where a rule is broken.
struct Site {
  const mil::Op* op = nullptr;  // null for an input or a whole function or package
  std::string what;             // "reshape 'x'"
  uint64_t bytes = 0;
  std::string detail;
};
using Sites = std::vector<Site>;

Site at(const mil::Op& op, uint64_t bytes, std::string detail);
Site at(const mil::Value& value, uint64_t bytes, std::string detail);

// Packed bytes of a value's type; 0 for what has none.
uint64_t bytes_of(const mil::Value& value);
// Bytes with the last axis filled up to 64.
uint64_t padded_bytes(const TensorType& type);
// Whether a value is computed from constants alone, as dequantised weights are. Such operations run
// when a model is compiled, not when it is called.
bool is_weight(const mil::Value& value);
// The operations that a function computes with when it is called.
std::vector<const mil::Op*> computed(const mil::Function& function);
// Multiplies by weights: what a function is there for.
bool is_projection(const mil::Op& op);
bool has_projections(const mil::Function& function);
// The integers of a constant operand; empty for what is not there or not constant.
std::vector<int64_t> ints_of(const mil::Op& op, std::string_view param);
// How many operations of the function use each value's result, outputs counting once.
size_t uses(const mil::Function& function, const mil::Value& value);

// By function.
using Look = void (*)(const Subject& subject, const mil::Function& function, Sites& sites);
// By package; null `package`: once, for the subject.
using LookAtWhole = void (*)(const Subject& subject, const Package* package, Sites& sites);

struct Row {
  Rule rule;
  Look look = nullptr;
  LookAtWhole whole = nullptr;
};
std::span<const Row> rows();

// types.cc
void fp32_results(const Subject&, const mil::Function&, Sites&);
void fp32_literals(const Subject&, const mil::Function&, Sites&);
void casts_there_and_back(const Subject&, const mil::Function&, Sites&);
void integers_between(const Subject&, const mil::Function&, Sites&);
void infinite_constants(const Subject&, const mil::Function&, Sites&);
void constants_beyond_fp16(const Subject&, const mil::Function&, Sites&);
void plain_norms(const Subject&, const mil::Function&, Sites&);
void infinite_masks(const Subject&, const Package*, Sites&);
// layout.cc
void high_ranks(const Subject&, const mil::Function&, Sites&);
void single_last_axes(const Subject&, const mil::Function&, Sites&);
void unaligned_ports(const Subject&, const mil::Function&, Sites&);
void transposes_of_the_last_axis(const Subject&, const mil::Function&, Sites&);
void softmax_over_width(const Subject&, const mil::Function&, Sites&);
// operations.cc
void linears(const Subject&, const mil::Function&, Sites&);
void matmuls_by_weights(const Subject&, const mil::Function&, Sites&);
void recurrences(const Subject&, const mil::Function&, Sites&);
void gathers_of_points(const Subject&, const mil::Function&, Sites&);
void shapes_from_data(const Subject&, const mil::Function&, Sites&);
void states(const Subject&, const mil::Function&, Sites&);
void attention_in_one(const Subject&, const mil::Function&, Sites&);
void norms_in_pieces(const Subject&, const mil::Function&, Sites&);
void embeddings_beside_linears(const Subject&, const mil::Function&, Sites&);
void scales_of_groups(const Subject&, const mil::Function&, Sites&);
void unread_inputs(const Subject&, const mil::Function&, Sites&);
// windows.cc
void odd_strides(const Subject&, const mil::Function&, Sites&);
void large_kernels(const Subject&, const mil::Function&, Sites&);
void wide_dilations(const Subject&, const mil::Function&, Sites&);
void odd_pool_strides(const Subject&, const mil::Function&, Sites&);
void convolutions_in_a_row(const Subject&, const mil::Function&, Sites&);
// sizes.cc
void large_dimensions(const Subject&, const mil::Function&, Sites&);
void logits_of_all(const Subject&, const mil::Function&, Sites&);
void large_packages(const Subject&, const Package*, Sites&);
void large_bundles(const Subject&, const Package*, Sites&);

// The layer of an operation, from the names of weights that it or the next operations read
// ("layers_3_attention_norm_weight", "model.layers.3.mlp"). layers.cc.
std::optional<int64_t> layer_near(const mil::Function& function, const mil::Op& op);

}  // namespace diptych::lint
