#include "engine/bands.h"

namespace diptych::engine {
namespace {

// Floats of a band that stay in the second level of cache, and of the largest one there is.
constexpr int64_t kBand = 1 << 15, kLargestBand = 1 << 20;
constexpr int64_t kMostTaps = 1 << 12;

}  // namespace

bool Bands::suit(const Windows& windows) {
  int64_t taps = 1, floats = 1;
  for (size_t i = 0; i < windows.axes.size(); ++i) {
    const mil::WindowAxis& axis = windows.axes[i];
    // A band is one row at least; columns fill whole strides.
    const int64_t read = read_by(axis, i == 1 ? 1 : axis.out) + (i == 2 ? axis.stride : 0);
    if (axis.kernel > kMostTaps || read > kLargestBand) return false;
    taps *= axis.kernel;
    floats *= read;
  }
  return taps <= kMostTaps && floats <= kLargestBand;
}

Bands::Bands(const Windows& windows) : windows_(windows) {
  const int64_t stride = columns().stride;
  phase_length_ = (read_by(columns(), columns().out) + stride - 1) / stride;
  row_length_ = phase_length_ * std::min(stride, read_by(columns(), columns().out));
  const auto fits = [&](int64_t band_rows) {
    return depth() * rows_in(band_rows) <= kBand / row_length_;
  };
  while (band_rows_ < rows().out && fits(2 * band_rows_)) band_rows_ *= 2;
  band_rows_ = std::min(band_rows_, rows().out);
  for (int64_t kd = 0; kd < slices().kernel; ++kd) {
    for (int64_t kr = 0; kr < rows().kernel; ++kr) {
      for (int64_t kc = 0; kc < columns().kernel; ++kc) {
        const int64_t slice = kd * slices().dilation, row = kr * rows().dilation,
                      column = kc * columns().dilation;
        offsets_.push_back((slice * rows_in(band_rows_) + row) * row_length_ +
                           column % stride * phase_length_ + column / stride);
      }
    }
  }
}

void Bands::lay_out(const float* channel, int64_t band, float padding, float* scratch) const {
  const int64_t stride = columns().stride, before = columns().before;
  const int64_t first_row = band * band_rows_ * rows().stride - rows().before;
  const int64_t phases = row_length_ / phase_length_;
  for (int64_t d = 0; d < depth(); ++d) {
    const int64_t slice = d - slices().before;
    for (int64_t r = 0; r < rows_in(band_rows_); ++r, scratch += row_length_) {
      const int64_t row = first_row + r;
      const bool is_inside = slice >= 0 && slice < slices().in && row >= 0 && row < rows().in;
      if (!is_inside) {
        std::fill_n(scratch, row_length_, padding);
        continue;
      }
      const float* const from = channel + (slice * rows().in + row) * columns().in;
      for (int64_t phase = 0; phase < phases; ++phase) {
        float* const out = scratch + phase * phase_length_;
        // Elements [first, last) of the phase lie in the input.
        const int64_t first =
            std::min(phase >= before ? 0 : (before - phase + stride - 1) / stride, phase_length_);
        const int64_t room = columns().in - 1 + before - phase;
        const int64_t last = std::clamp(room < 0 ? 0 : room / stride + 1, first, phase_length_);
        std::fill_n(out, first, padding);
        const float* const inside = from + phase - before;
        if (stride == 1) {
          std::copy(inside + first, inside + last, out + first);
        } else {
          for (int64_t i = first; i < last; ++i) out[i] = inside[i * stride];
        }
        std::fill(out + last, out + phase_length_, padding);
      }
    }
  }
}

}  // namespace diptych::engine
