// Windows over a channel, a band of the result's rows at a time, in a thread's scratch memory. What
// a band reads is laid out with its padding and, for strides, in phases: element (row, column) lies
// in plane (row % stride, column % stride) at (row / stride, column / stride). So each tap is a
// fixed way from the places of the result, and the rows of a band are one run: `pitch` apart, with
// places of no meaning in between.
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

  // Floats of scratch memory: what a band reads, and behind it what becomes of its runs.
  int64_t scratch() const { return layout_size() + windows_.axes[0].out * run_size(); }
  int64_t per_channel() const { return (rows().out + band_rows_ - 1) / band_rows_; }
  Taps taps() const { return {offsets_.data(), offsets_.size()}; }

  // Lays out what a band reads of a channel; `padding` is what stands outside.
  void lay_out(const float* channel, int64_t band, float padding, float* scratch) const;
  // Makes all elements of the runs `start`.
  void begin(float start, float* scratch) const {
    std::fill_n(scratch + layout_size(), windows_.axes[0].out * run_size(), start);
  }
  // Calls body(from, n, out) for the run of each slice of the result: n elements, whose taps count
  // from `from`.
  template <class Body>
  void for_each_run(float* scratch, Body body) const {
    for (int64_t d = 0; d < slices().out; ++d) {
      body(scratch + d * slices().stride * slice_size(), static_cast<size_t>(run_length()),
           scratch + layout_size() + d * run_size());
    }
  }
  // Calls body(slice, row, elements) for the rows of the result in a band.
  template <class Body>
  void for_each_row(int64_t band, const float* scratch, Body body) const {
    const int64_t first = band * band_rows_, last = std::min(first + band_rows_, rows().out);
    for (int64_t d = 0; d < slices().out; ++d) {
      const float* const run = scratch + layout_size() + d * run_size();
      for (int64_t r = first; r < last; ++r) body(d, r, run + (r - first) * pitch_);
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
  // Those that lie in a phase, rounded up.
  static int64_t phase_of(const mil::WindowAxis& axis, int64_t places) {
    return (read_by(axis, places) + axis.stride - 1) / axis.stride;
  }
  static int64_t phases(const mil::WindowAxis& axis) {
    return std::min(axis.stride, (axis.kernel - 1) * axis.dilation + 1);
  }
  int64_t plane_size() const { return phase_of(rows(), band_rows_) * pitch_; }
  int64_t slice_size() const { return phases(rows()) * phases(columns()) * plane_size(); }
  int64_t layout_size() const {
    return read_by(slices(), slices().out) * slice_size() + static_cast<int64_t>(kTapSlack);
  }
  int64_t run_length() const { return (band_rows_ - 1) * pitch_ + columns().out; }
  int64_t run_size() const { return band_rows_ * pitch_; }

  Windows windows_;
  int64_t pitch_ = 0, band_rows_ = 1;
  std::vector<int64_t> offsets_;
};

}  // namespace diptych::engine
