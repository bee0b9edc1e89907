#include "llama/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/file.h"
#include "base/json.h"
#include "testing/shared_data.h"

namespace diptych::llama {
namespace {

TEST(Rope, FrequenciesFallGeometrically) {
  Params params;
  params.head_dim = 8;
  const std::vector<float> frequencies = rope_frequencies(params.ropes[0], params.head_dim);
  EXPECT_EQ(frequencies, (std::vector<float>{1.0f, 0.1f, 0.01f, 0.001f}));
}

// Frequencies of Llama 3.2 1B (scale factor 32) around the blended region, as upstream computes
// them.
TEST(Rope, ScalingIsUpstreamsToTheBit) {
  RopeParams rope;
  rope.theta = 500000;
  rope.llama3 = true;
  rope.scale_factor = 32;
  const std::vector<float> frequencies = rope_frequencies(rope, 64);
  const float expected[] = {0x1.ddee9ep-8f, 0x1.3d2804p-8f,  0x1.a4ee4p-9f,   0x1.524f36p-10f,
                            0x1.c26c4p-12f, 0x1.9731eep-14f, 0x1.46831ap-16f, 0x1.b159020p-17f,
                            0x1.1f91fp-17f, 0x1.7da9e8p-18f};
  for (size_t i = 0; i < std::size(expected); ++i) EXPECT_EQ(frequencies[12 + i], expected[i]) << i;
}

TEST(Rope, TablesHoldCosineAndSineOfTheAngles) {
  Params params;
  params.head_dim = 4;
  const auto tables = rope_tables(params, 3, DType::F32);
  ASSERT_OK(tables);
  ASSERT_EQ(tables->size(), 1U);
  const auto& [cosines, sines] = tables->front();
  const auto cos = read_floats(*cosines).value(), sin = read_floats(*sines).value();
  EXPECT_EQ(cosines->shape(), (Shape{3, 2}));
  EXPECT_EQ(cos[0], 1.0f);
  EXPECT_EQ(sin[0], 0.0f);
  EXPECT_EQ(cos[4], static_cast<float>(std::cos(2.0)));
  EXPECT_EQ(sin[5], static_cast<float>(std::sin(static_cast<double>(2 * 0.01f))));
}

TEST(Rope, HalfSplitTablesRepeatTheirColumns) {
  Params params;
  params.head_dim = 4;
  params.use_hf_rope = true;
  const auto tables = rope_tables(params, 2, DType::F16);
  ASSERT_OK(tables);
  const auto cos = read_floats(*tables->front().cos).value();
  ASSERT_EQ(cos.size(), 8u);
  EXPECT_EQ(cos[4], cos[6]);
  EXPECT_EQ(cos[5], cos[7]);
  EXPECT_NE(cos[4], cos[5]);
}

TEST(Rope, RefusesImpossibleLengths) {
  const Params params;
  EXPECT_FALSE(rope_tables(params, 0, DType::F16));
  EXPECT_FALSE(rope_tables(params, int64_t{1} << 40, DType::F16));
  EXPECT_FALSE(rope_tables(params, int64_t{1} << 24, DType::F32));  // 4 GiB
  EXPECT_FALSE(rope_tables(params, 8, DType::BF16));
}

struct GoldenTable {
  std::string file, model;
  int64_t context;
};

Result<contract::RopeTables> golden_tables(const GoldenTable& golden, DType dtype) {
  const auto path = testing::shared_data("golden/models/" + golden.model + "/params.json");
  const Params params = TRY(params_from_meta(TRY(parse_json(TRY(read_text_file(path))))));
  return TRY(rope_tables(params, golden.context, dtype)).front();
}

// The tables lie somewhere in upstream's file as they are.
TEST(Rope, HalfPrecisionTablesAreUpstreamsToTheBit) {
  DIPTYCH_SKIP_WITHOUT_SHARED("golden/pte");
  for (const GoldenTable& golden : {GoldenTable{"st_multi_fp16_none", "stories", 512},
                                    {"gqau_multi_fp16_c4w_e80", "gqa_untied", 256},
                                    {"wide_multi_fp16_c4w_e80", "wide", 256},
                                    {"bias_multi_fp16_c4w_e80_nosplit", "bias_static", 256}}) {
    const auto file = MappedFile::open(testing::shared_data("golden/pte/" + golden.file + ".pte"));
    ASSERT_OK(file);
    const auto tables = golden_tables(golden, DType::F16);
    ASSERT_OK(tables);
    for (const WeightRef& table : {tables->cos, tables->sin}) {
      const std::string_view bytes = as_text(*table->bytes());
      EXPECT_NE(as_text((*file)->bytes()).find(bytes), std::string_view::npos) << golden.file;
    }
  }
}

// Entries of `ours` that differ from the floats at `theirs`; -1 when one is off by more than a unit
// in the last place (and so when there is no such table there).
int64_t differences(Bytes ours, const std::byte* theirs) {
  int64_t count = 0;
  for (size_t at = 0; at < ours.size(); at += 4) {
    const auto a = load<float>(&ours[at]), b = load<float>(theirs + at);
    if (a == b) continue;
    if (std::nextafter(a, b) != b) return -1;
    ++count;
  }
  return count;
}

TEST(Rope, SinglePrecisionTablesAreWithinAUnitOfUpstreams) {
  DIPTYCH_SKIP_WITHOUT_SHARED("golden/pte");
  for (const GoldenTable& golden : {GoldenTable{"st_multi_fp32_none", "stories", 512},
                                    {"gqau_multi_fp32_none", "gqa_untied", 256},
                                    {"qkn_multi_fp32_c4w_e80", "qknorm", 256}}) {
    const auto file = MappedFile::open(testing::shared_data("golden/pte/" + golden.file + ".pte"));
    ASSERT_OK(file);
    const Bytes bytes = (*file)->bytes();
    const auto tables = golden_tables(golden, DType::F32);
    ASSERT_OK(tables);
    for (const WeightRef& table : {tables->cos, tables->sin}) {
      const Bytes ours = *table->bytes();
      int64_t different = -1;
      for (size_t at = 0; at + ours.size() <= bytes.size() && different < 0; ++at) {
        different = differences(ours, &bytes[at]);
      }
      EXPECT_GE(different, 0) << golden.file;
      EXPECT_LE(different, static_cast<int64_t>(ours.size()) / 4 / 10) << golden.file;
    }
  }
}

}  // namespace
}  // namespace diptych::llama
