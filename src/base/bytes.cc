#include "base/bytes.h"

namespace diptych {

Result<Bytes> slice(Bytes bytes, uint64_t offset, uint64_t size, std::string_view what) {
  if (!range_fits(offset, size, bytes.size())) {
    return invalid_data("{}: {} bytes at offset {} exceed the {} bytes that are there", what, size,
                        offset, bytes.size());
  }
  return bytes.subspan(offset, size);
}

Result<Bytes> ByteReader::take(uint64_t size, std::string_view what) {
  if (size > remaining()) {
    return invalid_data("{}: expected {} bytes at offset {}, found {}", what, size, offset(),
                        remaining());
  }
  Bytes field = bytes_.subspan(position_, size);
  position_ += size;
  return field;
}

Status ByteReader::skip(uint64_t size, std::string_view what) {
  TRY(take(size, what));
  return {};
}

}  // namespace diptych
