// One model in Meta's, Hugging Face's and GGUF's form is one program; and what a dry run says of
// it comes true.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/safetensors_writer.h"
#include "exporter/forecast.h"
#include "testing/shared_data.h"
#include "tools/synth.h"

namespace diptych::exporter {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using tools::SynthForm;

constexpr std::string_view kForms[] = {"meta", "hf", "gguf"};

// The directory of a small model, written by synth.
Result<std::string> model_in_form(std::string_view family, std::string_view shape, size_t form,
                                  DType dtype = DType::BF16, int64_t shards = 1) {
  tools::SynthOptions options;
  options.shape = shape;
  options.family = family;
  options.form = static_cast<SynthForm>(form);
  options.dtype = dtype;
  options.shards = shards;
  options.seed = 3;
  options.force = true;  // of an earlier test
  options.directory =
      fmt::format("{}/{}_{}_{}", testing::temporary_directory(), family, kForms[form], shards);
  ThreadPool pool(1);
  Progress silent;
  TRY(tools::synth(options, pool, silent));
  return options.directory;
}

Options options_of(bool multifunction) {
  Options options;
  options.max_context_len = 64;
  options.input_len = 16;
  options.multifunction = multifunction;
  options.split = {32, 4};
  return options;
}

Result<std::string> bytes_of_export(const std::string& model, const Options& options) {
  const std::string path = model + "/exported.pte";
  Progress silent;
  TRY(export_files(model, "", path, options, silent));
  return read_text_file(path);
}

struct FormCase {
  std::string_view family, shape;
  size_t first_form = 0;  // 1: Meta's cannot say what the family computes
};
constexpr FormCase kFormCases[] = {
    {"llama", "dim=64,layers=2,heads=4,kv_heads=2,hidden=96,vocab=128,tied=0"},
    {"llama",
     "dim=64,layers=2,heads=4,kv_heads=2,hidden=96,vocab=128,rope_theta=500000,"
     "rope_scale_factor=8"},
    {"mistral", "dim=64,layers=2,heads=4,kv_heads=2,head_dim=32,hidden=96,vocab=128,tied=0"},
    {"qwen2", "dim=64,layers=2,heads=4,kv_heads=2,hidden=96,vocab=128"},
    {"qwen3", "dim=64,layers=2,heads=4,kv_heads=2,head_dim=32,hidden=96,vocab=128"},
    {"phi3", "dim=64,layers=2,heads=4,kv_heads=2,hidden=96,vocab=128,tied=0"},
    {"smollm3", "dim=64,layers=5,heads=4,kv_heads=2,hidden=96,vocab=128", 1},
    {"granite", "dim=64,layers=2,heads=4,kv_heads=2,hidden=96,vocab=128", 1},
    {"olmo2", "dim=64,layers=2,heads=4,kv_heads=2,hidden=96,vocab=128,tied=0", 1},
    {"gemma2", "dim=64,layers=3,heads=4,kv_heads=2,head_dim=32,hidden=96,vocab=128", 1},
    {"gemma3",
     "dim=64,layers=7,heads=4,kv_heads=2,head_dim=32,hidden=96,vocab=128,rope_theta=1000000", 1},
    {"mistral", "dim=64,layers=2,heads=4,kv_heads=2,hidden=96,vocab=128,tied=0,window=8"},
};

class Forms : public ::testing::TestWithParam<FormCase> {};

TEST_P(Forms, GiveTheSameProgram) {
  const auto& [family, shape, first_form] = GetParam();
  for (const bool multifunction : {false, true}) {
    std::string first;
    for (size_t form = first_form; form < 3; ++form) {
      const auto model = model_in_form(family, shape, form);
      ASSERT_OK(model);
      const auto program = bytes_of_export(*model, options_of(multifunction));
      ASSERT_OK(program);
      if (form == first_form) {
        first = *program;
        EXPECT_GT(first.size(), 10'000u);
      }
      EXPECT_TRUE(*program == first) << kForms[form];
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Forms, ::testing::ValuesIn(kFormCases));

TEST(Forms, ShardsGiveTheSameProgram) {
  const auto whole = model_in_form("qwen2", kFormCases[3].shape, 1);
  const auto shards = model_in_form("qwen2", kFormCases[3].shape, 1, DType::BF16, 3);
  ASSERT_OK(whole);
  ASSERT_OK(shards);
  EXPECT_TRUE(bytes_of_export(*whole, options_of(true)).value() ==
              bytes_of_export(*shards, options_of(true)).value());
}

// Whichever tensor it is, and whether quantised or not; no file is left.
TEST(Forms, ValuesThatAreNotFiniteAreRefused) {
  const auto model = model_in_form("qwen2", kFormCases[3].shape, 1);
  ASSERT_OK(model);
  const std::string file = *model + "/model.safetensors", path = *model + "/refused.pte";
  const auto good = checkpoint::open_file(file).value().tensors;
  const std::map<std::string, std::string> names = {
      {"model.embed_tokens.weight", "tok_embeddings.weight"},
      {"model.norm.weight", "norm.weight"},
      {"model.layers.1.input_layernorm.weight", "layers.1.attention_norm.weight"},
      {"model.layers.0.self_attn.k_proj.bias", "layers.0.attention.wk.bias"},
      {"model.layers.0.mlp.down_proj.weight", "layers.0.feed_forward.w2.weight"}};
  for (const auto& [name, shown] : names) {
    auto tensors = good;
    for (auto& [candidate, weight] : tensors) {
      if (candidate != name) continue;
      std::vector<double> values(weight->elements(), 1);
      values.back() = 1e5;
      weight = constant_floats(DType::BF16, weight->shape(), values);
    }
    MemorySink sink;
    Progress silent;
    ASSERT_OK(checkpoint::write_safetensors(sink, tensors, silent));
    const std::string other = *model + "/other";
    ASSERT_OK(make_directories(other));
    ASSERT_OK(write_file(other + "/model.safetensors", sink.data));
    ASSERT_OK(write_file(other + "/config.json",
                         as_bytes(read_text_file(*model + "/config.json").value())));
    for (const bool quantised : {true, false}) {
      Options options = options_of(false);
      if (!quantised) options.linear = options.embedding = std::nullopt;
      const auto report = export_files(other, "", path, options, silent);
      ASSERT_FALSE(report.has_value()) << name;
      EXPECT_THAT(report.error().to_string(), AllOf(HasSubstr(shown), HasSubstr("1 beyond fp16")));
      EXPECT_EQ(report.error().hint, Hint{Advice::WiderType});
      EXPECT_FALSE(std::filesystem::exists(path));
    }
    Options options = options_of(false);
    options.dtype = DType::F32;
    ASSERT_OK(export_files(other, "", path, options, silent));
    std::filesystem::remove(path);
  }
}

TEST(Forms, AVocabularyThatDoesNotDivideIsSplitLess) {
  const auto model = model_in_form("llama", "dim=64,layers=1,heads=4,hidden=96,vocab=129,tied=0", 1,
                                   DType::BF16, 2);
  ASSERT_OK(model);
  Progress silent;
  const auto report = export_files(*model, "", *model + "/uneven.pte", options_of(false), silent);
  ASSERT_OK(report);
  EXPECT_THAT(report->notes, ::testing::ElementsAre(
                                 "output.weight: 129 outputs do not divide into 4 equal pieces, as "
                                 "the split size 32 asks; split into 3"));
}

TEST(Forms, AConfigurationOfItsOwnLeavesNoRoomForParams) {
  const auto model = model_in_form("llama", kFormCases[0].shape, 1);
  ASSERT_OK(model);
  EXPECT_THAT(open_model(*model, testing::source_path("demo/params.json")).error().to_string(),
              HasSubstr("a params.json is for Meta's .pth files"));
  ASSERT_OK(open_model(testing::source_path("demo/model.pth"), ""));
}

TEST(Forms, MinusOneIsTheEmbeddingsVocabulary) {
  const auto directory = model_in_form("llama", kFormCases[0].shape, 0);
  ASSERT_OK(directory);
  Json params = parse_json(read_text_file(*directory + "/params.json").value()).value();
  params["vocab_size"] = -1;
  ASSERT_OK(write_file(*directory + "/params.json", as_bytes(dump_json(params))));
  const auto model = open_model(*directory, "");
  ASSERT_OK(model);
  EXPECT_EQ(model->params.vocab_size, 128);
}

TEST(Forecast, TheFileHasTheSizeForetold) {
  for (const bool multifunction : {false, true}) {
    for (const std::string_view linear : {"c4w", "b4w", "none"}) {
      for (const std::string_view embedding : {"8,0", "4,32", "none"}) {
        for (const DType dtype : {DType::F16, DType::F32}) {
          Options options = options_of(multifunction);
          options.linear = linear_from_text(linear).value();
          options.embedding = embedding_from_text(embedding).value();
          options.dtype = dtype;
          auto model = open_model(testing::source_path("demo/model.pth"), "");
          ASSERT_OK(model);
          const auto foretold = forecast(std::move(*model), options);
          ASSERT_OK(foretold);
          Progress silent;
          const std::string path = testing::temporary_directory() + "/forecast.pte";
          const auto report =
              export_files(testing::source_path("demo/model.pth"), "", path, options, silent);
          ASSERT_OK(report);
          EXPECT_EQ(foretold->report.file_bytes, read_text_file(path)->size());
          EXPECT_EQ(foretold->report.unique_bytes, report->unique_bytes);
          EXPECT_EQ(foretold->report.shared_bytes(), report->shared_bytes());
          EXPECT_EQ(foretold->report.cache_bytes, report->cache_bytes);
          EXPECT_GT(foretold->peak_memory_bytes, 1u << 20);
        }
      }
    }
  }
}

TEST(Forecast, CacheBytesAreKeysAndValuesOfAllLayers) {
  const auto directory = model_in_form("qwen3", kFormCases[4].shape, 1);
  ASSERT_OK(directory);
  const auto foretold = forecast(std::move(open_model(*directory, "").value()), options_of(true));
  ASSERT_OK(foretold);
  // 2 layers, K and V, 2 heads of 32 channels, 63 positions, fp16.
  EXPECT_EQ(foretold->report.cache_bytes, 2u * 2 * 2 * 32 * 63 * 2);
  for (const lint::Finding& finding : foretold->report.findings) {
    EXPECT_NE(finding.rule->harm, lint::Harm::Refused) << finding.rule->id;
  }
}

TEST(Forecast, WarnsOfWhatTheNeuralEngineWillNotTake) {
  // Headers alone: no tensor of this size exists.
  Model model;
  model.params.dim = 20'480;
  model.params.n_heads = model.params.n_kv_heads = 160;
  model.params.head_dim = 128;
  model.params.hidden_dim = 32'768;
  model.params.vocab_size = 256'000;
  std::vector<std::pair<std::string, WeightRef>> tensors;
  for (const auto& tensor : llama::expected_tensors(model.params)) {
    tensors.emplace_back(tensor.names.front(), zeros({DType::BF16, tensor.shape}));
  }
  model.weights = llama::collect(model.params, tensors).value();
  Options options;
  options.dtype = DType::F32;
  const auto foretold = forecast(std::move(model), options);
  ASSERT_OK(foretold);
  std::set<std::string_view> rules;
  for (const lint::Finding& finding : foretold->report.findings) rules.insert(finding.rule->id);
  for (const std::string_view rule : {"fp32", "dimension", "package-size", "bundle-size"}) {
    EXPECT_EQ(rules.count(rule), 1u) << rule;
  }
  EXPECT_GT(foretold->report.file_bytes, uint64_t{8} << 30);
}

}  // namespace
}  // namespace diptych::exporter
