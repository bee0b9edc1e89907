// The residual stream of a transformer is where its layers meet: a value through which everything
// passes that goes from the tokens to the logits. Between two such values lies an attention or a
// feed-forward block; the blocks that read a layer's cache begin the layer.
#include <algorithm>
#include <set>
#include <unordered_set>

#include "compare/subject.h"

namespace diptych::compare {

namespace {

using Values = std::unordered_set<const mil::Value*>;

// The values that are computed from `from`.
Values descendants(const mil::Function& function, const mil::Value* from) {
  Values found = {from};
  for (const auto& op : function.ops) {
    for (const mil::Operand& operand : op->operands) {
      if (std::none_of(operand.values.begin(), operand.values.end(),
                       [&](const mil::Value* value) { return found.count(value) > 0; })) {
        continue;
      }
      found.insert(op->results.begin(), op->results.end());
      break;
    }
  }
  return found;
}

// The values that `to` is computed from.
Values ancestors(const mil::Function& function, const mil::Value* to) {
  Values found = {to};
  for (auto op = function.ops.rbegin(); op != function.ops.rend(); ++op) {
    if (std::none_of((*op)->results.begin(), (*op)->results.end(),
                     [&](const mil::Value* value) { return found.count(value) > 0; })) {
      continue;
    }
    for (const mil::Operand& operand : (*op)->operands) {
      found.insert(operand.values.begin(), operand.values.end());
    }
  }
  return found;
}

}  // namespace

Layers::Layers(const mil::Function& function, const contract::Places& places) {
  const size_t layers = places.key_inputs.size();
  const mil::Value* const logits = function.outputs[places.logits];
  const Values forward = descendants(function, function.inputs[places.tokens]);
  const Values backward = ancestors(function, logits);
  std::unordered_map<const mil::Value*, size_t> layer_of_cache;
  for (size_t layer = 0; layer < layers; ++layer) {
    layer_of_cache[function.inputs[places.key_inputs[layer]]] = layer;
    layer_of_cache[function.inputs[places.value_inputs[layer]]] = layer;
  }

  // Segments of the stream: the operations up to and with the one that makes a value everything
  // passes through.
  std::unordered_map<const mil::Value*, size_t> last_use;
  for (size_t i = 0; i < function.ops.size(); ++i) {
    const mil::Op& op = *function.ops[i];
    if (std::none_of(op.results.begin(), op.results.end(),
                     [&](const mil::Value* value) { return backward.count(value) > 0; })) {
      continue;
    }
    for (const mil::Operand& operand : op.operands) {
      for (const mil::Value* value : operand.values) last_use[value] = i;
    }
  }
  std::unordered_map<const mil::Op*, size_t> segment_of;
  std::vector<std::optional<size_t>> layer_of_segment(1);
  std::vector<std::set<size_t>> caches_read(layers);  // segments that read a layer's caches
  Values open;
  for (size_t i = 0; i < function.ops.size(); ++i) {
    const mil::Op& op = *function.ops[i];
    const bool in_stream = std::any_of(
        op.results.begin(), op.results.end(),
        [&](const auto* value) { return forward.count(value) > 0 && backward.count(value) > 0; });
    for (const mil::Operand& operand : op.operands) {
      for (const mil::Value* value : operand.values) {
        const auto cache = layer_of_cache.find(value);
        if (in_stream && cache != layer_of_cache.end()) {
          caches_read[cache->second].insert(layer_of_segment.size() - 1);
        }
        if (last_use.count(value) > 0 && last_use[value] <= i) open.erase(value);
      }
    }
    if (!in_stream) continue;
    segment_of[&op] = layer_of_segment.size() - 1;
    for (const mil::Value* value : op.results) {
      if (backward.count(value) > 0) open.insert(value);
    }
    if (open.size() == 1 && open.count(op.results.front()) > 0) layer_of_segment.emplace_back();
  }

  // A layer begins with the segment that reads its cache, after where the one before it begins,
  // even if some operation reads the cache of another; the last one takes as many as others do.
  std::vector<size_t> begins;
  for (size_t layer = 0; layer < layers; ++layer) {
    const auto first =
        begins.empty() ? caches_read[layer].begin() : caches_read[layer].upper_bound(begins.back());
    if (first == caches_read[layer].end()) return;  // no transformer as we know them
    begins.push_back(*first);
  }
  const size_t usual = layers > 1 && begins[1] > begins[0] ? begins[1] - begins[0] : 2;
  for (size_t layer = 0; layer < layers; ++layer) {
    const size_t end = layer + 1 < layers ? begins[layer + 1] : begins[layer] + usual;
    for (size_t s = begins[layer]; s < std::min(end, layer_of_segment.size()); ++s) {
      layer_of_segment[s] = layer;
    }
  }
  for (const auto& [op, segment] : segment_of) {
    if (layer_of_segment[segment]) layers_[op] = *layer_of_segment[segment];
  }
  // What is beside the stream belongs to who uses it, or to where it comes from.
  for (auto op = function.ops.rbegin(); op != function.ops.rend(); ++op) {
    const auto known = layers_.find(op->get());
    if (known == layers_.end()) continue;
    for (const mil::Operand& operand : (*op)->operands) {
      for (const mil::Value* value : operand.values) {
        if (value->producer == nullptr || segment_of.count(value->producer) > 0) continue;
        const auto [at, is_new] = layers_.emplace(value->producer, known->second);
        if (!is_new) at->second = std::min(at->second, known->second);
      }
    }
  }
  for (const auto& op : function.ops) {
    if (layers_.count(op.get()) > 0 || segment_of.count(op.get()) > 0) continue;
    for (const mil::Operand& operand : op->operands) {
      for (const mil::Value* value : operand.values) {
        const auto known =
            value->producer == nullptr ? layers_.end() : layers_.find(value->producer);
        if (known != layers_.end()) layers_[op.get()] = known->second;
      }
    }
  }
}

std::optional<size_t> Layers::of(const mil::Op& op) const {
  const auto found = layers_.find(&op);
  return found == layers_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace diptych::compare
