#include "coreml/proto_reader.h"

#include <gtest/gtest.h>

#include <protozero/pbf_writer.hpp>
#include <string>

#include "base/bytes.h"

namespace diptych::coreml {
namespace {

std::string function(std::string_view opset) {
  std::string bytes;
  protozero::pbf_writer(bytes).add_string(proto::Function::kOpset, std::string(opset));
  return bytes;
}

// An entry of the program's map of functions.
void add_function(std::string& program, const std::string& name, const std::string& value) {
  protozero::pbf_writer entry_of(program);
  protozero::pbf_writer entry(entry_of, proto::Program::kFunctions);
  entry.add_string(proto::kKey, name);
  entry.add_message(proto::kValue, value);
}

std::string model(const std::string& program) {
  std::string bytes;
  protozero::pbf_writer(bytes).add_message(proto::Model::kMlProgram, program);
  return bytes;
}

class ReadProto : public ::testing::TestWithParam<bool> {
 protected:
  Result<proto::Model> read(const std::string& bytes) {
    return read_proto(as_bytes(bytes), GetParam() ? &pool_ : nullptr);
  }

 private:
  ThreadPool pool_{2};
};

TEST_P(ReadProto, TakesTheLaterOfTwoFunctionsOfOneName) {
  std::string program;
  for (int i = 0; i < 200; ++i) {
    add_function(program, fmt::format("f{}", i % 100), function(std::to_string(i)));
  }
  const std::string bytes = model(program);
  const auto read = this->read(bytes);
  ASSERT_TRUE(read);
  const auto& functions = read->ml_program.functions;
  ASSERT_EQ(functions.size(), 100u);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(functions.at(fmt::format("f{}", i)).opset, std::to_string(100 + i));
  }
}

TEST_P(ReadProto, UnitesAProgramThatComesInParts) {
  std::string first, second;
  add_function(first, "a", function("1"));
  add_function(second, "b", function("2"));
  const std::string bytes = model(first) + model(second);
  const auto read = this->read(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->ml_program.functions.at("a").opset, "1");
  EXPECT_EQ(read->ml_program.functions.at("b").opset, "2");
}

// A sanitizer sees whether more is read than there is.
TEST_P(ReadProto, RefusesABoolThatIsCutOff) {
  std::string whole;
  protozero::pbf_writer(whole).add_bool(proto::Model::kIsUpdatable, true);
  ASSERT_EQ(whole.size(), 2u);
  const std::vector<std::byte> cut(1, static_cast<std::byte>(whole[0]));
  EXPECT_FALSE(read_proto(cut, nullptr));
  const auto read = this->read(whole);
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->is_updatable);
}

TEST_P(ReadProto, RefusesADamagedFunction) {
  std::string program;
  add_function(program, "a", function("1"));
  add_function(program, "b", function("2").substr(0, 2));
  const std::string bytes = model(program);
  const auto read = this->read(bytes);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::InvalidData);
}

INSTANTIATE_TEST_SUITE_P(WithAPool, ReadProto, ::testing::Bool());

}  // namespace
}  // namespace diptych::coreml
