#include "tensor/views.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/thread_pool.h"
#include "testing/shared_data.h"

namespace diptych {
namespace {

using ::testing::ElementsAre;

std::vector<float> floats(const WeightRef& weight) { return read_floats(*weight).value(); }

Digest digest(const WeightRef& weight) {
  DigestCache cache;
  return weight->digest(cache);
}

// The elements of a view as a weight of their own.
WeightRef copied(const WeightRef& weight) {
  return memory_weight(weight->type(), read_all(*packed_source(weight)).value()).value();
}

WeightRef counted(int64_t rows, int64_t columns) {
  return iota_weight({DType::F32, {rows, columns}});
}

TEST(Views, RowsOfAMatrix) {
  const WeightRef view = row_slice(counted(4, 2), 1, 2);
  EXPECT_EQ(view->shape(), (Shape{2, 2}));
  EXPECT_THAT(floats(view), ElementsAre(2, 3, 4, 5));
}

TEST(Views, HalvesBecomePairsWithinEachHead) {
  const WeightRef rows = iota_weight({DType::F32, {8}});  // two heads of four channels
  EXPECT_THAT(floats(halves_to_pairs(rows, 4, 4)), ElementsAre(0, 2, 1, 3, 4, 6, 5, 7));
  EXPECT_THAT(floats(pairs_to_halves(rows, 4, 4)), ElementsAre(0, 2, 1, 3, 4, 6, 5, 7));
  const WeightRef wide = iota_weight({DType::F32, {6}});
  EXPECT_THAT(floats(halves_to_pairs(wide, 6, 6)), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_THAT(floats(pairs_to_halves(wide, 6, 6)), ElementsAre(0, 2, 4, 1, 3, 5));
  // Of a part of a head the others stay.
  EXPECT_THAT(floats(halves_to_pairs(wide, 6, 4)), ElementsAre(0, 2, 1, 3, 4, 5));
  EXPECT_THAT(floats(pairs_to_halves(wide, 6, 4)), ElementsAre(0, 2, 1, 3, 4, 5));
  EXPECT_THAT(floats(pairs_to_halves(halves_to_pairs(wide, 6, 6), 6, 6)),
              ElementsAre(0, 1, 2, 3, 4, 5));
  // A block of rows that begins and ends inside of heads.
  EXPECT_THAT(*read_floats(*halves_to_pairs(counted(8, 2), 4, 4), 1, 5),
              ElementsAre(4, 5, 2, 3, 6, 7, 8, 9, 12, 13));
}

TEST(Views, Concatenations) {
  EXPECT_THAT(floats(concat_rows({counted(1, 2), counted(2, 2)})), ElementsAre(0, 1, 0, 1, 2, 3));
  EXPECT_THAT(*read_floats(*concat_rows({counted(2, 2), counted(3, 2)}), 1, 3),
              ElementsAre(2, 3, 0, 1, 2, 3));
  const WeightRef columns = concat_columns({counted(2, 2), counted(2, 1)});
  EXPECT_EQ(columns->shape(), (Shape{2, 3}));
  EXPECT_THAT(floats(columns), ElementsAre(0, 1, 0, 2, 3, 1));
}

TEST(Views, HaveTheDigestOfWhatTheyShow) {
  const WeightRef source = random_weight({DType::BF16, {64, 3}}, 1);
  for (const WeightRef& view : {row_slice(source, 3, 20), halves_to_pairs(source, 16, 16),
                                concat_rows({source, source}), concat_columns({source, source})}) {
    EXPECT_EQ(digest(view), digest(copied(view)));
    EXPECT_NE(digest(view), digest(source));
  }
}

// Norms are the same model in 16 bits and in 32.
TEST(Views, ASmallCastHasTheDigestOfItsElements) {
  const WeightRef norm = random_weight({DType::BF16, {64}}, 1);
  const WeightRef widened = copied(cast(norm, DType::F32));
  EXPECT_EQ(digest(cast(norm, DType::F16)), digest(cast(widened, DType::F16)));
}

TEST(PackedSource, IsTheSameOnAnyNumberOfThreads) {
  const auto pool = std::make_shared<ThreadPool>(3);
  for (const DType dtype : {DType::Int4, DType::UInt3, DType::F16}) {
    // Rows of odd length, many blocks of rows.
    const WeightRef weight = random_weight({dtype, {9'001, 333}}, 5);
    const auto alone = read_all(*packed_source(weight));
    const auto shared = read_all(*packed_source(weight, pool));
    ASSERT_OK(alone);
    ASSERT_OK(shared);
    EXPECT_EQ(alone->size(), packed_size(weight->type()).value());
    EXPECT_TRUE(*alone == *shared) << name(dtype);
    // And as read one by one.
    const auto packed = memory_weight(weight->type(), *alone);
    EXPECT_EQ(read_floats(**packed, 8'998, 2).value_or(std::vector<float>()),
              read_floats(*weight, 8'998, 2).value_or(std::vector<float>()));
  }
}

}  // namespace
}  // namespace diptych
