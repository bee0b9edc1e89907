#include <algorithm>
#include <cmath>

#include "host/model.h"
#include "numpy/npy.h"
#include "tools/predict.h"
#include "verify/check.h"

namespace diptych::verify {

Status check_reference(Subject& subject, Report& report, Progress&) {
  const Options& options = *subject.options;
  if (options.reference.empty()) {
    report.does_not_apply("no reference is named");
    return {};
  }
  const numpy::Arrays arrays = TRY(numpy::read_npz(options.reference));
  const auto model =
      TRY(host::Model::open(subject.path, {engine::Numerics::Precise, options.threads}));
  const auto function = TRY(model->load(options.function));
  const host::Signature& types = function->signature();
  const auto has = [](const std::vector<host::Feature>& features, const std::string& name) {
    return std::any_of(features.begin(), features.end(),
                       [&](const host::Feature& feature) { return feature.name == name; });
  };
  // What is no expected output is to be an input.
  numpy::Arrays inputs, expected;
  for (const auto& [name, array] : arrays) {
    if (has(types.outputs, name)) expected.emplace(name, array);
    if (!has(types.outputs, name) || has(types.inputs, name)) inputs.emplace(name, array);
  }
  if (expected.empty()) return invalid_argument("{} has no expected output", options.reference);
  const tools::NamedArrays outputs =
      TRY(within(options.reference, tools::predict(*function, inputs)));
  double worst = 0;
  for (const auto& [name, found] : outputs) {
    const auto wanted = expected.find(name);
    if (wanted == expected.end()) continue;
    if (wanted->second.type.shape != found.type.shape) {
      report.find("output " + name, fmt::format("is {}, the reference {}", to_string(found.type),
                                                to_string(wanted->second.type)));
      continue;
    }
    const std::vector<double> one = TRY(tools::doubles(found)),
                              two = TRY(tools::doubles(wanted->second));
    double difference = 0, norm = 0, largest = 0;
    size_t at = 0;
    bool broken = false;
    for (size_t i = 0; i < one.size(); ++i) {
      if (one[i] == two[i] || (std::isnan(one[i]) && std::isnan(two[i]))) {
        if (std::isfinite(two[i])) norm += two[i] * two[i];
        continue;
      }
      const double off = std::fabs(one[i] - two[i]);
      broken = broken || !std::isfinite(off);
      difference += off * off;
      norm += two[i] * two[i];
      if (off > largest) {
        largest = off;
        at = i;
      }
    }
    const double relative = broken ? INFINITY : std::sqrt(difference / std::max(norm, 1e-30));
    if (std::isfinite(relative)) worst = std::max(worst, relative);
    if (relative <= options.tolerance) continue;
    report.find("output " + name,
                fmt::format("is {:.3g} % from the reference, most at element {}: {} "
                            "for {}",
                            100 * relative, at, one[at], two[at]),
                relative);
  }
  report.note(fmt::format("{} outputs, {:.2g} apart at most", expected.size(), worst));
  return {};
}

}  // namespace diptych::verify
