#include "golden_models.h"

#include <algorithm>
#include <cmath>

#include "base/file.h"
#include "base/json.h"
#include "generate/generator.h"
#include "generate/sampler.h"
#include "testing/npy.h"
#include "testing/shared_data.h"

namespace diptych::testing {

const std::vector<GoldenModel>& golden_models() {
  static const std::vector<GoldenModel> kModels = [] {
    std::vector<GoldenModel> models;
    const auto add = [&](const char* pte, const char* model, const char* variant,
                         const char* recording, int64_t max_context) -> GoldenModel& {
      GoldenModel golden;
      golden.pte = pte;
      golden.model = model;
      golden.variant = variant;
      golden.recording = recording;
      golden.max_context = max_context;
      golden.fp32 = golden.pte.find("fp32") != std::string::npos;
      golden.multifunction = golden.pte.find("multi") != std::string::npos;
      models.push_back(golden);
      return models.back();
    };
    add("st_multi_fp16_c4w_e80", "stories", "c4w_e80", "stories_c4w_e80_c32", 512);
    add("st_single_fp16_c4w_e80", "stories", "c4w_e80", "", 512);
    GoldenModel& fp16_none = add("st_multi_fp16_none", "stories", "fp16w", "", 512);
    fp16_none.linear = fp16_none.embedding = "none";
    fp16_none.input_len = 64;
    GoldenModel& fp32_none = add("st_multi_fp32_none", "stories", "fp32", "stories_fp32", 512);
    fp32_none.linear = fp32_none.embedding = "none";
    add("st_multi_fp16_c4w_e432", "stories", "c4w_e432", "stories_c4w_e432_c32", 512).embedding =
        "4,32";
    GoldenModel& split =
        add("st_multi_fp16_c4w_e80_split32m4", "stories", "c4w_e80", "stories_c4w_e80_c32", 512);
    split.target_split = 32;
    split.max_splits = 4;
    add("st_multi_fp16_c4w_e80_nobreaks", "stories", "c4w_e80", "stories_c4w_e80_c32", 512)
        .graph_breaks = false;
    add("gqau_multi_fp16_c4w_e80", "gqa_untied", "c4w_e80", "gqa_untied_c4w_e80_c32", 256);
    GoldenModel& b4w =
        add("gqau_multi_fp16_b4w_e432", "gqa_untied", "b4w_e432", "gqa_untied_b4w_e432_c32", 256);
    b4w.linear = "b4w";
    b4w.embedding = "4,32";
    add("gqau_single_fp16_c4w_e80", "gqa_untied", "c4w_e80", "", 256);
    GoldenModel& gqa_fp32 = add("gqau_multi_fp32_none", "gqa_untied", "fp32", "", 256);
    gqa_fp32.linear = gqa_fp32.embedding = "none";
    add("wide_multi_fp16_c4w_e80", "wide", "c4w_e80", "wide_c4w_e80_c32", 256);
    add("wide_single_fp16_c4w_e80", "wide", "c4w_e80", "", 256);
    add("qkn_multi_fp32_c4w_e80", "qknorm", "", "qknorm_fp32_c4w_e80_c32", 256);
    add("qkn_single_fp32_c4w_e80", "qknorm", "", "", 256);
    add("bias_multi_fp16_c4w_e80_nosplit", "bias_static", "c4w_e80", "", 256).target_split = 0;
    return models;
  }();
  return kModels;
}

namespace {

Result<std::vector<int64_t>> token_list(const Json& tokens, const std::string& key) {
  std::vector<int64_t> ids;
  for (const Json& id : *TRY(json_member(tokens, key))) ids.push_back(id.get<int64_t>());
  return ids;
}

Result<std::unique_ptr<generate::Session>> open_session(const std::string& path,
                                                        engine::Numerics numerics) {
  return generate::Session::create(TRY(runtime::Program::open(path, {numerics, 1})));
}

// Logits of every position of `sequence`, one token at a time.
Status compare_logits(generate::Session& session, const std::vector<int64_t>& sequence,
                      const std::vector<float>& expected, Agreement& agreement) {
  const auto vocab = static_cast<size_t>(session.model().vocab_size);
  double sum = agreement.mean_difference * static_cast<double>(agreement.positions) *
               static_cast<double>(vocab);
  double same = agreement.top1 * static_cast<double>(agreement.positions);
  for (size_t i = 0; i < sequence.size(); ++i) {
    const auto logits = TRY(session.evaluate(std::span(&sequence[i], 1)));
    const std::span<const float> wanted(&expected[i * vocab], vocab);
    for (size_t j = 0; j < vocab; ++j) {
      const double difference =
          std::abs(static_cast<double>(logits[j]) - static_cast<double>(wanted[j]));
      if (!(difference <= 1e30))
        return invalid_data("logit {} of position {} is {}", j, i, logits[j]);
      agreement.max_difference = std::max(agreement.max_difference, difference);
      sum += difference;
    }
    same += generate::argmax(logits) == generate::argmax(wanted);
  }
  agreement.positions += static_cast<int64_t>(sequence.size());
  agreement.top1 = same / static_cast<double>(agreement.positions);
  agreement.mean_difference =
      sum / static_cast<double>(agreement.positions) / static_cast<double>(vocab);
  return {};
}

// By how much the program prefers token `ours` to `theirs` after the prompt and `before`.
Result<double> preference(generate::Session& session, std::vector<int64_t> prompt,
                          std::span<const int64_t> before, int64_t ours, int64_t theirs) {
  prompt.insert(prompt.end(), before.begin(), before.end());
  const auto logits = TRY(session.evaluate(prompt));
  const auto last = logits.last(static_cast<size_t>(session.model().vocab_size));
  return static_cast<double>(last[static_cast<size_t>(ours)]) -
         static_cast<double>(last[static_cast<size_t>(theirs)]);
}

}  // namespace

Result<Agreement> compare_with_eager(const std::string& pte_path, const GoldenModel& golden,
                                     engine::Numerics numerics, const std::string& arithmetic) {
  const std::string eager = shared_data("golden/eager/" + golden.model);
  const Json tokens = TRY(parse_json(TRY(read_text_file(eager + "/tokens.json"))));
  const std::string variant = golden.variant == "fp32" ? "fp32" : golden.variant + "_" + arithmetic;
  Agreement agreement;
  for (const std::string prompt : {"p0", "p1"}) {
    auto session = TRY(open_session(pte_path, numerics));
    const auto expected = TRY(read_npy(fmt::format("{}/{}.{}_all.npy", eager, variant, prompt)));
    TRY(compare_logits(*session, TRY(token_list(tokens, prompt + "_sequence")), expected.floats(),
                       agreement));

    // Greedy ids count up to where upstream's own two arithmetics differ.
    const auto wanted = TRY(token_list(tokens, prompt + "_greedy." + variant));
    auto other = wanted;
    if (golden.variant != "fp32") {
      other = TRY(token_list(tokens, fmt::format("{}_greedy.{}_{}", prompt, golden.variant,
                                                 arithmetic == "c16" ? "c32" : "c16")));
    }
    auto agreed = std::mismatch(wanted.begin(), wanted.end(), other.begin(), other.end()).first -
                  wanted.begin();
    auto fresh = TRY(open_session(pte_path, numerics));
    generate::GenerateOptions options;
    options.max_tokens = static_cast<int64_t>(wanted.size());
    const auto start = TRY(token_list(tokens, prompt + "_prompt"));
    const auto generation = TRY(
        generate::generate(*fresh, start, options, [](const generate::Token&) { return true; }));
    const auto equal = std::mismatch(wanted.begin(), wanted.begin() + agreed,
                                     generation.tokens.begin(), generation.tokens.end())
                           .first -
                       wanted.begin();
    if (equal < agreed) {
      auto again = TRY(open_session(pte_path, numerics));
      const auto at = static_cast<size_t>(equal);
      const double by = TRY(preference(*again, start, std::span(wanted).first(at),
                                       generation.tokens[at], wanted[at]));
      if (by <= agreement.max_difference) agreed = equal;
    }
    agreement.greedy_equal += equal;
    agreement.greedy_expected += agreed;
  }
  return agreement;
}

}  // namespace diptych::testing
