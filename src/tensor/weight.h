// Weights: what a constant is made of. A weight is a type and a way to get its bytes (a slice of a
// mapped file, or a transform of other weights computed when somebody reads it), so a model is
// never held in memory as a whole. Weights are immutable and shared: two functions that use the
// same weight hold the same WeightRef, and pointer identity is how writers store it once.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/stream.h"
#include "tensor/type.h"

namespace diptych {

class ThreadPool;
class Weight;
using WeightRef = std::shared_ptr<const Weight>;

// Remembers digests by weight, so that a shared source is hashed once.
struct DigestCache {
  std::map<const Weight*, Digest> known;
  // All digests are zero and nothing is read: for planning what is not going to be written.
  bool made_up = false;
};

class Weight {
 public:
  explicit Weight(TensorType type);
  virtual ~Weight() = default;
  Weight(const Weight&) = delete;
  Weight& operator=(const Weight&) = delete;

  const TensorType& type() const { return type_; }
  DType dtype() const { return type_.dtype; }
  const Shape& shape() const { return type_.shape; }
  uint64_t elements() const { return elements_; }

  // A row is a slice along the first axis; a scalar is one row of one element.
  int64_t rows() const { return type_.shape.empty() ? 1 : type_.shape[0]; }
  uint64_t row_elements() const { return row_elements_; }
  // Bytes of one row as read_rows() delivers it: sub-byte elements take a byte each.
  uint64_t row_bytes() const;

  // Fills `out` (exactly count * row_bytes()) with rows [first, first+count), row-major and
  // little-endian. Sub-byte elements come unpacked, one (sign- or zero-extended) byte each.
  Status read_rows(int64_t first, int64_t count, MutableBytes out) const;

  // The packed bytes of the whole tensor where they lie, when they do lie somewhere; they may be
  // at any address. Valid as long as the weight is.
  virtual std::optional<Bytes> bytes() const { return std::nullopt; }

  // A digest that determines the contents: two weights with equal digests read the same.
  // Hashes the recipe and what it starts from rather than computing the result.
  Digest digest(DigestCache& cache) const;

 protected:
  // As read_rows(), arguments checked. Called by several threads at once.
  virtual Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const = 0;
  // Adds what determines the contents, type excepted. The default hashes all rows, with the result
  // that bytes lying somewhere would have.
  virtual Status identify(Hasher& hasher, DigestCache& cache) const;
  // What `other` adds: for weights that are another one, only read in a different way.
  static Status identify_as(const Weight& other, Hasher& hasher, DigestCache& cache) {
    return other.identify(hasher, cache);
  }

 private:
  TensorType type_;
  uint64_t elements_ = 0, row_elements_ = 0;
};

// The rows of a weight as floats (any float type; integers are converted).
Result<std::vector<float>> read_floats(const Weight& weight, int64_t first, int64_t count);
Result<std::vector<float>> read_floats(const Weight& weight);
// The elements of an integer or boolean weight.
Result<std::vector<int64_t>> read_ints(const Weight& weight);

// The packed bytes of a weight as a stream, produced in blocks of rows, on the threads of `pool` if
// one is given. The weight is then read from inside the pool's bodies and must not use it itself.
SourceRef packed_source(WeightRef weight, std::shared_ptr<ThreadPool> pool = nullptr);

// --- Weights that are given ---

// Owns packed bytes; their number must equal packed_size(type).
Result<WeightRef> memory_weight(TensorType type, std::vector<std::byte> packed);
// Packed bytes inside something that `owner` keeps alive (a mapped file).
Result<WeightRef> mapped_weight(TensorType type, Bytes packed, std::shared_ptr<const void> owner);
// `source`, which lies in `file`, for one pass over it: the file is told what is read and releases
// its pages, so that streaming through a checkpoint does not keep it resident.
WeightRef streamed_weight(WeightRef source, std::shared_ptr<const MappedFile> file);
// Small constants from numbers, rounded to the dtype (round to nearest even).
WeightRef constant_ints(DType dtype, Shape shape, const std::vector<int64_t>& values);
WeightRef constant_floats(DType dtype, Shape shape, const std::vector<double>& values);
// All elements zero, without storage.
WeightRef zeros(TensorType type);
// Test data: reproducible pseudo-random values (floats in [-1, 1), integers over their range) and
// 0, 1, 2, … (wrapping for small integers).
WeightRef random_weight(TensorType type, uint64_t seed);
WeightRef iota_weight(TensorType type);
// The seed or kind of the two above, for text forms: "random(7)", "iota", "zeros"; empty otherwise.
std::string generator_text(const Weight& weight);

// --- Transforms ---

// Converts between fp16, bf16, fp32 and fp64 (round to nearest even); the same dtype gives
// `source`.
WeightRef cast(WeightRef source, DType dtype);
// Rows [first, first+count) of `source`, which must have at least one axis.
WeightRef row_slice(WeightRef source, int64_t first, int64_t count);

}  // namespace diptych
