// linear and gather over stored weights: computed from packed bytes wherever they lie, and equal to
// dequantising first.
#include <gmock/gmock.h>

#include <array>
#include <bit>
#include <cmath>

#include "base/half.h"
#include "engine/looked_up.h"
#include "engine_test_util.h"
#include "kernels/isa.h"
#include "kernels/palette.h"

namespace diptych::engine {
namespace {

using mil::Builder;
using mil::Value;
using Values = std::vector<Value*>;

// A quantised weight [rows, columns], blocks of `block` columns.
struct Quantized {
  DType dtype = DType::Int4;
  int64_t rows = 0, columns = 0, block = 0;
  DType scale_dtype = DType::F16;
  bool offset = false;
};

Tensor packed(const WeightRef& weight) {
  const auto bytes = read_all(*packed_source(weight)).value();
  return {weight->type(), bytes};
}

struct Parts {
  Tensor data, scale, offset;
};
Parts make_parts(const Quantized& q) {
  const Shape blocks{q.rows, q.columns / q.block};
  return {packed(random_weight({q.dtype, {q.rows, q.columns}}, 11)),
          random_floats(blocks, 12, q.scale_dtype, 0.01f),
          packed(random_weight({q.dtype, blocks}, 13))};
}

// How the weight's parts come into the function.
using Wrap = std::function<WeightRef(const Tensor&)>;
WeightRef plain(const Tensor& tensor) { return shifted_weight(tensor, 0); }

Value* dequantized(Builder& b, const Quantized& q, const Parts& parts, const Wrap& wrap) {
  std::vector<mil::Operand> operands = {{"data", {b.constant("data", wrap(parts.data))}},
                                        {"scale", {b.constant("scale", wrap(parts.scale))}}};
  if (q.offset) operands.push_back({"offset", {b.constant("offset", wrap(parts.offset))}});
  return b.op("constexpr_blockwise_shift_scale", std::move(operands), "weight");
}

Tensor run_linear(const Quantized& q, const Tensor& x, const RunOptions& options,
                  const Wrap& wrap = plain) {
  const Parts parts = make_parts(q);
  return evaluate(
      {x},
      [&](Builder& b, const Values& in) {
        Value* bias = b.constant("bias", wrap(random_floats({q.rows}, 14, q.scale_dtype)));
        return Values{b.linear(in[0], dequantized(b, q, parts, wrap), bias)};
      },
      options);
}

// In double precision, with the weight rounded first when it is fp16 and typed.
void expect_near_exact(const Quantized& q, const Tensor& x, const Tensor& out, bool is_typed) {
  const Parts parts = make_parts(q);
  const auto data = parts.data.ints();
  const auto scale = parts.scale.floats(), xs = x.floats(), got = out.floats();
  const auto offset = parts.offset.ints();
  const auto bias = random_floats({q.rows}, 14, q.scale_dtype).floats();
  const bool rounds = is_typed && q.scale_dtype == DType::F16;
  const auto rows = static_cast<size_t>(q.rows), columns = static_cast<size_t>(q.columns);
  const size_t blocks = columns / static_cast<size_t>(q.block);
  for (size_t t = 0; t < xs.size() / columns; ++t) {
    for (size_t o = 0; o < rows; ++o) {
      double expected = bias[o], size = std::abs(bias[o]);
      for (size_t i = 0; i < columns; ++i) {
        const size_t block = o * blocks + i / static_cast<size_t>(q.block);
        const auto shifted =
            static_cast<float>(data[o * columns + i] - (q.offset ? offset[block] : 0));
        float w = scale[block] * shifted;
        if (rounds) w = round_to_half(w);
        expected += static_cast<double>(w) * xs[t * columns + i];
        size += std::abs(static_cast<double>(w) * xs[t * columns + i]);
      }
      // One rounding to the output's type, and fp32 accumulation.
      const double tolerance =
          size * 2e-6 + (q.scale_dtype == DType::F16 ? std::abs(expected) * 0x1p-11 + 0x1p-25 : 0);
      ASSERT_NEAR(got[t * rows + o], expected, tolerance) << "row " << t << " output " << o;
    }
  }
}

std::vector<Quantized> cases() {
  std::vector<Quantized> all;
  for (const DType dtype : {DType::Int4, DType::UInt4, DType::Int8, DType::UInt8}) {
    for (const DType scale : {DType::F16, DType::F32}) {
      for (const bool offset : {false, true}) {
        for (const int64_t columns : {1, 2, 7, 31, 33, 45, 63, 65, 101}) {
          all.push_back({dtype, 5, columns, columns, scale, offset});  // per channel
        }
        for (const int64_t block : {32, 64, 128})
          all.push_back({dtype, 9, 256, block, scale, offset});
        all.push_back({dtype, 3, 15, 3, scale, offset});
      }
    }
  }
  return all;
}

TEST(QuantizedLinear, IsCloseToExactInBothNumerics) {
  for (const Quantized& q : cases()) {
    const Tensor x = random_floats({2, 3, q.columns}, 15, q.scale_dtype);
    expect_near_exact(q, x, run_linear(q, x, {}), false);
    expect_near_exact(q, x, run_linear(q, x, typed()), true);
  }
}

TEST(QuantizedLinear, EqualsDequantizingFirst) {
  for (const Quantized& q : cases()) {
    const Tensor x = random_floats({3, q.columns}, 16, q.scale_dtype);
    for (RunOptions options : {RunOptions{}, typed()}) {
      const Tensor fast = run_linear(q, x, options);
      options.executable.weights_by_rows = false;
      EXPECT_EQ(fast.data, run_linear(q, x, options).data);
    }
  }
}

TEST(QuantizedLinear, AnyAddressGivesTheSameBits) {
  for (const Quantized& q :
       {Quantized{DType::Int4, 5, 45, 45}, Quantized{DType::Int4, 4, 96, 32},
        Quantized{DType::Int8, 3, 33, 33}, Quantized{DType::Int4, 3, 64, 64, DType::F32, true}}) {
    const Tensor x = random_floats({2, q.columns}, 17, q.scale_dtype);
    const Tensor aligned = run_linear(q, x, {});
    for (size_t shift = 1; shift < 64; ++shift) {
      const auto shifted = [shift](const Tensor& t) { return shifted_weight(t, shift); };
      EXPECT_EQ(run_linear(q, x, {}, shifted).data, aligned.data) << shift;
    }
  }
}

TEST(QuantizedLinear, WeightsThatAreNotInMemoryAreReadByRows) {
  for (const Quantized& q : cases()) {
    const Tensor x = random_floats({2, q.columns}, 18, q.scale_dtype);
    const auto streamed = [](const Tensor& t) { return streamed_weight(plain(t)); };
    EXPECT_EQ(run_linear(q, x, {}, streamed).data, run_linear(q, x, {}).data);
  }
}

TEST(QuantizedLinear, BlocksOfRows) {
  // scale [2, 1] over data [6, 8]: three rows share a scale.
  const auto out = [](bool by_rows) {
    RunOptions options;
    options.executable.weights_by_rows = by_rows;
    return evaluate(
               {floats({1, 8}, std::vector<float>(8, 1.0f))},
               [](Builder& b, const Values& in) {
                 Value* data = b.constant(
                     "data", constant_ints(DType::Int8, {6, 8}, std::vector<int64_t>(48, 1)));
                 Value* scale = b.constant("scale", constant_floats(DType::F32, {2, 1}, {1, 10}));
                 Value* w = b.op("constexpr_blockwise_shift_scale",
                                 {{"data", {data}}, {"scale", {scale}}});
                 return Values{b.linear(in[0], w, nullptr)};
               },
               options)
        .floats();
  };
  EXPECT_THAT(out(true), ::testing::ElementsAre(8, 8, 8, 80, 80, 80));
  EXPECT_THAT(out(false), ::testing::ElementsAre(8, 8, 8, 80, 80, 80));
}

TEST(PlainLinear, HalvesAndFloatsAtAnyAddress) {
  for (const DType dtype : {DType::F16, DType::F32}) {
    for (const int64_t columns : {1, 9, 40, 67}) {
      const Tensor w = random_floats({6, columns}, 19, dtype),
                   x = random_floats({3, columns}, 20, dtype);
      const auto out = [&](const WeightRef& weight) {
        return evaluate({x}, [&](Builder& b, const Values& in) {
          return Values{b.linear(in[0], b.constant("w", weight), nullptr)};
        });
      };
      const Tensor aligned = out(shifted_weight(w, 0));
      const auto got = aligned.floats(), ws = w.floats(), xs = x.floats();
      for (size_t t = 0; t < 3; ++t) {
        for (size_t o = 0; o < 6; ++o) {
          double expected = 0;
          for (size_t i = 0; i < static_cast<size_t>(columns); ++i) {
            expected += static_cast<double>(ws[o * static_cast<size_t>(columns) + i]) *
                        xs[t * static_cast<size_t>(columns) + i];
          }
          EXPECT_NEAR(got[t * 6 + o], expected, dtype == DType::F16 ? 0.02 : 2e-5);
        }
      }
      for (size_t shift = 1; shift < 64; ++shift) {
        EXPECT_EQ(out(shifted_weight(w, shift)).data, aligned.data);
      }
      EXPECT_EQ(out(streamed_weight(shifted_weight(w, 0))).data, aligned.data);
    }
  }
}

TEST(PlainLinear, WeightComputedByTheFunction) {
  const Tensor w = random_floats({40, 24}, 21), x = random_floats({5, 24}, 22);
  const auto constant = evaluate({x}, [&](Builder& b, const Values& in) {
    return Values{b.linear(in[0], b.constant("w", plain(w)), nullptr)};
  });
  const auto computed = evaluate({x, w}, [&](Builder& b, const Values& in) {
    return Values{b.linear(in[0], in[1], nullptr)};
  });
  EXPECT_EQ(constant.data, computed.data);
}

// A row's bits depend neither on the rows beside it nor on the number of threads.
TEST(QuantizedLinear, RowsAreIndependentOfRowsAndThreads) {
  for (const Quantized& q :
       {Quantized{DType::Int4, 300, 416, 32}, Quantized{DType::Int8, 257, 405, 405}}) {
    for (const RunOptions& numerics : {RunOptions{}, typed()}) {
      const Tensor x = random_floats({37, q.columns}, 23, DType::F16);
      const Tensor all = run_linear(q, x, numerics);
      for (const int threads : {2, 3, 5}) {
        RunOptions options = numerics;
        options.threads = threads;
        EXPECT_EQ(run_linear(q, x, options).data, all.data);
      }
      const std::pair<int64_t, int64_t> parts[] = {{0, 1}, {36, 1}, {5, 7}, {16, 18}};
      for (const auto& [first, count] : parts) {
        RunOptions options = numerics;
        options.threads = 2;
        const Tensor some =
            run_linear(q, part_of(x, first * q.columns, {count, q.columns}), options);
        EXPECT_EQ(some.data, part_of(all, first * q.rows, {count, q.rows}).data);
      }
    }
  }
}

TEST(QuantizedGather, EqualsDequantizingFirst) {
  const Tensor at = ints({1, 4}, {3, 0, 4, 3});
  for (const Quantized& q : cases()) {
    if (q.rows < 5) continue;
    const Parts parts = make_parts(q);
    for (RunOptions options : {RunOptions{}, typed()}) {
      const auto gather = [&](const Wrap& wrap) {
        return evaluate(
            {at},
            [&](Builder& b, const Values& in) {
              return Values{b.gather(dequantized(b, q, parts, wrap), in[0], 0)};
            },
            options);
      };
      const Tensor fast = gather(plain);
      EXPECT_EQ(gather([](const Tensor& t) { return shifted_weight(t, 3); }).data, fast.data);
      EXPECT_EQ(gather([](const Tensor& t) { return streamed_weight(plain(t)); }).data, fast.data);
      options.executable.weights_by_rows = false;
      EXPECT_EQ(gather(plain).data, fast.data);
    }
  }
}

// Reads of a weight that counts them.
class CountingWeight : public Weight {
 public:
  explicit CountingWeight(WeightRef source) : Weight(source->type()), source_(std::move(source)) {}
  mutable int64_t rows_read = 0;

