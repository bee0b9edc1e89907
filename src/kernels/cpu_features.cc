#include "kernels/cpu_features.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace diptych::kernels {

bool has_plain_instructions() { return true; }

#if defined(__x86_64__) && defined(__linux__)

namespace {

// The registers of cpuid; zeros for what the CPU does not know.
struct CpuId {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;

  CpuId(unsigned leaf, unsigned part) { __get_cpuid_count(leaf, part, &eax, &ebx, &ecx, &edx); }
};

bool tiles_permitted() {
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;               // XFEATURE_XTILEDATA
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

bool has_avx2() {
  const bool has_f16c = (CpuId(1, 0).ecx >> 29 & 1) != 0;  // which not every built-in knows
  // The built-in also asks whether the operating system saves the wide registers.
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c;
}

bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni");
}

bool has_avx_vnni() { return (CpuId(7, 1).eax >> 4 & 1) != 0; }

bool has_avx512_bf16() {
  return (CpuId(7, 1).eax >> 5 & 1) != 0 && __builtin_cpu_supports("avx512vbmi");
}

bool has_tiles() {
  constexpr unsigned kBf16 = 1u << 22, kTiles = 1u << 24, kInt8 = 1u << 25;  // AMX-BF16 and so on
  constexpr unsigned kAll = kBf16 | kTiles | kInt8;
  static const bool has = (CpuId(7, 0).edx & kAll) == kAll && tiles_permitted();
  return has;
}

#else

bool has_avx2() { return false; }
bool has_avx512() { return false; }
bool has_avx_vnni() { return false; }
bool has_avx512_bf16() { return false; }
bool has_tiles() { return false; }

#endif

}  // namespace diptych::kernels
