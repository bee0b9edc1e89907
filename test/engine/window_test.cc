// Convolutions and pools against plain loops in double precision, over every kind of parameter.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/half.h"
#include "engine_test_util.h"
#include "mil/builder.h"

namespace diptych::engine {
namespace {

using mil::Builder;
using mil::Value;
using Values = std::vector<Value*>;

// The parameters of a window along each of `axes` spatial axes.
struct Window {
  std::vector<int64_t> in, kernel, stride, dilation, pad;  // pad: before and after each axis
  size_t axes() const { return in.size(); }
  int64_t out(size_t i) const {
    return (in[i] + pad[2 * i] + pad[2 * i + 1] - (kernel[i] - 1) * dilation[i] - 1) / stride[i] +
           1;
  }
};

// Calls body(index) for each index in a box.
template <class Body>
void for_each_index(const std::vector<int64_t>& dims, Body body) {
  std::vector<int64_t> index(dims.size());
  for (;;) {
    body(index);
    size_t i = dims.size();
    while (i > 0 && ++index[i - 1] == dims[i - 1]) index[--i] = 0;
    if (i == 0) return;
  }
}

size_t offset(const std::vector<int64_t>& index, const std::vector<int64_t>& dims) {
  int64_t at = 0;
  for (size_t i = 0; i < dims.size(); ++i) at = at * dims[i] + index[i];
  return static_cast<size_t>(at);
}

// Calls body(out, tap, in) for all elements of windows that read the input: positions in the flat
// spatial parts of result, kernel and input.
template <class Body>
void for_each_read(const Window& w, Body body) {
  std::vector<int64_t> out;
  for (size_t i = 0; i < w.axes(); ++i) out.push_back(w.out(i));
  for_each_index(out, [&](const std::vector<int64_t>& o) {
    for_each_index(w.kernel, [&](const std::vector<int64_t>& k) {
      std::vector<int64_t> in;
      for (size_t i = 0; i < w.axes(); ++i) {
        in.push_back(o[i] * w.stride[i] + k[i] * w.dilation[i] - w.pad[2 * i]);
        if (in.back() < 0 || in.back() >= w.in[i]) return;
      }
      body(offset(o, out), offset(k, w.kernel), offset(in, w.in));
    });
  });
}

int64_t product(const std::vector<int64_t>& dims) {
  int64_t count = 1;
  for (const int64_t dim : dims) count *= dim;
  return count;
}

const Window kWindows[] = {
    {{7}, {3}, {1}, {1}, {0, 0}},
    {{7}, {3}, {2}, {2}, {1, 2}},
    {{4}, {2}, {3}, {1}, {0, 1}},
    {{5, 6}, {3, 2}, {1, 2}, {1, 2}, {1, 0, 2, 1}},
    {{4, 4}, {1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}},
    {{3, 4, 5}, {2, 3, 2}, {1, 2, 2}, {1, 1, 2}, {1, 1, 0, 1, 2, 0}},
};

Values window_operands(Builder& b, const Window& w) {
  return {b.ints(w.stride), b.ints(w.dilation), b.ints(w.pad)};
}

TEST(Conv, EveryKindOfWindowAndGroup) {
  uint32_t seed = 0;
  for (const Window& w : kWindows) {
    for (const auto& [channels, outs, groups] :
         {std::array<int64_t, 3>{3, 4, 1}, {4, 6, 2}, {3, 6, 3}}) {
      Shape x_shape{2, channels}, w_shape{outs, channels / groups};
      x_shape.insert(x_shape.end(), w.in.begin(), w.in.end());
      w_shape.insert(w_shape.end(), w.kernel.begin(), w.kernel.end());
      const Tensor x = random_floats(x_shape, ++seed), weight = random_floats(w_shape, ++seed),
                   bias = random_floats({outs}, ++seed);
      RunOptions options;
      options.threads = 1 + static_cast<int>(groups);
      const Tensor out = evaluate(
          {x, weight, bias},
          [&, g = groups](Builder& b, const Values& in) {
            const Values p = window_operands(b, w);
            return Values{b.op("conv", {{"x", {in[0]}},
                                        {"weight", {in[1]}},
                                        {"bias", {in[2]}},
                                        {"strides", {p[0]}},
                                        {"pad_type", {b.string("custom")}},
                                        {"pad", {p[2]}},
                                        {"dilations", {p[1]}},
                                        {"groups", {b.int_scalar(g)}}})};
          },
          options);
      const auto xs = x.floats(), ws = weight.floats(), bs = bias.floats(), got = out.floats();
      const int64_t in_size = product(w.in), taps = product(w.kernel), per = channels / groups;
      const auto out_size = static_cast<int64_t>(got.size()) / (2 * outs);
      for (int64_t n = 0; n < 2; ++n) {
        for (int64_t o = 0; o < outs; ++o) {
          std::vector<double> expected(static_cast<size_t>(out_size), bs[static_cast<size_t>(o)]);
          for (int64_t c = 0; c < per; ++c) {
            const int64_t from = n * channels + o / (outs / groups) * per + c;
            for_each_read(w, [&](size_t to, size_t tap, size_t at) {
              expected[to] += static_cast<double>(xs[static_cast<size_t>(from * in_size) + at]) *
                              ws[static_cast<size_t>((o * per + c) * taps) + tap];
            });
          }
          for (int64_t i = 0; i < out_size; ++i) {
            ASSERT_NEAR(got[static_cast<size_t>((n * outs + o) * out_size + i)],
                        expected[static_cast<size_t>(i)], 1e-5);
          }
        }
      }
    }
  }
}

// conv_transpose is the transpose of conv: <conv(x), y> = <x, conv_transpose(y)>.
TEST(ConvTranspose, IsTheTransposeOfConv) {
  uint32_t seed = 100;
  for (const Window& w : kWindows) {
    for (const int64_t groups : {1, 2}) {
      const int64_t channels = 4, outs = 2;
      Shape x_shape{2, channels}, y_shape{2, outs}, w_shape{outs, channels / groups};
      for (size_t i = 0; i < w.axes(); ++i) {
        x_shape.push_back(w.in[i]);
        y_shape.push_back(w.out(i));
        w_shape.push_back(w.kernel[i]);
      }
      const Tensor x = random_floats(x_shape, ++seed), y = random_floats(y_shape, ++seed),
                   weight = random_floats(w_shape, ++seed);
      const auto with = [&](Builder& b, std::string op, Value* v, Value* weights, bool back) {
        const Values p = window_operands(b, w);
        std::vector<mil::Operand> operands{{"x", {v}},
                                           {"weight", {weights}},
                                           {"strides", {p[0]}},
                                           {"pad_type", {b.string("custom")}},
                                           {"pad", {p[2]}},
                                           {"dilations", {p[1]}},
                                           {"groups", {b.int_scalar(groups)}}};
        if (back) operands.push_back({"output_shape", {b.ints(x_shape)}});
        return Values{b.op(std::move(op), std::move(operands))};
      };
      const auto there = evaluate({x, weight}, [&](Builder& b, const Values& in) {
                           return with(b, "conv", in[0], in[1], false);
                         }).floats();
      const auto back = evaluate({y, weight}, [&](Builder& b, const Values& in) {
                          return with(b, "conv_transpose", in[0], in[1], true);
                        }).floats();
      const auto xs = x.floats(), ys = y.floats();
      ASSERT_EQ(there.size(), ys.size());
      ASSERT_EQ(back.size(), xs.size());
      double a = 0, b = 0;
      for (size_t i = 0; i < ys.size(); ++i) a += static_cast<double>(there[i]) * ys[i];
      for (size_t i = 0; i < xs.size(); ++i) b += static_cast<double>(back[i]) * xs[i];
      EXPECT_NEAR(a, b, 1e-3);
    }
  }
}

TEST(Pool, EveryKindOfWindow) {
  uint32_t seed = 200;
  for (Window w : kWindows) {
    w.dilation.assign(w.axes(), 1);
    if (w.pad[1] >= w.kernel[0]) continue;  // windows of nothing but padding
    Shape x_shape{2, 3};
    x_shape.insert(x_shape.end(), w.in.begin(), w.in.end());
    const Tensor x = random_floats(x_shape, ++seed);
    const auto pool = [&](const char* op, bool exclude) {
      return evaluate(
                 {x},
                 [&](Builder& b, const Values& in) {
                   std::vector<mil::Operand> operands{{"x", {in[0]}},
                                                      {"kernel_sizes", {b.ints(w.kernel)}},
                                                      {"strides", {b.ints(w.stride)}},
                                                      {"pad_type", {b.string("custom")}},
                                                      {"pad", {b.ints(w.pad)}}};
                   if (exclude) {
                     operands.push_back({"exclude_padding_from_average", {b.bool_scalar(true)}});
                   }
                   return Values{b.op(op, std::move(operands))};
                 })
          .floats();
    };
    const auto largest = pool("max_pool", false), mean = pool("avg_pool", false),
               inner = pool("avg_pool", true), xs = x.floats();
    const auto in_size = static_cast<size_t>(product(w.in));
    const size_t out_size = largest.size() / 6;
    for (size_t c = 0; c < 6; ++c) {
      std::vector<double> most(out_size, -1e30), sum(out_size, 0), count(out_size, 0);
      for_each_read(w, [&](size_t to, size_t, size_t at) {
        const double v = xs[c * in_size + at];
        most[to] = std::max(most[to], v);
        sum[to] += v;
        ++count[to];
      });
      for (size_t i = 0; i < out_size; ++i) {
        const size_t at = c * out_size + i;
        if (count[i] == 0) continue;
        ASSERT_EQ(largest[at], static_cast<float>(most[i]));
        ASSERT_NEAR(mean[at], sum[i] / static_cast<double>(product(w.kernel)), 1e-6);
        ASSERT_NEAR(inner[at], sum[i] / count[i], 1e-6);
      }
    }
  }
}

std::vector<float> pooled(const std::vector<float>& x, const char* op, bool exclude) {
  return evaluate({floats({1, 1, static_cast<int64_t>(x.size())}, x)},
                  [&](Builder& b, const Values& in) {
                    std::vector<mil::Operand> operands{{"x", {in[0]}},
                                                       {"kernel_sizes", {b.ints({3})}},
                                                       {"strides", {b.ints({2})}},
                                                       {"pad_type", {b.string("custom")}},
                                                       {"pad", {b.ints({1, 1})}},
                                                       {"ceil_mode", {b.bool_scalar(true)}}};
                    if (exclude) {
                      operands.push_back({"exclude_padding_from_average", {b.bool_scalar(true)}});
                    }
                    return Values{b.op(op, std::move(operands))};
                  })
      .floats();
}

// The last window reaches behind the padding, whose elements count and those behind it do not.
TEST(Pool, CeilMode) {
  EXPECT_EQ(pooled({1, 2, 3, 4}, "max_pool", false), (std::vector<float>{2, 4, 4}));
  EXPECT_EQ(pooled({1, 2, 3, 4}, "avg_pool", false), (std::vector<float>{1, 3, 2}));
  EXPECT_EQ(pooled({1, 2, 3, 4}, "avg_pool", true), (std::vector<float>{1.5f, 3, 4}));
}

TEST(Pool, RootOfTheSumOfSquares) {
  const Tensor out = evaluate({floats({1, 1, 3}, {3, 4, 0})}, [](Builder& b, const Values& in) {
    return Values{
        b.op("l2_pool",
             {{"x", {in[0]}}, {"kernel_sizes", {b.ints({2})}}, {"pad_type", {b.string("valid")}}})};
  });
  EXPECT_EQ(out.floats(), (std::vector<float>{5, 4}));
}

// Uneven padding of `same` goes behind, that of `same_lower` in front.
TEST(Conv, SamePadding) {
  for (const bool lower : {false, true}) {
    const Tensor out = evaluate({floats({1, 1, 3}, {1, 2, 3})}, [&](Builder& b, const Values& in) {
      Value* weight = b.constant("w", constant_floats(DType::F32, {1, 1, 2}, {1, 10}));
      return Values{b.op("conv", {{"x", {in[0]}},
                                  {"weight", {weight}},
                                  {"pad_type", {b.string(lower ? "same_lower" : "same")}}})};
    });
    EXPECT_EQ(out.floats(),
              lower ? (std::vector<float>{10, 21, 32}) : (std::vector<float>{21, 32, 3}));
  }
}

// In typed numerics a result is the precise one, rounded once.
TEST(Conv, TypedRoundsOnce) {
  const Tensor x = random_floats({1, 3, 9}, 1, DType::F16),
               weight = random_floats({4, 3, 3}, 2, DType::F16);
  const Body conv = [](Builder& b, const Values& in) {
    return Values{b.op("conv", {{"x", {in[0]}}, {"weight", {in[1]}}})};
  };
  EXPECT_EQ(evaluate({x, weight}, conv).data, evaluate({x, weight}, conv, typed()).data);
}

// Products of matrices come to what the reference, which typed numerics runs, comes to.
TEST(Conv, AsProductsOfMatrices) {
  struct Case {
    Shape x, weight;
    std::function<std::vector<mil::Operand>(Builder&)> more;
  };
  const Case cases[] = {
      {{2, 3, 9, 11}, {8, 3, 3, 3}, [](Builder&) { return std::vector<mil::Operand>(); }},
      {{1, 5, 60},
       {12, 5, 7},
       [](Builder& b) {
         return std::vector<mil::Operand>{{"strides", {b.ints({2})}},
                                          {"pad_type", {b.string("same")}}};
       }},
      {{1, 4, 7, 8},
       {16, 2, 3, 2},
       [](Builder& b) {
         return std::vector<mil::Operand>{{"groups", {b.int_scalar(2)}},
                                          {"dilations", {b.ints({2, 1})}},
                                          {"pad_type", {b.string("custom")}},
                                          {"pad", {b.ints({2, 1, 0, 3})}}};
       }},
      {{1, 2, 4, 5, 6},
       {9, 2, 2, 3, 3},
       [](Builder& b) {
         return std::vector<mil::Operand>{{"strides", {b.ints({1, 2, 1})}},
                                          {"pad_type", {b.string("same_lower")}}};
       }},
      {{3, 70, 1, 1},
       {20, 70, 1, 1},
       [](Builder& b) {
         return std::vector<mil::Operand>{
             {"bias", {b.constant("bias", random_weight({DType::F32, {20}}, 4))}}};
       }},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(to_string(each.x));
    const std::vector<Tensor> inputs{random_floats(each.x, 1), random_floats(each.weight, 2)};
    const auto function =
        build({inputs[0].type, inputs[1].type}, [&](Builder& b, const Values& in) {
          auto operands = each.more(b);
          operands.push_back({"x", {in[0]}});
          operands.push_back({"weight", {in[1]}});
          return Values{b.op("conv", std::move(operands))};
        });
    const auto wanted = run(*function, inputs, typed()).outputs[0].floats();
    for (const int threads : {1, 3}) {
      RunOptions options;
      options.threads = threads;
      const auto found = run(*function, inputs, options).outputs[0].floats();
      ASSERT_EQ(found.size(), wanted.size());
      for (size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], wanted[i], 1e-4) << i;
    }
  }
}

// Bands come to what the reference, which typed numerics runs, comes to.
TEST(Bands, AsTheReference) {
  struct Case {
    std::string op;
    Shape x;
    Window window;
    int64_t outs = 0, groups = 1;  // of a convolution
    bool ceil_mode = false;
  };
  const Window plain{{}, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}};
  const Case cases[] = {
      {"conv", {2, 5, 9, 70}, plain, 5, 5},
      {"conv", {1, 3, 300, 150}, {{}, {5, 3}, {2, 2}, {1, 2}, {2, 3, 1, 0}}, 6, 3},  // many bands
      {"conv", {1, 6, 17, 33}, {{}, {2, 2}, {3, 3}, {1, 1}, {0, 0, 0, 0}}, 3, 1},
      {"conv", {1, 2, 40}, {{}, {7}, {5}, {3}, {4, 9}}, 2, 2},
      {"conv", {1, 2, 6, 7, 8}, {{}, {3, 2, 2}, {1, 2, 3}, {2, 1, 1}, {1, 2, 0, 1, 1, 1}}, 2, 1},
      {"max_pool", {2, 3, 31, 65}, {{}, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}}, 0, 1, true},
      {"avg_pool", {1, 3, 300, 200}, {{}, {3, 5}, {2, 1}, {1, 1}, {1, 1, 2, 2}}},
      {"avg_pool", {1, 4, 14, 14}, {{}, {14, 14}, {1, 1}, {1, 1}, {0, 0, 0, 0}}},
      {"l2_pool", {1, 3, 5, 6, 7}, {{}, {2, 2, 2}, {1, 2, 3}, {1, 1, 1}, {0, 0, 0, 0, 0, 0}}},
      {"max_pool", {1, 2, 50}, {{}, {3}, {60}, {1}, {0, 0}}},  // one window, a long stride
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(each.op + to_string(each.x));
    const bool is_conv = each.op == "conv";
    std::vector<Tensor> inputs{random_floats(each.x, 5)};
    if (is_conv) {
      Shape weight{each.outs, each.x[1] / each.groups};
      weight.insert(weight.end(), each.window.kernel.begin(), each.window.kernel.end());
      inputs.push_back(random_floats(weight, 6));
      inputs.push_back(random_floats({each.outs}, 7));
    }
    std::vector<TensorType> types;
    for (const Tensor& input : inputs) types.push_back(input.type);
    const auto function = build(types, [&](Builder& b, const Values& in) {
      std::vector<mil::Operand> operands{{"x", {in[0]}},
                                         {"strides", {b.ints(each.window.stride)}},
                                         {"pad_type", {b.string("custom")}},
                                         {"pad", {b.ints(each.window.pad)}}};
      if (is_conv) {
        operands.push_back({"weight", {in[1]}});
        operands.push_back({"bias", {in[2]}});
        operands.push_back({"dilations", {b.ints(each.window.dilation)}});
        operands.push_back({"groups", {b.int_scalar(each.groups)}});
      } else {
        operands.push_back({"kernel_sizes", {b.ints(each.window.kernel)}});
        operands.push_back({"ceil_mode", {b.bool_scalar(each.ceil_mode)}});
      }
      return Values{b.op(each.op, std::move(operands))};
    });
    const auto wanted = run(*function, inputs, typed()).outputs[0].floats();
    for (const int threads : {1, 3}) {
      RunOptions options;
      options.threads = threads;
      const auto found = run(*function, inputs, options).outputs[0].floats();
      ASSERT_EQ(found.size(), wanted.size());
      for (size_t i = 0; i < found.size(); ++i) {
        const float scale = std::max(1.0f, std::abs(wanted[i]));
        ASSERT_NEAR(found[i], wanted[i], 1e-5 * scale) << i;
      }
    }
  }
}

TEST(Bands, LargestIsNaNWhereAWindowHasOne) {
  std::vector<float> x(40, 1.0f);
  x[20] = std::numeric_limits<float>::quiet_NaN();
  const auto found = pooled(x, "max_pool", false);
  for (size_t i = 0; i < found.size(); ++i) {
    const bool sees = 2 * i <= 21 && 2 * i + 1 >= 20;  // [2i - 1, 2i + 1]
    EXPECT_EQ(std::isnan(found[i]), sees) << i;
  }
}

}  // namespace
}  // namespace diptych::engine
