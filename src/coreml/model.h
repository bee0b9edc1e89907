// A Core ML model (ML Program) in memory, and how it is read and written.
//
// The interface of a function is that of its mil::Function: inputs and outputs by name, in order,
// with their types. The file's own description of it is checked against the program when read and
// derived from it when written.
#pragma once

#include <map>
#include <string>

#include "coreml/weight_file.h"
#include "mil/ir.h"

namespace diptych::coreml {

// Of iOS 18 and macOS 15, the first with int4 and block-wise scales.
inline constexpr int32_t kSpecificationVersion = 9;
// The name of the function in a model without a list of functions.
inline constexpr std::string_view kMainFunction = "main";

// What a function with the operation classify tells apart. The program itself knows classes by
// their numbers: `label` is an output of type int32, the number of the likeliest, `probabilities`
// one of as many floats as there are classes.
struct Classes {
  std::vector<std::string> names;
  bool integers = false;  // the names are decimal numbers
  std::string label, probabilities;
};

struct Model {
  int32_t specification_version = kSpecificationVersion;
  mil::Program program;  // functions in the order of the description
  // True when the description lists functions; false for a model with one unlisted function.
  bool multifunction = false;
  std::string default_function;
  // Of optional inputs, by function and name: the value of all elements where none is given. Not
  // written.
  std::map<std::string, std::map<std::string, double>> defaults;
  // Of functions that classify, by their names. Not written.
  std::map<std::string, Classes> classes;
  std::map<std::string, std::string> metadata;  // user-defined
};

// Reads the contents of a .mlmodel file. Constants that are not in it come from `weights`.
//
// On success the program has passed mil::verify. `const` operations and immediate operands become
// constant values; the latter are named "<result>_<parameter>" (and "_<index>" when there are
// several). Constants of any size may be immediate or in the weight file. Operands are in the order
// of the op table; operations outside the table are kept. Functions are read side by side on
// `pool`, if one is given. Errors: Unsupported, with a list of all unsupported features
// (model_support.h).
Result<Model> read_model(Bytes mlmodel, WeightFile& weights, ThreadPool* pool = nullptr);

// A model ready to be written: the bytes of the .mlmodel, and the weight file that goes with it.
struct SerializedModel {
  std::string mlmodel;
  WeightFileBuilder weights;

  // A digest of the model and of the contents of its weights.
  Digest digest(DigestCache& cache) const;
};

// Serialises a program. One function gives a model without a list of functions, and is called
// "main" whatever its name here. Several functions give a list in program order, whose first is the
// default. The same program gives the same bytes.
//
// Constants of ten elements or more go to the weight file if it has a code for their type; each
// WeightRef is stored once. Errors: operations of our own dialect (with a '.' in the type); inputs
// and outputs of types that Core ML cannot pass.
Result<SerializedModel> write_model(const mil::Program& program);

}  // namespace diptych::coreml
