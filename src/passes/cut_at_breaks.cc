#include "passes/cut_at_breaks.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace diptych::passes {

namespace {

constexpr std::string_view kBreak = "diptych.graph_break";
// Where operations that compute from constants alone stand: in no partition and in every one.
constexpr int kAnywhere = -1;

// Moves the elements whose names are listed to the front, in the list's order.
template <class T, class NameOf>
void sort_by_names(std::vector<T>& elements, const std::vector<std::string>& names,
                   NameOf name_of) {
  const auto rank = [&](const T& element) {
    return std::find(names.begin(), names.end(), name_of(element)) - names.begin();
  };
  std::stable_sort(elements.begin(), elements.end(),
                   [&](const T& a, const T& b) { return rank(a) < rank(b); });
}

class Cutter {
 public:
  Cutter(const mil::Function& function, const CutOrder& order)
      : source_(mil::clone(function)), order_(order) {
    source_->remove_dead();
  }

  Result<CutMethod> run() {
    place_operations();
    find_crossing_values();
    cut_.name = source_->name;
    cut_.input_count = source_->inputs.size();
    for (const mil::Value* input : source_->inputs) number(input);
    for (int p = 0; p < partition_count_; ++p) build_partition(p);
    for (const mil::Value* output : source_->outputs) {
      const auto found = index_of_.find(root(output));
      if (found == index_of_.end()) {
        return unsupported("@{}: output %{} is a constant, which no partition would produce",
                           source_->name, output->name);
      }
      cut_.outputs.push_back(found->second);
    }
    return std::move(cut_);
  }

 private:
  // A value as an operation of a partition refers to it: what it is, and under which name.
  struct Input {
    const mil::Value* root;
    std::string name;
  };

  // The value itself, for a result of a break.
  const mil::Value* root(const mil::Value* value) const {
    const auto found = root_of_.find(value);
    return found == root_of_.end() ? value : found->second;
  }

  // The partition that produces a value: kAnywhere for constants and what is computed from them.
  int partition_of(const mil::Value* value) const {
    return value->producer ? partition_of_.at(value->producer) : kAnywhere;
  }
  bool is_anywhere(const mil::Value* value) const {
    return value->kind != mil::Value::Kind::Input && partition_of(value) == kAnywhere;
  }

  void place_operations() {
    int partition = 0;
    bool empty = true;  // so far, the partition
    for (const auto& op : source_->ops) {
      if (op->type == kBreak) {
        const auto& values = op->operand_list("values");
        for (size_t i = 0; i < op->results.size(); ++i) root_of_[op->results[i]] = root(values[i]);
        if (!empty) ++partition;
        empty = true;
        continue;
      }
      const bool anywhere =
          std::all_of(op->operands.begin(), op->operands.end(), [&](const mil::Operand& operand) {
            return std::all_of(operand.values.begin(), operand.values.end(),
                               [&](const mil::Value* value) { return is_anywhere(root(value)); });
          });
      partition_of_[op.get()] = anywhere ? kAnywhere : partition;
      if (!anywhere) empty = false;
    }
    partition_count_ = empty ? partition : partition + 1;
  }

  void find_crossing_values() {
    for (const auto& op : source_->ops) {
      if (op->type == kBreak) continue;
      for (const mil::Operand& operand : op->operands) {
        for (const mil::Value* value : operand.values) {
          if (partition_of(root(value)) != partition_of_.at(op.get()))
            crossing_.insert(root(value));
        }
      }
    }
    for (const mil::Value* output : source_->outputs) crossing_.insert(root(output));
  }

  void number(const mil::Value* value) {
    index_of_[value] = cut_.values.size();
    cut_.values.push_back({value->name, value->type});
  }

