#include "pte/blob.h"

#include <gtest/gtest.h>

namespace diptych::pte {
namespace {

TEST(BlobTest, InMemoryIsComparedByContent) {
  const std::string text = "payload";
  const Blob view = Blob::view(as_bytes(text));
  EXPECT_EQ(view, Blob::own("payload"));
  EXPECT_NE(view, Blob::own("payloaD"));
  EXPECT_NE(view, Blob::own("payload "));
  EXPECT_EQ(Blob(), Blob::own(""));
  EXPECT_EQ(view.bytes().data(), as_bytes(text).data());
}

TEST(BlobTest, ProducedIsComparedByIdentity) {
  const SourceRef source = memory_source("payload");
  EXPECT_EQ(Blob::produced(source), Blob::produced(source));
  EXPECT_NE(Blob::produced(source), Blob::produced(memory_source("payload")));
  EXPECT_NE(Blob::produced(source), Blob::own("payload"));
  EXPECT_EQ(Blob::produced(source).size(), 7u);
  EXPECT_FALSE(Blob::produced(source).in_memory());
}

TEST(BlobTest, CopiesKeepOwnedBytes) {
  Blob copy;
  {
    const Blob owner = Blob::own("payload");
    copy = owner.first(3);
  }
  EXPECT_EQ(as_text(copy.bytes()), "pay");
}

}  // namespace
}  // namespace diptych::pte
