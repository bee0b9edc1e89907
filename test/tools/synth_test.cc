#include "tools/synth.h"

#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "base/json.h"
#include "testing/shared_data.h"

namespace diptych::tools {
namespace {

using ::testing::HasSubstr;

std::string error_of(std::string_view shape) {
  const auto result = synth_shape(shape);
  return result ? "no error" : result.error().to_string();
}

uint64_t parameters(std::string_view shape) {
  ThreadPool pool(1);
  const auto tensors = synth_tensors(*synth_shape(shape), DType::BF16, 0, pool).value();
  std::set<const Weight*> counted;
  uint64_t total = 0;
  for (const auto& tensor : tensors) {
    if (counted.insert(tensor.second.get()).second) total += tensor.second->elements();
  }
  return total;
}

TEST(Synth, NamedShapesHaveTheModelsSizes) {
  EXPECT_EQ(parameters("260k"), 260'032u);
  EXPECT_EQ(parameters("110m"), 109'529'856u);
  EXPECT_EQ(parameters("1b"), 1'235'814'400u);
  EXPECT_EQ(parameters("3b"), 3'212'749'824u);
  EXPECT_EQ(parameters("8b"), 8'030'261'248u);
}

TEST(Synth, FillsInDefaults) {
  const auto shape = synth_shape("dim=96,layers=2,heads=4");
  ASSERT_OK(shape);
  EXPECT_EQ(shape->kv_heads, 4);
  EXPECT_EQ(shape->head_dim, 24);
  EXPECT_EQ(shape->hidden, 256);
  EXPECT_EQ(shape->vocab, 512);
  EXPECT_TRUE(shape->tied);
}

TEST(Synth, RefusesImpossibleShapes) {
  EXPECT_THAT(error_of("2b"), HasSubstr("expected 260k, 110m"));
  EXPECT_THAT(error_of("dim=64,layers=2"), HasSubstr("heads are needed"));
  EXPECT_THAT(error_of("dim=64,layers=2,heads=4,depth=3"), HasSubstr("unknown member \"depth\""));
  EXPECT_THAT(error_of("dim=64,layers=0,heads=4"), HasSubstr("layers: expected a number from 1"));
  EXPECT_THAT(error_of("dim=6x,layers=1,heads=4"), HasSubstr("found \"6x\""));
  EXPECT_THAT(error_of("dim=99999999999999999999,layers=1,heads=4"), HasSubstr("dim: expected"));
  EXPECT_THAT(error_of("dim=64,layers=1,heads=4,kv_heads=3"),
              HasSubstr("not a multiple of kv_heads=3"));
  EXPECT_THAT(error_of("dim=65,layers=1,heads=4"), HasSubstr("give head_dim"));
  EXPECT_THAT(error_of("dim=64,layers=1,heads=4,head_dim=7"), HasSubstr("8 would do"));
  EXPECT_THAT(error_of("dim=64,layers=1,heads=4,tied=maybe"), HasSubstr("expected 0 or 1"));
  EXPECT_THAT(error_of("dim=64,layers=1,heads=4,rope_theta=-1"), HasSubstr("positive"));
}

TEST(Synth, ValuesAreRoughlyNormal) {
  ThreadPool pool;
  const auto tensors =
      synth_tensors(*synth_shape("dim=256,layers=1,heads=4"), DType::F32, 1, pool).value();
  for (const auto& [name, weight] : tensors) {
    const bool linear = weight->shape().size() == 2;
    const double mean = linear ? 0 : 1;
    const double deviation = linear ? 1 / std::sqrt(static_cast<double>(weight->shape()[1])) : 0.1;
    const auto values = read_floats(*weight).value();
    double sum = 0, squares = 0;
    for (const float value : values) {
      sum += value;
      squares += (value - mean) * (value - mean);
    }
    const auto n = static_cast<double>(values.size());
    // Five standard errors.
    EXPECT_NEAR(sum / n, mean, 5 * deviation / std::sqrt(n)) << name;
    EXPECT_NEAR(std::sqrt(squares / n), deviation, 5 * deviation / std::sqrt(2 * n)) << name;
  }
}

TEST(Synth, NoTwoTensorsAreAlike) {
  ThreadPool pool(1);
  std::set<std::vector<float>> seen;
  for (const uint64_t seed : {1, 2}) {
    const auto shape =
        synth_shape("dim=32,layers=3,heads=4,hidden=32,vocab=32,qk_norm=1,qkv_bias=1,tied=0");
    const auto tensors = synth_tensors(*shape, DType::F32, seed, pool).value();
    for (const auto& [name, weight] : tensors) {
      auto values = read_floats(*weight).value();
      values.resize(8);  // alike means: starts alike
      EXPECT_TRUE(seen.insert(values).second) << name;
    }
  }
}

TEST(Synth, WritesTheSameFileForAnyNumberOfThreads) {
  const std::string directory = diptych::testing::temporary_directory();
  Progress silent;
  ThreadPool one(1), three(3);
  SynthOptions options;
  options.shape = "dim=512,layers=1,heads=8,vocab=1000";
  options.seed = 7;
  options.force = true;
  for (const DType dtype : {DType::BF16, DType::F16, DType::F32}) {
    options.dtype = dtype;
    options.directory = directory + "/one";
    const auto first = synth(options, one, silent);
    ASSERT_OK(first);
    options.directory = directory + "/three";
    const auto second = synth(options, three, silent);
    ASSERT_OK(second);
    const auto a = MappedFile::open(first->checkpoint), b = MappedFile::open(second->checkpoint);
    ASSERT_OK(a);
    ASSERT_OK(b);
    EXPECT_TRUE(as_text((*a)->bytes()) == as_text((*b)->bytes()));
    const auto checkpoint = checkpoint::open(first->checkpoint);
    ASSERT_OK(checkpoint);
    EXPECT_EQ(checkpoint->find("output.weight"), checkpoint->find("tok_embeddings.weight"));
    EXPECT_EQ(checkpoint->find("norm.weight")->type(), (TensorType{dtype, {512}}));
    EXPECT_GT((*a)->bytes().size(), first->bytes);
    EXPECT_LT((*a)->bytes().size(), first->bytes + 10'000);
  }
}

// The file that seed 7 gives, so that it stays the same over time and machines.
TEST(Synth, IsReproducible) {
  ThreadPool pool(2);
  const auto tensors =
      synth_tensors(*synth_shape("dim=64,layers=1,heads=8"), DType::F16, 7, pool).value();
  Hasher hasher;
  for (const auto& tensor : tensors) hasher.add(read_all(*packed_source(tensor.second)).value());
  EXPECT_EQ(hasher.digest()[0], 17720925476082800230u);
}

TEST(Synth, WritesParams) {
  const std::string directory = diptych::testing::temporary_directory() + "/params/deep";
  Progress silent;
  ThreadPool pool(1);
  SynthOptions options;
  options.directory = directory;
  options.shape =
      "dim=64,layers=2,heads=4,kv_heads=2,head_dim=32,hidden=96,vocab=128,qk_norm=1,"
      "qk_norm_before_rope=1,qkv_bias=true,tied=false,rope_scale_factor=8,rope_theta=500000";
  const auto report = synth(options, pool, silent);
  ASSERT_OK(report);
  const auto params = parse_json(read_text_file(report->params).value());
  ASSERT_OK(params);
  const Json expected = {{"dim", 64},
                         {"n_layers", 2},
                         {"n_heads", 4},
                         {"n_kv_heads", 2},
                         {"vocab_size", 128},
                         {"hidden_dim", 96},
                         {"norm_eps", 1e-5},
                         {"rope_theta", 500000.0},
                         {"head_dim", 32},
                         {"use_scaled_rope", true},
                         {"rope_scale_factor", 8},
                         {"use_qk_norm", true},
                         {"qk_norm_before_rope", true},
                         {"attention_qkv_bias", true}};
  EXPECT_EQ(*params, expected);
  const auto checkpoint = checkpoint::open(report->checkpoint);
  ASSERT_OK(checkpoint);
  EXPECT_EQ(checkpoint->find("layers.1.attention.wq.weight")->shape(), (Shape{128, 64}));
  EXPECT_EQ(checkpoint->find("layers.1.attention.wo.weight")->shape(), (Shape{64, 128}));
  EXPECT_EQ(checkpoint->find("layers.0.attention.wks.0.bias")->shape(), (Shape{64}));
  EXPECT_EQ(checkpoint->find("layers.0.attention.q_norm.weight")->shape(), (Shape{32}));
  EXPECT_NE(checkpoint->find("output.weight"), checkpoint->find("tok_embeddings.weight"));
}

TEST(Synth, AFamilySetsWhatItNeedsAndRefusesWhatItCannotSay) {
  Progress silent;
  ThreadPool pool(1);
  SynthOptions options;
  options.directory = diptych::testing::temporary_directory() + "/family";
  const auto refusal = [&](const char* family, const char* shape, SynthForm form) {
    options.family = family;
    options.shape = shape;
    options.form = form;
    const auto report = synth(options, pool, silent);
    return report ? "written" : report.error().to_string();
  };
  constexpr const char* kSmall = "dim=32,layers=1,heads=2,hidden=32";
  EXPECT_EQ(refusal("qwen2", kSmall, SynthForm::Meta), "written");
  const auto checkpoint = checkpoint::open(options.directory);
  ASSERT_OK(checkpoint);
  EXPECT_NE(checkpoint->find("layers.0.attention.wqs.0.bias"), nullptr);
  EXPECT_EQ(checkpoint->config->at("attention_qkv_bias"), true);
  EXPECT_THAT(refusal("llama", "dim=32,layers=1,heads=2,qk_norm=1", SynthForm::Gguf),
              ::testing::HasSubstr("LlamaForCausalLM cannot say qk_norm"));
  EXPECT_THAT(refusal("phi3", "dim=32,layers=1,heads=2,head_dim=8", SynthForm::HuggingFace),
              ::testing::HasSubstr("head_dim that is not dim / heads"));
  EXPECT_THAT(refusal("qwen3", "dim=32,layers=1,heads=2,rope_scale_factor=8", SynthForm::Gguf),
              ::testing::HasSubstr("rope_scale_factor"));
  EXPECT_THAT(refusal("gpt2", kSmall, SynthForm::Meta),
              ::testing::HasSubstr("expected one of llama, mistral, qwen2, qwen3, phi3"));
  options.shards = 100;
  EXPECT_THAT(refusal("llama", kSmall, SynthForm::HuggingFace), ::testing::HasSubstr("shards"));
}

TEST(Synth, LeavesNothingBehindWhenItFails) {
  const std::string directory = diptych::testing::temporary_directory() + "/blocked";
  ASSERT_OK(make_directories(directory + "/model.pth"));
  Progress silent;
  ThreadPool pool(1);
  SynthOptions options;
  options.directory = directory;
  options.shape = "260k";
  options.force = true;
  const auto report = synth(options, pool, silent);
  ASSERT_FALSE(report.has_value());
  EXPECT_THAT(report.error().to_string(), HasSubstr("is a directory"));
  EXPECT_FALSE(std::filesystem::exists(directory + "/params.json"));
  options.dtype = DType::Int8;
  EXPECT_EQ(synth(options, pool, silent).error().code, ErrorCode::InvalidArgument);
}

// Nothing appears before all is there, so that a failure of the last file leaves what was.
TEST(Synth, ItsFilesAppearTogether) {
  const std::string directory = diptych::testing::temporary_directory() + "/together";
  ASSERT_OK(make_directories(directory + "/config.json"));
  ASSERT_OK(write_file(directory + "/model-00001-of-00002.safetensors", as_bytes("old")));
  Progress silent;
  ThreadPool pool(1);
  SynthOptions options;
  options.directory = directory;
  options.shape = "dim=32,layers=1,heads=2,hidden=32";
  options.form = SynthForm::HuggingFace;
  options.shards = 2;
  options.force = true;
  EXPECT_THAT(synth(options, pool, silent).error().to_string(), HasSubstr("is a directory"));
  EXPECT_EQ(*read_text_file(directory + "/model-00001-of-00002.safetensors"), "old");
  EXPECT_FALSE(std::filesystem::exists(directory + "/model.safetensors.index.json"));
}

TEST(Synth, AnotherModelStaysUnlessForced) {
  Progress silent;
  ThreadPool pool(1);
  SynthOptions options;
  options.shape = "dim=32,layers=1,heads=2,hidden=32";
  for (const char* name : {"config.json", "params.json", "model-00001-of-00002.safetensors",
                           "model.safetensors.index.json", "consolidated.00.pth", "any.gguf",
                           "pytorch_model.bin", "model.pt"}) {
    options.directory = diptych::testing::temporary_directory() + "/another_" + name;
    options.force = false;
    const std::string path = options.directory + "/" + name;
    ASSERT_OK(make_directories(options.directory));
    ASSERT_OK(write_file(options.directory + "/notes.txt", as_bytes("mine")));
    ASSERT_OK(write_file(path, as_bytes("old")));
    const auto report = synth(options, pool, silent);
    ASSERT_FALSE(report.has_value()) << name;
    EXPECT_THAT(report.error().to_string(), HasSubstr(std::string("holds \"") + name));
    EXPECT_EQ(*read_text_file(path), "old");
    EXPECT_FALSE(std::filesystem::exists(options.directory + "/model.pth"));
    options.force = true;
    ASSERT_OK(synth(options, pool, silent));
    options.force = false;
    EXPECT_FALSE(synth(options, pool, silent).has_value());  // nor over one of its own
  }
}

}  // namespace
}  // namespace diptych::tools
