// weight.bin, the file of large constants beside a Core ML model ("blob storage, version 2").
//
//   0   u32 number of records          Everything is little-endian. A record starts at a multiple
//   4   u32 version = 2                of 64, its data follow at once, and zeros fill the space to
//   8   56 zero bytes                  the next record; nothing follows the last data.
//   64  record, data, fill, record, data, fill, …
//
// A model refers to a record by the record's offset, not the data's. Source: coremltools' blob
// storage; docs/formats/mlpackage.md.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tensor/weight.h"

namespace diptych::coreml {

struct WeightFileHeader {
  uint32_t count = 0;
  uint32_t version = 2;
  uint8_t reserved[56] = {};
};
static_assert(sizeof(WeightFileHeader) == 64);

struct WeightRecord {
  uint32_t sentinel = 0xDEADBEEF;
  uint32_t dtype = 0;         // storage code, see storage_code(); not MIL's number
  uint64_t size = 0;          // bytes of the data
  uint64_t data_offset = 0;   // in the file; the record's offset + 64
  uint64_t padding_bits = 0;  // unused bits of the last byte (types narrower than a byte)
  uint64_t reserved[4] = {};
};
static_assert(sizeof(WeightRecord) == 64);

// The number that stands for an element type in a record; none when the file cannot hold the type
// (bool, string, 64-bit types).
std::optional<uint32_t> storage_code(DType dtype);

// A weight.bin to read from. Nothing is copied: weights are slices of the given bytes, which may
// lie at any address. A record is checked when it is read.
class WeightFile {
 public:
  // A file without records, for models that come without weights.
  WeightFile() = default;
  // `owner` keeps `bytes` alive; every weight holds on to it.
  static Result<WeightFile> open(Bytes bytes, std::shared_ptr<const void> owner);

  // Returns the weight whose record starts at `record_offset`. The same record and type give the
  // same object each time, so weights that functions share in the file are shared in memory.
  // Callable from several threads.
  Result<WeightRef> weight(uint64_t record_offset, const TensorType& type);

  struct Entry {
    uint64_t offset = 0;  // of the record
    WeightRecord record;
  };
  // All records in file order, each checked.
  Result<std::vector<Entry>> entries() const;

 private:
  // The record at an offset, after it and the extent of its data were checked.
  Result<WeightRecord> record_at(uint64_t offset) const;

  Bytes bytes_;
  std::shared_ptr<const void> owner_;
  struct Known {
    std::mutex mutex;
    std::map<std::pair<uint64_t, Shape>, WeightRef> weights;
  };
  std::unique_ptr<Known> known_ = std::make_unique<Known>();
};

// Lays out a weight.bin. Only the sizes of weights matter here; their bytes are produced when the
// finished file is streamed.
class WeightFileBuilder {
 public:
  // Adds a weight, unless the same WeightRef was added before, and returns its record's offset.
  Result<uint64_t> add(const WeightRef& weight);

  const std::vector<WeightRef>& weights() const { return weights_; }  // in file order
  // The file as laid out so far, produced on `pool`, if one is given.
  SourceRef source(std::shared_ptr<ThreadPool> pool = nullptr) const;

 private:
  std::vector<WeightRef> weights_;
  std::vector<WeightRecord> records_;
  std::unordered_map<const Weight*, uint64_t> offsets_;
  uint64_t size_ = sizeof(WeightFileHeader);
};

}  // namespace diptych::coreml
