// Exported programs in the stock runtime, through its Module API.

#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <thread>

#include "base/file.h"
#include "base/half.h"
#include "exporter/export.h"
#include "runtime/method.h"
#include "runtime/program.h"
#include "testing/shared_data.h"

namespace diptych {
namespace {

using executorch::aten::ScalarType;
using executorch::extension::Module;
using executorch::extension::TensorPtr;
using executorch::runtime::EValue;
using Code = executorch::runtime::Error;
using Buffers = std::vector<std::vector<std::byte>>;

// The numerics of expected_outputs(), for the backend as well.
const int kNumericsAreSet = ::setenv("DIPTYCH_NUMERICS", "precise", 1);

// The demo model, exported once for each form.
std::string exported(bool multifunction, std::string_view quantize = "c4w", bool fp32 = false) {
  const std::string path = fmt::format("{}/demo_{}_{}_{}.pte", testing::temporary_directory(),
                                       multifunction, quantize, fp32);
  if (std::filesystem::exists(path)) return path;
  exporter::Options options;
  options.max_context_len = 64;
  options.input_len = 16;
  options.multifunction = multifunction;
  if (quantize == "none") options.linear.reset();
  if (fp32) options.dtype = DType::F32;
  Progress silent;
  const auto report =
      exporter::export_files(testing::source_path("demo/model.pth"),
                             testing::source_path("demo/params.json"), path, options, silent);
  EXPECT_TRUE(report.has_value()) << report.error().to_string();
  return path;
}

// Inputs of any method: small integers, 0 where there is but one (a position), floats in [-1, 1).
Buffers inputs_for(const std::vector<TensorType>& types, uint32_t seed) {
  std::mt19937 random(seed);
  Buffers inputs;
  for (const TensorType& type : types) {
    std::vector<std::byte> bytes(*packed_size(type));
    const auto count = static_cast<size_t>(*element_count(type.shape));
    for (size_t i = 0; i < count; ++i) {
      const auto draw = static_cast<int32_t>(count > 1 ? random() % 16 : 0);
      const float real = static_cast<float>(random() % 2048) / 1024.0f - 1.0f;
      switch (type.dtype) {
        case DType::Int64:
          store(&bytes[8 * i], int64_t{draw});
          break;
        case DType::Int32:
          store(&bytes[4 * i], draw);
          break;
        case DType::F16:
          store(&bytes[2 * i], float_to_half(real));
          break;
        case DType::F32:
          store(&bytes[4 * i], real);
          break;
        default:
          ADD_FAILURE() << "an input of type " << to_string(type);
      }
    }
    inputs.push_back(std::move(bytes));
  }
  return inputs;
}

ScalarType scalar_type(DType dtype) {
  switch (dtype) {
    case DType::Int64:
      return ScalarType::Long;
    case DType::Int32:
      return ScalarType::Int;
    case DType::F16:
      return ScalarType::Half;
    default:
      return ScalarType::Float;
  }
}

// What our runtime computes with the types that the file declares.
Buffers expected_outputs(const std::string& path, const std::string& name, uint32_t seed,
                         std::vector<TensorType>* types) {
  EXPECT_EQ(kNumericsAreSet, 0);
  const auto program =
      runtime::Program::open(path, {engine::Numerics::Precise, 1, /*wide_floats=*/false});
  auto method = (*program)->load_method(name);
  EXPECT_TRUE(method.has_value()) << method.error().to_string();
  *types = (*method)->inputs();
  const Buffers inputs = inputs_for(*types, seed);
  for (size_t i = 0; i < inputs.size(); ++i) {
    EXPECT_TRUE((*method)->bind_input(i, inputs[i]).has_value());
  }
  Buffers outputs;
  for (const TensorType& type : (*method)->outputs()) outputs.emplace_back(*packed_size(type));
  for (size_t i = 0; i < outputs.size(); ++i) {
    EXPECT_TRUE((*method)->bind_output(i, outputs[i]).has_value());
  }
  EXPECT_TRUE((*method)->execute().has_value());
  return outputs;
}

void expect_outputs(Module& module, const std::string& name, const std::vector<TensorType>& types,
                    uint32_t seed, const Buffers& expected) {
  Buffers inputs = inputs_for(types, seed);
  std::vector<EValue> values;
  std::vector<TensorPtr> tensors;
  for (size_t i = 0; i < types.size(); ++i) {
    std::vector<executorch::aten::SizesType> sizes(types[i].shape.begin(), types[i].shape.end());
    tensors.push_back(executorch::extension::make_tensor_ptr(std::move(sizes), inputs[i].data(),
                                                             scalar_type(types[i].dtype)));
    values.emplace_back(tensors.back());
  }
  // The program leaves the memory of outputs to the caller.
  const auto meta = module.method_meta(name);
  ASSERT_TRUE(meta.ok());
  for (size_t i = 0; i < meta->num_outputs(); ++i) {
    const auto output = meta->output_tensor_meta(i);
    std::vector<executorch::aten::SizesType> sizes(output->sizes().begin(), output->sizes().end());
    tensors.push_back(executorch::extension::zeros(std::move(sizes), output->scalar_type()));
    ASSERT_EQ(module.set_output(name, EValue(tensors.back()), i), Code::Ok);
  }
  const auto outputs = module.execute(name, values);
  ASSERT_TRUE(outputs.ok()) << static_cast<int>(outputs.error());
  ASSERT_EQ(outputs->size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const auto tensor = (*outputs)[i].toTensor();
    ASSERT_EQ(tensor.nbytes(), expected[i].size());
    EXPECT_EQ(std::memcmp(tensor.const_data_ptr(), expected[i].data(), expected[i].size()), 0)
        << name << " output " << i;
  }
}

TEST(StockModule, GivesOurRuntimesOutputsBitForBit) {
  for (const bool multifunction : {false, true}) {
    for (const bool fp32 : {false, true}) {
      const std::string path = exported(multifunction, "c4w", fp32);
      Module module(path, Module::LoadMode::Mmap);
      ASSERT_EQ(module.load(), Code::Ok);
      for (const std::string name : {"forward", "prefill"}) {
        if (name == "prefill" && !multifunction) continue;
        std::vector<TensorType> types;
        const Buffers expected = expected_outputs(path, name, 1, &types);
        ASSERT_EQ(module.load_method(name), Code::Ok);
        expect_outputs(module, name, types, 1, expected);
        expect_outputs(module, name, types, 1, expected);
      }
    }
  }
}

// Two programs with two methods each: every thread loads its own modules, two threads a file.
TEST(StockModule, RunsInFourThreads) {
  const std::string paths[] = {exported(true), exported(true, "none")};
  struct Case {
    std::string path, method;
    std::vector<TensorType> types;
    Buffers expected;
  };
  std::vector<Case> cases;
  for (const std::string& path : paths) {
    for (const std::string name : {"forward", "prefill"}) {
      Case added{path, name, {}, {}};
      added.expected = expected_outputs(path, name, 7, &added.types);
      cases.push_back(std::move(added));
    }
  }
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 2; ++round) {
        const Case& first = cases[t % 2 * 2];
        Module module(first.path, t < 2 ? Module::LoadMode::Mmap : Module::LoadMode::File);
        for (const Case& c : {first, cases[t % 2 * 2 + 1], first}) {
          expect_outputs(module, c.method, c.types, 7, c.expected);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// One program whose two methods are loaded and run by two threads each: they share the package.
TEST(StockModule, MethodsOfOneProgramRunInParallel) {
  const std::string path = exported(true);
  std::vector<TensorType> types[2];
  const std::string names[2] = {"forward", "prefill"};
  const Buffers expected[2] = {expected_outputs(path, names[0], 3, &types[0]),
                               expected_outputs(path, names[1], 3, &types[1])};
  Module owner(path, Module::LoadMode::Mmap);
  ASSERT_EQ(owner.load(), Code::Ok);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Module module(owner.program());
      expect_outputs(module, names[t % 2], types[t % 2], 3, expected[t % 2]);
      expect_outputs(module, names[t % 2], types[t % 2], 3, expected[t % 2]);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kCountsMemory = false;
#else
constexpr bool kCountsMemory = true;
#endif

size_t allocated() {
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// The loader copies what it reads, so a second copy of the weights would be seen on the heap.
TEST(StockModule, WeightsOfTwoMethodsAreInMemoryOnce) {
  if (!kCountsMemory) GTEST_SKIP() << "a sanitizer's heap is not malloc's";
  const std::string path = exported(true, "none", true);
  const size_t file_size = std::filesystem::file_size(path);
  Module module(path, Module::LoadMode::File);
  ASSERT_EQ(module.load(), Code::Ok);
  const size_t before = allocated();
  ASSERT_EQ(module.load_method("forward"), Code::Ok);
  const size_t with_one = allocated();
  ASSERT_EQ(module.load_method("prefill"), Code::Ok);
  const size_t with_two = allocated();
  fmt::print("file {} KiB, forward adds {} KiB, prefill {} KiB\n", file_size >> 10,
             (with_one - before) >> 10, (with_two - with_one) >> 10);
  EXPECT_GT(with_one - before, file_size * 9 / 10);
  EXPECT_LT(with_two - with_one, file_size / 4);
}

TEST(StockModule, RefusesADamagedProgram) {
  auto bytes = MappedFile::open(exported(true)).value();
  std::vector<std::byte> damaged(bytes->bytes().begin(), bytes->bytes().end());
  // The names in the package's index.
  const std::string_view name = "egakcaplm.ledom";  // reversed
  const auto same = [](std::byte a, char b) { return a == static_cast<std::byte>(b); };
  int found = 0;
  for (auto at = damaged.begin();; ++found) {
    at = std::search(at, damaged.end(), name.begin(), name.end(), same);
    if (at == damaged.end()) break;
    *at = std::byte{'{'};
  }
  ASSERT_GT(found, 0);
  const std::string path = testing::temporary_directory() + "/damaged.pte";
  ASSERT_OK(write_file(path, damaged));
  Module module(path, Module::LoadMode::Mmap);
  ASSERT_EQ(module.load(), Code::Ok);
  EXPECT_EQ(module.load_method("forward"), Code::InvalidProgram);
}

}  // namespace
}  // namespace diptych
