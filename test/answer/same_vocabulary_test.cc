// Drafts by models whose tokens are others are refused.
#include "answer/same_vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "exporter/export.h"
#include "testing/shared_data.h"

namespace diptych::answer {
namespace {

using ::testing::ContainsRegex;
using ::testing::StartsWith;

class SameVocabulary : public ::testing::Test {
 protected:
  void SetUp() override {
    exporter::Options options;
    options.max_context_len = 16;
    options.input_len = 4;
    options.card.no_tokenizer = true;
    Progress silent;
    ASSERT_OK(exporter::export_files(testing::source_path("demo/model.pth"),
                                     testing::source_path("demo/params.json"), path_, options,
                                     silent));
  }

  // The demo model with a tokenizer, or without one.
  OpenedModel opened(const std::string& tokenizer) const {
    OpenOptions options;
    options.threads = 1;
    options.tokenizer_path = tokenizer;
    auto model = OpenedModel::open(path_, options);
    EXPECT_TRUE(model) << (model ? "" : model.error().to_string());
    return std::move(*model);
  }

  // The demo's tokenizer with another text for one token of the same length.
  static std::string changed_tokenizer() {
    auto bytes = read_text_file(testing::source_path("demo/tokenizer.model"), 1 << 20).value();
    const size_t at = bytes.find("friend");
    EXPECT_NE(at, bytes.npos);
    bytes.replace(at, 6, "frxend");
    const std::string path = testing::temporary_directory() + "/changed.model";
    EXPECT_TRUE(write_file(path, as_bytes(bytes)));
    return path;
  }

  const std::string path_ = testing::temporary_directory() + "/demo.pte";
  const std::string tokenizer_ = testing::source_path("demo/tokenizer.model");
};

TEST_F(SameVocabulary, TakesTheSameTokens) {
  const OpenedModel model = opened(tokenizer_);
  ASSERT_OK(check_same_vocabulary(model, opened(tokenizer_)));
  ASSERT_OK(check_same_vocabulary(model, opened("")));  // as many, and nothing says which
}

TEST_F(SameVocabulary, NamesTheFirstTokenThatDiffers) {
  const OpenedModel model = opened(tokenizer_), other = opened(changed_tokenizer());
  const Status refused = check_same_vocabulary(model, other);
  ASSERT_FALSE(refused);
  const std::string error = refused.error().to_string();
  EXPECT_THAT(error,
              StartsWith(path_ + ": a draft needs the vocabulary of the model, whose token "));
  EXPECT_THAT(error, ContainsRegex("token [0-9]+ is \".*friend\", found \".*frxend\"$"));
  EXPECT_EQ(error.find('\n'), error.npos);
}

}  // namespace
}  // namespace diptych::answer
