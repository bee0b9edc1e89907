// The forms of RMSNorm, and masks without infinities: the same tokens, and in fp16 the safe form is
// right where the plain one overflows.

#include <gtest/gtest.h>

#include <cmath>

#include "contract/signature.h"
#include "engine/executable.h"
#include "exporter/export.h"
#include "exporter/source.h"
#include "generate/session.h"
#include "llama/graph.h"
#include "llama/static_model.h"
#include "passes/cut_at_breaks.h"
#include "testing/relative_distance.h"
#include "testing/shared_data.h"

namespace diptych {
namespace {

using ::diptych::testing::relative_distance;
using llama::NormForm;

constexpr int64_t kWidth = 64;

// --- One norm ---

// A model whose head gives what its norm makes of the hidden state: the matrix is the identity.
Result<llama::PreparedWeights> bare_model(const llama::Params& params) {
  std::vector<double> identity(kWidth * kWidth, 0.0);
  for (size_t i = 0; i < kWidth; ++i) identity[i * kWidth + i] = 1;
  std::vector<std::pair<std::string, WeightRef>> tensors;
  for (const llama::ExpectedTensor& expected : llama::expected_tensors(params)) {
    const std::string& name = expected.names.front();
    WeightRef weight = zeros({DType::F32, expected.shape});
    if (name == "norm.weight") {
      weight = constant_floats(DType::F32, expected.shape, std::vector<double>(kWidth, 1.0));
    } else if (name == "output.weight") {
      weight = constant_floats(DType::F32, expected.shape, identity);
    }
    tensors.emplace_back(name, std::move(weight));
  }
  return llama::prepare(params, TRY(llama::collect(params, tensors)), DType::F16);
}

// The normed rows in `typed`, every result rounded to fp16.
std::vector<float> normed(NormForm form, double epsilon, std::vector<double> rows) {
  const auto count = static_cast<int64_t>(rows.size()) / kWidth;
  llama::Params params;
  params.dim = params.hidden_dim = params.vocab_size = kWidth;
  params.n_layers = 1;
  params.n_heads = params.n_kv_heads = 2;
  params.head_dim = kWidth / 2;
  params.norm_eps = epsilon;
  const auto weights = bare_model(params).value();
  const auto method = contract::method_of(contract::Role::Single, count);
  const auto function =
      llama::build(params, weights,
                   {llama::static_model(params, 1, DType::F16), method, true, form})
          .value();
  const auto cut =
      passes::cut_at_breaks(*function, {llama::leading_partition_inputs(), {}}).value();
  engine::ExecutableOptions options;
  options.numerics = engine::Numerics::Typed;
  const auto executable =
      engine::Executable::compile(*cut.partitions.back().function, options).value();
  const auto execution = engine::Execution::create(executable).value();
  const TensorType type{DType::F16, {1, count, kWidth}};
  const WeightRef x = constant_floats(DType::F16, type.shape, rows);
  const auto bytes = read_all(*packed_source(x)).value();
  std::vector<std::byte> out(bytes.size());
  EXPECT_TRUE(execution->bind_input(0, bytes.data(), type));
  EXPECT_TRUE(execution->bind_output(0, out.data(), type));
  ThreadPool pool(1);
  const Status status = execution->run(pool);
  EXPECT_TRUE(status.has_value()) << status.error().to_string();
  return read_floats(*memory_weight(type, std::move(out)).value()).value();
}

// What a row of fp16 comes to, in doubles.
std::vector<double> exact(double epsilon, const std::vector<double>& row) {
  const auto halves = read_floats(*constant_floats(DType::F16, {kWidth}, row)).value();
  double squares = 0;
  for (const float x : halves) squares += static_cast<double>(x) * x;
  std::vector<double> result;
  for (const float x : halves) result.push_back(x / std::sqrt(squares / kWidth + epsilon));
  return result;
}

std::vector<double> row_of(double scale, double outlier = 0) {
  std::vector<double> row(kWidth);
  for (size_t i = 0; i < kWidth; ++i) row[i] = scale * std::sin(1.0 + 2.7 * static_cast<double>(i));
  if (outlier != 0) row[5] = outlier;
  return row;
}

TEST(SafeNorm, IsRightForAnyRowOfHalves) {
  for (const double epsilon : {1e-5, 1e-6}) {
    for (const auto& row :
         {row_of(65000), row_of(1000), row_of(1), row_of(0.02), row_of(0.003), row_of(0.0002),
          row_of(1, 60000), row_of(0.05, 300), row_of(0.001, -1)}) {
      const std::vector<float> found = normed(NormForm::Safe, epsilon, row);
      const std::vector<double> expected = exact(epsilon, row);
      for (size_t i = 0; i < kWidth; ++i) {
        // Some roundings of half an ulp each, and what is below the smallest number.
        EXPECT_NEAR(found[i], expected[i], std::abs(expected[i]) * 4 * 0x1p-11 + 0x1p-20)
            << "epsilon " << epsilon << ", row from " << row[0] << ", element " << i;
      }
    }
  }
}

TEST(SafeNorm, OfZerosIsZero) {
  for (const double epsilon : {1e-5, 1e-12, 1e-30}) {
    const std::vector<double> zeros(kWidth, 0.0);
    for (const float x : normed(NormForm::Safe, epsilon, zeros)) EXPECT_EQ(x, 0);
  }
}

TEST(PlainNorm, OverflowsFromWhereSquaresDo) {
  EXPECT_EQ(normed(NormForm::Plain, 1e-5, row_of(1000))[1], 0);  // over the root of infinity
  EXPECT_NEAR(normed(NormForm::Plain, 1e-5, row_of(100))[1], exact(1e-5, row_of(100))[1], 2e-3);
}

// --- Whole models ---

const std::vector<int64_t> kPrompt = {1, 300, 41, 77, 500, 12, 9, 260, 33, 480, 99, 5};

// The demo model with a layer whose output is so large that the next norms see entries of
// thousands.
Result<std::string> planted(NormForm form) {
  constexpr size_t kLayer = 2;
  exporter::Model model = TRY(exporter::open_model(testing::source_path("demo/model.pth"),
                                                   testing::source_path("demo/params.json")));
  WeightRef& w2 = model.weights.layers[kLayer].w2;
  const std::vector<float> original = TRY(read_floats(*w2));
  std::vector<double> large(original.begin(), original.end());
  for (double& x : large) x *= 1500;
  w2 = constant_floats(DType::F32, w2->shape(), large);
  exporter::Options options;
  options.max_context_len = 64;
  options.input_len = 16;
  options.linear.reset();
  options.norm = form;
  Progress silent;
  const auto planned = TRY(exporter::plan(model.params, std::move(model.weights), options, silent));
  const std::string path = fmt::format("{}/planted_{}.pte", testing::temporary_directory(),
                                       form == NormForm::Safe ? "safe" : "plain");
  auto file = TRY(AtomicFile::create(path));
  TRY(planned.file->write_to(*file));
  TRY(file->commit());
  return path;
}

struct Run {
  std::vector<float> logits;
  engine::Overflows overflows;
};

Result<Run> run(const std::string& path, engine::Numerics numerics) {
  runtime::Options options;
  options.numerics = numerics;
  options.threads = 2;
  const auto session = TRY(generate::Session::create(TRY(runtime::Program::open(path, options))));
  const auto logits = TRY(session->evaluate(kPrompt));
  return Run{{logits.begin(), logits.end()}, session->overflows()};
}

TEST(PlantedModel, OverflowsInThePlainFormAndNotInTheSafeOne) {
  const auto plain = planted(NormForm::Plain), safe = planted(NormForm::Safe);
  ASSERT_OK(plain);
  ASSERT_OK(safe);
  const auto plain_typed = run(*plain, engine::Numerics::Typed);
  const auto plain_precise = run(*plain, engine::Numerics::Precise);
  const auto safe_typed = run(*safe, engine::Numerics::Typed);
  const auto safe_precise = run(*safe, engine::Numerics::Precise);
  ASSERT_OK(plain_typed);
  ASSERT_OK(plain_precise);
  ASSERT_OK(safe_typed);
  ASSERT_OK(safe_precise);

  EXPECT_GT(plain_typed->overflows.count, 0u);
  EXPECT_EQ(plain_typed->overflows.first_op, "mul 'layers_3_mul'");
  EXPECT_EQ(plain_typed->overflows.near_weight, "layers_3_attention_norm_weight");
  EXPECT_GT(relative_distance(plain_typed->logits, plain_precise->logits), 0.1);

  EXPECT_EQ(safe_typed->overflows.count, 0u) << safe_typed->overflows.first_op;
  // Fused, both forms are one operation; their epsilons are rounded differently.
  EXPECT_LT(relative_distance(safe_precise->logits, plain_precise->logits), 1e-4);
  EXPECT_LT(relative_distance(safe_typed->logits, safe_precise->logits), 5e-3);
}

TEST(FiniteMask, GivesTheBitsOfAnInfiniteOne) {
  std::vector<std::vector<float>> logits[2];
  for (const bool finite : {false, true}) {
    exporter::Options options;
    options.max_context_len = 64;
    options.input_len = 8;
    options.multifunction = true;
    options.finite_mask = finite;
    const std::string path =
        fmt::format("{}/mask_{}.pte", testing::temporary_directory(), finite ? "finite" : "inf");
    Progress silent;
    ASSERT_OK(exporter::export_files(testing::source_path("demo/model.pth"),
                                     testing::source_path("demo/params.json"), path, options,
                                     silent));
    for (const auto numerics :
         {engine::Numerics::Typed, engine::Numerics::Precise, engine::Numerics::Fast}) {
      auto found = run(path, numerics);
      ASSERT_OK(found);
      logits[finite ? 1 : 0].push_back(std::move(found->logits));
    }
  }
  EXPECT_EQ(logits[0], logits[1]);
}

TEST(FiniteMask, IsForHalvesOnly) {
  exporter::Options options;
  options.dtype = DType::F32;
  options.finite_mask = true;
  const Status status = exporter::check(options);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message,
            "finite masks are for fp16, found an export in fp32; fp32 takes infinite ones");
}

}  // namespace
}  // namespace diptych
