// LoRA adapters: what they add to weights, compared with the formula in Hugging Face's layout.
#include "llama/adapter.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/json.h"
#include "llama/weights.h"
#include "tensor/low_rank.h"
#include "testing/shared_data.h"

namespace diptych::llama {
namespace {

using ::testing::HasSubstr;
using Tensors = std::vector<std::pair<std::string, WeightRef>>;

constexpr int64_t kRank = 3;

Params small_params() {
  Params params;
  params.dim = 8;
  params.n_layers = 2;
  params.n_heads = 2;
  params.n_kv_heads = 1;
  params.head_dim = 4;
  params.hidden_dim = 10;
  params.vocab_size = 12;
  return params;
}

WeightRef random_matrix(int64_t rows, int64_t columns, uint64_t seed) {
  return random_weight({DType::F32, {rows, columns}}, seed);
}

// A base model's tensors with Hugging Face's names.
Tensors base_tensors(const Params& params, const Layout& layout) {
  Tensors tensors;
  for (const ExpectedTensor& expected : expected_tensors(params, layout)) {
    tensors.emplace_back(expected.names.front(),
                         random_weight({DType::F32, expected.shape}, tensors.size() + 1));
  }
  return tensors;
}

// The adapter's tensors for some linears of all layers.
Tensors adapter_tensors(const std::vector<std::string>& modules, const Tensors& base) {
  Tensors tensors;
  for (const auto& [name, weight] : base) {
    for (const std::string& module : modules) {
      if (name.find("." + module + ".weight") == std::string::npos) continue;
      const std::string stem =
          "base_model.model." + name.substr(0, name.size() - std::string(".weight").size());
      tensors.emplace_back(stem + ".lora_A.weight",
                           random_matrix(kRank, weight->shape()[1], 50 + tensors.size()));
      tensors.emplace_back(stem + ".lora_B.weight",
                           random_matrix(weight->shape()[0], kRank, 50 + tensors.size()));
    }
  }
  return tensors;
}

const Json kConfig = {{"peft_type", "LORA"},       {"r", kRank},
                      {"lora_alpha", 6},           {"bias", "none"},
                      {"use_dora", false},         {"modules_to_save", nullptr},
                      {"init_lora_weights", true}, {"rank_pattern", Json::object()}};

// The base with the adapter added by the formula, in Hugging Face's layout.
Tensors merged_by_hand(const Tensors& base, const Tensors& adapter, double scale) {
  Tensors merged;
  for (const auto& [name, weight] : base) {
    const std::string stem = "base_model.model." + name.substr(0, name.size() - 7);
    std::vector<float> values = read_floats(*weight).value();
    for (size_t i = 0; i < adapter.size(); i += 2) {
      if (adapter[i].first != stem + ".lora_A.weight") continue;
      const auto a = read_floats(*adapter[i].second).value(),
                 b = read_floats(*adapter[i + 1].second).value();
      const auto columns = static_cast<size_t>(weight->shape()[1]);
      for (size_t at = 0; at < values.size(); ++at) {
        double sum = 0;
        for (size_t r = 0; r < kRank; ++r) {
          sum += static_cast<double>(b[at / columns * kRank + r]) *
                 static_cast<double>(a[r * columns + at % columns]);
        }
        values[at] = static_cast<float>(static_cast<double>(values[at]) + scale * sum);
      }
    }
    merged.emplace_back(
        name, constant_floats(DType::F32, weight->shape(), {values.begin(), values.end()}));
  }
  return merged;
}

void expect_equal(const LlamaWeights& found, const LlamaWeights& expected) {
  for (const auto& [row, layer] : all_tensors(found.layers.size())) {
    const WeightRef &a = row->in(found, layer), &b = row->in(expected, layer);
    if (!a) continue;
    const auto x = read_floats(*a).value(), y = read_floats(*b).value();
    ASSERT_EQ(x.size(), y.size());
    for (size_t i = 0; i < x.size(); ++i)
      ASSERT_NEAR(x[i], y[i], 1e-6) << row->name(Dialect::Meta, layer);
  }
}

TEST(Adapter, AddsItsMatricesWhereTheyBelong) {
  const Params params = small_params();
  const Layout layout{.dialect = Dialect::HuggingFace, .halves = true};
  const Tensors base = base_tensors(params, layout);
  const std::vector<std::string> all = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                        "gate_proj", "up_proj", "down_proj"};
  for (const auto& modules : {std::vector<std::string>{"q_proj", "v_proj"}, all}) {
    for (const bool by_root : {false, true}) {
      Json config = kConfig;
      config["use_rslora"] = by_root;
      const Tensors adapter = adapter_tensors(modules, base);
      LlamaWeights weights = collect(params, base, layout).value();
      const auto read = read_adapter(config, adapter, params, nullptr);
      ASSERT_OK(read);
      EXPECT_EQ(count_linears(*read), 2 * modules.size());
      ASSERT_OK(merge_adapter(*read, weights));
      const double scale = 6 / (by_root ? std::sqrt(3.0) : 3.0);
      expect_equal(weights, collect(params, merged_by_hand(base, adapter, scale), layout).value());
    }
  }
}

TEST(Adapter, AddsToMatricesThatHoldSeveral) {
  const Params params = small_params();
  const Family* family = family_from_name("phi3").value();
  const Layout layout{.dialect = Dialect::HuggingFace, .fused = true, .halves = true};
  const Tensors base = base_tensors(params, layout);
  const Tensors adapter = adapter_tensors({"qkv_proj", "gate_up_proj", "down_proj"}, base);
  LlamaWeights weights = collect(params, base, layout).value();
  ASSERT_OK(merge_adapter(read_adapter(kConfig, adapter, params, family).value(), weights));
  expect_equal(weights, collect(params, merged_by_hand(base, adapter, 2), layout).value());
}

TEST(Adapter, RefusesWhatItCannotSay) {
  const Params params = small_params();
  const Layout layout{.dialect = Dialect::HuggingFace, .halves = true};
  const Tensors base = base_tensors(params, layout);
  const Tensors good = adapter_tensors({"q_proj"}, base);
  const auto problem = [&](const Json& change, const Tensors& tensors) {
    Json config = kConfig;
    config.update(change);
    const auto read = read_adapter(config, tensors, params, nullptr);
    return read ? "none" : read.error().to_string();
  };
  EXPECT_EQ(problem(Json::object(), good), "none");
  EXPECT_THAT(problem({{"peft_type", "IA3"}}, good), HasSubstr("peft_type: expected \"LORA\""));
  EXPECT_THAT(problem({{"use_dora", true}}, good), HasSubstr("use_dora"));
  EXPECT_THAT(problem({{"bias", "all"}}, good), HasSubstr("bias"));
  EXPECT_THAT(problem({{"modules_to_save", {"lm_head"}}}, good), HasSubstr("modules_to_save"));
  EXPECT_THAT(problem({{"init_lora_weights", "pissa"}}, good), HasSubstr("pissa"));
  EXPECT_THAT(problem({{"r", 0}}, good), HasSubstr("r: expected a rank"));
  EXPECT_THAT(problem({{"r", 4}}, good),
              HasSubstr("expected floats [4,8] and [8,4], found fp32[3,8]"));
  EXPECT_THAT(problem({{"lora_alpha", "x"}}, good), HasSubstr("lora_alpha"));
  EXPECT_THAT(problem({{"target_modules", {"k_proj"}}}, good),
              HasSubstr("q_proj\": target_modules leaves it out"));
  EXPECT_THAT(problem({{"target_modules", {1}}}, good),
              HasSubstr("target_modules: expected names of modules, found"));
  EXPECT_THAT(problem({{"exclude_modules", {"q_proj"}}}, good),
              HasSubstr("q_proj\": exclude_modules leaves it out"));
  for (const Json& layers : {Json(1), Json{1}}) {
    EXPECT_THAT(problem({{"layers_to_transform", layers}}, good),
                HasSubstr("layers.0.self_attn.q_proj\": layers_to_transform leaves it out"));
  }
  EXPECT_THAT(problem(Json::object(), {}), HasSubstr("no matrices"));
  Tensors half = good;
  half.pop_back();
  EXPECT_THAT(problem(Json::object(), half), HasSubstr("lora_B is missing"));
  Tensors twice = good;
  twice.push_back(good[0]);
  EXPECT_THAT(problem(Json::object(), twice), HasSubstr("twice"));
  Tensors more = good;
  more.emplace_back("base_model.model.lm_head.lora_A.weight", good[0].second);
  more.emplace_back("base_model.model.model.layers.0.mlp.x.weight", good[0].second);
  EXPECT_THAT(
      problem(Json::object(), more),
      ::testing::AllOf(HasSubstr("the model has no such linear"), HasSubstr("lora_A.weight or")));
}

TEST(LowRank, RefusesShapesThatDoNotFit) {
  const WeightRef base = random_matrix(4, 6, 1);
  EXPECT_TRUE(add_low_rank(base, random_matrix(2, 6, 2), random_matrix(4, 2, 3), 1));
  EXPECT_FALSE(add_low_rank(base, random_matrix(2, 5, 2), random_matrix(4, 2, 3), 1));
  EXPECT_FALSE(add_low_rank(base, random_matrix(2, 6, 2), random_matrix(3, 2, 3), 1));
  EXPECT_FALSE(add_low_rank(base, random_matrix(2, 6, 2), random_matrix(4, 3, 3), 1));
}

}  // namespace
}  // namespace diptych::llama
