#include "tools/predict.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/in_quotes.h"
#include "base/json.h"

namespace diptych::tools {
namespace {

// "x: fp32[2,3]" for each.
std::vector<std::string> listed(const std::vector<host::Feature>& features) {
  std::vector<std::string> list;
  for (const auto& feature : features) {
    const std::string_view note = feature.optional ? " (optional)" : "";
    list.push_back(fmt::format("{}: {}{}", feature.name, to_string(feature.type), note));
  }
  return list;
}

Status check_names(const std::vector<host::Feature>& features, const numpy::Arrays& inputs) {
  std::vector<std::string> missing, surplus, problems;
  for (const auto& feature : features) {
    if (!feature.optional && !inputs.contains(feature.name)) {
      missing.push_back(in_quotes(feature.name));
    }
  }
  for (const auto& [name, array] : inputs) {
    const bool known = std::any_of(features.begin(), features.end(),
                                   [&, &wanted = name](const auto& f) { return f.name == wanted; });
    if (!known) surplus.push_back(in_quotes(name));
  }
  if (!missing.empty()) {
    problems.push_back(fmt::format("no array for input{} {}", missing.size() == 1 ? "" : "s",
                                   fmt::join(missing, ", ")));
  }
  if (!surplus.empty()) {
    problems.push_back(
        surplus.size() == 1
            ? fmt::format("an array for {}, which is no input", surplus.front())
            : fmt::format("arrays for {}, which are no inputs", fmt::join(surplus, ", ")));
  }
  if (problems.empty()) return {};
  return tl::unexpected(Error{ErrorCode::InvalidArgument,
                              {},
                              fmt::format("{}; the function takes", fmt::join(problems, "; ")),
                              listed(features)});
}

Result<numpy::Array> fitted(const host::Feature& feature, const numpy::Array& given) {
  const auto one = [](const Shape& shape) {
    return std::all_of(shape.begin(), shape.end(), [](int64_t n) { return n == 1; });
  };
  if (given.type.shape != feature.type.shape &&
      !(one(given.type.shape) && one(feature.type.shape))) {
    return invalid_argument("expected {}, found {}", to_string(feature.type),
                            to_string(given.type));
  }
  numpy::Array array = TRY(numpy::converted(given, feature.type.dtype));
  array.type.shape = feature.type.shape;
  return array;
}

// The class that an output is the number of; nothing for other outputs.
const std::string* class_of(const std::string& name, const numpy::Array& array,
                            const host::Signature& signature) {
  if (!signature.classes || name != signature.classes->label) return nullptr;
  const auto number = static_cast<size_t>(load<int32_t>(array.data.data()));
  return number < signature.classes->names.size() ? &signature.classes->names[number] : nullptr;
}

}  // namespace

Result<std::vector<double>> doubles(const numpy::Array& array) {
  const auto wide = TRY(numpy::converted(array, DType::F64));
  std::vector<double> values(wide.data.size() / sizeof(double));
  // (Pointers to nothing may be null, which memcpy must not be given.)
  if (!values.empty()) std::memcpy(values.data(), wide.data.data(), wide.data.size());
  return values;
}

namespace {

// What a probability of each class is, by its name.
Json by_class(const numpy::Array& array, const coreml::Classes& classes) {
  Json all = Json::object();
  const auto values = doubles(array).value_or(std::vector<double>());
  for (size_t i = 0; i < std::min(values.size(), classes.names.size()); ++i) {
    all[classes.names[i]] = std::isfinite(values[i]) ? Json(values[i]) : Json();
  }
  return all;
}

}  // namespace

Result<NamedArrays> predict(host::Function& function, const numpy::Arrays& inputs) {
  const host::Signature& types = function.signature();
  TRY(check_names(types.inputs, inputs));
  std::vector<numpy::Array> given;
  given.reserve(types.inputs.size());  // bound where they are
  for (size_t i = 0; i < types.inputs.size(); ++i) {
    const host::Feature& feature = types.inputs[i];
    const auto array = inputs.find(feature.name);
    if (array == inputs.end()) {
      TRY(function.bind_input(i, {}));
      continue;
    }
    const auto where = [&] { return "input " + in_quotes(feature.name); };
    given.push_back(TRY(within(where, fitted(feature, array->second))));
    TRY(function.bind_input(i, given.back().data));
  }
  NamedArrays results;
  results.reserve(types.outputs.size());
  for (size_t i = 0; i < types.outputs.size(); ++i) {
    const host::Feature& feature = types.outputs[i];
    numpy::Array array{feature.type, {}};
    array.data.resize(TRY(packed_size(feature.type)));
    results.emplace_back(feature.name, std::move(array));
    TRY(function.bind_output(i, results.back().second.data));
  }
  TRY(function.run());
  return results;
}

std::string to_text(const NamedArrays& outputs, const host::Signature& signature) {
  constexpr size_t kShown = 8;
  std::string text;
  for (const auto& [name, array] : outputs) {
    if (const std::string* found = class_of(name, array, signature)) {
      text +=
          fmt::format("{}: {}\n", name, signature.classes->integers ? *found : in_quotes(*found));
      continue;
    }
    text += fmt::format("{}: {}", name, to_string(array.type));
    const auto values = doubles(array).value_or(std::vector<double>());
    if (!values.empty()) {
      const auto [low, high] = std::minmax_element(values.begin(), values.end());
      text += fmt::format(", {:g} to {:g}\n ", *low, *high);
      for (const double value : std::span(values).first(std::min(values.size(), kShown))) {
        text += fmt::format(" {:g}", value);
      }
      if (values.size() > kShown) text += fmt::format(" … and {} more", values.size() - kShown);
    }
    text += '\n';
  }
  return text;
}

std::string to_json_text(const NamedArrays& outputs, const host::Signature& signature) {
  Json all = Json::object();
  for (const auto& [output, array] : outputs) {
    if (const std::string* found = class_of(output, array, signature)) {
      all[output] = signature.classes->integers ? Json(std::stoll(*found)) : Json(*found);
      continue;
    }
    if (signature.classes && output == signature.classes->probabilities) {
      all[output] = by_class(array, *signature.classes);
      continue;
    }
    Json data = Json::array();
    if (is_integer(array.type.dtype)) {
      const auto signed_ones = numpy::converted(array, DType::Int64);
      const auto& wide = signed_ones ? *signed_ones : array;  // uint64 beyond
      for (size_t at = 0; at < wide.data.size(); at += sizeof(int64_t)) {
        if (signed_ones) {
          data.push_back(load<int64_t>(&wide.data[at]));
        } else {
          data.push_back(load<uint64_t>(&wide.data[at]));
        }
      }
    } else {
      for (const double value : doubles(array).value_or(std::vector<double>())) {
        data.push_back(std::isfinite(value) ? Json(value) : Json());
      }
    }
    all[output] = {{"dtype", std::string(name(array.type.dtype))},
                   {"shape", array.type.shape},
                   {"data", std::move(data)}};
  }
  return dump_json(all) + "\n";
}

}  // namespace diptych::tools
