// Views of bytes and a bounds-checked little-endian reader over them.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/error.h"

namespace diptych {

static_assert(std::endian::native == std::endian::little,
              "all formats here are little-endian and read by memcpy");

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Loads a scalar from any address: files are mapped, so nothing in them is aligned.
template <class T>
T load(const void* from) {
  static_assert(std::is_trivially_copyable_v<T>);
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}
template <class T>
void store(void* to, T value) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::memcpy(to, &value, sizeof(T));
}

// bytes[offset, offset+size), or an error that says what was being read and where.
Result<Bytes> slice(Bytes bytes, uint64_t offset, uint64_t size, std::string_view what);

// True when [offset, offset+size) lies inside [0, limit), without overflow.
constexpr bool range_fits(uint64_t offset, uint64_t size, uint64_t limit) {
  return offset <= limit && size <= limit - offset;
}

// Rounds up to a multiple of a power of two. The caller has checked that it does not overflow.
constexpr uint64_t align_up(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}

// a*b and a+b, or false when the result does not fit.
inline bool checked_mul(uint64_t a, uint64_t b, uint64_t* out) {
  return !__builtin_mul_overflow(a, b, out);
}
inline bool checked_add(uint64_t a, uint64_t b, uint64_t* out) {
  return !__builtin_add_overflow(a, b, out);
}

// Reads scalars one after another; every read is bounds-checked and errors name the offset.
class ByteReader {
 public:
  explicit ByteReader(Bytes bytes, uint64_t base_offset = 0) : bytes_(bytes), base_(base_offset) {}

  template <class T>
  Result<T> read(std::string_view what) {
    auto field = take(sizeof(T), what);
    if (!field) return tl::unexpected(std::move(field.error()));
    return load<T>(field->data());
  }
  Result<Bytes> take(uint64_t size, std::string_view what);
  Status skip(uint64_t size, std::string_view what);

  uint64_t offset() const { return base_ + position_; }  // in the file
  uint64_t remaining() const { return bytes_.size() - position_; }

 private:
  Bytes bytes_;
  uint64_t base_;
  uint64_t position_ = 0;
};

}  // namespace diptych
