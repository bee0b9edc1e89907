// What the runtime says about files it cannot run.

#include <gtest/gtest.h>

#include "base/file.h"
#include "generate/session.h"
#include "runtime/convert.h"
#include "runtime/method.h"
#include "runtime/program.h"
#include "testing/shared_data.h"

namespace diptych::runtime {
namespace {

TEST(Refusal, OtherBackendsAndKernels) {
  DIPTYCH_SKIP_WITHOUT_SHARED("pte/add.pte");
  for (const char* name :
       {"add.pte", "ModuleLinear-no-constant-segment.pte", "stories260k_hybrid_llama_qnn.pte"}) {
    auto program = Program::open(testing::shared_data(std::string("pte/") + name), {});
    ASSERT_OK(program);
    const auto methods = (*program)->method_names();
    ASSERT_FALSE(methods.empty());
    const auto method = (*program)->load_method(methods.front());
    ASSERT_FALSE(method);
    EXPECT_EQ(method.error().code, ErrorCode::Unsupported) << method.error().to_string();
    EXPECT_NE(method.error().to_string().find(name), std::string::npos);
    const auto model = generate::describe(**program);
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().message.rfind("expected delegates of CoreMLBackend", 0), 0u);
  }
}

TEST(Refusal, FilesThatAreNoPrograms) {
  const std::string path = testing::temporary_directory() + "/not.pte";
  for (const std::string_view contents :
       {"", "x", "this is not a program, but long enough to hold a header of one"}) {
    ASSERT_OK(write_file(path, as_bytes(contents)));
    const auto program = Program::open(path, {});
    ASSERT_FALSE(program);
    EXPECT_EQ(program.error().context.rfind(path, 0), 0u) << program.error().to_string();
  }
}

TEST(Convert, NarrowsIntegersWithACheck) {
  EXPECT_TRUE(can_pass({DType::Int64, {1}}, {DType::Int32, {1}}));
  EXPECT_TRUE(can_pass({DType::Int16, {}}, {DType::Int32, {1}}));
  EXPECT_FALSE(can_pass({DType::F16, {1}}, {DType::F32, {1}}));
  EXPECT_FALSE(can_pass({DType::Int64, {2}}, {DType::Int32, {1}}));
  const std::vector<int64_t> good = {-5, INT32_MAX}, bad = {0, int64_t{INT32_MAX} + 1};
  std::vector<std::byte> out(8);
  ASSERT_OK(convert(std::as_bytes(std::span(good)), DType::Int64, out, DType::Int32));
  EXPECT_EQ(load<int32_t>(&out[0]), -5);
  EXPECT_EQ(load<int32_t>(&out[4]), INT32_MAX);
  const auto status = convert(std::as_bytes(std::span(bad)), DType::Int64, out, DType::Int32);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("element 1 is 2147483648"), std::string::npos);
}

}  // namespace
}  // namespace diptych::runtime
