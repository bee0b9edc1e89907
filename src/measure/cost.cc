#include "measure/cost.h"

#include <algorithm>
#include <functional>
#include <map>

#include "coreml/delegate.h"
#include "kernels/linear.h"
#include "runtime/coreml_payload.h"
#include "runtime/needed_calls.h"

namespace diptych::measure {

namespace {

uint64_t elements_of(const TensorType& type) {
  uint64_t count = 1;
  for (const int64_t size : type.shape) count *= static_cast<uint64_t>(size);
  return count;
}

bool is_constexpr(const mil::Op& op) { return op.type.starts_with("constexpr_"); }

bool is_row_gather(const mil::Op& op) {
  if (op.type != "gather") return false;
  const mil::Value* axis = op.operand("axis");
  if (axis == nullptr) return true;  // 0 by default
  const auto value = mil::constant_int(*axis);
  return value && *value == 0;
}

// Bytes read of each weight, by the address where it lies: that tells weights apart across the
// functions of a package.
class Reads {
 public:
  explicit Reads(Bytes blob) : blob_(blob) {}

  // `rows` of the `all` rows of `value` are read: of the weight that it is, or of those that it is
  // dequantised from.
  void add(const mil::Value& value, uint64_t rows, uint64_t all) {
    if (value.is_constant() && value.weight) add_weight(*value.weight, rows, all);
    if (value.producer == nullptr || !is_constexpr(*value.producer)) return;
    for (const mil::Operand& operand : value.producer->operands) {
      for (const mil::Value* source : operand.values) add(*source, rows, all);
    }
  }

  const std::map<const std::byte*, uint64_t>& bytes() const { return bytes_; }

 private:
  void add_weight(const Weight& weight, uint64_t rows, uint64_t all) {
    const auto bytes = weight.bytes();
    if (!bytes || std::less<>()(bytes->data(), blob_.data()) ||
        !std::less<>()(bytes->data(), blob_.data() + blob_.size())) {
      return;
    }
    // What is not divided by rows (one scale for all) is read as a whole.
    const bool by_rows = rows < all && static_cast<uint64_t>(weight.rows()) == all;
    const uint64_t read = by_rows ? (bytes->size() * rows + all - 1) / all : bytes->size();
    uint64_t& most = bytes_[bytes->data()];
    most = std::max(most, read);
  }

