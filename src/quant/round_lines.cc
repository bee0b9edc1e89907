#include "quant/round_lines.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quant/round_lines.cc"
#include <hwy/foreach_target.h>
// foreach_target must come first.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace diptych::quant {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, kLinesAtOnce>;
using Floats = hn::Vec<D>;

// Adds the squares of some lines' errors in double precision.
void add_squares(const float* errors, double* squares) {
  const hn::CappedTag<double, kLinesAtOnce> d;
  const hn::Rebind<float, decltype(d)> d_in;
  for (size_t l = 0; l < kLinesAtOnce; l += hn::Lanes(d)) {
    const auto error = hn::PromoteTo(d, hn::LoadU(d_in, errors + l));
    hn::StoreU(hn::MulAdd(error, error, hn::LoadU(d, squares + l)), d, squares + l);
  }
}

// `values(input, line)` are those of the lines from `line` on.
template <class Begin, class Values>
void round_lines(LinesToRound& lines, const Begin& begin, const Values& values) {
  const D d;
  for (double& sum : lines.squares) sum = 0;
  for (size_t i = 0; i < lines.inputs; ++i) {
    begin(i);
    const float* const upper = lines.upper + i * lines.upper_stride;
    const auto diagonal = hn::Set(d, upper[i]);
    for (size_t l = 0; l < kLinesAtOnce; l += hn::Lanes(d)) {
      const auto off = hn::Sub(hn::Load(d, lines.targets[i] + l), values(i, l));
      const auto error = hn::Div(off, diagonal);
      hn::Store(error, d, lines.errors[i] + l);
      for (size_t j = i + 1; j < lines.inputs; ++j) {
        float* const target = lines.targets[j] + l;
        hn::Store(hn::NegMulAdd(hn::Set(d, upper[j]), error, hn::Load(d, target)), d, target);
      }
    }
    add_squares(lines.errors[i], lines.squares);
  }
}

void by_scale(LinesToRound& lines) {
  const D d;
  const auto lowest = hn::Set(d, lines.lowest), highest = hn::Set(d, lines.highest);
  round_lines(
      lines, [](size_t) {},
      [&](size_t i, size_t l) {
        const auto scale = hn::Load(d, lines.scales[i] + l);
        const auto steps = hn::Div(hn::Load(d, lines.targets[i] + l), scale);
        const auto code = hn::Round(hn::Max(hn::Min(steps, highest), lowest));
        hn::Store(code, d, lines.codes[i] + l);
        return hn::Mul(scale, code);
      });
}

void by_choice(LinesToRound& lines, ChooseValues choose, void* context) {
  const D d;
  HWY_ALIGN_MAX float chosen[kLinesAtOnce];
  round_lines(
      lines, [&](size_t i) { choose(context, i, lines.targets[i], chosen); },
      [&](size_t, size_t l) { return hn::Load(d, chosen + l); });
}

}  // namespace HWY_NAMESPACE
}  // namespace diptych::quant
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace diptych::quant {

HWY_EXPORT(by_scale);
HWY_EXPORT(by_choice);

void round_by_scale(LinesToRound& lines) { HWY_DYNAMIC_DISPATCH(by_scale)(lines); }

void round_by_choice(LinesToRound& lines, ChooseValues choose, void* context) {
  HWY_DYNAMIC_DISPATCH(by_choice)(lines, choose, context);
}

}  // namespace diptych::quant
#endif  // HWY_ONCE
