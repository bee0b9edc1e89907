// A runner finds inputs and outputs by what the constant methods say. What they say is read beside
// the signatures (contract/reader.h); here is what the reader does not need.
#include <algorithm>

#include "contract/constants.h"
#include "pte/constant_method.h"
#include "verify/check.h"

namespace diptych::verify {

namespace {

bool has_constant(const pte::Program& file, const std::string& name) {
  const pte::Method* method = pte::find_method(file, name);
  return method != nullptr && pte::is_constant_method(*method);
}

void check_number(const pte::Program& file, const std::string& name, int64_t expected,
                  Report& report) {
  if (!has_constant(file, name)) return;
  const auto said = pte::constant_int(file, name);
  if (!said) {
    report.find("metadata " + name, said.error().to_string());
  } else if (*said != expected) {
    report.find("metadata " + name, fmt::format("says {}, the methods have {}", *said, expected));
  }
}

// Rows [K input, K output, V input, V output, C].
Status check_caches(const pte::Program& file, const contract::Description& model,
                    const contract::Function& function, Report& report) {
  const std::string name = contract::constant_name(function.method, contract::kCacheSpecs);
  if (!has_constant(file, name)) return {};
  const std::vector<int64_t> rows = TRY(pte::constant_ints(file, name));
  constexpr size_t kColumns = 5;
  const contract::Places& at = function.places;
  for (size_t row = 0; row * kColumns + kColumns <= rows.size(); ++row) {
    const int64_t* const said = &rows[row * kColumns];
    for (size_t layer = 0; layer < model.layers(); ++layer) {
      if (static_cast<int64_t>(at.key_inputs[layer]) != said[0]) continue;
      const int64_t expected[kColumns] = {said[0], static_cast<int64_t>(at.key_outputs[layer]),
                                          static_cast<int64_t>(at.value_inputs[layer]),
                                          static_cast<int64_t>(at.value_outputs[layer]),
                                          model.class_of(layer).cache_len};
      if (std::equal(said, said + kColumns, expected)) continue;
      report.find(fmt::format("metadata {}, layer {}", name, layer),
                  fmt::format("says {},{},{},{},{}, the method has {},{},{},{},{}", said[0],
                              said[1], said[2], said[3], said[4], expected[0], expected[1],
                              expected[2], expected[3], expected[4]));
    }
  }
  return {};
}

Status check_masks(const pte::Program& file, const contract::Description& model,
                   const contract::Function& function, Report& report) {
  const std::string name = contract::constant_name(function.method, contract::kMaskSpecs);
  if (!has_constant(file, name)) return {};
  const std::vector<int64_t> rows = TRY(pte::constant_ints(file, name));
  for (size_t i = 0; i < function.places.masks.size() && 2 * i + 1 < rows.size(); ++i) {
    for (size_t mask = 0; mask < function.places.masks.size(); ++mask) {
      if (static_cast<int64_t>(function.places.masks[mask]) != rows[2 * i]) continue;
      const int64_t length = model.classes[mask].cache_len;
      if (rows[2 * i + 1] == length) continue;
      report.find("metadata " + name,
                  fmt::format("says a cache of {}, the mask has {}", rows[2 * i + 1], length));
    }
  }
  return {};
}

}  // namespace

Status check_metadata(Subject& subject, Report& report, Progress&) {
  if (subject.opened.program == nullptr) {
    report.does_not_apply("a Core ML model carries none");
    return {};
  }
  const pte::Program& file = subject.opened.program->container();
  const contract::Description* model = subject.model();
  if (model == nullptr) {
    // A file that says that it is a language model should be one.
    const bool claims =
        std::any_of(file.methods.begin(), file.methods.end(), [](const pte::Method& method) {
          return method.name.ends_with(contract::kCacheSpecs) || method.name == "vocab_size" ||
                 method.name == "get_max_context_len";
        });
    if (claims) {
      report.find("", subject.opened.why_no_model);
    } else {
      report.does_not_apply(std::string(kNoLanguageModel));
    }
    return {};
  }
  for (const Error& error : subject.opened.broken_adapters) report.find("", error.to_string());
  check_number(file, "vocab_size", model->vocab_size, report);
  check_number(file, "head_dim", model->head_dim, report);
  check_number(file, "n_heads_per_cache", model->kv_heads, report);
  check_number(file, "get_max_context_len", model->max_context, report);
  for (const contract::Function& function : model->functions) {
    check_number(file, contract::constant_name(function.method, "input_len"),
                 function.method.tokens, report);
    TRY(check_caches(file, *model, function, report));
    TRY(check_masks(file, *model, function, report));
  }
  report.note(fmt::format("{} methods, {} layers, vocabulary of {}", model->functions.size(),
                          model->layers(), model->vocab_size));
  return {};
}

}  // namespace diptych::verify
