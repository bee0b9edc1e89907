// Upstream's golden programs and what its eager model says on the same weights: the table that
// end-to-end tests walk through.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/numerics.h"
#include "generate/session.h"

namespace diptych::testing {

struct GoldenModel {
  std::string pte;      // name under golden/pte, without extension
  std::string model;    // folder under golden/models and golden/eager
  std::string variant;  // prefix of the eager logits: "c4w_e80"; fp32 files use fp32 arithmetic
  bool fp32 = false;
  std::string recording;  // under golden/protocol, "" when there is none
  // What an export of ours must be told to make the like.
  int64_t max_context = 256, input_len = 32;
  std::string linear = "c4w", embedding = "8,0";
  bool multifunction = true, graph_breaks = true;
  int64_t target_split = 1024, max_splits = 8;
};

const std::vector<GoldenModel>& golden_models();

// How GoogleTest names a parameter.
inline void PrintTo(const GoldenModel& golden, std::ostream* out) { *out << golden.pte; }

// How a program's logits differ from the eager model's over the golden sequences.
struct Agreement {
  double max_difference = 0, mean_difference = 0;
  double top1 = 0;  // fraction of positions
  int64_t positions = 0;
  int64_t greedy_equal = 0;  // greedy tokens equal to the golden ones
  // Up to where upstream's own fp16 and fp32 arithmetic part ways, or the program chooses between
  // tokens that are closer to one another than its logits were to upstream's.
  int64_t greedy_expected = 0;
};

// Runs both golden prompts of a model through the program: all logits by teacher forcing and the
// greedy continuation. `arithmetic` is "c16" or "c32": which eager logits to compare with.
Result<Agreement> compare_with_eager(const std::string& pte_path, const GoldenModel& golden,
                                     engine::Numerics numerics, const std::string& arithmetic);

}  // namespace diptych::testing
