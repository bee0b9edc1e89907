#include "tools/sharing.h"

#include <gtest/gtest.h>

#include "exporter/export.h"
#include "sample.h"
#include "testing/adapter.h"
#include "testing/shared_data.h"

namespace diptych::tools {
namespace {

using diptych::testing::temporary_directory;

Sharing sharing_of_export(const exporter::Options& options) {
  const std::string path = temporary_directory() + "/shared.pte";
  Progress silent;
  const auto report = exporter::export_files(diptych::testing::source_path("demo/model.pth"), "",
                                             path, options, silent);
  EXPECT_TRUE(report.has_value()) << report.error().to_string();
  return sharing_of(inspect(path).value());
}

exporter::Options several_methods() {
  exporter::Options options;
  options.max_context_len = 64;
  options.prefill_lens = {8, 16};
  options.multifunction = true;
  return options;
}

// What an export refuses under a threshold is what its file has above it.
TEST(Sharing, IsThatOfTheExport) {
  for (const auto sharing : {passes::WeightSharing::Positional, passes::WeightSharing::OnePackage,
                             passes::WeightSharing::Disabled}) {
    exporter::Options options = several_methods();
    options.sharing = sharing;
    const Sharing found = sharing_of_export(options);
    EXPECT_GT(found.bytes, 0u);
    EXPECT_EQ(found.unshared_bytes, sharing == passes::WeightSharing::Disabled ? found.bytes : 0);
    Progress silent;
    options.max_unshared = found.unshared_bytes;
    const auto again = [&] {
      return exporter::export_files(diptych::testing::source_path("demo/model.pth"), "",
                                    temporary_directory() + "/again.pte", options, silent)
          .has_value();
    };
    EXPECT_TRUE(again());
    if (found.unshared_bytes == 0) continue;
    options.max_unshared = found.unshared_bytes - 1;
    EXPECT_FALSE(again());
  }
}

TEST(Sharing, AdaptersMayHaveTheirOwn) {
  exporter::Options options = several_methods();
  for (const char* name : {"one", "two"}) {
    options.adapters.push_back(
        {name, diptych::testing::write_adapter(name, diptych::testing::kDemoShape, name[0])});
  }
  const Sharing found = sharing_of_export(options);
  EXPECT_EQ(found.unshared_bytes, 0u);
  EXPECT_TRUE(std::any_of(found.weights.begin(), found.weights.end(), [](const auto& weight) {
    return weight.functions.size() == 3 && weight.functions[0] == "forward__one";
  }));
}

TEST(Sharing, SaysWhyNot) {
  const Sharing apart =
      sharing_of(inspect(testing::file_of(testing::legacy_program()), nullptr).value());
  ASSERT_FALSE(apart.weights.empty());
  for (const FileWeight& weight : apart.weights) {
    EXPECT_EQ(weight.why, Unshared::SameContents) << weight.name;
    EXPECT_NE(weight.twin.find("of main"), std::string::npos) << weight.twin;
  }
  const Sharing together =
      sharing_of(inspect(testing::file_of(testing::shared_program()), nullptr).value());
  EXPECT_EQ(together.unshared_bytes, 0u);
}

}  // namespace
}  // namespace diptych::tools
