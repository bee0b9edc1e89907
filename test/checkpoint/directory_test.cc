#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf_writer.h"
#include "checkpoint/safetensors_writer.h"
#include "checkpoint/torch_writer.h"
#include "testing/shared_data.h"

namespace diptych::checkpoint {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Directory {
 public:
  explicit Directory(const std::string& name) : path_(testing::temporary_directory() + "/" + name) {
    (void)make_directories(path_);
  }
  std::string path(const std::string& file = "") const {
    return file.empty() ? path_ : path_ + "/" + file;
  }
  void text(const std::string& file, std::string_view text) const {
    ASSERT_OK(write_file(path(file), as_bytes(text)));
  }
  void safetensors(const std::string& file, const std::vector<NamedWeight>& tensors) const {
    MemorySink sink;
    Progress silent;
    ASSERT_OK(write_safetensors(sink, tensors, silent));
    ASSERT_OK(write_file(path(file), sink.data));
  }
  void torch(const std::string& file, const std::vector<NamedWeight>& tensors) const {
    MemorySink sink;
    Progress silent;
    ASSERT_OK(write_torch(sink, tensors, silent));
    ASSERT_OK(write_file(path(file), sink.data));
  }
  std::string refusal(const std::string& file = "") const {
    const auto checkpoint = open(path(file));
    return checkpoint ? "read" : checkpoint.error().to_string();
  }

 private:
  std::string path_;
};

WeightRef weight(Shape shape, uint64_t seed = 1) {
  return random_weight({DType::F32, std::move(shape)}, seed);
}

std::vector<std::string> names(const Checkpoint& checkpoint) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : checkpoint.tensors) names.push_back(name);
  return names;
}

TEST(OpenDirectory, HuggingFace) {
  const Directory directory("hf");
  directory.text("config.json", R"({"model_type":"llama"})");
  directory.safetensors("model.safetensors", {{"a", weight({2})}});
  for (const std::string& file : {std::string(), std::string("model.safetensors")}) {
    const auto checkpoint = open(directory.path(file));
    ASSERT_OK(checkpoint);
    EXPECT_EQ(checkpoint->format, Format::Safetensors);
    EXPECT_EQ(*checkpoint->config, (Json{{"model_type", "llama"}}));
    EXPECT_EQ(checkpoint->config_source, directory.path("config.json"));
    EXPECT_EQ(checkpoint->source, directory.path(file));
  }
}

TEST(OpenDirectory, ShardsAndTheirIndex) {
  const Directory directory("shards");
  directory.text("config.json", "{}");
  directory.text("model.safetensors.index.json",
                 R"({"weight_map":{"a":"1.safetensors","b":"2.safetensors","c":"2.safetensors"}})");
  EXPECT_THAT(directory.refusal(), AllOf(HasSubstr("2 of 2 shards are missing"),
                                         HasSubstr("1.safetensors"), HasSubstr("2.safetensors")));
  directory.safetensors("1.safetensors", {{"a", weight({2})}});
  directory.safetensors("2.safetensors", {{"c", weight({2})}, {"d", weight({2})}});
  EXPECT_THAT(
      directory.refusal(),
      AllOf(HasSubstr("\"2.safetensors\" lacks \"b\""),
            HasSubstr("\"2.safetensors\" holds \"d\", which the index does not place there")));
  directory.safetensors("2.safetensors", {{"c", weight({2})}, {"b", weight({2})}});
  const auto checkpoint = open(directory.path());
  ASSERT_OK(checkpoint);
  EXPECT_THAT(names(*checkpoint), ElementsAre("a", "c", "b"));
}

TEST(OpenDirectory, SaysWhatIsMissing) {
  const Directory directory("empty");
  EXPECT_THAT(directory.refusal(), HasSubstr("no model in this directory"));
  directory.text("config.json", "{}");
  EXPECT_THAT(directory.refusal(), HasSubstr("pytorch_model.bin are not read"));
  directory.safetensors("x-1.safetensors", {{"a", weight({2})}});
  directory.safetensors("x-2.safetensors", {{"b", weight({2})}});
  EXPECT_THAT(directory.refusal(),
              AllOf(HasSubstr("shards without their index"), HasSubstr("x-2.safetensors")));
}

