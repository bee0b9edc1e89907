// Computing a token allocates no memory: counted by counting_allocator.h.
#include <gtest/gtest.h>

#include "counting_allocator.h"
#include "exporter/export.h"
#include "generate/sampler.h"
#include "generate/session.h"
#include "measure/profile.h"
#include "testing/shared_data.h"

namespace diptych {
namespace {

class Allocations : public ::testing::TestWithParam<engine::Numerics> {};

// With an observer or without.
void expect_no_allocations(engine::Numerics numerics, engine::RunObserver* observer) {
  exporter::Options options;
  options.max_context_len = 64;
  options.input_len = 16;
  options.multifunction = true;
  const std::string path = testing::temporary_directory() + "/allocations.pte";
  Progress silent;
  ASSERT_OK(exporter::export_files(testing::source_path("demo/model.pth"),
                                   testing::source_path("demo/params.json"), path, options,
                                   silent));
  runtime::Options runtime_options;
  runtime_options.numerics = numerics;
  runtime_options.threads = 2;
  auto program = runtime::Program::open(path, runtime_options);
  ASSERT_OK(program);
  auto session = generate::Session::create(std::move(*program));
  ASSERT_OK(session);
  (*session)->observe(observer);
  std::vector<int64_t> prompt(20, 1);
  ASSERT_OK((*session)->evaluate(prompt));
  // The first tokens make buffers that stay.
  int64_t token = 1;
  for (int i = 0; i < 24; ++i) {
    const int64_t before = testing::allocations();
    const auto logits = (*session)->evaluate(std::span(&token, 1));
    const int64_t after = testing::allocations();
    ASSERT_OK(logits);
    token = generate::argmax(*logits);
    // Any thread of the pool may compute its first share late.
    if (i >= 16) {
      EXPECT_EQ(after - before, 0) << "token " << i;
    }
  }
}

TEST_P(Allocations, NoneWhileATokenIsComputed) { expect_no_allocations(GetParam(), nullptr); }

TEST_P(Allocations, NoneWhileATokenIsProfiled) {
  measure::Profiler profiler(1000);
  expect_no_allocations(GetParam(), &profiler);
  EXPECT_EQ(profiler.events().size(), 1000U);
  EXPECT_GT(profiler.dropped(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Numerics, Allocations,
                         ::testing::Values(engine::Numerics::Typed, engine::Numerics::Precise,
                                           engine::Numerics::Fast),
                         [](const auto& numerics) {
                           return std::string(engine::name(numerics.param));
                         });

}  // namespace
}  // namespace diptych
