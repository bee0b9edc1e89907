// Models as other programs call them: functions with named inputs and outputs, whatever the file.
//
//   a .mlpackage or .mlmodelc directory, a .mlmodel   its functions and their features, by name
//   a .pte                                            its methods; values are "input_0", "input_1"
//   …
//                                                     and "output_0" …
// What a function takes and gives are packed elements of exactly the types that the file declares.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "coreml/model.h"
#include "engine/numerics.h"
#include "tensor/type.h"

namespace diptych::host {

struct Options {
  engine::Numerics numerics = engine::Numerics::Precise;
  int threads = 0;  // 0: ThreadPool::default_threads()
};

// An input or output of a function.
struct Feature {
  std::string name;
  TensorType type;
  bool optional = false;  // an input that has a default value
};
struct Signature {
  std::vector<Feature> inputs, outputs;
  // Of a classifier, whose outputs are told apart by these names.
  std::optional<coreml::Classes> classes;
};

// One caller's use of a function. Mutable; one thread at a time. Keeps its model alive.
class Function {
 public:
  virtual ~Function() = default;

  const Signature& signature() const { return signature_; }

  // Binds the caller's memory, which may lie at any address and must stay valid for later runs.
  // Errors: InvalidArgument when there is no such input or output, or for another size than the
  // packed tensor's.
  // An optional input has its default value until data are bound, and again when none are: {}.
  virtual Status bind_input(size_t index, Bytes data) = 0;
  virtual Status bind_output(size_t index, MutableBytes data) = 0;

  // Computes the outputs from the inputs. Errors: InvalidArgument when something is not bound; what
  // the function fails with on these data, such as an index out of range.
  virtual Status run() = 0;

 protected:
  explicit Function(Signature signature) : signature_(std::move(signature)) {}

 private:
  Signature signature_;
};

// An opened file. Immutable; share it between threads.
class Model {
 public:
  // Errors: NotFound, and what the file's reader refuses: Unsupported with a list of all features
  // of a Core ML model that diptych lacks.
  static Result<std::shared_ptr<const Model>> open(const std::string& path,
                                                   const Options& options = {});
  virtual ~Model() = default;

  // In the file's order, and the one that is meant when none is named. At least one.
  virtual std::vector<std::string> functions() const = 0;
  virtual std::string default_function() const = 0;
  // Core ML's specification version; 0 for a .pte.
  virtual int specification_version() const = 0;

  // `name` "" means the default function. Errors: NotFound with the functions that there are.
  virtual Result<Signature> signature(const std::string& name) const = 0;
  // Compiled once for all who load it. Errors: those of signature(); Unsupported, with a list of
  // all operations that cannot run.
  virtual Result<std::unique_ptr<Function>> load(const std::string& name) const = 0;
};

}  // namespace diptych::host
