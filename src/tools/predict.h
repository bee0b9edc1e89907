// One call of a function of a model, with arrays by name.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "host/model.h"
#include "numpy/npy.h"

namespace diptych::tools {

// Outputs in the function's order.
using NamedArrays = std::vector<std::pair<std::string, numpy::Array>>;

// Inputs may have other element types than the function's, where every element can be converted.
// An input of one element may have any shape of one element. Errors: InvalidArgument that
// names all inputs that are missing and arrays that are surplus, with the inputs that there are,
// before anything is computed.
Result<NamedArrays> predict(host::Function& function, const numpy::Arrays& inputs);

// The elements as doubles, which is exact for all but long integers.
Result<std::vector<double>> doubles(const numpy::Array& array);

// The outputs of a function of that signature, as predict() gives them.
// For people: each output's name, type and range, and its first elements; the class of a
// classifier.
std::string to_text(const NamedArrays& outputs, const host::Signature& signature);
// For machines: {"name": {"dtype": …, "shape": […], "data": […]}}, elements in row-major order.
// What is not finite is null. Of a classifier {"label": class, "probabilities": {class: number}}.
std::string to_json_text(const NamedArrays& outputs, const host::Signature& signature);

}  // namespace diptych::tools
