// The instruction sets that the kernels are written for, and which of them to use.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace diptych::kernels {

// In order of preference, the best last: Scalar, Avx2, ... The table says what each is.
enum class Isa : uint8_t {
#define DIPTYCH_ISA(id, ...) id,
#include "kernels/isas.inc"
};

// All of the table, whether the machine has them or not.
std::span<const Isa> all_isas();

std::string_view name(Isa isa);  // "scalar", "avx2", "avx_vnni", "avx512", "avx512_bf16", "amx"

// What this machine and its operating system can run, and this build contains. Never empty.
std::vector<Isa> available_isas();

// The instruction set of a name; an unknown one, or one that the machine lacks, is an error that
// lists those to choose from.
Result<Isa> isa_from_name(std::string_view name);

// What the environment variable DIPTYCH_ISA names; the best one when it is unset or empty.
// Front ends call this at their start to report a bad value.
Result<Isa> configured_isa();

// configured_isa(), or the best one when that is an error. Found out once; from then on kernels
// that are written with Highway keep to it too, "scalar" meaning what every CPU of the kind has.
Isa selected_isa();

}  // namespace diptych::kernels
