#include "coreml/delegate.h"

#include <algorithm>
#include <unordered_map>

#include "base/json.h"
#include "coreml/memory_fs.h"
#include "coreml/package.h"

namespace diptych::coreml {

namespace {

constexpr std::string_view kReferenceMark = "CMJR";
constexpr int kReferenceVersion = 1;
constexpr size_t kMaxReferenceBytes = 1 << 16;
constexpr size_t kMaxMetadataBytes = 4 << 20;

constexpr std::string_view kMetadataFile = "metadata.json";
constexpr std::string_view kPackage = "model.mlpackage/";
constexpr std::string_view kCompiledModelSuffix = ".mlmodelc/";

// A list of distinct names.
Result<std::vector<std::string>> json_names(const Json& object, std::string_view key) {
  const Json* list = TRY(json_member(object, key));
  if (!list->is_array()) return invalid_data("\"{}\": expected a list of names", key);
  std::vector<std::string> names;
  for (const Json& name : *list) {
    if (!name.is_string()) return invalid_data("\"{}\": expected a list of names", key);
    names.push_back(name.get<std::string>());
  }
  std::vector<std::string> sorted = names;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) return invalid_data("\"{}\": \"{}\" occurs twice", key, *twice);
  return names;
}

Result<ArgumentNames> parse_names(const Json& object) {
  ArgumentNames names;
  names.inputs = TRY(json_names(object, "inputNames"));
  names.outputs = TRY(json_names(object, "outputNames"));
  if (names.outputs.empty()) return invalid_data("\"outputNames\" is empty");
  return names;
}

// The names that stand under a key of "methods"; null when there is no such key.
const ArgumentNames* names_under(const DelegateMetadata& metadata, std::string_view key) {
  for (const auto& [name, names] : metadata.methods) {
    if (name == key) return &names;
  }
  return nullptr;
}

Json names_json(const ArgumentNames& names) {
  return {{"inputNames", names.inputs}, {"outputNames", names.outputs}};
}

// The values called `names`; every one of `candidates` when `all` is set.
Result<std::vector<const mil::Value*>> select_values(const std::vector<std::string>& names,
                                                     const std::vector<mil::Value*>& candidates,
                                                     std::string_view side, bool all) {
  std::unordered_map<std::string_view, const mil::Value*> by_name;
  for (const mil::Value* candidate : candidates) by_name.emplace(candidate->name, candidate);
  std::vector<const mil::Value*> values;
  for (const std::string& name : names) {
    const auto found = by_name.find(name);
    if (found == by_name.end()) {
      return invalid_data("metadata.json: \"{}\" is not an {} of the model", name, side);
    }
    values.push_back(found->second);
  }
  if (all && values.size() != candidates.size()) {
    return invalid_data("metadata.json names {} {}s, the model has {}", values.size(), side,
                        candidates.size());
  }
  return values;
}

}  // namespace

bool is_reference(Bytes payload) { return as_text(payload).starts_with(kReferenceMark); }

Result<Reference> parse_reference(Bytes payload) {
  if (!is_reference(payload)) {
    return invalid_data("expected a reference that starts with {}", kReferenceMark);
  }
  if (payload.size() > kMaxReferenceBytes) {
    return invalid_data("a model reference of {} bytes, expected at most {}", payload.size(),
                        kMaxReferenceBytes);
  }
  const std::string_view text = as_text(payload).substr(kReferenceMark.size());
  const Json json = TRY(within("model reference", parse_json(text)));
  Reference reference;
  reference.key = TRY(within("model reference", json_string(json, "key")));
  if (json.contains("functionName")) {
    reference.function_name = TRY(within("model reference", json_string(json, "functionName")));
  }
  return reference;
}

std::string format_reference(const Reference& reference) {
  // Spaced as upstream's Python writes it.
  std::string text = fmt::format("{}{{\"version\": {}, \"key\": {}", kReferenceMark,
                                 kReferenceVersion, dump_json(reference.key));
  if (reference.function_name) {
    text += fmt::format(", \"functionName\": {}", dump_json(*reference.function_name));
  }
  return text + "}";
}

