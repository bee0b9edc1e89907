#include "quant/palette.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "base/half.h"
#include "quant/cache.h"
#include "quant/quantize.h"
#include "testing/shared_data.h"

namespace diptych::quant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr Format kP4{4, 0, Kind::Palette}, kP6{6, 0, Kind::Palette}, kP8{8, 0, Kind::Palette};

std::vector<float> table_of(const std::vector<float>& weights, int bits, DType dtype = DType::F16,
                            const std::vector<float>& importance = {}) {
  ValueCounts counts;
  EXPECT_TRUE(counts.add(weights, importance));
  return fit_palette(counts, bits, dtype);
}

std::vector<float> bell(size_t count, uint32_t seed, float scale = 0.02f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> weights(count);
  for (float& weight : weights) weight = round_to_half(normal(random));
  return weights;
}

double error_of(const std::vector<float>& weights, const std::vector<float>& table,
                const std::vector<float>& importance = {}) {
  const NearestEntry nearest(table);
  double error = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    const double off =
        static_cast<double>(weights[i]) - static_cast<double>(table[nearest(weights[i])]);
    error += off * off * (importance.empty() ? 1 : static_cast<double>(importance[i]));
  }
  return error;
}

// The least error of any table: by dynamic programming over the sorted weights.
double least_error(std::vector<float> weights, size_t entries) {
  std::sort(weights.begin(), weights.end());
  const size_t n = weights.size();
  std::vector<double> sums(n + 1), squares(n + 1);
  for (size_t i = 0; i < n; ++i) {
    const auto w = static_cast<double>(weights[i]);
    sums[i + 1] = sums[i] + w;
    squares[i + 1] = squares[i] + w * w;
  }
  const auto cost = [&](size_t from, size_t to) {
    const double sum = sums[to] - sums[from];
    return squares[to] - squares[from] - sum * sum / static_cast<double>(to - from);
  };
  std::vector<double> best(n + 1);
  for (size_t i = 1; i <= n; ++i) best[i] = cost(0, i);
  for (size_t e = 1; e < entries; ++e) {
    std::vector<double> next = best;
    for (size_t i = 1; i <= n; ++i) {
      for (size_t j = 1; j < i; ++j) next[i] = std::min(next[i], best[j] + cost(j, i));
    }
    best = next;
  }
  return best[n];
}

TEST(Palette, ComesNearTheBestTable) {
  for (const uint32_t seed : {1, 2, 3}) {
    const std::vector<float> weights = bell(700, seed);
    for (const int bits : {4, 6}) {
      const double least = least_error(weights, size_t{1} << bits);
      const double got = error_of(weights, table_of(weights, bits, DType::F32));
      EXPECT_LT(got, (bits == 4 ? 1.05 : 1.001) * least) << bits << " bits, seed " << seed;
    }
  }
}

TEST(Palette, IsAscendingAndOfItsType) {
  const std::vector<float> weights = bell(5000, 4);
  for (const int bits : {4, 6, 8}) {
    const auto table = table_of(weights, bits);
    ASSERT_EQ(table.size(), size_t{1} << bits);
    EXPECT_TRUE(std::is_sorted(table.begin(), table.end()));
    for (const float entry : table) EXPECT_EQ(entry, round_to_half(entry));
  }
}

TEST(Palette, SixteenEntriesAreMultiplesByAtMost127) {
  for (const float size : {1e-6f, 0.02f, 3000.0f}) {
    const auto table = table_of(bell(5000, 5, size), 4);
    float unit = std::numeric_limits<float>::max();
    for (const float entry : table) {
      if (entry != 0) unit = std::min(unit, std::fabs(entry));
    }
    // The unit divides the least magnitude; try its fractions.
    bool found = false;
    for (int part = 1; part <= 127 && !found; ++part) {
      const float scale = unit / static_cast<float>(part);
      found = std::all_of(table.begin(), table.end(), [&](float entry) {
        const float steps = std::nearbyint(entry / scale);
        return std::fabs(steps) <= 127 && std::fabs(steps * scale - entry) < 1e-5f * scale;
      });
    }
    EXPECT_TRUE(found) << size;
  }
}

TEST(Palette, FewValuesAreKept) {
  EXPECT_EQ(error_of({-1, 0.5f, 2}, table_of({2, -1, 0.5f, 2}, 6)), 0);
  const auto table = table_of({2, -1, 0.5f, 2}, 8);
  EXPECT_EQ(table[0], -1);
  EXPECT_EQ(table[2], 2);
  EXPECT_EQ(table[255], 2);
  for (const float entry : table_of({0, 0, 0}, 4)) EXPECT_EQ(entry, 0);
}

TEST(Palette, WhatIsImportantIsNearer) {
  const std::vector<float> weights = bell(4000, 6);
  std::vector<float> importance(weights.size());
  for (size_t i = 0; i < weights.size(); ++i) importance[i] = weights[i] > 0.03f ? 100 : 1;
  EXPECT_LT(error_of(weights, table_of(weights, 4, DType::F32, importance), importance),
            0.8 * error_of(weights, table_of(weights, 4, DType::F32), importance));
}

TEST(Palette, NearestEntryIsThatOfASearch) {
  const std::vector<float> table = table_of(bell(3000, 7), 6);
  const NearestEntry nearest(table);
  for (const float weight : bell(500, 8, 0.05f)) {
    float least = std::numeric_limits<float>::infinity();
    for (const float entry : table) least = std::min(least, std::fabs(weight - entry));
    EXPECT_FLOAT_EQ(std::fabs(weight - table[nearest(weight)]), least);
  }
}

