#include "coreml/weight_file.h"

#include <array>

namespace diptych::coreml {

namespace {

constexpr uint64_t kAlignment = 64;
constexpr uint32_t kVersion = WeightFileHeader{}.version;
constexpr uint32_t kSentinel = WeightRecord{}.sentinel;

struct StorageCode {
  DType dtype;
  uint32_t code;
};
constexpr std::array kStorageCodes = {
    StorageCode{DType::F16, 1},     StorageCode{DType::F32, 2},
    StorageCode{DType::UInt8, 3},   StorageCode{DType::Int8, 4},
    StorageCode{DType::BF16, 5},    StorageCode{DType::Int16, 6},
    StorageCode{DType::UInt16, 7},  StorageCode{DType::Int4, 8},
    StorageCode{DType::UInt1, 9},   StorageCode{DType::UInt2, 10},
    StorageCode{DType::UInt4, 11},  StorageCode{DType::UInt3, 12},
    StorageCode{DType::UInt6, 13},  StorageCode{DType::Int32, 14},
    StorageCode{DType::UInt32, 15}, StorageCode{DType::F8E4M3FN, 16},
    StorageCode{DType::F8E5M2, 17},
};

std::string code_name(uint32_t code) {
  for (const StorageCode& entry : kStorageCodes) {
    if (entry.code == code) return std::string(name(entry.dtype));
  }
  return fmt::format("unknown type {}", code);
}

uint64_t padding_bits(const TensorType& type, uint64_t elements, uint64_t bytes) {
  return bytes * 8 - elements * static_cast<uint64_t>(bit_width(type.dtype));
}

class WeightFileSource : public Source {
 public:
  WeightFileSource(std::vector<WeightRef> weights, std::vector<WeightRecord> records, uint64_t size,
                   std::shared_ptr<ThreadPool> pool)
      : weights_(std::move(weights)),
        records_(std::move(records)),
        size_(size),
        pool_(std::move(pool)) {}

  uint64_t size() const override { return size_; }

  Status write_to(Sink& sink) const override {
    WeightFileHeader header;
    header.count = static_cast<uint32_t>(records_.size());
    TRY(sink.write(std::as_bytes(std::span(&header, 1))));
    uint64_t position = sizeof header;
    for (size_t i = 0; i < records_.size(); ++i) {
      const WeightRecord& record = records_[i];
      TRY(sink.write_zeros(align_up(position, kAlignment) - position));
      TRY(sink.write(std::as_bytes(std::span(&record, 1))));
      TRY(packed_source(weights_[i], pool_)->write_to(sink));
      position = record.data_offset + record.size;
    }
    return {};
  }

