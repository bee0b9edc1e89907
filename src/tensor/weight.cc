#include "tensor/weight.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/half.h"

namespace diptych {

namespace {

// Rows are produced in blocks of about this many bytes when a whole weight is streamed.
constexpr uint64_t kBlockBytes = 1 << 20;

int64_t rows_per_block(const Weight& weight) {
  return std::max<int64_t>(
      1, static_cast<int64_t>(kBlockBytes / std::max<uint64_t>(1, weight.row_bytes())));
}

// Element `index` of a packed bit stream, zero-extended (widths below 8).
uint8_t unpack_bits(const std::byte* packed, uint64_t index, int width) {
  const uint64_t bit = index * static_cast<uint64_t>(width);
  const auto low = static_cast<unsigned>(packed[bit / 8]);
  const unsigned shift = bit % 8;
  unsigned value = low >> shift;
  if (shift + static_cast<unsigned>(width) > 8) {
    value |= static_cast<unsigned>(packed[bit / 8 + 1]) << (8 - shift);
  }
  return static_cast<uint8_t>(value & ((1u << width) - 1));
}

std::byte unpack_element(const std::byte* packed, uint64_t index, DType dtype) {
  const uint8_t value = unpack_bits(packed, index, bit_width(dtype));
  if (dtype == DType::Int4) return std::byte((value ^ 8) - 8);
  return std::byte(value);
}

class PackedWeight : public Weight {
 public:
  PackedWeight(TensorType type, Bytes packed, std::shared_ptr<const void> owner)
      : Weight(std::move(type)), packed_(packed), owner_(std::move(owner)) {}

  std::optional<Bytes> bytes() const override { return packed_; }

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    const uint64_t begin = static_cast<uint64_t>(first) * row_elements();
    const uint64_t elements = static_cast<uint64_t>(count) * row_elements();
    if (!is_sub_byte(dtype())) {
      const uint64_t width = static_cast<uint64_t>(bit_width(dtype())) / 8;
      if (elements > 0) std::memcpy(out.data(), packed_.data() + begin * width, elements * width);
      return {};
    }
    for (uint64_t i = 0; i < elements; ++i) {
      out[i] = unpack_element(packed_.data(), begin + i, dtype());
    }
    return {};
  }
  Status identify(Hasher& hasher, DigestCache&) const override {
    hasher.add(std::string_view("packed"));
    hasher.add(packed_);
    return {};
  }

 private:
  Bytes packed_;
  std::shared_ptr<const void> owner_;
};

// Weights that are a function of the element's index.
class GeneratedWeight : public Weight {
 public:
  enum class Kind : uint8_t { Zeros, Random, Iota };
  GeneratedWeight(TensorType type, Kind kind, uint64_t seed)
      : Weight(std::move(type)), kind_(kind), seed_(seed) {}

  std::string text() const {
    switch (kind_) {
      case Kind::Zeros:
        return "zeros";
      case Kind::Iota:
        return "iota";
      case Kind::Random:
        return fmt::format("random({})", seed_);
    }
    return {};
  }

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    if (kind_ == Kind::Zeros) {
      std::fill(out.begin(), out.end(), std::byte{0});
      return {};
    }
    const uint64_t begin = static_cast<uint64_t>(first) * row_elements();
    const uint64_t elements = static_cast<uint64_t>(count) * row_elements();
    const size_t width = elements ? out.size() / elements : 0;
    for (uint64_t i = 0; i < elements; ++i) write_element(&out[i * width], begin + i);
    return {};
  }
  Status identify(Hasher& hasher, DigestCache&) const override {
    hasher.add(text());
    return {};
  }

 private:
  // splitmix64 of (seed, index).
  uint64_t random_bits(uint64_t index) const {
    uint64_t z =
        seed_ * 0x9E3779B97F4A7C15ull + index * 0xBF58476D1CE4E5B9ull + 0x94D049BB133111EBull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }

  void write_element(std::byte* out, uint64_t index) const {
    const bool random = kind_ == Kind::Random;
    const uint64_t bits = random ? random_bits(index) : index;
    if (is_float(dtype())) {
      // 24 random bits make a multiple of 2^-23 in [-1, 1), exact in fp32.
      const double value =
          random ? static_cast<double>(bits >> 40) * 0x1p-23 - 1.0 : static_cast<double>(index);
      switch (dtype()) {
        case DType::F16:
          return store(out, float_to_half(static_cast<float>(value)));
        case DType::BF16:
          return store(out, float_to_bfloat16(static_cast<float>(value)));
        case DType::F64:
          return store(out, value);
        case DType::F8E4M3FN:
        case DType::F8E5M2:  // any bit pattern will do
          return store(out, static_cast<uint8_t>(bits));
        default:
          return store(out, static_cast<float>(value));
      }
    }
    switch (dtype()) {
      case DType::Bool:
        *out = std::byte(bits & 1);
        return;
      case DType::Int4:
        *out = std::byte(((bits & 15) ^ 8) - 8);
        return;
      case DType::UInt1:
        *out = std::byte(bits & 1);
        return;
      case DType::UInt2:
        *out = std::byte(bits & 3);
        return;
      case DType::UInt3:
        *out = std::byte(bits & 7);
        return;
      case DType::UInt4:
        *out = std::byte(bits & 15);
        return;
      case DType::UInt6:
        *out = std::byte(bits & 63);
        return;
      default:
        std::memcpy(out, &bits, static_cast<size_t>(bit_width(dtype())) / 8);
        return;
    }
  }

  Kind kind_;
  uint64_t seed_;
};

void to_floats(const std::byte* in, DType from, uint64_t count, float* out) {
  switch (from) {
    case DType::F16:
      for (uint64_t i = 0; i < count; ++i) out[i] = half_to_float(load<uint16_t>(in + 2 * i));
      break;
    case DType::BF16:
      for (uint64_t i = 0; i < count; ++i) out[i] = bfloat16_to_float(load<uint16_t>(in + 2 * i));
      break;
    case DType::F32:
      std::memcpy(out, in, count * 4);
      break;
    case DType::F64:
      for (uint64_t i = 0; i < count; ++i) out[i] = static_cast<float>(load<double>(in + 8 * i));
      break;
    default:
      break;
  }
}

void from_floats(const float* in, DType to, uint64_t count, std::byte* out) {
  switch (to) {
    case DType::F16:
      for (uint64_t i = 0; i < count; ++i) store(out + 2 * i, float_to_half(in[i]));
      break;
    case DType::BF16:
      for (uint64_t i = 0; i < count; ++i) store(out + 2 * i, float_to_bfloat16(in[i]));
      break;
    case DType::F32:
      std::memcpy(out, in, count * 4);
      break;
    case DType::F64:
      for (uint64_t i = 0; i < count; ++i) store(out + 8 * i, static_cast<double>(in[i]));
      break;
    default:
      break;
  }
}

bool is_castable(DType dtype) {
  return dtype == DType::F16 || dtype == DType::BF16 || dtype == DType::F32 || dtype == DType::F64;
}

class CastWeight : public Weight {
 public:
  CastWeight(WeightRef source, DType dtype)
      : Weight({dtype, source->shape()}), source_(std::move(source)) {}

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    const uint64_t elements = static_cast<uint64_t>(count) * row_elements();
    std::vector<std::byte> buffer(static_cast<uint64_t>(count) * source_->row_bytes());
    TRY(source_->read_rows(first, count, buffer));
    std::vector<float> values(elements);
    to_floats(buffer.data(), source_->dtype(), elements, values.data());
    from_floats(values.data(), dtype(), elements, out.data());
    return {};
  }
  Status identify(Hasher& hasher, DigestCache& cache) const override {
    hasher.add(std::string_view("cast"));
    hasher.add(source_->digest(cache));
    return {};
  }

 private:
  WeightRef source_;
};

