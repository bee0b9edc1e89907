// Core ML programs beside inputs and outputs that somebody else has computed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "coreml/file_map.h"
#include "coreml/package.h"
#include "mil/builder.h"
#include "numpy/npy.h"
#include "testing/shared_data.h"
#include "verify/verify.h"

namespace diptych::verify {
namespace {

using ::testing::HasSubstr;

numpy::Array floats(const std::vector<float>& values) {
  numpy::Array array;
  array.type = {DType::F32, {static_cast<int64_t>(values.size())}};
  const Bytes bytes = std::as_bytes(std::span(values));
  array.data.assign(bytes.begin(), bytes.end());
  return array;
}

// "sum" = "x" + "y" of two elements.
Status write_program(const std::string& directory) {
  const TensorType type{DType::F32, {2}};
  mil::Builder b(std::make_unique<mil::Function>("main"));
  mil::Value *x = b.input("x", type), *y = b.input("y", type);
  mil::Value* sum = b.add(x, y);
  b.function().rename(sum, "sum");
  mil::Program program;
  program.functions.push_back(TRY(b.finish({sum})));
  const auto files = TRY(coreml::write_model(program));
  return coreml::write_directory(directory, coreml::package_files(files, {1, 2}));
}

class References : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(write_program(package_)); }

  // What the check of references says of these arrays.
  Result<CheckResult> check(const std::map<std::string, numpy::Array>& arrays) {
    std::vector<std::pair<std::string, const numpy::Array*>> entries;
    for (const auto& [name, array] : arrays) entries.emplace_back(name, &array);
    MemorySink sink;
    TRY(numpy::write_npz(entries, sink));
    Options options;
    options.reference = diptych::testing::temporary_directory() + "/io.npz";
    TRY(write_file(options.reference, sink.data));
    Progress silent;
    for (CheckResult& result : TRY(verify(package_, options, silent)).checks) {
      if (result.check == "reference") return std::move(result);
    }
    return not_found("no check of references");
  }

  const std::string package_ = diptych::testing::temporary_directory() + "/sum.mlpackage";
};

TEST_F(References, PassWhereOutputsAreTheirs) {
  const auto result =
      check({{"x", floats({1, 2})}, {"y", floats({3, 4})}, {"sum", floats({4, 6})}});
  ASSERT_OK(result);
  EXPECT_EQ(result->outcome, Outcome::Passed);
}

TEST_F(References, NameTheOutputThatDiffersAndWhere) {
  const auto result =
      check({{"x", floats({1, 2})}, {"y", floats({3, 4})}, {"sum", floats({4, 9})}});
  ASSERT_OK(result);
  ASSERT_EQ(result->outcome, Outcome::Failed);
  ASSERT_EQ(result->findings.size(), 1U);
  EXPECT_EQ(result->findings[0].place, "output sum");
  EXPECT_THAT(result->findings[0].what, HasSubstr("most at element 1: 6 for 9"));
}

TEST_F(References, NameWhatIsMissingOrSurplus) {
  const auto finding = [&](const std::map<std::string, numpy::Array>& arrays) {
    const auto result = check(arrays);
    if (!result) return result.error().to_string();
    return result->outcome == Outcome::Failed ? result->findings.at(0).what : "nothing";
  };
  EXPECT_THAT(finding({{"x", floats({1, 2})}}), HasSubstr("no expected output"));
  EXPECT_THAT(finding({{"x", floats({1, 2})}, {"z", floats({1})}, {"sum", floats({2, 3})}}),
              HasSubstr("z"));
  EXPECT_THAT(finding({{"y", floats({1, 2})}, {"sum", floats({2, 3})}}), HasSubstr("x"));
}

}  // namespace
}  // namespace diptych::verify
