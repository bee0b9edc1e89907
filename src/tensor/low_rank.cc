#include "tensor/low_rank.h"

namespace diptych {

namespace {

class LowRankSum : public Weight {
 public:
  LowRankSum(WeightRef base, std::vector<float> a, WeightRef b, double scale)
      : Weight({DType::F32, base->shape()}),
        base_(std::move(base)),
        a_(std::move(a)),
        b_(std::move(b)),
        scale_(scale) {}

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    const auto columns = static_cast<size_t>(row_elements());
    const auto rank = static_cast<size_t>(b_->row_elements());
    const std::vector<float> base = TRY(read_floats(*base_, first, count));
    const std::vector<float> b = TRY(read_floats(*b_, first, count));
    std::vector<double> sums(columns);
    for (size_t row = 0; row < static_cast<size_t>(count); ++row) {
      std::fill(sums.begin(), sums.end(), 0.0);
      for (size_t i = 0; i < rank; ++i) {
        const auto factor = static_cast<double>(b[row * rank + i]);
        const float* const a = &a_[i * columns];
        for (size_t c = 0; c < columns; ++c) sums[c] += factor * static_cast<double>(a[c]);
      }
      std::byte* const to = out.data() + row * columns * sizeof(float);
      for (size_t c = 0; c < columns; ++c) {
        const double sum = static_cast<double>(base[row * columns + c]) + scale_ * sums[c];
        store(to + c * sizeof(float), static_cast<float>(sum));
      }
    }
    return {};
  }

 private:
  WeightRef base_;
  std::vector<float> a_;
  WeightRef b_;
  double scale_;
};

}  // namespace

Result<WeightRef> add_low_rank(WeightRef base, const WeightRef& a, WeightRef b, double scale) {
  const bool matrices =
      base->shape().size() == 2 && a->shape().size() == 2 && b->shape().size() == 2;
  if (!matrices || a->shape()[1] != base->shape()[1] || b->shape()[0] != base->shape()[0] ||
      a->shape()[0] != b->shape()[1] || a->shape()[0] < 1) {
    return invalid_argument("a of {} and b of {} do not fit a matrix of {}", to_string(a->type()),
                            to_string(b->type()), to_string(base->type()));
  }
  std::vector<float> values = TRY(read_floats(*a));
  return std::make_shared<LowRankSum>(std::move(base), std::move(values), std::move(b), scale);
}

}  // namespace diptych
