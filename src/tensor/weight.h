// Weights: what constants are made of. A weight is a type and a way to get its bytes: a slice of a
// mapped file, or a transform of other weights that is computed when it is read. So a model is
// never held in memory as a whole. Weights are immutable and shared: two functions that use the
// same weight hold the same WeightRef, and writers store each object once.
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
  // Make all digests zero and read nothing, to plan a file that will not be written.
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

  // Fills `out`, of exactly count * row_bytes(), with rows [first, first+count), row-major and
  // little-endian. Sub-byte elements are unpacked to a sign- or zero-extended byte each.
  Status read_rows(int64_t first, int64_t count, MutableBytes out) const;

  // Returns the packed bytes of the whole tensor if they lie in memory, at any address, else
  // nothing. They stay valid as long as the weight does.
  virtual std::optional<Bytes> bytes() const { return std::nullopt; }

  // Returns a digest of the contents: two weights with equal digests read the same. It hashes the
  // recipe and the bytes that it starts from; the result is not computed.
  Digest digest(DigestCache& cache) const;

 protected:
  // Does the work of read_rows(), which has checked the arguments. Several threads may call it at
  // once.
  virtual Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const = 0;
  // Adds what determines the contents, except the type, to `hasher`. The default hashes all rows,
  // with the same result as hashing packed bytes in memory.
  virtual Status identify(Hasher& hasher, DigestCache& cache) const;
  // Adds what `other` adds, for weights with the contents of `other` that are read in another way.
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

// Returns the packed bytes of a weight as a stream, produced in blocks of rows on the threads of
// `pool`, if one is given. The pool's threads read the weight, so it must not use the pool itself.
SourceRef packed_source(WeightRef weight, std::shared_ptr<ThreadPool> pool = nullptr);

// --- Weights that are given ---

// Owns packed bytes; their number must equal packed_size(type).
Result<WeightRef> memory_weight(TensorType type, std::vector<std::byte> packed);
// Packed bytes inside something that `owner` keeps alive (a mapped file).
Result<WeightRef> mapped_weight(TensorType type, Bytes packed, std::shared_ptr<const void> owner);
// Returns `source`, which lies in `file`, for one pass over it: the file releases the pages that
// were read, so that streaming through a checkpoint does not keep it resident.
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
// What text forms call the generated weights above: "random(7)", "iota", "zeros"; empty for others.
std::string generator_text(const Weight& weight);

// --- Transforms ---

// Converts between fp16, bf16, fp32 and fp64 (round to nearest even); the same dtype gives
// `source`.
WeightRef cast(WeightRef source, DType dtype);
// Rows [first, first+count) of `source`, which must have at least one axis.
WeightRef row_slice(WeightRef source, int64_t first, int64_t count);

}  // namespace diptych
