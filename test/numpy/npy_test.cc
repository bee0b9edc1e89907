#include "numpy/npy.h"

#include <gmock/gmock.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "checkpoint/zip_format.h"

namespace diptych::numpy {
namespace {

using ::testing::HasSubstr;

template <class T>
Array array_of(DType dtype, Shape shape, const std::vector<T>& values) {
  const Bytes bytes = std::as_bytes(std::span(values));
  return {{dtype, std::move(shape)}, {bytes.begin(), bytes.end()}};
}
template <class T>
std::vector<T> values_of(const Array& array) {
  std::vector<T> values(array.data.size() / sizeof(T));
  std::memcpy(values.data(), array.data.data(), array.data.size());
  return values;
}

// A file whose header is given.
std::vector<std::byte> npy(std::string header, size_t data_size) {
  std::string text("\x93NUMPY\x01\x00", 8);
  text += static_cast<char>(header.size() & 0xFF);
  text += static_cast<char>(header.size() >> 8);
  text += header;
  text.append(data_size, '\x01');
  const Bytes bytes = as_bytes(text);
  return {bytes.begin(), bytes.end()};
}
std::string problem(const std::vector<std::byte>& file) {
  const auto array = parse_npy(file);
  return array ? "none" : array.error().to_string();
}

TEST(Npy, ReadsWhatItWrites) {
  for (const Shape& shape : {Shape{}, Shape{4}, Shape{2, 3}, Shape{0, 5}, Shape{2, 1, 2, 1}}) {
    for (const DType dtype :
         {DType::Bool, DType::Int8, DType::Int16, DType::Int32, DType::Int64, DType::UInt8,
          DType::UInt16, DType::UInt32, DType::UInt64, DType::F16, DType::F32, DType::F64}) {
      Array array{{dtype, shape}, {}};
      array.data.resize(packed_size(array.type).value(), std::byte{1});
      const auto file = format_npy(array);
      EXPECT_EQ((file.size() - array.data.size()) % 64, 0);
      const auto read = parse_npy(file);
      ASSERT_TRUE(read) << read.error().to_string();
      EXPECT_EQ(read->type, array.type);
      EXPECT_EQ(read->data, array.data);
    }
  }
}

// As numpy.save() of numpy.arange(3, dtype=numpy.int16) writes it.
TEST(Npy, ReadsNumPysOwn) {
  std::string header = "{'descr': '<i2', 'fortran_order': False, 'shape': (3,), }";
  header.resize(117, ' ');
  auto file = npy(header + "\n", 6);
  EXPECT_EQ(file.size(), 134);
  const auto array = parse_npy(file);
  ASSERT_TRUE(array);
  EXPECT_EQ(to_string(array->type), "int16[3]");
  EXPECT_EQ(values_of<int16_t>(*array), std::vector<int16_t>(3, 0x0101));
}

TEST(Npy, ReadsFortranOrder) {
  auto file = npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", 6);
  for (size_t i = 0; i < 6; ++i) file[file.size() - 6 + i] = static_cast<std::byte>(i);
  const auto array = parse_npy(file);
  ASSERT_TRUE(array) << array.error().to_string();
  EXPECT_EQ(values_of<uint8_t>(*array), (std::vector<uint8_t>{0, 2, 4, 1, 3, 5}));
}

TEST(Npy, RefusesWhatIsWrong) {
  const auto with = [](const std::string& header, size_t size = 12) {
    return problem(npy(header, size));
  };
  EXPECT_THAT(problem({}), HasSubstr("the beginning"));
  EXPECT_THAT(problem(std::vector<std::byte>(64)), HasSubstr("no NumPy array"));
  EXPECT_THAT(with("{'descr': '>f4', 'fortran_order': False, 'shape': (3,), }"),
              HasSubstr("astype()"));
  EXPECT_THAT(with("{'descr': '<f4', 'fortran_order': 1, 'shape': (3,), }"),
              HasSubstr("neither True nor False"));
  EXPECT_THAT(with("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,), }"),
              HasSubstr("structured"));
  EXPECT_THAT(with("{'descr': '<f4', 'fortran_order': False}"), HasSubstr("'shape':"));
  EXPECT_THAT(with("{'descr': '<f4', 'fortran_order': False, 'shape': (3"), HasSubstr("tuple"));
  EXPECT_THAT(with("{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)"), HasSubstr("tuple"));
  EXPECT_THAT(with("{'descr': '<f4', 'fortran_order': False, 'shape': (4,)"), HasSubstr("data"));
  EXPECT_THAT(with("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)"),
              HasSubstr("4 bytes behind"));
  EXPECT_NE(with("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)"),
            "none");
  std::string many = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  for (int i = 0; i < 40; ++i) many += "1, ";
  EXPECT_THAT(with(many + ")"), HasSubstr("dimensions"));
  // Every prefix of a good file is refused.
  const auto good = format_npy(array_of<float>(DType::F32, {2}, {1, 2}));
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(parse_npy(Bytes(good).first(size))) << size;
  }
}

class BytesSink : public Sink {
 public:
  Status write(Bytes more) override {
    bytes.insert(bytes.end(), more.begin(), more.end());
    return {};
  }
  std::vector<std::byte> bytes;
};

TEST(Npz, ReadsWhatItWrites) {
  const Array x = array_of<float>(DType::F32, {2}, {1, 2}),
              y = array_of<int32_t>(DType::Int32, {}, {7});
  BytesSink sink;
  ASSERT_TRUE(write_npz({{"x", &x}, {"a long/name", &y}}, sink));
  const auto arrays = parse_npz(sink.bytes);
  ASSERT_TRUE(arrays) << arrays.error().to_string();
  ASSERT_EQ(arrays->size(), 2);
  EXPECT_EQ(arrays->at("x").data, x.data);
  EXPECT_EQ(arrays->at("a long/name").type, y.type);
  std::search(sink.bytes.begin(), sink.bytes.end(), x.data.begin(), x.data.end())[1] ^=
      std::byte{1};
  EXPECT_FALSE(parse_npz(sink.bytes));
}

// An archive of one deflated entry.
std::vector<std::byte> deflated_npz(const std::vector<std::byte>& entry, uint32_t crc) {
  std::vector<std::byte> packed(entry.size() + 1024);
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(entry.data()));
  stream.avail_in = static_cast<uInt>(entry.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  std::vector<std::byte> file;
  const auto put = [&](auto value) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    file.insert(file.end(), bytes, bytes + sizeof value);
  };
  const auto sizes = [&] {
    put(crc);
    put(static_cast<uint32_t>(packed.size()));
    put(static_cast<uint32_t>(entry.size()));
    put(uint16_t{5});
    put(uint16_t{0});
  };
  const auto name = [&] {
    for (const char c : std::string_view("x.npy")) put(c);
  };
  put(checkpoint::kLocalSignature);
  put(uint16_t{20});
  put(uint16_t{0});
  put(checkpoint::kDeflated);
  put(uint32_t{0});
  sizes();
  name();
  file.insert(file.end(), packed.begin(), packed.end());
  const auto directory = static_cast<uint32_t>(file.size());
  put(checkpoint::kDirectorySignature);
  put(uint16_t{20});
  put(uint16_t{20});
  put(uint16_t{0});
  put(checkpoint::kDeflated);
  put(uint32_t{0});
  sizes();
  put(uint16_t{0});  // comment
  put(uint16_t{0});
  put(uint16_t{0});
  put(uint32_t{0});
  put(uint32_t{0});  // of the local header
  name();
  const auto size = static_cast<uint32_t>(file.size()) - directory;
  put(checkpoint::kEndSignature);
  put(uint32_t{0});
  put(uint16_t{1});
  put(uint16_t{1});
  put(size);
  put(directory);
  put(uint16_t{0});
  return file;
}

