#include "runtime/coreml_payload.h"

#include <set>

namespace diptych::runtime {

Result<CoremlPayload> coreml_payload(const pte::Program& program, const pte::Delegate& delegate) {
  CoremlPayload payload{{}, delegate.processed.bytes()};
  if (!coreml::is_reference(payload.blob)) return payload;
  payload.reference = TRY(coreml::parse_reference(payload.blob));
  const pte::Blob* blob = pte::find_named_data(program, payload.reference->key);
  if (blob == nullptr) {
    return not_found("the delegate refers to named data \"{}\", which the file does not hold",
                     payload.reference->key);
  }
  payload.blob = blob->bytes();
  return payload;
}

Status check_has_coreml(const pte::Program& program) {
  std::set<std::string> backends;
  for (const pte::Method& method : program.methods) {
    for (const pte::Delegate& delegate : method.delegates) backends.insert(delegate.backend);
  }
  if (backends.contains(std::string(coreml::kBackendId))) return {};
  Error error{ErrorCode::Unsupported, {}, "expected delegates of CoreMLBackend, found none", {}};
  if (!backends.empty()) {
    error.message = "expected delegates of CoreMLBackend, found those of";
    error.items.assign(backends.begin(), backends.end());
  }
  return tl::unexpected(std::move(error));
}

std::string partition_place(const pte::Method& method, size_t index) {
  return fmt::format("method {}, partition {}", method.name, index);
}

}  // namespace diptych::runtime
