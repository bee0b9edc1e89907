#include "kernels/isa.h"

#include <hwy/highway.h>

#include <cstdlib>

#include "kernels/cpu_features.h"

namespace diptych::kernels {

namespace {

constexpr Isa kAll[] = {Isa::Scalar, Isa::Avx2,       Isa::AvxVnni,
                        Isa::Avx512, Isa::Avx512Bf16, Isa::Amx};

bool is_available(Isa isa) {
  switch (isa) {
    case Isa::Scalar:
      return true;
#if defined(__x86_64__)
    // The built-in also asks whether the operating system saves the wide registers.
    case Isa::Avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
    case Isa::AvxVnni:
      return is_available(Isa::Avx2) && has_avx_vnni();
    case Isa::Avx512:
      return is_available(Isa::Avx2) && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
    case Isa::Avx512Bf16:
      return is_available(Isa::Avx512) && has_avx512_bf16();
    case Isa::Amx:
      return is_available(Isa::Avx512Bf16) && has_tiles();
#endif
    default:
      return false;
  }
}

// The instruction sets of Highway that have more than this one.
int64_t targets_beyond(Isa isa) {
  switch (isa) {
    case Isa::Scalar:
      return ~int64_t{0};  // but for what the compiler was told to take for granted
#if HWY_ARCH_X86
    case Isa::Avx2:
    case Isa::AvxVnni:
      return HWY_AVX2 - 1;  // the better, the lower its bit
#endif
    default:
      return 0;
  }
}

std::string list_of(const std::vector<Isa>& isas) {
  std::string list;
  for (const Isa isa : isas) list += (list.empty() ? "" : ", ") + std::string(name(isa));
  return list;
}

}  // namespace

std::string_view name(Isa isa) {
  switch (isa) {
    case Isa::Scalar:
      return "scalar";
    case Isa::Avx2:
      return "avx2";
    case Isa::AvxVnni:
      return "avx_vnni";
    case Isa::Avx512:
      return "avx512";
    case Isa::Avx512Bf16:
      return "avx512_bf16";
    case Isa::Amx:
      return "amx";
  }
  return "?";
}

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
