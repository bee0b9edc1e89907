#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "checkpoint/gguf_format.h"
#include "checkpoint/gguf_reader.h"
#include "checkpoint/gguf_writer.h"
#include "testing/shared_data.h"

namespace diptych::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Builds files by hand, damaged ones above all.
class GgufText {
 public:
  template <class T>
  GgufText& put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  GgufText& text(std::string_view text) {
    put<uint64_t>(text.size());
    bytes_ += text;
    return *this;
  }
  GgufText& header(uint64_t tensors, uint64_t entries, uint32_t version = 3) {
    bytes_ += "GGUF";
    return put(version).put(tensors).put(entries);
  }
  GgufText& key(std::string_view key, GgufKind kind) { return text(key).put(kind); }
  GgufText& array(std::string_view name, GgufKind kind, uint64_t count) {
    return key(name, GgufKind::Array).put(kind).put(count);
  }
  GgufText& tensor(std::string_view name, std::vector<uint64_t> sizes, uint32_t type,
                   uint64_t offset) {
    text(name).put(static_cast<uint32_t>(sizes.size()));
    for (const uint64_t size : sizes) put(size);
    return put(type).put(offset);
  }
  GgufText& data(size_t bytes) {
    bytes_.resize((bytes_.size() + 31) / 32 * 32);
    bytes_.append(bytes, '\x02');
    return *this;
  }

  Result<Checkpoint> read() const {
    const auto owner = std::make_shared<const std::string>(bytes_);
    return open(as_bytes(*owner), owner, "x.gguf");
  }
  std::string refusal() const {
    const auto checkpoint = read();
    return checkpoint ? "read" : checkpoint.error().to_string();
  }

 private:
  std::string bytes_;
};

TEST(Gguf, WhatIsWrittenIsRead) {
  const std::vector<GgufEntry> metadata = {{"general.architecture", std::string("llama")},
                                           {"llama.block_count", uint32_t{3}},
                                           {"llama.rope.freq_base", 500000.0f},
                                           {"tokenizer.ggml.add_bos_token", true}};
  const std::vector<NamedWeight> tensors = {{"b", random_weight({DType::BF16, {3, 5}}, 1)},
                                            {"a", random_weight({DType::F32, {7}}, 2)},
                                            {"c", random_weight({DType::F16, {2, 2}}, 3)}};
  MemorySink file;
  Progress silent;
  ASSERT_OK(write_gguf(file, metadata, tensors, silent));
  const auto checkpoint = open(file.data, nullptr, "x");
  ASSERT_OK(checkpoint);
  EXPECT_EQ(checkpoint->format, Format::Gguf);
  EXPECT_EQ(*checkpoint->config, (Json{{"general.architecture", "llama"},
                                       {"llama.block_count", 3},
                                       {"llama.rope.freq_base", 500000.0}}));
  EXPECT_EQ(checkpoint->tokenizer, nullptr);  // it has no tokens
  ASSERT_EQ(checkpoint->tensors.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(checkpoint->tensors[i].first, tensors[i].first);
    EXPECT_EQ(checkpoint->tensors[i].second->type(), tensors[i].second->type());
    EXPECT_EQ(read_floats(*checkpoint->tensors[i].second).value(),
              read_floats(*tensors[i].second).value());
  }
}

TEST(Gguf, ReadsTheTokenizer) {
  GgufText file;
  file.header(1, 11, 2);
  file.key("tokenizer.ggml.model", GgufKind::Text).text("gpt2");
  file.key("tokenizer.ggml.pre", GgufKind::Text).text("llama-bpe");
  file.array("tokenizer.ggml.tokens", GgufKind::Text, 3)
      .text("a")
      .text("b")
      .text(std::string("\xff\0", 2));
  file.array("tokenizer.ggml.scores", GgufKind::Float32, 3).put(0.5f).put(-1.0f).put(0.0f);
  file.array("tokenizer.ggml.token_type", GgufKind::Int32, 3).put(1).put(3).put(6);
  file.array("tokenizer.ggml.merges", GgufKind::Text, 1).text("a b");
  file.key("tokenizer.ggml.bos_token_id", GgufKind::UInt32).put(uint32_t{1});
  file.key("tokenizer.ggml.add_bos_token", GgufKind::Bool).put(uint8_t{0});
  file.key("tokenizer.chat_template", GgufKind::Text).text("{{ x }}");
  file.array("general.tags", GgufKind::Text, 2).text("one").text("two");
  file.array("nested", GgufKind::Array, 1).put(GgufKind::UInt8).put(uint64_t{2}).put(uint16_t{7});
  file.tensor("t", {2}, 0, 0).data(8);
  const auto checkpoint = file.read();
  ASSERT_OK(checkpoint);
  ASSERT_NE(checkpoint->tokenizer, nullptr);
  const GgufTokenizer& tokenizer = *checkpoint->tokenizer;
  EXPECT_EQ(tokenizer.model, "gpt2");
  EXPECT_EQ(tokenizer.pre, "llama-bpe");
  EXPECT_THAT(tokenizer.tokens, ElementsAre("a", "b", std::string("\xff\0", 2)));
  EXPECT_THAT(tokenizer.scores, ElementsAre(0.5f, -1.0f, 0.0f));
  EXPECT_THAT(tokenizer.types, ElementsAre(1, 3, 6));
  EXPECT_THAT(tokenizer.merges, ElementsAre("a b"));
  EXPECT_EQ(tokenizer.bos_id, 1);
  EXPECT_EQ(tokenizer.eos_id, std::nullopt);
  EXPECT_EQ(tokenizer.add_bos, false);
  EXPECT_EQ(tokenizer.chat_template, "{{ x }}");
  EXPECT_EQ(*checkpoint->config, (Json{{"general.tags", {"one", "two"}}}));
}

