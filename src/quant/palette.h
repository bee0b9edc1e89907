// Tables of a few numbers that weights are rounded to: k-means in one dimension, weighted by the
// importance of each weight.
//
// The best table of a thousand points that stand for the weights is found by dynamic programming,
// and refined for all of them by Lloyd's steps. Every machine chooses the same entries: sums have
// one order, in double precision, and no library function rounds in a way of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tensor/type.h"

namespace diptych::quant {

// Weights by their values: what a table is fitted to. Values that agree in the first 12 bits of
// their significand count as one, their mean; those of fp16 stay apart.
class ValueCounts {
 public:
  ValueCounts();

  // Adds weights, with an importance for each or none at all: all the same. Returns false when one
  // is infinite or NaN; those before it were added.
  bool add(std::span<const float> weights, std::span<const float> importance);
  void clear();

  struct Value {
    double mean, mass;  // mass: the sum of the importances
  };
  // In ascending order.
  std::vector<Value> values() const;

 private:
  struct Bin {
    double mass, sum;
  };
  struct Free {
    void operator()(Bin* bins) const;
  };
  std::unique_ptr<Bin[], Free> bins_;  // memory is taken up only where there are values
  std::vector<uint32_t> used_;
};

// Returns the 2^bits entries of a table for these weights, ascending, exact in `dtype` (F16 or
// F32). Fewer different values than entries are kept as they are, the last one repeated.
//
// With 4 bits the entries are whole multiples, at most 127, of one number, which costs next to
// nothing and lets an engine multiply them as int8 exactly. More bits would lose by it.
std::vector<float> fit_palette(const ValueCounts& weights, int bits, DType dtype);

// The index of the nearest entry, of ascending ones; of two that are equally near, the first.
class NearestEntry {
 public:
  explicit NearestEntry(std::span<const float> entries);
  uint8_t operator()(float weight) const;

 private:
  std::vector<float> midpoints_;  // 2^bits - 1 of them
};

}  // namespace diptych::quant
