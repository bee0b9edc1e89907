#include "tensor/rotation.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <mutex>
#include <numbers>
#include <optional>

namespace diptych {

namespace {

// Columns that are rotated together, side by side in a buffer that stays in a core's cache.
constexpr size_t kStrip = 32;
// Rows of a block are read in parts of about this many bytes.
constexpr uint64_t kReadAtOnce = 1 << 20;

// x, y = x + y, x - y
void butterfly(float* x, float* y, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const float a = x[i], b = y[i];
    x[i] = a + b;
    y[i] = a - b;
  }
}

// The butterflies of one and of two elements over a vector.
void small_butterflies(float* x, size_t count) {
  for (size_t i = 0; i < count; i += 4) {
    const float a = x[i] + x[i + 1], b = x[i] - x[i + 1];
    const float c = x[i + 2] + x[i + 3], d = x[i + 2] - x[i + 3];
    x[i] = a + c;
    x[i + 1] = b + d;
    x[i + 2] = a - c;
    x[i + 3] = b - d;
  }
}

// Multiplies a matrix [rows, width], `rows` a power of two, by Sylvester's matrix from the left.
void multiply_by_sylvester(float* matrix, size_t rows, size_t width) {
  const size_t count = rows * width;
  size_t half = width;
  if (width == 1 && rows >= 4) {
    small_butterflies(matrix, count);
    half = 4;
  }
  for (; half < count; half *= 2) {
    for (size_t at = 0; at < count; at += 2 * half) {
      butterfly(matrix + at, matrix + at + half, half);
    }
  }
}

}  // namespace

int64_t odd_part(int64_t n) {
  while (n > 1 && n % 2 == 0) n /= 2;
  return n;
}

Rotation::Rotation(size_t n)
    : size_(n), odd_(static_cast<size_t>(odd_part(static_cast<int64_t>(n)))), sine_(odd_ * odd_) {
  const auto period = static_cast<double>(odd_ + 1);
  const double factor = std::sqrt(2 / period / static_cast<double>(n / odd_));
  for (size_t i = 0; i < odd_; ++i) {
    for (size_t j = 0; j < odd_; ++j) {
      const auto product = static_cast<double>((i + 1) * (j + 1) % (2 * (odd_ + 1)));
      sine_[i * odd_ + j] =
          static_cast<float>(factor * std::sin(std::numbers::pi * product / period));
    }
  }
}

void Rotation::rotate(float* matrix, size_t width, std::vector<float>& room) const {
  const size_t rows = size_ / odd_, count = rows * width;  // of a part
  room.resize(size_ * width);
  for (size_t i = 0; i < odd_; ++i) {
    float* const sum = &room[i * count];
    std::fill_n(sum, count, 0.0f);
    for (size_t j = 0; j < odd_; ++j) {
      const float factor = sine_[i * odd_ + j];
      const float* const part = matrix + j * count;
      for (size_t c = 0; c < count; ++c) sum[c] += factor * part[c];
    }
    multiply_by_sylvester(sum, rows, width);
  }
  std::copy(room.begin(), room.end(), matrix);
}

void Rotation::rotate_rows(float* matrix, size_t width) const {
  std::vector<float> strip, room;
  for (size_t first = 0; first < width; first += kStrip) {
    const size_t count = std::min(kStrip, width - first);
    float* const corner = matrix + first;
    strip.resize(size_ * count);
    for (size_t i = 0; i < size_; ++i) std::copy_n(corner + i * width, count, &strip[i * count]);
    rotate(strip.data(), count, room);
    for (size_t i = 0; i < size_; ++i) std::copy_n(&strip[i * count], count, corner + i * width);
  }
}

void Rotation::rotate_columns(float* matrix, size_t rows, size_t width) const {
  std::vector<float> room;
  for (size_t at = 0; at < rows * width; at += size_) rotate(matrix + at, 1, room);
}

class RotationMemory {
 public:
  using Values = std::shared_ptr<const std::vector<float>>;

