#include "grammar/automaton.h"

#include <algorithm>
#include <array>

namespace diptych::grammar {

namespace {

using Edge = Automaton::Edge;

constexpr size_t kMostLevels = 1000;  // of expressions within one another

// A range of characters whose UTF-8 has the same length and the same bytes but for ranges: what
// such sequences of byte ranges match is exactly the range's UTF-8. (Russ Cox describes the cut in
// "Regular Expression Matching with a DFA or NFA".)
using ByteRanges = std::vector<std::pair<uint8_t, uint8_t>>;

std::vector<uint8_t> utf8_of(uint32_t c) {
  if (c < 0x80) return {static_cast<uint8_t>(c)};
  std::vector<uint8_t> bytes;
  const int following = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  constexpr uint8_t kLead[] = {0, 0xC0, 0xE0, 0xF0};
  bytes.push_back(static_cast<uint8_t>(kLead[following] | (c >> (6 * following))));
  for (int i = following - 1; i >= 0; --i) {
    bytes.push_back(static_cast<uint8_t>(0x80 | ((c >> (6 * i)) & 0x3F)));
  }
  return bytes;
}

void add_utf8(uint32_t first, uint32_t last, std::vector<ByteRanges>& out) {
  if (first > last) return;
  // Surrogates are no characters.
  if (first < 0xE000 && last >= 0xD800) {
    if (first < 0xD800) add_utf8(first, 0xD7FF, out);
    if (last > 0xDFFF) add_utf8(0xE000, last, out);
    return;
  }
  for (const uint32_t border : {0x7Fu, 0x7FFu, 0xFFFFu}) {
    if (first <= border && last > border) {
      add_utf8(first, border, out);
      add_utf8(border + 1, last, out);
      return;
    }
  }
  // Where a following byte does not run over all of its values, the bytes before must be fixed.
  for (int i = 1; i < 4 && last >= 0x80; ++i) {
    const uint32_t low = (1u << (6 * i)) - 1;
    if ((first & ~low) == (last & ~low)) break;
    if ((first & low) != 0) {
      add_utf8(first, first | low, out);
      add_utf8((first | low) + 1, last, out);
      return;
    }
    if ((last & low) != low) {
      add_utf8(first, (last & ~low) - 1, out);
      add_utf8(last & ~low, last, out);
      return;
    }
  }
  const std::vector<uint8_t> a = utf8_of(first), b = utf8_of(last);
  ByteRanges ranges;
  for (size_t i = 0; i < a.size(); ++i) ranges.emplace_back(a[i], b[i]);
  out.push_back(std::move(ranges));
}

class Compiler {
 public:
  explicit Compiler(const std::vector<Rule>& rules) : rules_(rules) {}

  Result<std::shared_ptr<const Automaton>> compile(size_t start) {
    // The first states are those that rules begin in.
    for (size_t i = 0; i < rules_.size(); ++i) add_state();
    for (StateId i = 0; i < rules_.size(); ++i) {
      const StateId end = TRY(add(*rules_[i].body, i, 0));
      states_[end].ends = true;
    }
    TRY(check_left_recursion());
    mark_last();
    auto automaton = std::make_shared<Automaton>();
    automaton->states = std::move(states_);
    automaton->start = static_cast<StateId>(start);
    return automaton;
  }

 private:
  StateId add_state() {
    states_.emplace_back();
    return static_cast<StateId>(states_.size() - 1);
  }
  void add_edge(StateId from, Edge edge) { states_[from].edges.push_back(edge); }
  void add_free(StateId from, StateId to) { add_edge(from, {Edge::Kind::Free, 0, 0, 0, to}); }

  // Adds what matches the expression from `from` on; returns the state behind it, which has no
  // edges yet.
  Result<StateId> add(const Node& node, StateId from, size_t depth) {
    if (states_.size() > kMostStates || depth > kMostLevels) {
      return unsupported("the grammar is too large: more than {} states or {} levels", kMostStates,
                         kMostLevels);
    }
    switch (node.kind) {
      case Node::Kind::Text:
        for (const char c : node.text) {
          const StateId to = add_state();
          const auto byte = static_cast<uint8_t>(c);
          add_edge(from, {Edge::Kind::Bytes, byte, byte, 0, to});
          from = to;
        }
        return from;
      case Node::Kind::Chars:
        return add_chars(node, from);
      case Node::Kind::Sequence:
        for (const Expression& part : node.parts) from = TRY(add(*part, from, depth + 1));
        return from;
      case Node::Kind::Any: {
        const StateId to = add_state();
        for (const Expression& part : node.parts) {
          const StateId begin = add_state();
          add_free(from, begin);
          add_free(TRY(add(*part, begin, depth + 1)), to);
        }
        return to;
      }
      case Node::Kind::Repeat:
        return add_repeat(node, from, depth);
      case Node::Kind::Rule: {
        const StateId to = add_state();
        add_edge(from, {Edge::Kind::Call, 0, 0, static_cast<StateId>(node.rule), to});
        return to;
      }
    }
    return from;
  }

