// Type inference, written in the text form: the parser infers and compares.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mil/op_table.h"
#include "mil/text.h"
#include "testing/shared_data.h"

namespace diptych::mil {
namespace {

using ::testing::HasSubstr;

// One operation over the inputs below.
constexpr std::string_view kInputs =
    "%h: fp16[1,8,64], %h2: fp16[1,8,32], %f: fp32[2,3,4], %g: fp32[4], %s: fp16, %wide: fp16[64], "
    "%i: int32[1,8], %j: int16[5], %b: bool[1,8], %u: uint8[3], %one: fp32[1,3,1], %l: int64[2]";

Result<Program> parse_statement(std::string_view statement) {
  return parse(fmt::format("func @t({}) opset \"CoreML8\" {{\n{}\nreturn\n}}", kInputs, statement));
}

struct Case {
  std::string_view type;  // of %r; the declared types follow for more results
  std::string_view op;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.op; }

class Infers : public ::testing::TestWithParam<Case> {};

TEST_P(Infers, TheDeclaredType) {
  const auto& [type, op] = GetParam();
  ASSERT_OK(parse_statement(fmt::format("%r: {} = {}", type, op)));
}

constexpr Case kGood[] = {
    // Elementwise
    {"fp16[1,8,64]", "mul(x=%h, y=%h)"},
    {"fp16[1,8,64]", "add(x=%h, y=%wide)"},
    {"fp16[1,8,64]", "add(x=%s, y=%h)"},
    {"fp32[2,3,4]", "sub(x=%one, y=%f)"},
    {"fp32[1,3,4]", "real_div(x=%one, y=%g)"},
    {"int32[1,8]", "add(x=%i, y=int32(320))"},
    {"bool[1,8]", "greater_equal(x=%i, y=int32(0))"},
    {"int32[1,8]", "select(cond=%b, a=%i, b=int32(7))"},
    {"fp16[1,8,64]", "rsqrt(x=%h, epsilon=fp32(1e-12))"},
    {"fp16[1,8,64]", "rsqrt(x=%h)"},
    {"fp32[2,3,4]", "abs(x=%f)"},
    {"fp32[2,3,4]", "sqrt(x=%f)"},
    {"fp32[2,3,4]", "square(x=%f)"},
    {"fp16[1,8,64]", "silu(x=%h)"},
    {"fp16[1,8,64]", "sigmoid(x=%h)"},
    {"fp16[1,8,64]", "softmax(x=%h, axis=int32(-1))"},
    {"int16[1,8]", "cast(x=%i, dtype=\"int16\")"},
    {"fp32[1,8]", "cast(x=%b, dtype=\"fp32\")"},
    // Contractions
    {"fp32[2,3,1]", "reduce_mean(x=%f, axes=int32[1](-1), keep_dims=bool(true))"},
    {"fp32[3]", "reduce_max(x=%f, axes=int32[2](0,-1), keep_dims=bool(false))"},
    {"fp32", "reduce_sum(x=%f)"},
    {"fp32[2,3,4]", "reduce_sum(x=%f, axes=int32[0]())"},
    {"fp32[2,3,7]",
     "linear(x=%f, weight=fp32[7,4](0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,"
     "0,0,0,0), bias=fp32[7](0,0,0,0,0,0,0))"},
    {"fp32[2]", "linear(x=%g, weight=fp32[2,4](1,2,3,4,5,6,7,8))"},
    {"fp32[2,3,3]", "matmul(x=%f, y=%f, transpose_x=bool(false), transpose_y=bool(true))"},
    {"fp32[2,3,2]", "matmul(x=%f, y=fp32[1,4,2](0,0,0,0,0,0,0,0))"},
    {"fp16[2,4]",
     "constexpr_blockwise_shift_scale(data=int4[2,4](-8,7,0,1,2,3,4,5), "
     "scale=fp16[2,2](1,2,3,4), offset=int4[2,2](0,0,0,0))"},
    {"fp16[4,2]",
     "constexpr_lut_to_dense(indices=uint1[4,2](0,1,1,0,1,1,0,0), "
     "lut=fp16[2,1,2,1](1,2,3,4), vector_axis=int32(-1))"},
    {"int8[2]", "constexpr_lut_to_dense(indices=uint2[2](0,3), lut=int8[1,4,1](1,2,3,4))"},
    // Layout
    {"fp16[1,8,96]", "concat(values=[%h, %h2], axis=int32(-1), interleave=bool(false))"},
    {"fp16[1,8,64]", "concat(values=[%h], axis=int32(2))"},
    {"fp16[1,8,64,2]", "stack(values=[%h, %h], axis=int32(-1))"},
    {"fp16[3]", "stack(values=[%s, %s, %s], axis=int32(0))"},
    {"fp16[1,8,4,16]", "reshape(x=%h, shape=int32[4](1,8,4,16))"},
    {"fp16[8,64]", "reshape(x=%h, shape=int32[2](8,-1))"},
    {"fp16[8,1,64]", "reshape(x=%h, shape=int32[3](-1,1,0))"},
    {"fp16[1,1,8,64]", "reshape(x=%h, shape=int32[4](0,-1,0,0))"},
    {"fp32[4,2,3]", "transpose(x=%f, perm=int32[3](2,0,-2))"},
    {"fp32[2,1,3,4,1]", "expand_dims(x=%f, axes=int32[2](-1,1))"},
    {"fp32[3]", "squeeze(x=%one)"},
    {"fp32[3,1]", "squeeze(x=%one, axes=int32[2](0,1))"},
    {"fp16[1,8,32]",
     "slice_by_index(x=%h, begin=int32[3](0,0,1), end=int32[3](1,8,1), "
     "stride=int32[3](1,1,2), end_mask=bool[3](true,true,true))"},
    {"fp16[1,2,64]",
     "slice_by_index(x=%h, begin=int32[3](0,-2,0), end=int32[3](1,100,-1), "
     "end_mask=bool[3](false,false,true))"},
    {"fp16[8]",
     "slice_by_index(x=%h, begin=int32[3](0,0,-1), end=int32[3](0,8,0), "
     "squeeze_mask=bool[3](true,false,true))"},
    {"fp32[4]",
     "slice_by_index(x=%g, begin=int32[1](3), end=int32[1](0), stride=int32[1](-1), "
     "end_mask=bool[1](true))"},
    {"fp32[2]", "slice_by_index(x=%g, begin=int32[1](-1), end=int32[1](0), stride=int32[1](-2))"},
    {"fp16[1,1,64]", "gather(x=%h, indices=int32[1,1](3), axis=int32(1), batch_dims=int32(1))"},
    {"fp32[2,5,4]",
     "gather(x=%f, indices=%j, axis=int32(1), batch_dims=int32(0), "
     "validate_indices=bool(false))"},
    {"fp32[3,4]", "gather(x=%f, indices=int32(1))"},
    {"fp16[1,8,32], %r2: fp16[1,8,32]", "split(x=%h, axis=int32(2), num_splits=int32(2))"},
    {"fp32[2,1,4], %r2: fp32[2,2,4]", "split(x=%f, axis=int32(-2), split_sizes=int32[2](1,2))"},
    {"fp16[1,8,64], %r2: int64[2]", "diptych.graph_break(values=[%h, %l])"},
};
INSTANTIATE_TEST_SUITE_P(Ops, Infers, ::testing::ValuesIn(kGood));

struct BadCase {
  std::string_view op;
  std::string_view error;
};

void PrintTo(const BadCase& c, std::ostream* out) { *out << c.op; }

class Refuses : public ::testing::TestWithParam<BadCase> {};

TEST_P(Refuses, WithAReason) {
  const auto& [op, error] = GetParam();
  const auto parsed = parse_statement(fmt::format("%r: fp16 = {}", op));
  ASSERT_FALSE(parsed.has_value());
  EXPECT_THAT(parsed.error().to_string(), HasSubstr(std::string(error)));
}

constexpr BadCase kBad[] = {
    // Parameters
    {"add(x=%h)", "parameter 'y' is missing"},
    {"add(x=%h, y=%h, z=%h)", "unknown parameter 'z'"},
    {"add(x=%h, y=%h, y=%h)", "parameter 'y' is bound twice"},
    {"add(x=[%h, %h], y=%h)", "parameter 'x': expected one value, found 2 values"},
    {"add(x=[], y=%h)", "parameter 'x': expected one value, found 0 values"},
    {"concat(values=[], axis=int32(0))", "expected one or more values, found 0"},
    {"concat(values=[%h], axis=%i)", "expected a constant, found the computed value %i"},
    {"silu(x=\"text\")", "unsuitable type string"},
    {"silu(x=%l)", "unsuitable type int64[2]"},
    // Elementwise
    {"add(x=%h, y=%f)", "expected the same element type"},
    {"add(x=%h, y=%h2)", "shapes [1,8,64] and [1,8,32] do not broadcast"},
    {"select(cond=%i, a=%h, b=%h)", "parameter 'cond'"},
    {"cast(x=%h, dtype=\"complex64\")", "found \"complex64\""},
    {"cast(x=%h, dtype=\"string\")", "found \"string\""},
    {"cast(x=%h, dtype=int32(1))", "expected a string"},
    {"softmax(x=%h, axis=int32(3))", "axis 3 is outside a tensor of rank 3"},
    {"softmax(x=%s, axis=int32(-1))", "axis -1 is outside a tensor of rank 0"},
    {"rsqrt(x=%h, epsilon=int32(1))", "parameter 'epsilon': expected one float"},
    {"rsqrt(x=%h, epsilon=fp32[2](1,2))", "parameter 'epsilon': expected one float"},
    // Contractions
    {"reduce_mean(x=%h, axes=int32[2](-1,2))", "axis 2 is given twice"},
    {"reduce_mean(x=%h, axes=int32[1](-4))", "axis -4 is outside"},
    {"reduce_mean(x=%h, axes=fp16[1](1))", "expected int32 or bool"},
    {"reduce_mean(x=%h, axes=int32[1,1](1))", "expected a scalar or a list"},
    {"reduce_mean(x=%h, keep_dims=int32(1))", "parameter 'keep_dims': expected bool"},
    {"linear(x=%g, weight=fp32[2,3](1,2,3,4,5,6))", "expected [..., in] and [out, in]"},
    {"linear(x=%g, weight=fp32[4](1,2,3,4))", "expected [..., in] and [out, in]"},
    {"linear(x=%g, weight=fp32[1,4](1,2,3,4), bias=fp32[2](0,0))", "expected fp32[1]"},
    {"linear(x=%g, weight=fp32[1,4](1,2,3,4), bias=fp16[1](0))", "expected fp32[1]"},
    {"matmul(x=%f, y=%f)", "the inner sizes differ"},
    {"matmul(x=%g, y=%f)", "expected rank 2 or more"},
    {"constexpr_blockwise_shift_scale(data=int8[4](1,2,3,4), scale=fp16[3](1,1,1))",
     "axis 0 is not a whole number of blocks"},
    {"constexpr_blockwise_shift_scale(data=int8[4](1,2,3,4), scale=fp16[0]())",
     "expected positive dimensions, found fp16[0]"},
    {"constexpr_blockwise_shift_scale(data=int8[4](1,2,3,4), scale=fp16(1))", "the same rank"},
    {"constexpr_blockwise_shift_scale(data=int8(1), scale=fp16(1))", "at least 1"},
    {"constexpr_blockwise_shift_scale(data=int8[2](1,2), scale=fp16[2](1,1), offset=int8[1](0))",
     "expected the same shape"},
    {"constexpr_blockwise_shift_scale(data=int8[1](1), scale=fp16[1](1), offset=int4[1](0))",
     "expected the same element type"},
    {"constexpr_blockwise_shift_scale(data=int8[1](1), scale=int8[1](1))", "parameter 'scale'"},
    {"constexpr_lut_to_dense(indices=int4[2](0,3), lut=fp16[1,4,1](1,2,3,4))",
     "parameter 'indices'"},
    {"constexpr_lut_to_dense(indices=uint2[2](0,3), lut=int32[1,4,1](1,2,3,4))", "parameter 'lut'"},
    {"constexpr_lut_to_dense(indices=uint2[2](0,3), lut=fp16[4,1](1,2,3,4))", "two axes more"},
    {"constexpr_lut_to_dense(indices=uint2(0), lut=fp16[4,1](1,2,3,4))", "one at least"},
    {"constexpr_lut_to_dense(indices=uint2[2](0,3), lut=fp16[1,2,1](1,2))", "tables of 4 entries"},
    {"constexpr_lut_to_dense(indices=uint1[2](0,1), lut=fp16[1,2,2](1,2,3,4))",
     "vectors of 2, expected single numbers"},
    {"constexpr_lut_to_dense(indices=uint1[3](0,1,1), lut=fp16[2,2,1](1,2,3,4))",
     "axis 0 is not a whole number of blocks"},
    {"constexpr_lut_to_dense(indices=uint1[2](0,1), lut=fp16[1,2,1](1,2), vector_axis=int32(1))",
     "axis 1 is outside a tensor of rank 1"},
    // Layout
    {"concat(values=[%h, %f], axis=int32(0))", "expected the same element type"},
    {"concat(values=[%h, %h2], axis=int32(1))", "cannot concatenate"},
    {"concat(values=[%h, %wide], axis=int32(0))", "cannot concatenate"},
    {"concat(values=[%s], axis=int32(0))", "axis 0 is outside a tensor of rank 0"},
    {"concat(values=[%h, %h2], axis=int32(2), interleave=bool(true))", "cannot concatenate"},
    {"stack(values=[%h, %h2], axis=int32(0))", "the shapes differ"},
    {"stack(values=[%h], axis=int32(4))", "axis 4 is outside a tensor of rank 4"},
    {"reshape(x=%h, shape=int32[2](-1,-1))", "cannot reshape"},
    {"reshape(x=%h, shape=int32[2](-1,7))", "cannot reshape"},
    {"reshape(x=%h, shape=int32[2](-2,-256))", "cannot reshape"},
    {"reshape(x=%h, shape=int32[3](2147483647,2147483647,2147483647))", "cannot reshape"},
    {"reshape(x=%h, shape=int32[9](1,1,1,1,1,1,1,8,64))", "rank 9 is more than 8"},
    {"transpose(x=%h, perm=int32[2](0,1))", "one entry for each of the 3 axes, found 2"},
    {"transpose(x=%h, perm=int32[3](0,1,1))", "axis 1 is given twice"},
    {"expand_dims(x=%h, axes=int32[1](4))", "axis 4 is outside a tensor of rank 4"},
    {"squeeze(x=%h, axes=int32[1](3))", "axis 3 is outside"},
    {"slice_by_index(x=%g, begin=int32[1](2), end=int32[1](2))", "is empty"},
    {"slice_by_index(x=%g, begin=int32[1](0), end=int32[1](4), stride=int32[1](0))",
     "parameter 'stride': 0"},
    {"slice_by_index(x=%g, begin=int32[1](4), end=int32[1](4), squeeze_mask=bool[1](true))",
     "index 4 is outside axis 0 of size 4"},
    {"slice_by_index(x=%f, begin=int32[1](0), end=int32[1](1))",
     "one entry for each of the 3 axes"},
    {"gather(x=%h, indices=%h)", "parameter 'indices'"},
    {"gather(x=%s, indices=%i)", "axis 0 is outside a tensor of rank 0"},
    {"gather(x=%h, indices=%i, axis=int32(1), batch_dims=int32(2))", "parameter 'batch_dims'"},
    {"gather(x=%h, indices=%i, axis=int32(1), batch_dims=int32(-1))", "parameter 'batch_dims'"},
    {"gather(x=%f, indices=%i, axis=int32(1), batch_dims=int32(1))", "parameter 'batch_dims'"},
    {"split(x=%h, axis=int32(2), num_splits=int32(0))", "0 does not divide"},
    {"split(x=%h, axis=int32(2), num_splits=int32(3))", "3 does not divide"},
    {"split(x=%h, axis=int32(2))", "parameter 'num_splits': missing"},
    {"split(x=%h, axis=int32(2), split_sizes=int32[2](1,2))", "the sum is 3"},
    {"split(x=%h, axis=int32(2), split_sizes=int32[2](65,-1))", "expected positive sizes"},
    {"split(x=%h, axis=int32(2), split_sizes=int32[1](64), num_splits=int32(2))", "1 entries"},
    {"split(x=%h, axis=int32(2), num_splits=int32(2))", "split has 2 results, found 1"},
};
INSTANTIATE_TEST_SUITE_P(Ops, Refuses, ::testing::ValuesIn(kBad));

TEST(OpTable, IsSortedAndFindsEveryEntry) {
  for (const OpSpec& spec : op_table()) EXPECT_EQ(find_op(spec.type), &spec);
  EXPECT_EQ(find_op("layer_norm"), nullptr);
  EXPECT_EQ(find_op(""), nullptr);
}

TEST(OpTable, UnknownOperationsAreUnsupported) {
  const Op op{"layer_norm", {}, {}};
  const auto types = infer(op);
  ASSERT_FALSE(types.has_value());
  EXPECT_EQ(types.error().code, ErrorCode::Unsupported);
  EXPECT_EQ(types.error().to_string(), "operation 'layer_norm' is not supported");
}

// Types as only a hostile file declares them; inference must say no without computing on them.
TEST(Infer, RefusesAbsurdOperands) {
  const int64_t huge = int64_t{1} << 62;
  const TensorType absurd[] = {
      {DType::F16, {0}},           {DType::F16, {-1}},  {DType::F16, {huge, huge}},
      {DType::F16, Shape(100, 1)}, {DType::String, {}}, {DType::String, {3}},
  };
  for (const OpSpec& spec : op_table()) {
    if (spec.type == "diptych.graph_break") continue;  // carries strings through like anything else
    for (const TensorType& type : absurd) {
      for (const auto kind : {Value::Kind::Input, Value::Kind::Constant}) {
        Value value;
        value.name = "v";
        value.type = type;
        value.kind = kind;  // a constant without contents
        Op op{std::string(spec.type), {}, {}};
        for (const ParamSpec& param : spec.params) {
          op.operands.push_back({std::string(param.name), {&value}});
        }
        EXPECT_FALSE(infer(op).has_value()) << spec.type << " of " << to_string(type);
      }
    }
    Op unbound{std::string(spec.type), {}, {}};
    for (const ParamSpec& param : spec.params) {
      unbound.operands.push_back({std::string(param.name), {nullptr}});
    }
    EXPECT_FALSE(infer(unbound).has_value()) << spec.type;
  }
}

TEST(Infer, RefusesAnOverflowingResult) {
  Function f("f");
  Value* x = f.add_input("x", {DType::F16, {int64_t{1} << 59}});
  Value* axis = f.add_constant("axis", diptych::constant_ints(DType::Int32, {}, {0}));
  const Op op{"concat", {{"values", std::vector<Value*>(64, x)}, {"axis", {axis}}}, {}};
  EXPECT_FALSE(infer(op).has_value());
}

// A constant may claim any size when its contents are generated.
TEST(Infer, DoesNotReadHugeParameters) {
  Function f("f");
  Value* x = f.add_input("x", {DType::F16, {4}});
  Value* shape = f.add_constant("shape", zeros({DType::Int32, {int64_t{1} << 40}}));
  const auto types = infer({"reshape", {{"x", {x}}, {"shape", {shape}}}, {}});
  ASSERT_FALSE(types.has_value());
  EXPECT_THAT(types.error().to_string(), HasSubstr("a list of at most 4096"));
}

}  // namespace
}  // namespace diptych::mil