TEST(OpenDirectory, TheContentDecidesNotTheName) {
  const Directory directory("names");
  directory.safetensors("model.pth", {{"a", weight({2})}});
  directory.torch("model.gguf", {{"a", weight({2})}});
  EXPECT_EQ(open(directory.path("model.pth"))->format, Format::Safetensors);
  EXPECT_EQ(open(directory.path("model.gguf"))->format, Format::Torch);
}

TEST(OpenDirectory, Meta) {
  const Directory directory("meta");
  directory.text("params.json", R"({"dim":4})");
  EXPECT_THAT(directory.refusal(), HasSubstr("expected consolidated.00.pth"));
  directory.torch("consolidated.00.pth", {{"norm.weight", weight({4})}});
  const auto checkpoint = open(directory.path());
  ASSERT_OK(checkpoint);
  EXPECT_EQ(checkpoint->format, Format::Torch);
  EXPECT_EQ(*checkpoint->config, (Json{{"dim", 4}}));
  directory.torch("consolidated.02.pth", {{"norm.weight", weight({4})}});
  EXPECT_THAT(directory.refusal(), HasSubstr("consolidated.01.pth"));
}

// The two halves of each matrix become the whole.
TEST(OpenDirectory, PartsOfAModel) {
  const std::string wq = "layers.0.attention.wq.weight", wo = "layers.0.attention.wo.weight";
  const auto part = [&](uint64_t seed, const Shape& embedding) {
    return std::vector<NamedWeight>{{"tok_embeddings.weight", weight(embedding, seed)},
                                    {"norm.weight", weight({4}, 7)},
                                    {wq, weight({3, 4}, seed + 10)},
                                    {wo, weight({4, 3}, seed + 20)}};
  };
  for (const bool by_rows : {true, false}) {
    const Directory directory(by_rows ? "parts_rows" : "parts_columns");
    directory.text("params.json", "{}");
    const Shape embedding = by_rows ? Shape{5, 4} : Shape{10, 2};
    const auto first = part(1, embedding), second = part(2, embedding);
    directory.torch("consolidated.00.pth", first);
    directory.torch("consolidated.01.pth", second);
    for (const std::string& file : {std::string(), std::string("consolidated.00.pth")}) {
      const auto whole = open(directory.path(file));
      ASSERT_OK(whole);
      EXPECT_EQ(whole->find("tok_embeddings.weight")->shape(), (Shape{10, 4}));
      EXPECT_EQ(whole->find("norm.weight")->shape(), (Shape{4}));
      EXPECT_EQ(whole->find(wq)->shape(), (Shape{6, 4}));
      EXPECT_EQ(whole->find(wo)->shape(), (Shape{4, 6}));
      EXPECT_EQ(read_floats(*whole->find(wq), 3, 3).value(),
                read_floats(*second[2].second).value());
      const auto row = read_floats(*whole->find(wo), 1, 1).value();
      const auto left = read_floats(*first[3].second, 1, 1).value();
      const auto right = read_floats(*second[3].second, 1, 1).value();
      EXPECT_TRUE(std::equal(left.begin(), left.end(), row.begin()));
      EXPECT_TRUE(std::equal(right.begin(), right.end(), row.begin() + 3));
    }
    directory.torch("consolidated.01.pth", {{"norm.weight", weight({5})}, {"odd", weight({1})}});
    EXPECT_THAT(directory.refusal(),
                AllOf(HasSubstr("the parts do not fit together"), HasSubstr("missing in"),
                      HasSubstr("\"norm.weight\": fp32[4] in"), HasSubstr("\"odd\": missing in")));
  }
}

TEST(OpenDirectory, ASingleGguf) {
  const Directory directory("gguf");
  MemorySink sink;
  Progress silent;
  const std::vector<NamedWeight> tensors = {{"a", weight({2})}};
  ASSERT_OK(write_gguf(sink, {}, tensors, silent));
  ASSERT_OK(write_file(directory.path("x.gguf"), sink.data));
  ASSERT_OK(open(directory.path()));
  EXPECT_EQ(open(directory.path())->format, Format::Gguf);
  ASSERT_OK(write_file(directory.path("y.gguf"), sink.data));
  EXPECT_THAT(directory.refusal(), AllOf(HasSubstr("several GGUF files"), HasSubstr("y.gguf")));
}

