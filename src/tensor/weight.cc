#include "tensor/weight.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "base/thread_pool.h"
#include "tensor/convert.h"
#include "tensor/pack.h"
#include "tensor/slice_origin.h"
#include "tensor/stored_blocks.h"

namespace diptych {

namespace {

// Rows are produced in blocks of about this many bytes when a whole weight is streamed.
constexpr uint64_t kBlockBytes = 1 << 20;

// A mapped weight is hashed in steps of this size.
constexpr uint64_t kHashedAtOnce = 16 << 20;

// In front of the packed bytes of a tensor in its digest.
constexpr std::string_view kPackedMark = "packed";

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
    hasher.add(kPackedMark);
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

class CastWeight : public Weight, public HasStoredBlocks {
 public:
  CastWeight(WeightRef source, DType dtype)
      : Weight({dtype, source->shape()}), source_(std::move(source)) {}

  std::optional<StoredBlocks> stored_blocks() const override {
    return diptych::stored_blocks(*source_);
  }

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    const uint64_t elements = static_cast<uint64_t>(count) * row_elements();
    std::vector<std::byte> buffer(static_cast<uint64_t>(count) * source_->row_bytes());
    TRY(source_->read_rows(first, count, buffer));
    convert_floats(buffer.data(), source_->dtype(), elements, out.data(), dtype());
    return {};
  }
  // What is small is known by its elements, so that norms are the same model whether a checkpoint
  // holds them in 16 bits or, as GGUF files do, in 32.
  Status identify(Hasher& hasher, DigestCache& cache) const override {
    constexpr uint64_t kSmall = 64 << 10;
    if (elements() <= kSmall) return Weight::identify(hasher, cache);
    hasher.add(std::string_view("cast"));
    hasher.add(source_->digest(cache));
    return {};
  }

 private:
  WeightRef source_;
};

class StreamedWeight : public Weight, public HasStoredBlocks {
 public:
  StreamedWeight(WeightRef source, std::shared_ptr<const MappedFile> file)
      : Weight(source->type()), source_(std::move(source)), file_(std::move(file)) {}

  std::optional<Bytes> bytes() const override { return source_->bytes(); }
  std::optional<StoredBlocks> stored_blocks() const override {
    return stored_through(*source_,
                          [&](const WeightRef& part) { return streamed_weight(part, file_); });
  }

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    TRY(source_->read_rows(first, count, out));
    file_->note_read(out.size());
    return {};
  }
  Status identify(Hasher& hasher, DigestCache& cache) const override {
    const auto all = source_->bytes();
    if (!all) return identify_as(*source_, hasher, cache);
    // As the packed bytes, in steps between which pages can be released.
    hasher.add(kPackedMark);
    for (uint64_t at = 0; at < all->size(); at += kHashedAtOnce) {
      const uint64_t size = std::min(kHashedAtOnce, all->size() - at);
      hasher.add(all->subspan(at, size));
      file_->note_read(size);
    }
    return {};
  }

 private:
  WeightRef source_;
  std::shared_ptr<const MappedFile> file_;
};

class RowSliceWeight : public Weight, public HasStoredBlocks {
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

  std::optional<StoredBlocks> stored_blocks() const override {
    return stored_through(*source_,
                          [&](const WeightRef& part) { return row_slice(part, first_, rows()); });
  }

  SliceOrigin origin() const { return {source_, first_}; }

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    return source_->read_rows(first_ + first, count, out);
  }

 private:
  WeightRef source_;
  int64_t first_;
};

// Blocks of rows are produced side by side, as many as there are threads, and written in order.
class PackedSource : public Source {
 public:
  PackedSource(WeightRef weight, std::shared_ptr<ThreadPool> pool)
      : weight_(std::move(weight)),
        pool_(std::move(pool)),
        size_(packed_size(weight_->type()).value_or(0)) {}
  uint64_t size() const override { return size_; }

  Status write_to(Sink& sink) const override {
    if (const auto bytes = weight_->bytes()) return sink.write(*bytes);
    // Eight rows end at a byte whatever the width of an element.
    const auto rows =
        static_cast<int64_t>(align_up(static_cast<uint64_t>(rows_per_block(*weight_)), 8));
    std::vector<Block> blocks(pool_ ? static_cast<size_t>(pool_->threads()) : 1);
    for (int64_t first = 0; first < weight_->rows();) {
      size_t used = 0;
      for (; used < blocks.size() && first < weight_->rows(); ++used) {
        blocks[used].first = first;
        blocks[used].count = std::min(rows, weight_->rows() - first);
        first += blocks[used].count;
      }
      if (used > 1) {
        pool_->parallel_for(static_cast<int64_t>(used), 1, [&](int64_t begin, int64_t end) {
          for (; begin < end; ++begin) produce(blocks[static_cast<size_t>(begin)]);
        });
      } else {
        produce(blocks[0]);
      }
      for (size_t i = 0; i < used; ++i) {
        TRY(std::move(blocks[i].status));
        TRY(sink.write(is_sub_byte(weight_->dtype()) ? blocks[i].packed : blocks[i].rows));
      }
    }
    return {};
  }

 private:
  struct Block {
    int64_t first = 0, count = 0;
    Status status;
    std::vector<std::byte> rows, packed;
  };

  void produce(Block& block) const {
    block.rows.resize(static_cast<uint64_t>(block.count) * weight_->row_bytes());
    block.status = weight_->read_rows(block.first, block.count, block.rows);
    if (block.status && is_sub_byte(weight_->dtype())) {
      pack_bits(block.rows, static_cast<unsigned>(bit_width(weight_->dtype())), block.packed);
    }
  }

  WeightRef weight_;
  std::shared_ptr<ThreadPool> pool_;
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
  hasher.add(std::string_view(is_sub_byte(dtype()) ? "rows" : kPackedMark));
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
  if (cache.made_up) return {};
  if (const auto known = cache.known.find(this); known != cache.known.end()) return known->second;
  Hasher hasher;
  hasher.add(to_string(type_));
  if (Status status = identify(hasher, cache); !status && cache.failure) {
    cache.failure = std::move(status);
  }
  return cache.known[this] = hasher.digest();
}

Result<std::vector<float>> read_floats(const Weight& weight, int64_t first, int64_t count) {
  std::vector<std::byte> buffer(static_cast<uint64_t>(count) * weight.row_bytes());
  TRY(weight.read_rows(first, count, buffer));
  std::vector<float> values(static_cast<uint64_t>(count) * weight.row_elements());
  if (is_castable(weight.dtype())) {
    convert_floats(buffer.data(), weight.dtype(), values.size(),
                   reinterpret_cast<std::byte*>(values.data()), DType::F32);
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

SourceRef packed_source(WeightRef weight, std::shared_ptr<ThreadPool> pool) {
  return std::make_shared<PackedSource>(std::move(weight), std::move(pool));
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
      convert_floats(reinterpret_cast<const std::byte*>(&value), DType::F32, 1,
                     &packed[i * static_cast<size_t>(bit_width(dtype)) / 8], dtype);
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

std::optional<StoredBlocks> stored_blocks(const Weight& weight) {
  const auto* source = dynamic_cast<const HasStoredBlocks*>(&weight);
  return source ? source->stored_blocks() : std::nullopt;
}

SliceOrigin slice_origin(const Weight& weight) {
  const auto* slice = dynamic_cast<const RowSliceWeight*>(&weight);
  return slice ? slice->origin() : SliceOrigin{};
}

}  // namespace diptych
