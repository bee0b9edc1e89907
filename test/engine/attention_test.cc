#include "engine/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "base/half.h"
#include "every_target.h"

namespace diptych::engine {
namespace {

class Attention : public EveryTarget {};
INSTANTIATE_TEST_SUITE_P(Targets, Attention, every_target(), target_name);
class VisibleColumns : public EveryTarget {};
INSTANTIATE_TEST_SUITE_P(Targets, VisibleColumns, every_target(), target_name);

constexpr float kMasked = -std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Floats as the packed elements that attention reads: fp16 or fp32, at an odd address if wanted, in
// a buffer that ends with the last element, so that AddressSanitizer sees whoever reads on.
class Packed {
 public:
  Packed(std::vector<float>& values, bool half, size_t shift) : half_(half), shift_(shift) {
    const size_t size = values.size() * (half ? 2 : 4);
    bytes_.reset(new std::byte[shift + size]);
    for (size_t i = 0; i < values.size(); ++i) {
      const uint16_t bits = float_to_half(values[i]);
      std::memcpy(&bytes_[shift + i * (half ? 2 : 4)],
                  half ? static_cast<const void*>(&bits) : &values[i], half ? 2 : 4);
      if (half) values[i] = half_to_float(bits);  // what the reference is to see
    }
  }
  AttentionSource source() const { return {bytes_.get() + shift_, half_}; }

 private:
  bool half_;
  size_t shift_;
  std::unique_ptr<std::byte[]> bytes_;
};

struct Case {
  AttentionShape shape;
  bool half[3] = {true, true, true};  // the cache, the new positions, the mask
  Hiding hiding = Hiding::Infinite;
  size_t shift = 0;               // of what is packed
  std::vector<float> q, mask;     // [heads, rows, head_dim], [rows, columns]
  std::vector<float> k[2], v[2];  // [kv_heads, columns, head_dim] of the cache and the new part

