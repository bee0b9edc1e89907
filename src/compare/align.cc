#include "compare/align.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace diptych::compare {

namespace {

using Kind = Node::Operand::Kind;
using Counterparts = std::vector<std::optional<size_t>>;

bool is_commutative(const Node& node) {
  return node.type == "add" || node.type == "mul" || node.type == "maximum" ||
         node.type == "minimum";
}

uint64_t mix(uint64_t seed, uint64_t value) {
  seed ^= value + 0x9e3779b97f4a7c15ULL + (seed << 12) + (seed >> 4);
  return seed * 0xff51afd7ed558ccdULL;
}
uint64_t hash_of(std::string_view text) {
  uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211ULL;
  return hash;
}

// By what a node is computed from: its operation, and its inputs by role.
std::vector<uint64_t> forward_hashes(const Canonical& graph) {
  std::vector<uint64_t> hashes;
  for (const Node& node : graph.nodes) {
    std::vector<uint64_t> parts;
    for (const Node::Operand& operand : node.operands) {
      // Weights and settings are compared afterwards: they have no say in what is whose
      // counterpart.
      if (operand.kind == Kind::Constant) continue;
      uint64_t part = operand.kind == Kind::Node ? mix(hashes[operand.index], operand.result)
                                                 : hash_of(graph.of->input_roles[operand.index]);
      if (!is_commutative(node)) part = mix(part, hash_of(operand.param));
      parts.push_back(part);
    }
    if (is_commutative(node)) std::sort(parts.begin(), parts.end());
    uint64_t hash = hash_of(node.type);
    for (const uint64_t part : parts) hash = mix(hash, part);
    hashes.push_back(hash);
  }
  return hashes;
}

// By what is computed of it.
std::vector<uint64_t> backward_hashes(const Canonical& graph) {
  std::vector<uint64_t> hashes(graph.nodes.size());
  std::vector<std::vector<uint64_t>> parts(graph.nodes.size());
  for (const Canonical::Output& output : graph.outputs) {
    if (output.node) parts[*output.node].push_back(hash_of(output.role));
  }
  for (size_t n = graph.nodes.size(); n-- > 0;) {
    for (const auto& [user, operand] : graph.uses[n]) {
      const Node& by = graph.nodes[user];
      uint64_t part = hashes[user];
      if (!is_commutative(by)) part = mix(part, hash_of(by.operands[operand].param));
      parts[n].push_back(mix(part, by.operands[operand].result));
    }
    std::sort(parts[n].begin(), parts[n].end());
    uint64_t hash = hash_of(graph.nodes[n].type);
    for (const uint64_t part : parts[n]) hash = mix(hash, part);
    hashes[n] = hash;
  }
  return hashes;
}

class Aligner {
 public:
  Aligner(Alignment& result) : r_(result) {
    r_.of_a.resize(r_.a.nodes.size());
    r_.of_b.resize(r_.b.nodes.size());
  }

  void run() {
    const auto fa = forward_hashes(r_.a), fb = forward_hashes(r_.b);
    const auto ba = backward_hashes(r_.a), bb = backward_hashes(r_.b);
    std::vector<uint64_t> both_a, both_b;
    for (size_t i = 0; i < fa.size(); ++i) both_a.push_back(mix(fa[i], ba[i]));
    for (size_t i = 0; i < fb.size(); ++i) both_b.push_back(mix(fb[i], bb[i]));
    match_equal(both_a, both_b);
    match_equal(fa, fb);
    match_equal(ba, bb);
    while (spread() || match_in_gaps()) continue;
  }

 private:
  void match(size_t a, size_t b) {
    r_.of_a[a] = b;
    r_.of_b[b] = a;
    ++r_.aligned;
  }
  bool can_match(size_t a, size_t b) const {
    return !r_.of_a[a] && !r_.of_b[b] && r_.a.nodes[a].type == r_.b.nodes[b].type;
  }

  // Operations that hashes do not tell apart are alike: they match in their order.
  void match_equal(const std::vector<uint64_t>& of_a, const std::vector<uint64_t>& of_b) {
    std::map<uint64_t, std::pair<std::vector<size_t>, std::vector<size_t>>> groups;
    for (size_t i = 0; i < of_a.size(); ++i) {
      if (!r_.of_a[i]) groups[of_a[i]].first.push_back(i);
    }
    for (size_t i = 0; i < of_b.size(); ++i) {
      if (!r_.of_b[i]) groups[of_b[i]].second.push_back(i);
    }
    for (const auto& [hash, group] : groups) {
      if (group.first.size() != group.second.size()) continue;
      for (size_t i = 0; i < group.first.size(); ++i) {
        if (can_match(group.first[i], group.second[i])) match(group.first[i], group.second[i]);
      }
    }
  }

