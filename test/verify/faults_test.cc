// Faults planted one at a time in good files: verify finds each, in the check that is for it, and
// names the place.
#include "faults.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "surgery.h"
#include "testing/shared_data.h"
#include "verify/verify.h"

namespace diptych {
namespace {

using testing::Fault;
using testing::File;
using testing::Surgery;

std::string told(const verify::Verification& verification) {
  std::string text;
  for (const verify::CheckResult& check : verification.checks) {
    for (const verify::Finding& finding : check.findings) {
      text += fmt::format("  {}: {}: {}\n", check.check, finding.place, finding.what);
    }
  }
  return text;
}

verify::Options with_source(File file) {
  verify::Options options;
  options.source = testing::source_of(file);
  const std::string adapter = testing::adapter_of(file);
  if (!adapter.empty()) options.adapters = {{"tone", adapter}};
  return options;
}

TEST(Faults, EachIsFoundAtItsPlace) {
  Progress silent;
  size_t planted = 0;
  for (const Fault& fault : testing::faults()) {
    SCOPED_TRACE(fault.name);
    const auto verification =
        verify::verify(testing::planted(fault),
                       fault.with_source ? with_source(fault.file) : verify::Options(), silent);
    ASSERT_OK(verification);
    EXPECT_TRUE(verification->failed());
    const bool found = std::any_of(
        verification->checks.begin(), verification->checks.end(),
        [&](const verify::CheckResult& check) {
          return check.check == fault.check &&
                 std::any_of(check.findings.begin(), check.findings.end(),
                             [&](const verify::Finding& finding) {
                               return finding.place.find(fault.place) != std::string::npos;
                             });
        });
    EXPECT_TRUE(found) << "expected " << fault.check << " at " << fault.place << ", found\n"
                       << told(*verification);
    ++planted;
  }
  EXPECT_GE(planted, 25u);
}

TEST(Faults, SurgeryWithoutAFaultIsClean) {
  for (const File file :
       {File::Several, File::Single, File::Unquantised, File::WithTokenizer, File::Adapted}) {
    auto surgery = Surgery::open(testing::good_file(file));
    ASSERT_OK(surgery);
    ASSERT_OK(surgery->edit([](mil::Function&) {}));
    const std::string path = testing::temporary_directory() + "/same.pte";
    ASSERT_OK(surgery->save(path));
    Progress silent;
    const auto verification = verify::verify(path, with_source(file), silent);
    ASSERT_OK(verification);
    EXPECT_FALSE(verification->failed()) << told(*verification);
  }
}

TEST(Faults, TheSourceOfAnotherModelIsNamedByItsShapes) {
  Progress silent;
  verify::Options options;
  options.source = testing::source_path("demo/model.pth");
  const auto verification = verify::verify(testing::good_file(File::Several), options, silent);
  ASSERT_OK(verification);
  EXPECT_TRUE(verification->failed());
  EXPECT_NE(told(*verification).find("another model"), std::string::npos);
}

}  // namespace
}  // namespace diptych
