#include <algorithm>

#include "tools/sharing.h"
#include "verify/check.h"

namespace diptych::verify {

Status check_sharing(Subject& subject, Report& report, Progress&) {
  const auto& packages = subject.inspection.packages;
  const bool several = std::any_of(packages.begin(), packages.end(), [](const auto& package) {
    return package.functions.size() > 1;
  });
  if (!several) {
    report.does_not_apply("no package has several functions");
    return {};
  }
  const tools::Sharing sharing = tools::sharing_of(subject.inspection);
  uint64_t twice = 0;
  for (const tools::FileWeight& weight : sharing.weights) {
    // Packages on their own cannot share.
    if (weight.why != tools::Unshared::SameContents ||
        packages[weight.package].functions.size() < 2) {
      continue;
    }
    twice += weight.bytes;
    report.find(fmt::format("package {}, '{}' of {}", weight.package, weight.name,
                            weight.functions.front()),
                fmt::format("its {} bytes are those of {}", weight.bytes, weight.twin));
  }
  report.note(fmt::format("{} bytes of weights, {} twice", sharing.bytes, twice));
  return {};
}

}  // namespace diptych::verify
