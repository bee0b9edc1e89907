#include <zlib.h>

#include "base/in_quotes.h"
#include "checkpoint/zip.h"
#include "checkpoint/zip_format.h"
#include "numpy/npy.h"

namespace diptych::numpy {
namespace {

constexpr std::string_view kExtension = ".npy";
// No entry inflates by more; and less memory than a model takes.
constexpr uint64_t kMostInflation = 1032, kMostBytes = uint64_t{16} << 30;

// Inflates an entry whose size is not known: zlib tells when it ends.
Result<std::vector<std::byte>> inflate_entry(Bytes compressed) {
  constexpr size_t kStep = 1 << 20;
  const uint64_t limit = std::min(compressed.size() * kMostInflation, kMostBytes);
  std::vector<std::byte> out;
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return fail(ErrorCode::Io, "out of memory");
  // (zlib's types are older than const.)
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(compressed.data()));
  size_t left = compressed.size(), size = 0;
  int code = Z_OK;
  while (code == Z_OK && size <= limit) {
    const size_t in = std::min<size_t>(left, kStep);
    out.resize(size + kStep);
    stream.avail_in = static_cast<uInt>(in);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + size);
    stream.avail_out = static_cast<uInt>(kStep);
    code = inflate(&stream, Z_NO_FLUSH);
    left -= in - stream.avail_in;
    size += kStep - stream.avail_out;
    if (code == Z_OK && stream.avail_out > 0 && left == 0) code = Z_BUF_ERROR;
  }
  inflateEnd(&stream);
  if (code != Z_STREAM_END) return invalid_data("its compressed data are damaged");
  out.resize(size);
  return out;
}

Result<Array> read_entry(const checkpoint::ZipReader& zip, Bytes file,
                         const checkpoint::ZipEntry& entry) {
  if (entry.method == checkpoint::kDeflated) {
    const Bytes compressed = TRY(slice(file, entry.data_offset, entry.size, "compressed data"));
    const auto inflated = TRY(inflate_entry(compressed));
    if (entry.crc32 != 0 && crc32_z(0, reinterpret_cast<const Bytef*>(inflated.data()),
                                    inflated.size()) != entry.crc32) {
      return invalid_data("its data do not have the recorded checksum");
    }
    return parse_npy(inflated);
  }
  TRY(zip.check_crc(entry));
  return parse_npy(TRY(zip.data(entry)));
}

}  // namespace

Result<Arrays> parse_npz(Bytes bytes) {
  const auto zip = TRY(checkpoint::ZipReader::open(bytes));
  Arrays arrays;
  uint64_t total = 0;
  for (const checkpoint::ZipEntry& entry : zip.entries()) {
    std::string name = entry.name;
    if (name.ends_with(kExtension)) name.resize(name.size() - kExtension.size());
    const std::string where = fmt::format("array {}", in_quotes(name));
    Array array = TRY(within(where, read_entry(zip, bytes, entry)));
    total += array.data.size();
    if (total > kMostBytes) {
      return within<Arrays>(where, unsupported("more than {} bytes in all", kMostBytes));
    }
    if (!arrays.emplace(std::move(name), std::move(array)).second) {
      return within<Arrays>(where, invalid_data("it is there twice"));
    }
  }
  return arrays;
}

Status write_npz(const std::vector<std::pair<std::string, const Array*>>& arrays, Sink& sink) {
  checkpoint::ZipWriter zip(sink);
  for (const auto& [name, array] : arrays) {
    TRY(zip.add(name + std::string(kExtension), *memory_source(format_npy(*array))));
  }
  return zip.finish();
}

}  // namespace diptych::numpy
