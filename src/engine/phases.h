// Transposed convolutions as plain ones. An element of the result meets those taps of the window
// that reach it from a place of x, and which ones do so depends on its phase alone: on where it
// lies between multiples of the strides. So the elements of a phase are the result of a convolution
// of x of stride 1, whose weight consists of the phase's taps, the last one first. Each is one sum,
// computed by one thread; nothing is scattered.
#pragma once

#include <vector>

#include "engine/windows.h"

namespace diptych::engine {

// Phases whose convolutions read x alike, so that they can be computed together.
struct PhaseSet {
  struct Phase {
    std::array<int64_t, 3> first;     // its first element in the result: slice, row, column
    std::array<int64_t, 3> last_tap;  // of those that it meets, along each axis
  };
  Windows windows;  // over x; their places are those of each phase
  std::vector<Phase> phases;
  // Where its weight begins in what lay_out_weight() makes: [groups, out per group, phases, in per
  // group, taps].
  int64_t weight = 0;

  int64_t phase_count() const { return static_cast<int64_t>(phases.size()); }
};

class Phases {
 public:
  // Whether there are few enough.
  static bool suit(const Windows& transposed);
  // Of a conv_transpose, whose windows are those of the convolution that it inverts.
  Phases(const Windows& transposed, const Channels& channels);

  const std::vector<PhaseSet>& sets() const { return sets_; }
  // Whether there are elements of the result that no tap reaches. They are in no phase.
  bool leave_gaps() const { return leave_gaps_; }
  // Elements of the weight in the phases' order, and how they get there from a weight [in, out per
  // group, taps].
  int64_t weight_size() const { return weight_size_; }
  void lay_out_weight(const float* weight, float* out) const;

  // Where an element lies in a channel of the result, given its first one's coordinates or those of
  // a place of its phase.
  int64_t offset(const std::array<int64_t, 3>& first) const {
    return (first[0] * rows().in + first[1]) * columns().in + first[2];
  }
  int64_t offset_of_place(int64_t slice, int64_t row, int64_t column) const {
    return offset({slice * slices().stride, row * rows().stride, column * columns().stride});
  }
  // Elements between neighbours in a row of a phase.
  int64_t step() const { return columns().stride; }

 private:
  const mil::WindowAxis& slices() const { return transposed_.axes[0]; }
  const mil::WindowAxis& rows() const { return transposed_.axes[1]; }
  const mil::WindowAxis& columns() const { return transposed_.axes[2]; }
  void add(const Windows& windows, const PhaseSet::Phase& phase);

  Windows transposed_;
  Channels channels_;
  std::vector<PhaseSet> sets_;
  bool leave_gaps_ = false;
  int64_t weight_size_ = 0;
};

// These are in conv_transpose.cc. The places of a conv_transpose, with the weight as
// lay_out_weight() has it.
Result<ConvPlaces> phase_places(const mil::Op& op, const Phases& phases, Lowering& lowering);
// Writes the bias of a result's channels, of so many elements, before the phases are computed, if
// these leave gaps.
void fill_gaps(const Frame& frame, const Phases& phases, const ConvPlaces& places, int64_t batch,
               int64_t channels, int64_t size);
// In banded.cc; where Bands suit all phases.
Status lower_banded_conv_transpose(const mil::Op& op, const Phases& phases, Lowering& lowering);

}  // namespace diptych::engine
