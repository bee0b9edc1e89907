#include "llama/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "testing/shared_data.h"

namespace diptych::llama {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Tensors = std::vector<std::pair<std::string, WeightRef>>;

Params small_params() {
  Params params;
  params.dim = 8;
  params.n_layers = 2;
  params.n_heads = 2;
  params.n_kv_heads = 1;
  params.head_dim = 6;
  params.hidden_dim = 10;
  params.vocab_size = 12;
  params.attention_qkv_bias = true;
  params.use_qk_norm = true;
  return params;
}

Tensors tensors_of(const Params& params) {
  Tensors tensors;
  for (const ExpectedTensor& expected : expected_tensors(params)) {
    tensors.emplace_back(expected.names.front(),
                         random_weight({DType::F32, expected.shape}, tensors.size()));
  }
  return tensors;
}

WeightRef& find(Tensors& tensors, std::string_view name) {
  return std::find_if(tensors.begin(), tensors.end(),
                      [&](const auto& t) { return t.first == name; })
      ->second;
}

TEST(Weights, EveryTensorFindsItsPlace) {
  const Params params = small_params();
  const Tensors tensors = tensors_of(params);
  EXPECT_EQ(tensors.size(), 3u + 2 * 14);
  const auto weights = collect(params, tensors);
  ASSERT_OK(weights);
  EXPECT_EQ(weights->layers[1].wk->shape(), (Shape{6, 8}));
  EXPECT_EQ(weights->layers[1].bq->shape(), (Shape{12}));
  EXPECT_EQ(weights->layers[1].q_norm->shape(), (Shape{6}));
  EXPECT_EQ(weights->layers[0].w2->shape(), (Shape{8, 10}));
  EXPECT_FALSE(weights->tied());
  for (const auto& [name, weight] : tensors) {
    EXPECT_EQ(weight.use_count(), 2) << name;  // ours and the model's
  }
}

TEST(Weights, TakesTheNamesThatUpstreamTakes) {
  const Params params = small_params();
  Tensors tensors = tensors_of(params);
  for (auto& [name, weight] : tensors) {
    for (const auto& [from, to] : {std::pair{".wq.", ".wqs.0."},
                                   {".wk.", ".wks.0."},
                                   {".wv.", ".wvs.0."},
                                   {"q_norm.", "q_norm_fn."}}) {
      const size_t at = name.find(from);
      if (at != std::string::npos) name.replace(at, std::string_view(from).size(), to);
    }
  }
  tensors.emplace_back("rope.freqs", zeros({DType::F32, {3}}));
  ASSERT_OK(collect(params, tensors));
}

TEST(Weights, AllFindingsAreInOneError) {
  const Params params = small_params();
  Tensors tensors = tensors_of(params);
  std::erase_if(tensors, [](const auto& t) { return t.first == "layers.1.attention.wo.weight"; });
  find(tensors, "norm.weight") = zeros({DType::F32, {9}});
  find(tensors, "layers.0.ffn_norm.weight") = zeros({DType::Int8, {8}});
  tensors.emplace_back("layers.2.ffn_norm.weight", zeros({DType::F32, {8}}));
  tensors.emplace_back("layers.0.attention.wqs.0.weight", zeros({DType::F32, {12, 8}}));
  tensors.emplace_back("norm.weight", zeros({DType::F32, {8}}));
  const auto weights = collect(params, tensors);
  ASSERT_FALSE(weights);
  EXPECT_THAT(weights.error().message, HasSubstr("1 missing, 2 of the wrong type, 3 surplus"));
  EXPECT_THAT(weights.error().items,
              ElementsAre("missing: layers.1.attention.wo.weight [8,12]",
                          "layers.0.ffn_norm.weight: expected floats [8], found int8[8]",
                          "norm.weight: expected floats [8], found fp32[9]",
                          "surplus: norm.weight occurs twice",
                          "surplus: layers.0.attention.wqs.0.weight is the same tensor as "
                          "layers.0.attention.wq.weight",
                          "surplus: layers.2.ffn_norm.weight [8]"));
}

TEST(Weights, BiasesWithoutTheirParameterAreSurplus) {
  Params params = small_params();
  const Tensors tensors = tensors_of(params);
  params.attention_qkv_bias = false;
  const auto weights = collect(params, tensors);
  ASSERT_FALSE(weights);
  EXPECT_EQ(weights.error().items.size(), 6u);
}

TEST(Weights, OutputIsTiedWhenAbsentOrEqual) {
  const Params params = small_params();
  Tensors tensors = tensors_of(params);
  const TensorType type{DType::F32, {12, 8}};
  const auto bytes = [&](std::byte last) {
    std::vector<std::byte> data(12 * 8 * 4, std::byte{1});
    data.back() = last;
    return memory_weight(type, std::move(data)).value();
  };
  find(tensors, "tok_embeddings.weight") = bytes(std::byte{1});
  find(tensors, "output.weight") = bytes(std::byte{1});
  EXPECT_TRUE(collect(params, tensors)->tied());
  find(tensors, "output.weight") = bytes(std::byte{2});
  EXPECT_FALSE(collect(params, tensors)->tied());
  tensors.pop_back();
  const auto tied = collect(params, tensors);
  ASSERT_OK(tied);
  EXPECT_TRUE(tied->tied());

  const auto prepared = prepare(params, *tied, DType::F16);
  ASSERT_OK(prepared);
  EXPECT_TRUE(prepared->tensors.tied());
}

TEST(Weights, PreparingCastsAllAndAddsBiases) {
  const Params params = small_params();
  const auto prepared = prepare(params, collect(params, tensors_of(params)).value(), DType::F16);
  ASSERT_OK(prepared);
  EXPECT_EQ(prepared->tensors.layers[1].w3->dtype(), DType::F16);
  EXPECT_EQ(prepared->tensors.layers[1].bv->dtype(), DType::F16);
  EXPECT_EQ(prepared->tensors.output->dtype(), DType::F16);
  for (const int64_t width : {6, 8, 10, 12}) {
    EXPECT_EQ(to_string(prepared->zero_biases.at(width)->type()), fmt::format("fp16[{}]", width));
  }
  EXPECT_FALSE(prepare(params, collect(params, tensors_of(params)).value(), DType::BF16));
}

TEST(Weights, NamesWithKnownPrefixes) {
  const Params params = small_params();
  Layout hugging_face;
  hugging_face.dialect = Dialect::HuggingFace;
  const auto renamed = [&](const Layout& layout, auto rename) {
    Tensors tensors;
    for (const ExpectedTensor& expected : expected_tensors(params, layout)) {
      tensors.emplace_back(rename(expected.names.front()), zeros({DType::F32, expected.shape}));
    }
    return collect(params, tensors, layout);
  };
  for (const Layout& layout : {hugging_face, Layout{}}) {
    for (const std::string prefix :
         {"model.", "transformer.", "language_model.", "_orig_mod.", "module.", "base_model.model.",
          "module._orig_mod.", "language_model.model."}) {
      EXPECT_TRUE(renamed(layout, [&](const std::string& name) { return prefix + name; }))
          << prefix;
    }
    EXPECT_TRUE(renamed(layout, [](std::string name) {
      const size_t at = name.find("layers.0.");
      return at == name.npos ? name : name.insert(at + 9, "_orig_mod.");
    }));
    EXPECT_FALSE(renamed(layout, [](const std::string& name) { return "foreign." + name; }));
  }
  // A model without its head is saved without "model.".
  EXPECT_TRUE(renamed(hugging_face, [](const std::string& name) {
    return name.starts_with("model.") ? name.substr(6) : name;
  }));
  Tensors twice = tensors_of(params);
  twice.emplace_back("module.norm.weight", zeros({DType::F32, {8}}));
  EXPECT_THAT(collect(params, twice).error().to_string(),
              HasSubstr("surplus: module.norm.weight occurs twice"));
}

TEST(Weights, PreparedOnesAreFinite) {
  const Params params = small_params();
  Tensors tensors = tensors_of(params);
  find(tensors, "norm.weight") = constant_floats(DType::F32, {8}, {1, 1e5, 1, 1, 1, -7e4, 1, 1});
  const auto status_of = [&](DType dtype) {
    const auto prepared = prepare(params, collect(params, tensors).value(), dtype).value();
    const auto floats = read_floats(*prepared.tensors.norm);
    return floats ? std::string() : floats.error().to_string();
  };
  EXPECT_EQ(status_of(DType::F16),
            "norm.weight fp32[8]: 2 of 8 values cannot be stored in fp16: 2 beyond fp16, whose "
            "largest is 65504 (up to 1e+05)");
  EXPECT_EQ(status_of(DType::F32), "");
}

}  // namespace
}  // namespace diptych::llama