  float& mask_at(int64_t row, int64_t column) {
    return mask[static_cast<size_t>(row * shape.columns.count() + column)];
  }
  float& at(std::vector<float>* parts, int64_t head, int64_t column, int64_t i) {
    const auto& columns = shape.columns.parts;
    const int part = column < columns[0] ? 0 : 1;
    if (part == 1) column -= columns[0];
    return parts[part][static_cast<size_t>((head * columns[part] + column) * shape.head_dim + i)];
  }
};

// Normal numbers, under the mask of a prompt's chunk: a part of the cache is seen, and the new
// positions up to a row's own.
Case make_case(AttentionShape shape, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  const auto fill = [&](std::vector<float>& values, int64_t count) {
    values.resize(static_cast<size_t>(count));
    for (float& x : values) x = normal(random);
  };
  Case c;
  c.shape = shape;
  fill(c.q, shape.heads * shape.rows * shape.head_dim);
  for (int part = 0; part < 2; ++part) {
    const int64_t count = shape.kv_heads * shape.columns.parts[part] * shape.head_dim;
    fill(c.k[part], count);
    fill(c.v[part], count);
  }
  const int64_t cache = shape.columns.parts[0], fresh = shape.columns.parts[1];
  c.mask.assign(static_cast<size_t>(shape.rows * (cache + fresh)), kMasked);
  for (int64_t t = 0; t < shape.rows; ++t) {
    for (int64_t j = 0; j < cache * 2 / 3; ++j) c.mask_at(t, j) = 0;
    for (int64_t j = 0; j <= std::min(t, fresh - 1); ++j) c.mask_at(t, cache + j) = 0;
  }
  return c;
}

// Of the first `rows` rows, or of all. Also rounds the case's numbers to what is packed.
std::vector<float> compute(Case& c, int threads = 1, std::optional<int64_t> rows = {}) {
  const AttentionShape& shape = c.shape;
  AttentionArguments a;
  a.shape = shape;
  a.shape.rows = rows.value_or(shape.rows);
  a.q = c.q.data();
  a.q_stride = shape.rows * shape.head_dim;
  std::vector<Packed> packed;
  for (int part = 0; part < 2; ++part) {
    packed.emplace_back(c.k[part], c.half[part], c.shift);
    packed.emplace_back(c.v[part], c.half[part], c.shift);
    a.k[part] = packed[packed.size() - 2].source();
    a.v[part] = packed.back().source();
  }
  packed.emplace_back(c.mask, c.half[2], c.shift);
  a.mask = packed.back().source();
  std::vector<uint8_t> visible(static_cast<size_t>(shape.rows * shape.columns.blocks()));
  find_visible(shape.columns, a.mask.data, a.mask.half, c.hiding, 0, shape.rows, visible.data());
  a.visible = visible.data();
  std::vector<float> out(c.q.size(), -1.0f), scratch(attention_scratch(shape), kNan);
  a.out = out.data();
  const int64_t blocks = seen_columns(shape.columns, a.shape.rows, visible.data()).blocks;
  const int64_t queries = attention_item_queries(a.shape, blocks, threads);
  const int64_t items = attention_items(a.shape, queries);
  for (int64_t i = items; i-- > 0;) attention(a, queries, i, i + 1, scratch.data());
  return out;
}

std::vector<float> reference(Case& c) {
  const AttentionShape& s = c.shape;
  const int64_t columns = s.columns.count();
  std::vector<float> out(c.q.size());
  for (int64_t h = 0; h < s.heads; ++h) {
    const int64_t kv = h / (s.heads / s.kv_heads);
    for (int64_t t = 0; t < s.rows; ++t) {
      std::vector<double> score(static_cast<size_t>(columns), kMasked);
      double largest = kMasked, total = 0;
      for (int64_t j = 0; j < columns; ++j) {
        double sum = 0;
        for (int64_t i = 0; i < s.head_dim; ++i) {
          sum += double{c.q[static_cast<size_t>((h * s.rows + t) * s.head_dim + i)]} *
                 c.at(c.k, kv, j, i);
        }
        if (c.mask_at(t, j) == kMasked) continue;
        score[static_cast<size_t>(j)] = sum * s.scale + c.mask_at(t, j);
        largest = std::max(largest, score[static_cast<size_t>(j)]);
      }
      for (double& x : score) total += x = std::exp(x - largest);
      for (int64_t i = 0; i < s.head_dim; ++i) {
        double sum = 0;
        for (int64_t j = 0; j < columns; ++j) {
          if (c.mask_at(t, j) != kMasked)
            sum += score[static_cast<size_t>(j)] * c.at(c.v, kv, j, i);
        }
        out[static_cast<size_t>((t * s.heads + h) * s.head_dim + i)] =
            static_cast<float>(sum / total);
      }
    }
  }
  return out;
}

void expect_near(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(b[i])) {
      ASSERT_TRUE(std::isnan(a[i])) << i;
    } else {
      ASSERT_NEAR(a[i], b[i], 2e-5) << i;
    }
  }
}

void expect_agrees(Case& c) {
  const std::vector<float> out = compute(c);  // first: it rounds the numbers
  expect_near(out, reference(c));
}

void expect_same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0);
}

// The row `t` of a case by itself.
Case row_of(Case& all, int64_t t) {
  Case one = all;
  const int64_t columns = all.shape.columns.count(), dim = all.shape.head_dim;
  one.shape.rows = 1;
  one.mask.assign(all.mask.begin() + t * columns, all.mask.begin() + (t + 1) * columns);
  one.q.clear();
  for (int64_t h = 0; h < all.shape.heads; ++h) {
    const auto from = all.q.begin() + (h * all.shape.rows + t) * dim;
    one.q.insert(one.q.end(), from, from + dim);
  }
  return one;
}

