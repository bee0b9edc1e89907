// Changes what a finished .pte computes, to plant faults in it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "mil/ir.h"
#include "pte/program.h"

namespace diptych::testing {

class Surgery {
 public:
  static Result<Surgery> open(const std::string& path);

  pte::Program& program() { return program_; }
  // Calls `change` for each function of each package.
  Status edit(const std::function<void(mil::Function& function)>& change);
  Status save(const std::string& path) const;

 private:
  Surgery() = default;
  std::shared_ptr<const MappedFile> file_;
  pte::Program program_;
};

// The n-th operation of a type among those whose results' names begin so ("layers_2_"); null when
// there are fewer.
mil::Op* find_op(mil::Function& function, std::string_view prefix, std::string_view type,
                 size_t n = 0);
// The operand bound to a parameter, to be changed.
mil::Value*& operand(mil::Op& op, std::string_view param, size_t n = 0);
// A constant whose name begins so.
mil::Value* find_constant(mil::Function& function, std::string_view prefix);
// The same float weight with its elements changed.
WeightRef changed(const Weight& weight, const std::function<float(size_t index, float)>& change);

// A small random model's checkpoint (a directory), made once for a family; and its export.
Result<std::string> checkpoint(const std::string& family, const std::string& shape);

}  // namespace diptych::testing