std::vector<std::byte> all_of(const Weight& weight) {
  std::vector<std::byte> bytes(static_cast<uint64_t>(weight.rows()) * weight.row_bytes());
  EXPECT_TRUE(weight.read_rows(0, weight.rows(), bytes).has_value());
  return bytes;
}

TEST(PalettizedWeight, HasIndicesAndTables) {
  const WeightRef source = random_weight({DType::F16, {64, 40}}, 1);
  const auto whole = quantize(source, {kP6}, "w").value();
  EXPECT_EQ(to_string(whole.codes->type()), "uint6[64,40]");
  EXPECT_EQ(to_string(whole.table->type()), "fp16[1,1,64,1]");
  EXPECT_EQ(whole.scales, nullptr);
  const auto grouped = quantize(source, {{8, 16, Kind::Palette}}, "w").value();
  EXPECT_EQ(to_string(grouped.codes->type()), "uint8[64,40]");
  EXPECT_EQ(to_string(grouped.table->type()), "fp16[4,1,256,1]");
  EXPECT_EQ(quantize(source, {{5, 0, Kind::Palette}}, "w").error().message,
            "quantisation to 5 bits: expected 4, 6 or 8");
  EXPECT_EQ(quantize(random_weight({DType::F16, {24, 40}}, 1), {{4, 32, Kind::Palette}}, "w")
                .error()
                .message,
            "w fp16[24,40]: groups of 32 do not divide the number of rows 24; the nearest valid "
            "group is 8");
}

TEST(PalettizedWeight, StandsForTheSourceInAnyOrderOfReading) {
  const WeightRef source = random_weight({DType::F32, {48, 700}}, 2);
  const std::vector<float> weights = read_floats(*source).value();
  for (const Format& format :
       {kP4, kP8, Format{6, 8, Kind::Palette}, Format{4, 16, Kind::Palette}}) {
    const auto first = quantize(source, {format}, "w").value();
    const auto codes = all_of(*first.codes), table_bytes = all_of(*first.table);
    const auto again = quantize(source, {format}, "w").value();
    EXPECT_EQ(all_of(*again.table), table_bytes);
    std::vector<std::byte> part(again.codes->row_bytes() * 5);
    ASSERT_OK(again.codes->read_rows(13, 5, part));
    EXPECT_TRUE(std::equal(part.begin(), part.end(), codes.begin() + 13 * 700));

    const std::vector<float> tables = read_floats(*first.table).value();
    const size_t group = format.group == 0 ? 48 : static_cast<size_t>(format.group);
    double squares = 0, all = 0;
    for (size_t i = 0; i < weights.size(); ++i) {
      const size_t table = i / 700 / group << format.bits;
      const double off = weights[i] - tables[table + static_cast<size_t>(codes[i])];
      squares += off * off;
      all += static_cast<double>(weights[i]) * weights[i];
    }
    EXPECT_NEAR(first.error->total().relative(), std::sqrt(squares / all), 1e-6);
    EXPECT_LT(std::sqrt(squares / all), format.bits == 4 ? 0.08 : 0.02);
  }
}

TEST(PalettizedWeight, InfiniteWeightsAreNamed) {
  std::vector<double> weights(8 * 32, 0.5);
  weights[5 * 32 + 3] = std::numeric_limits<double>::infinity();
  const auto made = quantize(constant_floats(DType::F16, {8, 32}, weights), {kP4}, "w").value();
  std::vector<std::byte> bytes(made.codes->row_bytes());
  EXPECT_THAT(made.codes->read_rows(0, 1, bytes).error().message,
              HasSubstr("w fp16[8,32]: row 5 holds an infinite or NaN value"));
}

TEST(PalettizedWeight, PiecesOfAWeightShareItsOnlyTable) {
  const WeightRef source = random_weight({DType::F16, {64, 32}}, 3);
  Cache cache;
  const auto low = cache.quantize(row_slice(source, 0, 32), {kP4}, "low").value();
  const auto high = cache.quantize(row_slice(source, 32, 32), {kP4}, "high").value();
  EXPECT_EQ(low.table, high.table);
  const auto whole = all_of(*cache.quantize(source, {kP4}, "w")->codes);
  const auto codes = all_of(*high.codes);
  EXPECT_TRUE(std::equal(codes.begin(), codes.end(), whole.begin() + 32 * 32));
  // Tables of groups are cut with the rows.
  const Format grouped{4, 16, Kind::Palette};
  const auto all = cache.quantize(source, {grouped}, "w").value();
  const auto part = cache.quantize(row_slice(source, 16, 32), {grouped}, "part").value();
  EXPECT_EQ(to_string(part.table->type()), "fp16[2,1,16,1]");
  const auto tables = all_of(*all.table), part_tables = all_of(*part.table);
  EXPECT_TRUE(std::equal(part_tables.begin(), part_tables.end(), tables.begin() + 32));
  EXPECT_THAT(cache.quantize(row_slice(source, 8, 16), {grouped}, "odd").error().message,
              HasSubstr("do not end where groups of 16 rows do"));
}

TEST(Palette, TablesAreNoLargerThanWhatTheyStandFor) {
  const auto error = quantize(random_weight({DType::F16, {16, 16}}, 1), {{8, 8, Kind::Palette}}, "w");
  ASSERT_FALSE(error.has_value());
  EXPECT_EQ(error.error().to_string(),
            "w fp16[16,16]: a table of 256 entries is larger than the 128 weights that share it; "
            "the nearest valid choice is one table for all rows, or fewer bits");
}

}  // namespace
}  // namespace diptych::quant