Result<DelegateMetadata> parse_metadata(std::string_view text) {
  if (text.size() > kMaxMetadataBytes) {
    return invalid_data("expected at most {} bytes, found {}", kMaxMetadataBytes, text.size());
  }
  const Json json = TRY(parse_json(text));
  DelegateMetadata metadata;
  metadata.identifier = TRY(json_string(json, "identifier"));
  if (metadata.identifier.empty()) return invalid_data("\"identifier\" is empty");
  const auto methods = json.find("methods");
  if (methods == json.end()) {
    metadata.names = TRY(parse_names(json));
    return metadata;
  }
  if (!methods->is_object() || methods->empty()) {
    return invalid_data("\"methods\": expected an object with at least one method");
  }
  for (const auto& method : methods->items()) {
    metadata.methods.emplace_back(
        method.key(), TRY(within("method \"" + method.key() + "\"", parse_names(method.value()))));
  }
  return metadata;
}

std::string format_metadata(const DelegateMetadata& metadata) {
  if (!metadata.is_multifunction()) {
    Json json = names_json(metadata.names);
    json["identifier"] = metadata.identifier;
    return dump_json(json);
  }
  Json methods = Json::object();
  for (const auto& [name, names] : metadata.methods) methods[name] = names_json(names);
  return dump_json({{"identifier", metadata.identifier}, {"methods", std::move(methods)}});
}

Result<DelegateModel> read_delegate(Bytes blob, std::shared_ptr<const void> owner,
                                    ThreadPool* pool) {
  MemoryFs fs = TRY(within("delegate payload", read_memory_fs(blob, std::move(owner))));
  DelegateModel delegate;
  delegate.root_name = std::move(fs.root_name);
  delegate.files = std::move(fs.files);

  const auto is_under = [&](std::string_view part) {
    return std::any_of(delegate.files.begin(), delegate.files.end(), [&](const auto& file) {
      return file.first.find(part) != std::string::npos;
    });
  };
  if (!is_under(kPackage)) {
    if (is_under(kCompiledModelSuffix)) {
      return unsupported(
          "the delegate holds a compiled model (.mlmodelc), which only Core ML can "
          "run; export with model_type \"{}\"",
          compile_spec::kModelPackage);
    }
    return invalid_data("the delegate holds no model: expected files under {}", kPackage);
  }
  const auto metadata = delegate.files.find(kMetadataFile);
  if (metadata == delegate.files.end()) {
    return invalid_data("the delegate has no {}", kMetadataFile);
  }
  delegate.metadata = TRY(within(kMetadataFile, parse_metadata(as_text(metadata->second.bytes))));
  delegate.model = TRY(within("model.mlpackage", read_package(delegate.files, kPackage, pool)));
  return delegate;
}

Result<DelegateFunction> resolve_function(const DelegateModel& delegate, std::string_view method,
                                          const Reference* reference) {
  const ArgumentNames* names = &delegate.metadata.names;
  if (delegate.metadata.is_multifunction()) {
    names = reference && reference->function_name
                ? names_under(delegate.metadata, *reference->function_name)
                : nullptr;
    if (names == nullptr) names = names_under(delegate.metadata, method);
    if (names == nullptr) return not_found("metadata.json has no method \"{}\"", method);
  }
  // Only a model that lists its functions is asked for one by name.
  DelegateFunction result;
  if (delegate.model.multifunction) {
    const std::string name =
        reference && reference->function_name ? *reference->function_name : std::string(method);
    result.function = delegate.model.program.find(name);
    if (result.function == nullptr) return not_found("the model has no function \"{}\"", name);
  } else {
    result.function = delegate.model.program.functions.front().get();
  }
  result.inputs = TRY(select_values(names->inputs, result.function->inputs, "input", true));
  result.outputs = TRY(select_values(names->outputs, result.function->outputs, "output", false));
  return result;
}

}  // namespace diptych::coreml
