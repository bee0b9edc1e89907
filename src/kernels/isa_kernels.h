// What is written for each instruction set, found by the table. Private to this folder.
#pragma once

#include <string_view>

#include "kernels/isa.h"
#include "kernels/variant.h"

namespace diptych::kernels {

// How far kernels that are written with Highway go.
enum class HighwayTargets : uint8_t { Baseline, UpToAvx2, All };

struct IsaRow {
  Isa isa;
  std::string_view name;
  Isa base;
  bool (*detected)();
  const IsaKernels* kernels;  // null: not in this build
  HighwayTargets highway;
};
const IsaRow& row_of(Isa isa);

// What `part(kernels)` gives for an instruction set or, where that is null, for the nearest of
// those that it builds on; null when it is null for all of them.
template <class Part>
auto nearest(Isa isa, const Part& part) -> decltype(part(IsaKernels())) {
  while (true) {
    const IsaRow& row = row_of(isa);
    if (row.kernels != nullptr) {
      if (const auto found = part(*row.kernels)) return found;
    }
    if (row.base == isa) return nullptr;
    isa = row.base;
  }
}

// The kernels for integer and float weights.
const Variant& variant_of(Isa isa);

}  // namespace diptych::kernels
