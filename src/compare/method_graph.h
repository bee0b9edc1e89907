// A method of a .pte as one function: its partitions joined where values pass from one to the next.
// What is compared are such functions, so that it makes no difference how a method is cut.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "coreml/delegate.h"
#include "pte/program.h"

namespace diptych::compare {

struct MethodGraph {
  std::string name;
  // Inputs and outputs in the method's order, with Core ML's types (int32 where a method has
  // int64).
  std::unique_ptr<mil::Function> function;
  size_t partitions = 0;
};

// Packages of a program, each read once, so that functions of one package share their weights.
class Packages {
 public:
  // `owner` keeps the program's bytes alive.
  Packages(const pte::Program& program, std::shared_ptr<const void> owner)
      : program_(program), owner_(std::move(owner)) {}

  // Errors: Unsupported for methods that do more than call Core ML delegates one after another;
  // those of the packages' readers.
  Result<MethodGraph> join(const pte::Method& method);

 private:
  Result<const coreml::DelegateModel*> model_of(Bytes blob);

  const pte::Program& program_;
  std::shared_ptr<const void> owner_;
  std::map<const std::byte*, std::unique_ptr<coreml::DelegateModel>> models_;
};

}  // namespace diptych::compare
