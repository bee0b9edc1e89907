// Windows over a channel, a band of the result's rows at a time. What a band reads is laid out with
// its padding, and with the columns that a tap reads one after another side by side, whatever the
// stride: column c of a row with stride s is element c / s of phase c % s. So each tap is a fixed
// way from where a row of the result begins.
#pragma once

#include <vector>

#include "engine/tap_ops.h"
#include "engine/windows.h"

namespace diptych::engine {

class Bands {
 public:
  // Whether windows are small enough to be laid out, which Bands rely on.
  static bool suit(const Windows& windows);
  explicit Bands(const Windows& windows);

  // Floats that a thread needs for a band.
  int64_t scratch() const {
    return depth() * rows_in(band_rows_) * row_length_ + static_cast<int64_t>(kTapSlack);
  }
  int64_t per_channel() const { return (rows().out + band_rows_ - 1) / band_rows_; }
  Taps taps() const { return {offsets_.data(), offsets_.size()}; }

  // Lays out what a band reads of a channel; `padding` is what stands outside.
  void lay_out(const float* channel, int64_t band, float padding, float* scratch) const;
  // Calls body(from, depth, row) for the rows of the result in a band; its taps count from `from`.
  template <class Body>
  void for_each_row(int64_t band, const float* scratch, Body body) const {
    const int64_t first = band * band_rows_, last = std::min(first + band_rows_, rows().out);
    for (int64_t d = 0; d < slices().out; ++d) {
      for (int64_t r = first; r < last; ++r) {
        const int64_t slice = d * slices().stride, row = (r - first) * rows().stride;
        body(scratch + (slice * rows_in(band_rows_) + row) * row_length_, d, r);
      }
    }
  }

 private:
  const mil::WindowAxis& slices() const { return windows_.axes[0]; }
  const mil::WindowAxis& rows() const { return windows_.axes[1]; }
  const mil::WindowAxis& columns() const { return windows_.axes[2]; }
  // Places of the padded input that `places` of the result read.
  static int64_t read_by(const mil::WindowAxis& axis, int64_t places) {
    return (places - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1;
  }
  int64_t depth() const { return read_by(slices(), slices().out); }
  int64_t rows_in(int64_t band_rows) const { return read_by(rows(), band_rows); }

  Windows windows_;
  int64_t phase_length_ = 0, row_length_ = 0, band_rows_ = 1;
  std::vector<int64_t> offsets_;
};

}  // namespace diptych::engine