  StateId add_chars(const Node& node, StateId from) {
    const StateId to = add_state();
    std::vector<ByteRanges> all;
    for (const CharRange& range : node.ranges) add_utf8(range.first, range.last, all);
    for (const ByteRanges& ranges : all) {
      StateId at = from;
      for (size_t i = 0; i < ranges.size(); ++i) {
        const StateId next = i + 1 == ranges.size() ? to : add_state();
        add_edge(at, {Edge::Kind::Bytes, ranges[i].first, ranges[i].second, 0, next});
        at = next;
      }
    }
    return to;
  }

  Result<StateId> add_repeat(const Node& node, StateId from, size_t depth) {
    for (size_t i = 0; i < node.least; ++i) from = TRY(add(*node.parts[0], from, depth + 1));
    if (node.most == kUnlimited) {
      // The loop has a state of its own, or edges of before would be taken again.
      const StateId loop = add_state();
      add_free(from, loop);
      add_free(TRY(add(*node.parts[0], loop, depth + 1)), loop);
      const StateId to = add_state();
      add_free(loop, to);
      return to;
    }
    const StateId to = add_state();
    add_free(from, to);
    for (size_t i = node.least; i < node.most; ++i) {
      from = TRY(add(*node.parts[0], from, depth + 1));
      add_free(from, to);
    }
    return to;
  }

  void mark_last() {
    constexpr int kMostSteps = 64;  // free edges may go round
    for (Automaton::State& state : states_) {
      const Automaton::State* at = &state;
      for (int i = 0; i < kMostSteps && !at->ends && at->edges.size() == 1 &&
                      at->edges[0].kind == Edge::Kind::Free;
           ++i) {
        at = &states_[at->edges[0].to];
      }
      state.last = at->ends && at->edges.empty();
    }
  }

  // Which rules each rule calls before any byte. A call of a rule that may match nothing is passed:
  // what stands behind it waits until that is known, so that each state is visited once.
  std::vector<std::vector<StateId>> first_calls() const {
    const size_t count = rules_.size();
    struct Reached {
      StateId state, rule;  // and the rule that it is of
    };
    std::vector<Reached> next;
    for (StateId i = 0; i < count; ++i) next.push_back({i, i});
    std::vector<bool> empty(count, false), seen(states_.size(), false);
    std::vector<std::vector<StateId>> calls(count);
    std::vector<std::vector<Reached>> waiting(count);  // behind calls of a rule
    while (!next.empty()) {
      const auto [at, in] = next.back();
      next.pop_back();
      if (seen[at]) continue;
      seen[at] = true;
      if (states_[at].ends && !empty[in]) {
        empty[in] = true;
        next.insert(next.end(), waiting[in].begin(), waiting[in].end());
        waiting[in].clear();
      }
      for (const Edge& edge : states_[at].edges) {
        const bool is_call = edge.kind == Edge::Kind::Call;
        if (is_call) calls[in].push_back(edge.rule);
        if (is_call && !empty[edge.rule]) {
          waiting[edge.rule].push_back({edge.to, in});
        } else if (edge.kind != Edge::Kind::Bytes) {
          next.push_back({edge.to, in});
        }
      }
    }
    return calls;
  }

  Status check_left_recursion() const {
    const size_t count = rules_.size();
    const std::vector<std::vector<StateId>> calls = first_calls();
    // A cycle of calls before any byte.
    enum : uint8_t { New, Open, Done };
    std::vector<uint8_t> mark(count, New);
    for (size_t root = 0; root < count; ++root) {
      std::vector<std::pair<size_t, size_t>> path;  // rule, its next call
      if (mark[root] == New) path.emplace_back(root, 0);
      while (!path.empty()) {
        auto& [at, call] = path.back();
        mark[at] = Open;
        if (call == calls[at].size()) {
          mark[at] = Done;
          path.pop_back();
          continue;
        }
        const size_t to = calls[at][call++];
        if (mark[to] == Open) {
          return unsupported("rule {} begins with itself (left recursion)", rules_[to].name);
        }
        if (mark[to] == New) path.emplace_back(to, 0);
      }
    }
    return {};
  }

  const std::vector<Rule>& rules_;
  std::vector<Automaton::State> states_;
};

}  // namespace

Result<std::shared_ptr<const Automaton>> compile(const std::vector<Rule>& rules, size_t start) {
  return Compiler(rules).compile(start);
}

}  // namespace diptych::grammar
