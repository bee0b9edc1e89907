#include "pte/blob.h"

#include <cstring>
#include <functional>

namespace diptych::pte {

Blob Blob::view(Bytes bytes) {
  Blob blob;
  blob.bytes_ = bytes;
  return blob;
}

Blob Blob::own(std::vector<std::byte> bytes) {
  auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  Blob blob;
  blob.bytes_ = *owner;
  blob.owner_ = std::move(owner);
  return blob;
}

Blob Blob::own(std::string_view text) {
  const Bytes bytes = as_bytes(text);
  return own(std::vector<std::byte>(bytes.begin(), bytes.end()));
}

Blob Blob::produced(SourceRef source) {
  Blob blob;
  blob.source_ = std::move(source);
  return blob;
}

Status Blob::write_to(Sink& sink) const {
  return source_ ? source_->write_to(sink) : sink.write(bytes_);
}

Blob Blob::first(uint64_t size) const {
  Blob blob = *this;
  blob.bytes_ = bytes_.first(size);
  return blob;
}

bool Blob::operator<(const Blob& other) const {
  if (source_ != other.source_) return std::less<>{}(source_.get(), other.source_.get());
  if (bytes_.size() != other.bytes_.size()) return bytes_.size() < other.bytes_.size();
  if (bytes_.data() == other.bytes_.data() || bytes_.empty()) return false;
  return std::memcmp(bytes_.data(), other.bytes_.data(), bytes_.size()) < 0;
}

}  // namespace diptych::pte
