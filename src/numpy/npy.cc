#include "numpy/npy.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/file.h"
#include "base/in_quotes.h"

namespace diptych::numpy {
namespace {

using std::literals::operator""sv;

constexpr std::string_view kMagic = "\x93NUMPY"sv;
constexpr size_t kMaxHeader = 64 << 10, kMaxRank = 32, kAlignment = 64;

struct NamedType {
  std::string_view descr;
  DType dtype;
};
constexpr std::array kTypes = {NamedType{"|b1", DType::Bool},   NamedType{"|i1", DType::Int8},
                               NamedType{"<i2", DType::Int16},  NamedType{"<i4", DType::Int32},
                               NamedType{"<i8", DType::Int64},  NamedType{"|u1", DType::UInt8},
                               NamedType{"<u2", DType::UInt16}, NamedType{"<u4", DType::UInt32},
                               NamedType{"<u8", DType::UInt64}, NamedType{"<f2", DType::F16},
                               NamedType{"<f4", DType::F32},    NamedType{"<f8", DType::F64}};

// What stands behind 'key': in a header, up to where it can end at the latest.
Result<std::string_view> value_of(std::string_view header, std::string_view key) {
  const std::string quoted = fmt::format("'{}':", key);
  const size_t at = header.find(quoted);
  if (at == header.npos) return invalid_data("the header has no {}", quoted);
  std::string_view value = header.substr(at + quoted.size());
  value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
  return value;
}

Result<DType> dtype_from(std::string_view header) {
  const std::string_view value = TRY(value_of(header, "descr"));
  const size_t end = value.empty() ? value.npos : value.find('\'', 1);
  if (!value.starts_with('\'') || end == value.npos) {
    return unsupported("an array of a structured type; expected numbers");
  }
  const std::string_view descr = value.substr(1, end - 1);
  for (const NamedType& type : kTypes) {
    if (type.descr == descr) return type.dtype;
  }
  return unsupported("an array of type {}; expected little-endian numbers: astype() gives them",
                     in_quotes(descr));
}

Result<Shape> shape_from(std::string_view header) {
  std::string_view value = TRY(value_of(header, "shape"));
  const auto broken = [] { return invalid_data("the header's 'shape' is no tuple of integers"); };
  if (!value.starts_with('(')) return broken();
  value.remove_prefix(1);
  Shape shape;
  for (;;) {
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    if (value.starts_with(')')) return shape;
    int64_t dimension = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), dimension);
    if (error != std::errc() || dimension < 0) return broken();
    if (shape.size() == kMaxRank) return invalid_data("more than {} dimensions", kMaxRank);
    shape.push_back(dimension);
    value.remove_prefix(static_cast<size_t>(end - value.data()));
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    if (value.starts_with(',')) {
      value.remove_prefix(1);
    } else if (!value.starts_with(')')) {
      return broken();
    }
  }
}

// Fills an array with elements whose first axis is the fastest.
void to_c_order(Bytes from, Array& array) {
  const auto size = static_cast<size_t>(bit_width(array.type.dtype) / 8);
  const Shape& shape = array.type.shape;
  std::vector<size_t> steps(shape.size(), 1);  // of the axes, in elements of the result
  for (size_t axis = shape.size(); axis-- > 1;) {
    steps[axis - 1] = steps[axis] * static_cast<size_t>(shape[axis]);
  }
  for (size_t i = 0; i * size < from.size(); ++i) {
    size_t at = 0, rest = i;
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      at += rest % static_cast<size_t>(shape[axis]) * steps[axis];
      rest /= static_cast<size_t>(shape[axis]);
    }
    std::copy_n(&from[i * size], size, &array.data[at * size]);
  }
}

std::string_view descr_of(DType dtype) {
  return std::find_if(kTypes.begin(), kTypes.end(),
                      [&](const NamedType& type) { return type.dtype == dtype; })
      ->descr;
}

}  // namespace

Result<Array> parse_npy(Bytes bytes) {
  ByteReader reader(bytes);
  const Bytes magic = TRY(reader.take(8, "the beginning"));
  if (as_text(magic.first(6)) != kMagic) return invalid_data("no NumPy array");
  const auto version = static_cast<int>(magic[6]);
  if (version < 1 || version > 3) {
    return unsupported("version {} of the format; 1 to 3 are known", version);
  }
  const uint32_t size = version == 1 ? TRY(reader.read<uint16_t>("header size"))
                                     : TRY(reader.read<uint32_t>("header size"));
  if (size > kMaxHeader) {
    return invalid_data("a header of {} bytes, at most {} are allowed", size, kMaxHeader);
  }
  const std::string_view header = as_text(TRY(reader.take(size, "header")));
  const std::string_view order = TRY(value_of(header, "fortran_order"));
  const bool fortran = order.starts_with("True");
  if (!fortran && !order.starts_with("False")) {
    return invalid_data("the header's 'fortran_order' is neither True nor False");
  }
  Array array;
  array.type = {TRY(dtype_from(header)), TRY(shape_from(header))};
  const uint64_t data_size = TRY(packed_size(array.type));
  const Bytes data = TRY(reader.take(data_size, "data"));
  if (reader.remaining() > 0) {
    return invalid_data("{} bytes behind an array of {}", reader.remaining(),
                        to_string(array.type));
  }
  array.data.assign(data.begin(), data.end());
  if (fortran) to_c_order(data, array);
  return array;
}

Result<Array> read_npy(const std::string& path) {
  const auto file = TRY(MappedFile::open(path));
  return within(path, parse_npy(file->bytes()));
}

Result<Arrays> read_npz(const std::string& path) {
  const auto file = TRY(MappedFile::open(path));
  return within(path, parse_npz(file->bytes()));
}

std::vector<std::byte> format_npy(const Array& array) {
  std::string shape;
  for (const int64_t dimension : array.type.shape) shape += fmt::format("{}, ", dimension);
  // A tuple of one ends in a comma, those of several do not.
  if (array.type.shape.size() == 1) {
    shape.pop_back();
  } else if (!shape.empty()) {
    shape.resize(shape.size() - 2);
  }
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
                                   descr_of(array.type.dtype), shape);
  const size_t before = kMagic.size() + 4;
  header.resize(align_up(before + header.size() + 1, kAlignment) - before - 1, ' ');
  header += '\n';
  std::string start(kMagic);
  start += '\x01';
  start += '\x00';
  start += static_cast<char>(header.size() & 0xFF);
  start += static_cast<char>(header.size() >> 8);
  start += header;
  const Bytes text = as_bytes(start);
  std::vector<std::byte> file(text.begin(), text.end());
  file.insert(file.end(), array.data.begin(), array.data.end());
  return file;
}

}  // namespace diptych::numpy
