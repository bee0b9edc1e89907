#include "tensor/weight.h"

#include <gtest/gtest.h>

#include "testing/shared_data.h"

namespace diptych {
namespace {

TEST(TensorType, SizesAreChecked) {
  EXPECT_EQ(packed_size({DType::Int4, {3, 5}}).value(), 8u);
  EXPECT_EQ(packed_size({DType::F16, {}}).value(), 2u);
  EXPECT_EQ(packed_size({DType::F32, {0, 5}}).value(), 0u);
  EXPECT_FALSE(packed_size({DType::F32, {1LL << 40, 1LL << 40}}));
  EXPECT_FALSE(packed_size({DType::F32, {-1}}));
  EXPECT_FALSE(packed_size({DType::F64, {INT64_MAX}}));
  EXPECT_EQ(to_string(TensorType{DType::F16, {1, 2}}), "fp16[1,2]");
  EXPECT_LT(to_string(Shape(1'000'000, INT64_MAX)).size(), 700u);
}

std::vector<std::byte> packed(const WeightRef& weight) {
  return read_all(*packed_source(weight)).value();
}

TEST(Weight, SubByteRowsStraddleBytes) {
  // Rows of three int4: 1 -2 3 | -4 5 -6, low nibble first.
  const std::vector<std::byte> bytes = {std::byte{0xE1}, std::byte{0xC3}, std::byte{0xA5}};
  const WeightRef weight = memory_weight({DType::Int4, {2, 3}}, bytes).value();
  EXPECT_EQ(read_ints(*weight).value(), (std::vector<int64_t>{1, -2, 3, -4, 5, -6}));
  EXPECT_EQ(read_ints(*row_slice(weight, 1, 1)).value(), (std::vector<int64_t>{-4, 5, -6}));
  EXPECT_EQ(packed(row_slice(weight, 1, 1)),
            (std::vector<std::byte>{std::byte{0x5C}, std::byte{0x0A}}));
  EXPECT_EQ(packed(weight), bytes);
}

TEST(Weight, ReadRowsChecksItsArguments) {
  const WeightRef weight = zeros({DType::F32, {4, 2}});
  std::vector<std::byte> out(16);
  EXPECT_TRUE(weight->read_rows(2, 2, out));
  EXPECT_FALSE(weight->read_rows(3, 2, out));
  EXPECT_FALSE(weight->read_rows(-1, 2, out));
  EXPECT_FALSE(weight->read_rows(0, 1, out));
}

TEST(Weight, CastRoundsOnceToNearestEven) {
  const WeightRef source = constant_floats(DType::F32, {4}, {1.0, 1.00048828125, 65520.0, 1e-8});
  EXPECT_EQ(read_floats(*cast(source, DType::F16)).value(),
            (std::vector<float>{1.0f, 1.0f, INFINITY, 0.0f}));
  EXPECT_EQ(cast(source, DType::F32), source);
}

TEST(Weight, DigestFollowsFromContentsAndType) {
  DigestCache cache;
  const auto a = random_weight({DType::F32, {8, 8}}, 1);
  const auto same = random_weight({DType::F32, {8, 8}}, 1);
  const auto other = random_weight({DType::F32, {8, 8}}, 2);
  const auto shape = random_weight({DType::F32, {64}}, 1);
  EXPECT_EQ(a->digest(cache), same->digest(cache));
  EXPECT_NE(a->digest(cache), other->digest(cache));
  EXPECT_NE(a->digest(cache), shape->digest(cache));
  EXPECT_NE(row_slice(a, 0, 4)->digest(cache), row_slice(a, 4, 4)->digest(cache));
}

TEST(Weight, GeneratorsAreReproducible) {
  EXPECT_EQ(read_ints(*iota_weight({DType::Int4, {9}})).value(),
            (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7, -8}));
  const auto values = read_floats(*random_weight({DType::F16, {1000}}, 3)).value();
  for (const float value : values) {
    EXPECT_GE(value, -1.0f);
    EXPECT_LE(value, 1.0f);
  }
  for (const DType dtype : {DType::F8E4M3FN, DType::F8E5M2, DType::BF16, DType::UInt3}) {
    const WeightRef weight = random_weight({dtype, {11}}, 1);
    std::vector<std::byte> exact(weight->rows() * weight->row_bytes());
    ASSERT_OK(weight->read_rows(0, 11, exact));  // the sanitizer sees a write past the end
  }
  EXPECT_EQ(generator_text(*random_weight({DType::Int8, {3}}, 7)), "random(7)");
}

TEST(Weight, StreamedWeightsReadTheSameAgain) {
  const WeightRef random = random_weight({DType::F32, {1000, 64}}, 5);
  const std::string path = testing::temporary_directory() + "/weight";
  ASSERT_OK(write_file(path, *packed_source(random)));
  const auto file = MappedFile::open(path);
  ASSERT_OK(file);
  const WeightRef mapped = mapped_weight(random->type(), (*file)->bytes(), *file).value();
  const WeightRef streamed = streamed_weight(mapped, *file);
  for (int pass = 0; pass < 2; ++pass) {
    EXPECT_EQ(read_floats(*streamed).value(), read_floats(*random).value());
    EXPECT_EQ(read_floats(*streamed, 333, 5).value(), read_floats(*random, 333, 5).value());
  }
  DigestCache cache;
  EXPECT_EQ(streamed->digest(cache), streamed_weight(mapped, *file)->digest(cache));
}

TEST(Weight, PackedSizeMustAgree) {
  EXPECT_FALSE(memory_weight({DType::F32, {3}}, std::vector<std::byte>(11)));
}

}  // namespace
}  // namespace diptych
