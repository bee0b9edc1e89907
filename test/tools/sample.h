// Small .pte files with Core ML delegates, for the tests of src/tools.
#pragma once

#include <string>
#include <vector>

#include "coreml/delegate.h"
#include "coreml/memory_fs.h"
#include "coreml/sample.h"
#include "pte/constant_method.h"
#include "pte/writer.h"

namespace diptych::tools::testing {

inline constexpr std::string_view kRoot = "lowered_module";

// A method that calls one delegate, whose function takes `rows` rows (coreml/sample.h).
inline pte::Method sample_method(const std::string& name, int64_t rows, pte::Blob payload) {
  pte::Method method;
  method.name = name;
  for (const TensorType& type :
       {TensorType{DType::F16, {1, rows, 32}}, TensorType{DType::Int32, {1}},
        TensorType{DType::F16, {1, rows, 16}}, TensorType{DType::F16, {3, 5}},
        TensorType{DType::Int32, {1}}}) {
    method.values.emplace_back(pte::make_tensor(type).value());
  }
  method.inputs = {1, 0};
  method.outputs = {2, 4, 3};
  // Arguments: x, index; linear, concat, cast.
  method.instructions = {pte::DelegateCall{0, {0, 1, 2, 3, 4}}};
  method.delegates = {{std::string(coreml::kBackendId),
                       {{"compute_units", "cpu_and_ne"}, {"model_type", "model"}},
                       std::move(payload)}};
  return method;
}

inline coreml::DelegateBlob sample_blob(const std::map<std::string, int64_t>& rows_of_function) {
  const mil::Program program = coreml::testing::sample_program(rows_of_function).value();
  DigestCache cache;
  return coreml::write_delegate(program, kRoot, cache).value();
}

// Methods "forward" (1 row) and "prefill" (4 rows) whose functions share a package.
inline pte::Program shared_program() {
  const coreml::DelegateBlob blob = sample_blob({{"forward", 1}, {"prefill", 4}});
  pte::Program program;
  program.named_data.push_back({blob.key, pte::Blob::own(read_all(*blob.blob).value())});
  for (const auto& [name, rows] :
       std::vector<std::pair<std::string, int64_t>>{{"forward", 1}, {"prefill", 4}}) {
    program.methods.push_back(sample_method(
        name, rows, pte::Blob::own(coreml::format_reference({blob.key, std::string(name)}))));
  }
  return program;
}

// The same methods, each with a package of its own.
inline pte::Program legacy_program() {
  pte::Program program;
  for (const auto& [name, rows] :
       std::vector<std::pair<std::string, int64_t>>{{"forward", 1}, {"prefill", 4}}) {
    const coreml::DelegateBlob blob = sample_blob({{"main", rows}});
    program.methods.push_back(
        sample_method(name, rows, pte::Blob::own(read_all(*blob.blob).value())));
  }
  return program;
}

// The payload of a delegate that was exported compiled.
inline pte::Blob compiled_payload() {
  const auto blob = coreml::write_memory_fs(
      "root",
      {{"model.mlmodelc/model.mil", coreml::view_source({as_bytes("program(1.0)"), nullptr})}});
  return pte::Blob::own(read_all(*blob.value()).value());
}

inline std::vector<std::byte> file_of(const pte::Program& program) {
  return read_all(*pte::write(program).value()).value();
}

}  // namespace diptych::tools::testing
