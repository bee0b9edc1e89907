#include "engine/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "base/half.h"

namespace diptych::engine {
namespace {

constexpr float kMasked = -std::numeric_limits<float>::infinity();

struct Case {
  AttentionShape shape;
  int64_t cache = 0, fresh = 0;
  std::vector<float> q, mask;
  std::vector<float> k[2], v[2];     // as they are after a trip through fp16
  std::vector<std::byte> stored[4];  // k, v of the cache; k, v of the new positions
  size_t shift = 0;                  // of the stored bytes
};

Case make_case(AttentionShape shape, int64_t cache, int64_t fresh, uint32_t seed,
               size_t shift = 0) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Case c{shape, cache, fresh, {}, {}, {}, {}, {}, shift};
  c.q.resize(static_cast<size_t>(shape.heads * shape.rows * shape.head_dim));
  for (float& x : c.q) x = normal(random);
  for (int part = 0; part < 2; ++part) {
    const int64_t columns = part == 0 ? cache : fresh;
    const auto count = static_cast<size_t>(shape.kv_heads * columns * shape.head_dim);
    for (auto* values : {&c.k[part], &c.v[part]}) {
      values->resize(count);
      for (float& x : *values) x = half_to_float(float_to_half(normal(random)));
      auto& bytes = c.stored[part * 2 + (values == &c.v[part] ? 1 : 0)];
      bytes.resize(count * (part == 0 ? 2 : 4) + shift + 64);
      for (size_t i = 0; i < count; ++i) {
        const uint16_t half = float_to_half((*values)[i]);
        if (part == 0)
          std::memcpy(&bytes[shift + 2 * i], &half, 2);
        else
          std::memcpy(&bytes[shift + 4 * i], &(*values)[i], 4);
      }
    }
  }
  // What a prompt's chunk sees: a part of the cache, and the new positions up to its own.
  c.mask.assign(static_cast<size_t>(shape.rows * (cache + fresh)), kMasked);
  const int64_t present = cache * 2 / 3;
  for (int64_t t = 0; t < shape.rows; ++t) {
    float* row = &c.mask[static_cast<size_t>(t * (cache + fresh))];
    for (int64_t j = 0; j < present; ++j) row[j] = 0;
    for (int64_t j = 0; j <= std::min(t, fresh - 1); ++j) row[cache + j] = 0;
  }
  return c;
}

AttentionArguments arguments_of(const Case& c, float* out) {
  AttentionArguments a;
  a.shape = c.shape;
  a.q = c.q.data();
  a.k[0] = {c.stored[0].data() + c.shift, true, c.cache};
  a.v[0] = {c.stored[1].data() + c.shift, true, c.cache};
  a.k[1] = {c.stored[2].data() + c.shift, false, c.fresh};
  a.v[1] = {c.stored[3].data() + c.shift, false, c.fresh};
  a.mask = c.mask.data();
  a.out = out;
  return a;
}

std::vector<float> compute(const Case& c) {
  std::vector<float> out(c.q.size(), -1.0f), scratch(attention_scratch(c.shape));
  attention(arguments_of(c, out.data()), 0, attention_items(c.shape), scratch.data());
  return out;
}

std::vector<float> reference(const Case& c) {
  const AttentionShape& s = c.shape;
  const int64_t columns = c.cache + c.fresh;
  std::vector<float> out(c.q.size());
  for (int64_t h = 0; h < s.heads; ++h) {
    const int64_t kv = h / (s.heads / s.kv_heads);
    for (int64_t t = 0; t < s.rows; ++t) {
      std::vector<double> score(static_cast<size_t>(columns));
      double largest = kMasked, total = 0;
      const auto at = [&](const std::vector<float>* parts, int64_t j, int64_t i) {
        const bool in_cache = j < c.cache;
        const int64_t n = in_cache ? c.cache : c.fresh, column = in_cache ? j : j - c.cache;
        return parts[in_cache ? 0 : 1][static_cast<size_t>((kv * n + column) * s.head_dim + i)];
      };
      for (int64_t j = 0; j < columns; ++j) {
        double sum = 0;
        for (int64_t i = 0; i < s.head_dim; ++i) {
          sum +=
              double{c.q[static_cast<size_t>((h * s.rows + t) * s.head_dim + i)]} * at(c.k, j, i);
        }
        score[static_cast<size_t>(j)] =
            sum * s.scale + c.mask[static_cast<size_t>(t * columns + j)];
        largest = std::max(largest, score[static_cast<size_t>(j)]);
      }
      for (double& x : score) total += x = std::exp(x - largest);
      for (int64_t i = 0; i < s.head_dim; ++i) {
        double sum = 0;
        for (int64_t j = 0; j < columns; ++j) {
          if (score[static_cast<size_t>(j)] > 0)
            sum += score[static_cast<size_t>(j)] * at(c.v, j, i);
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
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 2e-5) << i;
}

TEST(Attention, AgreesWithThePlainSum) {
  uint32_t seed = 1;
  for (const int64_t dim : {1, 3, 8, 16, 20, 64, 80, 128}) {
    for (const int64_t cache : {0, 1, 63, 64, 65, 200}) {
      for (const int64_t rows : {1, 2, 17, 40}) {
        for (const auto& [heads, kv_heads] : {std::pair<int64_t, int64_t>{1, 1}, {6, 2}, {4, 4}}) {
          const AttentionShape shape{heads, kv_heads, rows, dim, 0.25f};
          ++seed;
          const Case c = make_case(shape, cache, rows, seed, seed % 7);
          expect_near(compute(c), reference(c));
        }
      }
    }
  }
}

TEST(Attention, ARowDoesNotDependOnItsCompany) {
  const AttentionShape shape{8, 2, 40, 24, 0.3f};
  const Case all = make_case(shape, 100, 40, 5);
  const std::vector<float> together = compute(all);
  for (const int64_t t : {0, 1, 17, 39}) {
    Case one = all;
    one.shape.rows = 1;
    one.mask.assign(all.mask.begin() + t * 140, all.mask.begin() + (t + 1) * 140);
    one.q.clear();
    for (int64_t h = 0; h < 8; ++h) {
      const auto from = all.q.begin() + (h * 40 + t) * 24;
      one.q.insert(one.q.end(), from, from + 24);
    }
    const std::vector<float> alone = compute(one);
    EXPECT_EQ(std::memcmp(alone.data(), &together[static_cast<size_t>(t * 8 * 24)], 8 * 24 * 4), 0);
  }
}

TEST(Attention, NeverLooksAtWhatIsMasked) {
  const AttentionShape shape{2, 1, 3, 16, 1.0f};
  Case c = make_case(shape, 130, 3, 9);
  const std::vector<float> clean = compute(c);
  const uint16_t nan = 0x7e00;
  for (int64_t j = 130 * 2 / 3; j < 130; ++j) {
    for (int64_t i = 0; i < 16; ++i) {
      std::memcpy(&c.stored[0][static_cast<size_t>(2 * (j * 16 + i))], &nan, 2);
      std::memcpy(&c.stored[1][static_cast<size_t>(2 * (j * 16 + i))], &nan, 2);
    }
  }
  EXPECT_EQ(compute(c), clean);
  // Finite penalties of any size are added, not skipped; far below the maximum they give 0.
  for (float& m : c.mask) {
    if (m == kMasked) m = -65504.0f;
  }
  Case penalised = make_case(shape, 130, 3, 9);
  penalised.mask = c.mask;
  expect_near(compute(penalised), clean);
  // A row that sees nothing is 0/0.
  std::fill_n(penalised.mask.begin(), 133, kMasked);
  EXPECT_TRUE(std::isnan(compute(penalised)[0]));
}

}  // namespace
}  // namespace diptych::engine
