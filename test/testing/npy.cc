#include "testing/npy.h"

#include <zlib.h>

#include <sstream>

#include "base/bytes.h"
#include "base/file.h"
#include "tensor/weight.h"

namespace diptych::testing {

namespace {

// The text between `before` and `after` in the header, a Python dict literal.
Result<std::string> between(const std::string& header, std::string_view before,
                            std::string_view after) {
  const size_t begin = header.find(before);
  if (begin == std::string::npos) return invalid_data("npy header without {}: {}", before, header);
  const size_t start = begin + before.size();
  return header.substr(start, header.find(after, start) - start);
}

// Reorders elements whose first axis is the fastest.
void to_c_order(Array& array) {
  const std::vector<std::byte> from = array.data;
  const auto size = static_cast<size_t>(bit_width(array.type.dtype)) / 8;
  const Shape& shape = array.type.shape;
  for (size_t i = 0; i * size < from.size(); ++i) {
    size_t at = 0, rest = i;  // element i of the file
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      size_t behind = 1;
      for (size_t k = axis + 1; k < shape.size(); ++k) behind *= static_cast<size_t>(shape[k]);
      at += rest % static_cast<size_t>(shape[axis]) * behind;
      rest /= static_cast<size_t>(shape[axis]);
    }
    std::copy_n(&from[i * size], size, &array.data[at * size]);
  }
}

Result<Array> parse_npy(Bytes bytes) {
  ByteReader reader(bytes);
  const Bytes magic = TRY(reader.take(8, "npy magic"));
  const int major = static_cast<int>(magic[6]);
  const uint32_t header_size = major == 1 ? TRY(reader.read<uint16_t>("npy header size"))
                                          : TRY(reader.read<uint32_t>("npy header size"));
  const std::string header(as_text(TRY(reader.take(header_size, "npy header"))));
  static const std::map<std::string, DType> kTypes = {
      {"<f2", DType::F16},   {"<f4", DType::F32},   {"<f8", DType::F64},
      {"|i1", DType::Int8},  {"<i2", DType::Int16}, {"<i4", DType::Int32},
      {"<i8", DType::Int64}, {"|u1", DType::UInt8}, {"|b1", DType::Bool}};
  const std::string type = TRY(between(header, "'descr': '", "'"));
  const auto known = kTypes.find(type);
  if (known == kTypes.end()) return unsupported("npy of type {}", type);
  Array array;
  array.type.dtype = known->second;
  std::istringstream dimensions(TRY(between(header, "'shape': (", ")")));
  for (std::string dimension; std::getline(dimensions, dimension, ',');) {
    if (dimension.find_first_of("0123456789") != std::string::npos) {
      array.type.shape.push_back(std::stoll(dimension));
    }
  }
  const Bytes data = TRY(reader.take(TRY(packed_size(array.type)), "npy data"));
  array.data.assign(data.begin(), data.end());
  if (header.find("'fortran_order': True") != std::string::npos) to_c_order(array);
  return array;
}

Result<std::vector<std::byte>> inflate_entry(Bytes compressed, uint64_t size) {
  std::vector<std::byte> out(size);
  z_stream stream{};
  inflateInit2(&stream, -MAX_WBITS);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(compressed.data()));
  stream.avail_in = static_cast<uInt>(compressed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int code = inflate(&stream, Z_FINISH);
  inflateEnd(&stream);
  if (code != Z_STREAM_END) return invalid_data("npz entry does not inflate");
  return out;
}

}  // namespace

std::vector<float> Array::floats() const {
  auto weight = memory_weight(type, data);
  return read_floats(**weight).value();
}

std::vector<int64_t> Array::ints() const {
  auto weight = memory_weight(type, data);
  return read_ints(**weight).value();
}

Result<Array> read_npy(const std::string& path) {
  auto file = TRY(MappedFile::open(path));
  return parse_npy(file->bytes());
}

Result<std::map<std::string, Array>> read_npz(const std::string& path) {
  auto file = TRY(MappedFile::open(path));
  const Bytes bytes = file->bytes();
  // The end record of a zip without a comment is its last 22 bytes.
  const Bytes end = TRY(slice(bytes, bytes.size() - 22, 22, "zip end record"));
  const uint16_t entries = load<uint16_t>(&end[10]);
  uint64_t position = load<uint32_t>(&end[16]);
  std::map<std::string, Array> arrays;
  for (int i = 0; i < entries; ++i) {
    const Bytes record = TRY(slice(bytes, position, 46, "zip directory"));
    const auto method = load<uint16_t>(&record[10]);
    const auto compressed = load<uint32_t>(&record[20]);
    const auto size = load<uint32_t>(&record[24]);
    const auto name_size = load<uint16_t>(&record[28]);
    const auto local = load<uint32_t>(&record[42]);
    std::string name(as_text(TRY(slice(bytes, position + 46, name_size, "zip name"))));
    position += 46 + name_size + load<uint16_t>(&record[30]) + load<uint16_t>(&record[32]);
    const Bytes header = TRY(slice(bytes, local, 30, "zip local header"));
    const uint64_t start = local + 30 + load<uint16_t>(&header[26]) + load<uint16_t>(&header[28]);
    const Bytes data = TRY(slice(bytes, start, compressed, "zip entry"));
    name = name.substr(0, name.rfind(".npy"));
    if (method == 0) {
      arrays[name] = TRY(parse_npy(data));
    } else {
      const auto inflated = TRY(inflate_entry(data, size));
      arrays[name] = TRY(parse_npy(inflated));
    }
  }
  return arrays;
}

}  // namespace diptych::testing