TEST(Gguf, ShapesAreInnermostFirst) {
  const auto checkpoint = GgufText().header(1, 0).tensor("t", {2, 3}, 0, 0).data(24).read();
  ASSERT_OK(checkpoint);
  EXPECT_EQ(checkpoint->find("t")->shape(), (Shape{3, 2}));
}

TEST(Gguf, RefusesHostileCounts) {
  constexpr uint64_t kHuge = uint64_t{1} << 62;
  EXPECT_THAT(GgufText().header(kHuge, 0).refusal(), HasSubstr("tensors do not fit"));
  EXPECT_THAT(GgufText().header(0, kHuge).refusal(), HasSubstr("metadata entries do not fit"));
  EXPECT_THAT(GgufText().header(0, 1).put(kHuge).put(kHuge).refusal(), HasSubstr("key"));
  EXPECT_THAT(GgufText().header(0, 1).array("k", GgufKind::Text, kHuge).refusal(),
              HasSubstr("key \"k\""));
  EXPECT_THAT(GgufText().header(0, 1).array("k", GgufKind::Float64, kHuge).refusal(),
              HasSubstr("key \"k\""));
  GgufText nested;
  nested.header(0, 1).array("k", GgufKind::Array, 1);
  for (int i = 0; i < 8; ++i) nested.put(GgufKind::Array).put(uint64_t{1});
  EXPECT_THAT(nested.refusal(), HasSubstr("arrays nested deeper than 4"));
  EXPECT_THAT(GgufText().header(0, 1).text("k").put(uint32_t{13}).put(uint64_t{0}).refusal(),
              HasSubstr("kind of a value 13"));
}

TEST(Gguf, RefusesDamagedTensors) {
  const auto one = [](std::vector<uint64_t> sizes, uint32_t type, uint64_t offset) {
    return GgufText().header(1, 0).tensor("t", std::move(sizes), type, offset).data(64).refusal();
  };
  EXPECT_EQ(one({16}, 0, 0), "read");
  EXPECT_THAT(one({17}, 0, 0), HasSubstr("is it whole?"));
  EXPECT_THAT(one({1}, 0, 8), HasSubstr("not a multiple of the alignment 32"));
  EXPECT_THAT(one({1}, 0, uint64_t{1} << 63), HasSubstr("is it whole?"));
  EXPECT_THAT(one({0}, 0, 0), HasSubstr("an axis of size 0"));
  EXPECT_THAT(one({1, 1, 1, 1, 1}, 0, 0), HasSubstr("5 axes"));
  EXPECT_THAT(one({uint64_t{1} << 40, uint64_t{1} << 40}, 0, 0), HasSubstr("tensor \"t\""));
  EXPECT_THAT(one({33}, 8, 0), HasSubstr("blocks of 32, as Q8_0 is"));
  EXPECT_THAT(one({256}, 10, 0),
              ::testing::AllOf(HasSubstr("\"t\": type Q2_K"), HasSubstr("known are F32, F16, BF16, "
                                                                        "Q4_0")));
  EXPECT_THAT(one({256}, 77, 0), HasSubstr("\"t\": unknown type 77"));
  EXPECT_THAT(
      GgufText().header(2, 0).tensor("a", {8}, 0, 0).tensor("b", {8}, 0, 0).data(64).refusal(),
      HasSubstr("tensors \"a\" and \"b\" overlap"));
  EXPECT_THAT(
      GgufText().header(2, 0).tensor("a", {8}, 0, 0).tensor("a", {8}, 0, 32).data(64).refusal(),
      HasSubstr("two tensors \"a\""));
}

TEST(Gguf, RefusesOtherVersionsAndParts) {
  EXPECT_THAT(GgufText().header(0, 0, 1).refusal(), HasSubstr("GGUF version 1, expected 2 or 3"));
  EXPECT_THAT(GgufText().header(0, 0, 0x03000000).refusal(), HasSubstr("big-endian"));
  EXPECT_THAT(GgufText().header(0, 0).refusal(), HasSubstr("holds no tensors"));
  EXPECT_THAT(
      GgufText().header(0, 1).key("split.count", GgufKind::UInt16).put(uint16_t{2}).refusal(),
      HasSubstr("one of 2 parts"));
  GgufText twice;
  twice.header(0, 2)
      .key("k", GgufKind::Bool)
      .put(uint8_t{1})
      .key("k", GgufKind::Bool)
      .put(uint8_t{1});
  EXPECT_THAT(twice.refusal(), HasSubstr("key \"k\" occurs twice"));
  GgufText aligned;
  aligned.header(1, 1).key("general.alignment", GgufKind::UInt32).put(uint32_t{24});
  EXPECT_THAT(aligned.tensor("t", {1}, 0, 0).data(4).refusal(),
              HasSubstr("a power of two, found 24"));
}

TEST(Gguf, ScoresAreAsManyAsTokens) {
  GgufText file;
  file.header(1, 2);
  file.array("tokenizer.ggml.tokens", GgufKind::Text, 1).text("a");
  file.array("tokenizer.ggml.scores", GgufKind::Float32, 2).put(0.f).put(0.f);
  EXPECT_THAT(file.tensor("t", {1}, 0, 0).data(4).refusal(),
              HasSubstr("the tokenizer has 1 tokens, but 2 scores"));
}

}  // namespace
}  // namespace diptych::checkpoint
