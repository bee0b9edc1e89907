#include "host/model.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "sample_package.h"
#include "testing/shared_data.h"

namespace diptych::host {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::source_path;
namespace fs = std::filesystem;

class HostModel : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::path(testing::temporary_directory()) / "models";
    fs::remove_all(directory_);
    ASSERT_TRUE(testing::write_sample_package(package()));
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string package() const { return (directory_ / "m.mlpackage").string(); }
  static Bytes bytes(const std::vector<float>& values) { return std::as_bytes(std::span(values)); }
  static MutableBytes bytes(std::vector<float>& values) {
    return std::as_writable_bytes(std::span(values));
  }

  fs::path directory_;
};

TEST_F(HostModel, RunsTheFunctionsOfAPackage) {
  const auto model = Model::open(package());
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_THAT((*model)->functions(), ElementsAre("main", "scaled"));
  EXPECT_EQ((*model)->default_function(), "main");
  EXPECT_EQ((*model)->specification_version(), 9);
  const std::vector<float> x = {1, 2, 3, 4, 5, 6}, y = {10, 20, 30, 40, 50, 60};
  std::vector<float> sum(6), product(6);
  const auto function = (*model)->load("");
  ASSERT_TRUE(function);
  const Signature& types = (*function)->signature();
  EXPECT_EQ(types.inputs[1].name, "y");
  EXPECT_EQ(types.outputs[0].name, "sum");
  EXPECT_EQ(to_string(types.outputs[1].type), "fp32[2,3]");
  EXPECT_FALSE((*function)->run());  // nothing is bound
  ASSERT_TRUE((*function)->bind_input(0, bytes(x)));
  ASSERT_TRUE((*function)->bind_input(1, bytes(y)));
  ASSERT_TRUE((*function)->bind_output(0, bytes(sum)));
  ASSERT_TRUE((*function)->bind_output(1, bytes(product)));
  ASSERT_TRUE((*function)->run());
  EXPECT_THAT(sum, ElementsAre(11, 22, 33, 44, 55, 66));
  EXPECT_THAT(product, ElementsAre(10, 40, 90, 160, 250, 360));

  const auto scaled = (*model)->load("scaled");
  ASSERT_TRUE(scaled);
  ASSERT_TRUE((*scaled)->bind_input(0, bytes(x)));
  ASSERT_TRUE((*scaled)->bind_output(0, bytes(sum)));
  ASSERT_TRUE((*scaled)->run());
  EXPECT_THAT(sum, ElementsAre(2, 4, 6, 8, 10, 12));
}

TEST_F(HostModel, OpensTheSpecificationAlone) {
  const auto model = Model::open(package() + "/Data/com.apple.CoreML/model.mlmodel");
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_THAT((*model)->functions(), ElementsAre("main", "scaled"));
}

TEST_F(HostModel, SaysWhatIsWrong) {
  const auto problem = [](const std::string& path) {
    const auto model = Model::open(path);
    return model ? "none" : model.error().to_string();
  };
  EXPECT_THAT(problem(package() + "x"), HasSubstr("m.mlpackagex"));
  std::ofstream(directory_ / "text.mlmodel") << "no model at all";
  EXPECT_THAT(problem((directory_ / "text.mlmodel").string()), HasSubstr("text.mlmodel"));
  EXPECT_THAT(problem(directory_.string()), HasSubstr("Manifest.json"));

  const auto model = Model::open(package()).value();
  const auto missing = model->load("other");
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().to_string(),
              HasSubstr("no function \"other\"; the file has\n  main"));
  const auto function = model->load("").value();
  std::vector<float> short_one(5);
  const Status bound = function->bind_input(0, bytes(short_one));
  ASSERT_FALSE(bound);
  EXPECT_THAT(bound.error().to_string(),
              HasSubstr("input \"x\" is fp32[2,3]: expected 24 bytes, found 20"));
  EXPECT_FALSE(function->bind_output(7, bytes(short_one)));
}

// The model is dropped while a function of it is still used.
TEST_F(HostModel, LivesAsLongAsItsFunctions) {
  auto function = Model::open(package()).value()->load("scaled").value();
  std::vector<float> x = {1, 2, 3, 4, 5, 6};
  ASSERT_TRUE(function->bind_input(0, bytes(x)));
  ASSERT_TRUE(function->bind_output(0, bytes(x)));
  ASSERT_TRUE(function->run());
  EXPECT_THAT(x, ElementsAre(2, 4, 6, 8, 10, 12));
}

}  // namespace
}  // namespace diptych::host
