// Reference artefacts that are not part of the repository. They are looked for in
// $DIPTYCH_SHARED or in ../shared beside the checkout; tests that need them skip with a notice.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace diptych::testing {

// The path of a file or folder under shared/data, or "" when it is not there.
std::string shared_data(const std::string& relative);

// A folder of this test process for its files, removed when the process ends.
std::string temporary_directory();

// The path of a file in the repository ("demo/params.json").
std::string source_path(const std::string& relative);

// Skips the current test, with a notice, when a shared path is absent.
#define DIPTYCH_SKIP_WITHOUT_SHARED(relative)                            \
  if (::diptych::testing::shared_data(relative).empty())                 \
  GTEST_SKIP() << "reference data not found: shared/data/" << (relative) \
               << " (set DIPTYCH_SHARED to the folder that holds data/)"

// Expects success and says the error when there is one.
#define ASSERT_OK(...)                                                             \
  do {                                                                             \
    const auto& diptych_status = (__VA_ARGS__);                                    \
    ASSERT_TRUE(diptych_status.has_value()) << diptych_status.error().to_string(); \
  } while (0)

}  // namespace diptych::testing