TEST_P(Attention, AgreesWithThePlainSum) {
  uint32_t seed = 1;
  for (const int64_t dim : {1, 3, 8, 20, 32, 64, 80, 128}) {
    for (const int64_t cache : {0, 1, 63, 64, 65, 200}) {
      for (const int64_t rows : {1, 2, 5, 31}) {
        const int64_t group = std::array{1, 3, 4, 8, 2}[++seed % 5];
        Case c = make_case({2 * group, 2, rows, dim, {{cache, rows}}, 0.25f}, seed);
        c.shift = seed % 7;
        for (uint32_t i = 0; i < 3; ++i) c.half[i] = (seed >> i) % 2 != 0;
        ASSERT_NO_FATAL_FAILURE(expect_agrees(c))
            << "head_dim " << dim << " cache " << cache << " rows " << rows << " group " << group;
      }
    }
  }
}

TEST_P(Attention, AgreesOnWholePrompts) {
  for (const int64_t rows : {64, 128}) {
    Case c = make_case({3, 1, rows, 64, {{70, rows}}, 0.125f}, 5);
    expect_agrees(c);
  }
}

// Masks with holes, penalties and rows that see nothing; rows of every kind side by side.
Case with_motley_mask(Case c) {
  std::mt19937 random(7);
  const int64_t columns = c.shape.columns.count();
  for (int64_t t = 0; t < c.shape.rows; ++t) {
    const uint32_t kind = random() % 5;
    for (int64_t j = 0; j < columns; ++j) {
      float& m = c.mask_at(t, j);
      if (kind == 0) m = kMasked;
      if (kind == 1) m = random() % 3 == 0 ? 0 : kMasked;
      if (kind == 2) m = random() % 3 == 0 ? 0 : -65504.0f;
      if (kind == 3) m = -0.125f * static_cast<float>(columns - j);
      // kind 4: as it was
    }
  }
  return c;
}

TEST_P(Attention, TakesAnyMask) {
  for (const bool half : {false, true}) {
    for (const int64_t heads : {1, 3}) {
      Case c = with_motley_mask(make_case({heads, 1, 33, 40, {{150, 33}}, 0.2f}, 3));
      c.half[2] = half;
      expect_agrees(c);
    }
  }
}

TEST_P(Attention, ARowDoesNotDependOnItsCompany) {
  for (const int64_t dim : {20, 64, 128}) {
    for (const int64_t heads : {2, 6, 8}) {
      Case prompt = make_case({heads, 2, 40, dim, {{100, 40}}, 0.3f}, 5);
      Case floats = prompt;
      std::fill_n(floats.half, 3, false);
      for (Case all : {prompt, with_motley_mask(prompt), floats}) {
        const std::vector<float> together = compute(all);
        expect_same_bits(compute(all, 2), together);
        expect_same_bits(compute(all, 64), together);
        for (const int64_t rows : {1, 3, 39}) {
          std::vector<float> some = compute(all, 2, rows);
          const auto untouched = some.begin() + rows * heads * dim;
          EXPECT_TRUE(std::all_of(untouched, some.end(), [](float x) { return x == -1.0f; }));
          some.erase(untouched, some.end());
          expect_same_bits(some, {together.begin(), together.begin() + rows * heads * dim});
        }
        for (int64_t t = 0; t < 40; ++t) {
          Case one = row_of(all, t);
          const auto begin = together.begin() + t * heads * dim;
          expect_same_bits(compute(one), {begin, begin + heads * dim});
        }
      }
    }
  }
}

