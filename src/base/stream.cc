#include "base/stream.h"

#include <algorithm>
#include <array>

namespace diptych {

Status Sink::write_zeros(uint64_t count) {
  static constexpr std::array<std::byte, 4096> kZeros{};
  while (count > 0) {
    const uint64_t n = std::min<uint64_t>(count, kZeros.size());
    TRY(write(Bytes(kZeros).first(n)));
    count -= n;
  }
  return {};
}

namespace {
class MemorySource : public Source {
 public:
  explicit MemorySource(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  uint64_t size() const override { return bytes_.size(); }
  Status write_to(Sink& sink) const override { return sink.write(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};
}  // namespace

SourceRef memory_source(std::vector<std::byte> bytes) {
  return std::make_shared<MemorySource>(std::move(bytes));
}

SourceRef memory_source(std::string_view text) {
  Bytes bytes = as_bytes(text);
  return memory_source(std::vector<std::byte>(bytes.begin(), bytes.end()));
}

Result<std::vector<std::byte>> read_all(const Source& source) {
  MemorySink sink;
  TRY(source.write_to(sink));
  return std::move(sink.data);
}

}  // namespace diptych
