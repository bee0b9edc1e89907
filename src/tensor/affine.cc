#include "tensor/affine.h"

namespace diptych {

namespace {

class Affine : public Weight {
 public:
  Affine(WeightRef source, double scale, double offset)
      : Weight({DType::F32, source->shape()}),
        source_(std::move(source)),
        scale_(scale),
        offset_(offset) {}

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    const std::vector<float> values = TRY(read_floats(*source_, first, count));
    for (size_t i = 0; i < values.size(); ++i) {
      const double result = scale_ * static_cast<double>(values[i]) + offset_;
      store(out.data() + i * sizeof(float), static_cast<float>(result));
    }
    return {};
  }

 private:
  WeightRef source_;
  double scale_, offset_;
};

}  // namespace

WeightRef affine(WeightRef source, double scale, double offset) {
  return std::make_shared<Affine>(std::move(source), scale, offset);
}

}  // namespace diptych
