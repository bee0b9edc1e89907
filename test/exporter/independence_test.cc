// "A row's bits do not depend on its company" (docs/engine.md): the logits after a token are the
// same to the bit whether its predecessors come one by one or in chunks of any size, after a
// rewind, in a prompt's function or that of decoding, and as rows of a tree of drafts.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>

#include "exporter/export.h"
#include "generate/session.h"
#include "kernels/isa.h"
#include "testing/shared_data.h"
#include "tools/synth.h"

namespace diptych {
namespace {

constexpr int64_t kContext = 192, kRows = 32;
constexpr size_t kTokens = 170;  // beyond what the cache holds: the last ones make a tail

struct Subject {
  const char* name;
  const char* shape;   // of a random model
  const char* linear;  // exporter::linear_from_text()
  DType dtype;
};

constexpr Subject kSubjects[] = {
    {"c4w", "dim=128,layers=2,heads=4,kv_heads=2,hidden=256,vocab=512", "c4w", DType::F16},
    {"c8w", "dim=96,layers=2,heads=6,kv_heads=2,hidden=160,vocab=300", "c8w", DType::F16},
    {"b4w", "dim=192,layers=2,heads=3,kv_heads=1,hidden=256,vocab=300,qk_norm=1", "b4w",
     DType::F16},
    {"fp16", "dim=80,layers=2,heads=4,kv_heads=4,hidden=112,vocab=288,qkv_bias=1", "none",
     DType::F16},
    {"fp32", "dim=64,layers=2,heads=2,kv_heads=1,hidden=96,vocab=288", "none", DType::F32},
    // Windows that are shorter than a prompt's chunk, and longer; the first layer sees all.
    {"window", "dim=128,layers=2,heads=4,kv_heads=2,hidden=128,vocab=288,window=24,full_layers=1",
     "c8w", DType::F16},
    {"windows", "dim=64,layers=2,heads=2,kv_heads=1,hidden=96,vocab=288,window=40", "none",
     DType::F32},
};

void PrintTo(const Subject& subject, std::ostream* out) { *out << subject.name; }

using Logits = std::vector<float>;

class Independence : public ::testing::TestWithParam<std::tuple<Subject, engine::Numerics>> {
 protected:
  void SetUp() override {
    std::mt19937 random(5);
    for (int64_t& token : tokens_) token = static_cast<int64_t>(random() % 288);
  }

  static Result<std::string> file(bool multifunction) {
    const Subject& subject = std::get<0>(GetParam());
    const std::string folder = testing::temporary_directory() + "/" + subject.name;
    tools::SynthOptions synth;
    synth.shape = subject.shape;
    synth.directory = folder;
    synth.force = true;
    ThreadPool pool(1);
    Progress silent;
    const tools::SynthReport made = TRY(tools::synth(synth, pool, silent));
    exporter::Options options;
    options.max_context_len = kContext;
    options.input_len = kRows;
    options.dtype = subject.dtype;
    options.linear = TRY(exporter::linear_from_text(subject.linear));
    options.multifunction = multifunction;
    const std::string path = folder + (multifunction ? "/multi.pte" : "/single.pte");
    TRY(exporter::export_files(made.checkpoint, made.params, path, options, silent));
    return path;
  }

  static Result<std::unique_ptr<generate::Session>> session(bool multifunction) {
    runtime::Options options;
    options.numerics = std::get<1>(GetParam());
    options.threads = 2;
    return generate::Session::create(
        TRY(runtime::Program::open(TRY(file(multifunction)), options)));
  }

  // The logits after each token, evaluated one by one.
  Result<std::vector<Logits>> one_by_one(generate::Session& session) const {
    std::vector<Logits> all;
    for (const int64_t& token : tokens_) {
      const auto logits = TRY(session.evaluate(std::span(&token, 1)));
      all.emplace_back(logits.begin(), logits.end());
    }
    session.rewind(0);
    return all;
  }

  static void expect_same(std::span<const float> logits, const Logits& expected,
                          const std::string& what) {
    ASSERT_EQ(logits.size(), expected.size()) << what;
    ASSERT_EQ(std::memcmp(logits.data(), expected.data(), logits.size_bytes()), 0) << what;
  }

