// Content hashing (XXH3, 128 bits) for identifiers that follow from what they identify.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"

namespace diptych {

using Digest = std::array<uint64_t, 2>;

class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  void add(Bytes bytes);
  void add(std::string_view text);  // length-prefixed, so that ("a","b") differs from ("ab","")
  void add(uint64_t number);
  void add(const Digest& digest) {
    add(digest[0]);
    add(digest[1]);
  }
  Digest digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The digest in the shape of a lowercase version-4 UUID, as Core ML's tools write ids.
std::string uuid_from(const Digest& digest);

}  // namespace diptych
