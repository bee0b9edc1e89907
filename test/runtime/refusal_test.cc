// What the runtime says about files it cannot run.

#include <gtest/gtest.h>

#include <cstring>
#include <limits>

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

// Converts elements of one type to another and back to a list.
template <class To, class From>
std::vector<To> converted(std::vector<From> from, DType from_type, DType to_type) {
  std::vector<std::byte> out(from.size() * sizeof(To));
  EXPECT_TRUE(can_pass({from_type, {1}}, {to_type, {1}}));
  EXPECT_TRUE(convert(std::as_bytes(std::span(from)), from_type, out, to_type).has_value());
  std::vector<To> to(from.size());
  std::memcpy(to.data(), out.data(), out.size());
  return to;
}

TEST(Convert, BetweenNumbersOfAllKinds) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  // A mask for an fp32 feature, an fp16 feature for an fp32 output, and back.
  EXPECT_EQ(converted<float>(std::vector<uint8_t>{0, 1, 7}, DType::Bool, DType::F32),
            (std::vector<float>{0, 1, 1}));
  EXPECT_EQ(converted<float>(std::vector<uint16_t>{0x3c00, 0xc100, 0x7c00}, DType::F16, DType::F32),
            (std::vector<float>{1, -2.5f, kInf}));
  EXPECT_EQ(converted<uint16_t>(std::vector<float>{1, 65519, 65520}, DType::F32, DType::F16),
            (std::vector<uint16_t>{0x3c00, 0x7bff, 0x7c00}));
  EXPECT_EQ(converted<uint8_t>(std::vector<float>{0, -0.5f, nan}, DType::F32, DType::Bool),
            (std::vector<uint8_t>{0, 1, 1}));
  EXPECT_EQ(converted<uint8_t>(std::vector<int32_t>{0, 2, -1}, DType::Int32, DType::Bool),
            (std::vector<uint8_t>{0, 1, 1}));
  // Truncated, and the nearest value where none fits.
  EXPECT_EQ(converted<int32_t>(std::vector<float>{1.9f, -1.9f, nan, kInf, -1e20f}, DType::F32,
                               DType::Int32),
            (std::vector<int32_t>{1, -1, 0, INT32_MAX, INT32_MIN}));
  EXPECT_EQ(converted<uint8_t>(std::vector<double>{-3, 255.9, 1e300}, DType::F64, DType::UInt8),
            (std::vector<uint8_t>{0, 255, 255}));
  EXPECT_EQ(converted<int64_t>(std::vector<float>{1e30f, -kInf, 7}, DType::F32, DType::Int64)[2],
            7);
  EXPECT_EQ(
      converted<double>(std::vector<int64_t>{(int64_t{1} << 53) - 1}, DType::Int64, DType::F64)[0],
      9007199254740991.0);
  EXPECT_FALSE(can_pass({DType::String, {1}}, {DType::F32, {1}}));
  EXPECT_FALSE(can_pass({DType::Int4, {1}}, {DType::F32, {1}}));
}

}  // namespace
}  // namespace diptych::runtime