  Bytes blob_;
  std::map<const std::byte*, uint64_t> bytes_;
};

void add_reads(const mil::Op& op, Reads& reads) {
  // The results of a constexpr are read by others; it reads nothing of its own accord.
  if (is_constexpr(op)) return;
  const bool gathers = is_row_gather(op);
  for (const mil::Operand& operand : op.operands) {
    for (const mil::Value* value : operand.values) {
      const uint64_t all =
          value->type.shape.empty() ? 1 : static_cast<uint64_t>(value->type.shape[0]);
      const bool some = gathers && operand.param == "x";
      const uint64_t rows = some ? std::min(all, elements_of(op.operand("indices")->type)) : all;
      reads.add(*value, rows, all);
    }
  }
}

// Rows of x: [..., in]; 0 for what is no linear.
uint64_t linear_rows(const mil::Op& op) {
  if (op.type != "linear") return 0;
  const TensorType& x = op.operand("x")->type;
  return elements_of(x) / std::max<uint64_t>(static_cast<uint64_t>(x.shape.back()), 1);
}

// The counter for products with a weight [out, in].
uint64_t& counter_of(const mil::Value& weight, MultiplyAdds& counts) {
  if (weight.is_constant() && weight.type.dtype == DType::F16) return counts.bf16;
  if (weight.producer == nullptr || weight.producer->type != "constexpr_blockwise_shift_scale" ||
      weight.producer->operand("offset") != nullptr) {
    return counts.fp32;
  }
  const TensorType& scale = weight.producer->operand("scale")->type;
  const int64_t columns = weight.type.shape[1], block = columns / scale.shape[1];
  const DType dtype = weight.producer->operand("data")->type.dtype;
  if (!kernels::supported(dtype, columns, block)) return counts.fp32;
  return dtype == DType::Int4 ? counts.int4 : counts.int8;
}

void add_multiply_adds(const mil::Op& op, uint64_t positions, MethodCost& cost) {
  const uint64_t rows = linear_rows(op);
  if (rows == 0) return;
  const mil::Value& weight = *op.operand("weight");
  const bool of_all = rows == positions;
  counter_of(weight, of_all ? cost.per_position : cost.per_call) +=
      elements_of(weight.type) * (of_all ? 1 : rows);
}

// Those of the delegates' functions that serve other outputs than `unwanted`.
std::vector<PlacedFunction> needed_functions(const pte::Method& method,
                                             const std::vector<PlacedFunction>& delegates,
                                             size_t unwanted) {
  std::vector<PlacedFunction> called;
  std::vector<runtime::CallValues> calls;
  for (const pte::Instruction& instruction : method.instructions) {
    const auto* call = std::get_if<pte::DelegateCall>(&instruction);
    if (call == nullptr) continue;
    called.push_back(delegates[static_cast<size_t>(call->delegate)]);
    const auto inputs = static_cast<std::ptrdiff_t>(called.back().function->inputs.size());
    const auto split = call->args.begin() + std::min(inputs, std::ssize(call->args));
    calls.push_back({{call->args.begin(), split}, {split, call->args.end()}});
  }
  std::vector<bool> values(method.values.size()), needed;
  for (size_t i = 0; i < method.outputs.size(); ++i) {
    if (i != unwanted) values[static_cast<size_t>(method.outputs[i])] = true;
  }
  runtime::mark_needed(calls, values, needed);
  std::vector<PlacedFunction> kept;
  for (size_t i = 0; i < called.size(); ++i) {
    if (needed[i]) kept.push_back(called[i]);
  }
  return kept;
}

}  // namespace

MethodCost functions_cost(const std::vector<PlacedFunction>& functions) {
  MethodCost cost;
  uint64_t positions = 0;
  for (const auto& [function, blob] : functions) {
    for (const auto& op : function->ops) positions = std::max(positions, linear_rows(*op));
  }
  std::map<const std::byte*, uint64_t> all;
  for (const auto& [function, blob] : functions) {
    Reads reads(blob);
    for (const auto& op : function->ops) {
      add_reads(*op, reads);
      add_multiply_adds(*op, positions, cost);
    }
    for (const auto& [address, bytes] : reads.bytes()) {
      uint64_t& most = all[address];
      most = std::max(most, bytes);
    }
  }
  for (const auto& entry : all) cost.weight_bytes += entry.second;
  return cost;
}

Result<MethodCost> method_cost(const std::shared_ptr<const runtime::Program>& program,
                               std::string_view method, std::optional<size_t> unwanted) {
  const pte::Program& container = program->container();
  const pte::Method* found = pte::find_method(container, method);
  if (found == nullptr) return not_found("no method \"{}\"", method);
  std::map<const std::byte*, coreml::DelegateModel> models;  // by their blob's address
  std::vector<PlacedFunction> functions;                     // of the delegates
  for (size_t i = 0; i < found->delegates.size(); ++i) {
    const std::string place = runtime::partition_place(*found, i);
    const auto payload =
        TRY(within(place, runtime::coreml_payload(container, found->delegates[i])));
    auto model = models.find(payload.blob.data());
    if (model == models.end()) {
      auto read = TRY(within(place, coreml::read_delegate(payload.blob, program)));
      model = models.emplace(payload.blob.data(), std::move(read)).first;
    }
    const auto resolved = TRY(
        within(place, coreml::resolve_function(model->second, method,
                                               payload.reference ? &*payload.reference : nullptr)));
    functions.push_back({resolved.function, payload.blob});
  }
  return functions_cost(unwanted ? needed_functions(*found, functions, *unwanted) : functions);
}

uint64_t cache_bytes_per_position(const generate::ModelDescription& model) {
  return 2 * static_cast<uint64_t>(model.layers * model.kv_heads * model.head_dim) *
         static_cast<uint64_t>(bit_width(model.dtype)) / 8;
}

}  // namespace diptych::measure