 private:
  std::vector<WeightRef> weights_;
  std::vector<WeightRecord> records_;
  uint64_t size_;
  std::shared_ptr<ThreadPool> pool_;
};

}  // namespace

std::optional<uint32_t> storage_code(DType dtype) {
  for (const StorageCode& entry : kStorageCodes) {
    if (entry.dtype == dtype) return entry.code;
  }
  return std::nullopt;
}

Result<WeightFile> WeightFile::open(Bytes bytes, std::shared_ptr<const void> owner) {
  const Bytes head = TRY(slice(bytes, 0, sizeof(WeightFileHeader), "weight file header"));
  const auto header = load<WeightFileHeader>(head.data());
  if (header.version != kVersion) {
    return unsupported("weight file of version {}, expected {}", header.version, kVersion);
  }
  WeightFile file;
  file.bytes_ = bytes;
  file.owner_ = std::move(owner);
  return file;
}

Result<WeightRecord> WeightFile::record_at(uint64_t offset) const {
  if (bytes_.empty()) return not_found("the model refers to a weight file, but there is none");
  if (offset % kAlignment != 0 || offset < sizeof(WeightFileHeader)) {
    return invalid_data("weight record at offset {}: expected a positive multiple of {}", offset,
                        kAlignment);
  }
  const Bytes field = TRY(slice(bytes_, offset, sizeof(WeightRecord), "weight record"));
  const auto record = load<WeightRecord>(field.data());
  if (record.sentinel != kSentinel) {
    return invalid_data("weight record at offset {}: expected the mark {:#x}, found {:#x}", offset,
                        kSentinel, record.sentinel);
  }
  if (record.data_offset != offset + sizeof(WeightRecord)) {
    return invalid_data("weight record at offset {}: expected its data at {}, found {}", offset,
                        offset + sizeof(WeightRecord), record.data_offset);
  }
  TRY(slice(bytes_, record.data_offset, record.size, "weight data"));
  return record;
}

Result<WeightRef> WeightFile::weight(uint64_t record_offset, const TensorType& type) {
  // The type of a record is fixed, so the shape completes the key.
  const WeightRecord record = TRY(record_at(record_offset));
  const auto code = storage_code(type.dtype);
  if (!code || *code != record.dtype) {
    return invalid_data("weight record at offset {}: the model expects {}, the record holds {}",
                        record_offset, to_string(type), code_name(record.dtype));
  }
  const auto key = std::make_pair(record_offset, type.shape);
  const std::lock_guard lock(known_->mutex);
  auto& weights = known_->weights;
  if (const auto found = weights.find(key); found != weights.end()) return found->second;

  const uint64_t elements = TRY(element_count(type.shape));
  const uint64_t expected = TRY(packed_size(type));
  if (record.size != expected) {
    return invalid_data("weight record at offset {}: {} needs {} bytes, the record has {}",
                        record_offset, to_string(type), expected, record.size);
  }
  // Files from before sub-byte types may have anything in the field.
  if (is_sub_byte(type.dtype) && record.padding_bits != padding_bits(type, elements, expected)) {
    return invalid_data("weight record at offset {}: {} leaves {} bits unused, the record says {}",
                        record_offset, to_string(type), padding_bits(type, elements, expected),
                        record.padding_bits);
  }
  const Bytes data = bytes_.subspan(record.data_offset, record.size);
  WeightRef weight = TRY(mapped_weight(type, data, owner_));
  weights.emplace(key, weight);
  return weight;
}

Result<std::vector<WeightFile::Entry>> WeightFile::entries() const {
  std::vector<Entry> entries;
  if (bytes_.empty()) return entries;
  const uint32_t count = load<WeightFileHeader>(bytes_.data()).count;
  uint64_t offset = sizeof(WeightFileHeader);
  for (uint32_t i = 0; i < count; ++i) {
    const WeightRecord record = TRY(record_at(offset));
    entries.push_back({offset, record});
    offset = align_up(record.data_offset + record.size, kAlignment);
  }
  return entries;
}

Result<uint64_t> WeightFileBuilder::add(const WeightRef& weight) {
  if (const auto found = offsets_.find(weight.get()); found != offsets_.end()) return found->second;
  const auto code = storage_code(weight->dtype());
  if (!code) {
    return invalid_argument("a weight file cannot hold elements of type {}", name(weight->dtype()));
  }
  if (records_.size() == UINT32_MAX) return invalid_argument("too many weights for one file");

  const uint64_t offset = align_up(size_, kAlignment);
  WeightRecord record;
  record.dtype = *code;
  record.size = TRY(packed_size(weight->type()));
  record.data_offset = offset + sizeof(WeightRecord);
  if (is_sub_byte(weight->dtype())) {
    record.padding_bits = padding_bits(weight->type(), weight->elements(), record.size);
  }
  if (!checked_add(record.data_offset, record.size, &size_) || size_ > INT64_MAX) {
    return invalid_argument("the weight file would exceed 2^63 bytes");
  }
  records_.push_back(record);
  weights_.push_back(weight);
  offsets_.emplace(weight.get(), offset);
  return offset;
}

SourceRef WeightFileBuilder::source(std::shared_ptr<ThreadPool> pool) const {
  return std::make_shared<WeightFileSource>(weights_, records_, size_, std::move(pool));
}

}  // namespace diptych::coreml
