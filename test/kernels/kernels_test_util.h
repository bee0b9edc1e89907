// What the tests of the kernels share: every instruction set, numbers, and places for weights.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/half.h"
#include "kernels/activations.h"
#include "kernels/isa.h"

namespace diptych::kernels {

// Tests run once for each instruction set and skip those that the machine lacks.
class ForEachIsa : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (auto isa = isa_from_name(name(GetParam())); !isa) GTEST_SKIP() << isa.error().to_string();
  }
};
#define DIPTYCH_FOR_EACH_ISA(suite)                                                       \
  INSTANTIATE_TEST_SUITE_P(, suite, testing::Values(Isa::Scalar, Isa::Avx2, Isa::Avx512), \
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
    std::memcpy(begin_, bytes.data(), bytes.size());
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
    std::memcpy(data_, bytes.data(), bytes.size());
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

// Quantised rows that own their memory.
struct Quantized {
  std::vector<ActivationChunk> chunks;
  QuantizedActivations view;

  Quantized(Isa isa, const std::vector<float>& x, int64_t rows, int64_t columns, DType weights)
      : chunks(quantized_bytes(rows, columns) / sizeof(ActivationChunk)) {
    auto* out = reinterpret_cast<std::byte*>(chunks.data());
    quantize(isa, x.data(), columns, columns, weights, 0, rows, out);
    view = {out, weights, rows, columns};
  }

  // The chunk of a column, and where its block's bytes begin in each plane.
  const ActivationChunk& chunk(int64_t m, int64_t column) const {
    return chunks[static_cast<size_t>(m * ((view.columns + 255) / 256) + column / 256)];
  }
  static int64_t slot(int64_t column) {
    const int64_t block = column % 256 / 32;
    return block < 4 ? 2 * block : 2 * (block - 4) + 1;
  }
  int value(int64_t m, int64_t column) const {
    const int64_t i = column % 32;
    const int64_t plane = view.weights == DType::Int8 ? i / 8 : i / 16 * 2 + i % 2;
    const int64_t byte = view.weights == DType::Int8 ? i % 8 : i % 16 / 2;
    return chunk(m, column).planes[plane][8 * slot(column) + byte];
  }
  float scale(int64_t m, int64_t column) const { return chunk(m, column).scales[2 * slot(column)]; }
};

}  // namespace diptych::kernels