  // Chunks of random size with rewinds between them.
  void expect_same_in_chunks(generate::Session& session, const std::vector<Logits>& expected) {
    std::mt19937 random(7);
    for (int i = 0; i < 40; ++i) {
      const auto at = static_cast<size_t>(session.position());
      if (at == kTokens || random() % 4 == 0) {
        session.rewind(static_cast<int64_t>(random() % (at + 1)));
        continue;
      }
      const size_t count = 1 + random() % std::min<size_t>(kTokens - at, 70);
      const auto logits = session.evaluate(std::span(tokens_).subspan(at, count));
      ASSERT_OK(logits);
      expect_same(*logits, expected[at + count - 1],
                  fmt::format("tokens {} to {} in one call", at, at + count - 1));
    }
  }

  std::array<int64_t, kTokens> tokens_ = {};
};

TEST_P(Independence, OfChunksAndRewinds) {
  for (const bool multifunction : {false, true}) {
    auto session = this->session(multifunction);
    ASSERT_OK(session);
    const auto expected = one_by_one(**session);
    ASSERT_OK(expected);
    ASSERT_NO_FATAL_FAILURE(expect_same_in_chunks(**session, *expected)) << multifunction;
  }
}

TEST_P(Independence, OfTheFormOfTheFile) {
  auto single = session(false), multi = session(true);
  ASSERT_OK(single);
  ASSERT_OK(multi);
  const auto a = one_by_one(**single), b = one_by_one(**multi);
  ASSERT_OK(a);
  ASSERT_OK(b);
  for (size_t i = 0; i < kTokens; ++i) {
    ASSERT_NO_FATAL_FAILURE(expect_same((*a)[i], (*b)[i], fmt::format("token {}", i)));
  }
}

// Trees: each row continues an earlier one, or what the cache holds, with a token of its own.
TEST_P(Independence, OfTheOtherRowsOfATree) {
  auto session = this->session(false);
  ASSERT_OK(session);
  std::mt19937 random(11);
  for (const size_t cached : {0, 1, 31, 63, 64, 100, 127}) {
    (*session)->rewind(0);
    if (cached > 0) ASSERT_OK((*session)->evaluate(std::span(tokens_).first(cached)));
    generate::Session::Rows rows;
    rows.used = kRows;
    rows.visible.assign(kRows * kRows, 0);
    std::vector<std::vector<int64_t>> paths;  // of each row: its tokens since the cache
    for (size_t row = 0; row < kRows; ++row) {
      const size_t parent = random() % (row + 1);  // row itself: none
      std::vector<int64_t> path;
      if (parent < row) {
        path = paths[parent];
        std::copy_n(&rows.visible[parent * kRows], kRows, &rows.visible[row * kRows]);
      }
      path.push_back(static_cast<int64_t>(random() % 288));
      rows.visible[row * kRows + row] = 1;
      rows.tokens.push_back(path.back());
      rows.positions.push_back(static_cast<int64_t>(cached + path.size()) - 1);
      paths.push_back(std::move(path));
    }
    const auto span = (*session)->evaluate_rows(rows);
    ASSERT_OK(span);
    const Logits logits(span->begin(), span->end());
    const size_t vocab = logits.size() / kRows;
    for (size_t row = 0; row < kRows; ++row) {
      std::span<const float> alone;
      for (const int64_t& token : paths[row]) {
        const auto next = (*session)->evaluate(std::span(&token, 1));
        ASSERT_OK(next);
        alone = *next;
      }
      ASSERT_NO_FATAL_FAILURE(expect_same(
          alone, Logits(logits.begin() + row * vocab, logits.begin() + (row + 1) * vocab),
          fmt::format("row {} after {}", row, cached)));
      (*session)->rewind(static_cast<int64_t>(cached));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Independence,
                         ::testing::Combine(::testing::ValuesIn(kSubjects),
                                            ::testing::Values(engine::Numerics::Typed,
                                                              engine::Numerics::Precise,
                                                              engine::Numerics::Fast)),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param).name) + "_" +
                                  std::string(engine::name(std::get<1>(test.param)));
                         });

}  // namespace
}  // namespace diptych

// Run once for each instruction set; status 77, skipped, where the machine lacks it.
int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (const auto isa = diptych::kernels::configured_isa(); !isa) {
    fmt::print("skipped: {}\n", isa.error().to_string());
    return 77;
  }
  return RUN_ALL_TESTS();
}
