// Fusions on whole programs: after every one, the engine computes what it computed before; and
// nothing of what Llamas are made of is left unfused.
#include "engine/fuse/fuse.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <random>

#include "base/file.h"
#include "base/half.h"
#include "coreml/delegate.h"
#include "engine/executable.h"
#include "exporter/export.h"
#include "mil/verify.h"
#include "pte/reader.h"
#include "testing/shared_data.h"
#include "tools/synth.h"

namespace diptych {
namespace {

using Outputs = std::vector<std::vector<float>>;

// Values for all inputs: small whole numbers, caches and activations near 1, and a mask that hides
// some columns and, causally, those to come.
std::vector<std::byte> input_for(const mil::Value& input, std::mt19937& random) {
  const auto count = static_cast<size_t>(*element_count(input.type.shape));
  std::vector<std::byte> bytes(*packed_size(input.type));
  const bool mask = input.name.find("mask") != std::string::npos;
  const int64_t columns = input.type.shape.back();
  std::normal_distribution<float> normal;
  for (size_t i = 0; i < count; ++i) {
    float value = normal(random);
    if (mask) value = static_cast<int64_t>(i) % columns < columns / 3 ? 0 : -INFINITY;
    switch (input.type.dtype) {
      case DType::F16:
        store(&bytes[2 * i], float_to_half(value));
        break;
      case DType::F32:
        store(&bytes[4 * i], value);
        break;
      default:
        store(&bytes[4 * i], static_cast<int32_t>(count > 1 ? random() % 64 : 0));
    }
  }
  return bytes;
}

Outputs run(const mil::Function& function, engine::Numerics numerics) {
  engine::ExecutableOptions options;
  options.fuse = false;
  options.numerics = numerics;
  const auto executable = engine::Executable::compile(function, options);
  EXPECT_TRUE(executable.has_value()) << executable.error().to_string();
  if (!executable) return {};
  const auto execution = engine::Execution::create(*executable);
  std::mt19937 random(1);
  std::vector<std::vector<std::byte>> inputs, outputs;
  for (size_t i = 0; i < function.inputs.size(); ++i) {
    inputs.push_back(input_for(*function.inputs[i], random));
    EXPECT_TRUE((*execution)->bind_input(i, inputs.back().data(), function.inputs[i]->type));
  }
  for (size_t i = 0; i < function.outputs.size(); ++i) {
    const TensorType& type = function.outputs[i]->type;
    outputs.emplace_back(*packed_size(type));
    EXPECT_TRUE((*execution)->bind_output(i, outputs.back().data(), type));
  }
  ThreadPool pool(2);
  const Status status = (*execution)->run(pool);
  EXPECT_TRUE(status.has_value()) << status.error().to_string();
  Outputs result;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const TensorType& type = function.outputs[i]->type;
    result.push_back(*read_floats(**memory_weight(type, std::move(outputs[i]))));
  }
  return result;
}

// The largest difference, relative where values are beyond 1.
float difference(const Outputs& a, const Outputs& b) {
  float worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = 0; j < a[i].size(); ++j) {
      const float d = std::abs(a[i][j] - b[i][j]) / std::max(1.0f, std::abs(a[i][j]));
      worst = std::isnan(d) ? INFINITY : std::max(worst, d);
    }
  }
  return worst;
}

// Every function of every delegate of a file.
std::vector<coreml::DelegateModel> delegates(const std::string& path) {
  const auto file = *MappedFile::open(path);
  const auto program = pte::read(file->bytes());
  EXPECT_TRUE(program.has_value());
  std::vector<coreml::DelegateModel> models;
  std::vector<const std::byte*> seen;
  for (const pte::Method& method : program->methods) {
    for (const auto& delegate : method.delegates) {
      Bytes blob = delegate.processed.bytes();
      if (coreml::is_reference(blob)) {
        const auto reference = coreml::parse_reference(blob);
        blob = pte::find_named_data(*program, reference->key)->bytes();
      }
      if (std::find(seen.begin(), seen.end(), blob.data()) != seen.end()) continue;
      seen.push_back(blob.data());
      auto model = coreml::read_delegate(blob, file);
      EXPECT_TRUE(model.has_value()) << model.error().to_string();
      if (model) models.push_back(std::move(*model));
    }
  }
  return models;
}

int64_t count(const mil::Function& function, std::string_view type) {
  int64_t found = 0;
  for (const auto& op : function.ops) found += op->type == type;
  return found;
}

int64_t residuals(const mil::Function& function) {
  int64_t found = 0;
  for (const auto& op : function.ops) found += op->operand("residual") != nullptr;
  return found;
}

// What a function of these operations has of others, by the operations of which there is one for
// each in a Llama.
struct Expected {
  int64_t unrotated_layers = 0;  // no RoPE there
  bool residuals = true;         // linears add what they are added to
};