// As in transformers, the whole file is taken.
TEST(OpenDirectory, AStaleIndexBesideAWholeFile) {
  const Directory directory("stale");
  directory.text("config.json", "{}");
  directory.safetensors("model.safetensors", {{"a", weight({2})}});
  for (const char* index : {R"({"weight_map":{"a":"1.safetensors","b":"2.safetensors"}})", "{"}) {
    directory.text("model.safetensors.index.json", index);
    const auto checkpoint = open(directory.path());
    ASSERT_OK(checkpoint);
    EXPECT_THAT(names(*checkpoint), ElementsAre("a"));
    EXPECT_THAT(checkpoint->notes, ElementsAre(HasSubstr("index.json: not used")));
  }
  directory.text("model.safetensors.index.json",
                 R"({"weight_map":{"a":"model.safetensors","b":"2.safetensors"}})");
  EXPECT_THAT(directory.refusal(), HasSubstr("1 of 2 shards are missing"));
  directory.safetensors("2.safetensors", {{"b", weight({2})}});
  EXPECT_THAT(names(open(directory.path()).value()), ElementsAre("a", "b"));
}

TEST(OpenDirectory, AShardThatIsNotWhole) {
  const Directory directory("half");
  directory.text("config.json", "{}");
  directory.text("model.safetensors.index.json", R"({"weight_map":{"a":"1.safetensors"}})");
  directory.safetensors("1.safetensors", {{"a", weight({200})}});
  const auto whole = read_text_file(directory.path("1.safetensors")).value();
  directory.text("1.safetensors", std::string_view(whole).substr(0, whole.size() / 2));
  EXPECT_THAT(directory.refusal(), HasSubstr("is it whole?"));
}

TEST(OpenDirectory, MetasDirectoryMayHoldAConfig) {
  const Directory directory("meta_and_config");
  directory.text("config.json", "{}");
  directory.text("params.json", R"({"dim":4})");
  directory.torch("consolidated.00.pth", {{"norm.weight", weight({4})}});
  EXPECT_EQ(open(directory.path())->format, Format::Torch);
}

TEST(OpenDirectory, AConfigurationThatIsIgnoredIsNotRead) {
  const Directory directory("ignored");
  directory.text("params.json", "nothing of the kind");
  directory.torch("model.pth", {{"norm.weight", weight({4})}});
  EXPECT_THAT(directory.refusal("model.pth"), HasSubstr("params.json: malformed JSON"));
  for (const char* file : {"", "model.pth"}) {
    const auto checkpoint = open(directory.path(file), Config::Ignored);
    ASSERT_OK(checkpoint);
    EXPECT_EQ(checkpoint->config, nullptr);
  }
}

TEST(OpenDirectory, WhatOnlyStandsInForAFile) {
  constexpr std::string_view kPointer =
      "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n";
  for (const char* file : {"config.json", "model.safetensors.index.json", "1.safetensors"}) {
    const Directory directory(std::string("stand_in_") + file);
    directory.text("config.json", "{}");
    directory.text("model.safetensors.index.json", R"({"weight_map":{"a":"1.safetensors"}})");
    directory.safetensors("1.safetensors", {{"a", weight({2})}});
    ASSERT_OK(open(directory.path()));
    directory.text(file, kPointer);
    EXPECT_THAT(directory.refusal(),
                HasSubstr(std::string(file) + ": is a Git LFS pointer, not the file itself"));
    std::filesystem::remove(directory.path(file));
    std::filesystem::create_symlink("../blobs/0123", directory.path(file));
    EXPECT_THAT(directory.refusal(),
                HasSubstr(std::string(file) + ": is a link to \"../blobs/0123\", where there is"));
    std::filesystem::remove(directory.path(file));
  }
}

}  // namespace
}  // namespace diptych::checkpoint
