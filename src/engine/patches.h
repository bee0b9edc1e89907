// Windows of a convolution laid out as rows of a matrix, a tile of places at a time, in a thread's
// scratch memory: row p has what place p of the tile reads in all channels of a group, in the
// order in which a row of the weight has its elements. What lies outside of the input is zeros.
#pragma once

#include "engine/windows.h"
#include "kernels/linear.h"

namespace diptych::engine {

class Patches {
 public:
  // Places that are laid out together: as many rows as the kernels work off at once.
  static constexpr int64_t kTile = kernels::kFloatRowsAtOnce;

  // Whether a tile of such rows is no larger than a thread's scratch memory may be.
  static bool suit(const Windows& windows, int64_t channels);
  // `channels` of a group.
  Patches(const Windows& windows, int64_t channels) : windows_(windows), channels_(channels) {}

  int64_t row() const { return channels_ * windows_.kernel(); }
  int64_t tiles() const { return (windows_.out() + kTile - 1) / kTile; }
  int64_t first(int64_t tile) const { return tile * kTile; }
  int64_t count(int64_t tile) const { return std::min(kTile, windows_.out() - first(tile)); }
  uint64_t scratch_size() const {
    const auto floats = static_cast<uint64_t>(row()),
               reads = static_cast<uint64_t>(windows_.kernel());
    return static_cast<uint64_t>(kTile) * (floats * sizeof(float) + reads * sizeof(int64_t));
  }

  // Lays out a tile of the channels from `channel` on at the beginning of `scratch`, which has
  // scratch_size() bytes and is aligned to 64. Returns the rows as a matrix.
  kernels::FloatWeight lay_out(const float* channel, int64_t tile, std::byte* scratch) const;

 private:
  // Where the taps of a place read a channel: fills reads[tap] with offsets, -1 in the padding.
  // Returns whether all are inside.
  bool find_reads(int64_t place, int64_t* reads) const;

  Windows windows_;
  int64_t channels_;
};

}  // namespace diptych::engine
