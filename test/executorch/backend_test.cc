// The backend called as ExecuTorch's Method calls it, with payloads and named data of our making.

#include <executorch/runtime/backend/interface.h>
#include <executorch/runtime/core/exec_aten/exec_aten.h>
#include <executorch/runtime/platform/runtime.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <stdexcept>

#include "coreml/delegate.h"
#include "mil/text.h"
#include "testing/shared_data.h"

namespace diptych {
namespace {

using executorch::aten::ScalarType;
using executorch::runtime::BackendExecutionContext;
using executorch::runtime::BackendInitContext;
using executorch::runtime::BackendInterface;
using executorch::runtime::BackendOption;
using executorch::runtime::BackendOptions;
using executorch::runtime::EValue;
using executorch::runtime::FreeableBuffer;
using executorch::runtime::Span;
using Code = executorch::runtime::Error;

BackendInterface& backend() {
  executorch::runtime::runtime_init();
  BackendInterface* found = executorch::runtime::get_backend_class("CoreMLBackend");
  if (found == nullptr) throw std::runtime_error("the plug-in did not register");
  return *found;
}

struct Blob {
  coreml::DelegateBlob delegate;
  std::vector<std::byte> bytes;
};

Blob blob_of(std::string_view text) {
  DigestCache cache;
  auto program = mil::parse(text);
  EXPECT_TRUE(program.has_value()) << program.error().to_string();
  auto delegate = coreml::write_delegate(*program, "lowered_module", cache);
  EXPECT_TRUE(delegate.has_value()) << delegate.error().to_string();
  auto bytes = read_all(*delegate->blob);
  return {*delegate, *bytes};
}

constexpr std::string_view kDouble = R"(
  func @forward(%x: fp32[4], %i: int32[2]) opset "CoreML8" {
    %y: fp32[4] = add(x=%x, y=%x)
    %j: int32[2] = add(x=%i, y=%i)
    return %y, %j
  })";

constexpr std::string_view kTwoFunctions = R"(
  func @forward(%x: fp32[4]) opset "CoreML8" {
    %w: fp32[4] = random(3)
    %y: fp32[4] = add(x=%x, y=%w)
    return %y
  }
  func @prefill(%x: fp32[4]) opset "CoreML8" {
    %w: fp32[4] = random(3)
    %y: fp32[4] = sub(x=%x, y=%w)
    return %y
  })";

// Named data that are copied for every request and counted.
class CopyingMap final : public executorch::runtime::NamedDataMap {
 public:
  std::map<std::string, std::vector<std::byte>, std::less<>> data;
  mutable int given = 0, freed = 0;

  executorch::runtime::Result<const executorch::runtime::TensorLayout> get_tensor_layout(
      std::string_view) const override {
    return Code::NotFound;
  }
  executorch::runtime::Result<FreeableBuffer> get_data(std::string_view key) const override {
    const auto found = data.find(key);
    if (found == data.end()) return Code::NotFound;
    ++given;
    auto* copy = new std::byte[found->second.size()];
    std::copy(found->second.begin(), found->second.end(), copy);
    const auto free = [](void* self, void* bytes, size_t size) {
      std::memset(bytes, 0xee, size);
      delete[] static_cast<std::byte*>(bytes);
      ++static_cast<const CopyingMap*>(self)->freed;
    };
    return FreeableBuffer(copy, found->second.size(), free, const_cast<CopyingMap*>(this));
  }
  Code load_data_into(std::string_view, void*, size_t) const override {
    return Code::NotImplemented;
  }
  executorch::runtime::Result<uint32_t> get_num_keys() const override {
    return static_cast<uint32_t>(data.size());
  }
  executorch::runtime::Result<const char*> get_key(uint32_t) const override {
    return Code::NotImplemented;
  }
};

executorch::runtime::Result<void*> init(Bytes payload, const char* method = "forward",
                                        const CopyingMap* map = nullptr,
                                        Span<const BackendOption> options = {}) {
  FreeableBuffer buffer(payload.data(), payload.size(), nullptr);
  BackendInitContext context(nullptr, nullptr, method, map, options);
  return backend().init(context, &buffer, {});
}

Bytes as_payload(std::string_view text) { return std::as_bytes(std::span(text)); }

// A tensor of rank 1 over `data`.
template <class T>
class Vector {
 public:
  Vector(ScalarType type, std::vector<T> values)
      : data(std::move(values)),
        size_(static_cast<executorch::aten::SizesType>(data.size())),
        impl_(type, 1, &size_, data.data(), &order_, &stride_) {}
  EValue value() { return EValue(executorch::aten::Tensor(&impl_)); }

  std::vector<T> data;

 private:
  executorch::aten::SizesType size_;
  executorch::aten::DimOrderType order_ = 0;
  executorch::aten::StridesType stride_ = 1;
  executorch::aten::TensorImpl impl_;
};

Code execute(void* handle, std::vector<EValue> values) {
  std::vector<EValue*> args;
  for (EValue& value : values) args.push_back(&value);
  BackendExecutionContext context;
  return backend().execute(context, handle, {args.data(), args.size()});
}

