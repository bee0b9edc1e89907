// What a Core ML delegate of an ExecuTorch program holds: the formats of payloads, the names that
// connect a method's arguments with the model, and the way from a payload to a function.
//
// A payload ("processed bytes") is either a file system blob (memory_fs.h) with a model package and
// metadata.json, or a reference: "CMJR" and JSON that names a blob in the program's named data and
// the function of it to run. Methods that share weights refer to one blob. Source: ExecuTorch's
// Core ML backend; docs/formats/coreml_delegate.md.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coreml/file_map.h"
#include "coreml/model.h"

namespace diptych::coreml {

inline constexpr std::string_view kBackendId = "CoreMLBackend";

// Keys of the compile specs, and the values that diptych writes or knows. Values are UTF-8 text.
namespace compile_spec {
inline constexpr std::string_view kComputeUnits = "compute_units";
inline constexpr std::string_view kCpuAndNeuralEngine = "cpu_and_ne";
inline constexpr std::string_view kDeploymentTarget = "min_deployment_target";
inline constexpr std::string_view kIos18 = "9";  // a specification version
inline constexpr std::string_view kComputePrecision = "model_compute_precision";
inline constexpr std::string_view kFloat16 = "float16";
inline constexpr std::string_view kFloat32 = "float32";
inline constexpr std::string_view kModelType = "model_type";
inline constexpr std::string_view kModelPackage = "model";
inline constexpr std::string_view kWeightSharing = "multimethod_weight_sharing_strategy";
inline constexpr std::string_view kPositional = "positional";
inline constexpr std::string_view kOneBlob = "one_blob";
inline constexpr std::string_view kDisabled = "disabled";
}  // namespace compile_spec

// The payload of a delegate whose model lies in the program's named data.
struct Reference {
  std::string key;                           // of the named data
  std::optional<std::string> function_name;  // none: the method's name
};
// True for reference payloads; all others are blobs.
bool is_reference(Bytes payload);
Result<Reference> parse_reference(Bytes payload);
std::string format_reference(const Reference& reference);

// metadata.json: names of the model's inputs and outputs in the order of the delegate's arguments.
struct ArgumentNames {
  std::vector<std::string> inputs, outputs;
};
struct DelegateMetadata {
  std::string identifier;  // determines the content; the Apple runtime caches by it
  // For models with several functions, by the method's name or, where a model holds several
  // partitions of a method, by the function's. Otherwise empty, and `names` holds.
  std::vector<std::pair<std::string, ArgumentNames>> methods;
  ArgumentNames names;

  bool is_multifunction() const { return !methods.empty(); }
};
Result<DelegateMetadata> parse_metadata(std::string_view json);
std::string format_metadata(const DelegateMetadata& metadata);

// The contents of a blob. Weights and files are slices of the blob.
struct DelegateModel {
  std::string root_name;  // of the file system
  FileMap files;
  DelegateMetadata metadata;
  Model model;
};
// Reads a blob, which `owner` keeps alive. Errors: Unsupported for compiled models (.mlmodelc);
// those of read_package(). `pool` is that of read_model().
Result<DelegateModel> read_delegate(Bytes blob, std::shared_ptr<const void> owner,
                                    ThreadPool* pool = nullptr);

// What a delegate call of a method runs: a function, and its inputs and outputs in the order of the
// call's arguments.
struct DelegateFunction {
  const mil::Function* function = nullptr;
  std::vector<const mil::Value*> inputs, outputs;
};
// Returns what a call of `method` runs. `reference` is that of the payload, or null when the
// payload is the blob itself. The result points into `delegate`.
Result<DelegateFunction> resolve_function(const DelegateModel& delegate, std::string_view method,
                                          const Reference* reference);

// A partition's model, ready to go into a program.
struct DelegateBlob {
  std::string identifier;  // follows from the content
  SourceRef blob;
  // A blob of several functions goes into named data under this key, and methods refer to it with
  // format_reference({key, function}). Empty for one function, whose blob itself is the payload.
  std::string key;
};
// Packs a partition: one function, or several, whose names metadata.json lists. The
// weight file comes first in the blob, so that weights lie at multiples of 64 if the blob does.
// `cache` remembers digests across partitions by the address of weights, so it must not outlive the
// weights it has seen. The blob's weights are produced on `pool`, if one is given.
Result<DelegateBlob> write_delegate(const mil::Program& program, std::string_view root_name,
                                    DigestCache& cache, std::shared_ptr<ThreadPool> pool = nullptr);

}  // namespace diptych::coreml