TEST(Npz, InflatesEntries) {
  const auto entry =
      format_npy(array_of<float>(DType::F32, {300000}, std::vector<float>(300000, 0.25f)));
  const auto crc =
      static_cast<uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(entry.data()), entry.size()));
  const auto good = deflated_npz(entry, crc);
  const auto arrays = parse_npz(good);
  ASSERT_TRUE(arrays) << arrays.error().to_string();
  EXPECT_EQ(values_of<float>(arrays->at("x")), std::vector<float>(300000, 0.25f));
  EXPECT_THAT(parse_npz(deflated_npz(entry, crc ^ 1)).error().to_string(), HasSubstr("checksum"));
  for (size_t at = 40; at < 140; at += 3) {
    auto damaged = good;
    damaged[at] ^= std::byte{0x40};
    EXPECT_FALSE(parse_npz(damaged)) << at;
  }
}

TEST(Convert, KeepsValuesOrSaysWhichItCannot) {
  const Array floats = array_of<float>(DType::F32, {3}, {0, 1, -2});
  EXPECT_EQ(values_of<int32_t>(converted(floats, DType::Int32).value()),
            (std::vector<int32_t>{0, 1, -2}));
  EXPECT_EQ(values_of<int8_t>(converted(floats, DType::Int8).value()),
            (std::vector<int8_t>{0, 1, -2}));
  EXPECT_EQ(values_of<double>(converted(floats, DType::F64).value()),
            (std::vector<double>{0, 1, -2}));
  EXPECT_EQ(values_of<uint16_t>(converted(floats, DType::F16).value()),
            (std::vector<uint16_t>{0, 0x3C00, 0xC000}));
  const auto refused = [](const Array& array, DType dtype) {
    const auto result = converted(array, dtype);
    return result ? "none" : result.error().to_string();
  };
  EXPECT_EQ(refused(floats, DType::UInt8), "element 2 is -2, which uint8 cannot hold");
  EXPECT_THAT(refused(floats, DType::Bool), HasSubstr("element 2"));
  EXPECT_THAT(refused(array_of<float>(DType::F32, {1}, {0.5f}), DType::Int32), HasSubstr("0.5"));
  EXPECT_THAT(refused(array_of<float>(DType::F32, {1}, {1e5f}), DType::F16), HasSubstr("100000"));
  EXPECT_EQ(refused(array_of<float>(DType::F32, {1}, {std::numeric_limits<float>::infinity()}),
                    DType::F16),
            "none");
  EXPECT_THAT(refused(array_of<float>(DType::F32, {1}, {std::nanf("")}), DType::Int64),
              HasSubstr("nan"));
  EXPECT_THAT(refused(array_of<int32_t>(DType::Int32, {1}, {128}), DType::Int8), HasSubstr("128"));
  EXPECT_EQ(refused(array_of<int32_t>(DType::Int32, {1}, {-128}), DType::Int8), "none");
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  EXPECT_THAT(refused(array_of<uint64_t>(DType::UInt64, {1}, {kMost}), DType::Int64),
              HasSubstr("element 0"));
  EXPECT_EQ(values_of<int64_t>(
                converted(array_of<double>(DType::F64, {1}, {-0x1p63}), DType::Int64).value())[0],
            std::numeric_limits<int64_t>::min());
}

}  // namespace
}  // namespace diptych::numpy
