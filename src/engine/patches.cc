#include "engine/patches.h"

namespace diptych::engine {
namespace {

constexpr int64_t kLongestRow = 1 << 16;
// Elements of a row that are written before those of the next row, so that what they read and write
// stays in the first level of cache.
constexpr int64_t kPart = 32;

}  // namespace

bool Patches::suit(const Windows& windows, int64_t channels) {
  return windows.kernel() <= kLongestRow && channels <= kLongestRow / windows.kernel();
}

bool Patches::find_reads(int64_t place, int64_t* reads) const {
  const auto& [slices, rows, columns] = windows_.axes;
  const int64_t column = place % columns.out * columns.stride - columns.before,
                row = place / columns.out % rows.out * rows.stride - rows.before,
                slice = place / columns.out / rows.out * slices.stride - slices.before;
  const auto inside = [](int64_t at, int64_t size) {
    return static_cast<uint64_t>(at) < static_cast<uint64_t>(size);
  };
  bool all_inside = true;
  for (int64_t kd = 0; kd < slices.kernel; ++kd) {
    const int64_t d = slice + kd * slices.dilation;
    for (int64_t kr = 0; kr < rows.kernel; ++kr) {
      const int64_t r = row + kr * rows.dilation;
      for (int64_t kc = 0; kc < columns.kernel; ++kc) {
        const int64_t c = column + kc * columns.dilation;
        const bool is_inside = inside(d, slices.in) && inside(r, rows.in) && inside(c, columns.in);
        *reads++ = is_inside ? (d * rows.in + r) * columns.in + c : -1;
        all_inside = all_inside && is_inside;
      }
    }
  }
  return all_inside;
}

kernels::FloatWeight Patches::lay_out(const float* channel, int64_t tile,
                                      std::byte* scratch) const {
  const int64_t count = this->count(tile), taps = windows_.kernel(), in = windows_.in();
  auto* const matrix = reinterpret_cast<float*>(scratch);
  auto* const reads = reinterpret_cast<int64_t*>(matrix + kTile * row());
  std::array<bool, kTile> inside;
  for (int64_t p = 0; p < count; ++p) {
    inside[static_cast<size_t>(p)] = find_reads(first(tile) + p, reads + p * taps);
  }
  const int64_t part = std::max<int64_t>(kPart / taps, 1);
  for (int64_t begin = 0; begin < channels_; begin += part) {
    const int64_t end = std::min(begin + part, channels_);
    for (int64_t p = 0; p < count; ++p) {
      const int64_t* const at = reads + p * taps;
      float* out = matrix + p * row() + begin * taps;
      if (!inside[static_cast<size_t>(p)]) {
        for (int64_t c = begin; c < end; ++c) {
          for (int64_t t = 0; t < taps; ++t) *out++ = at[t] < 0 ? 0.0f : channel[c * in + at[t]];
        }
      } else if (taps == 1) {
        for (int64_t c = begin; c < end; ++c) *out++ = channel[c * in + *at];
      } else {
        for (int64_t c = begin; c < end; ++c) {
          for (int64_t t = 0; t < taps; ++t) *out++ = channel[c * in + at[t]];
        }
      }
    }
  }
  return {scratch, DType::F32, count, row()};
}

}  // namespace diptych::engine
