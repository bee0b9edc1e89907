#include "compare/rows.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_set>

#include "engine/token_axes.h"

namespace diptych::compare {

Axes::Axes(const Function& function, const contract::Description* model) {
  if (function.contract == nullptr || model == nullptr) return;
  const mil::Function& graph = function.function();
  const contract::Places& at = function.contract->places;
  const int64_t tokens = function.contract->method.tokens;
  std::vector<engine::TokenAxis> of_inputs(graph.inputs.size());
  of_inputs[at.tokens] = 1;
  for (const size_t mask : at.masks) of_inputs[mask] = 1;
  for (const auto* tables : {&at.cos, &at.sin}) {
    for (const size_t table : *tables) of_inputs[table] = 0;
  }
  const auto found = engine::TokenAxes::find(graph, of_inputs);
  const auto set_token = [&](const mil::Value& value) {
    const auto axis = found ? found->of(value) : std::nullopt;
    if (axis) axes_[&value].token = axis;
  };
  std::unordered_map<const mil::Value*, size_t> caches;
  for (size_t layer = 0; layer < model->layers(); ++layer) {
    caches[graph.inputs[at.key_inputs[layer]]] = model->class_of_layer[layer];
    caches[graph.inputs[at.value_inputs[layer]]] = model->class_of_layer[layer];
  }
  for (size_t i = 0; i < at.masks.size(); ++i) {
    Of& of = axes_[graph.inputs[at.masks[i]]];
    of.token = 1;
    of.column = 2;
    of.layers = i;
  }
  for (const auto& op : graph.ops) {
    // The class of layers whose columns an operand has.
    std::optional<size_t> layers;
    for (const mil::Operand& operand : op->operands) {
      for (const mil::Value* value : operand.values) {
        const auto cache = caches.find(value);
        if (cache != caches.end() && op->type == "concat") layers = cache->second;
        const auto known = axes_.find(value);
        if (known != axes_.end() && known->second.column) layers = known->second.layers;
      }
    }
    for (const mil::Value* result : op->results) {
      set_token(*result);
      if (!layers) continue;
      Of of = this->of(*result);
      const int64_t columns = model->classes[*layers].cache_len + tokens;
      const Shape& shape = result->type.shape;
      for (size_t axis = shape.size(); axis-- > 0;) {
        if (shape[axis] != columns || of.token == axis) continue;
        of.column = axis;
        of.layers = *layers;
        break;
      }
      if (of.column) axes_[result] = of;
    }
  }
}

Axes::Of Axes::of(const mil::Value& value) const {
  const auto found = axes_.find(&value);
  return found == axes_.end() ? Of{} : found->second;
}

namespace {

using Indices = std::vector<int64_t>;

// The columns of the tokens that the one at `position` sees.
Indices columns(const Side& side, size_t layers, int64_t position) {
  const contract::LayerClass& c = side.model->classes[layers];
  const int64_t base = side.call->base;
  const int64_t first_slot = c.window ? base - c.cache_len : 0;
  const int64_t first = c.window ? std::max<int64_t>(0, position - *c.window + 1) : 0;
  Indices indices;
  for (int64_t seen = first; seen <= position; ++seen) {
    indices.push_back(seen < base ? seen - first_slot : c.cache_len + (seen - base));
  }
  return indices;
}

Indices all(int64_t count) {
  Indices indices(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) indices[static_cast<size_t>(i)] = i;
  return indices;
}

struct Sums {
  double difference = 0, values = 0, largest = 0;
  uint64_t count = 0;
  bool broken = false;
};

class Walk {
 public:
  Walk(const std::vector<float>& a, const std::vector<float>& b, const Shape& shape_a,
       const Shape& shape_b)
      : a_(a), b_(b), shape_a_(shape_a), shape_b_(shape_b) {}
  std::vector<Indices> indices_a, indices_b;

  Sums run() {
    walk(0, 0, 0);
    return sums_;
  }