// The tokens that a row sees, laid out at random: so many of them in the cache, the others among
// the new positions, hidden columns full of NaN between, before and after both.
Case spread_out(Case& tokens, int64_t cached, std::mt19937& random) {
  const int64_t count = tokens.shape.columns.parts[1];
  std::vector<int64_t> columns[2];  // of the cache and the new part: the token, or -1
  for (int64_t token = 0; token < count; ++token) {
    std::vector<int64_t>& part = columns[token < cached ? 0 : 1];
    if (random() % 4 == 0) part.resize(part.size() + random() % 70, -1);
    part.push_back(token);
  }
  for (std::vector<int64_t>& part : columns) part.resize(part.size() + random() % 130, -1);
  Case c = tokens;
  c.half[0] = c.half[1] = true;
  c.mask.clear();
  for (int part = 0; part < 2; ++part) {
    const auto size = static_cast<int64_t>(columns[part].size());
    c.shape.columns.parts[part] = size;
    c.k[part].assign(static_cast<size_t>(size * c.shape.kv_heads * c.shape.head_dim), kNan);
    c.v[part] = c.k[part];
    for (int64_t j = 0; j < size; ++j) {
      const int64_t token = columns[part][static_cast<size_t>(j)];
      c.mask.push_back(token < 0 ? kMasked : tokens.mask_at(0, token));
      for (int64_t i = 0; token >= 0 && i < c.shape.kv_heads * c.shape.head_dim; ++i) {
        const int64_t head = i / c.shape.head_dim, element = i % c.shape.head_dim;
        const auto to = static_cast<size_t>((head * size + j) * c.shape.head_dim + element);
        c.k[part][to] = tokens.at(tokens.k, head, token, element);
        c.v[part][to] = tokens.at(tokens.v, head, token, element);
      }
    }
  }
  return c;
}

TEST_P(Attention, ARowDoesNotDependOnWhereItsTokensLie) {
  std::mt19937 random(17);
  for (const int64_t dim : {20, 64, 128}) {
    for (const int64_t count : {1, 7, 64, 65, 300}) {
      for (const bool penalties : {false, true}) {
        Case tokens = make_case({6, 2, 1, dim, {{0, count}}, 2.0f}, static_cast<uint32_t>(count));
        for (float& m : tokens.mask)
          m = penalties ? -0.25f * static_cast<float>(random() % 9) : 0.0f;
        const std::vector<float> plain = compute(tokens);
        for (int i = 0; i < 12; ++i) {
          const int64_t cached = static_cast<int64_t>(random() % static_cast<uint32_t>(count + 1));
          Case spread = spread_out(tokens, cached, random);
          expect_same_bits(compute(spread), plain);
        }
      }
    }
  }
}

TEST_P(Attention, WhatComesAfterTheColumnsSeenChangesNothing) {
  Case c = make_case({4, 2, 3, 24, {{90, 3}}, 0.3f}, 11);
  const std::vector<float> once = compute(c);
  // The same columns in a longer cache, full of NaN where nothing is seen.
  Case longer = make_case({4, 2, 3, 24, {{400, 3}}, 0.3f}, 11);
  longer.q = c.q;
  longer.k[1] = c.k[1];
  longer.v[1] = c.v[1];
  for (int64_t j = 0; j < 403; ++j) {
    const int64_t from = j < 90 ? j : j - 310;
    for (int64_t t = 0; t < 3; ++t) {
      longer.mask_at(t, j) = j < 90 || j >= 400 ? c.mask_at(t, from) : kMasked;
    }
    for (int64_t i = 0; j < 400 && i < 2 * 24; ++i) {
      const bool seen = j < 60;
      longer.at(longer.k, i / 24, j, i % 24) = seen ? c.at(c.k, i / 24, j, i % 24) : kNan;
      longer.at(longer.v, i / 24, j, i % 24) = seen ? c.at(c.v, i / 24, j, i % 24) : kNan;
    }
  }
  expect_same_bits(compute(longer), once);
}

TEST_P(Attention, NeverLooksAtWhatIsMasked) {
  for (const float garbage : {kNan, std::numeric_limits<float>::infinity(), kMasked}) {
    Case c = with_motley_mask(make_case({2, 1, 1, 16, {{130, 1}}, 1.0f}, 9));
    for (int64_t j = 0; j < 131; ++j) c.mask_at(0, j) = j % 3 == 1 ? kMasked : 0;
    const std::vector<float> clean = compute(c);
    for (int64_t j = 1; j < 131; j += 3) {
      for (int64_t i = 0; i < 16; ++i) c.at(c.k, 0, j, i) = c.at(c.v, 0, j, i) = garbage;
    }
    expect_same_bits(compute(c), clean);
  }
}

