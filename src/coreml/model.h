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

// iOS 18 and macOS 15: the first with int4 and block-wise scales.
inline constexpr int32_t kSpecificationVersion = 9;
// What the function of a model without a list of functions is called.
inline constexpr std::string_view kMainFunction = "main";

struct Model {
  int32_t specification_version = kSpecificationVersion;
  mil::Program program;  // functions in the order of the description
  // True when the description lists functions; false for a model with one unlisted function.
  bool multifunction = false;
  std::string default_function;
  std::map<std::string, std::string> metadata;  // user-defined
};

// Reads the contents of a .mlmodel file; constants that are not in it come from `weights`.
//
// Constants may be immediate or in the weight file at any size; `const` operations and immediate
// operands both become constant values, the latter named "<result>_<parameter>" (and "_<index>"
// when there are several). Operands are in the order of the op table. Unsupported features are
// listed in one error (model_support.h); operations outside the op table are kept. The program has
// passed mil::verify. Functions are read side by side on `pool`, if one is given.
Result<Model> read_model(Bytes mlmodel, WeightFile& weights, ThreadPool* pool = nullptr);

// A model ready to be written: the bytes of the .mlmodel, and the weight file that goes with it.
struct SerializedModel {
  std::string mlmodel;
  WeightFileBuilder weights;

  // Determined by the model and the contents of its weights.
  Digest digest(DigestCache& cache) const;
};

// Serialises a program. One function gives a model without a list of functions, whose function is
// called "main" whatever its name here; several give a list in program order, the first being the
// default. The same program gives the same bytes.
//
// Constants of ten elements or more go to the weight file (where it knows their type), a WeightRef
// once. Operations of dialects of our own (with a '.' in the type) are an error, as are inputs and
// outputs of types Core ML cannot pass.
Result<SerializedModel> write_model(const mil::Program& program);

}  // namespace diptych::coreml
