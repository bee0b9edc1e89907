#include "engine/bands.h"

namespace diptych::engine {
namespace {

// Floats of a band that stay in the second level of cache, and of the largest one there is.
constexpr int64_t kBand = 1 << 15, kLargestBand = 1 << 20;
constexpr int64_t kMostTaps = 1 << 12;

// One phase of a row of the input with its padding: out[i] is column i * stride + phase - before.
void lay_out_phase(const float* row, const mil::WindowAxis& axis, int64_t phase, float padding,
                   int64_t length, float* out) {
  const int64_t stride = axis.stride, shift = phase - axis.before;
  const int64_t first = std::min(shift >= 0 ? 0 : (stride - 1 - shift) / stride, length);
  const int64_t room = axis.in - 1 - shift;
  const int64_t last = std::clamp(room < 0 ? 0 : room / stride + 1, first, length);
  std::fill_n(out, first, padding);
  if (stride == 1) {
    std::copy_n(row + shift + first, last - first, out + first);
  } else {
    for (int64_t i = first; i < last; ++i) out[i] = row[shift + i * stride];
  }
  std::fill(out + last, out + length, padding);
}

}  // namespace

bool Bands::suit(const Windows& windows) {
  int64_t taps = 1, floats = 1;
  for (size_t i = 0; i < windows.axes.size(); ++i) {
    const mil::WindowAxis& axis = windows.axes[i];
    // A band is one row at least; phases are whole, and take no more than this.
    const int64_t floats_of_axis = read_by(axis, i == 1 ? 1 : axis.out) + axis.stride;
    if (axis.kernel > kMostTaps || floats_of_axis > kLargestBand) return false;
    taps *= axis.kernel;
    floats *= floats_of_axis;
    if (taps > kMostTaps || floats > kLargestBand) return false;
  }
  return true;
}

Bands::Bands(const Windows& windows)
    : windows_(windows), pitch_(phase_of(columns(), columns().out)) {
  while (band_rows_ < rows().out) {
    const int64_t fewer = band_rows_;
    band_rows_ = std::min(2 * band_rows_, rows().out);
    if (scratch() <= kBand) continue;
    band_rows_ = fewer;
    break;
  }
  const auto plane = [&](int64_t row, int64_t column) {
    return row % rows().stride * phases(columns()) + column % columns().stride;
  };
  for (int64_t kd = 0; kd < slices().kernel; ++kd) {
    for (int64_t kr = 0; kr < rows().kernel; ++kr) {
      for (int64_t kc = 0; kc < columns().kernel; ++kc) {
        const int64_t row = kr * rows().dilation, column = kc * columns().dilation;
        offsets_.push_back(kd * slices().dilation * slice_size() +
                           plane(row, column) * plane_size() + row / rows().stride * pitch_ +
                           column / columns().stride);
      }
    }
  }
}

void Bands::lay_out(const float* channel, int64_t band, float padding, float* scratch) const {
  const int64_t first_row = band * band_rows_ * rows().stride - rows().before;
  const int64_t plane_rows = phase_of(rows(), band_rows_);
  for (int64_t d = 0; d < read_by(slices(), slices().out); ++d) {
    const int64_t slice = d - slices().before;
    for (int64_t row_phase = 0; row_phase < phases(rows()); ++row_phase) {
      for (int64_t phase = 0; phase < phases(columns()); ++phase) {
        for (int64_t r = 0; r < plane_rows; ++r, scratch += pitch_) {
          const int64_t row = first_row + r * rows().stride + row_phase;
          if (slice < 0 || slice >= slices().in || row < 0 || row >= rows().in) {
            std::fill_n(scratch, pitch_, padding);
          } else {
            lay_out_phase(channel + (slice * rows().in + row) * columns().in, columns(), phase,
                          padding, pitch_, scratch);
          }
        }
      }
    }
  }
}

}  // namespace diptych::engine