class StreamedWeight : public Weight {
 public:
  StreamedWeight(WeightRef source, std::shared_ptr<const MappedFile> file)
      : Weight(source->type()), source_(std::move(source)), file_(std::move(file)) {}

  std::optional<Bytes> bytes() const override { return source_->bytes(); }

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    TRY(source_->read_rows(first, count, out));
    const auto all = source_->bytes();
    if (all && !is_sub_byte(dtype())) {
      file_->release(all->subspan(static_cast<uint64_t>(first) * row_bytes(), out.size()));
    }
    return {};
  }
  Status identify(Hasher& hasher, DigestCache& cache) const override {
    hasher.add(source_->digest(cache));
    if (const auto all = source_->bytes()) file_->release(*all);
    return {};
  }

 private:
  WeightRef source_;
  std::shared_ptr<const MappedFile> file_;
};

class RowSliceWeight : public Weight {
 public:
  RowSliceWeight(WeightRef source, int64_t first, Shape shape)
      : Weight({source->dtype(), std::move(shape)}), source_(std::move(source)), first_(first) {}

  std::optional<Bytes> bytes() const override {
    const auto whole = source_->bytes();
    if (!whole) return std::nullopt;
    const uint64_t bits = row_elements() * static_cast<uint64_t>(bit_width(dtype()));
    const uint64_t begin = bits * static_cast<uint64_t>(first_);
    const uint64_t end = begin + bits * static_cast<uint64_t>(rows());
    // Sub-byte rows may start or end inside a byte; then there is no packed form to point at.
    if (begin % 8 != 0 || (end % 8 != 0 && end / 8 + 1 != whole->size())) return std::nullopt;
    return whole->subspan(begin / 8, (end + 7) / 8 - begin / 8);
  }

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    return source_->read_rows(first_ + first, count, out);
  }

 private:
  WeightRef source_;
  int64_t first_;
};

class PackedSource : public Source {
 public:
  explicit PackedSource(WeightRef weight)
      : weight_(std::move(weight)), size_(packed_size(weight_->type()).value_or(0)) {}
  uint64_t size() const override { return size_; }

  Status write_to(Sink& sink) const override {
    if (const auto bytes = weight_->bytes()) return sink.write(*bytes);
    const int64_t block = rows_per_block(*weight_);
    std::vector<std::byte> rows;
    BitPacker packer(bit_width(weight_->dtype()));
    for (int64_t first = 0; first < weight_->rows(); first += block) {
      const int64_t count = std::min(block, weight_->rows() - first);
      rows.resize(static_cast<uint64_t>(count) * weight_->row_bytes());
      TRY(weight_->read_rows(first, count, rows));
      if (is_sub_byte(weight_->dtype())) {
        packer.pack(rows);
        TRY(sink.write(packer.take()));
      } else {
        TRY(sink.write(rows));
      }
    }
    return sink.write(packer.finish());
  }

 private:
  // Packs one-byte elements into a bit stream that runs on over rows.
  class BitPacker {
   public:
    explicit BitPacker(int width) : width_(static_cast<unsigned>(width)) {}
    void pack(Bytes elements) {
      out_.clear();
      out_.reserve(elements.size() * width_ / 8 + 1);
      size_t i = 0;
      if (width_ == 4 && filled_ == 0) {
        for (; i + 1 < elements.size(); i += 2) {
          out_.push_back((elements[i] & std::byte{15}) | (elements[i + 1] << 4));
        }
      }
      for (; i < elements.size(); ++i) {
        pending_ |= (static_cast<unsigned>(elements[i]) & ((1u << width_) - 1)) << filled_;
        filled_ += width_;
        if (filled_ >= 8) {
          out_.push_back(std::byte(pending_ & 0xFF));
          pending_ >>= 8;
          filled_ -= 8;
        }
      }
    }
    Bytes take() const { return out_; }
    Bytes finish() {
      out_.clear();
      if (filled_ > 0) out_.push_back(std::byte(pending_ & 0xFF));
      filled_ = 0;
      return out_;
    }

