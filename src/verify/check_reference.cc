#include <algorithm>
#include <cmath>

#include "base/half.h"
#include "host/model.h"
#include "numpy/npy.h"
#include "tools/predict.h"
#include "verify/check.h"

namespace diptych::verify {

namespace {

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

Result<std::vector<double>> numbers(const numpy::Array& array) {
  const numpy::Array wide = TRY(numpy::converted(array, DType::F64));
  std::vector<double> result(wide.data.size() / sizeof(double));
  for (size_t i = 0; i < result.size(); ++i)
    result[i] = load<double>(&wide.data[i * sizeof(double)]);
  return result;
}

}  // namespace

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
  numpy::Arrays inputs;
  std::vector<std::string> missing, surplus;
  std::vector<const host::Feature*> expected;
  for (const host::Feature& input : function->signature().inputs) {
    const auto found = arrays.find(input.name);
    if (found == arrays.end()) {
      missing.push_back(input.name);
    } else {
      inputs.emplace(input.name, found->second);
    }
  }
  for (const host::Feature& output : function->signature().outputs) {
    if (arrays.count(output.name) > 0) expected.push_back(&output);
  }
  for (const auto& [name, array] : arrays) {
    const bool is_output =
        std::any_of(expected.begin(), expected.end(),
                    [&](const host::Feature* output) { return output->name == name; });
    if (inputs.count(name) == 0 && !is_output) surplus.push_back(name);
  }
  if (!missing.empty() || !surplus.empty()) {
    return within<void>(
        options.reference,
        invalid_argument("inputs that are missing: {}; arrays that are neither inputs "
                         "nor outputs: {}",
                         listed(missing), listed(surplus)));
  }
  if (expected.empty()) return invalid_argument("{} has no expected output", options.reference);
  const tools::NamedArrays outputs = TRY(tools::predict(*function, inputs));
  double worst = 0;
  for (const auto& [name, found] : outputs) {
    const auto wanted = arrays.find(name);
    if (wanted == arrays.end()) continue;
    if (wanted->second.type.shape != found.type.shape) {
      report.find("output " + name, fmt::format("is {}, the reference {}", to_string(found.type),
                                                to_string(wanted->second.type)));
      continue;
    }
    const std::vector<double> one = TRY(numbers(found)), two = TRY(numbers(wanted->second));
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
