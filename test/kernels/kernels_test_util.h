// What the tests of the kernels share: every instruction set, numbers, and places for weights.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/half.h"
#include "kernels/activations.h"
#include "kernels/isa.h"
#include "kernels/linear.h"
#include "kernels/outliers.h"

namespace diptych::kernels {

// Tests run once for each instruction set and skip those that the machine lacks.
class ForEachIsa : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (auto isa = isa_from_name(name(GetParam())); !isa) GTEST_SKIP() << isa.error().to_string();
  }
};
#define DIPTYCH_FOR_EACH_ISA(suite)                                \
  INSTANTIATE_TEST_SUITE_P(, suite, testing::ValuesIn(all_isas()), \
                           [](const auto& isa) { return std::string(name(isa.param)); })

// Bytes that end where an inaccessible page begins, as those of a mapped file may.
class GuardedBytes {
 public:
  explicit GuardedBytes(Bytes bytes) {
    const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    const size_t used = align_up(bytes.size(), page);
    size_ = used + page;
    map_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map_ == MAP_FAILED) throw std::bad_alloc();
    begin_ = static_cast<std::byte*>(map_) + used - bytes.size();
    if (!bytes.empty()) std::memcpy(begin_, bytes.data(), bytes.size());
    ::mprotect(static_cast<std::byte*>(map_) + used, page, PROT_NONE);
  }
  ~GuardedBytes() { ::munmap(map_, size_); }
  GuardedBytes(const GuardedBytes&) = delete;
  GuardedBytes& operator=(const GuardedBytes&) = delete;

  const std::byte* data() const { return begin_; }

 private:
  void* map_;
  size_t size_;
  std::byte* begin_;
};

// Bytes at an odd address.
class MisalignedBytes {
 public:
  explicit MisalignedBytes(Bytes bytes) : memory_(bytes.size() + 64) {
    const size_t odd = (reinterpret_cast<uintptr_t>(memory_.data()) & 1) ? 2 : 3;
    data_ = memory_.data() + odd;
    if (!bytes.empty()) std::memcpy(data_, bytes.data(), bytes.size());
  }
  const std::byte* data() const { return data_; }

 private:
  std::vector<std::byte> memory_;
  std::byte* data_;
};

