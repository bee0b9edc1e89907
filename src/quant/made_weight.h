// A weight that something else makes when it is read: the codes, the scales or the tables of a
// quantiser, which share what they know of their source. Private to src/quant.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include "tensor/weight.h"

namespace diptych::quant {

// `read` of the maker gives rows [first, first + count); `identify` of the maker adds to a digest
// what it makes them from, and `what` tells its weights apart.
template <class Maker>
class MadeWeight : public Weight {
 public:
  using Read = Status (Maker::*)(int64_t first, int64_t count, MutableBytes out) const;

  MadeWeight(TensorType type, std::shared_ptr<const Maker> maker, Read read, std::string_view what)
      : Weight(std::move(type)), maker_(std::move(maker)), read_(read), what_(what) {}

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    return (*maker_.*read_)(first, count, out);
  }
  Status identify(Hasher& hasher, DigestCache& cache) const override {
    hasher.add(what_);
    maker_->identify(hasher, cache);
    return {};
  }

 private:
  std::shared_ptr<const Maker> maker_;
  Read read_;
  std::string_view what_;  // a literal
};

// The same, to be handed out.
template <class Maker>
WeightRef made_weight(TensorType type, const std::shared_ptr<const Maker>& maker,
                      typename MadeWeight<Maker>::Read read, std::string_view what) {
  return std::make_shared<MadeWeight<Maker>>(std::move(type), maker, read, what);
}

}  // namespace diptych::quant
