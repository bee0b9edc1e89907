// The text form of a program: read by people, by golden tests and by pass tests.
//
//   func @forward(%x: fp16[1,32,64], %mask: fp16[1,32,127]) opset "CoreML8" {
//     %w: int4[64,64] = random(7)                   // larger constants are declared
//     %m: fp16[1,32,64] = mul(x=%x, y=%x)
//     %r: fp16[1,32,1] = reduce_mean(x=%m, axes=int32[1](-1), keep_dims=bool(true))
//     %c: fp16[1,32,64] = concat(values=[%m], axis=int32(-1), interleave=bool(false))
//     return %c
//   }
//
// Constants of up to 16 elements stand inline where they are used (a constant that is used twice
// stands twice); strings are quoted; floats are printed so that they parse to the same bits.
// Larger ones are declared by a line of their own whose right side is `zeros`, `random(seed)`,
// `iota`, or `blob("name")` for contents that the text does not hold (name = first 8 bytes of the
// contents' digest in hex, or of caller's choice).
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "mil/ir.h"

namespace diptych::mil {

std::string print(const Function& function);
std::string print(const Program& program);

// Where the contents of `blob("name")` come from when text is parsed; null refuses blobs.
using BlobLookup = std::function<Result<WeightRef>(std::string_view name, const TensorType& type)>;

// Parses what print() writes. Errors name line and column. The result is verified.
Result<Program> parse(std::string_view text, const BlobLookup& blobs = nullptr);

}  // namespace diptych::mil