TEST_P(Attention, FiniteEntriesHideToTheBit) {
  Case c = make_case({4, 2, 5, 24, {{131, 5}}, 0.2f}, 12);
  for (int64_t j = 0; j < 131; ++j) c.mask_at(1, j) = j % 3 == 1 ? kMasked : 0;  // holes
  const std::vector<float> expected = compute(c);
  for (const float garbage : {0.0f, kNan}) {
    for (const bool half : {true, false}) {
      Case finite = c;
      finite.hiding = Hiding::Finite;
      finite.half[2] = half;
      for (float& entry : finite.mask) entry = entry == kMasked ? kHiddenEntry : entry;
      for (int64_t i = 0; i < 24; ++i) finite.at(finite.v, 0, 130, i) = garbage;  // seen by none
      EXPECT_EQ(compute(finite), expected);
    }
  }
  // A row that hides all columns alike sees all of them alike.
  Case none = c;
  none.hiding = Hiding::Finite;
  std::fill_n(none.mask.begin(), 136, kHiddenEntry);
  EXPECT_FALSE(std::isnan(compute(none)[0]));
}

TEST_P(Attention, NanIsSeenByThoseWhoSeeItsColumn) {
  for (const bool in_keys : {true, false}) {
    Case c = make_case({1, 1, 6, 16, {{0, 6}}, 1.0f}, 9);
    c.at(in_keys ? c.k : c.v, 0, 3, 5) = kNan;
    const std::vector<float> out = compute(c);
    for (size_t t = 0; t < 6; ++t) {
      for (size_t i = 0; i < 16; ++i) {
        const bool hit = t >= 3 && (in_keys || i == 5);
        EXPECT_EQ(std::isnan(out[t * 16 + i]), hit) << t << " " << i;
      }
    }
  }
}

TEST_P(Attention, ARowThatSeesNothingIsNan) {
  Case c = make_case({1, 1, 2, 16, {{10, 2}}, 1.0f}, 9);
  std::fill_n(c.mask.begin(), 12, kMasked);
  const std::vector<float> out = compute(c);
  EXPECT_TRUE(std::isnan(out[0]));
  EXPECT_FALSE(std::isnan(out[16]));
}

TEST_P(Attention, ExtremeScores) {
  Case c = make_case({1, 1, 1, 8, {{70, 1}}, 1.0f}, 2);
  // One column far above the others takes all, wherever it stands.
  for (const int64_t winner : {0, 63, 64, 70}) {
    if (winner >= 46 && winner < 70) continue;  // not seen
    Case one = c;
    std::fill(one.q.begin(), one.q.end(), 1.0f);
    for (int64_t i = 0; i < 8; ++i) one.at(one.k, 0, winner, i) = 1000;
    const std::vector<float> out = compute(one);
    for (int64_t i = 0; i < 8; ++i)
      EXPECT_EQ(out[static_cast<size_t>(i)], one.at(one.v, 0, winner, i));
  }
  // A score of -inf counts as nothing; +inf has no softmax.
  Case low = c;
  std::fill(low.q.begin(), low.q.end(), 1.0f);
  low.at(low.k, 0, 0, 0) = kMasked;
  Case without = low;
  without.mask_at(0, 0) = kMasked;
  const std::vector<float> with = compute(low);
  compute(without);
  expect_near(with, reference(without));
  Case high = low;
  high.at(high.k, 0, 0, 0) = -kMasked;
  EXPECT_TRUE(std::isnan(compute(high)[0]));
  // Subnormal halves are numbers like others.
  Case tiny = c;
  for (float& x : tiny.v[0]) x *= 0x1p-18f;
  tiny.v[1] = std::vector<float>(8, 0x1p-24f);
  const std::vector<float> out = compute(tiny), expected = reference(tiny);
  for (size_t i = 0; i < 8; ++i) EXPECT_NEAR(out[i], expected[i], std::abs(expected[i]) * 1e-5);
}