  // The operations of a partition, with those from anywhere that it needs.
  std::vector<const mil::Op*> operations_of(int partition) const {
    std::vector<const mil::Op*> ops;
    std::unordered_set<const mil::Op*> needed;
    for (auto it = source_->ops.rbegin(); it != source_->ops.rend(); ++it) {
      const mil::Op* op = it->get();
      const auto placed = partition_of_.find(op);
      if (placed == partition_of_.end()) continue;  // a break
      if (placed->second != partition && !needed.contains(op)) continue;
      ops.push_back(op);
      for (const mil::Operand& operand : op->operands) {
        for (const mil::Value* value : operand.values) {
          if (is_anywhere(root(value)) && root(value)->producer)
            needed.insert(root(value)->producer);
        }
      }
    }
    std::reverse(ops.begin(), ops.end());
    return ops;
  }

  // What operations use but their partition does not produce, in order of first use.
  std::vector<Input> inputs_of(int partition, const std::vector<const mil::Op*>& ops) const {
    std::vector<Input> inputs;
    std::unordered_set<const mil::Value*> seen;
    for (const mil::Op* op : ops) {
      for (const mil::Operand& operand : op->operands) {
        for (const mil::Value* value : operand.values) {
          const mil::Value* from = root(value);
          if (is_anywhere(from) || partition_of(from) == partition) continue;
          if (seen.insert(from).second) inputs.push_back({from, value->name});
        }
      }
    }
    sort_by_names(inputs, order_.inputs, [](const Input& input) { return input.name; });
    return inputs;
  }

  void build_partition(int p) {
    Partition partition;
    partition.function = std::make_unique<mil::Function>(source_->name, source_->opset);
    mil::Function& function = *partition.function;
    std::unordered_map<const mil::Value*, mil::Value*> copies;
    const std::vector<const mil::Op*> ops = operations_of(p);

    for (const Input& input : inputs_of(p, ops)) {
      copies[input.root] = function.add_input(input.name, input.root->type);
      partition.inputs.push_back(index_of_.at(input.root));
    }

    std::vector<const mil::Value*> produced;
    for (const mil::Op* op : ops) {
      std::vector<mil::Operand> operands = op->operands;
      for (mil::Operand& operand : operands) {
        for (mil::Value*& value : operand.values) {
          const mil::Value* from = root(value);
          mil::Value*& copy = copies[from];
          if (!copy) {
            copy = from->weight ? function.add_constant(from->name, from->weight)
                                : function.add_string(from->name, from->text);
          }
          value = copy;
        }
      }
      std::vector<std::pair<std::string, TensorType>> results;
      for (const mil::Value* result : op->results) results.emplace_back(result->name, result->type);
      const mil::Op* copied = function.add_op(op->type, std::move(operands), std::move(results));
      for (size_t i = 0; i < op->results.size(); ++i) {
        copies[op->results[i]] = copied->results[i];
        const bool leaves = crossing_.contains(op->results[i]);
        if (leaves && partition_of(op->results[i]) == p) produced.push_back(op->results[i]);
      }
    }

    sort_by_names(produced, order_.outputs, [](const mil::Value* value) { return value->name; });
    for (const mil::Value* value : produced) {
      number(value);
      function.outputs.push_back(copies.at(value));
      partition.outputs.push_back(index_of_.at(value));
    }
    cut_.partitions.push_back(std::move(partition));
  }

  std::unique_ptr<mil::Function> source_;
  const CutOrder& order_;

  std::unordered_map<const mil::Value*, const mil::Value*> root_of_;  // of results of breaks
  std::unordered_map<const mil::Op*, int> partition_of_;              // of all but breaks
  int partition_count_ = 0;
  std::unordered_set<const mil::Value*> crossing_;  // used outside the partition that produces them
  std::unordered_map<const mil::Value*, size_t> index_of_;  // in cut_.values
  CutMethod cut_;
};

}  // namespace

Result<CutMethod> cut_at_breaks(const mil::Function& function, const CutOrder& order) {
  return Cutter(function, order).run();
}

}  // namespace diptych::passes
