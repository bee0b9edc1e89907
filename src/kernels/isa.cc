#include "kernels/isa.h"

#include <hwy/highway.h>

#include <cstdlib>
#include <iterator>

#include "kernels/cpu_features.h"
#include "kernels/isa_kernels.h"

namespace diptych::kernels {

namespace {

constexpr Isa kAll[] = {
#define DIPTYCH_ISA(id, ...) Isa::id,
#include "kernels/isas.inc"
};

constexpr IsaRow kRows[] = {
#define DIPTYCH_ISA(id, name, base, detected, kernels, highway, flags) \
  {Isa::id, name, Isa::base, detected, kernels, HighwayTargets::highway},
#include "kernels/isas.inc"
};
static_assert([] {
  for (const IsaRow& row : kRows) {
    if (&row != &kRows[static_cast<size_t>(row.isa)] || row.base > row.isa) return false;
  }
  return true;
}());

bool is_available(Isa isa) {
  const IsaRow& row = row_of(isa);
  return row.kernels != nullptr && (row.base == isa || is_available(row.base)) && row.detected();
}

// The instruction sets of Highway that have more than this one.
int64_t targets_beyond(Isa isa) {
  switch (row_of(isa).highway) {
    case HighwayTargets::Baseline:
      return ~int64_t{0};  // but for what the compiler was told to take for granted
    case HighwayTargets::UpToAvx2:
#if HWY_ARCH_X86
      return HWY_AVX2 - 1;  // the better, the lower its bit
#endif
    case HighwayTargets::All:
      break;
  }
  return 0;
}

std::string list_of(const std::vector<Isa>& isas) {
  std::string list;
  for (const Isa isa : isas) list += (list.empty() ? "" : ", ") + std::string(name(isa));
  return list;
}

}  // namespace

const IsaRow& row_of(Isa isa) { return kRows[static_cast<size_t>(isa)]; }

std::span<const Isa> all_isas() { return kAll; }

std::string_view name(Isa isa) { return row_of(isa).name; }

std::vector<Isa> available_isas() {
  std::vector<Isa> available;
  for (const Isa isa : kAll) {
    if (is_available(isa)) available.push_back(isa);
  }
  return available;
}

Result<Isa> isa_from_name(std::string_view wanted) {
  for (const Isa isa : kAll) {
    if (name(isa) != wanted) continue;
    if (is_available(isa)) return isa;
    return unsupported("this machine has no {}; it has {}", wanted, list_of(available_isas()));
  }
  return invalid_argument("unknown instruction set \"{}\"; this machine has {}", wanted,
                          list_of(available_isas()));
}

Result<Isa> configured_isa() {
  const char* wanted = std::getenv("DIPTYCH_ISA");
  if (wanted == nullptr || *wanted == '\0') return available_isas().back();
  return within("DIPTYCH_ISA", isa_from_name(wanted));
}

Isa selected_isa() {
  static const Isa selected = [] {
    const Isa isa = configured_isa().value_or(available_isas().back());
    if (isa != available_isas().back()) hwy::DisableTargets(targets_beyond(isa));
    return isa;
  }();
  return selected;
}

}  // namespace diptych::kernels
