// The text form: whatever parses must print, and what was printed must parse to the same text.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/bytes.h"
#include "mil/text.h"
#include "seeds.h"

using namespace diptych;

namespace {

// Stands for contents that the text does not hold, so that blobs are reached too.
Result<WeightRef> any_blob(std::string_view, const TensorType& type) { return zeros(type); }

}  // namespace

std::vector<std::vector<std::byte>> fuzz_seeds() {
  constexpr std::string_view kText = R"(
func @forward(%x: fp16[1,4,8], %t: int32[1,4]) opset "CoreML8" {
  %w: int4[8,32] = random(7)
  %s: fp16[8,1] = iota
  %z: fp16[32] = zeros
  %v: fp16[20] = blob("00112233445566ff")
  %label: string = "a \"b\" \\ \x0a"
  %W: fp16[8,32] = constexpr_blockwise_shift_scale(data=%w, scale=%s)
  %m: fp16[1,4,8] = mul(x=%x, y=fp16(0.3535))
  %r: fp16[1,4,1] = reduce_mean(x=%m, axes=int32[1](-1), keep_dims=bool(true))
  %e: fp16[1,4,1] = rsqrt(x=%r, epsilon=fp32(1e-12))
  %c: fp16[1,4,16] = concat(values=[%m, %x], axis=int32(-1), interleave=bool(false))
  %q: fp16[4,4,4] = reshape(x=%c, shape=int32[3](4,-1,4))
  %p: fp16[4,4,4] = transpose(x=%q, perm=int32[3](2,0,1))
  %o: fp16[4,4,2] = slice_by_index(x=%p, begin=int32[3](0,0,1), end=int32[3](4,4,1), stride=int32[3](1,1,2), end_mask=bool[3](true,true,true))
  %a: fp16[4,4,1], %"b c": fp16[4,4,1] = split(x=%o, axis=int32(-1), num_splits=int32(2))
  %g: fp16[4,1,4,1] = gather(x=%a, indices=%t, axis=int32(1))
  %mm: fp16[4,4,4] = matmul(x=%p, y=%p, transpose_x=bool(false), transpose_y=bool(true))
  %0: fp16[2] = vendor.custom("odd param"=%a, many=[%a, fp8e5m2(0x7c)])
  return %mm, %"b c", %label
}
func @"two words"() opset "CoreML7" {
  return
}
)";
  const Bytes bytes = as_bytes(kText);
  return {{bytes.begin(), bytes.end()}};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto program = mil::parse({reinterpret_cast<const char*>(data), size}, any_blob);
  if (!program) return 0;
  const std::string text = mil::print(*program);
  const auto again = mil::parse(text, any_blob);
  if (!again || mil::print(*again) != text) std::abort();
  return 0;
}
