#include "contract/constants.h"

#include <algorithm>
#include <cmath>

#include "contract/signature.h"

namespace diptych::contract {
namespace {

WeightRef ints(Shape shape, const std::vector<int64_t>& values) {
  return constant_ints(DType::Int64, std::move(shape), values);
}

// The places of as many inputs.
WeightRef places(const std::vector<size_t>& indices) {
  const std::vector<int64_t> values(indices.begin(), indices.end());
  return ints({static_cast<int64_t>(values.size())}, values);
}

WeightRef mask_specs(const Model& model, const Places& at) {
  std::vector<int64_t> rows;
  for (size_t i = 0; i < model.classes.size(); ++i) {
    rows.push_back(static_cast<int64_t>(at.masks[i]));
    rows.push_back(model.classes[i].cache_len);
  }
  return ints({static_cast<int64_t>(model.classes.size()), 2}, rows);
}

WeightRef cache_specs(const Model& model, const Places& at) {
  std::vector<int64_t> rows;
  for (size_t i = 0; i < model.layers(); ++i) {
    for (const auto* column :
         {&at.key_inputs, &at.key_outputs, &at.value_inputs, &at.value_outputs}) {
      rows.push_back(static_cast<int64_t>((*column)[i]));
    }
    rows.push_back(model.class_of(i).cache_len);
  }
  return ints({static_cast<int64_t>(model.layers()), 5}, rows);
}

// How layers differ in what their caches do not show.
void add_layer_constants(const Model& model, std::vector<ConstantMethod>& constants) {
  std::vector<int64_t> ropes, windows;
  for (size_t layer = 0; layer < model.layers(); ++layer) {
    const std::optional<size_t> table = model.rope_of_layer[layer];
    ropes.push_back(table ? static_cast<int64_t>(*table) : kNoRope);
    windows.push_back(model.class_of(layer).window.value_or(0));
  }
  const auto add = [&](std::string_view name, const std::vector<int64_t>& values) {
    if (std::all_of(values.begin(), values.end(), [](int64_t value) { return value == 0; })) return;
    constants.push_back({std::string(name), ints({static_cast<int64_t>(values.size())}, values)});
  };
  add(kLayerRope, ropes);
  add(kLayerWindows, windows);
}

}  // namespace

std::string constant_name(const Method& method, std::string_view constant) {
  if (method.role == Role::Single) return std::string(constant);
  const RoleRow& row = row_of(method.role);
  // Methods of one role are told apart by what follows in their names.
  const std::string_view number = method.name.starts_with(row.method)
                                      ? std::string_view(method.name).substr(row.method.size())
                                      : std::string_view();
  return fmt::format("{}{}_{}", row.described, number, constant);
}

std::string rope_constant(std::string_view function, size_t table) {
  return table == 0 ? fmt::format("freqs_{}", function)
                    : fmt::format("freqs_{}_{}", function, table);
}

std::vector<ConstantMethod> constant_methods(const Model& model, std::span<const Method> methods,
                                             std::span<const RopeTables> tables) {
  std::vector<ConstantMethod> constants = {
      {"vocab_size", model.vocab_size},
      {"head_dim", model.head_dim},
      {"n_heads_per_cache", model.kv_heads},
  };
  for (size_t i = 0; i < tables.size(); ++i) {
    constants.push_back({rope_constant("cos", i), tables[i].cos});
    constants.push_back({rope_constant("sin", i), tables[i].sin});
  }
  std::vector<ConstantMethod> ours = {{"get_max_context_len", tables.front().cos->type().shape[0]}};
  if (std::isfinite(model.hidden)) {
    ours.push_back({std::string(kHiddenEntry), static_cast<int64_t>(model.hidden)});
  }
  add_layer_constants(model, ours);
  for (const Method& method : methods) {
    const Places at = signature(model, method).value().places;
    const auto add = [&](std::vector<ConstantMethod>& to, std::string_view name, auto value) {
      to.push_back({constant_name(method, name), std::move(value)});
    };
    // Upstream names a single method's length after the method and puts it last.
    const bool single = method.role == Role::Single;
    if (!single) add(constants, "input_len", method.tokens);
    add(constants, kCosPlace, places(at.cos));
    add(constants, kSinPlace, places(at.sin));
    add(constants, kMaskSpecs, mask_specs(model, at));
    add(constants, kCacheSpecs, cache_specs(model, at));
    if (single) add(constants, "forward_input_len", method.tokens);
    add(ours, kTokensPlace, places({at.tokens}));
    if (at.last_position) add(ours, kLastPositionPlace, places({*at.last_position}));
    add(ours, kAllLogits, method.all_logits);
  }
  constants.insert(constants.end(), std::make_move_iterator(ours.begin()),
                   std::make_move_iterator(ours.end()));
  return constants;
}

}  // namespace diptych::contract
