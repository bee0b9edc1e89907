// The quantised weights in upstream's files against ours, bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <set>

#include "base/file.h"
#include "checkpoint/checkpoint.h"
#include "coreml/delegate.h"
#include "passes/split_linears.h"
#include "pte/reader.h"
#include "quant/quantize.h"
#include "testing/shared_data.h"

namespace diptych::quant {
namespace {

// How a golden file was made (exports.list).
struct GoldenFile {
  const char* name;
  const char* model;
  DType dtype;
  Format linear, embedding;
  passes::SplitOptions split;
};

const GoldenFile kFiles[] = {
    {"st_multi_fp16_c4w_e80", "stories", DType::F16, kC4w, {8, 0}, {}},
    {"st_single_fp16_c4w_e80", "stories", DType::F16, kC4w, {8, 0}, {}},
    {"st_multi_fp16_c4w_e80_nobreaks", "stories", DType::F16, kC4w, {8, 0}, {}},
    {"st_multi_fp16_c4w_e80_split32m4", "stories", DType::F16, kC4w, {8, 0}, {32, 4}},
    {"st_multi_fp16_c4w_e432", "stories", DType::F16, kC4w, {4, 32}, {}},
    {"gqau_multi_fp16_c4w_e80", "gqa_untied", DType::F16, kC4w, {8, 0}, {}},
    {"gqau_multi_fp16_b4w_e432", "gqa_untied", DType::F16, kB4w, {4, 32}, {}},
    {"qkn_multi_fp32_c4w_e80", "qknorm", DType::F32, kC4w, {8, 0}, {}},
    {"qkn_single_fp32_c4w_e80", "qknorm", DType::F32, kC4w, {8, 0}, {}},
    {"wide_multi_fp16_c4w_e80", "wide", DType::F16, kC4w, {8, 0}, {}},
    {"bias_multi_fp16_c4w_e80_nosplit", "bias_static", DType::F16, kC4w, {8, 0}, {0, 8}},
};

// A quantised weight by type and contents, as text.
std::string contents(const Weight& codes, const Weight& scales) {
  std::string text = to_string(codes.type()) + to_string(scales.type());
  for (const Weight* weight : {&codes, &scales}) {
    std::vector<std::byte> rows(static_cast<uint64_t>(weight->rows()) * weight->row_bytes());
    EXPECT_TRUE(weight->read_rows(0, weight->rows(), rows).has_value());
    text += as_text(rows);
  }
  return text;
}

bool is_linear(const std::string& name) {
  // Attention and feed-forward matrices (wq, w1, wqs.0, …) and the output matrix.
  return name == "output.weight" || name.find(".attention.w") != std::string::npos ||
         name.find(".feed_forward.w") != std::string::npos;
}

// All quantised weights that an export of the checkpoint must contain.
Result<std::set<std::string>> our_weights(const GoldenFile& file) {
  const std::string path =
      testing::shared_data(fmt::format("golden/models/{}/model.pth", file.model));
  const checkpoint::Checkpoint checkpoint = TRY(checkpoint::open(path));
  std::set<std::string> all;
  for (const auto& [name, stored] : checkpoint.tensors) {
    if (stored->type().rank() != 2) continue;
    const WeightRef weight = cast(stored, file.dtype);
    if (name == "tok_embeddings.weight") {
      const auto quantized = TRY(quantize(weight, {file.embedding}, name));
      all.insert(contents(*quantized.codes, *quantized.scales));
    } else if (is_linear(name)) {
      const int64_t pieces = passes::split_count(weight->rows(), file.split);
      const int64_t rows = weight->rows() / pieces;
      for (int64_t k = 0; k < pieces; ++k) {
        const auto quantized =
            TRY(quantize(row_slice(weight, k * rows, rows), {file.linear}, name));
        all.insert(contents(*quantized.codes, *quantized.scales));
      }
    }
  }
  return all;
}

// All quantised weights that a golden file contains.
Result<std::set<std::string>> their_weights(const GoldenFile& file) {
  const auto mapped =
      TRY(MappedFile::open(testing::shared_data(fmt::format("golden/pte/{}.pte", file.name))));
  const pte::Program program = TRY(pte::read(mapped->bytes()));
  std::vector<Bytes> blobs;
  for (const auto& named : program.named_data) blobs.push_back(named.data.bytes());
  for (const auto& method : program.methods) {
    for (const auto& delegate : method.delegates) {
      if (!coreml::is_reference(delegate.processed.bytes())) {
        blobs.push_back(delegate.processed.bytes());
      }
    }
  }
  std::set<std::string> all;
  for (const Bytes blob : blobs) {
    const coreml::DelegateModel delegate = TRY(coreml::read_delegate(blob, mapped));
    for (const auto& function : delegate.model.program.functions) {
      for (const auto& op : function->ops) {
        if (op->type != "constexpr_blockwise_shift_scale") continue;
        if (op->operand("offset")) return unsupported("an offset in {}", file.name);
        all.insert(contents(*op->operand("data")->weight, *op->operand("scale")->weight));
      }
    }
  }
  return all;
}

class GoldenQuantize : public ::testing::TestWithParam<GoldenFile> {};

TEST_P(GoldenQuantize, CodesAndScalesEqualUpstreams) {
  const GoldenFile& file = GetParam();
  DIPTYCH_SKIP_WITHOUT_SHARED(fmt::format("golden/pte/{}.pte", file.name));
  const auto ours = our_weights(file);
  ASSERT_OK(ours);
  const auto theirs = their_weights(file);
  ASSERT_OK(theirs);
  ASSERT_FALSE(theirs->empty());
  std::vector<std::string> common;
  std::set_intersection(ours->begin(), ours->end(), theirs->begin(), theirs->end(),
                        std::back_inserter(common));
  EXPECT_EQ(common.size(), theirs->size()) << "weights of upstream's that we do not produce";
  EXPECT_EQ(common.size(), ours->size()) << "weights of ours that upstream's file does not hold";
  std::cout << file.name << ": " << common.size() << " of " << theirs->size()
            << " quantised weights are equal\n";
}

INSTANTIATE_TEST_SUITE_P(Files, GoldenQuantize, ::testing::ValuesIn(kFiles),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace diptych::quant