inline std::vector<float> random_floats(size_t count, uint32_t seed, float scale = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

// Makes up to 11 values of each row, more in each than in the one before it, much larger than the
// others.
inline std::vector<float> with_outliers(std::vector<float> x, int64_t columns) {
  std::mt19937 random(77);
  for (int64_t m = 0; (m + 1) * columns <= std::ssize(x); ++m) {
    for (int64_t k = 0; k < m % 12; ++k) {
      x[static_cast<size_t>(m * columns + random() % columns)] *= 200 + static_cast<float>(k);
    }
  }
  return x;
}

inline std::vector<std::byte> random_bytes(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::byte> bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

// Floats in the bytes of a dtype.
inline std::vector<std::byte> encode(const std::vector<float>& values, DType dtype) {
  const size_t width = dtype == DType::F32 ? 4 : 2;
  std::vector<std::byte> bytes(values.size() * width);
  for (size_t i = 0; i < values.size(); ++i) {
    if (dtype == DType::F32) {
      store(&bytes[4 * i], values[i]);
    } else {
      store(&bytes[2 * i],
            dtype == DType::F16 ? float_to_half(values[i]) : float_to_bfloat16(values[i]));
    }
  }
  return bytes;
}

inline double decode(const std::vector<std::byte>& bytes, DType dtype, size_t index) {
  if (dtype == DType::F32) return load<float>(&bytes[4 * index]);
  const auto bits = load<uint16_t>(&bytes[2 * index]);
  return dtype == DType::F16 ? half_to_float(bits) : bfloat16_to_float(bits);
}

enum class Offsets : uint8_t { None, Some };

// An integer weight and where its bytes are.
struct Weight {
  DType dtype, scale_dtype;
  int64_t rows, columns, block;
  std::vector<std::byte> data, scales, offsets;

  Weight(DType type, int64_t row_count, int64_t column_count, int64_t columns_per_scale,
         DType scale_type = DType::F16, Offsets with = Offsets::None)
      : dtype(type),
        scale_dtype(scale_type),
        rows(row_count),
        columns(column_count),
        block(columns_per_scale) {
    const int64_t bits = dtype == DType::Int4 ? 4 : 8;
    data = random_bytes(static_cast<size_t>(rows * columns * bits / 8), 11);
    scales =
        encode(random_floats(static_cast<size_t>(rows * columns / block), 12, 0.02f), scale_dtype);
    if (with == Offsets::None) return;
    offsets =
        encode(random_floats(static_cast<size_t>(rows * columns / block), 18, 9.0f), scale_dtype);
  }

  LinearWeight at(const std::byte* values, const std::byte* scale_values,
                  const std::byte* offset_values) const {
    return {values,       dtype,       rows,  columns,
            scale_values, scale_dtype, block, offsets.empty() ? nullptr : offset_values};
  }
  LinearWeight here() const { return at(data.data(), scales.data(), offsets.data()); }

  int value(int64_t row, int64_t column) const {
    const auto index = static_cast<size_t>(row * columns + column);
    if (dtype == DType::Int8) return static_cast<int8_t>(data[index]);
    const int nibble = static_cast<int>(data[index / 2]) >> (index % 2 * 4) & 15;
    return nibble < 8 ? nibble : nibble - 16;
  }
  double scale(int64_t row, int64_t column) const {
    return decode(scales, scale_dtype,
                  static_cast<size_t>(row * (columns / block) + column / block));
  }
  double offset(int64_t row, int64_t column) const {
    if (offsets.empty()) return 0;
    return decode(offsets, scale_dtype,
                  static_cast<size_t>(row * (columns / block) + column / block));
  }
};

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Bytes at an address that activations may have.
class AlignedBytes {
 public:
  explicit AlignedBytes(size_t size) : memory_(size + 63), size_(size) {}

  std::byte* data() {
    return memory_.data() + (64 - reinterpret_cast<uintptr_t>(memory_.data()) % 64) % 64;
  }
  size_t size() const { return size_; }

 private:
  std::vector<std::byte> memory_;
  size_t size_;
};

// Quantised rows that own their memory, and what they stand for.
class Quantized {
 public:
  Quantized(Isa isa, const std::vector<float>& x, int64_t rows, int64_t columns, DType weights)
      : bytes_(quantized_bytes(isa, rows, columns)) {
    quantize(isa, x.data(), columns, columns, weights, rows, 0, rows, bytes_.data());
    view = {bytes_.data(), weights, rows, columns};
    outliers_.assign(outliers_of(isa, view), outliers_of(isa, view) + rows);
    for (int64_t m = 0; m < rows; ++m) {
      if (isa == Isa::Amx && rows >= ActivationTile::kRows &&
          columns <= ActivationTile::kMaxColumns) {
        read(row_of_tiles(m).data());
      } else if (isa == Isa::Scalar) {
        read(row_of<Chunk256>(m));
      } else {
        read(row_ending_in_whole_chunk(m).data());
      }
    }
  }
  Quantized(const Quantized&) = delete;
  Quantized& operator=(const Quantized&) = delete;

  QuantizedActivations view;

  // What stands for a value, an outlier included, which is zero besides.
  double number(int64_t m, int64_t column) const {
    const Outliers& outliers = outliers_[static_cast<size_t>(m)];
    for (int k = 0; k < outliers.count; ++k) {
      if (outliers.columns[k] != column) continue;
      EXPECT_EQ(value(m, column), 0);
      return outliers.values[k];
    }
    return static_cast<double>(value(m, column)) * scale(m, column);
  }
  int value(int64_t m, int64_t column) const { return values_[index(m, column)]; }
  float scale(int64_t m, int64_t column) const { return scales_[index(m, column)]; }

  const std::vector<int8_t>& values() const { return values_; }
  const std::vector<float>& scales() const { return scales_; }

 private:
  size_t index(int64_t m, int64_t column) const {
    return static_cast<size_t>(m * view.columns + column);
  }

  template <class Chunk>
  const Chunk* row_of(int64_t m) const {
    return reinterpret_cast<const Chunk*>(view.data) + m * chunks_of<Chunk>();
  }
  template <class Chunk>
  int64_t chunks_of() const {
    return (view.columns + Chunk::kColumns - 1) / Chunk::kColumns;
  }

  std::vector<Chunk512> row_of_tiles(int64_t m) const {
    const int64_t group = m / ActivationTile::kRows;
    const auto row = static_cast<size_t>(m % ActivationTile::kRows);
    const auto* tile = reinterpret_cast<const ActivationTile*>(view.data);
    std::vector<Chunk512> chunks(static_cast<size_t>(chunks_of<Chunk512>()));
    tile += group * chunks_of<Chunk512>();
    for (Chunk512& chunk : chunks) {
      for (size_t lane = 0; lane < kLanes; ++lane) {
        for (size_t plane = 0; plane < Chunk512::kPlanes; ++plane) {
          std::memcpy(&chunk.planes[plane][4 * lane], tile->values[lane][plane][row], 4);
        }
        chunk.scales[lane] = tile->scales[lane][row];
        chunk.offsets[lane] = tile->offsets[lane][row];
      }
      ++tile;
    }
    return chunks;
  }

  // A row whose last chunk, where that is a short one, has the form of the others.
  std::vector<Chunk512> row_ending_in_whole_chunk(int64_t m) const {
    const Chunk512* const from = row_of<Chunk512>(m);
    std::vector<Chunk512> chunks(from, from + chunks_of<Chunk512>());
    if (!ends_in_short_chunk(view.columns)) return chunks;
    const Chunk512 last = chunks.back();
    std::memset(chunks.back().planes, 0, sizeof last.planes);
    for (size_t plane = ShortChunk::kPlanes; plane < Chunk512::kPlanes; ++plane) {
      for (const int8_t value : last.planes[plane]) EXPECT_EQ(value, 0);
    }
    std::vector<int8_t> block(kBlock);
    for (int b = 0; b < ShortChunk::kBlocks; ++b) {
      for (int plane = 0; plane < ShortChunk::kPlanes; ++plane) {
        for (int byte = 0; byte < ShortChunk::kBlockBytes; ++byte) {
          block[static_cast<size_t>(ShortChunk::column(view.weights, plane, byte))] =
              last.planes[plane][4 * ShortChunk::first_lane(b) + byte];
        }
      }
      for (int plane = 0; plane < Chunk512::kPlanes; ++plane) {
        for (int byte = 0; byte < Chunk512::kBlockBytes; ++byte) {
          chunks.back().planes[plane][4 * Chunk512::first_lane(b) + byte] =
              block[static_cast<size_t>(Chunk512::column(view.weights, plane, byte))];
        }
      }
    }
    return chunks;
  }

  // Appends the values and scales of one row, and checks what else its chunks say.
  template <class Chunk>
  void read(const Chunk* row) {
    const auto first = values_.size();
    values_.resize(first + static_cast<size_t>(view.columns));
    scales_.resize(values_.size());
    for (int64_t begin = 0; begin < view.columns; begin += Chunk::kColumns, ++row) {
      for (int block = 0; block < Chunk::kBlocks; ++block) {
        for (int plane = 0; plane < Chunk::kPlanes; ++plane) {
          for (int byte = 0; byte < Chunk::kBlockBytes; ++byte) {
            const int lane = Chunk::first_lane(block) + byte / 4;
            const int8_t value = row->planes[plane][4 * lane + byte % 4];
            const int64_t column =
                begin + block * kBlock + Chunk::column(view.weights, plane, byte);
            if (column >= view.columns) {
              EXPECT_EQ(value, 0) << "column " << column;
              continue;
            }
            values_[first + static_cast<size_t>(column)] = value;
            scales_[first + static_cast<size_t>(column)] = row->scales[lane];
          }
        }
      }
      check_offsets(*row);
    }
  }

  template <class Chunk>
  void check_offsets(const Chunk& chunk) const {
    const int raised = view.weights == DType::Int4 ? 8 : 128;
    for (int lane = 0; lane < kLanes; ++lane) {
      int sum = 0;
      for (const auto& plane : chunk.planes) {
        for (int i = 0; i < 4; ++i) sum += plane[4 * lane + i];
      }
      const float want = static_cast<float>(-raised * sum) * chunk.scales[lane];
      if (std::isnan(want)) continue;
      EXPECT_EQ(std::bit_cast<uint32_t>(chunk.offsets[lane]), std::bit_cast<uint32_t>(want));
    }
  }

  AlignedBytes bytes_;
  std::vector<Outliers> outliers_;
  std::vector<int8_t> values_;
  std::vector<float> scales_;
};

}  // namespace diptych::kernels