  // Neighbours of counterparts in the same place are counterparts.
  bool spread() {
    const size_t before = r_.aligned;
    for (size_t a = 0; a < r_.a.nodes.size(); ++a) {
      if (!r_.of_a[a]) continue;
      const size_t b = *r_.of_a[a];
      for (const Node::Operand& x : r_.a.nodes[a].operands) {
        if (x.kind != Kind::Node) continue;
        for (const Node::Operand& y : r_.b.nodes[b].operands) {
          if (y.kind == Kind::Node && y.param == x.param && can_match(x.index, y.index)) {
            match(x.index, y.index);
          }
        }
      }
      for (const auto& [user, operand] : r_.a.uses[a]) {
        if (r_.of_a[user]) continue;
        std::optional<size_t> only;
        size_t candidates = 0;
        for (const auto& [other, other_operand] : r_.b.uses[b]) {
          if (!can_match(user, other) || r_.a.nodes[user].operands[operand].param !=
                                             r_.b.nodes[other].operands[other_operand].param) {
            continue;
          }
          only = other;
          ++candidates;
        }
        if (candidates == 1) match(user, *only);
      }
    }
    return r_.aligned > before;
  }

  // Between two counterparts, the first operations of one kind that are left on both sides.
  bool match_in_gaps() {
    const size_t before = r_.aligned;
    size_t first_b = 0;
    for (size_t a = 0; a < r_.a.nodes.size(); ++a) {
      if (r_.of_a[a]) {
        first_b = *r_.of_a[a] + 1;
        continue;
      }
      for (size_t b = first_b; b < r_.b.nodes.size() && !r_.of_b[b]; ++b) {
        if (!can_match(a, b)) continue;
        match(a, b);
        first_b = b + 1;
        break;
      }
      if (r_.aligned > before) return true;
    }
    return false;
  }

  Alignment& r_;
};

// The short constants that say what an operation does; those that follow from the lengths of a call
// have no say.
bool is_setting(std::string_view param) {
  for (const std::string_view name :
       {"shape", "begin", "end", "size", "reps", "split_sizes", "end_mask", "begin_mask", "dtype",
        "validate_indices", "batch_dims", "interleave", "num_splits"}) {
    if (param == name) return false;
  }
  return true;
}

constexpr uint64_t kShort = 16;

// -1 for the last axis and the like are one.
std::vector<double> setting_of(const Node& node, const Node::Operand& operand) {
  const mil::Value& value = *operand.value;
  // Numbers of tokens, as indices from the end are made of.
  if (is_commutative(node) && is_integer(value.type.dtype)) return {};
  if (!value.is_constant() || value.weight == nullptr ||
      value.weight->elements() > (is_float(value.type.dtype) ? 1 : kShort)) {
    return {};
  }
  std::vector<double> numbers;
  if (is_float(value.type.dtype)) {
    const auto floats = read_floats(*value.weight);
    if (floats) numbers.assign(floats->begin(), floats->end());
  } else if (const auto ints = mil::constant_ints(value)) {
    numbers.assign(ints->begin(), ints->end());
  }
  const mil::Value* x = node.op->operand("x");
  if (operand.param == "axis" || operand.param == "axes") {
    const auto rank = static_cast<double>(x == nullptr ? node.result->type.rank() : x->type.rank());
    for (double& number : numbers) number = number < 0 ? number + rank : number;
  }
  return numbers;
}

std::string listed(const std::vector<double>& numbers) {
  std::string text;
  for (const double number : numbers)
    text += fmt::format("{}{:.6g}", text.empty() ? "" : ",", number);
  return text;
}

class Comparer {
 public:
  explicit Comparer(Alignment& result) : r_(result) {}

  void run() {
    for (size_t a = 0; a < r_.a.nodes.size(); ++a) {
      const Node& node = r_.a.nodes[a];
      if (!r_.of_a[a]) {
        add(Difference::Kind::OnlyA, node.op, nullptr, to_string(node.result->type));
        continue;
      }
      compare(node, r_.b.nodes[*r_.of_a[a]]);
    }
    for (size_t b = 0; b < r_.b.nodes.size(); ++b) {
      const Node& node = r_.b.nodes[b];
      if (!r_.of_b[b]) add(Difference::Kind::OnlyB, nullptr, node.op, to_string(node.result->type));
    }
    for (size_t i = 0; i < r_.a.outputs.size(); ++i) compare_output(r_.a.outputs[i]);
  }

