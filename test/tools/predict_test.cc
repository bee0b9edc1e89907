#include "tools/predict.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "base/json.h"
#include "sample_package.h"
#include "testing/shared_data.h"

namespace diptych::tools {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

numpy::Array array(DType dtype, Shape shape, const std::vector<double>& values) {
  numpy::Array doubles;
  doubles.type = {DType::F64, std::move(shape)};
  const Bytes bytes = std::as_bytes(std::span(values));
  doubles.data.assign(bytes.begin(), bytes.end());
  return numpy::converted(doubles, dtype).value();
}

class Predict : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = diptych::testing::temporary_directory() + "/predict.mlpackage";
    fs::remove_all(path_);
    ASSERT_TRUE(diptych::testing::write_sample_package(path_));
    function_ = host::Model::open(path_).value()->load("").value();
  }

  std::string problem(const numpy::Arrays& inputs) {
    const auto results = predict(*function_, inputs);
    return results ? "none" : results.error().to_string();
  }

  std::string path_;
  std::unique_ptr<host::Function> function_;
};

TEST_F(Predict, TakesAndGivesArraysByName) {
  const auto results =
      predict(*function_, {{"y", array(DType::Int64, {2, 3}, {1, 2, 3, 4, 5, 6})},
                           {"x", array(DType::F16, {2, 3}, {0.5, 0.5, 0.5, 1, 1, -1})}});
  ASSERT_TRUE(results) << results.error().to_string();
  EXPECT_EQ(to_text(*results, function_->signature()),
            "sum: fp32[2,3], 1.5 to 6\n  1.5 2.5 3.5 5 6 5\n"
            "product: fp32[2,3], -6 to 5\n  0.5 1 1.5 4 5 -6\n");
  const Json json = parse_json(to_json_text(*results, function_->signature())).value();
  EXPECT_EQ(json["sum"]["dtype"], "fp32");
  EXPECT_EQ(json["sum"]["shape"], Json({2, 3}));
  EXPECT_EQ(json["product"]["data"], Json({0.5, 1.0, 1.5, 4.0, 5.0, -6.0}));
}

TEST_F(Predict, NamesWhatIsMissingSurplusOrOfAnotherShape) {
  const auto good = array(DType::F32, {2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(problem({{"x", good}}),
            "no array for input \"y\"; the function takes\n  x: fp32[2,3]\n  y: fp32[2,3]");
  EXPECT_THAT(problem({{"x", good}, {"y", good}, {"z", good}}),
              HasSubstr("\"z\", which is no input"));
  EXPECT_THAT(problem({{"z", good}, {"w", good}}),
              HasSubstr("no array for inputs \"x\", \"y\"; arrays for \"w\", \"z\", which are "
                        "no inputs; the function takes\n  x: fp32[2,3]"));
  EXPECT_THAT(problem({{"x", good}, {"y", array(DType::F32, {3, 2}, {1, 2, 3, 4, 5, 6})}}),
              HasSubstr("input \"y\": expected fp32[2,3], found fp32[3,2]"));
  EXPECT_THAT(problem({{"x", good}, {"y", array(DType::F64, {2, 3}, {1, 2, 3, 1e300, 5, 6})}}),
              HasSubstr("element 3 is 1e+300, which fp32 cannot hold"));
}

TEST(PredictText, ShowsNoMoreThanAFewElements) {
  const NamedArrays arrays = {{"n", array(DType::Int32, {10}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9})},
                              {"e", array(DType::F32, {0}, {})}};
  EXPECT_EQ(to_text(arrays, {}),
            "n: int32[10], 0 to 9\n  0 1 2 3 4 5 6 7 … and 2 more\ne: fp32[0]\n");
  EXPECT_EQ(parse_json(to_json_text(arrays, {})).value()["n"]["data"][9], 9);
}

TEST(PredictText, NamesClasses) {
  const NamedArrays outputs = {{"kind", array(DType::Int32, {}, {1})},
                               {"odds", array(DType::F32, {2}, {0.25, 0.75})}};
  host::Signature signature;
  signature.classes = coreml::Classes{{"cat", "dog"}, false, "kind", "odds"};
  EXPECT_THAT(to_text(outputs, signature), HasSubstr("kind: \"dog\"\nodds: fp32[2], 0.25"));
  EXPECT_EQ(parse_json(to_json_text(outputs, signature)).value(),
            Json({{"kind", "dog"}, {"odds", {{"cat", 0.25}, {"dog", 0.75}}}}));
  signature.classes = coreml::Classes{{"-3", "8"}, true, "kind", "odds"};
  EXPECT_THAT(to_text(outputs, signature), HasSubstr("kind: 8\n"));
  EXPECT_EQ(parse_json(to_json_text(outputs, signature)).value()["kind"], 8);
}

}  // namespace
}  // namespace diptych::tools
