// Streams of bytes: large outputs (weights) are produced piece by piece, never held whole.
#pragma once

#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace diptych {

// Where bytes go, in order.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual Status write(Bytes bytes) = 0;
  Status write_zeros(uint64_t count);
};

// Collects everything in memory.
class MemorySink : public Sink {
 public:
  Status write(Bytes bytes) override {
    data.insert(data.end(), bytes.begin(), bytes.end());
    return {};
  }
  std::vector<std::byte> data;
};

// Bytes that can be produced on demand and whose number is known beforehand.
// write_to() writes exactly size() bytes and may be called more than once with the same result.
class Source {
 public:
  virtual ~Source() = default;
  virtual uint64_t size() const = 0;
  virtual Status write_to(Sink& sink) const = 0;
};
using SourceRef = std::shared_ptr<const Source>;

// A source that owns its bytes.
SourceRef memory_source(std::vector<std::byte> bytes);
SourceRef memory_source(std::string_view text);

// Everything a source produces, in memory: for tests and small sources.
Result<std::vector<std::byte>> read_all(const Source& source);

}  // namespace diptych
