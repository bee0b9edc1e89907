#include "llama/names.h"

#include <fmt/format.h>

namespace diptych::llama {

std::string layer_tensor(Dialect dialect, size_t layer, const RoleName& role,
                         std::string_view kind) {
  return fmt::format("{}.{}.{}.{}", names::kLayer.in(dialect), layer, role.in(dialect), kind);
}

std::string model_tensor(Dialect dialect, const RoleName& role) {
  return fmt::format("{}.weight", role.in(dialect));
}

}  // namespace diptych::llama