 private:
  void walk(size_t axis, int64_t at_a, int64_t at_b) {
    if (axis == indices_a.size()) {
      add(static_cast<double>(a_[static_cast<size_t>(at_a)]),
          static_cast<double>(b_[static_cast<size_t>(at_b)]));
      return;
    }
    for (size_t i = 0; i < indices_a[axis].size(); ++i) {
      walk(axis + 1, at_a * shape_a_[axis] + indices_a[axis][i],
           at_b * shape_b_[axis] + indices_b[axis][i]);
    }
  }

  void add(double a, double b) {
    ++sums_.count;
    if (a == b) {
      if (std::isfinite(a)) sums_.values += a * a;
      return;
    }
    const double difference = a - b;
    if (!std::isfinite(difference)) {
      sums_.broken = true;
      return;
    }
    sums_.difference += difference * difference;
    sums_.values += a * a;
    sums_.largest = std::max(sums_.largest, std::fabs(difference));
  }

  const std::vector<float>&a_, &b_;
  const Shape &shape_a_, &shape_b_;
  Sums sums_;
};

bool is_last(const Side& side, int64_t position) {
  return side.model == nullptr || side.call->base + side.call->last == position;
}

bool has_row(const Side& side, int64_t position) {
  return position >= side.call->base && position < side.call->base + side.call->used();
}

}  // namespace

std::optional<Deviation> deviation(const Side& a, const mil::Value& value_a,
                                   const std::vector<float>& data_a, const Side& b,
                                   const mil::Value& value_b, const std::vector<float>& data_b,
                                   int64_t position) {
  const Shape &shape_a = value_a.type.shape, &shape_b = value_b.type.shape;
  if (shape_a.size() != shape_b.size()) return std::nullopt;
  const Axes::Of of_a = a.axes->of(value_a), of_b = b.axes->of(value_b);
  if (a.model != nullptr && b.model != nullptr) {
    if (of_a.token && !has_row(a, position)) return std::nullopt;
    if (of_b.token && !has_row(b, position)) return std::nullopt;
    // Values without tokens may be of any of them; those after the choice of one are of the last.
    if ((!of_a.token && !of_a.column && !is_last(a, position)) ||
        (!of_b.token && !of_b.column && !is_last(b, position))) {
      return std::nullopt;
    }
  }
  Walk walk(data_a, data_b, shape_a, shape_b);
  for (size_t axis = 0; axis < shape_a.size(); ++axis) {
    Indices one, two;
    if (of_a.token == axis && of_b.token == axis) {
      one = {position - a.call->base};
      two = {position - b.call->base};
    } else if (of_a.token == axis && !of_b.token && shape_b[axis] == 1) {
      one = {position - a.call->base};
      two = {0};
    } else if (of_b.token == axis && !of_a.token && shape_a[axis] == 1) {
      one = {0};
      two = {position - b.call->base};
    } else if (of_a.column == axis && of_b.column == axis) {
      one = columns(a, of_a.layers, position);
      two = columns(b, of_b.layers, position);
      // Of two models with other windows, what both see.
      const size_t common = std::min(one.size(), two.size());
      one.erase(one.begin(), one.end() - static_cast<std::ptrdiff_t>(common));
      two.erase(two.begin(), two.end() - static_cast<std::ptrdiff_t>(common));
    } else if (shape_a[axis] == shape_b[axis]) {
      one = two = all(shape_a[axis]);
    } else {
      return std::nullopt;
    }
    walk.indices_a.push_back(std::move(one));
    walk.indices_b.push_back(std::move(two));
  }
  const Sums sums = walk.run();
  Deviation result;
  if (sums.count == 0) return result;
  result.norm = std::sqrt(sums.values / static_cast<double>(sums.count));
  result.largest = sums.largest;
  result.relative = sums.broken ? std::numeric_limits<double>::infinity()
                    : sums.difference > 0
                        ? std::sqrt(sums.difference / std::max(sums.values, 1e-30))
                        : 0;
  return result;
}

}  // namespace diptych::compare
