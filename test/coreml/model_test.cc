#include "coreml/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "coreml/sample.h"
#include "mil/text.h"
#include "model.pb.h"
#include "testing/shared_data.h"

namespace diptych::coreml {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Serialised files and what keeps them alive.
struct Files {
  std::string mlmodel;
  std::shared_ptr<const std::vector<std::byte>> weights;
};

Files write(const mil::Program& program) {
  auto model = write_model(program);
  EXPECT_TRUE(model.has_value()) << model.error().to_string();
  auto weights =
      std::make_shared<const std::vector<std::byte>>(*read_all(*model->weights.source()));
  return {model->mlmodel, weights};
}

Result<Model> read(const Files& files) {
  WeightFile weights = TRY(WeightFile::open(*files.weights, files.weights));
  return read_model(as_bytes(files.mlmodel), weights);
}

mil::Program sample(const std::map<std::string, int64_t>& functions) {
  auto program = testing::sample_program(functions);
  EXPECT_TRUE(program.has_value()) << program.error().to_string();
  return std::move(*program);
}

// The error of reading the sample (one function, "main") after an edit of its protobuf.
std::string error_after_edit(const std::function<void(pb::Model&)>& edit) {
  Files files = write(sample({{"main", 1}}));
  pb::Model model;
  EXPECT_TRUE(model.ParseFromString(files.mlmodel));
  edit(model);
  files.mlmodel = model.SerializeAsString();
  const auto result = read(files);
  return result ? "no error" : result.error().to_string();
}

pb::Block& main_block(pb::Model& model) {
  auto& function = (*model.mutable_ml_program()->mutable_functions())["main"];
  return (*function.mutable_block_specializations())["CoreML8"];
}

pb::Operation& find_op(pb::Model& model, std::string_view type) {
  for (pb::Operation& op : *main_block(model).mutable_operations()) {
    if (op.type() == type) return op;
  }
  ADD_FAILURE() << "no operation " << type;
  return *main_block(model).add_operations();
}

TEST(Model, ReadsWhatItWrites) {
  const mil::Program program = sample({{"main", 2}});
  const Files files = write(program);
  const auto model = read(files);
  ASSERT_OK(model);
  EXPECT_EQ(model->specification_version, 9);
  EXPECT_FALSE(model->multifunction);
  EXPECT_EQ(model->default_function, "main");
  ASSERT_EQ(model->program.functions.size(), 1u);
  const mil::Function& before = *program.functions[0];
  const mil::Function& after = *model->program.functions[0];
  ASSERT_EQ(after.ops.size(), before.ops.size());
  for (size_t i = 0; i < before.ops.size(); ++i) {
    const mil::Op &x = *before.ops[i], &y = *after.ops[i];
    EXPECT_EQ(x.type, y.type);
    EXPECT_EQ(x.result()->name, y.result()->name);
    EXPECT_EQ(x.result()->type, y.result()->type);
    ASSERT_EQ(x.operands.size(), y.operands.size());
    for (size_t k = 0; k < x.operands.size(); ++k) {
      EXPECT_EQ(x.operands[k].param, y.operands[k].param);
      const mil::Value &p = *x.operands[k].values[0], &q = *y.operands[k].values[0];
      EXPECT_EQ(p.name, q.name);
      EXPECT_EQ(p.type, q.type);
      EXPECT_EQ(p.text, q.text);
      ASSERT_EQ(p.weight == nullptr, q.weight == nullptr);
      if (p.weight) {
        EXPECT_EQ(*read_all(*packed_source(p.weight)), *read_all(*packed_source(q.weight)));
      }
    }
  }
  ASSERT_EQ(after.outputs.size(), 3u);
  EXPECT_EQ(after.outputs[0]->name, before.outputs[0]->name);
}

TEST(Model, WritesTheSameBytesAgain) {
  const Files files = write(sample({{"forward", 1}, {"prefill", 4}}));
  const auto model = read(files);
  ASSERT_OK(model);
  const Files again = write(model->program);
  EXPECT_EQ(again.mlmodel, files.mlmodel);
  EXPECT_EQ(*again.weights, *files.weights);
}

TEST(Model, KeepsWeightsThatFunctionsShareShared) {
  const Files files = write(sample({{"forward", 1}, {"prefill", 4}}));
  const auto model = read(files);
  ASSERT_OK(model);
  EXPECT_TRUE(model->multifunction);
  EXPECT_EQ(model->default_function, "forward");
  ASSERT_EQ(model->program.functions.size(), 2u);
  const auto weights = [](const mil::Function& function) {
    std::vector<const Weight*> found;
    for (const mil::Value* value : function.constants()) {
      if (value->weight && value->weight->elements() >= 10) found.push_back(value->weight.get());
    }
    std::sort(found.begin(), found.end());
    return found;
  };
  EXPECT_EQ(weights(*model->program.functions[0]).size(), 4u);
  EXPECT_EQ(weights(*model->program.functions[0]), weights(*model->program.functions[1]));
  // data, scale, bias and the odd one: 64-byte header, then record and data at multiples of 64.
  EXPECT_EQ(files.weights->size(), 64u + (64 + 256) + (64 + 64) + (64 + 64) + (64 + 8));
}

TEST(Model, NamesTheOnlyFunctionMain) {
  const auto model = read(write(sample({{"decode", 1}})));
  ASSERT_OK(model);
  EXPECT_EQ(model->program.functions[0]->name, "main");
}

TEST(Model, StoresConstantsWhereCoreMlExpectsThem) {
  const Files files = write(sample({{"main", 1}}));
  pb::Model model;
  ASSERT_TRUE(model.ParseFromString(files.mlmodel));
  std::vector<std::string> types;
  for (const auto& op : main_block(model).operations()) types.push_back(op.type());
  EXPECT_THAT(types, ElementsAre("constexpr_blockwise_shift_scale", "const", "linear",
                                 "constexpr_blockwise_shift_scale", "const", "mul", "const",
                                 "greater_equal", "const", "cast", "const", "const", "concat"));
  const auto& inputs = find_op(model, "constexpr_blockwise_shift_scale").inputs();
  EXPECT_EQ(inputs.at("data").arguments(0).value().blob_file().file_name(),
            "@model_path/weights/weight.bin");
  EXPECT_EQ(inputs.at("data").arguments(0).value().blob_file().offset(), 64u);
  EXPECT_FALSE(model.ml_program().attributes().contains("buildInfo"));
  EXPECT_EQ(model.description().input(0).type().multi_array().data_type(), 65552);
  EXPECT_EQ(
      find_op(model, "linear").attributes().at("name").immediate().tensor().strings().values(0),
      "linear");
}

TEST(Model, ReadsImmediateOperandsOfAnyOperation) {
  Files files = write(sample({{"main", 1}}));
  pb::Model source;
  ASSERT_TRUE(source.ParseFromString(files.mlmodel));
  // concat: its axis and two more values, in place of names.
  auto& concat_inputs = *find_op(source, "concat").mutable_inputs();
  for (const auto& op : main_block(source).operations()) {
    if (op.type() == "const" && op.outputs(0).name() == "concat_axis_0") {
      *concat_inputs["axis"].mutable_arguments(0)->mutable_value() = op.attributes().at("val");
    }
  }
  const auto scale = find_op(source, "constexpr_blockwise_shift_scale").inputs().at("scale");
  for (int i = 0; i < 2; ++i) {
    auto* value = concat_inputs["values"].add_arguments()->mutable_value();
    *value = scale.arguments(0).value();
    value->mutable_type()->mutable_tensor()->mutable_dimensions(0)->mutable_constant()->set_size(3);
    value->clear_blob_file();
    value->mutable_immediate()->mutable_tensor()->mutable_raw()->set_values(std::string(6, '\0'));
  }
  auto set_width = [](pb::ValueType* type, int64_t width) {
    type->mutable_tensor()->mutable_dimensions(1)->mutable_constant()->set_size(
        static_cast<uint64_t>(width));
  };
  set_width(find_op(source, "concat").mutable_outputs(0)->mutable_type(), 7);
  source.mutable_description()->mutable_output(1)->mutable_type()->mutable_multi_array()->set_shape(
      1, 7);
  files.mlmodel = source.SerializeAsString();
  const auto model = read(files);
  ASSERT_OK(model);
  const mil::Op& concat = *model->program.functions[0]->ops.back();
  ASSERT_EQ(concat.operand_list("values").size(), 3u);
  EXPECT_EQ(concat.operand_list("values")[2]->name, "concat_values_2");
  EXPECT_EQ(concat.operand("axis")->name, "concat_axis");
}

// The constexpr operations of iOS 16 hold their parameters as attributes.
TEST(Model, WritesAndReadsAttributesOfOldConstantExpressions) {
  constexpr std::string_view kText =
      "func @main(%x: fp16[1,4]) opset \"CoreML6\" {\n"
      "%w: fp16[2,4] = constexpr_affine_dequantize(quantized_data=int8[2,4](1,2,3,4,5,6,7,8), "
      "zero_point=int8[2](1,0), scale=fp16[2](1,2), axis=int32(0))\n"
      "%y: fp16[1,2] = linear(x=%x, weight=%w)\nreturn %y\n}";
  auto program = mil::parse(kText);
  ASSERT_OK(program);
  Files files = write(*program);
  pb::Model model;
  ASSERT_TRUE(model.ParseFromString(files.mlmodel));
  auto& function = (*model.mutable_ml_program()->mutable_functions())["main"];
  const pb::Block& block = (*function.mutable_block_specializations())["CoreML6"];
  const auto op = std::find_if(block.operations().begin(), block.operations().end(),
                               [](const auto& o) { return o.type() != "const"; });
  EXPECT_EQ(op->inputs_size(), 0);
  EXPECT_EQ(op->attributes_size(), 5);  // and the name
  const auto read_again = read(files);
  ASSERT_OK(read_again);
  const mil::Op& again = *read_again->program.functions[0]->ops[0];
  EXPECT_EQ(again.type, "constexpr_affine_dequantize");
  for (const std::string_view param : {"quantized_data", "zero_point", "scale", "axis"}) {
    const mil::Value* value = again.operand(param);
    ASSERT_NE(value, nullptr) << param;
    EXPECT_TRUE(value->is_constant()) << param;
  }
  EXPECT_EQ(again.operands.size(), 4u);
}

TEST(Model, ReadsDefaultsOfOptionalInputs) {
  Files files = write(sample({{"main", 1}}));
  pb::Model model;
  ASSERT_TRUE(model.ParseFromString(files.mlmodel));
  auto& x = *model.mutable_description()->mutable_input(0);
  x.mutable_type()->set_is_optional(true);
  x.mutable_type()->mutable_multi_array()->set_float_default(1.5f);
  files.mlmodel = model.SerializeAsString();
  const auto found = read(files);
  ASSERT_OK(found);
  EXPECT_EQ(found->defaults.at("main"), (std::map<std::string, double>{{x.name(), 1.5}}));
}

TEST(Model, KeepsUnknownOperations) {
  Files files = write(sample({{"main", 1}}));
  pb::Model source;
  ASSERT_TRUE(source.ParseFromString(files.mlmodel));
  find_op(source, "mul").set_type("mystery");
  files.mlmodel = source.SerializeAsString();
  const auto model = read(files);
  ASSERT_OK(model);
  EXPECT_THAT(mil::print(model->program), HasSubstr("mystery("));
  const auto again = read(write(model->program));
  ASSERT_OK(again);
  EXPECT_THAT(mil::print(again->program), HasSubstr("mystery("));
}

TEST(Model, NamesOtherKindsOfModel) {
  EXPECT_THAT(error_after_edit([](pb::Model& m) { m.set_neural_network("x"); }),
              HasSubstr("of kind \"neural network\", expected an ML Program"));
  EXPECT_THAT(error_after_edit([](pb::Model& m) { m.set_pipeline("x"); }),
              HasSubstr("\"pipeline\""));
  EXPECT_THAT(error_after_edit([](pb::Model& m) { m.clear_kind(); }), HasSubstr("unknown kind"));
}

TEST(Model, ListsEverythingUnsupportedAtOnce) {
  const std::string error = error_after_edit([](pb::Model& m) {
    m.set_specification_version(99);
    auto* array = m.mutable_description()->mutable_input(0)->mutable_type()->mutable_multi_array();
    array->set_enumerated_shapes("");
    m.mutable_description()->mutable_input(1)->mutable_type()->set_image("");
    m.mutable_description()->add_state()->set_name("kv");
    auto& function = (*m.mutable_ml_program()->mutable_functions())["main"];
    function.mutable_inputs(0)->mutable_type()->set_state("");
    find_op(m, "linear").add_blocks();
    find_op(m, "mul").set_type("read_state");
    find_op(m, "cast")
        .mutable_outputs(0)
        ->mutable_type()
        ->mutable_tensor()
        ->add_dimensions()
        ->set_unknown("");
    (*find_op(m, "constexpr_blockwise_shift_scale").mutable_inputs())["data"]
        .mutable_arguments(0)
        ->mutable_value()
        ->mutable_blob_file()
        ->set_file_name("@model_path/other.bin");
  });
  for (const char* item :
       {"specification version 99", "input \"x\": enumerated shapes", "\"index\": an image feature",
        "state \"kv\"", "input \"x\": type state", "operation linear \"linear\": nested blocks",
        "operation read_state \"mul\": state", "output \"cast\": a dimension that is not fixed",
        "constant in the file \"@model_path/other.bin\""}) {
    EXPECT_THAT(error, HasSubstr(item));
  }
}

TEST(Model, RefusesAnotherOpset) {
  EXPECT_THAT(error_after_edit([](pb::Model& m) {
                (*m.mutable_ml_program()->mutable_functions())["main"].set_opset("CoreML4");
              }),
              HasSubstr("opset \"CoreML4\" (supported: CoreML5 to CoreML9)"));
}

TEST(Model, RefusesContradictions) {
  const auto input = [](pb::Model& m) {
    return m.mutable_description()->mutable_input(0)->mutable_type()->mutable_multi_array();
  };
  EXPECT_THAT(error_after_edit([&](pb::Model& m) { input(m)->set_shape(1, 7); }),
              HasSubstr("the description says fp16[1,7,32], the function fp16[1,1,32]"));
  EXPECT_THAT(error_after_edit([&](pb::Model& m) { input(m)->set_data_type(65568); }),
              HasSubstr("the description says fp32"));
  EXPECT_THAT(error_after_edit(
                  [](pb::Model& m) { m.mutable_description()->mutable_input(0)->set_name("z"); }),
              HasSubstr("input \"z\" of the description"));
  EXPECT_THAT(error_after_edit([](pb::Model& m) {
                *m.mutable_description()->add_output() = m.description().output(0);
              }),
              HasSubstr("has 4 outputs, the function 3"));
  EXPECT_THAT(error_after_edit([](pb::Model& m) { main_block(m).add_outputs("nothing"); }),
              HasSubstr("output \"nothing\" is not defined"));
  EXPECT_THAT(error_after_edit(
                  [](pb::Model& m) { m.mutable_ml_program()->mutable_functions()->erase("main"); }),
              HasSubstr("the description is of 1 functions, the program has 0"));
  EXPECT_THAT(error_after_edit([](pb::Model& m) {
                m.mutable_description()->add_functions()->set_name("other");
              }),
              HasSubstr("lists the function \"other\""));
}

TEST(Model, RefusesDamagedOperations) {
  EXPECT_THAT(error_after_edit(
                  [](pb::Model& m) { find_op(m, "mul").mutable_outputs(0)->set_name("linear"); }),
              HasSubstr("two values are called \"linear\""));
  EXPECT_THAT(error_after_edit([](pb::Model& m) { find_op(m, "mul").clear_outputs(); }),
              HasSubstr("it has no outputs"));
  EXPECT_THAT(error_after_edit([](pb::Model& m) {
                (*find_op(m, "linear").mutable_inputs())["x"].mutable_arguments(0)->set_name("mul");
              }),
              HasSubstr("\"mul\" is not defined before its use"));
  EXPECT_THAT(error_after_edit([](pb::Model& m) {
                (*find_op(m, "linear").mutable_inputs())["x"].clear_arguments();
              }),
              HasSubstr("bound to nothing"));
  EXPECT_THAT(error_after_edit(
                  [](pb::Model& m) { find_op(m, "const").mutable_attributes()->erase("val"); }),
              HasSubstr("attribute \"val\""));
  EXPECT_THAT(error_after_edit([](pb::Model& m) {
                auto* tensor =
                    find_op(m, "mul").mutable_outputs(0)->mutable_type()->mutable_tensor();
                tensor->mutable_dimensions(0)->mutable_constant()->set_size(1ull << 62);
                tensor->mutable_dimensions(1)->mutable_constant()->set_size(1ull << 62);
              }),
              HasSubstr("overflows"));
  EXPECT_THAT(
      error_after_edit([](pb::Model& m) {
        find_op(m, "mul").mutable_outputs(0)->mutable_type()->mutable_tensor()->set_data_type(77);
      }),
      HasSubstr("element type number 77"));
}

TEST(Model, ChecksTheElementsOfImmediateValues) {
  const auto axis = [](pb::Model& m) {
    for (pb::Operation& op : *main_block(m).mutable_operations()) {
      if (op.type() == "const" && op.outputs(0).name() == "concat_axis_0") {
        return (*op.mutable_attributes())["val"].mutable_immediate()->mutable_tensor();
      }
    }
    return static_cast<pb::TensorValue*>(nullptr);
  };
  EXPECT_THAT(error_after_edit([&](pb::Model& m) { axis(m)->mutable_ints()->add_values(1); }),
              HasSubstr("needs 4 bytes of elements, found 8"));
  EXPECT_THAT(error_after_edit([&](pb::Model& m) { axis(m)->mutable_floats()->add_values(1); }),
              HasSubstr("not in the field for their type"));
  EXPECT_THAT(error_after_edit([&](pb::Model& m) { axis(m)->clear_value(); }),
              HasSubstr("not in the field for their type"));
}

TEST(Model, RefusesWhatIsNoProtobuf) {
  WeightFile none;
  EXPECT_FALSE(read_model(as_bytes("certainly not"), none).has_value());
  EXPECT_FALSE(read_model({}, none).has_value());
  const std::string whole = write(sample({{"main", 1}})).mlmodel;
  EXPECT_FALSE(read_model(as_bytes(whole).first(whole.size() / 2), none).has_value());
}

TEST(Model, AsksForTheWeightFileOnlyWhenItIsNeeded) {
  WeightFile none;
  const auto without = read_model(as_bytes(write(sample({{"main", 1}})).mlmodel), none);
  ASSERT_FALSE(without.has_value());
  EXPECT_THAT(without.error().to_string(), HasSubstr("there is none"));
}

TEST(Model, RefusesToWriteWhatCoreMlCannotHold) {
  mil::Program program;
  program.functions.push_back(std::make_unique<mil::Function>("f"));
  mil::Function& f = *program.functions[0];
  mil::Value* x = f.add_input("x", {DType::Int16, {4}});
  f.outputs = {x};
  EXPECT_THAT(write_model(program).error().to_string(), HasSubstr("not int16[4]"));
  x->type = {DType::F16, {}};
  EXPECT_THAT(write_model(program).error().to_string(), HasSubstr("at least one axis"));
  x->type = {DType::F16, {4}};
  ASSERT_OK(write_model(program));
  f.outputs = f.add_op("cpu.fused", {{"x", {x}}}, {{"y", x->type}})->results;
  EXPECT_THAT(write_model(program).error().to_string(), HasSubstr("cpu.fused"));
  EXPECT_FALSE(write_model(mil::Program()).has_value());
}

}  // namespace
}  // namespace diptych::coreml