 protected:
  Status do_read_rows(int64_t first, int64_t count, MutableBytes out) const override {
    rows_read += count;
    return source_->read_rows(first, count, out);
  }

 private:
  WeightRef source_;
};

TEST(QuantizedGather, ReadsOnlyTheRowsAskedFor) {
  const auto data = std::make_shared<CountingWeight>(random_weight({DType::Int8, {1000, 8}}, 1));
  evaluate({ints({3}, {999, 5, 5})}, [&](Builder& b, const Values& in) {
    Value* w = b.op("constexpr_blockwise_shift_scale",
                    {{"data", {b.constant("data", data)}},
                     {"scale", {b.constant("scale", random_weight({DType::F16, {1000, 1}}, 2))}}});
    return Values{b.gather(w, in[0], 0)};
  });
  EXPECT_EQ(data->rows_read, 3);
}

// Indices of every width that a palette may have, in tables of blocks of rows and columns.
struct PaletteCase {
  DType dtype;
  int64_t rows, columns, rows_per_table, columns_per_table;
};

std::vector<float> looked_up(const PaletteCase& c, const Tensor& indices, const Tensor& lut) {
  const std::vector<int64_t> at = indices.ints();
  const std::vector<float> entries = lut.floats();
  std::vector<float> weights;
  for (int64_t row = 0; row < c.rows; ++row) {
    for (int64_t i = 0; i < c.columns; ++i) {
      const int64_t table =
          row / c.rows_per_table * (c.columns / c.columns_per_table) + i / c.columns_per_table;
      const auto index = static_cast<size_t>(at[static_cast<size_t>(row * c.columns + i)]);
      weights.push_back(entries[(static_cast<size_t>(table) << bit_width(c.dtype)) + index]);
    }
  }
  return weights;
}

TEST(Palette, EveryFormIsEqualToItsDenseWeight) {
  for (const DType entry : {DType::F16, DType::F32}) {
    for (const PaletteCase& c :
         {PaletteCase{DType::UInt1, 6, 24, 3, 24}, PaletteCase{DType::UInt2, 6, 24, 6, 8},
          PaletteCase{DType::UInt3, 4, 9, 2, 9}, PaletteCase{DType::UInt4, 8, 64, 4, 64},
          PaletteCase{DType::UInt4, 8, 64, 8, 16}, PaletteCase{DType::UInt4, 3, 7, 3, 7},
          PaletteCase{DType::UInt6, 8, 64, 2, 64}, PaletteCase{DType::UInt6, 4, 7, 4, 7},
          PaletteCase{DType::UInt8, 16, 96, 8, 96}, PaletteCase{DType::UInt8, 5, 3, 1, 3}}) {
      const Tensor indices = packed(random_weight({c.dtype, {c.rows, c.columns}}, 5));
      const Tensor lut = random_floats({c.rows / c.rows_per_table, c.columns / c.columns_per_table,
                                        int64_t{1} << bit_width(c.dtype), 1},
                                       6, entry, 0.1f);
      const Tensor dense = floats({c.rows, c.columns}, looked_up(c, indices, lut), entry);
      const Tensor x = random_floats({3, c.columns}, 7, entry);
      const auto out = [&](bool by_table, const Wrap& wrap, const RunOptions& options) {
        return evaluate(
                   {x},
                   [&](Builder& b, const Values& in) {
                     Value* w = by_table ? b.op("constexpr_lut_to_dense",
                                                {{"indices", {b.constant("i", wrap(indices))}},
                                                 {"lut", {b.constant("lut", wrap(lut))}}})
                                         : b.constant("w", plain(dense));
                     return Values{b.linear(in[0], w, nullptr)};
                   },
                   options)
            .floats();
      };
      const auto streamed = [](const Tensor& t) { return streamed_weight(plain(t)); };
      const auto shifted = [](const Tensor& t) { return shifted_weight(t, 3); };
      RunOptions precise, slow = typed(), fast;
      precise.executable.numerics = Numerics::Precise;
      fast.executable.numerics = Numerics::Fast;
      slow.executable.weights_by_rows = false;
      for (const RunOptions& options : {precise, typed(), slow}) {
        const auto want = out(false, plain, options);
        EXPECT_EQ(out(true, plain, options), want) << name(c.dtype);
        EXPECT_EQ(out(true, shifted, options), want) << name(c.dtype);
        EXPECT_EQ(out(true, streamed, options), want) << name(c.dtype);
      }
      const auto near = out(true, shifted, fast), want = out(false, plain, precise);
      for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(near[i], want[i], 0.06f);
    }
  }
}

// Where tables are looked up in place, nothing is unpacked; elsewhere two functions share what was
// looked up, and without room for it each comes to the same bits in place.
TEST(Palette, IsLookedUpOnceForAllFunctions) {
  constexpr uint64_t kBytes = 256 * 96;
  const auto indices = plain(packed(random_weight({DType::UInt8, {256, 96}}, 5)));
  const auto lut = plain(random_floats({2, 1, 256, 1}, 6, DType::F16, 0.1f));
  const Tensor x = random_floats({3, 96}, 7, DType::F16);
  const auto function = build({x.type}, [&](Builder& b, const Values& in) {
    Value* w = b.op("constexpr_lut_to_dense",
                    {{"indices", {b.constant("i", indices)}}, {"lut", {b.constant("lut", lut)}}});
    return Values{b.linear(in[0], w, nullptr)};
  });
  const bool in_place = kernels::looks_up_in_place(kernels::selected_isa(), 8);
  RunOptions options;
  options.executable.numerics = Numerics::Fast;
  const auto unpacked = [&] {
    return Executable::compile(*function, options.executable).value()->unpacked_bytes();
  };
  options.executable.looked_up = std::make_shared<LookedUp>(0);
  EXPECT_EQ(unpacked(), 0);
  const Tensor want = run(*function, {x}, options).outputs[0];
  options.executable.looked_up = std::make_shared<LookedUp>(kBytes + 256 * sizeof(float));
  for (int times = 0; times < 2; ++times) {  // there is room for one
    EXPECT_EQ(unpacked(), in_place ? 0 : kBytes);
    EXPECT_EQ(run(*function, {x}, options).outputs[0].data, want.data);
  }
  options.executable.looked_up = nullptr;
  EXPECT_EQ(unpacked(), in_place ? 0 : kBytes);
  EXPECT_EQ(run(*function, {x}, options).outputs[0].data, want.data);
  options.executable.memory_limit = kBytes - 1;
  EXPECT_EQ(unpacked(), 0);
}

TEST(Palette, GatherTakesRows) {
  const PaletteCase c{DType::UInt6, 8, 12, 4, 12};
  const Tensor indices = packed(random_weight({c.dtype, {c.rows, c.columns}}, 5));
  const Tensor lut = random_floats({2, 1, 64, 1}, 6, DType::F16);
  const std::vector<float> weights = looked_up(c, indices, lut);
  const Tensor out = evaluate({ints({3}, {7, 0, 4})}, [&](Builder& b, const Values& in) {
    Value* w = b.op("constexpr_lut_to_dense", {{"indices", {b.constant("i", plain(indices))}},
                                               {"lut", {b.constant("lut", plain(lut))}}});
    return Values{b.gather(w, in[0], 0)};
  });
  const auto got = out.floats();
  for (size_t i = 0; i < got.size(); ++i) {
    const size_t row = std::array{7, 0, 4}[i / 12];
    EXPECT_EQ(got[i], weights[row * 12 + i % 12]);
  }
}

TEST(QuantizedWeight, OtherUsersGetItDequantizedByItsOwnOperation) {
  const Quantized q{DType::Int4, 6, 10, 5};
  const Parts parts = make_parts(q);
  const Tensor doubled = evaluate({floats({}, {2}, DType::F16)}, [&](Builder& b, const Values& in) {
    return Values{b.mul(dequantized(b, q, parts, plain), in[0])};
  });
  const auto data = parts.data.ints();
  const auto scale = parts.scale.floats(), got = doubled.floats();
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i], round_to_half(2 * scale[i / 5] * static_cast<float>(data[i])));
  }
}

TEST(QuantizedWeight, ThreeAxesWithBlocksAlongEach) {
  const Tensor data = packed(random_weight({DType::Int8, {4, 6, 2}}, 5));
  const Tensor scale = random_floats({2, 3, 1}, 6);
  const Tensor out = evaluate({floats({}, {1})}, [&](Builder& b, const Values& in) {
    Value* w =
        b.op("constexpr_blockwise_shift_scale", {{"data", {b.constant("data", plain(data))}},
                                                 {"scale", {b.constant("scale", plain(scale))}}});
    return Values{b.mul(w, in[0])};
  });
  const auto q = data.ints();
  const auto s = scale.floats(), got = out.floats();
  for (size_t i = 0; i < 4; ++i) {
    for (size_t j = 0; j < 6; ++j) {
      for (size_t k = 0; k < 2; ++k) {
        const size_t at = (i * 6 + j) * 2 + k;
        EXPECT_EQ(got[at], s[i / 2 * 3 + j / 2] * static_cast<float>(q[at]));
      }
    }
  }
}

}  // namespace
}  // namespace diptych::engine
