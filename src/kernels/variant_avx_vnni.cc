// AVX2 with the dot products of AVX-VNNI, which are those of AVX-512 VNNI in registers of 32 bytes.
#if defined(__x86_64__)

#include "kernels/avx2.h"

namespace diptych::kernels {
namespace {

struct AvxVnni : Avx2 {
  static constexpr int kMaxTile = 6;
  template <DType type>
  static constexpr int kMaxStreamed = kMaxTile;
  static constexpr int64_t rows_for_panels(int64_t /*chunks*/) { return 7; }
  static constexpr int64_t kPartColumns = 4096;
  template <int M>
  static constexpr int kRows = 1;  // of two streams of weights both get slower
  template <int M>
  static constexpr int kTogether = 1;
  static constexpr bool kLanesAreRows = false;

  // VNNI multiplies unsigned with signed bytes.
  template <DType type>
  static constexpr bool kRaised = true;
  template <DType type>
  static Planes<type> take_apart(const std::byte* from, int64_t step) {
    return raised(Avx2::take_apart<type>(from, step));
  }
  template <DType type>
  static ShortPlanes<type> take_short_apart(const std::byte* from, int64_t step) {
    return raised(Avx2::take_short_apart<type>(from, step));
  }

  template <DType type, int R>
  static void dot(const Planes<type> (&weights)[R], const Chunk* const (&x)[1], int64_t step,
                  Ints (&sums)[R][1]) {
    dot_planes(weights, *x[0], step, sums);
  }
  template <DType type, int R>
  static void dot_short(const ShortPlanes<type> (&weights)[R], const Chunk* const (&x)[1],
                        int64_t step, Ints (&sums)[R][1]) {
    dot_planes(weights, *x[0], step, sums);
    add_four_lanes(sums);
  }

  template <DType type>
  static Ints dot_half(const Planes<type>& weights, const Chunk& x, int64_t step, int half) {
    constexpr int kHalf = Chunk::kPlanes / 2;
    const __m256i raise = _mm256_set1_epi8(static_cast<char>(type == DType::Int4 ? 8 : 128));
    __m256i sum = _mm256_setzero_si256(), raised = sum;
    DIPTYCH_UNROLL for (int i = 0; i < kHalf; ++i) {
      const __m256i plane = load_bytes(x.planes[half * kHalf + i] + 32 * step);
      sum = _mm256_dpbusd_avx_epi32(sum, weights.plane[half * kHalf + i], plane);
      raised = _mm256_dpbusd_avx_epi32(raised, raise, plane);
    }
    return _mm256_sub_epi32(sum, raised);
  }

  // In the lane that a block has.
  template <DType type>
  static Ints dot_short_half(const ShortPlanes<type>& weights, const Chunk& x, int64_t step,
                             int half) {
    const __m256i raise = _mm256_set1_epi8(static_cast<char>(type == DType::Int4 ? 8 : 128));
    __m256i sum = _mm256_setzero_si256(), raised = sum;
    const auto add_plane = [&](int i) {
      const __m256i plane = load_bytes(x.planes[i] + 32 * step);
      sum = _mm256_dpbusd_avx_epi32(sum, weights.plane[i], plane);
      raised = _mm256_dpbusd_avx_epi32(raised, raise, plane);
    };
    add_plane(type == DType::Int4 ? 0 : half);
    if constexpr (type == DType::Int4) add_plane(1);  // each plane has both halves
    return add_lanes_of_half<type>(_mm256_sub_epi32(sum, raised), half);
  }

 private:
  // (int4 is already.)
  template <template <DType> class SomePlanes, DType type>
  static SomePlanes<type> raised(SomePlanes<type> planes) {
    if constexpr (type == DType::Int8) {
      const __m256i raise = _mm256_set1_epi8(static_cast<char>(0x80));
      DIPTYCH_UNROLL for (__m256i& plane : planes.plane) plane = _mm256_xor_si256(plane, raise);
    }
    return planes;
  }
  template <class SomePlanes, int R>
  static void dot_planes(const SomePlanes (&weights)[R], const Chunk& x, int64_t step,
                         Ints (&sums)[R][1]) {
    constexpr int kPlanes = sizeof(SomePlanes) / sizeof(__m256i);
    DIPTYCH_UNROLL for (int r = 0; r < R; ++r) sums[r][0] = _mm256_setzero_si256();
    DIPTYCH_UNROLL for (int i = 0; i < kPlanes; ++i) {
      const __m256i plane = load_bytes(x.planes[i] + 32 * step);
      DIPTYCH_UNROLL for (int r = 0; r < R; ++r) {
        sums[r][0] = _mm256_dpbusd_avx_epi32(sums[r][0], weights[r].plane[i], plane);
      }
    }
  }
};

}  // namespace

const Variant kAvxVnniVariant = vector_variant<AvxVnni>();
const PaletteKernels kAvxVnniPalettes = vector_palettes<AvxVnni>();
const IsaKernels kAvxVnniKernels = {&kAvxVnniVariant, &kAvxVnniPalettes, nullptr,
                                    &kAvxVnniDotLoops};

}  // namespace diptych::kernels

#endif
