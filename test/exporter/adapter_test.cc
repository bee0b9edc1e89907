// Adapters as methods of their own, beside the same adapters merged into the weights.
#include "testing/adapter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "exported_logits.h"
#include "exporter/export.h"
#include "exporter/source.h"
#include "generate/session.h"
#include "testing/shared_data.h"

namespace diptych::exporter {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kContext = 64, kRank = testing::kDemoShape.rank;
const std::vector<int64_t> kPrompt = {1, 300, 41, 77, 500, 12, 9, 260, 33, 480, 99, 5};

class Adapters : public ::testing::Test {
 protected:
  static std::string directory(const std::string& name, uint64_t seed) {
    return testing::write_adapter(name, testing::kDemoShape, seed);
  }

  Result<std::string> exported(const std::string& name, const Options& options) {
    const std::string path = testing::temporary_directory() + "/" + name + ".pte";
    report_ = TRY(export_files(testing::source_path("demo/model.pth"),
                               testing::source_path("demo/params.json"), path, options, silent_));
    return path;
  }

  // The logits after each token of the prompt.
  static std::vector<float> logits(const std::string& path, std::string_view adapter) {
    return testing::logits_of_file(path, kPrompt, engine::Numerics::Precise, adapter);
  }

  static Options options_of(bool multifunction) {
    Options options;
    options.max_context_len = kContext;
    options.input_len = 8;
    options.dtype = DType::F32;
    options.linear = options.embedding = std::nullopt;
    options.multifunction = multifunction;
    return options;
  }

  static double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
    EXPECT_EQ(a.size(), b.size());
    double largest = 0;
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      largest = std::max(largest, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    }
    return largest;
  }

  const std::string one_ = directory("one", 100), two_ = directory("two", 200);
  Progress silent_;
  Report report_;
};

TEST_F(Adapters, ComputeWhatMergedWeightsDo) {
  for (const bool multifunction : {false, true}) {
    Options options = options_of(multifunction);
    const std::string plain = *exported("plain", options);
    options.adapters = {{"", one_}};
    const std::string merged = *exported("merged", options);
    options.adapters = {{"one", one_}, {"two", two_}};
    options.max_unshared = 0;
    const auto both = exported("both", options);
    ASSERT_OK(both);
    EXPECT_EQ(logits(*both, ""), logits(plain, ""));
    EXPECT_LT(largest_difference(logits(*both, "one"), logits(merged, "")), 1e-4);
    EXPECT_GT(largest_difference(logits(*both, "one"), logits(plain, "")), 0.1);
    EXPECT_GT(largest_difference(logits(*both, "one"), logits(*both, "two")), 0.1);
  }
}

TEST_F(Adapters, TakeNoMoreThanTheirMatrices) {
  Options options = options_of(true);
  ASSERT_OK(exported("plain", options));
  const uint64_t plain = report_.unique_bytes;
  options.adapters = {{"one", one_}, {"two", two_}};
  ASSERT_OK(exported("both", options));
  constexpr uint64_t kMatrices = 6 * kRank * (128 + 128 + 128 + 64 + 128 + 384 + 384 + 128) * 4;
  EXPECT_GE(report_.unique_bytes, plain + 2 * kMatrices);
  EXPECT_LE(report_.unique_bytes, plain + 2 * kMatrices + 1024);  // shapes, biases of zeros
}

// Codes are those of the model alone; the adapter stays as it is.
TEST_F(Adapters, StandBesideQuantisedWeights) {
  Options options = options_of(true);
  options.linear = quant::kC4w;
  options.embedding = quant::Format{8, 0};
  const std::string plain = *exported("plain", options);
  options.adapters = {{"one", one_}};
  const std::string beside = *exported("beside", options);
  EXPECT_EQ(logits(beside, ""), logits(plain, ""));
  Options whole = options_of(true);
  whole.adapters = {{"", one_}};
  const std::string merged = *exported("merged", whole);
  const double error = largest_difference(logits(beside, "one"), logits(merged, ""));
  EXPECT_LT(error, largest_difference(logits(plain, ""), logits(merged, "")) / 2);
}

TEST_F(Adapters, OfOtherNames) {
  Options options = options_of(true);
  const std::string plain = *exported("plain", options);
  options.adapters = {{"one", one_}, {"two", two_}};
  const std::string both = *exported("both", options);
  const auto refusal = [](const std::string& path) {
    return generate::Session::create(runtime::Program::open(path, {}).value(), "three")
        .error()
        .to_string();
  };
  EXPECT_THAT(refusal(plain), HasSubstr("no adapter \"three\": the file has none"));
  EXPECT_THAT(refusal(both), HasSubstr("no adapter \"three\", expected one of one, two"));
  EXPECT_THAT(generate::adapters(**runtime::Program::open(both, {})),
              ::testing::ElementsAre("one", "two"));
  options.adapters = {{"one", one_}, {"one", two_}};
  EXPECT_THAT(exported("x", options).error().to_string(), HasSubstr("two adapters are named"));
  options.adapters = {{"1", one_}};
  EXPECT_THAT(exported("x", options).error().to_string(), HasSubstr("adapter \"1\": expected"));
  options.adapters = {{"one", one_ + "/none"}};
  EXPECT_THAT(exported("x", options).error().to_string(), HasSubstr("adapter_config.json"));
}

TEST(AdapterFromText, NamesStandBeforeAnEqualsSign) {
  const auto parts = [](std::string_view text) {
    const AdapterSource source = adapter_from_text(text);
    return source.name + "|" + source.directory;
  };
  EXPECT_EQ(parts("dir"), "|dir");
  EXPECT_EQ(parts("a=dir"), "a|dir");
  EXPECT_EQ(parts("a=b=c"), "a|b=c");
  EXPECT_EQ(parts("./a=b"), "|./a=b");
  EXPECT_EQ(parts("=b"), "|=b");
}

}  // namespace
}  // namespace diptych::exporter
