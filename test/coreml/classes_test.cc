// Models that classify.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "coreml/model.h"
#include "mil/text.h"
#include "model.pb.h"
#include "testing/shared_data.h"

namespace diptych::coreml {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int32_t kString = 2, kInt64 = 24;  // element types (src/coreml/proto_types.cc)

pb::Operation& classify_of(pb::Model& model) {
  auto& function = (*model.mutable_ml_program()->mutable_functions())["main"];
  auto& block = (*function.mutable_block_specializations())["CoreML6"];
  return *block.mutable_operations(block.operations_size() - 1);
}

pb::ImmediateValue::List& list_of(pb::Model& model) {
  auto& argument = (*classify_of(model).mutable_inputs())["classes"];
  return *argument.mutable_arguments(0)->mutable_value()->mutable_immediate()->mutable_list();
}

// softmax(x) and what it says of three classes, as coremltools writes it.
pb::Model classifier(bool integers) {
  const auto program = mil::parse(
      "func @main(%x: fp32[1,3]) opset \"CoreML6\" {\n"
      "%y: fp32[1,3] = softmax(x=%x)\n%z: fp32[1,3] = sqrt(x=%y)\nreturn %z\n}");
  EXPECT_TRUE(program.has_value());
  const auto written = write_model(*program);
  EXPECT_TRUE(written.has_value());
  pb::Model model;
  EXPECT_TRUE(model.ParseFromString(written->mlmodel));

  pb::Operation& op = classify_of(model);
  op.Clear();
  op.set_type("classify");
  auto& inputs = *op.mutable_inputs();
  inputs["probabilities"].add_arguments()->set_name("y");
  inputs["classes"].add_arguments();
  for (int i = 0; i < 3; ++i) {
    auto& tensor = *list_of(model).add_values()->mutable_immediate()->mutable_tensor();
    if (integers) {
      tensor.mutable_long_ints()->add_values(7 * i - 7);
    } else {
      tensor.mutable_strings()->add_values(std::string(1, static_cast<char>('a' + i)));
    }
  }
  auto& label = *op.add_outputs();
  label.set_name("label");
  label.mutable_type()->mutable_tensor()->set_data_type(integers ? kInt64 : kString);
  auto& probabilities = *op.add_outputs();
  probabilities.set_name("all");
  probabilities.mutable_type()->set_dictionary("");

  auto& function = (*model.mutable_ml_program()->mutable_functions())["main"];
  auto& block = (*function.mutable_block_specializations())["CoreML6"];
  block.clear_outputs();
  block.add_outputs("label");
  block.add_outputs("all");
  auto& described = *model.mutable_description();
  described.clear_output();
  auto& first = *described.add_output();
  first.set_name("label");
  if (integers) {
    first.mutable_type()->set_int64("");
  } else {
    first.mutable_type()->set_string("");
  }
  auto& second = *described.add_output();
  second.set_name("all");
  second.mutable_type()->set_dictionary("");
  return model;
}

Result<Model> read(const pb::Model& model) {
  WeightFileBuilder empty;
  const auto file = std::make_shared<const std::vector<std::byte>>(*read_all(*empty.source()));
  WeightFile weights = TRY(WeightFile::open(*file, file));
  const std::string bytes = model.SerializeAsString();
  return read_model(as_bytes(bytes), weights);
}

std::string read_edited(const std::function<void(pb::Model&)>& edit) {
  pb::Model model = classifier(false);
  edit(model);
  const auto result = read(model);
  return result ? "no error" : result.error().to_string();
}

TEST(Classes, StandBesideAProgramThatNumbersThem) {
  const auto model = read(classifier(false));
  ASSERT_OK(model);
  const Classes& classes = model->classes.at("main");
  EXPECT_THAT(classes.names, ElementsAre("a", "b", "c"));
  EXPECT_FALSE(classes.integers);
  EXPECT_EQ(classes.label, "label");
  EXPECT_EQ(classes.probabilities, "all");
  const mil::Function& function = *model->program.functions[0];
  EXPECT_EQ(to_string(function.outputs[0]->type), "int32");
  EXPECT_EQ(to_string(function.outputs[1]->type), "fp32[3]");
  const auto written = write_model(model->program);
  ASSERT_FALSE(written);
  EXPECT_THAT(written.error().to_string(), HasSubstr("classifiers cannot be written"));
}

TEST(Classes, MayBeIntegers) {
  const auto model = read(classifier(true));
  ASSERT_OK(model);
  EXPECT_TRUE(model->classes.at("main").integers);
  EXPECT_THAT(model->classes.at("main").names, ElementsAre("-7", "0", "7"));
}

TEST(Classes, AreCheckedAgainstTheirNumberTypeAndDescription) {
  using pb::Model;
  const auto error = read_edited;
  EXPECT_THAT(error([](Model& m) { list_of(m).mutable_values()->RemoveLast(); }),
              HasSubstr("2 classes for 3 probabilities"));
  EXPECT_THAT(error([](Model& m) { list_of(m).mutable_values(1)->Clear(); }),
              HasSubstr("class 1 is not one text"));
  EXPECT_THAT(error([](Model& m) {
                auto& value = *list_of(m).mutable_values(2)->mutable_immediate();
                value.mutable_tensor()->mutable_long_ints()->add_values(1);
              }),
              HasSubstr("class 2 is not one text"));
  EXPECT_THAT(error([](Model& m) { classify_of(m).mutable_inputs()->erase("classes"); }),
              HasSubstr("'classes' is missing"));
  EXPECT_THAT(error([](Model& m) { classify_of(m).mutable_inputs()->erase("probabilities"); }),
              HasSubstr("'probabilities' is missing"));
  EXPECT_THAT(error([](Model& m) {
                auto& classes = (*classify_of(m).mutable_inputs())["classes"];
                classes.mutable_arguments(0)->set_name("y");
              }),
              HasSubstr("not a list in the operation itself"));
  EXPECT_THAT(error([](Model& m) { classify_of(m).mutable_outputs()->RemoveLast(); }),
              HasSubstr("expected two outputs, found 1"));
  EXPECT_THAT(error([](Model& m) {
                m.mutable_description()->mutable_output(0)->mutable_type()->set_int64("");
              }),
              HasSubstr("output \"label\": the description has another kind"));
  EXPECT_THAT(error([](Model& m) {
                m.mutable_description()->mutable_input(0)->mutable_type()->set_string("");
              }),
              HasSubstr("input \"x\": a string feature"));
  // Without a classifier an output of another kind than an array is what it was.
  EXPECT_THAT(error([](Model& m) { classify_of(m).set_type("other"); }),
              HasSubstr("output \"label\": a string feature"));
}

}  // namespace
}  // namespace diptych::coreml
