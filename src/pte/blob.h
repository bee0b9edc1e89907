// Payloads of a program file: views when it was read, recipes when it is to be written.
#pragma once

#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/stream.h"

namespace diptych::pte {

// An immutable run of bytes. It lets one Program type serve the reader, with views into the mapped
// file, and the writer, with streams of known size whose bytes are made while writing. Copies are
// cheap and share the bytes.
class Blob {
 public:
  Blob() = default;  // no bytes

  // Bytes that the caller keeps alive and unchanged, at any address.
  static Blob view(Bytes bytes);
  // Bytes that the blob and its copies own.
  static Blob own(std::vector<std::byte> bytes);
  static Blob own(std::string_view text);
  // Bytes produced on demand; never held as a whole.
  static Blob produced(SourceRef source);

  uint64_t size() const { return source_ ? source_->size() : bytes_.size(); }
  bool in_memory() const { return source_ == nullptr; }
  // The bytes of a blob in memory; empty for a produced one.
  Bytes bytes() const { return bytes_; }
  Status write_to(Sink& sink) const;

  // The first `size` bytes (at most size()) of a blob in memory.
  Blob first(uint64_t size) const;

  // Equal blobs may be stored once: blobs in memory are equal by content, produced ones by
  // identity.
  bool operator==(const Blob& other) const { return !(*this < other) && !(other < *this); }
  // A total order that agrees with ==. For produced blobs it differs between runs.
  bool operator<(const Blob& other) const;

 private:
  Bytes bytes_;
  std::shared_ptr<const void> owner_;
  SourceRef source_;
};

}  // namespace diptych::pte