   private:
    unsigned width_, pending_ = 0, filled_ = 0;
    std::vector<std::byte> out_;
  };

  WeightRef weight_;
  uint64_t size_;
};

}  // namespace

Weight::Weight(TensorType type) : type_(std::move(type)) {
  // Constructors below are only reached with shapes whose size has been checked; an unchecked
  // shape gives an empty weight rather than a wrong one.
  elements_ = element_count(type_.shape).value_or(0);
  const auto row_count = static_cast<uint64_t>(std::max<int64_t>(rows(), 0));
  row_elements_ = row_count ? elements_ / row_count : 0;
}

uint64_t Weight::row_bytes() const {
  const int bits = bit_width(dtype());
  return row_elements_ * static_cast<uint64_t>(bits < 8 ? 1 : bits / 8);
}

Status Weight::read_rows(int64_t first, int64_t count, MutableBytes out) const {
  if (first < 0 || count < 0 || first > rows() || count > rows() - first ||
      out.size() != static_cast<uint64_t>(count) * row_bytes()) {
    return fail(ErrorCode::Internal, "rows {}+{} of a weight {} into {} bytes", first, count,
                to_string(type_), out.size());
  }
  return do_read_rows(first, count, out);
}

Status Weight::identify(Hasher& hasher, DigestCache&) const {
  std::vector<std::byte> buffer;
  const int64_t block = rows_per_block(*this);
  for (int64_t first = 0; first < rows(); first += block) {
    const int64_t count = std::min(block, rows() - first);
    buffer.resize(static_cast<uint64_t>(count) * row_bytes());
    TRY(read_rows(first, count, buffer));
    hasher.add(Bytes(buffer));
  }
  return {};
}

Digest Weight::digest(DigestCache& cache) const {
  if (const auto known = cache.find(this); known != cache.end()) return known->second;
  Hasher hasher;
  hasher.add(to_string(type_));
  // A weight that cannot be read fails when it is written; until then its error identifies it.
  if (const Status status = identify(hasher, cache); !status) hasher.add(status.error().message);
  return cache[this] = hasher.digest();
}

Result<std::vector<float>> read_floats(const Weight& weight, int64_t first, int64_t count) {
  std::vector<std::byte> buffer(static_cast<uint64_t>(count) * weight.row_bytes());
  TRY(weight.read_rows(first, count, buffer));
  std::vector<float> values(static_cast<uint64_t>(count) * weight.row_elements());
  if (is_castable(weight.dtype())) {
    to_floats(buffer.data(), weight.dtype(), values.size(), values.data());
    return values;
  }
  if (is_float(weight.dtype())) {
    return unsupported("reading {} as numbers", name(weight.dtype()));
  }
  const size_t width = values.empty() ? 0 : buffer.size() / values.size();
  const bool is_signed = weight.dtype() == DType::Int4 || weight.dtype() == DType::Int8 ||
                         weight.dtype() == DType::Int16 || weight.dtype() == DType::Int32 ||
                         weight.dtype() == DType::Int64;
  for (size_t i = 0; i < values.size(); ++i) {
    uint64_t bits = 0;
    std::memcpy(&bits, &buffer[i * width], width);
    const unsigned unused = 64 - 8 * static_cast<unsigned>(width);
    values[i] = is_signed ? static_cast<float>(static_cast<int64_t>(bits << unused) >> unused)
                          : static_cast<float>(bits);
  }
  return values;
}

Result<std::vector<float>> read_floats(const Weight& weight) {
  return read_floats(weight, 0, weight.rows());
}

