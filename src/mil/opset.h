// The versions of Core ML's operation set. A function is written in one of them.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace diptych::mil {

// The numbers are Core ML's. Each opset came with a system and a version of the model format:
// CoreML5 with iOS 15 and specification 6, …, CoreML9 with iOS 26 and specification 10.
enum class Opset : uint8_t { CoreML5 = 5, CoreML6, CoreML7, CoreML8, CoreML9 };
inline constexpr Opset kFirstOpset = Opset::CoreML5;
inline constexpr Opset kLastOpset = Opset::CoreML9;

// "CoreML8".
inline std::string name(Opset opset) { return fmt::format("CoreML{}", static_cast<int>(opset)); }

// The opset of a name; Unsupported for any other text.
inline Result<Opset> opset_from_name(std::string_view text) {
  for (auto number = static_cast<int>(kFirstOpset); number <= static_cast<int>(kLastOpset);
       ++number) {
    const auto opset = static_cast<Opset>(number);
    if (text == name(opset)) return opset;
  }
  return unsupported("opset \"{}\" (supported: {} to {})", text.substr(0, 100), name(kFirstOpset),
                     name(kLastOpset));
}

}  // namespace diptych::mil
