// Nothing is found in files that are right: of every family and format, and upstream's.
#include <gtest/gtest.h>

#include <filesystem>

#include "exporter/export.h"
#include "surgery.h"
#include "testing/shared_data.h"
#include "verify/verify.h"

namespace diptych {
namespace {

std::string findings(const verify::Verification& verification) {
  std::string text;
  for (const verify::CheckResult& check : verification.checks) {
    for (const verify::Finding& finding : check.findings) {
      text += fmt::format("  {}: {}: {}\n", check.check, finding.place, finding.what);
    }
  }
  return text;
}

struct Form {
  std::string name;
  std::function<void(exporter::Options&)> set;
};

const std::vector<Form>& forms() {
  static const std::vector<Form> all = {
      {"single c4w", [](exporter::Options&) {}},
      {"several c8w",
       [](exporter::Options& o) {
         o.linear = quant::kC8w;
         o.multifunction = true;
       }},
      {"prefills and verify, unquantised, finite masks, safe norms",
       [](exporter::Options& o) {
         o.linear = o.embedding = std::nullopt;
         o.multifunction = true;
         o.prefill_lens = {8, 24};
         o.verify_len = 4;
         o.finite_mask = true;
         o.norm = llama::NormForm::Safe;
       }},
      {"one partition in pieces, fp32, groups",
       [](exporter::Options& o) {
         o.dtype = DType::F32;
         o.linear = quant::kB4w;
         o.multifunction = true;
         o.graph_breaks = false;
         o.split = {32, 4};
       }},
      {"palettes, no sharing",
       [](exporter::Options& o) {
         o.linear = quant::Format{4, 0, quant::Kind::Palette};
         o.multifunction = true;
         o.sharing = passes::WeightSharing::Disabled;
       }},
      {"all in one package, groups of 64, embeddings of 4 bits",
       [](exporter::Options& o) {
         o.linear = quant::Format{4, 64};
         o.embedding = quant::Format{4, 32};
         o.prefill_lens = {8, 24};
         o.multifunction = true;
         o.sharing = passes::WeightSharing::OnePackage;
       }},
      {"single, palettes of 6 bits, fp32, safe norms",
       [](exporter::Options& o) {
         o.dtype = DType::F32;
         o.linear = quant::Format{6, 0, quant::Kind::Palette};
         o.norm = llama::NormForm::Safe;
       }},
  };
  return all;
}

TEST(Clean, FamiliesAndFormats) {
  constexpr std::string_view kFamilies[] = {"llama",   "mistral", "qwen2", "qwen3",  "phi3",
                                            "smollm3", "granite", "olmo2", "gemma2", "gemma3"};
  Progress silent;
  size_t files = 0;
  for (const std::string_view family : kFamilies) {
    const auto source = testing::checkpoint(
        std::string(family), "dim=64,layers=4,heads=4,kv_heads=2,hidden=128,vocab=320");
    ASSERT_OK(source);
    for (const Form& form : forms()) {
      SCOPED_TRACE(fmt::format("{}, {}", family, form.name));
      exporter::Options options;
      options.max_context_len = 64;
      options.input_len = 16;
      form.set(options);
      const std::string path = testing::temporary_directory() + "/clean.pte";
      const auto report = exporter::export_files(*source, "", path, options, silent);
      ASSERT_OK(report);
      verify::Options verified;
      verified.source = *source;
      const auto verification = verify::verify(path, verified, silent);
      ASSERT_OK(verification);
      EXPECT_FALSE(verification->failed()) << findings(*verification);
      ++files;
    }
  }
  EXPECT_GE(files, 70u);
}

TEST(Clean, UpstreamsFiles) {
  DIPTYCH_SKIP_WITHOUT_SHARED("golden/pte");
  Progress silent;
  for (const auto& entry :
       std::filesystem::directory_iterator(testing::shared_data("golden/pte"))) {
    SCOPED_TRACE(entry.path().filename().string());
    const auto verification = verify::verify(entry.path(), {}, silent);
    ASSERT_OK(verification);
    EXPECT_FALSE(verification->failed()) << findings(*verification);
  }
}

}  // namespace
}  // namespace diptych