TEST_P(VisibleColumns, CountsUpToTheLastOneAndKnowsZeros) {
  for (const bool half : {false, true}) {
    const AttentionColumns columns{{70, 3}};
    std::vector<float> mask(2 * 73, kMasked);
    for (size_t j = 0; j < 70; ++j) mask[j] = j == 5 ? -0.0f : 0.0f;  // row 0: the whole cache
    mask[73 + 2] = 0;                                                 // row 1: holes before
    mask[73 + 65] = -1;                                               // a penalty
    mask[73 + 70] = mask[73 + 71] = 0;
    const Packed packed(mask, half, 1);
    std::vector<uint8_t> visible(6, 0xEE);
    const auto find = [&](Hiding hiding, int64_t row) {
      find_visible(columns, packed.source().data, half, hiding, row, row + 1, visible.data());
    };
    find(Hiding::Infinite, 0);
    EXPECT_EQ(visible[3], 0xEE);
    find(Hiding::Infinite, 1);
    const uint8_t holes3 = Visible{3, false, Hiding::Infinite}.byte();
    const uint8_t holes2 = Visible{2, false, Hiding::Infinite}.byte();
    EXPECT_EQ(visible, (std::vector<uint8_t>{64, 6, 0, holes3, holes2, 2}));
  }
  EXPECT_EQ((AttentionColumns{{64, 65}}.blocks()), 3);
  const uint8_t visible[] = {64, 0, 0, Visible{3, false, Hiding::Finite}.byte(), 0, 2};
  const SeenColumns seen = seen_columns({{70, 3}}, 2, visible);
  EXPECT_EQ(seen.pairs, 69);
  EXPECT_EQ(seen.blocks, 2);
  EXPECT_EQ((AttentionColumns{{0, 1}}.blocks()), 1);
}

TEST(Visible, IsAByte) {
  for (int64_t count = 0; count <= kAttentionBlock; ++count) {
    for (const Visible what :
         {Visible{count, true, Hiding::Infinite}, Visible{count, false, Hiding::Infinite},
          Visible{count, false, Hiding::Finite}}) {
      const Visible again = Visible::of(what.byte());
      EXPECT_EQ(Visible::count_of(what.byte()), count);
      EXPECT_EQ(again.count, count);
      EXPECT_EQ(again.plain, count == 0 || what.plain);
      EXPECT_EQ(again.hiding, count == 0 ? Hiding::Infinite : what.hiding);
    }
  }
  EXPECT_TRUE(finite_entries_hide(1 / std::sqrt(11.0)));
  EXPECT_FALSE(finite_entries_hide(1 / std::sqrt(10.0)));
}

TEST_P(VisibleColumns, FiniteEntriesHideBesideAZero) {
  for (const bool half : {false, true}) {
    for (const float low : {-40000.0f, -65504.0f, half ? kMasked : -1e9f}) {
      const AttentionColumns columns{{3, 2}};
      // A 0; none, in which case what all have is nothing; almost low enough.
      std::vector<float> mask = {0,   low, low,    low, 0,     // row 0
                                 low, low, low,    low, low,   // row 1
                                 0,   low, -39968, low, low};  // row 2
      const Packed packed(mask, half, 1);
      std::vector<uint8_t> visible(6);
      find_visible(columns, packed.source().data, half, Hiding::Finite, 0, 3, visible.data());
      const bool infinite = low == kMasked;
      const auto holes = [](int64_t count, Hiding hiding) {
        return Visible{count, false, hiding}.byte();
      };
      EXPECT_EQ(visible, (std::vector<uint8_t>{1, holes(2, Hiding::Finite),
                                               infinite ? uint8_t{0} : holes(3, Hiding::Infinite),
                                               infinite ? uint8_t{0} : holes(2, Hiding::Infinite),
                                               holes(3, Hiding::Finite), 0}));
    }
  }
}

}  // namespace
}  // namespace diptych::engine
