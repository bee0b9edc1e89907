#include "pte/constant_method.h"

#include <gmock/gmock.h>

#include "pte/reader.h"
#include "sample.h"
#include "testing/shared_data.h"

namespace diptych::pte {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ConstantMethodTest, ScalarsComeBack) {
  Program program;
  program.methods = {constant_method("int", int64_t{-5}), constant_method("bool", true),
                     constant_method("double", 0.25),
                     constant_method("string", std::string("sentencepiece"))};
  const auto file = file_of(program);
  const auto read_back = read(file);
  ASSERT_OK(read_back);
  EXPECT_EQ(*constant_int(*read_back, "int"), -5);
  EXPECT_TRUE(std::get<bool>(*constant_value(*read_back, "bool")));
  EXPECT_EQ(std::get<double>(*constant_value(*read_back, "double")), 0.25);
  EXPECT_EQ(std::get<std::string>(*constant_value(*read_back, "string")), "sentencepiece");
  EXPECT_EQ(find_method(*read_back, "int")->output_spec,
            R"([1, {"type": null, "context": null, "children_spec": []}])");
}

TEST(ConstantMethodTest, EqualTensorsShareAConstant) {
  Program program;
  const TensorType type{DType::Int64, {1, 2}};
  for (const char* name : {"decode_mask_specs", "prefill_mask_specs"}) {
    const auto method = constant_tensor_method(program, name, type, some_bytes(16));
    ASSERT_OK(method);
    program.methods.push_back(*method);
  }
  EXPECT_EQ(program.constants.size(), 2u);
  const auto value = constant_value(program, "prefill_mask_specs");
  ASSERT_OK(value);
  EXPECT_EQ(std::get<ConstantTensor>(*value).type, type);
  EXPECT_EQ(std::get<ConstantTensor>(*value).bytes.size(), 16u);
}

TEST(ConstantMethodTest, IntegersOfAnyWidth) {
  Program program;
  const std::vector<std::byte> bytes = {std::byte(1), std::byte(0xFF), std::byte(0), std::byte(0)};
  const auto ints = [&](DType dtype, int64_t count) {
    const std::string name = fmt::format("m{}", program.methods.size());
    program.methods.push_back(*constant_tensor_method(program, name, {dtype, {count}}, bytes));
    return constant_ints(program, name).value();
  };
  EXPECT_THAT(ints(DType::UInt8, 4), ElementsAre(1, 255, 0, 0));
  EXPECT_THAT(ints(DType::Int8, 4), ElementsAre(1, -1, 0, 0));
  EXPECT_THAT(ints(DType::Int16, 2), ElementsAre(-255, 0));
  EXPECT_THAT(ints(DType::Int32, 1), ElementsAre(0xFF01));
}

TEST(ConstantMethodTest, Refusals) {
  Program program = sample_program();
  EXPECT_EQ(constant_int(program, "absent").error().code, ErrorCode::NotFound);
  EXPECT_THAT(constant_int(program, "forward").error().to_string(), HasSubstr("must be run"));
  EXPECT_THAT(constant_int(program, "mask_specs").error().to_string(),
              HasSubstr("expected one integer, found 2"));
  EXPECT_FALSE(constant_tensor_method(program, "x", {DType::F16, {3}}, some_bytes(5)));
  EXPECT_FALSE(constant_tensor_method(program, "x", {DType::Int4, {2}}, some_bytes(1)));
  program.methods.push_back(constant_method("text", std::string("t")));
  EXPECT_THAT(constant_ints(program, "text").error().to_string(),
              HasSubstr("expected integers, found \"t\""));
  program.methods.push_back(constant_method("list", DoubleList{}));
  EXPECT_EQ(constant_value(program, "list").error().code, ErrorCode::Unsupported);
}

}  // namespace
}  // namespace diptych::pte