TEST(Backend, ComputesInTheCallersMemory) {
  const Blob blob = blob_of(kDouble);
  const auto handle = init(blob.bytes);
  ASSERT_TRUE(handle.ok());
  Vector<float> x(ScalarType::Float, {1, 2, 3, 4}), y(ScalarType::Float, {0, 0, 0, 0});
  Vector<int64_t> i(ScalarType::Long, {5, -6}), j(ScalarType::Long, {0, 0});
  EXPECT_EQ(execute(*handle, {x.value(), i.value(), y.value(), j.value()}), Code::Ok);
  EXPECT_THAT(y.data, ::testing::ElementsAre(2, 4, 6, 8));
  EXPECT_THAT(j.data, ::testing::ElementsAre(10, -12));
  backend().destroy(*handle);
}

TEST(Backend, TakesScalars) {
  const Blob blob = blob_of(R"(
    func @forward(%i: int32[1], %x: fp32[1]) opset "CoreML8" {
      %j: int32[1] = add(x=%i, y=%i)
      %y: fp32[1] = add(x=%x, y=%x)
      return %j, %y
    })");
  const auto handle = init(blob.bytes);
  ASSERT_TRUE(handle.ok());
  Vector<int32_t> j(ScalarType::Int, {0});
  Vector<double> y(ScalarType::Double, {0});
  EXPECT_EQ(execute(*handle, {EValue(int64_t{21}), EValue(0.25), j.value(), y.value()}), Code::Ok);
  EXPECT_EQ(j.data[0], 42);
  EXPECT_EQ(y.data[0], 0.5);
  backend().destroy(*handle);
}

TEST(Backend, RefusesWrongArguments) {
  const Blob blob = blob_of(kDouble);
  const auto handle = init(blob.bytes);
  ASSERT_TRUE(handle.ok());
  Vector<float> x(ScalarType::Float, {1, 2, 3, 4}), y(ScalarType::Float, {0, 0, 0, 0});
  Vector<float> three(ScalarType::Float, {1, 2, 3});
  Vector<int32_t> i(ScalarType::Int, {5, 6}), j(ScalarType::Int, {0, 0});
  Vector<int64_t> wide(ScalarType::Long, {int64_t{1} << 40, 0});
  const auto run = [&](std::vector<EValue> values) { return execute(*handle, std::move(values)); };
  EXPECT_EQ(run({x.value(), i.value(), y.value()}), Code::InvalidArgument);
  EXPECT_EQ(run({three.value(), i.value(), y.value(), j.value()}), Code::InvalidArgument);
  EXPECT_EQ(run({i.value(), i.value(), y.value(), j.value()}), Code::InvalidArgument);
  EXPECT_EQ(run({x.value(), i.value(), three.value(), j.value()}), Code::InvalidArgument);
  EXPECT_EQ(run({x.value(), wide.value(), y.value(), j.value()}), Code::InvalidArgument);
  EXPECT_EQ(run({EValue(), i.value(), y.value(), j.value()}), Code::InvalidArgument);
  EXPECT_EQ(run({x.value(), i.value(), EValue(1.5), j.value()}), Code::InvalidArgument);
  EXPECT_EQ(execute(nullptr, {}), Code::DelegateInvalidHandle);
  EXPECT_EQ(run({x.value(), i.value(), y.value(), j.value()}), Code::Ok);
  backend().destroy(*handle);
}

TEST(Backend, MethodsShareNamedData) {
  const Blob blob = blob_of(kTwoFunctions);
  CopyingMap map;
  map.data[blob.delegate.key] = blob.bytes;
  const auto payload = [&](std::string_view function) {
    return coreml::format_reference({blob.delegate.key, std::string(function)});
  };
  const std::string forward_payload = payload("forward"), prefill_payload = payload("prefill");
  const auto forward = init(as_payload(forward_payload), "forward", &map);
  const auto prefill = init(as_payload(prefill_payload), "prefill", &map);
  ASSERT_TRUE(forward.ok());
  ASSERT_TRUE(prefill.ok());
  EXPECT_EQ(map.given, 1);
  EXPECT_EQ(map.freed, 0) << "the weights are used where they lie";

  Vector<float> x(ScalarType::Float, {1, 2, 3, 4});
  Vector<float> sum(ScalarType::Float, {0, 0, 0, 0}), difference(ScalarType::Float, {0, 0, 0, 0});
  EXPECT_EQ(execute(*forward, {x.value(), sum.value()}), Code::Ok);
  backend().destroy(*forward);
  EXPECT_EQ(map.freed, 0);
  EXPECT_EQ(execute(*prefill, {x.value(), difference.value()}), Code::Ok);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(sum.data[i] + difference.data[i], 2 * x.data[i], 1e-6);
    EXPECT_NE(sum.data[i], difference.data[i]);
  }
  backend().destroy(*prefill);
  EXPECT_EQ(map.freed, 1);

  // Nothing stays behind: the next program reads its own.
  const auto again = init(as_payload(forward_payload), "forward", &map);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(map.given, 2);
  backend().destroy(*again);
}

