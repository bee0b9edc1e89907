#include "tools/inspect_json.h"

#include "base/json.h"

namespace diptych::tools {

namespace {

void add_type(const ValueType& type, Json& out) {
  out["dtype"] = type.dtype;
  if (type.shape) out["shape"] = *type.shape;
  if (type.dynamic) out["dynamic"] = true;
}

Json to_json(const Port& port) {
  Json out = {{"value", port.value}};
  if (!port.name.empty()) out["name"] = port.name;
  add_type(port.type, out);
  return out;
}

Json to_json(const FunctionSummary::Feature& feature) {
  Json out = {{"name", feature.name}};
  add_type(feature.type, out);
  return out;
}

Json to_json(const Count& count) { return {{"count", count.count}, {"bytes", count.bytes}}; }

Json to_json(const MethodSummary::OperatorCalls& op) {
  return {{"name", op.name}, {"calls", op.calls}};
}

Json to_json(const Partition& partition);
Json to_json(const MethodSummary& method);
Json to_json(const FunctionSummary& summary);
Json to_json(const Package& package);

template <class Items>
Json list(const Items& items) {
  Json out = Json::array();
  for (const auto& item : items) out.push_back(to_json(item));
  return out;
}

Json to_json(const Partition& partition) {
  Json specs = Json::object();
  for (const pte::CompileSpec& spec : partition.compile_specs) specs[spec.key] = spec.value;
  Json out = {{"index", partition.index},
              {"backend", partition.backend},
              {"compile_specs", std::move(specs)},
              {"payload_bytes", partition.payload_bytes},
              {"payload", name(partition.payload)}};
  if (partition.package) out["package"] = *partition.package;
  if (partition.function != nullptr) {
    out["function"] = partition.function->name;
    out["inputs"] = list(partition.inputs);
    out["outputs"] = list(partition.outputs);
  } else {
    out["arguments"] = list(partition.arguments);
  }
  return out;
}

Json to_json(const MethodSummary& method) {
  const MethodSummary::InstructionCounts& counts = method.instructions;
  return {{"name", method.name},
          {"inputs", list(method.inputs)},
          {"outputs", list(method.outputs)},
          {"arena_bytes", method.arena_bytes},
          {"instructions",
           {{"kernel_calls", counts.kernel_calls},
            {"delegate_calls", counts.delegate_calls},
            {"moves", counts.moves},
            {"jumps", counts.jumps},
            {"frees", counts.frees}}},
          {"operators", list(method.operators)},
          {"partitions", list(method.partitions)}};
}

Json to_json(const FunctionSummary& summary) {
  Json out = {{"name", summary.function->name},     {"opset", summary.function->opset},
              {"inputs", list(summary.inputs)},     {"outputs", list(summary.outputs)},
              {"op_count", summary.op_count},       {"ops", summary.ops},
              {"weights", to_json(summary.weights)}};
  if (!summary.problems.empty()) out["problems"] = summary.problems;
  if (summary.arena_bytes > 0) out["value_bytes"] = summary.arena_bytes;
  if (summary.unpacked_bytes > 0) out["unpacked_weight_bytes"] = summary.unpacked_bytes;
  return out;
}

Json to_json(const Package& package) {
  Json out = Json::object();
  if (!package.key.empty()) out["key"] = package.key;
  out["bytes"] = package.bytes;
  if (package.model == nullptr) {
    out["unreadable"] = package.unreadable;
    return out;
  }
  const coreml::Model& model = package.model->model;
  out["identifier"] = package.model->metadata.identifier;
  out["specification_version"] = model.specification_version;
  if (!model.default_function.empty()) out["default_function"] = model.default_function;
  out["functions"] = list(package.functions);
  out["weights"] = to_json(package.weights);
  Json& by_dtype = out["weights_by_dtype"] = Json::object();
  for (const auto& [dtype, count] : package.weights_by_dtype) by_dtype[dtype] = to_json(count);
  out["shared_weights"] = to_json(package.shared);
  return out;
}

Json metadata_json(const std::vector<Metadata>& metadata) {
  Json out = Json::object();
  for (const Metadata& entry : metadata) {
    Json value = Json::object();
    add_type(entry.type, value);
    if (entry.value) value["value"] = *entry.value;
    if (!out.contains(entry.name)) {
      out[entry.name] = std::move(value);
    } else {
      Json& values = out[entry.name];
      if (!values.is_array()) values = Json::array({std::move(values)});
      values.push_back(std::move(value));
    }
  }
  return out;
}

}  // namespace

Json to_json(const Inspection& inspection) {
  Json segments = Json::array(), named_data = Json::array();
  for (const pte::Layout::Segment& segment : inspection.layout.segments) {
    segments.push_back({{"offset", segment.offset}, {"bytes", segment.size}});
  }
  for (const Inspection::NamedDataSummary& entry : inspection.named_data) {
    named_data.push_back({{"key", entry.key}, {"bytes", entry.bytes}});
  }
  return {{"file",
           {{"bytes", inspection.layout.file_size},
            {"program_bytes", inspection.layout.program_size},
            {"segments", std::move(segments)},
            {"named_data", std::move(named_data)}}},
          {"methods", list(inspection.methods)},
          {"packages", list(inspection.packages)},
          {"metadata", metadata_json(inspection.metadata)}};
}

}  // namespace diptych::tools