Result<std::vector<int64_t>> read_ints(const Weight& weight) {
  if (is_float(weight.dtype())) {
    return invalid_data("expected integers, found {}", to_string(weight.type()));
  }
  std::vector<std::byte> buffer(static_cast<uint64_t>(weight.rows()) * weight.row_bytes());
  TRY(weight.read_rows(0, weight.rows(), buffer));
  std::vector<int64_t> values(weight.elements());
  const size_t width = values.empty() ? 0 : buffer.size() / values.size();
  for (size_t i = 0; i < values.size(); ++i) {
    const std::byte* at = &buffer[i * width];
    switch (weight.dtype()) {
      case DType::Int4:
      case DType::Int8:
        values[i] = load<int8_t>(at);
        break;
      case DType::Int16:
        values[i] = load<int16_t>(at);
        break;
      case DType::Int32:
        values[i] = load<int32_t>(at);
        break;
      case DType::Bool:
        values[i] = *at != std::byte{0};
        break;
      default:
        std::memcpy(&values[i], at, width);
        break;  // unsigned and int64
    }
  }
  return values;
}

SourceRef packed_source(WeightRef weight) {
  return std::make_shared<PackedSource>(std::move(weight));
}

Result<WeightRef> mapped_weight(TensorType type, Bytes packed, std::shared_ptr<const void> owner) {
  const uint64_t size = TRY(packed_size(type));
  if (size != packed.size()) {
    return invalid_data("{} needs {} bytes, found {}", to_string(type), size, packed.size());
  }
  return WeightRef(std::make_shared<PackedWeight>(std::move(type), packed, std::move(owner)));
}

Result<WeightRef> memory_weight(TensorType type, std::vector<std::byte> packed) {
  auto owner = std::make_shared<const std::vector<std::byte>>(std::move(packed));
  return mapped_weight(std::move(type), *owner, owner);
}

WeightRef constant_ints(DType dtype, Shape shape, const std::vector<int64_t>& values) {
  const auto width = static_cast<size_t>(bit_width(dtype)) / 8;
  std::vector<std::byte> packed(values.size() * width);
  for (size_t i = 0; i < values.size(); ++i) std::memcpy(&packed[i * width], &values[i], width);
  return memory_weight({dtype, std::move(shape)}, std::move(packed)).value();
}

WeightRef constant_floats(DType dtype, Shape shape, const std::vector<double>& values) {
  std::vector<std::byte> packed(values.size() * static_cast<size_t>(bit_width(dtype)) / 8);
  for (size_t i = 0; i < values.size(); ++i) {
    if (dtype == DType::F64) {
      store(&packed[i * 8], values[i]);
    } else {
      const auto value = static_cast<float>(values[i]);
      from_floats(&value, dtype, 1, &packed[i * static_cast<size_t>(bit_width(dtype)) / 8]);
    }
  }
  return memory_weight({dtype, std::move(shape)}, std::move(packed)).value();
}

WeightRef zeros(TensorType type) {
  return std::make_shared<GeneratedWeight>(std::move(type), GeneratedWeight::Kind::Zeros, 0);
}
WeightRef random_weight(TensorType type, uint64_t seed) {
  return std::make_shared<GeneratedWeight>(std::move(type), GeneratedWeight::Kind::Random, seed);
}
WeightRef iota_weight(TensorType type) {
  return std::make_shared<GeneratedWeight>(std::move(type), GeneratedWeight::Kind::Iota, 0);
}
std::string generator_text(const Weight& weight) {
  const auto* generated = dynamic_cast<const GeneratedWeight*>(&weight);
  return generated ? generated->text() : "";
}

WeightRef streamed_weight(WeightRef source, std::shared_ptr<const MappedFile> file) {
  return std::make_shared<StreamedWeight>(std::move(source), std::move(file));
}

WeightRef cast(WeightRef source, DType dtype) {
  if (source->dtype() == dtype) return source;
  return std::make_shared<CastWeight>(std::move(source), dtype);
}

WeightRef row_slice(WeightRef source, int64_t first, int64_t count) {
  Shape shape = source->shape();
  shape.at(0) = count;
  return std::make_shared<RowSliceWeight>(std::move(source), first, std::move(shape));
}

}  // namespace diptych
