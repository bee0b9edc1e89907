// Files that upstream's exporter wrote.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "pte/constant_method.h"
#include "pte/dump.h"
#include "pte/header.h"
#include "pte/reader.h"
#include "pte/tree_spec.h"
#include "pte/writer.h"
#include "sample.h"
#include "testing/shared_data.h"

namespace diptych::pte {
namespace {

std::vector<std::string> pte_files(const std::string& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(testing::shared_data(folder))) {
    if (entry.path().extension() == ".pte") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

// Where the extended header says that segments lie, and where they do.
void expect_same_layout(const Layout& ours, const Layout& theirs) {
  ASSERT_EQ(ours.segments.size(), theirs.segments.size());
  for (size_t i = 0; i < ours.segments.size(); ++i) {
    EXPECT_EQ(ours.segments[i].size, theirs.segments[i].size);
    EXPECT_EQ(ours.segments[i].offset - ours.segments[0].offset,
              theirs.segments[i].offset - theirs.segments[0].offset);
  }
}

void expect_round_trip(const std::string& path) {
  SCOPED_TRACE(path);
  const auto file = MappedFile::open(path);
  ASSERT_OK(file);
  const auto theirs = read((*file)->bytes());
  ASSERT_OK(theirs);
  EXPECT_FALSE(dump(*theirs).empty());
  const auto written = file_of(*theirs);
  const auto ours = read(written);
  ASSERT_OK(ours);
  EXPECT_EQ(without_layout(*ours), without_layout(*theirs));
  EXPECT_EQ(file_of(*ours), written);
  if (!theirs->layout.segments.empty()) expect_same_layout(ours->layout, theirs->layout);
}

TEST(GoldenTest, RoundTrip) {
  DIPTYCH_SKIP_WITHOUT_SHARED("golden/pte");
  const auto paths = pte_files("golden/pte");
  EXPECT_FALSE(paths.empty());
  for (const std::string& path : paths) expect_round_trip(path);
}

TEST(GoldenTest, RoundTripOfOtherBackends) {
  DIPTYCH_SKIP_WITHOUT_SHARED("pte");
  const auto paths = pte_files("pte");
  EXPECT_FALSE(paths.empty());
  for (const std::string& path : paths) expect_round_trip(path);
}

TEST(GoldenTest, EncodesHeadersAsUpstream) {
  DIPTYCH_SKIP_WITHOUT_SHARED("golden/pte");
  for (const std::string& path : pte_files("golden/pte")) {
    const auto file = MappedFile::open(path);
    ASSERT_OK(file);
    const Bytes bytes = (*file)->bytes();
    const auto header = read_header(bytes);
    ASSERT_OK(header);
    ASSERT_TRUE(header->has_value());
    EXPECT_EQ(as_text(encode(**header)), as_text(bytes.subspan(kHeaderOffset, kHeaderSize)));
  }
}

TEST(GoldenTest, ConstantsInBuffersAreFound) {
  DIPTYCH_SKIP_WITHOUT_SHARED("pte/ModuleLinear-no-constant-segment.pte");
  const auto file =
      MappedFile::open(testing::shared_data("pte/ModuleLinear-no-constant-segment.pte"));
  ASSERT_OK(file);
  const auto program = read((*file)->bytes());
  ASSERT_OK(program);
  ASSERT_EQ(program->constants.size(), 3u);
  for (size_t i = 1; i < 3; ++i) {
    const Bytes bytes = program->constants[i].bytes();
    ASSERT_EQ(bytes.size(), 16u);
    EXPECT_GE(bytes.data(), (*file)->bytes().data());
    EXPECT_LE(bytes.data() + 16, (*file)->bytes().data() + (*file)->bytes().size());
    EXPECT_EQ(load<float>(bytes.data()), load<float>(bytes.data() + 4));
  }
}

TEST(GoldenTest, MetadataIsRead) {
  DIPTYCH_SKIP_WITHOUT_SHARED("golden/pte/st_multi_fp16_c4w_e80.pte");
  const auto file = MappedFile::open(testing::shared_data("golden/pte/st_multi_fp16_c4w_e80.pte"));
  ASSERT_OK(file);
  const auto program = read((*file)->bytes());
  ASSERT_OK(program);
  EXPECT_EQ(*constant_int(*program, "vocab_size"), 512);
  EXPECT_EQ(*constant_ints(*program, "decode_mask_specs"), (std::vector<int64_t>{1, 511}));
  const auto freqs = std::get<ConstantTensor>(*constant_value(*program, "freqs_cos"));
  EXPECT_EQ(freqs.type, (TensorType{DType::F16, {512, 4}}));
  EXPECT_EQ(load<uint16_t>(freqs.bytes.data()), 0x3C00);  // cos 0
}

// The specs of upstream's static attention: what an exporter has to say of its methods.
TEST(GoldenTest, TreeSpecsAreUpstreamsText) {
  DIPTYCH_SKIP_WITHOUT_SHARED("golden/pte/wide_multi_fp16_c4w_e80.pte");
  const auto file =
      MappedFile::open(testing::shared_data("golden/pte/wide_multi_fp16_c4w_e80.pte"));
  ASSERT_OK(file);
  const auto program = read((*file)->bytes());
  ASSERT_OK(program);
  const TreeSpec leaf = TreeSpec::leaf();
  const TreeSpec layers = TreeSpec::dict({{"l0,h0", leaf}, {"l1,h0", leaf}, {"l2,h0", leaf}});
  const TreeSpec caches = TreeSpec::tuple({layers, layers});
  const TreeSpec options = TreeSpec::dict({{"masks", TreeSpec::dict({{255, leaf}})},
                                           {"freqs_cos_override", leaf},
                                           {"freqs_sin_override", leaf},
                                           {"in_cache_state", caches},
                                           {"last_valid_token_pos", leaf}});
  const TreeSpec results = TreeSpec::tuple({leaf, TreeSpec::dict({{"out_cache_state", caches}})});
  for (const char* name : {"forward", "prefill"}) {
    const Method* method = find_method(*program, name);
    ASSERT_NE(method, nullptr);
    EXPECT_EQ(method->input_spec, to_json(TreeSpec::arguments({leaf, options})));
    EXPECT_EQ(method->output_spec, to_json(results));
  }
  EXPECT_EQ(find_method(*program, "vocab_size")->input_spec, "");
  EXPECT_EQ(find_method(*program, "vocab_size")->output_spec, to_json(leaf));
}

}  // namespace
}  // namespace diptych::pte
