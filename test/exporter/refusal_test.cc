// Weights that no export can hold are refused when it is planned, whichever tensor has them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "exporter/export.h"
#include "exporter/source.h"
#include "testing/shared_data.h"

namespace diptych {
namespace {

using ::testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Which phases there were.
class Phases : public Progress {
 public:
  void begin(std::string_view phase, uint64_t) override { seen_.emplace_back(phase); }
  const std::vector<std::string>& seen() const { return seen_; }

 private:
  std::vector<std::string> seen_;
};

exporter::Model demo() {
  return exporter::open_model(testing::source_path("demo/model.pth"),
                              testing::source_path("demo/params.json"))
      .value();
}

exporter::Options options_of(DType dtype, bool quantized) {
  exporter::Options options;
  options.max_context_len = 32;
  options.input_len = 8;
  options.dtype = dtype;
  if (!quantized) {
    options.linear.reset();
    options.embedding.reset();
  }
  return options;
}

// The element in the middle of a tensor becomes `value`.
WeightRef with_value(const Weight& weight, DType dtype, double value) {
  const std::vector<float> floats = read_floats(weight).value();
  std::vector<double> values(floats.begin(), floats.end());
  values[values.size() / 2] = value;
  return constant_floats(dtype, weight.shape(), values);
}

std::string refusal(exporter::Model model, const exporter::Options& options, Progress& progress) {
  const auto planned = exporter::plan(model.params, std::move(model.weights), options, progress);
  return planned ? "" : planned.error().to_string();
}

TEST(Refusal, OfEachTensor) {
  for (const auto& [row, layer] : llama::all_tensors(2)) {
    exporter::Model model = demo();
    model.weights.layers.resize(2);
    model.params.n_layers = 2;
    WeightRef& weight = row->in(model.weights, layer);
    if (!weight || !row->is_in(model.params)) continue;
    const std::string name = row->name(llama::Dialect::Meta, layer);
    weight = with_value(*weight, DType::F32, kNan);
    for (const bool quantized : {false, true}) {
      Phases progress;
      EXPECT_THAT(refusal(model, options_of(DType::F16, quantized), progress),
                  HasSubstr(name + " fp32"));
    }
  }
}

TEST(Refusal, OfWhatTheTypeCannotHold) {
  struct Row {
    DType stored;
    double value;
    bool fp16, fp32;  // refused
  };
  for (const Row& row :
       {Row{DType::F16, kNan, true, true}, Row{DType::F16, -kInfinity, true, true},
        Row{DType::BF16, kInfinity, true, true}, Row{DType::BF16, 70000, true, false},
        Row{DType::F32, -1e6, true, false}, Row{DType::F32, 65504, false, false}}) {
    exporter::Model model = demo();
    model.weights.norm = with_value(*model.weights.norm, row.stored, row.value);
    Progress silent;
    const std::string half = refusal(model, options_of(DType::F16, true), silent);
    const std::string full = refusal(model, options_of(DType::F32, true), silent);
    EXPECT_EQ(!half.empty(), row.fp16) << half;
    EXPECT_EQ(!full.empty(), row.fp32) << full;
  }
}

TEST(Refusal, ComesBeforeTheCalibration) {
  exporter::Model model = demo();
  model.weights.layers.back().w2 = with_value(*model.weights.layers.back().w2, DType::F32, 1e5);
  exporter::Options options = options_of(DType::F16, true);
  options.quantization.algorithm = quant::Algorithm::Gptq;
  options.quantization.calibration = {std::vector<int64_t>(300, 7)};
  Phases progress;
  EXPECT_THAT(
      refusal(model, options, progress),
      HasSubstr("layers.5.feed_forward.w2.weight fp32[128,384]: 1 of 49152 values cannot be "
                "stored in fp16"));
  EXPECT_THAT(progress.seen(), ::testing::Not(::testing::Contains("calibrating")));
}

}  // namespace
}  // namespace diptych