 private:
  void add(Difference::Kind kind, const mil::Op* a, const mil::Op* b, std::string what) {
    r_.differences.push_back({kind, a, b, std::move(what)});
  }

  std::string described(const Canonical& graph, const Node::Operand& operand) const {
    if (operand.kind == Kind::Input) return graph.of->input_roles[operand.index];
    if (operand.kind == Kind::Constant) return fmt::format("constant '{}'", operand.value->name);
    return fmt::format("{} '{}'", graph.nodes[operand.index].type, operand.value->name);
  }

  bool same_source(const Node::Operand& x, const Node::Operand& y) const {
    if (x.kind != y.kind) return false;
    if (x.kind == Kind::Input) {
      return r_.a.of->input_roles[x.index] == r_.b.of->input_roles[y.index];
    }
    if (x.kind == Kind::Constant) return true;
    // Without counterparts there is nothing to say that was not said of them.
    if (!r_.of_a[x.index] || !r_.of_b[y.index]) return true;
    return r_.of_a[x.index] == y.index && x.result == y.result;
  }

  void compare(const Node& x, const Node& y) {
    std::vector<bool> used(y.operands.size());
    for (const Node::Operand& operand : x.operands) {
      const Node::Operand* other = counterpart(x, operand, y, used);
      if (other == nullptr) continue;
      if (!same_source(operand, *other)) {
        add(Difference::Kind::Wiring, x.op, y.op,
            fmt::format("{} is {}, the other's {}", operand.param, described(r_.a, operand),
                        described(r_.b, *other)));
      } else if (operand.kind == Kind::Constant && is_setting(operand.param)) {
        const auto one = setting_of(x, operand), two = setting_of(y, *other);
        if (!one.empty() && one.size() == two.size() && !close(one, two)) {
          add(Difference::Kind::Setting, x.op, y.op,
              fmt::format("{} is {}, the other's {}", operand.param, listed(one), listed(two)));
        }
      }
    }
    if (x.result->type.rank() == y.result->type.rank() &&
        x.result->type.shape.back() != y.result->type.shape.back() && !x.pieces.empty()) {
      add(Difference::Kind::Shape, x.op, y.op,
          fmt::format("{}, the other {}", to_string(x.result->type), to_string(y.result->type)));
    }
  }

  // The operand in the same place, or of a sum or product the one that reads the same.
  const Node::Operand* counterpart(const Node& x, const Node::Operand& operand, const Node& y,
                                   std::vector<bool>& used) const {
    if (is_commutative(x)) {
      for (size_t i = 0; i < y.operands.size(); ++i) {
        if (!used[i] && same_source(operand, y.operands[i])) {
          used[i] = true;
          return &y.operands[i];
        }
      }
    }
    for (size_t i = 0; i < y.operands.size(); ++i) {
      if (!used[i] && y.operands[i].param == operand.param) {
        used[i] = true;
        return &y.operands[i];
      }
    }
    return nullptr;
  }

  // Numbers may be rounded to another type.
  static bool close(const std::vector<double>& x, const std::vector<double>& y) {
    for (size_t i = 0; i < x.size(); ++i) {
      if (x[i] == y[i]) continue;
      if (!(std::fabs(x[i] - y[i]) <= 2e-3 * std::max(std::fabs(x[i]), std::fabs(y[i])) + 1e-6)) {
        return false;
      }
    }
    return true;
  }

  void compare_output(const Canonical::Output& output) {
    if (!output.node || !r_.of_a[*output.node]) return;
    for (const Canonical::Output& other : r_.b.outputs) {
      if (other.role != output.role || !other.node) continue;
      if (r_.of_a[*output.node] == other.node) return;
      add(Difference::Kind::Wiring, r_.a.nodes[*output.node].op, r_.b.nodes[*other.node].op,
          fmt::format("both are {}, but no counterparts", output.role));
      return;
    }
  }

  Alignment& r_;
};

}  // namespace

std::string_view name(Difference::Kind kind) {
  switch (kind) {
    case Difference::Kind::OnlyA:
      return "only in A";
    case Difference::Kind::OnlyB:
      return "only in B";
    case Difference::Kind::Wiring:
      return "wiring";
    case Difference::Kind::Setting:
      return "setting";
    case Difference::Kind::Shape:
      return "shape";
  }
  return "";
}

Alignment align(const Function& a, const Function& b) {
  Alignment result;
  result.a = canonical(a);
  result.b = canonical(b);
  Aligner(result).run();
  Comparer(result).run();
  return result;
}

}  // namespace diptych::compare
