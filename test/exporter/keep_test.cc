// Exports that keep the quantisation of a GGUF's tensors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/file.h"
#include "base/half.h"
#include "checkpoint/gguf_quants.h"
#include "exporter/export.h"
#include "exporter/source.h"
#include "generate/session.h"
#include "llama/inventory.h"
#include "testing/relative_distance.h"
#include "testing/shared_data.h"
#include "tools/synth.h"

namespace diptych::exporter {
namespace {

using ::diptych::testing::relative_distance;
using engine::Numerics;
using ::testing::HasSubstr;

// A matrix of random codes of a GGUF type, about as large as weights are.
WeightRef quantised(std::string_view name, const Shape& shape, uint32_t seed) {
  const auto& type =
      *std::find_if(checkpoint::kGgufTypes.begin(), checkpoint::kGgufTypes.end(),
                    [&](const checkpoint::GgufType& known) { return known.name == name; });
  const size_t blocks = static_cast<size_t>(shape[0] * shape[1]) / type.block;
  auto bytes = std::make_shared<std::vector<std::byte>>(blocks * type.bytes);
  std::mt19937 random(seed);
  for (std::byte& b : *bytes) b = std::byte(random() & 255);
  const bool has_minimum = name == "Q4_1" || name == "Q5_1" || name == "Q4_K" || name == "Q5_K";
  const bool small_scales = type.block == 256;  // which are multiplied with integers
  const float range = name[1] == '4' ? 8 : name[1] == '5' ? 16 : name[1] == '6' ? 32 : 128;
  const float scale = 0.1f / range / (name == "Q6_K" ? 64 : small_scales ? 32 : 1);
  for (size_t i = 0; i < blocks; ++i) {
    std::byte* block = bytes->data() + i * type.bytes;
    const float some = scale * (1 + static_cast<float>(random() % 64) / 64);
    store(block + (name == "Q6_K" ? 208 : 0), float_to_half(some));
    if (has_minimum) {
      store(block + 2, float_to_half(small_scales ? some * range : -some * range));
    }
  }
  return checkpoint::gguf_weight(type, shape, *bytes, bytes).value();
}

// A small model whose matrices are of a GGUF type; those of feed-forwards are of `second`, if that
// is not empty.
Result<Model> model_of(std::string_view type, std::string_view second = "") {
  tools::SynthOptions options;
  options.shape = "dim=256,layers=2,heads=4,kv_heads=2,hidden=256,vocab=128";
  options.form = tools::SynthForm::Gguf;
  options.seed = 3;
  options.force = true;
  options.directory = testing::temporary_directory() + "/keep";
  ThreadPool pool(1);
  Progress silent;
  TRY(tools::synth(options, pool, silent));
  Model model = TRY(open_model(options.directory + "/model.gguf", ""));
  uint32_t seed = 1;
  for (const auto& [row, layer] : llama::all_tensors(model.weights.layers.size())) {
    WeightRef& weight = row->in(model.weights, layer);
    if (!weight || weight->type().rank() != 2 || type.empty()) continue;
    const bool feed_forward =
        row->name(llama::Dialect::Meta, layer).find("feed_forward") != std::string::npos;
    weight = quantised(feed_forward && !second.empty() ? second : type, weight->shape(), seed++);
  }
  model.weights.output = model.weights.tok_embeddings;
  return model;
}

Options options_to_keep(std::string_view format, DType dtype) {
  Options options;
  options.max_context_len = 64;
  options.input_len = 16;
  options.split = {64, 4};
  options.dtype = dtype;
  options.linear = linear_from_text(format).value();
  options.embedding = embedding_from_text(format).value();
  return options;
}

struct KeptExport {
  std::vector<TensorError> errors;
  HeadSharing head;
  std::vector<float> logits;
};

Result<KeptExport> export_kept_and_run(const Model& model, const Options& options,
                                       Numerics numerics) {
  const std::string path = testing::temporary_directory() + "/keep.pte";
  Progress silent;
  const Export planned = TRY(plan(model.params, model.weights, options, silent));
  MemorySink sink;
  TRY(planned.file->write_to(sink));
  TRY(write_file(path, sink.data));
  runtime::Options run;
  run.numerics = numerics;
  const auto session = TRY(generate::Session::create(TRY(runtime::Program::open(path, run))));
  const std::vector<int64_t> tokens = {1, 90, 42, 7, 99};
  const auto logits = TRY(session->evaluate(tokens));
  return KeptExport{planned.errors(), planned.report.head, {logits.begin(), logits.end()}};
}

constexpr std::string_view kTypes[] = {"Q4_0", "Q8_0", "Q5_0", "Q6_K",
                                       "Q4_1", "Q5_1", "Q4_K", "Q5_K"};

// Scales alone are exact in fp32, and where the type has them in fp16 also there.
TEST(Keep, LogitsAreThoseOfTheNumbersInTheFile) {
  for (size_t t = 0; t < std::size(kTypes); ++t) {
    SCOPED_TRACE(kTypes[t]);
    const auto model = model_of(kTypes[t]);
    ASSERT_OK(model);
    const auto compare = [&](DType dtype, Numerics numerics) {
      const auto kept = export_kept_and_run(*model, options_to_keep("keep", dtype), numerics);
      const auto whole = export_kept_and_run(*model, options_to_keep("none", dtype), numerics);
      if (!kept || !whole) {
        ADD_FAILURE() << (kept ? whole : kept).error().to_string();
        return std::pair(1.0, false);
      }
      EXPECT_EQ(kept->errors.size(), 2u * 7 + 2);
      for (const TensorError& error : kept->errors) {
        EXPECT_LT(error.relative, 1e-3) << error.tensor;
        EXPECT_EQ(error.how.format.kind, quant::Kind::Kept);
      }
      return std::pair(relative_distance(kept->logits, whole->logits),
                       kept->logits == whole->logits);
    };
    if (t < 4) {
      EXPECT_TRUE(compare(DType::F32, Numerics::Precise).second);
    }
    if (t < 3) {
      EXPECT_TRUE(compare(DType::F16, Numerics::Typed).second);
    }
    EXPECT_LT(compare(DType::F16, Numerics::Precise).first, 5e-3);
    // Activations are rounded to 8 bits.
    EXPECT_LT(compare(DType::F16, Numerics::Fast).first, 0.15);
  }
}

TEST(Keep, FormatsFollowFromTheTensors) {
  const auto model = model_of("Q6_K", "Q4_1");
  ASSERT_OK(model);
  Options options = options_to_keep("keep", DType::F16);
  options.quantization.overrides.push_back(override_from_text("layers.1.*=none").value());
  options.quantization.overrides.push_back(override_from_text("*.wo.weight=c8w").value());
  const auto exported = export_kept_and_run(*model, options, Numerics::Precise);
  ASSERT_OK(exported);
  for (const TensorError& error : exported->errors) {
    const bool feed_forward = error.tensor.find("feed_forward") != std::string::npos;
    const bool own = error.tensor.find("wo") != std::string::npos;
    EXPECT_EQ(error.how.format, own            ? quant::kC8w
                                : feed_forward ? (quant::Format{4, 32, quant::Kind::Kept})
                                               : (quant::Format{8, 16, quant::Kind::Kept}))
        << error.tensor;
  }
  options.graph_breaks = false;
  const auto one = export_kept_and_run(*model, options, Numerics::Precise);
  ASSERT_OK(one);
  EXPECT_TRUE(one->head.shared) << one->head.reason;
  EXPECT_FALSE(exported->head.shared);
}

TEST(Keep, WhatIsNotQuantisedIsRefused) {
  const auto model = model_of("");
  ASSERT_OK(model);
  Progress silent;
  for (const bool linears : {true, false}) {
    Options options = options_to_keep("none", DType::F16);
    (linears ? options.linear : options.embedding) = quant::kKeep;
    const auto planned = plan(model->params, model->weights, options, silent);
    ASSERT_FALSE(planned.has_value());
    EXPECT_THAT(planned.error().message, HasSubstr("choose c4w"));
  }
}

}  // namespace
}  // namespace diptych::exporter