  // Block `block` of weight `weight`, made by make() unless it is the one that is kept. One is made
  // at a time.
  template <class Make>
  Result<Values> get(uint64_t weight, int64_t block, Make make) {
    const std::lock_guard lock(mutex_);
    if (!kept_ || weight_ != weight || block_ != block) {
      kept_.reset();
      kept_ = std::make_shared<const std::vector<float>>(TRY(make()));
      weight_ = weight;
      block_ = block;
    }
    return kept_;
  }

 private:
  std::mutex mutex_;
  Values kept_;
  uint64_t weight_ = 0;
  int64_t block_ = 0;
};

namespace {

class Rotated : public Weight {
 public:
  Rotated(WeightRef source, RotationBlocks blocks, std::shared_ptr<RotationMemory> memory)
      : Weight({DType::F32, source->shape()}),
        source_(std::move(source)),
        blocks_(blocks),
        memory_(std::move(memory)) {
    if (blocks.rows > 0) of_rows_.emplace(static_cast<size_t>(blocks.rows));
    if (blocks.columns > 0) of_columns_.emplace(static_cast<size_t>(blocks.columns));
    static std::atomic<uint64_t> made = 0;
    number_ = ++made;
  }

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    if (blocks_.rows == 0) {
      const std::vector<float> values = TRY(columns_rotated(first, count));
      if (!values.empty()) std::memcpy(out.data(), values.data(), out.size());
      return {};
    }
    const uint64_t width = row_bytes();
    for (const int64_t end = first + count; first < end;) {
      const int64_t block = first / blocks_.rows, start = block * blocks_.rows;
      const int64_t part = std::min(end, start + blocks_.rows) - first;
      const auto values = TRY(memory_->get(number_, block, [&] { return block_rotated(start); }));
      std::memcpy(out.data(),
                  values->data() + static_cast<uint64_t>(first - start) * row_elements(),
                  static_cast<uint64_t>(part) * width);
      out = out.subspan(static_cast<uint64_t>(part) * width);
      first += part;
    }
    return {};
  }
  Status identify(Hasher& hasher, DigestCache& cache) const override {
    hasher.add(std::string_view("rotated"));
    hasher.add(static_cast<uint64_t>(blocks_.rows));
    hasher.add(static_cast<uint64_t>(blocks_.columns));
    hasher.add(source_->digest(cache));
    return {};
  }

 private:
  Result<std::vector<float>> columns_rotated(int64_t first, int64_t count) const {
    std::vector<float> values = TRY(read_floats(*source_, first, count));
    if (of_columns_) {
      const auto width = static_cast<size_t>(row_elements());
      of_columns_->rotate_columns(values.data(), static_cast<size_t>(count), width);
    }
    return values;
  }

  // All rows of the block that begins at `start`.
  Result<std::vector<float>> block_rotated(int64_t start) const {
    const auto width = static_cast<size_t>(row_elements());
    std::vector<float> values(static_cast<size_t>(blocks_.rows) * width);
    const auto part = static_cast<int64_t>(std::max<uint64_t>(1, kReadAtOnce / row_bytes()));
    for (int64_t row = 0; row < blocks_.rows; row += part) {
      const std::vector<float> rows =
          TRY(columns_rotated(start + row, std::min(part, blocks_.rows - row)));
      std::copy(rows.begin(), rows.end(),
                values.begin() + row * static_cast<std::ptrdiff_t>(width));
    }
    of_rows_->rotate_rows(values.data(), width);
    return values;
  }

  WeightRef source_;
  RotationBlocks blocks_;
  std::optional<Rotation> of_rows_, of_columns_;
  std::shared_ptr<RotationMemory> memory_;
  uint64_t number_ = 0;  // no other's
};

}  // namespace

std::shared_ptr<RotationMemory> new_rotation_memory() { return std::make_shared<RotationMemory>(); }

WeightRef rotated(WeightRef source, RotationBlocks blocks, std::shared_ptr<RotationMemory> memory) {
  return std::make_shared<Rotated>(std::move(source), blocks, std::move(memory));
}

}  // namespace diptych