void check(const mil::Function& original, const Expected& expected = {}) {
  using Fusion = std::pair<const char*, Status (*)(mil::Function&)>;
  const Fusion fusions[] = {
      {"linears", engine::fuse_linears}, {"norms", engine::fuse_norms},
      {"ropes", engine::fuse_ropes},     {"attention", engine::fuse_attention},
      {"gated", engine::fuse_gated},     {"residuals", engine::fuse_residuals}};
  // fp16 results may round to neighbours.
  const float tolerance = original.outputs[0]->type.dtype == DType::F16 ? 2e-3f : 2e-5f;
  const Outputs wanted = run(original, engine::Numerics::Precise);
  const auto function = mil::clone(original);
  for (const auto& [name, fuse] : fusions) {
    SCOPED_TRACE(fmt::format("{} after {}", original.name, name));
    ASSERT_OK(fuse(*function));
    function->remove_dead();
    ASSERT_OK(mil::verify(*function));
    EXPECT_LE(difference(wanted, run(*function, engine::Numerics::Precise)), tolerance);
  }
  for (const char* type :
       {"linear", "softmax", "matmul", "rsqrt", "sqrt", "stack", "silu", "gelu"}) {
    EXPECT_EQ(count(*function, type), 0) << type << " in " << original.name;
  }
  EXPECT_EQ(count(*function, "cpu.attention"), count(original, "softmax"));
  EXPECT_EQ(count(*function, "cpu.rope"),
            2 * (count(original, "softmax") - expected.unrotated_layers));
  EXPECT_EQ(count(*function, "cpu.swiglu"), count(original, "silu"));
  EXPECT_EQ(count(*function, "cpu.geglu"), count(original, "gelu"));
  EXPECT_GE(residuals(*function), expected.residuals ? 2 * count(original, "softmax") : 0);
  EXPECT_EQ(count(*function, "cpu.rms_norm"), count(original, "rsqrt") + count(original, "sqrt"));
}

void check_file(const std::string& path, Expected expected = {}) {
  for (const coreml::DelegateModel& delegate : delegates(path)) {
    for (const auto& function : delegate.model.program.functions) {
      SCOPED_TRACE(function->name);
      Expected here = expected;
      if (count(*function, "softmax") == 0) here.unrotated_layers = 0;
      check(*function, here);
    }
  }
}

class FusedUpstream : public ::testing::TestWithParam<const char*> {};

TEST_P(FusedUpstream, ComputesTheSameAfterEveryFusion) {
  const std::string relative = fmt::format("golden/pte/{}.pte", GetParam());
  DIPTYCH_SKIP_WITHOUT_SHARED(relative);
  check_file(testing::shared_data(relative));
}

INSTANTIATE_TEST_SUITE_P(Files, FusedUpstream,
                         ::testing::Values("st_multi_fp16_c4w_e80", "st_single_fp16_c4w_e80",
                                           "st_multi_fp16_c4w_e80_split32m4",
                                           "st_multi_fp16_c4w_e80_nobreaks", "st_multi_fp32_none",
                                           "gqau_multi_fp16_b4w_e432", "gqau_single_fp16_c4w_e80",
                                           "wide_multi_fp16_c4w_e80", "qkn_multi_fp32_c4w_e80",
                                           "bias_multi_fp16_c4w_e80_nosplit"),
                         [](const auto& model) { return std::string(model.param); });

TEST(Fused, ComputesTheSameAfterEveryFusionOfTheDemo) {
  for (const bool multifunction : {false, true}) {
    exporter::Options options;
    options.max_context_len = 64;
    options.input_len = 16;
    options.multifunction = multifunction;
    const std::string path =
        fmt::format("{}/fused_{}.pte", testing::temporary_directory(), multifunction);
    Progress silent;
    ASSERT_OK(exporter::export_files(testing::source_path("demo/model.pth"),
                                     testing::source_path("demo/params.json"), path, options,
                                     silent));
    check_file(path);
  }
}

struct FamilyCase {
  const char *family, *shape;
  Expected expected;
};

class FusedFamily : public ::testing::TestWithParam<FamilyCase> {};

TEST_P(FusedFamily, ComputesTheSameAfterEveryFusion) {
  tools::SynthOptions synth;
  synth.family = GetParam().family;
  synth.shape = fmt::format("dim=64,heads=4,kv_heads=2,hidden=96,vocab=128,{}", GetParam().shape);
  synth.form = tools::SynthForm::HuggingFace;
  synth.dtype = DType::F32;
  synth.force = true;
  synth.directory = fmt::format("{}/fused_{}", testing::temporary_directory(), synth.family);
  ThreadPool pool(1);
  Progress silent;
  ASSERT_OK(tools::synth(synth, pool, silent));
  for (const llama::NormForm norm : {llama::NormForm::Plain, llama::NormForm::Safe}) {
    exporter::Options options;
    options.max_context_len = 64;
    options.input_len = 16;
    options.dtype = DType::F32;
    options.norm = norm;
    const std::string path = synth.directory + "/fused.pte";
    ASSERT_OK(exporter::export_files(synth.directory, "", path, options, silent));
    check_file(path, GetParam().expected);
  }
}

constexpr Expected kNoResiduals{.residuals = false};
INSTANTIATE_TEST_SUITE_P(
    Files, FusedFamily,
    ::testing::Values(FamilyCase{"smollm3", "layers=4", {.unrotated_layers = 1}},
                      FamilyCase{"granite", "layers=2", kNoResiduals},
                      FamilyCase{"olmo2", "layers=2", kNoResiduals},
                      FamilyCase{"gemma2", "layers=2,head_dim=32", kNoResiduals},
                      FamilyCase{"gemma3", "layers=6,head_dim=32,rope_theta=1000000",
                                 kNoResiduals}),
    [](const auto& test) { return std::string(test.param.family); });

}  // namespace
}  // namespace diptych
