// Transposed convolutions against the reference, which typed numerics runs. (window_test.cc holds
// the reference to conv.)
#include <gtest/gtest.h>

#include <cmath>

#include "engine_test_util.h"
#include "mil/builder.h"

namespace diptych::engine {
namespace {

using mil::Builder;
using mil::Value;
using Values = std::vector<Value*>;

struct ConvTransposeCase {
  Shape x, weight;  // [n, in, ...], [in, out / groups, ...]
  int64_t groups = 1;
  Shape strides, dilations;
  Shape pad{};                     // none: the padding is of `pad_type`
  Shape output{};                  // spatial axes of output_shape
  std::string pad_type = "valid";  // where there is no pad
};

const ConvTransposeCase kCases[] = {
    // Products of matrices: phases that read alike, that overlap, of several sizes.
    {{2, 5, 9, 11}, {5, 8, 2, 2}, 1, {2, 2}, {1, 1}},
    {{1, 6, 13, 7}, {6, 9, 4, 4}, 1, {2, 2}, {1, 1}, {1, 1, 1, 1}},
    {{1, 4, 8, 9}, {4, 10, 3, 3}, 1, {2, 2}, {1, 1}, {1, 1, 1, 1}, {16, 17}},
    {{2, 3, 6, 5}, {3, 8, 3, 2}, 1, {1, 1}, {1, 1}, {2, 0, 1, 0}},
    {{1, 3, 6, 5}, {3, 17, 3, 5}, 1, {3, 2}, {2, 3}, {1, 2, 0, 3}},
    {{1, 3, 7, 6}, {3, 8, 3, 3}, 1, {4, 6}, {2, 4}},  // gaps
    {{1, 3, 4, 4}, {3, 8, 1, 1}, 1, {3, 2}, {1, 1}},  // more gaps
    {{1, 8, 10, 10}, {8, 8, 3, 3}, 4, {2, 1}, {1, 2}, {0, 1, 1, 1}},
    {{1, 12, 5, 5}, {12, 10, 5, 5}, 2, {3, 3}, {1, 1}, {}, {}, "same"},
    {{1, 4, 6, 5}, {4, 8, 4, 3}, 1, {2, 3}, {1, 1}, {}, {}, "same_lower"},
    {{1, 4, 5, 5}, {4, 8, 2, 2}, 1, {2, 2}, {1, 1}, {9, 0, 0, 9}},  // crops more than a window
    {{3, 20, 1, 1}, {20, 16, 4, 4}, 1, {1, 1}, {1, 1}},
    {{2, 7, 60}, {7, 12, 7}, 1, {4}, {3}, {5, 2}, {255}},
    {{1, 3, 3, 4, 5}, {3, 9, 2, 3, 2}, 1, {2, 1, 3}, {1, 2, 1}, {0, 1, 1, 0, 2, 2}},
    {{1, 300, 4, 4}, {300, 130, 2, 2}, 1, {2, 2}, {1, 1}},  // more rows than are kept at a time
    {{1, 2, 3, 3}, {2, 8, 3, 3}, 1, {50, 3}, {1, 1}},       // a stride beyond the result's phases
    // By bands.
    {{2, 5, 9, 70}, {5, 1, 4, 4}, 5, {2, 2}, {1, 1}, {1, 1, 1, 1}},
    {{1, 6, 17, 33}, {6, 3, 3, 3}, 1, {2, 2}, {1, 1}, {1, 1, 1, 1}, {34, 65}},
    {{1, 4, 300, 150}, {4, 2, 5, 3}, 2, {1, 2}, {1, 2}, {2, 2, 0, 1}},
    {{1, 3, 6, 5}, {3, 2, 2, 1}, 1, {3, 2}, {1, 1}, {0, 1, 0, 0}},  // gaps
    {{1, 2, 40}, {2, 1, 7}, 2, {5}, {3}, {4, 3}},
    {{1, 2, 5, 6, 7}, {2, 3, 3, 2, 2}, 1, {1, 2, 3}, {2, 1, 1}, {1, 2, 0, 1, 1, 1}},
};

std::unique_ptr<mil::Function> conv_transpose(const ConvTransposeCase& c, DType dtype,
                                              bool constant_weight) {
  const TensorType weight_type{dtype, c.weight};
  std::vector<TensorType> inputs{{dtype, c.x}};
  if (!constant_weight) inputs.push_back(weight_type);
  return build(inputs, [&](Builder& b, const Values& in) {
    const int64_t outs = c.weight[1] * c.groups;
    Value* const weight =
        constant_weight ? b.constant("weight", random_weight(weight_type, 7)) : in[1];
    std::vector<mil::Operand> operands{
        {"x", {in[0]}},
        {"weight", {weight}},
        {"bias", {b.constant("bias", random_weight({dtype, {outs}}, 8))}},
        {"strides", {b.ints(c.strides)}},
        {"dilations", {b.ints(c.dilations)}},
        {"groups", {b.int_scalar(c.groups)}},
        {"pad_type", {b.string(c.pad.empty() ? c.pad_type : "custom")}}};
    if (!c.pad.empty()) operands.push_back({"pad", {b.ints(c.pad)}});
    if (!c.output.empty()) {
      Shape shape{c.x[0], outs};
      shape.insert(shape.end(), c.output.begin(), c.output.end());
      operands.push_back({"output_shape", {b.ints(shape)}});
    }
    return Values{b.op("conv_transpose", std::move(operands))};
  });
}

void expect_close(const std::vector<float>& found, const std::vector<float>& wanted, float error) {
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_NEAR(found[i], wanted[i], error * std::max(1.0f, std::abs(wanted[i]))) << i;
  }
}

TEST(ConvTranspose, AsTheReference) {
  for (const ConvTransposeCase& c : kCases) {
    for (const DType dtype : {DType::F32, DType::F16}) {
      for (const bool constant_weight : {true, false}) {
        SCOPED_TRACE(to_string(c.x) + to_string(c.weight) + std::string(name(dtype)));
        const auto function = conv_transpose(c, dtype, constant_weight);
        std::vector<Tensor> inputs{random_floats(c.x, 1, dtype)};
        if (!constant_weight) inputs.push_back(random_floats(c.weight, 2, dtype, 0.5f));
        const auto wanted = run(*function, inputs, typed()).outputs[0].floats();
        RunOptions options;
        const Tensor found = run(*function, inputs, options).outputs[0];
        expect_close(found.floats(), wanted, dtype == DType::F32 ? 5e-5f : 1e-3f);
        options.threads = 3;
        EXPECT_EQ(run(*function, inputs, options, true).outputs[0].data, found.data);
      }
    }
  }
}

// An element's bits are those that it has in a batch of its own.
TEST(ConvTranspose, ElementsOfABatchDependOnThemselves) {
  for (ConvTransposeCase c : kCases) {
    SCOPED_TRACE(to_string(c.x) + to_string(c.weight));
    c.x[0] = 3;
    const Tensor x = random_floats(c.x, 3);
    const Tensor all = run(*conv_transpose(c, DType::F32, true), {x}).outputs[0];
    c.x[0] = 1;
    const auto each = static_cast<int64_t>(x.floats().size() / 3),
               size = static_cast<int64_t>(all.floats().size() / 3);
    const Tensor alone =
        run(*conv_transpose(c, DType::F32, true), {part_of(x, each, c.x)}).outputs[0];
    EXPECT_EQ(part_of(all, size, alone.type.shape).data, alone.data);
  }
}

}  // namespace
}  // namespace diptych::engine