TEST(Backend, MapsErrorsToCodes) {
  CopyingMap map;
  map.data["rubbish"] = std::vector<std::byte>(100, std::byte{7});
  EXPECT_EQ(init({}).error(), Code::InvalidProgram);
  EXPECT_EQ(init(as_payload("garbage")).error(), Code::InvalidProgram);
  EXPECT_EQ(init(as_payload("CMJR{")).error(), Code::InvalidProgram);
  EXPECT_EQ(init(as_payload(R"(CMJR{"key":"rubbish"})"), "forward", &map).error(),
            Code::InvalidProgram);
  EXPECT_EQ(init(as_payload(R"(CMJR{"key":"absent"})"), "forward", &map).error(), Code::NotFound);
  EXPECT_EQ(init(as_payload(R"(CMJR{"key":"absent"})")).error(), Code::NotFound);
  Blob blob = blob_of(kDouble);
  for (const size_t length : {size_t{1}, blob.bytes.size() / 2, blob.bytes.size() - 64}) {
    EXPECT_EQ(init(Bytes(blob.bytes).first(length)).error(), Code::InvalidProgram) << length;
  }
}

TEST(Backend, ListsWhatItDoesNotSupport) {
  const Blob blob = blob_of(R"(
    func @forward(%x: fp32[4]) opset "CoreML8" {
      %y: fp32[4] = some_op(x=%x)
      %z: fp32[4] = other_op(x=%y)
      return %z
    })");
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(init(blob.bytes).error(), Code::NotSupported);
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, ::testing::HasSubstr("some_op"));
  EXPECT_THAT(log, ::testing::HasSubstr("other_op"));
}

TEST(Backend, OptionsAreSetAsAWhole) {
  BackendOptions<2> options;
  ASSERT_EQ(options.set_option("numerics", "typed"), Code::Ok);
  ASSERT_EQ(options.set_option("num_threads", 3), Code::Ok);
  EXPECT_EQ(executorch::runtime::set_option("CoreMLBackend", options.view()), Code::Ok);

  BackendOptions<2> found;
  ASSERT_EQ(found.set_option("numerics", ""), Code::Ok);
  ASSERT_EQ(found.set_option("num_threads", 0), Code::Ok);
  EXPECT_EQ(executorch::runtime::get_option("CoreMLBackend", found.view()), Code::Ok);
  EXPECT_STREQ(std::get<2>(found.view()[0].value).data(), "typed");
  EXPECT_EQ(std::get<int>(found.view()[1].value), 3);

  const auto refused = [](auto set) {
    BackendOptions<2> wrong;
    EXPECT_EQ(wrong.set_option("num_threads", 1), Code::Ok);
    set(wrong);
    return executorch::runtime::set_option("CoreMLBackend", wrong.view());
  };
  EXPECT_EQ(refused([](auto& o) { (void)o.set_option("numerics", "sloppy"); }),
            Code::InvalidArgument);
  EXPECT_EQ(refused([](auto& o) { (void)o.set_option("numerics", 1); }), Code::InvalidArgument);
  EXPECT_EQ(refused([](auto& o) { (void)o.set_option("num_threads", -1); }), Code::InvalidArgument);
  EXPECT_EQ(refused([](auto& o) { (void)o.set_option("colour", 1); }), Code::NotFound);
  EXPECT_EQ(refused([](auto& o) { (void)o.set_option("compute_unit", "cpu_only"); }), Code::Ok);
  EXPECT_EQ(executorch::runtime::get_option("CoreMLBackend", found.view()), Code::Ok);
  EXPECT_EQ(std::get<int>(found.view()[1].value), 1) << "set by the accepted one alone";

  ASSERT_EQ(options.set_option("numerics", "precise"), Code::Ok);
  ASSERT_EQ(options.set_option("num_threads", 0), Code::Ok);
  EXPECT_EQ(executorch::runtime::set_option("CoreMLBackend", options.view()), Code::Ok);
}

TEST(Backend, LoadOptionsComeFirst) {
  // 300 squared overflows fp16, unless floats stay fp32 between operations.
  const Blob blob = blob_of(R"(
    func @forward(%x: fp16[1]) opset "CoreML8" {
      %s: fp16[1] = mul(x=%x, y=%x)
      %r: fp16[1] = sqrt(x=%s)
      return %r
    })");
  Vector<uint16_t> x(ScalarType::Half, {0x5cb0}), y(ScalarType::Half, {0});
  for (const char* numerics : {"typed", "precise"}) {
    BackendOptions<1> options;
    BackendOption option;
    std::strcpy(option.key, "numerics");
    std::array<char, executorch::runtime::kMaxOptionValueLength> text{};
    std::strcpy(text.data(), numerics);
    option.value = text;
    const auto handle = init(blob.bytes, "forward", nullptr, {&option, 1});
    ASSERT_TRUE(handle.ok());
    EXPECT_EQ(execute(*handle, {x.value(), y.value()}), Code::Ok);
    EXPECT_EQ(y.data[0], numerics == std::string_view("typed") ? 0x7c00 : 0x5cb0) << numerics;
    backend().destroy(*handle);
  }
}

}  // namespace
}  // namespace diptych
